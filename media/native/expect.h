/* What a packet will need of memory, read before it is needed: with thousands of relays nothing of one is in the cache, and each thing waited
 * for leads to the next. So the packets of a group are gone through once for each step of the way. Reads that do not depend on each other
 * are under way together. Prefetches would be, too, but are lost where the page is not known yet, and with so many relays few are. */

#ifndef EXPECT_H
#define EXPECT_H

#include "flow.h"
#include "relay.h"
#include "srtp.h"

static inline void expect_lines(const void *from, const void *last) {
    for (const uint8_t *at = from; at <= (const uint8_t *)last; at += CACHE_LINE)
        read_line(at);
}

/* First: the relay itself, by what of it a packet that arrives at that side reads and counts. */
static inline void expect_relay(const struct relay *relay, int side) {
    const struct half *half = &relay->side[side], *far = &relay->side[!side];
    read_line(relay);
    expect_lines(half, &half->latch);
    read_line(half->counters);
    expect_lines(half->types, &half->types[8]); /* G.711 and what lies between, beside most others */
    read_line(far);
    read_line(&far->keys);
    read_line(&far->latch.destination);
    read_line(far->counters);
}

static inline void expect_flow(const struct flow *flow) {
    if (flow)
        expect_lines(flow, &flow->to_port);
}

/* Then: what it points to. */
static inline void expect_next(const struct half *half) {
    if (half->keys.inbound)
        srtp_expect(half->keys.inbound);
    if (half->far->keys.outbound)
        srtp_expect(half->far->keys.outbound);
    expect_flow(half->flow);
    expect_flow(half->far->flow);
}

/* Last: what that points to. */
static inline void expect_ciphers(const struct half *half) {
    if (half->keys.inbound)
        srtp_expect_cipher(half->keys.inbound);
    if (half->far->keys.outbound)
        srtp_expect_cipher(half->far->keys.outbound);
}

#endif
