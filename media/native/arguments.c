#include "arguments.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

/* Addresses */

bool parse_address(const char *host, int port, union address *address) {
    memset(address, 0, sizeof *address);
    if (strchr(host, ':')) {
        address->in6.sin6_family = AF_INET6;
        address->in6.sin6_port = htons((uint16_t)port);
        return inet_pton(AF_INET6, host, &address->in6.sin6_addr) == 1;
    }
    address->in.sin_family = AF_INET;
    address->in.sin_port = htons((uint16_t)port);
    return inet_pton(AF_INET, host, &address->in.sin_addr) == 1;
}

PyObject *address_or_none(const union address *address) {
    char host[INET6_ADDRSTRLEN];
    if (address->any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &address->in6.sin6_addr, host, sizeof host);
        return Py_BuildValue("(si)", host, ntohs(address->in6.sin6_port));
    }
    if (address->any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &address->in.sin_addr, host, sizeof host);
        return Py_BuildValue("(si)", host, ntohs(address->in.sin_port));
    }
    Py_RETURN_NONE;
}

/* None or (host, port). */
static bool parse_destination(PyObject *given, union address *address) {
    const char *host;
    int port;
    memset(address, 0, sizeof *address);
    if (given == Py_None)
        return true;
    if (!PyArg_ParseTuple(given, "si:address", &host, &port))
        return false;
    if (port <= 0 || port > 65535) {
        PyErr_Format(PyExc_ValueError, "port %d is not a destination", port);
        return false;
    }
    if (!parse_address(host, port, address)) {
        PyErr_Format(PyExc_ValueError, "'%s' is not a numeric address", host);
        return false;
    }
    return true;
}

/* A tuple of hosts. */
static bool parse_hosts(PyObject *given, struct spec *spec) {
    Py_ssize_t count = PyTuple_Size(given);
    if (count < 0)
        return false;
    if (count > MOST_FROM) {
        PyErr_Format(PyExc_ValueError, "more than %d hosts to latch from", MOST_FROM);
        return false;
    }
    for (Py_ssize_t each = 0; each < count; each++) {
        Py_ssize_t size;
        const char *host = PyUnicode_AsUTF8AndSize(PyTuple_GetItem(given, each), &size);
        if (!host)
            return false;
        if (strlen(host) != (size_t)size || !parse_address(host, 0, &spec->from[each])) {
            PyErr_Format(PyExc_ValueError, "'%s' is not a numeric address", host);
            return false;
        }
    }
    spec->from_count = (size_t)count;
    return true;
}

/* Specs */

/* (suite, master, MKI, lifetime) */
static bool parse_key(PyObject *given, struct key *key) {
    int suite;
    const char *master, *mki;
    Py_ssize_t size, mki_size;
    unsigned long long lifetime;
    if (!PyArg_ParseTuple(given, "iy#y#K:keys", &suite, &master, &size, &mki, &mki_size, &lifetime))
        return false;
    if (suite < 0 || suite >= SUITES || (size_t)size != suite_key_length((enum suite)suite) || mki_size > MAX_MKI) {
        PyErr_SetString(PyExc_ValueError, "key and salt do not fit the suite, or the MKI is too long");
        return false;
    }
    key->suite = (enum suite)suite;
    memcpy(key->master, master, (size_t)size);
    memcpy(key->mki, mki, (size_t)mki_size);
    key->mki_size = (size_t)mki_size;
    key->lifetime = lifetime;
    return true;
}

/* A tuple of keys. */
static bool parse_keys(PyObject *given, struct keys *keys) {
    Py_ssize_t count = PyTuple_Size(given);
    if (count > MOST_KEYS)
        PyErr_Format(PyExc_ValueError, "more than %d keys", MOST_KEYS);
    for (Py_ssize_t each = 0; !PyErr_Occurred() && each < count; each++)
        if (parse_key(PyTuple_GetItem(given, each), &keys->of[each]))
            keys->count++;
    return !PyErr_Occurred();
}

/* The clock of a payload type in Hz; 0: nobody has said. */
static bool parse_rate(PyObject *rates, PyObject *type, uint32_t *rate) {
    PyObject *given = PyDict_GetItemWithError(rates, type);
    unsigned long hertz = given ? PyLong_AsUnsignedLong(given) : 0;
    if (!PyErr_Occurred() && hertz > UINT32_MAX)
        PyErr_Format(PyExc_ValueError, "clock rate %lu does not exist", hertz);
    *rate = (uint32_t)hertz;
    return !PyErr_Occurred();
}

static bool parse_payload_types(PyObject *types, PyObject *rates, struct spec *spec) {
    PyObject *key, *value;
    Py_ssize_t at = 0;
    for (int type = 0; type < 128; type++)
        spec->types[type].leaving = NO_PAYLOAD_TYPE;
    while (PyDict_Next(types, &at, &key, &value)) {
        if (!PyLong_Check(key) || !PyLong_Check(value)) { /* whose conversion cannot change the table */
            PyErr_SetString(PyExc_TypeError, "payload types are integers");
            return false;
        }
        long arriving = PyLong_AsLong(key), leaving = PyLong_AsLong(value);
        if (PyErr_Occurred())
            return false;
        if (arriving < 0 || arriving > 127 || leaving < 0 || leaving > 127) {
            PyErr_Format(PyExc_ValueError, "payload type %ld -> %ld does not exist", arriving, leaving);
            return false;
        }
        spec->types[arriving].leaving = (uint8_t)leaving;
        if (!parse_rate(rates, key, &spec->types[arriving].rate))
            return false;
    }
    return true;
}

