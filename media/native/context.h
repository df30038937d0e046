/* SRTP of one direction as an object of Python, for who has single packets. */

#ifndef CONTEXT_H
#define CONTEXT_H

#include <Python.h>

extern PyType_Spec context_spec;

#endif
