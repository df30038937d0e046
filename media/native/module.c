/* What Python sees: media.native.core, under the limited API. media/native/engine.py makes a MediaEngine of it. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "worker.h"

typedef struct {
    PyObject_HEAD struct engine *engine; /* NULL: stopped */
    int users; /* calls that let the interpreter go, or run what may be anybody's code, and need the engine afterwards */
} EngineObject;

typedef struct {
    PyObject_HEAD struct srtp *srtp;
} ContextObject;

/* The worker's lock, with the interpreter let go only where it has to be waited for. Nothing of Python's is called while it is held:
 * a conversion or a collection may run anybody's code, which may want the lock. */
static void enter(EngineObject *self, struct worker *worker) {
    if (worker_try_enter(worker))
        return;
    self->users++;
    Py_BEGIN_ALLOW_THREADS;
    worker_enter(worker);
    Py_END_ALLOW_THREADS;
    self->users--;
}

static bool is_inherited(const struct engine *engine) { return engine->process != getpid(); }

static struct engine *running(EngineObject *self) {
    if (!self->engine)
        PyErr_SetString(PyExc_RuntimeError, "the engine is stopped");
    else if (is_inherited(self->engine))
        PyErr_SetString(PyExc_RuntimeError, "the engine runs in the process that started it");
    else
        return self->engine;
    return NULL;
}

/* A relay is named by its worker, its place there and its generation. */
static uint64_t handle_of(const struct engine *engine, const struct relay *relay) {
    uint64_t worker = (uint64_t)(relay->worker - engine->worker);
    return (uint64_t)relay->generation << 32 | worker << 24 | relay->index;
}

/* The relay with its worker's lock held, or NULL and an exception. */
static struct relay *entered(EngineObject *self, unsigned long long handle) {
    struct engine *engine = running(self);
    uint32_t worker = handle >> 24 & 0xFF;
    if (!engine)
        return NULL;
    if (worker < (uint32_t)engine->workers) {
        enter(self, &engine->worker[worker]);
        struct relay *relay = relay_find(&engine->worker[worker], handle & 0xFFFFFF, (uint32_t)(handle >> 32));
        if (relay)
            return relay;
        worker_leave(&engine->worker[worker]);
    }
    PyErr_SetString(PyExc_KeyError, "no such relay");
    return NULL;
}

/* Addresses */

