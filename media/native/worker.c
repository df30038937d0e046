#define _GNU_SOURCE
#include "worker.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "expect.h"

#define STOP UINT64_MAX
#define NANOSECONDS 1000000000l

/* Index, generation and socket of a relay, as epoll hands them back: a late event never meets the relay that came after. */
#define WATCHED(relay, socket) ((uint64_t)(relay)->generation << 32 | (uint64_t)(relay)->index << 2 | (socket))
#define WATCHED_INDEX(data) ((uint32_t)(data) >> 2)
#define WATCHED_GENERATION(data) ((uint32_t)((data) >> 32))
enum socket_of { A_RTP, A_RTCP, B_RTP, B_RTCP };

static double monotonic(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / NANOSECONDS;
}

double engine_now(const struct engine *engine) {
    double clock = atomic_load_explicit(&engine->clock, memory_order_relaxed);
    return clock < 0 ? monotonic() : clock;
}

/* The lock: the control side announces itself and keeps the gate until it is in, so that a worker that steps aside stays aside. */

bool worker_try_enter(struct worker *worker) { return pthread_mutex_trylock(&worker->lock) == 0; }

void worker_enter(struct worker *worker) {
    atomic_fetch_add(&worker->waiting, 1);
    pthread_mutex_lock(&worker->gate);
    pthread_mutex_lock(&worker->lock);
    pthread_mutex_unlock(&worker->gate);
    atomic_fetch_sub(&worker->waiting, 1);
}

void worker_leave(struct worker *worker) { pthread_mutex_unlock(&worker->lock); }

static void let_control_in(struct worker *worker) {
    if (atomic_load_explicit(&worker->waiting, memory_order_relaxed) == 0)
        return;
    pthread_mutex_unlock(&worker->lock);
    pthread_mutex_lock(&worker->gate);
    pthread_mutex_unlock(&worker->gate);
    pthread_mutex_lock(&worker->lock);
}

/* Sockets */

/* ECN stays clear. */
static bool set_dscp(int descriptor, bool six, uint8_t dscp) {
    int class = dscp << 2;
    return setsockopt(descriptor, six ? IPPROTO_IPV6 : IPPROTO_IP, six ? IPV6_TCLASS : IP_TOS, &class, sizeof class) == 0;
}

static int bound(const union address *address, uint8_t dscp, int *descriptor) {
    bool six = address->any.sa_family == AF_INET6;
    int made = socket(address->any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (made < 0)
        return errno;
    socklen_t size = six ? sizeof address->in6 : sizeof address->in;
    if (bind(made, &address->any, size) < 0 || !set_dscp(made, six, dscp)) {
        int error = errno;
        close(made);
        return error;
    }
    *descriptor = made;
    return 0;
}

static union address rtcp_address(const union address *rtp) {
    union address next = *rtp;
    next.in.sin_port = htons((uint16_t)(ntohs(rtp->in.sin_port) + 1)); /* where in6 has it, too */
    return next;
}

int pair_bind(const union address *address, struct pair *pair) {
    union address next = rtcp_address(address);
    int error = bound(address, EXPEDITED, &pair->rtp);
    if (error)
        return error;
    error = bound(&next, EXPEDITED, &pair->rtcp);
    if (error)
        close(pair->rtp);
    return error;
}

void pair_close(struct pair pair) {
    close(pair.rtp);
    close(pair.rtcp);
}

/* Relays of a worker */

static bool watch(const struct relay *relay, int descriptor, enum socket_of which) {
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = WATCHED(relay, which)};
    return epoll_ctl(relay->worker->epoll, EPOLL_CTL_ADD, descriptor, &event) == 0;
}

/* A closed socket would stay in the epoll, and be ready for ever, while a forked process still has it. */
static void unwatch(const struct worker *worker, int descriptor) {
    struct epoll_event unused;
    epoll_ctl(worker->epoll, EPOLL_CTL_DEL, descriptor, &unused);
}

static void drop(const struct worker *worker, int descriptor) {
    unwatch(worker, descriptor);
    close(descriptor);
}

static bool has_room(struct worker *worker) {
    if (worker->count < worker->room)
        return true;
    uint32_t room = worker->room ? 2 * worker->room : 64;
    struct relay **grown = realloc(worker->relays, room * sizeof *grown);
    if (!grown)
        return false;
    memset(grown + worker->room, 0, (room - worker->room) * sizeof *grown);
    worker->relays = grown;
    worker->next_free = worker->room;
    worker->room = room;
    return true;
}

