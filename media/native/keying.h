/* The keys of a stream as an update gives them, and the contexts of SRTP they become. */

#ifndef KEYING_H
#define KEYING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "srtp.h"

struct key {
    enum suite suite;
    uint8_t master[MAX_MASTER], mki[MAX_MKI];
    size_t mki_size;
    uint64_t lifetime; /* packets; 0: as many as SRTP allows */
};

/* Of one direction: several have an MKI each. None: it is plain. */
struct keys {
    size_t count;
    struct key of[MOST_KEYS];
};

/* The keys of both directions of a stream, and what keys_prepare makes of them. */
struct keying {
    struct keys receive, transmit;
    struct srtp *inbound, *outbound; /* new contexts, owned; NULL: none, or the same keys as before (see below) */
    bool same_inbound, same_outbound;
};

/* SRTP of both directions; NULL: plain. `before` is what `inbound` replaced: it serves until the first packet under the new key
 * (RFC 4568 s6.4). */
struct contexts {
    struct srtp *inbound, *outbound, *before;
};

/* Make the new contexts. Whether there was memory. */
bool keys_prepare(struct keying *keys, const struct contexts *present);

/* Take them over. Whether there is another key to receive under, or none any more. */
bool keys_use(struct contexts *contexts, struct keying *keys);

/* Free what was prepared and not taken over. */
void keys_end(struct keying *keys);
void contexts_end(struct contexts *contexts);

#endif