static bool parse_address(const char *host, int port, union address *address) {
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

static PyObject *address_or_none(const union address *address) {
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

/* None or (suite, master, MKI, lifetime). */
static bool parse_keys(PyObject *given, struct key *key) {
    int suite;
    const char *master, *mki;
    Py_ssize_t size, mki_size;
    unsigned long long lifetime;
    if (given == Py_None)
        return true;
    if (!PyArg_ParseTuple(given, "iy#y#K:keys", &suite, &master, &size, &mki, &mki_size, &lifetime))
        return false;
    if (suite < 0 || suite >= SUITES || (size_t)size != suite_key_length((enum suite)suite) || mki_size > MAX_MKI) {
        PyErr_SetString(PyExc_ValueError, "key and salt do not fit the suite, or the MKI is too long");
        return false;
    }
    key->given = true;
    key->suite = (enum suite)suite;
    memcpy(key->master, master, (size_t)size);
    memcpy(key->mki, mki, (size_t)mki_size);
    key->mki_size = (size_t)mki_size;
    key->lifetime = lifetime;
    return true;
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
        PyObject *rate = PyDict_GetItemWithError(rates, key);
        unsigned long hertz = rate ? PyLong_AsUnsignedLong(rate) : 0;
        if (PyErr_Occurred())
            return false;
        if (hertz > UINT32_MAX) {
            PyErr_Format(PyExc_ValueError, "clock rate %lu does not exist", hertz);
            return false;
        }
        spec->types[arriving].rate = (uint32_t)hertz;
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
    for (Py_ssize_t each = 0; each < count; each++) {
        PyObject *number = PyTuple_GetItem(types, each);
        if (!parse_type(number, &type))
            return false;
        PyObject *rate = PyDict_GetItemWithError(rates, number);
        unsigned long hertz = rate ? PyLong_AsUnsignedLong(rate) : 0;
        if (PyErr_Occurred())
            return false;
        if (hertz > UINT32_MAX) {
            PyErr_Format(PyExc_ValueError, "clock rate %lu does not exist", hertz);
            return false;
        }
        spec->types[type] = (struct type_rule){.rate = (uint32_t)hertz, .leaving = (uint8_t)type, .digits = true};
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

static bool parse_spec(PyObject *given, struct spec *spec) {
    PyObject *remote, *remote_rtcp, *hosts, *receive_keys, *send_keys, *types, *rates, *silence, *ice, *laws, *reported, *events;
    int mux, send, udptl, dtls, one_stream, follow, dscp;
    unsigned long long ssrc;
    if (!PyArg_ParseTuple(given, "OOpOOOOOpOppOOOOKpii:spec", &remote, &remote_rtcp, &mux, &hosts, &receive_keys, &send_keys, &types, &rates,
                          &send, &silence, &udptl, &dtls, &ice, &laws, &reported, &events, &ssrc, &one_stream, &follow, &dscp) ||
        !parse_destination(remote, &spec->remote) || !parse_destination(remote_rtcp, &spec->remote_rtcp) || !parse_hosts(hosts, spec) ||
        !parse_payload_types(types, rates, spec) || !parse_translate(laws, spec) || !parse_reported(reported, rates, spec) ||
        !parse_events(events, spec) || !parse_keys(receive_keys, &spec->receive) || !parse_keys(send_keys, &spec->transmit) ||
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

/* Figures, as media.api.SideStats has them */

static PyObject *none(void) { Py_RETURN_NONE; }

static PyObject *positive_or_none(double value) { return value < 0 ? none() : PyFloat_FromDouble(value); }

static PyObject *stats_of(const struct half *half) {
    const uint64_t *counters = half->counters;
    const struct reception *reception = &half->reception;
    uint64_t counted = counters[PACKETS_RECEIVED] - counters[DATAGRAMS_RECEIVED] - reception->duplicates;
    int64_t lost = reception_expected(reception) - (int64_t)counted;
    uint32_t rate = half->far->reception.rate;
    double reported_jitter = half->has_reported && rate ? half->reported_jitter * 1000.0 / rate : -1;
    PyObject *latched = address_or_none(&half->latch.locked);
    if (!latched)
        return NULL;
    return Py_BuildValue("(KKKKKKLdKKKKKKKNKKKKNNNK)", counters[PACKETS_RECEIVED], counters[OCTETS_RECEIVED], counters[PACKETS_SENT],
                         counters[OCTETS_SENT], counters[RTCP_RECEIVED], counters[RTCP_SENT], lost > 0 ? lost : 0,
                         reception_jitter_ms(&half->reception), counters[WRONG_SOURCE], counters[SRTP_AUTH_FAILED], counters[REPLAYS],
                         counters[MALFORMED], counters[PAYLOAD_TYPE_MISMATCH], counters[OVER_RATE], counters[STUN_REFUSED], latched,
                         reception->reordered, reception->duplicates, reception->loss_runs, counters[AUTH_FAILING],
                         positive_or_none(half->round_trip * 1000), half->has_reported ? PyLong_FromLong(half->reported_lost) : none(),
                         positive_or_none(reported_jitter), counters[SOURCE_CHANGES]);
}

static PyObject *both_stats(const struct relay *relay) {
    PyObject *a = stats_of(&relay->side[0]), *b = a ? stats_of(&relay->side[1]) : NULL;
    if (!b) {
        Py_XDECREF(a);
        return NULL;
    }
    return Py_BuildValue("(NN)", a, b);
}

/* Engine */

static PyObject *engine_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords) {
    static char *names[] = {"workers", "sweep_every", "clock", NULL};
    int workers;
    double sweep_every, clock;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "idd:Engine", names, &workers, &sweep_every, &clock))
        return NULL;
    if (workers < 1 || workers > MAX_WORKERS) {
        PyErr_Format(PyExc_ValueError, "%d workers", workers);
        return NULL;
    }
    if (!(sweep_every > 0 && sweep_every <= MOST_SWEEP)) {
        PyErr_SetString(PyExc_ValueError, "a sweep takes more than no time and less than a minute");
        return NULL;
    }
    EngineObject *self = (EngineObject *)PyType_GenericAlloc(type, 0);
    if (!self)
        return NULL;
    struct engine *engine = PyMem_Malloc(sizeof *engine);
    int error = engine ? engine_start(engine, workers, sweep_every, clock) : ENOMEM;
    if (error) {
        PyMem_Free(engine);
        Py_DECREF(self);
        errno = error;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    self->engine = engine;
    return (PyObject *)self;
}

static PyObject *engine_stop_method(PyObject *given, PyObject *unused) {
    (void)unused;
    EngineObject *self = (EngineObject *)given;
    struct engine *engine = self->engine;
    if (self->users) {
        PyErr_SetString(PyExc_RuntimeError, "the engine is in use");
        return NULL;
    }
    self->engine = NULL;
    /* A fork has the memory but not the threads, in the middle of whatever they did: it is left as it is until the process ends. */
    if (engine && !is_inherited(engine)) {
        Py_BEGIN_ALLOW_THREADS;
        engine_stop(engine);
        Py_END_ALLOW_THREADS;
        PyMem_Free(engine);
    }
    Py_RETURN_NONE;
}

static void engine_dealloc(PyObject *given) {
    PyTypeObject *type = Py_TYPE(given);
    Py_XDECREF(engine_stop_method(given, NULL));
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(given);
    Py_DECREF(type);
}

static PyObject *engine_fileno(PyObject *given, PyObject *unused) {
    (void)unused;
    struct engine *engine = running((EngineObject *)given);
    return engine ? PyLong_FromLong(engine->events) : NULL;
}

static PyObject *engine_set_clock_method(PyObject *given, PyObject *seconds) {
    double clock = PyFloat_AsDouble(seconds);
    struct engine *engine = PyErr_Occurred() ? NULL : running((EngineObject *)given);
    if (!engine)
        return NULL;
    engine_set_clock(engine, clock);
    Py_RETURN_NONE;
}

static PyObject *engine_use_method(PyObject *given, PyObject *capsule) {
    struct engine *engine = running((EngineObject *)given);
    const struct tier *tier = engine ? PyCapsule_GetPointer(capsule, TIER_CAPSULE) : NULL;
    if (!tier)
        return NULL;
    errno = engine_use(engine, tier);
    if (errno)
        return PyErr_SetFromErrno(PyExc_OSError);
    Py_RETURN_NONE;
}

static PyObject *engine_bind(PyObject *given, PyObject *arguments) {
    const char *host;
    int port;
    union address address;
    struct pair pair;
    (void)given;
    if (!PyArg_ParseTuple(arguments, "si:bind", &host, &port))
        return NULL;
    errno = port > 0 && port < 65535 && parse_address(host, port, &address) ? pair_bind(&address, &pair) : EINVAL;
    if (errno)
        return PyErr_SetFromErrno(PyExc_OSError);
    PyObject *packed = PyLong_FromUnsignedLongLong((uint64_t)(uint32_t)pair.rtcp << 32 | (uint32_t)pair.rtp);
    if (!packed)
        pair_close(pair);
    return packed;
}

static struct pair pair_of(unsigned long long packed) { return (struct pair){(int)(uint32_t)packed, (int)(uint32_t)(packed >> 32)}; }

static PyObject *engine_unbind(PyObject *given, PyObject *packed) {
    (void)given;
    unsigned long long pair = PyLong_AsUnsignedLongLong(packed);
    if (PyErr_Occurred())
        return NULL;
    pair_close(pair_of(pair));
    Py_RETURN_NONE;
}

static PyObject *engine_open(PyObject *given, PyObject *arguments) {
    unsigned long long a, b;
    EngineObject *self = (EngineObject *)given;
    struct engine *engine = PyArg_ParseTuple(arguments, "KK:open", &a, &b) ? running(self) : NULL;
    if (!engine)
        return NULL;
    uint64_t handle = 0;
    self->users++;
    Py_BEGIN_ALLOW_THREADS;
    struct relay *relay = relay_open(engine, pair_of(a), pair_of(b));
    if (relay)
        handle = handle_of(engine, relay);
    Py_END_ALLOW_THREADS;
    self->users--;
    return handle ? PyLong_FromUnsignedLongLong(handle) : PyErr_SetFromErrno(PyExc_OSError);
}

static PyObject *engine_update(PyObject *given, PyObject *arguments) {
    unsigned long long handle;
    PyObject *a, *b;
    struct spec specs[2] = {0};
    if (!PyArg_ParseTuple(arguments, "KO!O!:update", &handle, &PyTuple_Type, &a, &PyTuple_Type, &b))
        return NULL;
    bool good = parse_spec(a, &specs[0]) && parse_spec(b, &specs[1]);
    struct relay *relay = good ? entered((EngineObject *)given, handle) : NULL;
    int error = 0;
    if (relay) {
        struct worker *worker = relay->worker;
        error = relay_update(relay, specs);
        worker_leave(worker);
    }
    spec_end(&specs[0]);
    spec_end(&specs[1]);
    if (!relay)
        return NULL;
    if (error == EAFNOSUPPORT) {
        PyErr_SetString(PyExc_ValueError, "an address of another family than the relay's");
        return NULL;
    }
    errno = error;
    if (error)
        return PyErr_SetFromErrno(PyExc_OSError);
    Py_RETURN_NONE;
}

static PyObject *engine_stats(PyObject *given, PyObject *number) {
    unsigned long long handle = PyLong_AsUnsignedLongLong(number);
    struct relay *relay = PyErr_Occurred() ? NULL : entered((EngineObject *)given, handle);
    if (!relay)
        return NULL;
    for (int side = 0; side < 2; side++)
        flow_take(&relay->side[side]);
    struct relay copy = *relay; /* figures of one moment, and the lock not held while Python makes objects */
    for (int side = 0; side < 2; side++)
        flow_give(&relay->side[side]);
    worker_leave(relay->worker);
    copy.side[0].far = &copy.side[1];
    copy.side[1].far = &copy.side[0];
    return both_stats(&copy);
}

static PyObject *engine_close(PyObject *given, PyObject *number) {
    unsigned long long handle = PyLong_AsUnsignedLongLong(number);
    struct relay *relay = PyErr_Occurred() ? NULL : entered((EngineObject *)given, handle);
    if (!relay)
        return NULL;
    relay_close(relay);
    worker_leave(relay->worker);
    PyObject *stats = both_stats(relay);
    relay_free(relay);
    return stats;
}

/* What happened to a relay. */
struct report {
    uint64_t handle;
    uint16_t pending[2];
};

#define REPORTS 64 /* taken under the lock at once */

static int take_reports(struct engine *engine, struct worker *worker, struct report *reports) {
    int count = 0;
    struct relay *relay;
    while (count < REPORTS && (relay = worker_take_event(worker))) {
        reports[count].handle = handle_of(engine, relay);
        for (int side = 0; side < 2; side++) {
            reports[count].pending[side] = relay->side[side].pending;
            relay->side[side].pending = 0;
        }
        count++;
    }
    return count;
}

static bool add_report(const struct report *report, PyObject *list) {
    for (int side = 0; side < 2; side++)
        for (int event = 0; event < EVENTS; event++) {
            if (!(report->pending[side] >> event & 1))
                continue;
            PyObject *item = Py_BuildValue("(Kii)", (unsigned long long)report->handle, side, event);
            bool added = item && PyList_Append(list, item) == 0;
            Py_XDECREF(item);
            if (!added)
                return false;
        }
    return true;
}

static bool add_reports(EngineObject *self, struct worker *worker, PyObject *list) {
    struct report reports[REPORTS];
    int count = REPORTS;
    while (count == REPORTS) {
        enter(self, worker);
        count = take_reports(self->engine, worker, reports);
        worker_leave(worker);
        for (int each = 0; each < count; each++)
            if (!add_report(&reports[each], list))
                return false;
    }
    return true;
}

static PyObject *engine_take_events(PyObject *given, PyObject *unused) {
    (void)unused;
    EngineObject *self = (EngineObject *)given;
    PyObject *list = PyList_New(0);
    struct engine *engine = list ? running(self) : NULL;
    if (!engine) {
        Py_XDECREF(list);
        return NULL;
    }
    eventfd_t count;
    eventfd_read(engine->events, &count);
    bool good = true;
    self->users++;
    for (int each = 0; good && each < engine->workers; each++)
        good = add_reports(self, &engine->worker[each], list);
    self->users--;
    if (!good) {
        eventfd_write(engine->events, 1); /* there may be more, for which nobody would wake us */
        Py_CLEAR(list);
    }
    return list;
}

static PyObject *engine_take_handshake(PyObject *given, PyObject *arguments) {
    unsigned long long handle;
    int side;
    if (!PyArg_ParseTuple(arguments, "Kp:take_handshake", &handle, &side))
        return NULL;
    struct relay *relay = entered((EngineObject *)given, handle);
    if (!relay)
        return NULL;
    struct handshake *each = half_take_handshake(&relay->side[side]), *next;
    worker_leave(relay->worker);
    PyObject *list = PyList_New(0);
    for (; each; each = next) {
        next = each->next;
        PyObject *source = list ? address_or_none(&each->source) : NULL;
        PyObject *item = source ? Py_BuildValue("(y#N)", (const char *)each->octets, (Py_ssize_t)each->size, source) : NULL;
        if (!item || PyList_Append(list, item) < 0)
            Py_CLEAR(list);
        Py_XDECREF(item);
        free(each);
    }
    return list;
}

static PyObject *engine_take_digits(PyObject *given, PyObject *arguments) {
    unsigned long long handle;
    int side;
    if (!PyArg_ParseTuple(arguments, "Kp:take_digits", &handle, &side))
        return NULL;
    struct relay *relay = entered((EngineObject *)given, handle);
    if (!relay)
        return NULL;
    struct digit digits[MOST_REPORTED];
    struct reader *reader = &relay->side[side].reader;
    size_t count = reader->count;
    memcpy(digits, reader->ended, count * sizeof digits[0]);
    reader->count = 0;
    worker_leave(relay->worker);
    PyObject *list = PyList_New(0);
    for (size_t each = 0; list && each < count; each++) {
        PyObject *item = Py_BuildValue("(iI)", digits[each].event, digits[each].duration);
        if (!item || PyList_Append(list, item) < 0)
            Py_CLEAR(list);
        Py_XDECREF(item);
    }
    return list;
}

static PyObject *engine_add_digit(PyObject *given, PyObject *arguments) {
    unsigned long long handle;
    int side, event;
    unsigned int duration;
    if (!PyArg_ParseTuple(arguments, "KpiI:add_digit", &handle, &side, &event, &duration))
        return NULL;
    if (event < 0 || event >= DIGITS) {
        PyErr_SetString(PyExc_ValueError, "no digit");
        return NULL;
    }
    struct relay *relay = entered((EngineObject *)given, handle);
    if (!relay)
        return NULL;
    half_add_digit(&relay->side[side], (uint8_t)event, duration);
    worker_leave(relay->worker);
    Py_RETURN_NONE;
}

static PyObject *engine_type(PyObject *given, PyObject *arguments) {
    unsigned long long handle;
    int side;
    if (!PyArg_ParseTuple(arguments, "Kp:type", &handle, &side))
        return NULL;
    struct relay *relay = entered((EngineObject *)given, handle);
    if (!relay)
        return NULL;
    double due = half_type(&relay->side[side], engine_now(relay->worker->engine));
    worker_leave(relay->worker);
    return positive_or_none(due);
}

static PyObject *engine_send(PyObject *given, PyObject *arguments) {
    unsigned long long handle;
    int side, port;
    const char *octets, *host;
    Py_ssize_t size;
    union address destination;
    if (!PyArg_ParseTuple(arguments, "Kpy#(si):send", &handle, &side, &octets, &size, &host, &port))
        return NULL;
    if (!parse_address(host, port, &destination))
        return PyErr_Format(PyExc_ValueError, "'%s' is not a numeric address", host);
    struct relay *relay = entered((EngineObject *)given, handle);
    if (!relay)
        return NULL;
    relay_answer(&relay->side[side], (const uint8_t *)octets, (size_t)size, &destination);
    worker_leave(relay->worker);
    Py_RETURN_NONE;
}

static PyMethodDef engine_methods[] = {
    {"fileno", engine_fileno, METH_NOARGS, "Readable when there are events to take."},
    {"set_clock", engine_set_clock_method, METH_O, "Stand at that many seconds; negative: go with the machine's clock."},
    {"use", engine_use_method, METH_O, "Let packets take a tier (its capsule) that outlives the engine. Once. OSError."},
    {"bind", engine_bind, METH_VARARGS, "Bind (host, port) and the port after it: a pair of sockets. OSError."},
    {"unbind", engine_unbind, METH_O, "Close a pair that no relay took over."},
    {"open", engine_open, METH_VARARGS, "A relay between two pairs of sockets, which it takes over: its handle. OSError."},
    {"update", engine_update, METH_VARARGS, "Replace both sides (handle, a, b) at once. KeyError, ValueError, OSError."},
    {"stats", engine_stats, METH_O, "The figures of both sides. KeyError."},
    {"close", engine_close, METH_O, "Close the relay and its sockets: the final figures. KeyError."},
    {"take_handshake", engine_take_handshake, METH_VARARGS, "DTLS that came to (handle, side): (octets, source) each. KeyError."},
    {"send", engine_send, METH_VARARGS, "Send from the RTP port of a side: (handle, side, octets, destination). KeyError."},
    {"take_digits", engine_take_digits, METH_VARARGS, "Digits the peer of (handle, side) typed: (event, milliseconds) each. KeyError."},
    {"add_digit", engine_add_digit, METH_VARARGS, "Type to the peer of a side: (handle, side, event, milliseconds). KeyError."},
    {"type", engine_type, METH_VARARGS, "Send what is due of those digits: (handle, side). When the next is, or None. KeyError."},
    {"take_events", engine_take_events, METH_NOARGS, "What happened since the last call: (handle, side, event) each."},
    {"stop", engine_stop_method, METH_NOARGS, "End the threads and close everything; once more does nothing."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot engine_slots[] = {
    {Py_tp_doc, "Threads that relay packets. Arguments: workers, seconds between looks for silent peers, clock (see set_clock)."},
    {Py_tp_new, engine_new},
    {Py_tp_dealloc, engine_dealloc},
    {Py_tp_methods, engine_methods},
    {0, NULL},
};

static PyType_Spec engine_spec = {"media.native.core.Engine", sizeof(EngineObject), 0, Py_TPFLAGS_DEFAULT, engine_slots};

/* Context: SRTP of one direction, for who has single packets */

static PyObject *context_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords) {
    (void)keywords;
    int suite, sending;
    const char *master, *mki;
    Py_ssize_t size, mki_size;
    if (!PyArg_ParseTuple(arguments, "iy#y#p:Context", &suite, &master, &size, &mki, &mki_size, &sending))
        return NULL;
    if (suite < 0 || suite >= SUITES || (size_t)size != suite_key_length((enum suite)suite) || mki_size > MAX_MKI) {
        PyErr_SetString(PyExc_ValueError, "key and salt do not fit the suite, or the MKI is too long");
        return NULL;
    }
    ContextObject *self = (ContextObject *)PyType_GenericAlloc(type, 0);
    if (!self)
        return NULL;
    self->srtp = srtp_new((enum suite)suite, (const uint8_t *)master, sending);
    if (!self->srtp) {
        Py_DECREF(self);
        return PyErr_NoMemory();
    }
    srtp_name(self->srtp, (const uint8_t *)mki, (size_t)mki_size, 0);
    return (PyObject *)self;
}

static void context_dealloc(PyObject *given) {
    PyTypeObject *type = Py_TYPE(given);
    srtp_free(((ContextObject *)given)->srtp);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(given);
    Py_DECREF(type);
}

enum work { PROTECT, UNPROTECT, PROTECT_RTCP, UNPROTECT_RTCP };

static PyObject *context_run(PyObject *given, PyObject *octets, enum work work) {
    struct srtp *srtp = ((ContextObject *)given)->srtp;
    uint8_t packet[MAX_PACKET + MAX_TRAILER];
    char *bytes;
    Py_ssize_t length;
    if (PyBytes_AsStringAndSize(octets, &bytes, &length) < 0)
        return NULL;
    enum verdict verdict = UNUSABLE;
    size_t size = (size_t)length;
    if (size <= MAX_PACKET) {
        memcpy(packet, bytes, size);
        size_t header = rtp_header(packet, size);
        if (work == PROTECT && header)
            verdict = srtp_protect(srtp, packet, &size, header);
        else if (work == UNPROTECT && header)
            verdict = srtp_unprotect(srtp, packet, &size, header);
        else if (work == PROTECT_RTCP && size >= RTCP_HEADER)
            verdict = srtcp_protect(srtp, packet, &size);
        else if (work == UNPROTECT_RTCP && size >= RTCP_HEADER)
            verdict = srtcp_unprotect(srtp, packet, &size);
    }
    if (verdict != ACCEPTED)
        return PyLong_FromLong(verdict);
    return PyBytes_FromStringAndSize((const char *)packet, (Py_ssize_t)size);
}

static PyObject *context_protect(PyObject *self, PyObject *packet) { return context_run(self, packet, PROTECT); }
static PyObject *context_unprotect(PyObject *self, PyObject *packet) { return context_run(self, packet, UNPROTECT); }
static PyObject *context_protect_rtcp(PyObject *self, PyObject *packet) { return context_run(self, packet, PROTECT_RTCP); }
static PyObject *context_unprotect_rtcp(PyObject *self, PyObject *packet) { return context_run(self, packet, UNPROTECT_RTCP); }

static PyMethodDef context_methods[] = {
    {"protect", context_protect, METH_O, "SRTP of an RTP packet, or the number of the verdict against it."},
    {"unprotect", context_unprotect, METH_O, "RTP of an SRTP packet, or the number of the verdict against it."},
    {"protect_rtcp", context_protect_rtcp, METH_O, "SRTCP of an RTCP packet, or the number of the verdict against it."},
    {"unprotect_rtcp", context_unprotect_rtcp, METH_O, "RTCP of an SRTCP packet, or the number of the verdict against it."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot context_slots[] = {
    {Py_tp_doc, "SRTP and SRTCP of one direction. Arguments: suite, master key and salt, MKI, whether it sends."},
    {Py_tp_new, context_new},
    {Py_tp_dealloc, context_dealloc},
    {Py_tp_methods, context_methods},
    {0, NULL},
};

static PyType_Spec context_spec = {"media.native.core.Context", sizeof(ContextObject), 0, Py_TPFLAGS_DEFAULT, context_slots};

/* Module */

static int add_type(PyObject *module, PyType_Spec *spec) {
    PyObject *type = PyType_FromModuleAndSpec(module, spec, NULL);
    int result = type ? PyModule_AddType(module, (PyTypeObject *)type) : -1;
    Py_XDECREF(type);
    return result;
}

static int module_start(PyObject *module) {
    if (!srtp_library_start()) {
        PyErr_SetString(PyExc_ImportError, "libcrypto lacks AES or its Galois/counter mode");
        return -1;
    }
    return add_type(module, &engine_spec) < 0 || add_type(module, &context_spec) < 0 ? -1 : 0;
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, module_start}, {0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "media.native.core", "Relays in C; see media/native/README.md.", 0, NULL, module_slots, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_core(void) { return PyModuleDef_Init(&definition); }
