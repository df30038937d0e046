/* JSON of what needs no escapes. */

#ifndef JSON_H
#define JSON_H

#include "writer.h"

/* False, perhaps with an exception: text beyond printable ASCII or with quotes or backslashes in it, numbers beyond 64 bits, kinds of
 * values that JSON does not have, keys that are no text, more than fits, nested too deep. `depth` is 0. */
bool put_json(struct writer *writer, PyObject *value, int depth);

#endif
