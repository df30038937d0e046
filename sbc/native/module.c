/* What Python sees: sbc.native.octets, under the limited API. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "json.h"
#include "rows.h"
#include "signs.h"
#include "steps.h"
#include "writer.h"

#define SLOTS 1024 /* a power of two, some three times the usual ways to write the known names */

struct name {
    const char *text; /* of the key in `known`; NULL: free */
    size_t length;
    PyObject *name;
};

typedef struct {
    PyObject_HEAD PyObject *known, *fold, *unwritten, *prefix;
    struct name names[SLOTS];
} RowsObject;

static uint32_t hash_of(const char *text, size_t length) {
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (size_t at = 0; at < length; at++)
        hash = (hash ^ (uint8_t)text[at]) * 16777619u;
    return hash;
}

/* Where that text stands, or the free slot where it would. */
static struct name *slot_of(RowsObject *self, const char *text, size_t length) {
    uint32_t at = hash_of(text, length) % SLOTS;
    while (self->names[at].text && (self->names[at].length != length || memcmp(self->names[at].text, text, length) != 0))
        at = (at + 1) % SLOTS;
    return &self->names[at];
}

static bool fill(RowsObject *self) {
    PyObject *text, *name;
    Py_ssize_t position = 0, length;
    if (PyDict_Size(self->known) > SLOTS / 2) {
        PyErr_SetString(PyExc_ValueError, "too many known names");
        return false;
    }
    while (PyDict_Next(self->known, &position, &text, &name)) {
        const char *octets = PyUnicode_AsUTF8AndSize(text, &length);
        if (!octets)
            return false;
        *slot_of(self, octets, (size_t)length) = (struct name){octets, (size_t)length, name};
    }
    return true;
}

