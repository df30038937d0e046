/* A datagram as it arrives, with no room behind it but what the engine is promised: a sanitizer sees every octet too far. */

#ifndef ARRIVING_H
#define ARRIVING_H

#include <stddef.h>

#include "input.h"
#include "relay.h"

static inline struct datagram *datagram_of(const uint8_t *packet, size_t size, const union address *source) {
    struct datagram *datagram = calloc(1, offsetof(struct datagram, packet) + size + MAX_TRAILER);
    CLAIM(datagram);
    datagram->address = *source;
    datagram->size = size;
    if (size)
        memcpy(datagram->packet, packet, size);
    return datagram;
}

#endif
