#define PY_SSIZE_T_CLEAN
#include "json.h"

#include <math.h>
#include <stdint.h>

#define DEEPEST 16
#define ONES 0x0101010101010101ull /* in each of eight octets: one, the top bit */
#define TOPS 0x8080808080808080ull
#define LONGEST_INTEGER 20 /* "-9223372036854775808" */

const char hexadecimal[] = "0123456789abcdef";

static bool is_usual(char octet) {
    return octet >= ' ' && octet <= '~' && octet != '"' && octet != '\\'; /* beyond ASCII: below or above, as `char` is */
}

/* What follows the backslash; 0: there is no short form. */
static char short_form(Py_UCS4 letter) {
    switch (letter) {
    case '"':
    case '\\':
        return (char)letter;
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    case '\f':
        return 'f';
    case '\b':
        return 'b';
    default:
        return 0;
    }
}

static bool put_unit(struct writer *writer, unsigned unit) {
    char text[] = "\\u0000";
    for (size_t at = 5; at > 1; at--, unit >>= 4)
        text[at] = hexadecimal[unit & 15];
    return put(writer, text, 6);
}

static bool put_letter(struct writer *writer, Py_UCS4 letter) {
    char octet = (char)letter, form = short_form(letter);
    if (form)
        return put(writer, "\\", 1) && put(writer, &form, 1);
    if (letter < 128 && is_usual(octet))
        return put(writer, &octet, 1);
    if (letter < 0x10000)
        return put_unit(writer, letter);
    return put_unit(writer, 0xd800 + ((letter - 0x10000) >> 10)) && put_unit(writer, 0xdc00 + ((letter - 0x10000) & 0x3ff));
}

static bool put_escaped(struct writer *writer, PyObject *text) {
    Py_ssize_t length = PyUnicode_GetLength(text);
    for (Py_ssize_t at = 0; at < length; at++)
        if (!put_letter(writer, PyUnicode_ReadChar(text, at)))
            return false;
    return true;
}

/* A bit in each of the eight octets that is `octet`, in some that come after one, and in none if there is none. */
static uint64_t where(uint64_t octets, uint64_t octet) {
    octets ^= octet * ONES;
    return (octets - ONES) & ~octets & TOPS;
}

/* Whether all eight octets are usual, asked of them at once. 0x7f and what is beyond ASCII overflow into the top bits. */
static bool are_usual(uint64_t octets) {
    uint64_t below = (octets - ' ' * ONES) & ~octets, above = octets | (octets + ONES);
    return !(((below | above) & TOPS) | where(octets, '"') | where(octets, '\\'));
}

static bool is_all_usual(const char *octets, size_t length) {
    uint64_t word;
    for (; length >= sizeof word; octets += sizeof word, length -= sizeof word) {
        memcpy(&word, octets, sizeof word);
        if (!are_usual(word))
            return false;
    }
    for (; length; octets++, length--)
        if (!is_usual(*octets))
            return false;
    return true;
}

bool put_quoted(struct writer *writer, PyObject *text) {
    Py_ssize_t length;
    if (!PyUnicode_Check(text))
        return false;
    const char *octets = PyUnicode_AsUTF8AndSize(text, &length);
    if (!octets)
        PyErr_Clear(); /* surrogates */
    bool usual = octets && is_all_usual(octets, (size_t)length);
    return put(writer, "\"", 1) && (usual ? put(writer, octets, (size_t)length) : put_escaped(writer, text)) && put(writer, "\"", 1);
}

bool put_number(struct writer *writer, long long value) {
    char text[LONGEST_INTEGER];
    size_t start = sizeof text;
    unsigned long long rest = value < 0 ? 0 - (unsigned long long)value : (unsigned long long)value;
    do
        text[--start] = (char)('0' + rest % 10);
    while (rest /= 10);
    if (value < 0)
        text[--start] = '-';
    return put(writer, text + start, sizeof text - start);
}

static bool put_integer(struct writer *writer, PyObject *number) {
    long long value = PyLong_AsLongLong(number);
    return !(value == -1 && PyErr_Occurred()) && put_number(writer, value);
}

static bool put_float(struct writer *writer, PyObject *number) {
    double value = PyFloat_AsDouble(number);
    char *text = isfinite(value) ? PyOS_double_to_string(value, 'r', 0, Py_DTSF_ADD_DOT_0, NULL) : NULL;
    bool fits = text && put(writer, text, strlen(text));
    PyMem_Free(text);
    return fits;
}

