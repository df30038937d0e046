/* Next hops: by which interface and to which Ethernet address what we send to a host has to go, kept as the kernel's routes and neighbours
 * are. A thread listens to rtnetlink(7). What changes is changed where the XDP program reads it. */

#ifndef HOPS_H
#define HOPS_H

#include <stdbool.h>

#include "../tier.h"

#define MAX_DEVICES 16

/* An interface packets go in and out by. */
struct device {
    int index;    /* the one that has addresses and routes */
    int physical; /* the one the XDP program is at: the same, or what the VLAN lies on */
    uint16_t vlan;
    uint16_t mtu;
    uint8_t mac[6];
    bool loopback, up;
};

struct hops;

/* Writes into `table` of MAX_HOPS; NULL and errno. */
struct hops *hops_new(struct hop *table);
void hops_free(struct hops *hops);

/* What is known of the interface with that index; false: there is none. */
bool hops_device(struct hops *hops, int index, struct device *device);

/* Hops lead by these interfaces only. */
void hops_allow(struct hops *hops, const struct device *device);
void hops_forget(struct hops *hops, int index);

/* The place in the table for what goes from `from` to `to`; 0: no room. Each is given back. */
uint32_t hops_take(struct hops *hops, const union address *from, const union address *to);
void hops_give(struct hops *hops, uint32_t place);

/* A copy of one moment; false: the way is not known. */
bool hop_read(const struct hop *hop, struct hop *copy);

#endif