static void half_start(struct half *half, struct relay *relay, struct half *far, struct pair pair) {
    socklen_t size = sizeof half->local;
    half->relay = relay;
    half->far = far;
    half->rtp = pair.rtp;
    half->rtcp = pair.rtcp;
    half->silence = half->round_trip = -1;
    half->allowance = MOST_PACKETS;
    half->reader.allowed = MOST_REPORTED;
    half->dscp = EXPEDITED;
    for (int type = 0; type < 128; type++)
        half->types[type].leaving = NO_PAYLOAD_TYPE;
    getsockname(pair.rtp, &half->local.any, &size);
}

struct relay *relay_open(struct engine *engine, struct pair a, struct pair b) {
    struct relay *relay = aligned_alloc(CACHE_LINE, sizeof *relay);
    if (!relay)
        return NULL;
    memset(relay, 0, sizeof *relay);
    struct worker *worker = relay->worker = &engine->worker[engine->next_worker++ % (uint32_t)engine->workers];
    relay->worker_number = (uint16_t)worker->number;
    half_start(&relay->side[0], relay, &relay->side[1], a);
    half_start(&relay->side[1], relay, &relay->side[0], b);
    if (!worker_try_enter(worker))
        worker_enter(worker);
    if (has_room(worker)) {
        while (worker->relays[worker->next_free])
            worker->next_free = (worker->next_free + 1) % worker->room;
        relay->index = worker->next_free;
        relay->generation = ++worker->generation;
        if (watch(relay, a.rtp, A_RTP) && watch(relay, a.rtcp, A_RTCP) && watch(relay, b.rtp, B_RTP) && watch(relay, b.rtcp, B_RTCP)) {
            worker->relays[relay->index] = relay;
            worker->count++;
            worker_leave(worker);
            return relay;
        }
    }
    int error = errno;
    for (int each = 0; each < 4; each++)
        unwatch(worker, (int[]){a.rtp, a.rtcp, b.rtp, b.rtcp}[each]);
    worker_leave(worker);
    free(relay);
    errno = error;
    return NULL;
}

static int reopen_rtcp(struct half *half, bool mux) {
    if (mux || half->rtcp >= 0)
        return 0;
    union address address = rtcp_address(&half->local);
    int made, error = bound(&address, half->dscp, &made);
    if (error)
        return error;
    if (!watch(half->relay, made, half == half->relay->side ? A_RTCP : B_RTCP)) {
        error = errno;
        close(made);
        return error;
    }
    half->rtcp = made;
    return 0;
}

static void end_flows(struct relay *relay) {
    flow_end(relay->worker->tier, &relay->side[0]);
    flow_end(relay->worker->tier, &relay->side[1]);
}

/* Packets sent from both ports have that DSCP from now on. */
static void mark(struct half *half, uint8_t dscp) {
    bool six = half->local.any.sa_family == AF_INET6;
    if (dscp == half->dscp)
        return;
    half->dscp = dscp;
    set_dscp(half->rtp, six, dscp);
    if (half->rtcp >= 0)
        set_dscp(half->rtcp, six, dscp);
}

int relay_update(struct relay *relay, struct spec specs[2]) {
    int error = 0;
    for (int side = 0; !error && side < 2; side++)
        error = half_prepare(&relay->side[side], &specs[side]);
    for (int side = 0; !error && side < 2; side++)
        error = reopen_rtcp(&relay->side[side], specs[side].mux);
    if (error)
        return error;
    for (int side = 0; side < 2; side++)
        mark(&relay->side[side], specs[side].dscp);
    end_flows(relay);
    double now = engine_now(relay->worker->engine);
    half_update(&relay->side[0], &specs[0], now);
    half_update(&relay->side[1], &specs[1], now);
    return 0;
}

static void unlist(struct worker *worker, struct relay *relay) {
    struct relay **at = &worker->first_event, *before = NULL;
    while (*at != relay) {
        before = *at;
        at = &(*at)->next;
    }
    *at = relay->next;
    if (worker->last_event == relay)
        worker->last_event = before;
    relay->listed = false;
}

