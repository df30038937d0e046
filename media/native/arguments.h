/* What Python hands over, as the engine has it, and the other way. On false or NULL an exception is set, but for `parse_address`. */

#ifndef ARGUMENTS_H
#define ARGUMENTS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "relay.h"

/* Whether it is a numeric address; no exception. */
bool parse_address(const char *host, int port, union address *address);

/* (host, port), or None where there is none. */
PyObject *address_or_none(const union address *address);

/* A tuple as media/native/engine.py makes it. What `spec` holds by then is the caller's to free, on false, too. */
bool parse_spec(PyObject *given, struct spec *spec);

#endif
