#define PY_SSIZE_T_CLEAN
#include "context.h"

#include <stdlib.h>
#include <string.h>

#include "packet.h"
#include "srtp.h"

typedef struct {
    PyObject_HEAD struct srtp *srtp;
} ContextObject;

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

PyType_Spec context_spec = {"media.native.core.Context", sizeof(ContextObject), 0, Py_TPFLAGS_DEFAULT, context_slots};