void relay_close(struct relay *relay) {
    struct worker *worker = relay->worker;
    end_flows(relay);
    if (relay->listed)
        unlist(worker, relay);
    for (int side = 0; side < 2; side++) {
        drop(worker, relay->side[side].rtp);
        if (relay->side[side].rtcp >= 0)
            drop(worker, relay->side[side].rtcp);
    }
    worker->relays[relay->index] = NULL;
    worker->count--;
    worker->next_free = relay->index;
}

void relay_free(struct relay *relay) {
    half_end(&relay->side[0]);
    half_end(&relay->side[1]);
    free(relay);
}

struct relay *relay_find(const struct worker *worker, uint32_t index, uint32_t generation) {
    struct relay *relay = index < worker->room ? worker->relays[index] : NULL;
    return relay && relay->generation == generation ? relay : NULL;
}

/* Events: a bit at the half, and the relay in a list. Nothing can overflow, however long nobody looks. */

void relay_report(struct half *half, enum event event) {
    struct relay *relay = half->relay;
    struct worker *worker = relay->worker;
    half->pending |= (uint16_t)(1u << event);
    if (relay->listed)
        return;
    relay->listed = true;
    relay->next = NULL;
    if (worker->first_event) {
        worker->last_event->next = relay;
    } else {
        worker->first_event = relay;
        eventfd_write(worker->engine->events, 1);
    }
    worker->last_event = relay;
}

struct relay *worker_take_event(struct worker *worker) {
    struct relay *relay = worker->first_event;
    if (relay)
        unlist(worker, relay);
    return relay;
}

/* The thread */

static void tend_flows(const struct tier *tier, struct relay *relay) {
    for (int side = 0; side < 2; side++) {
        flow_follow(tier, &relay->side[side]);
        flow_tend(tier, &relay->side[side]);
    }
}

static void sweep(struct worker *worker, double now) {
    for (uint32_t index = 0; index < worker->room; index++) {
        struct relay *relay = worker->relays[index];
        if (!relay)
            continue;
        for (int side = 0; side < 2; side++) {
            struct half *half = &relay->side[side];
            flow_take(half);
            half_watch(half, now);
            flow_give(half);
            if (half->mux_since && half->rtcp >= 0 && now - half->mux_since >= MUX_GRACE) {
                drop(worker, half->rtcp);
                half->rtcp = -1;
            }
        }
        if (worker->tier)
            tend_flows(worker->tier, relay);
        let_control_in(worker);
    }
}

/* Read ahead what may be the relay of a packet. */
static void expect(const struct worker *worker, uint32_t index, int side) {
    const struct relay *relay = index < worker->room ? worker->relays[index] : NULL;
    if (relay)
        expect_relay(relay, side);
}

/* The half a datagram arrived at; NULL: its relay was closed meanwhile. */
static struct half *half_of(const struct worker *worker, uint64_t data) {
    struct relay *relay = relay_find(worker, WATCHED_INDEX(data), WATCHED_GENERATION(data));
    return relay ? &relay->side[(data & 3) >> 1] : NULL;
}

/* Whether there was a datagram. */
static bool receive(const struct half *half, bool at_rtcp, struct datagram *datagram) {
    socklen_t length = sizeof datagram->address;
    ssize_t size = recvfrom(at_rtcp ? half->rtcp : half->rtp, datagram->packet, MAX_PACKET + 1, MSG_DONTWAIT, &datagram->address.any, &length);
    if (size < 0) /* gone again: a wrong checksum shows as ready until it is read */
        return false;
    datagram->size = (size_t)size;
    return true;
}

/* Buffer full or no route: as good as lost on the wire. */
bool relay_send(const struct half *half, bool from_rtcp, const uint8_t *packet, size_t size, const union address *to) {
    socklen_t length = to->any.sa_family == AF_INET6 ? sizeof to->in6 : sizeof to->in;
    return sendto(from_rtcp ? half->rtcp : half->rtp, packet, size, MSG_DONTWAIT | MSG_NOSIGNAL, &to->any, length) >= 0;
}

static void send_out(struct half *half, const struct datagram *datagram) {
    if (relay_send(half, datagram->from_rtcp, datagram->packet, datagram->size, &datagram->address))
        half_sent(half, datagram);
}

/* Through the rules, with the figures that the kernel may be counting at the same time. */
static void relay_datagram(const struct worker *worker, struct half *half, bool at_rtcp, struct datagram *datagram, double now) {
    bool shared = flow_is_forwarded(half);
    if (shared)
        flow_take(half);
    if (at_rtcp)
        half_receive_rtcp(half, datagram, now);
    else
        half_receive(half, datagram, now);
    if (shared)
        flow_give(half);
    if (half->flow || half->far->flow)
        flow_follow(worker->tier, half);
}

