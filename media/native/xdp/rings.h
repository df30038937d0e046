/* One AF_XDP socket: the frames of one queue of an interface, in and out, in memory shared with the kernel. */

#ifndef RINGS_H
#define RINGS_H

#include "frame.h"

struct ring;

/* Of queue `queue` of the interface, which has `queues`; NULL and errno. */
struct ring *ring_open(const char *interface, int queue, int queues);
void ring_close(struct ring *ring);
int ring_descriptor(const struct ring *ring);

/* As tier.h has them. */
int ring_receive(struct ring *ring, struct datagram *datagrams, struct handed *of, int most);
bool ring_send(struct ring *ring, const struct flow *flow, const struct hop *hop, const struct datagram *datagram);
void ring_flush(struct ring *ring);

#endif