/* A name of an object: an integer in quotes, as Python has it. */
static bool put_name(struct writer *writer, PyObject *name) {
    if (PyUnicode_Check(name))
        return put_quoted(writer, name);
    return PyLong_Check(name) && put(writer, "\"", 1) && put_integer(writer, name) && put(writer, "\"", 1);
}

static bool put_object(struct writer *writer, PyObject *object, const struct objects *objects, int depth) {
    PyObject *name, *value;
    Py_ssize_t position = 0;
    bool first = true;
    if (!put(writer, "{", 1))
        return false;
    for (; PyDict_Next(object, &position, &name, &value); first = false)
        if ((!first && !put(writer, ",", 1)) || !put_name(writer, name) || !put(writer, ":", 1) || !put_json(writer, value, objects, depth + 1))
            return false;
    return put(writer, "}", 1);
}

static bool put_array(struct writer *writer, PyObject *array, bool is_list, const struct objects *objects, int depth) {
    Py_ssize_t count = is_list ? PyList_Size(array) : PyTuple_Size(array);
    if (!put(writer, "[", 1))
        return false;
    for (Py_ssize_t at = 0; at < count; at++) {
        PyObject *value = is_list ? PyList_GetItem(array, at) : PyTuple_GetItem(array, at);
        if ((at && !put(writer, ",", 1)) || !put_json(writer, value, objects, depth + 1))
            return false;
    }
    return put(writer, "]", 1);
}

static bool put_field(struct writer *writer, PyObject *instance, PyObject *name, const struct objects *objects, int depth) {
    PyObject *value = PyObject_GetAttr(instance, name);
    bool fits = value && put(writer, ",", 1) && put_json(writer, value, objects, depth + 1);
    Py_XDECREF(value);
    return fits;
}

/* `fields`: the name of its class, and the tuple of its fields'. */
static bool put_instance(struct writer *writer, PyObject *instance, PyObject *fields, const struct objects *objects, int depth) {
    PyObject *name = PyTuple_GetItem(fields, 0), *names = PyTuple_GetItem(fields, 1);
    if (!name || !names || PyDict_SetItem(objects->met, name, names) < 0 || !put(writer, "[null,", 6) || !put_quoted(writer, name))
        return false;
    for (Py_ssize_t at = 0; at < PyTuple_Size(names); at++)
        if (!put_field(writer, instance, PyTuple_GetItem(names, at), objects, depth))
            return false;
    return put(writer, "]", 1);
}

static bool put_octets(struct writer *writer, PyObject *octets) {
    char *text;
    Py_ssize_t length;
    return PyBytes_AsStringAndSize(octets, &text, &length) == 0 && put(writer, text, (size_t)length);
}

static bool put_other(struct writer *writer, PyObject *value, const struct objects *objects, int depth) {
    PyObject *fields = PyDict_GetItemWithError(objects->fields, (PyObject *)Py_TYPE(value));
    if (fields)
        return put_instance(writer, value, fields, objects, depth);
    PyObject *plain = PyErr_Occurred() ? NULL : PyObject_CallFunctionObjArgs(objects->other, value, NULL);
    bool fits = plain && (PyBytes_Check(plain) ? put_octets(writer, plain) : put_json(writer, plain, objects, depth + 1));
    Py_XDECREF(plain);
    return fits;
}

bool put_json(struct writer *writer, PyObject *value, const struct objects *objects, int depth) {
    if (depth > DEEPEST)
        return false;
    if (value == Py_None)
        return put(writer, "null", 4);
    if (value == Py_True)
        return put(writer, "true", 4);
    if (value == Py_False)
        return put(writer, "false", 5);
    unsigned long kind = PyType_GetFlags(Py_TYPE(value)); /* once, which under the limited API is a call */
    if (kind & Py_TPFLAGS_UNICODE_SUBCLASS)
        return put_quoted(writer, value);
    if (kind & Py_TPFLAGS_LONG_SUBCLASS)
        return put_integer(writer, value);
    if (kind & Py_TPFLAGS_DICT_SUBCLASS)
        return put_object(writer, value, objects, depth);
    if (kind & (Py_TPFLAGS_LIST_SUBCLASS | Py_TPFLAGS_TUPLE_SUBCLASS))
        return put_array(writer, value, kind & Py_TPFLAGS_LIST_SUBCLASS, objects, depth);
    if (PyFloat_Check(value))
        return put_float(writer, value);
    return objects && put_other(writer, value, objects, depth);
}