/* How many: one, or some where there may be more. */
static int receive_some(const struct worker *worker, struct half *half, bool at_rtcp, struct datagram *datagrams) {
    int most = half->looked + 1 == worker->look ? MOST_AT_ONCE : 1, arrived = 0;
    half->looked = worker->look;
    while (arrived < most && receive(half, at_rtcp, &datagrams[arrived]))
        arrived++;
    return arrived;
}

/* What packets need next, for all of a group before any of them needs it. */
static void expect_halves(const struct half **halves, int count) {
    for (int each = 0; each < count; each++)
        expect_next(halves[each]);
    for (int each = 0; each < count; each++)
        expect_ciphers(halves[each]);
}

/* What every socket has, which mostly is one datagram: all are received, then relayed, then sent, for each step finds its code and the
 * relays' data in the cache. Between any two packets the control side may come in, so that every step looks for its relay again. */
static void serve(struct worker *worker, const struct epoll_event *events, int count, double now) {
    struct datagram datagrams[GROUP * MOST_AT_ONCE];
    const struct half *expected[GROUP * MOST_AT_ONCE];
    uint64_t of[GROUP * MOST_AT_ONCE];
    int arrived = 0, known = 0;
    for (int each = 0; each < count; each++)
        expect(worker, WATCHED_INDEX(events[each].data.u64), (events[each].data.u64 & 3) >> 1);
    for (int each = 0; each < count; each++) {
        uint64_t data = events[each].data.u64;
        struct half *half = half_of(worker, data);
        for (int more = half ? receive_some(worker, half, data & 1, &datagrams[arrived]) : 0; more > 0; more--)
            of[arrived++] = data;
        let_control_in(worker);
    }
    for (int each = 0; each < arrived; each++)
        if ((expected[known] = half_of(worker, of[each])))
            known++;
    expect_halves(expected, known);
    for (int each = 0; each < arrived; each++) {
        struct half *half = half_of(worker, of[each]);
        if (half)
            relay_datagram(worker, half, of[each] & 1, &datagrams[each], now);
        else
            datagrams[each].size = 0;
        let_control_in(worker);
    }
    for (int each = 0; each < arrived; each++) {
        struct half *half = datagrams[each].size ? half_of(worker, of[each]) : NULL;
        if (half)
            send_out(half->far, &datagrams[each]);
        let_control_in(worker);
    }
}

/* Hold the lock of `owner` instead of that of `held`: the rings have packets of everybody's relays. */
static struct worker *hold(struct worker *held, struct worker *owner) {
    if (held != owner) {
        worker_leave(held);
        worker_enter(owner);
    }
    return owner;
}

static struct half *half_handed(const struct worker *owner, const struct handed *of) {
    struct relay *relay = relay_find(owner, (uint32_t)of->relay, (uint32_t)(of->relay >> 32));
    return relay ? &relay->side[of->side & 1] : NULL;
}

/* By the ring where the kernel knows the way, else by the socket. */
static void send_on(const struct worker *worker, struct half *half, const struct datagram *datagram) {
    const struct flow *flow = half->flow;
    if (flow && flow_leads_to(flow, &datagram->address) && worker->tier->send(worker->tier->self, worker->number, flow, datagram))
        half_sent(half->far, datagram);
    else
        send_out(half->far, datagram);
}

/* Only relays of this thread: others may be closed whenever their lock is not held. */
static void expect_all(const struct worker *worker, const struct handed *of, int count) {
    const struct half *half[GROUP];
    int own = 0;
    for (int each = 0; each < count; each++)
        if (of[each].worker == worker->number)
            expect(worker, (uint32_t)of[each].relay, of[each].side & 1);
    for (int each = 0; each < count; each++)
        if (of[each].worker == worker->number && (half[own] = half_handed(worker, &of[each])))
            own++;
    expect_halves(half, own);
}

