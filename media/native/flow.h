/* One direction of a relay as the XDP program has it, in memory that the program and the engine share. Layout only: three compilers read it. */

#ifndef FLOW_H
#define FLOW_H

#include <linux/types.h>

#define MAX_FLOWS 32768 /* two a relay */
#define MAX_ADDRESSES 64 /* of ours */
#define MAX_HOPS 16384  /* one for each host that is sent to */
#define MAX_CLOCKS 8    /* different clock rates among the payload types of one side */
#define FASTEST_CLOCK 1000000 /* Hz; what is said to be faster has its jitter reckoned by the engine */

/* RFC 3550 A.1: a jump forward of less than MAX_DROPOUT is loss, a step back of less than MAX_MISORDER is reordering,
 * anything else is a restarted stream once a second packet in sequence confirms it. */
#define MAX_DROPOUT 3000
#define MAX_MISORDER 100

/* Packets of a flow between two sweeps that go by AF_XDP: twice what is relayed in a second. More go to the socket, whose buffer they fill
 * and nobody else's way: the rings are everybody's. */
#define MOST_HANDED 2000

#define JITTER_SHIFT 20 /* binary places of `jitter` */

enum flow_mode {
    FLOW_NONE,    /* everything is left to the stack */
    FLOW_FORWARD, /* plain RTP, sent on by the program */
    FLOW_USER,    /* RTP, handed to the engine by AF_XDP */
};

/* Whoever counts in a flow that is forwarded holds the lock. The program only tries: where the engine is inside, a packet goes to its
 * socket. */
enum flow_lock { LOCK_FREE, LOCK_PROGRAM, LOCK_ENGINE };

/* `struct reception` (packet.h) in whole numbers. */
struct arrivals {
    __u32 ssrc;
    __u32 timestamp;
    __u64 highest;
    __u64 seen[2];   /* lower half first */
    __u64 loss_runs;
    __u64 arrival;   /* nanoseconds */
    __s64 jitter;    /* in units of the clock, by JITTER_SHIFT */
    __u32 rate;      /* Hz; 0: none yet */
    __u32 started;
};

/* What becomes of a payload type. */
struct flow_type {
    __u8 leaving; /* 0xFF: it is not relayed */
    __u8 clock;   /* which of the rates */
};

/* By cache lines, for with many flows none is in the cache: what is handed to the engine takes the program the first, what is forwarded five. */
struct flow {
    __u32 lock;
    __u32 mode;
    __u32 generation; /* of this entry of the table */
    /* Packets in sequence that were left to the socket, and how many of them it has been seen to be done with. While they differ the
     * rest goes there as well: none shall overtake another. */
    __u32 passed, settled;
    __u32 device; /* interface the packets come in at, */
    __u16 vlan;   /* and the VLAN there; 0: none */
    __u16 source_port;
    __u8 source[16]; /* of the peer; IPv4: the first four octets */
    __u16 worker;
    __u8 side;
    __u8 strict;   /* what comes from elsewhere is wrong, and not for the engine to look at, but for one packet a sweep: `shown` */
    __u64 relay;   /* generation and index of the relay */
    __u64 packets; /* handed over: since the last sweep */

    __u8 from[16], to[16];
    __u16 from_port, to_port;
    __u32 hop;
    __u8 six, from_six, traffic_class; /* it comes by IPv6; it leaves by IPv6 */
    __u8 shown; /* so that the engine knows where the rest comes from */
    __s32 allowance;
    __u64 octets, passed_at; /* when: nanoseconds */

    struct arrivals arrivals;

    __u32 rates[MAX_CLOCKS];
    __u64 wrong_source, over_rate;

    struct flow_type types[128] __attribute__((aligned(64)));
} __attribute__((aligned(64)));

/* Where the packets of a port belong: one table for each address, by port. Index 0: nowhere, and that flow is never used. */
#define MAX_PORTS 65536
struct flow_place {
    __u32 index, generation;
};

/* The next hop to a host. Odd version: just being written. */
struct hop {
    __u32 version;
    __u32 device; /* 0: not known, or not by an interface of ours */
    __u8 to[6], from[6];
    __u16 vlan;
    __u16 mtu;
};

/* What the program writes over the Ethernet addresses of a frame that it hands to the engine. */
struct handed {
    __u64 relay;
    __u16 worker;
    __u16 side;
} __attribute__((packed));

#endif
