/* What Python sees: media.native.core, under the limited API. media/native/engine.py makes a MediaEngine of it. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "arguments.h"
#include "context.h"
#include "worker.h"

typedef struct {
    PyObject_HEAD struct engine *engine; /* NULL: stopped */
    int users; /* calls that let the interpreter go, or run what may be anybody's code, and need the engine afterwards */
} EngineObject;

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
    return Py_BuildValue("(KKKKKKLdKKKKKKKNKKKKNNNKN)", counters[PACKETS_RECEIVED], counters[OCTETS_RECEIVED], counters[PACKETS_SENT],
                         counters[OCTETS_SENT], counters[RTCP_RECEIVED], counters[RTCP_SENT], lost > 0 ? lost : 0,
                         reception_jitter_ms(&half->reception), counters[WRONG_SOURCE], counters[SRTP_AUTH_FAILED], counters[REPLAYS],
                         counters[MALFORMED], counters[PAYLOAD_TYPE_MISMATCH], counters[OVER_RATE], counters[STUN_REFUSED], latched,
                         reception->reordered, reception->duplicates, reception->loss_runs, counters[AUTH_FAILING],
                         positive_or_none(half->round_trip * 1000), half->has_reported ? PyLong_FromLong(half->reported_lost) : none(),
                         positive_or_none(reported_jitter), counters[SOURCE_CHANGES], address_or_none(&half->stranger));
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
        PyObject *control = each->control ? Py_True : Py_False;
        PyObject *item = source ? Py_BuildValue("(Oy#N)", control, (const char *)each->octets, (Py_ssize_t)each->size, source) : NULL;
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
    int side, from_rtcp, port;
    const char *octets, *host;
    Py_ssize_t size;
    union address destination;
    if (!PyArg_ParseTuple(arguments, "Kppy#(si):send", &handle, &side, &from_rtcp, &octets, &size, &host, &port))
        return NULL;
    if (!parse_address(host, port, &destination))
        return PyErr_Format(PyExc_ValueError, "'%s' is not a numeric address", host);
    struct relay *relay = entered((EngineObject *)given, handle);
    if (!relay)
        return NULL;
    relay_send(&relay->side[side], from_rtcp, (const uint8_t *)octets, (size_t)size, &destination);
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
    {"take_handshake", engine_take_handshake, METH_VARARGS, "DTLS that came to (handle, side): (RTCP port?, octets, source) each. KeyError."},
    {"send", engine_send, METH_VARARGS, "Send from a port of a side: (handle, side, RTCP port?, octets, destination). KeyError."},
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
