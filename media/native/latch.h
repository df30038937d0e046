/* Where the peer of one port is: as signalled, and as its packets show it. media/latch.py says the same in Python. */

#ifndef LATCH_H
#define LATCH_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "stun.h"

/* Hosts one peer may send from: its own and what signalling adds behind NAT, two as a rule. */
#define MAX_HOSTS 8

/* After a new remote, packets from the source locked before may still be on the way: they pass, but cannot take the lock. Seconds. */
#define IN_FLIGHT 0.5

/* Nothing has to come from where a peer is for that long before it may have moved. While it is heard there, somebody who sees its packets
 * and is faster than they are could have them come from elsewhere. Seconds. */
#define FOLLOW_AFTER 1.0

/* A NAT forgets its mappings once; whoever moves more often than that is not behind one. Seconds. */
#define FOLLOW_EVERY 5.0

struct hosts {
    size_t count;
    struct in6_addr of[MAX_HOSTS]; /* of the relay's family; an IPv4 address in the first four octets */
};

/* Where one port's peer is: as signalled until its first valid packet, then where that came from. */
struct latch {
    union address locked;
    double heard_at; /* when something last came from where the peer is or may be, or that was last said */
    bool passed;     /* and since then something has come past us, nobody knows when */
    bool settled;    /* not only by its address is known that the peer is there */
    union address destination, remote, former;
    double former_until;
    double moved_at;      /* 0: never */
    union address moved;  /* its host is admitted as well, whatever the port */
    struct hosts hosts;
};

static inline bool is_somewhere(const union address *address) { return address->any.sa_family != AF_UNSPEC; }

static inline bool same_address(const union address *one, const union address *other) {
    if (one->any.sa_family != other->any.sa_family)
        return false;
    if (one->any.sa_family == AF_INET)
        return one->in.sin_port == other->in.sin_port && one->in.sin_addr.s_addr == other->in.sin_addr.s_addr;
    return one->in6.sin6_port == other->in6.sin6_port && one->in6.sin6_scope_id == other->in6.sin6_scope_id &&
           memcmp(&one->in6.sin6_addr, &other->in6.sin6_addr, sizeof one->in6.sin6_addr) == 0;
}

/* Once each, and as many as there is room for. */
void hosts_add(struct hosts *hosts, const union address *address);

/* The peer said it is at `remote` from now on. */
void latch_redirect(struct latch *latch, const union address *remote, double now);

/* May the peer send from `source`? */
bool latch_admits(const struct latch *latch, const union address *source);

/* A valid packet came from an admitted source while none is locked; `proven`: it authenticated. */
void latch_lock(struct latch *latch, const union address *source, bool proven, double now);

/* Has somebody been taken for the peer who proved nothing and is not where the peer was said to be? Where that is a private address,
 * another host stands for it: a NAT. */
bool latch_may_be_claimed(const struct latch *latch);

/* The same, and `source` is exactly where the peer was said to be. Asked while it is not the locked one. */
bool latch_is_claimed(const struct latch *latch, const union address *source);

/* Take what came past us for heard now: at each look, so that it is late by no more than the time between two. */
void latch_note_passed(struct latch *latch, double now);

/* May the peer have gone elsewhere? */
bool latch_may_move(struct latch *latch, double now);

/* Is `source` another port of where the peer was? */
bool latch_is_neighbour(const struct latch *latch, const union address *source);

/* The peer is at `source` now. */
void latch_move(struct latch *latch, const union address *source, double now);

/* What the peer sends to its other port comes from `source` now, so that this may come from that host, too. */
void latch_reopen(struct latch *latch, const union address *source);

#endif