/* A group of datagrams out of the rings; how many there were. `worker` is whose thread this is, and holds its lock before and after. */
static int serve_rings(struct worker *worker, double now) {
    const struct tier *tier = worker->tier;
    struct datagram datagrams[GROUP];
    struct handed of[GROUP];
    struct worker *held = worker;
    int arrived = tier->receive(tier->self, worker->number, datagrams, of, GROUP);
    expect_all(worker, of, arrived);
    for (int each = 0; each < arrived; each++) {
        held = hold(held, &worker->engine->worker[of[each].worker]);
        struct half *half = half_handed(held, &of[each]);
        if (half)
            relay_datagram(worker, half, false, &datagrams[each], now);
        else
            datagrams[each].size = 0;
        let_control_in(held);
    }
    for (int each = 0; each < arrived; each++) {
        held = hold(held, &worker->engine->worker[of[each].worker]);
        struct half *half = datagrams[each].size ? half_handed(held, &of[each]) : NULL;
        if (half)
            send_on(worker, half, &datagrams[each]);
        let_control_in(held);
    }
    hold(held, worker);
    tier->flush(tier->self, worker->number);
    return arrived;
}

static int serve_all_rings(struct worker *worker, double now) {
    int arrived = GROUP, total = 0;
    while (arrived == GROUP && total < BATCH)
        total += arrived = serve_rings(worker, now);
    return total;
}

static bool has(const struct epoll_event *events, int count, uint64_t what) {
    for (int each = 0; each < count; each++)
        if (events[each].data.u64 == what)
            return true;
    return false;
}

/* How many datagrams there were; -1: the engine ends. */
static int serve_all(struct worker *worker, const struct epoll_event *events, int count) {
    double now = engine_now(worker->engine), at = monotonic();
    if (has(events, count, STOP))
        return -1;
    pthread_mutex_lock(&worker->lock);
    for (int first = 0; first < count; first += GROUP)
        serve(worker, events + first, count - first < GROUP ? count - first : GROUP, now);
    worker->from_rings = worker->thick || has(events, count, RINGS) ? serve_all_rings(worker, now) : 0;
    count += worker->from_rings;
    if (at - worker->swept_at >= worker->engine->sweep_every) {
        worker->swept_at = at;
        sweep(worker, now);
    }
    pthread_mutex_unlock(&worker->lock);
    return count;
}

/* How many; 0 as well where the rings are to be looked at alone. */
static int wait_for_events(struct worker *worker, struct epoll_event *events) {
    if (worker->blind > 0) {
        worker->blind--;
        return 0;
    }
    double wait = worker->thick ? 0 : worker->swept_at + worker->engine->sweep_every - monotonic();
    int count = epoll_wait(worker->epoll, events, BATCH, wait > 0 ? (int)(wait * 1000) + 1 : 0);
    if (worker->thick && count <= 0)
        worker->blind = MOST_BLIND - 1;
    return count > 0 ? count : 0;
}

static void watch_rings(struct worker *worker, bool thick) {
    if (thick != worker->thick)
        worker->tier->watch(worker->tier->self, worker->number, !thick);
    worker->thick = thick;
    worker->blind = thick ? worker->blind : 0;
}

static void *work(void *argument) {
    struct worker *worker = argument;
    struct epoll_event events[BATCH];
    const struct timespec pause = {.tv_nsec = (long)(COALESCE * NANOSECONDS)};
    prctl(PR_SET_NAME, "media");
    prctl(PR_SET_TIMERSLACK, 10000ul, 0ul, 0ul, 0ul); /* 10 us, not the usual 50 */
    double looked = monotonic();
    for (;;) {
        int count = serve_all(worker, events, wait_for_events(worker, events));
        if (count < 0)
            return NULL;
        bool dense = count > 0 && monotonic() - looked < DENSE;
        watch_rings(worker, dense && worker->from_rings > 0);
        worker->look += dense ? 1 : 2;
        if (dense && count < BATCH) /* company is on its way */
            nanosleep(&pause, NULL);
        looked = monotonic();
    }
}

int worker_start(struct engine *engine, struct worker *worker) {
    worker->engine = engine;
    worker->number = (int)(worker - engine->worker);
    worker->swept_at = monotonic();
    pthread_mutex_init(&worker->lock, NULL);
    pthread_mutex_init(&worker->gate, NULL);
    worker->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (worker->epoll < 0)
        return errno;
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = STOP};
    int error = epoll_ctl(worker->epoll, EPOLL_CTL_ADD, engine->stop, &event) < 0 ? errno : 0;
    if (!error) {
        sigset_t all, before; /* signals are for the thread that runs the interpreter */
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        error = pthread_create(&worker->thread, NULL, work, worker);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    if (error)
        close(worker->epoll);
    return error;
}
