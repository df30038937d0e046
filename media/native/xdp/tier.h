/* The XDP program loaded, its tables, and the interfaces it is at: the tier that media/native/tier.h wants. */

#ifndef XDP_TIER_H
#define XDP_TIER_H

#include "../tier.h"

#define MAX_PROBLEM 200

/* Why something could not be had, for a person. */
struct problem {
    int error;
    char text[MAX_PROBLEM];
};

/* Where packets to one address come in. */
struct attachment {
    char interface[16];
    bool native;            /* by the driver, not behind it */
    int queues;
    struct problem rings; /* why SRTP cannot come by AF_XDP; error 0: it can */
};

struct xdp;

/* `threads` take what comes by AF_XDP; without `forwards` that is everything. */
struct xdp *xdp_new(int threads, bool forwards, struct problem *problem);
void xdp_free(struct xdp *xdp);
const struct tier *xdp_tier(const struct xdp *xdp);

/* Whether packets to `address` could come by XDP, without changing anything. */
bool xdp_probe(struct xdp *xdp, const union address *address, struct attachment *attachment, struct problem *problem);

/* Take packets to `address` from now on. Never where another program is. `native_pairs`: veth by the driver as well, which drops in silence
 * what it sends unless the far end has an XDP program or NAPI of its own. */
bool xdp_attach(struct xdp *xdp, const union address *address, bool native_pairs, struct attachment *attachment, struct problem *problem);

/* Leave packets to `address` to the stack again. */
void xdp_detach(struct xdp *xdp, const union address *address);

/* Directions of relays in the table, and those whose packets still go to their sockets. */
struct flow_counts {
    int forwarded, handed, waiting;
};
struct flow_counts xdp_count(const struct xdp *xdp);

#endif
