#define PY_SSIZE_T_CLEAN
#include "steps.h"

#include <stdint.h>

#define ROW 8
#define DIGITS 16 /* of a double, in hexadecimal */
enum { HAPPENED, OCTETS, FLOW, NOW, FIRED, GIVEN, EFFECTS, FAULT }; /* in a row */
#define SENT 5   /* the class, and four names */
#define INSIDE 4 /* how deep a value stands */

/* The number of a flow, which gets one if it has none; -1 with an exception. */
static Py_ssize_t number_of(PyObject *flows, PyObject *flow) {
    Py_ssize_t count = PyList_Size(flows);
    for (Py_ssize_t at = 0; at < count; at++)
        if (PyList_GetItem(flows, at) == flow) /* mostly, and less to look at */
            return at;
    for (Py_ssize_t at = 0; at < count; at++) {
        int equal = PyObject_RichCompareBool(PyList_GetItem(flows, at), flow, Py_EQ);
        if (equal)
            return equal < 0 ? -1 : at;
    }
    return PyList_Append(flows, flow) < 0 ? -1 : count;
}

/* Flow and length, and the octets to the others. */
static bool put_message(struct writer *writer, const struct reel *reel, PyObject *octets, PyObject *flow) {
    Py_ssize_t number = number_of(reel->flows, flow), length = PyBytes_Size(octets);
    return number >= 0 && length >= 0 && PyList_Append(reel->messages, octets) == 0 && put(writer, "[", 1) && put_number(writer, number) &&
           put(writer, ",", 1) && put_number(writer, length);
}

static bool put_sent(struct writer *writer, const struct reel *reel, PyObject *effect) {
    PyObject *values[SENT - 1];
    bool fits = true;
    for (Py_ssize_t at = 0; at < SENT - 1; at++) {
        values[at] = fits ? PyObject_GetAttr(effect, PyTuple_GetItem(reel->sent, at + 1)) : NULL;
        fits = values[at];
    }
    fits = fits && put_message(writer, reel, values[0], values[1]) && put(writer, ",", 1) && put_quoted(writer, values[2]) &&
           put(writer, ",", 1) && put_quoted(writer, values[3]) && put(writer, "]", 1);
    for (Py_ssize_t at = 0; at < SENT - 1; at++)
        Py_XDECREF(values[at]);
    return fits;
}

static bool put_effect(struct writer *writer, const struct reel *reel, PyObject *effect, const struct objects *objects) {
    if ((PyObject *)Py_TYPE(effect) == PyTuple_GetItem(reel->sent, 0))
        return put_sent(writer, reel, effect);
    return put_json(writer, effect, objects, INSIDE);
}

/* What happened: a message by a flow, or any other input. */
static bool put_happened(struct writer *writer, const struct reel *reel, Py_ssize_t row, const struct objects *objects) {
    PyObject *flow = PyList_GetItem(reel->steps, row + FLOW);
    if (flow == Py_None)
        return put_json(writer, PyList_GetItem(reel->steps, row + HAPPENED), objects, INSIDE);
    return put_message(writer, reel, PyList_GetItem(reel->steps, row + OCTETS), flow) && put(writer, "]", 1);
}

/* What is in `list` between two places, which are within it. */
static bool put_part(struct writer *writer, const struct reel *reel, PyObject *list, Py_ssize_t start, Py_ssize_t end,
                     const struct objects *objects) {
    bool are_effects = list == reel->effects;
    if (start > end || end > PyList_Size(list) || !put(writer, "[", 1))
        return false;
    for (Py_ssize_t at = start; at < end; at++) {
        PyObject *value = PyList_GetItem(list, at);
        if (at > start && !put(writer, ",", 1))
            return false;
        if (!(are_effects ? put_effect(writer, reel, value, objects) : put_json(writer, value, objects, INSIDE)))
            return false;
    }
    return put(writer, "]", 1);
}

/* The octets of a double, the least significant first. */
static bool put_double(struct writer *writer, PyObject *number) {
    char text[DIGITS];
    uint64_t bits;
    double value = PyFloat_AsDouble(number);
    if (value == -1.0 && PyErr_Occurred())
        return false;
    memcpy(&bits, &value, sizeof bits);
    for (size_t at = 0; at < DIGITS; at += 2, bits >>= 8) {
        text[at] = hexadecimal[bits >> 4 & 15];
        text[at + 1] = hexadecimal[bits & 15];
    }
    return put(writer, text, sizeof text);
}

/* Both clocks and the last look at the timers, of each step. */
static bool put_times(struct writer *writer, const struct reel *reel) {
    Py_ssize_t count = PyList_Size(reel->steps);
    if (!put(writer, "\"times\":\"", 9))
        return false;
    for (Py_ssize_t row = 0; row < count; row += ROW) {
        PyObject *now = PyList_GetItem(reel->steps, row + NOW);
        if (!PyTuple_Check(now) || PyTuple_Size(now) != 2 || !put_double(writer, PyTuple_GetItem(now, 0)) ||
            !put_double(writer, PyTuple_GetItem(now, 1)) || !put_double(writer, PyList_GetItem(reel->steps, row + FIRED)))
            return false;
    }
    return put(writer, "\"", 1);
}

bool put_steps(struct writer *writer, const struct reel *reel, const struct objects *objects) {
    Py_ssize_t count = PyList_Size(reel->steps), given = 0, effects = 0;
    if (count % ROW || PyTuple_Size(reel->sent) != SENT || !put_times(writer, reel) || !put(writer, ",\"steps\":[", 10))
        return false;
    for (Py_ssize_t row = 0; row < count; row += ROW) {
        Py_ssize_t given_end = PyLong_AsSsize_t(PyList_GetItem(reel->steps, row + GIVEN));
        Py_ssize_t effects_end = PyLong_AsSsize_t(PyList_GetItem(reel->steps, row + EFFECTS));
        if (!put(writer, row ? ",[" : "[", row ? 2 : 1) || !put_part(writer, reel, reel->given, given, given_end, objects) ||
            !put(writer, ",", 1) || !put_happened(writer, reel, row, objects) || !put(writer, ",", 1) ||
            !put_part(writer, reel, reel->effects, effects, effects_end, objects) || !put(writer, ",", 1) ||
            !put_quoted(writer, PyList_GetItem(reel->steps, row + FAULT)) || !put(writer, "]", 1))
            return false;
        given = given_end;
        effects = effects_end;
    }
    return put(writer, "]", 1);
}
