/* One interface with the XDP program: its link, and a ring for each queue. */

#ifndef PORTS_H
#define PORTS_H

#include "hops.h"
#include "rings.h"
#include "tier.h"

#define MAX_QUEUES 64

struct port {
    int index;
    int link; /* descriptor: the program goes with it, however we end */
    int first_ring;
    int ring_count; /* 0: there are none */
    struct attachment attachment;
    struct ring *rings[MAX_QUEUES];
};

/* Whether the program could be there: the interface is no loopback and has none yet. Fills the attachment but for the rings. */
bool port_probe(const struct device *device, bool native_pairs, struct attachment *attachment, struct problem *problem);

bool port_open(struct port *port, const struct device *device, bool native_pairs, int program, struct problem *problem);
void port_close(struct port *port);

/* Says why in `port->attachment.rings`. */
void port_open_rings(struct port *port);

bool fail(struct problem *problem, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
