/* JSON as Python's own encoder writes it, in ASCII and without blanks. */

#ifndef JSON_H
#define JSON_H

#include "writer.h"

/* What JSON has no kind for. An instance of a class in `fields` is null, the name of its class and its fields in an array; `met` then has
 * that class. What `other` makes of anything else is written instead; octets are JSON already. */
struct objects {
    PyObject *fields; /* of classes: (name, (field, ...)) */
    PyObject *met;
    PyObject *other;
};

/* False, perhaps with an exception: numbers beyond 64 bits or that are none, kinds of values that JSON does not have if `objects` is NULL, keys that are
 * neither text nor integers, more than fits, nested too deep. `depth` is 0. */
bool put_json(struct writer *writer, PyObject *value, const struct objects *objects, int depth);

extern const char hexadecimal[]; /* digits */
bool put_quoted(struct writer *writer, PyObject *text);
bool put_number(struct writer *writer, long long value);

#endif
