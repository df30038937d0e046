/* What the targets share: numbers from an input, and a claim that must hold. */

#ifndef INPUT_H
#define INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLAIM(what)                                                          \
    do {                                                                     \
        if (!(what)) {                                                       \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #what); \
            abort();                                                         \
        }                                                                    \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *at;
    size_t left;
};

/* Zeros once the input is used up. */
static inline uint8_t take8(struct input *input) {
    if (!input->left)
        return 0;
    input->left--;
    return *input->at++;
}

static inline uint16_t take16(struct input *input) {
    uint16_t high = take8(input);
    return (uint16_t)(high << 8 | take8(input));
}

/* A copy of exactly `size` octets with `room` behind it: the sanitizer sees the octet beyond. */
static inline uint8_t *copy_of(const uint8_t *data, size_t size, size_t room) {
    uint8_t *copy = malloc(size + room ? size + room : 1);
    if (!copy)
        abort();
    if (size)
        memcpy(copy, data, size);
    return copy;
}

#endif
