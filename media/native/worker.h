/* The threads that move packets, and the doors through which the control side (Python) reaches their relays.
 *
 * A relay belongs to one worker. Whoever touches it holds the worker's lock: the worker itself while it serves what is ready, the
 * control side for the length of one call. A worker with a full batch before it lets a waiting control side in after every packet. */

#ifndef WORKER_H
#define WORKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "relay.h"
#include "tier.h"

/* Sockets served per wake-up, one packet each, or a few: a flood on one port costs the other calls the time of MOST_AT_ONCE. */
#define BATCH 256

/* Datagrams received, then relayed, then sent together: each step finds its code in the cache. More would push the packets out of it. */
#define GROUP 32

/* When packets come thick (two looks within DENSE), the worker sleeps COALESCE before it looks again, for a wake-up costs as much as several
 * packets: never after a full batch, and never when traffic is thin. Longer saves little more; a packet's delay stays below 3 ms (99th
 * percentile), where 20 are in the packet itself. */
#define DENSE 1e-3     /* seconds, the pause not counted */
#define COALESCE 15e-4 /* seconds */

/* A socket that has something look after look may have more than one datagram: so many of it are taken at once, which is more a second
 * than a side is allowed. */
#define MOST_AT_ONCE 3

/* While packets come thick by the rings and none by sockets, it looks for the latter once in so many times: asking costs as much as two packets. */
#define MOST_BLIND 2

#define MAX_WORKERS 64
#define RINGS 0 /* what epoll says of the tier; a relay's generation begins at 1 */
#define MOST_SWEEP 60.0 /* seconds between looks for silent peers; an epoll counts milliseconds in an int */

struct engine;

struct worker {
    pthread_t thread;
    pthread_mutex_t lock, gate;
    atomic_int waiting;
    int epoll;
    struct engine *engine;
    const struct tier *tier; /* NULL: sockets alone */
    int number;
    struct relay **relays; /* by index; NULL: free */
    uint32_t room, count, next_free;
    uint32_t generation;
    struct relay *first_event, *last_event;
    double swept_at;
    uint32_t look; /* its number; the one before it is one less if it was just before */
    bool thick;     /* so many datagrams come by the rings that it looks for them without being told */
    int from_rings; /* datagrams, when it last looked */
    int blind;      /* times it looked there and not at the sockets */
};

struct engine {
    struct worker worker[MAX_WORKERS];
    int workers, started;
    uint32_t next_worker;
    int events, stop; /* eventfds: something happened; the workers shall end */
    pid_t process;    /* that has the threads: a fork inherits only what it must not touch */
    double sweep_every;
    _Atomic double clock; /* negative: the machine's */
};

/* A pair of sockets, RTP and RTCP. */
struct pair {
    int rtp, rtcp;
};

/* These return 0 or an errno. `engine_start` leaves nothing behind when it fails. */
int engine_start(struct engine *engine, int workers, double sweep_every, double clock);
void engine_stop(struct engine *engine);

/* Its thread, running. */
int worker_start(struct engine *engine, struct worker *worker);

/* Let packets take `tier` where they can, which outlives the engine. Once. Returns 0 or an errno. */
int engine_use(struct engine *engine, const struct tier *tier);
void engine_set_clock(struct engine *engine, double clock);
double engine_now(const struct engine *engine);

/* Bind `address` and, for RTCP, the port after it. */
int pair_bind(const union address *address, struct pair *pair);
void pair_close(struct pair pair);

/* The relay takes the sockets over; NULL and errno: no memory, or the kernel has no room in its epoll, and the sockets are still the
 * caller's. */
struct relay *relay_open(struct engine *engine, struct pair a, struct pair b);

/* Replace both sides at once, or neither. Binds an RTCP port again where it was closed (MUX_GRACE) and `mux` is no more.
 * Under the lock. Returns 0 or an errno, EAFNOSUPPORT for an address of another family than the relay's. */
int relay_update(struct relay *relay, struct spec specs[2]);

/* Out of the worker's hands, sockets closed; the memory is the caller's to free with `relay_free`. Under the lock. */
void relay_close(struct relay *relay);
void relay_free(struct relay *relay);

struct relay *relay_find(const struct worker *worker, uint32_t index, uint32_t generation);

/* The lock. `worker_try_enter` never waits. */
bool worker_try_enter(struct worker *worker);
void worker_enter(struct worker *worker);
void worker_leave(struct worker *worker);

/* The next relay with events, taken off the list; NULL: none. Under the lock. */
struct relay *worker_take_event(struct worker *worker);

#endif
