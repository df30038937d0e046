/* What a lite ICE agent reads and writes of STUN (RFC 8489; RFC 8445 s7.3): the peer's checks and our answers to them.
 * media/stun.py says the same in Python. */

#ifndef STUN_H
#define STUN_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STUN_HEADER 20   /* octets (RFC 8489 s5) */
#define MAX_USERNAME 512 /* octets (RFC 8489 s14.3) */
#define MAX_PASSWORD 256 /* RFC 8839 s5.4 */
#define MAX_UNKNOWN 8    /* attributes named in one 420 */
#define MAX_ANSWER 128   /* octets; the longest, for IPv6, has 76 */

union address {
    struct sockaddr any; /* AF_UNSPEC: nowhere */
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
};

/* The credentials of the peer's checks: `ours:theirs`, and our password. */
struct ice {
    size_t username_size, password_size;
    uint8_t username[MAX_USERNAME], password[MAX_PASSWORD];
};

enum check_kind {
    NOT_A_CHECK, /* malformed, or without our credentials */
    KEEP_ALIVE,  /* a Binding indication, to which nothing is said */
    CHECK,
    NOMINATION, /* the peer wants this pair of addresses */
};

struct check {
    const uint8_t *transaction;
    size_t unknown_count;
    uint16_t unknown[MAX_UNKNOWN]; /* attributes we would have to understand and do not */
};

/* Zeroed first, for there is a password in it. */
void ice_free(struct ice *ice);

/* In the order of cost: form, user name, checksum, and the HMAC only when all of those are right. */
enum check_kind stun_read(const uint8_t *packet, size_t size, const struct ice *ice, struct check *check);

/* Where we see the sender, or 420 with the attributes we do not understand; octets written, MAX_ANSWER at most. */
size_t stun_answer(const struct check *check, const union address *source, const struct ice *ice, uint8_t *answer);

#endif