static bool parse_type(PyObject *number, long *type) {
    *type = PyLong_AsLong(number);
    if (!PyErr_Occurred() && (*type < 0 || *type > 127))
        PyErr_Format(PyExc_ValueError, "payload type %ld does not exist", *type);
    return !PyErr_Occurred();
}

/* Payload type -> enum law. */
static bool parse_translate(PyObject *laws, struct spec *spec) {
    PyObject *key, *value;
    Py_ssize_t at = 0;
    long type, law;
    while (PyDict_Next(laws, &at, &key, &value)) {
        if (!PyLong_Check(key) || !PyLong_Check(value)) { /* whose conversion cannot change the table */
            PyErr_SetString(PyExc_TypeError, "payload types and laws are integers");
            return false;
        }
        if (!parse_type(key, &type))
            return false;
        law = PyLong_AsLong(value);
        if (law <= AS_IT_IS || law >= LAWS) {
            PyErr_SetString(PyExc_ValueError, "no law of G.711");
            return false;
        }
        spec->types[type].law = (uint8_t)law;
    }
    return true;
}

/* A tuple of payload types. */
static bool parse_reported(PyObject *types, PyObject *rates, struct spec *spec) {
    Py_ssize_t count = PyTuple_Size(types);
    long type;
    uint32_t rate;
    for (Py_ssize_t each = 0; each < count; each++) {
        PyObject *number = PyTuple_GetItem(types, each);
        if (!parse_type(number, &type))
            return false;
        if (!parse_rate(rates, number, &rate))
            return false;
        spec->types[type] = (struct type_rule){.rate = rate, .leaving = (uint8_t)type, .digits = true};
    }
    spec->reports = count > 0;
    return count >= 0;
}

/* None or (payload type, clock). */
static bool parse_events(PyObject *given, struct spec *spec) {
    int type;
    unsigned int clock;
    if (given == Py_None)
        return true;
    if (!PyArg_ParseTuple(given, "iI:events", &type, &clock))
        return false;
    if (type < 0 || type > 127 || clock < LEAST_CLOCK || clock > MOST_CLOCK) {
        PyErr_Format(PyExc_ValueError, "telephone-events of type %d and %u Hz do not exist", type, clock);
        return false;
    }
    spec->has_events = true;
    spec->events = (uint8_t)type;
    spec->events_clock = clock;
    return true;
}

/* None or (user name, password). */
static bool parse_ice(PyObject *given, struct ice **made) {
    const char *username, *password;
    Py_ssize_t username_size, password_size;
    if (given == Py_None)
        return true;
    if (!PyArg_ParseTuple(given, "s#s#:ice", &username, &username_size, &password, &password_size))
        return false;
    if (username_size > MAX_USERNAME || password_size > MAX_PASSWORD) {
        PyErr_SetString(PyExc_ValueError, "ICE user name or password is too long");
        return false;
    }
    struct ice *ice = *made = malloc(sizeof *ice);
    if (!ice) {
        PyErr_NoMemory();
        return false;
    }
    ice->username_size = (size_t)username_size;
    ice->password_size = (size_t)password_size;
    memcpy(ice->username, username, ice->username_size);
    memcpy(ice->password, password, ice->password_size);
    return true;
}

bool parse_spec(PyObject *given, struct spec *spec) {
    PyObject *remote, *remote_rtcp, *hosts, *keys[4], *types, *rates, *silence, *ice, *laws, *reported, *events;
    int mux, send, udptl, dtls, one_stream, follow, dscp;
    unsigned long long ssrc;
    if (!PyArg_ParseTuple(given, "OOpOOOOOOOpOppOOOOKpii:spec", &remote, &remote_rtcp, &mux, &hosts, &keys[0], &keys[1], &keys[2], &keys[3],
                          &types, &rates, &send, &silence, &udptl, &dtls, &ice, &laws, &reported, &events, &ssrc, &one_stream, &follow, &dscp) ||
        !parse_destination(remote, &spec->remote) || !parse_destination(remote_rtcp, &spec->remote_rtcp) || !parse_hosts(hosts, spec) ||
        !parse_payload_types(types, rates, spec) || !parse_translate(laws, spec) || !parse_reported(reported, rates, spec) ||
        !parse_events(events, spec) || !parse_keys(keys[0], &spec->keys.receive) || !parse_keys(keys[1], &spec->keys.transmit) ||
        !parse_keys(keys[2], &spec->control_keys.receive) || !parse_keys(keys[3], &spec->control_keys.transmit) ||
        !parse_ice(ice, &spec->ice))
        return false;
    if (ssrc > UINT32_MAX) {
        PyErr_Format(PyExc_ValueError, "SSRC %llu does not exist", ssrc);
        return false;
    }
    spec->ssrc = (uint32_t)ssrc;
    spec->one_stream = one_stream;
    spec->mux = mux;
    spec->send = send;
    spec->udptl = udptl;
    spec->dtls = dtls;
    spec->follow = (enum follow)follow;
    spec->dscp = (uint8_t)(dscp & 63);
    spec->silence = silence == Py_None ? -1 : PyFloat_AsDouble(silence);
    return !PyErr_Occurred();
}
