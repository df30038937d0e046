#include "signs.h"

#include <stdint.h>

#define BLOCK 64 /* octets looked at as one, which the compiler makes a few instructions of */

static uint8_t folded(char octet) { return (uint8_t)octet | (octet >= 'A' && octet <= 'Z' ? 0x20 : 0); }

static bool is_at(const char *text, const char *sign, size_t size) {
    size_t at = 0;
    while (at < size && folded(text[at]) == (uint8_t)sign[at])
        at++;
    return at == size;
}

/* Whether some place in the block has the first octet of a sign, and the last one as far on as it is long: mostly none has. */
static bool may_begin(const char *text, size_t far, uint8_t first, uint8_t last) {
    uint8_t found = 0;
    for (size_t at = 0; at < BLOCK; at++)
        found |= (uint8_t)((((uint8_t)text[at] | 0x20) == first) & (((uint8_t)text[at + far] | 0x20) == last));
    return found;
}

bool holds_sign(const char *text, size_t length, const char *sign, size_t size) {
    if (length < size)
        return false;
    size_t at = 0, places = length - size + 1;
    for (; at + BLOCK <= places; at += BLOCK)
        if (may_begin(text + at, size - 1, (uint8_t)sign[0] | 0x20, (uint8_t)sign[size - 1] | 0x20))
            for (size_t place = at; place < at + BLOCK; place++)
                if (is_at(text + place, sign, size))
                    return true;
    for (; at < places; at++)
        if (is_at(text + at, sign, size))
            return true;
    return false;
}
