/* What Python sees: media.native.xdp.tier, under the limited API. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <arpa/inet.h>
#include <string.h>

#include "tier.h"

typedef struct {
    PyObject_HEAD struct xdp *xdp;
} TierObject;

static PyObject *raise(const struct problem *problem) {
    PyObject *values = Py_BuildValue("(is)", problem->error, problem->text);
    if (values)
        PyErr_SetObject(PyExc_OSError, values);
    Py_XDECREF(values);
    return NULL;
}

static bool parse_address(const char *host, union address *address) {
    memset(address, 0, sizeof *address);
    address->any.sa_family = strchr(host, ':') ? AF_INET6 : AF_INET;
    if (inet_pton(address->any.sa_family, host,
                  address->any.sa_family == AF_INET6 ? (void *)&address->in6.sin6_addr : (void *)&address->in.sin_addr) == 1)
        return true;
    PyErr_Format(PyExc_ValueError, "'%s' is not a numeric address", host);
    return false;
}

static PyObject *describe(const struct attachment *attachment) {
    return Py_BuildValue("(sOis)", attachment->interface, attachment->native ? Py_True : Py_False, attachment->queues,
                         attachment->rings.error ? attachment->rings.text : "");
}

static struct xdp *loaded(PyObject *given) {
    struct xdp *xdp = ((TierObject *)given)->xdp;
    if (!xdp)
        PyErr_SetString(PyExc_RuntimeError, "the tier is closed");
    return xdp;
}

static PyObject *tier_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords) {
    int threads, forwards;
    struct problem problem;
    (void)keywords;
    if (!PyArg_ParseTuple(arguments, "ip:Tier", &threads, &forwards))
        return NULL;
    if (threads < 1 || threads > 64)
        return PyErr_Format(PyExc_ValueError, "%d threads", threads);
    TierObject *self = (TierObject *)PyType_GenericAlloc(type, 0);
    if (!self)
        return NULL;
    self->xdp = xdp_new(threads, forwards, &problem);
    if (self->xdp)
        return (PyObject *)self;
    Py_DECREF(self);
    return raise(&problem);
}

static PyObject *tier_close(PyObject *given, PyObject *unused) {
    TierObject *self = (TierObject *)given;
    (void)unused;
    if (self->xdp)
        xdp_free(self->xdp);
    self->xdp = NULL;
    Py_RETURN_NONE;
}

static void tier_dealloc(PyObject *given) {
    PyTypeObject *type = Py_TYPE(given);
    Py_XDECREF(tier_close(given, NULL));
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(given);
    Py_DECREF(type);
}

static PyObject *tier_capsule(PyObject *given, PyObject *unused) {
    const struct xdp *xdp = loaded(given);
    (void)unused;
    return xdp ? PyCapsule_New((void *)(uintptr_t)xdp_tier(xdp), TIER_CAPSULE, NULL) : NULL;
}

static PyObject *tier_probe(PyObject *given, PyObject *arguments) {
    const char *host;
    union address address;
    struct attachment attachment;
    struct problem problem;
    struct xdp *xdp = loaded(given);
    if (!xdp || !PyArg_ParseTuple(arguments, "s:probe", &host) || !parse_address(host, &address))
        return NULL;
    return xdp_probe(xdp, &address, &attachment, &problem) ? describe(&attachment) : raise(&problem);
}

static PyObject *tier_attach(PyObject *given, PyObject *arguments) {
    const char *host;
    int native_pairs;
    union address address;
    struct attachment attachment;
    struct problem problem;
    struct xdp *xdp = loaded(given);
    if (!xdp || !PyArg_ParseTuple(arguments, "sp:attach", &host, &native_pairs) || !parse_address(host, &address))
        return NULL;
    return xdp_attach(xdp, &address, native_pairs, &attachment, &problem) ? describe(&attachment) : raise(&problem);
}

static PyObject *tier_detach(PyObject *given, PyObject *arguments) {
    const char *host;
    union address address;
    struct xdp *xdp = loaded(given);
    if (!xdp || !PyArg_ParseTuple(arguments, "s:detach", &host) || !parse_address(host, &address))
        return NULL;
    xdp_detach(xdp, &address);
    Py_RETURN_NONE;
}

static PyObject *tier_flows(PyObject *given, PyObject *unused) {
    const struct xdp *xdp = loaded(given);
    (void)unused;
    if (!xdp)
        return NULL;
    struct flow_counts counts = xdp_count(xdp);
    return Py_BuildValue("(iii)", counts.forwarded, counts.handed, counts.waiting);
}

static PyMethodDef tier_methods[] = {
    {"capsule", tier_capsule, METH_NOARGS, "What core.Engine.use takes."},
    {"probe", tier_probe, METH_VARARGS, "What `attach` would say of an address, without attaching. OSError."},
    {"attach", tier_attach, METH_VARARGS,
     "Take packets to (address, whether veth by its driver): interface, whether native, queues, why not AF_XDP. OSError."},
    {"detach", tier_detach, METH_VARARGS, "Leave packets to an address to the stack again."},
    {"flows", tier_flows, METH_NOARGS, "Directions of relays forwarded, handed over, and of these those that still wait for it."},
    {"close", tier_close, METH_NOARGS, "Leave everything; once more does nothing. After the engine that uses it."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot tier_slots[] = {
    {Py_tp_doc, "XDP and AF_XDP. Arguments: how many threads take packets, whether plain RTP is forwarded by the kernel. OSError."},
    {Py_tp_new, tier_new},
    {Py_tp_dealloc, tier_dealloc},
    {Py_tp_methods, tier_methods},
    {0, NULL},
};

static PyType_Spec tier_spec = {"media.native.xdp.tier.Tier", sizeof(TierObject), 0, Py_TPFLAGS_DEFAULT, tier_slots};

static int module_start(PyObject *module) {
    PyObject *type = PyType_FromModuleAndSpec(module, &tier_spec, NULL);
    int result = type ? PyModule_AddType(module, (PyTypeObject *)type) : -1;
    Py_XDECREF(type);
    return result;
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, module_start}, {0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "media.native.xdp.tier", "XDP; see media/native/xdp/README.md.", 0, NULL, module_slots, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_tier(void) { return PyModuleDef_Init(&definition); }
