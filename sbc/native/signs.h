/* Whether there is one of a few words in a great deal of text. */

#ifndef SIGNS_H
#define SIGNS_H

#include <stdbool.h>
#include <stddef.h>

/* `sign` is in lower case and of two octets at least; of `text` the case does not matter. */
bool holds_sign(const char *text, size_t length, const char *sign, size_t size);

#endif