static PyObject *rows_new(PyTypeObject *type, PyObject *arguments, PyObject *keywords) {
    static char *names[] = {"known", "fold", "unwritten", NULL};
    PyObject *known, *fold, *unwritten;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O!OO", names, &PyDict_Type, &known, &fold, &unwritten))
        return NULL;
    allocfunc allocate = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    RowsObject *self = (RowsObject *)allocate(type, 0);
    if (!self)
        return NULL;
    self->known = PyDict_Copy(known); /* ours alone: what the table points at stays */
    self->fold = Py_NewRef(fold);
    self->unwritten = Py_NewRef(unwritten);
    self->prefix = PyUnicode_InternFromString("prefix");
    if (!self->known || !self->prefix || !fill(self)) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static void rows_dealloc(PyObject *given) {
    RowsObject *self = (RowsObject *)given;
    PyTypeObject *type = Py_TYPE(given);
    Py_XDECREF(self->known);
    Py_XDECREF(self->fold);
    Py_XDECREF(self->unwritten);
    Py_XDECREF(self->prefix);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(given);
    Py_DECREF(type);
}

/* Text as Python reads a head: octets that are not UTF-8 become surrogates. */
static PyObject *text_of(struct span span) { return PyUnicode_DecodeUTF8(span.at, (Py_ssize_t)span.length, "surrogateescape"); }

static PyObject *name_of(RowsObject *self, struct span span) {
    struct name *known = slot_of(self, span.at, span.length);
    if (known->text)
        return Py_NewRef(known->name);
    PyObject *text = text_of(span);
    PyObject *name = text ? PyObject_CallFunctionObjArgs(self->fold, text, NULL) : NULL;
    Py_XDECREF(text);
    return name;
}

/* The row at `at` into the lists, and into `first` if it is the first of its name. */
static bool add_row(RowsObject *self, struct row row, Py_ssize_t at, PyObject *names, PyObject *values, PyObject *first) {
    PyObject *name = name_of(self, row.name);
    PyObject *value = name ? text_of(row.value) : NULL;
    if (!value) {
        Py_XDECREF(name);
        return false;
    }
    bool added = PyDict_GetItemWithError(first, name) || (!PyErr_Occurred() && PyDict_SetItem(first, name, value) == 0);
    PyList_SetItem(names, at, name); /* takes the reference, as the next does */
    PyList_SetItem(values, at, value);
    return added;
}

static PyObject *rows_read(PyObject *given, PyObject *octets) {
    RowsObject *self = (RowsObject *)given;
    struct row rows[MOST_LINES];
    struct span start;
    char *head;
    Py_ssize_t length;
    if (PyBytes_AsStringAndSize(octets, &head, &length) < 0)
        return NULL;
    int count = find_rows(head, (size_t)length, &start, rows);
    if (count == UNUSUAL)
        Py_RETURN_NONE;
    PyObject *names = PyList_New(count), *values = PyList_New(count), *first = PyDict_New(), *line = text_of(start), *result = NULL;
    bool complete = names && values && first && line;
    for (int at = 0; complete && at < count; at++)
        complete = add_row(self, rows[at], at, names, values, first);
    if (complete)
        result = PyTuple_Pack(4, line, names, values, first);
    Py_XDECREF(names);
    Py_XDECREF(values);
    Py_XDECREF(first);
    Py_XDECREF(line);
    if (!complete && !PyErr_ExceptionMatches(PyExc_MemoryError)) { /* a name that is none: Python says so in its turn */
        PyErr_Clear();
        Py_RETURN_NONE;
    }
    return result;
}

/* Writing */

static bool put_rows(struct writer *writer, RowsObject *self, PyObject *names, PyObject *values) {
    for (Py_ssize_t at = 0; at < PyList_Size(names); at++) {
        PyObject *name = PyList_GetItem(names, at);
        if (name == self->unwritten)
            continue;
        PyObject *prefix = PyObject_GetAttr(name, self->prefix);
        bool fits = prefix && put(writer, "\r\n", 2) && put_text(writer, prefix) && put_text(writer, PyList_GetItem(values, at));
        Py_XDECREF(prefix);
        if (!fits)
            return false;
    }
    return true;
}

static PyObject *rows_write(PyObject *self, PyObject *arguments) {
    char room[LONGEST_WRITTEN], length[64], *octets;
    struct writer writer = {room, 0, sizeof room};
    PyObject *start, *names, *values, *body;
    Py_ssize_t size;
    if (!PyArg_ParseTuple(arguments, "O!O!O!O!", &PyUnicode_Type, &start, &PyList_Type, &names, &PyList_Type, &values, &PyBytes_Type, &body))
        return NULL;
    if (PyList_Size(names) != PyList_Size(values) || PyBytes_AsStringAndSize(body, &octets, &size) < 0) {
        PyErr_SetString(PyExc_ValueError, "a value for each name");
        return NULL;
    }
    int digits = snprintf(length, sizeof length, "\r\nContent-Length: %zd\r\n\r\n", size);
    if (put_text(&writer, start) && put_rows(&writer, (RowsObject *)self, names, values) && put(&writer, length, (size_t)digits) &&
        put(&writer, octets, (size_t)size))
        return PyBytes_FromStringAndSize(writer.octets, (Py_ssize_t)writer.size);
    PyErr_Clear(); /* longer than we have room for, or surrogates in it */
    Py_RETURN_NONE;
}

/* Parameters */

/* `span`, which is ASCII, in lower case. */
static PyObject *folded(struct span span) {
    char text[LONGEST_NAME];
    for (size_t at = 0; at < span.length; at++)
        text[at] = span.at[at] >= 'A' && span.at[at] <= 'Z' ? (char)(span.at[at] | 0x20) : span.at[at];
    return PyUnicode_DecodeUTF8(text, (Py_ssize_t)span.length, NULL);
}

static PyObject *pair_of(const struct param *param) {
    PyObject *name = folded(param->name), *value = param->has_value ? text_of(param->value) : Py_NewRef(Py_None);
    PyObject *pair = name && value ? PyTuple_Pack(2, name, value) : NULL;
    Py_XDECREF(name);
    Py_XDECREF(value);
    return pair;
}

static PyObject *read_params(PyObject *module, PyObject *text) {
    (void)module;
    struct param params[MOST_PARAMS];
    Py_ssize_t length;
    const char *octets = PyUnicode_AsUTF8AndSize(text, &length);
    int count = octets ? find_params(octets, (size_t)length, params) : UNUSUAL;
    if (count == UNUSUAL) {
        PyErr_Clear(); /* surrogates */
        Py_RETURN_NONE;
    }
    PyObject *pairs = PyTuple_New(count);
    for (int at = 0; pairs && at < count; at++) {
        PyObject *pair = pair_of(&params[at]);
        if (!pair || PyTuple_SetItem(pairs, at, pair) < 0)
            Py_CLEAR(pairs);
    }
    return pairs;
}

/* JSON */

static PyObject *written(const struct writer *writer, bool fits) {
    if (fits)
        return PyBytes_FromStringAndSize(writer->octets, (Py_ssize_t)writer->size);
    PyErr_Clear(); /* longer than we have room for, or no number */
    Py_RETURN_NONE;
}

static PyObject *write_json(PyObject *module, PyObject *value) {
    (void)module;
    char room[LONGEST_WRITTEN];
    struct writer writer = {room, 0, sizeof room};
    return written(&writer, put_json(&writer, value, NULL, 0) && put(&writer, "\n", 1));
}

static PyObject *write_steps(PyObject *module, PyObject *arguments) {
    (void)module;
    char room[LONGEST_STEPS];
    struct writer writer = {room, 0, sizeof room};
    struct objects objects;
    struct reel reel;
    if (!PyArg_ParseTuple(arguments, "O!O!O!O!O!O!O!O!O", &PyList_Type, &reel.steps, &PyList_Type, &reel.given, &PyList_Type, &reel.effects,
                          &PyTuple_Type, &reel.sent, &PyList_Type, &reel.flows, &PyList_Type, &reel.messages, &PyDict_Type,
                          &objects.fields, &PyDict_Type, &objects.met, &objects.other))
        return NULL;
    return written(&writer, put_steps(&writer, &reel, &objects));
}

static PyObject *holds_any(PyObject *module, PyObject *arguments) {
    (void)module;
    char *text, *sign;
    Py_ssize_t length, size;
    PyObject *octets, *signs;
    Py_ssize_t start;
    if (!PyArg_ParseTuple(arguments, "O!O!n", &PyBytes_Type, &octets, &PyTuple_Type, &signs, &start) ||
        PyBytes_AsStringAndSize(octets, &text, &length) < 0)
        return NULL;
    if (start < 0 || start > length) {
        PyErr_SetString(PyExc_ValueError, "a start that is not within the octets");
        return NULL;
    }
    for (Py_ssize_t at = 0; at < PyTuple_Size(signs); at++) {
        if (PyBytes_AsStringAndSize(PyTuple_GetItem(signs, at), &sign, &size) < 0)
            return NULL;
        if (holds_sign(text + start, (size_t)(length - start), sign, (size_t)size))
            Py_RETURN_TRUE;
    }
    Py_RETURN_FALSE;
}

/* Module */

static PyMethodDef rows_methods[] = {
    {"read", rows_read, METH_O, "Start line, names, values and the first value of each name, of a head; None: unusual."},
    {"write", rows_write, METH_VARARGS, "Octets of start line, names, values and body; None: unusual."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot rows_slots[] = {
    {Py_tp_doc, "Reads and writes rows. Arguments: names by text, what makes a name of other text, the name that is never written."},
    {Py_tp_new, rows_new},
    {Py_tp_dealloc, rows_dealloc},
    {Py_tp_methods, rows_methods},
    {0, NULL},
};

static PyType_Spec rows_spec = {"sbc.native.octets.Rows", sizeof(RowsObject), 0, Py_TPFLAGS_DEFAULT, rows_slots};

static PyMethodDef functions[] = {
    {"read_params", read_params, METH_O, "The pairs of ;name=value;name; None: unusual."},
    {"write_json", write_json, METH_O, "A line of JSON; None: unusual."},
    {"write_steps", write_steps, METH_VARARGS, "JSON of the steps of a recording; None: unusual."},
    {"holds_any", holds_any, METH_VARARGS, "Whether octets, from a start on, hold one of the signs, whatever the case."},
    {NULL, NULL, 0, NULL},
};

static int module_start(PyObject *module) {
    PyObject *type = PyType_FromModuleAndSpec(module, &rows_spec, NULL);
    int result = type ? PyModule_AddType(module, (PyTypeObject *)type) : -1;
    Py_XDECREF(type);
    return result;
}

static PyModuleDef_Slot module_slots[] = {{Py_mod_exec, module_start}, {0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "sbc.native.octets", "Octets in C; see sbc/native/README.md.", 0, functions, module_slots, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_octets(void) { return PyModuleDef_Init(&definition); }
