#define PY_SSIZE_T_CLEAN
#include "json.h"

#include <math.h>
#include <stdio.h>

#define DEEPEST 8

static bool put_quoted(struct writer *writer, PyObject *text) {
    size_t start = writer->size + 1;
    if (!put(writer, "\"", 1) || !put_text(writer, text))
        return false;
    for (size_t at = start; at < writer->size; at++) {
        char octet = writer->octets[at];
        if (octet < ' ' || octet > '~' || octet == '"' || octet == '\\') /* beyond ASCII: below or above, as `char` is */
            return false;
    }
    return put(writer, "\"", 1);
}

static bool put_integer(struct writer *writer, PyObject *number) {
    char text[32];
    long long value = PyLong_AsLongLong(number);
    if (value == -1 && PyErr_Occurred())
        return false;
    return put(writer, text, (size_t)snprintf(text, sizeof text, "%lld", value));
}

static bool put_float(struct writer *writer, PyObject *number) {
    double value = PyFloat_AsDouble(number);
    char *text = isfinite(value) ? PyOS_double_to_string(value, 'r', 0, Py_DTSF_ADD_DOT_0, NULL) : NULL;
    bool fits = text && put(writer, text, strlen(text));
    PyMem_Free(text);
    return fits;
}

static bool put_object(struct writer *writer, PyObject *object, int depth) {
    PyObject *name, *value;
    Py_ssize_t position = 0;
    bool first = true;
    if (!put(writer, "{", 1))
        return false;
    for (; PyDict_Next(object, &position, &name, &value); first = false)
        if ((!first && !put(writer, ",", 1)) || !PyUnicode_CheckExact(name) || !put_quoted(writer, name) || !put(writer, ":", 1) ||
            !put_json(writer, value, depth + 1))
            return false;
    return put(writer, "}", 1);
}

static bool put_array(struct writer *writer, PyObject *array, bool is_list, int depth) {
    Py_ssize_t count = is_list ? PyList_Size(array) : PyTuple_Size(array);
    if (!put(writer, "[", 1))
        return false;
    for (Py_ssize_t at = 0; at < count; at++) {
        PyObject *value = is_list ? PyList_GetItem(array, at) : PyTuple_GetItem(array, at);
        if ((at && !put(writer, ",", 1)) || !put_json(writer, value, depth + 1))
            return false;
    }
    return put(writer, "]", 1);
}

bool put_json(struct writer *writer, PyObject *value, int depth) {
    if (depth > DEEPEST)
        return false;
    if (value == Py_None)
        return put(writer, "null", 4);
    if (value == Py_True)
        return put(writer, "true", 4);
    if (value == Py_False)
        return put(writer, "false", 5);
    if (PyUnicode_CheckExact(value))
        return put_quoted(writer, value);
    if (PyLong_CheckExact(value))
        return put_integer(writer, value);
    if (PyFloat_CheckExact(value))
        return put_float(writer, value);
    if (PyDict_CheckExact(value))
        return put_object(writer, value, depth);
    bool is_list = PyList_CheckExact(value);
    return (is_list || PyTuple_CheckExact(value)) && put_array(writer, value, is_list, depth);
}
