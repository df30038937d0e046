/* Octets of bounded length, put together. */

#ifndef WRITER_H
#define WRITER_H

#include <Python.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define LONGEST_WRITTEN 8192 /* of a message or a record */
#define LONGEST_STEPS 65536

struct writer {
    char *octets;
    size_t size, room;
};

/* False: no room for it. */
static inline bool put(struct writer *writer, const char *octets, size_t length) {
    if (length > writer->room - writer->size)
        return false;
    memcpy(writer->octets + writer->size, octets, length);
    writer->size += length;
    return true;
}

/* False with an exception: surrogates, or no text at all. */
static inline bool put_text(struct writer *writer, PyObject *text) {
    Py_ssize_t length;
    const char *octets = PyUnicode_AsUTF8AndSize(text, &length);
    return octets && put(writer, octets, (size_t)length);
}

#endif
