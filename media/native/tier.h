/* A faster way for packets than sockets, as the engine sees it: a table of flows that the kernel looks at before the stack does, and rings
 * by which packets come and go without it. media/native/xdp has one, and hands it over in a capsule; without it all is as before. */

#ifndef TIER_H
#define TIER_H

#include "flow.h"
#include "relay.h"

#define TIER_CAPSULE "media.native.tier.3" /* another one whenever what follows or flow.h changes: the two are built apart */

struct tier {
    void *self;
    uint64_t *stopped_clock; /* nanoseconds; 0: the machine's clock */
    bool forwards;           /* false: plain RTP comes by the rings, too */

    /* A free entry, with `mode`, for what arrives at `local` and goes to `to`; NULL: neither by an interface of the tier, or no room. */
    struct flow *(*flow_open)(void *self, enum flow_mode mode, const union address *local, const union address *from,
                              const union address *to);
    /* From now on the kernel finds it. */
    bool (*flow_publish)(void *self, struct flow *flow, const union address *local);
    /* It does no more, and the entry is free. */
    void (*flow_close)(void *self, struct flow *flow, const union address *local);

    /* Readable when something is in a ring of that thread. */
    int (*descriptor)(void *self, int thread);
    /* Whether it tells of what is there now, and of all that comes: not while a thread looks by itself, for each time costs whoever receives
     * and whoever sends. */
    void (*watch)(void *self, int thread, bool told);
    /* Datagrams out of the rings, and whose they are; how many. */
    int (*receive)(void *self, int thread, struct datagram *datagrams, struct handed *of, int most);
    /* Into a ring, to where `flow` leads; false: not this way. `flush` after the last one. */
    bool (*send)(void *self, int thread, const struct flow *flow, const struct datagram *datagram);
    void (*flush)(void *self, int thread);
};

static inline bool flow_is_forwarded(const struct half *half) { return half->flow && half->flow->mode == FLOW_FORWARD; }

/* The side's figures, and its packets where they are forwarded, from the kernel to the engine and back. What arrives in between comes to the
 * socket. */
void flow_take(struct half *half);
void flow_give(struct half *half);

/* No packet of that side passes the engine by any more. */
void flow_end(const struct tier *tier, struct half *half);

/* Once a sweep: begin, once the peer's place is known; and let packets go that way when none is left on the other. */
void flow_tend(const struct tier *tier, struct half *half);

/* After a packet of the side: what led to where its peer was leads there no more. */
void flow_follow(const struct tier *tier, struct half *half);

/* Whether `flow` sends to `address`. */
bool flow_leads_to(const struct flow *flow, const union address *address);

#endif
