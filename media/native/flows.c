#include "tier.h"

#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define NANOSECONDS 1000000000ull

/* So long after a packet went to the socket it is there: what was on the way in the stack, too. Nanoseconds. */
#define QUIET 1000000

static uint64_t monotonic_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NANOSECONDS + (uint64_t)now.tv_nsec;
}

static uint16_t octets_of(const union address *address, uint8_t octets[16]) {
    memset(octets, 0, 16);
    if (address->any.sa_family == AF_INET6)
        memcpy(octets, &address->in6.sin6_addr, 16);
    else
        memcpy(octets, &address->in.sin_addr, 4);
    return address->in.sin_port; /* where in6 has it, too */
}

static bool is_at(const union address *address, const uint8_t octets[16], uint16_t port, bool six) {
    if (address->any.sa_family != (six ? AF_INET6 : AF_INET) || address->in.sin_port != port) /* where in6 has it, too */
        return false;
    return six ? memcmp(&address->in6.sin6_addr, octets, 16) == 0 : memcmp(&address->in.sin_addr, octets, 4) == 0;
}

bool flow_leads_to(const struct flow *flow, const union address *address) {
    return is_at(address, flow->to, flow->to_port, flow->from_six);
}

/* The lock: the program holds it for less than a packet's time and never waits for it. */

static void lock_flow(struct flow *flow) {
    uint32_t expected = LOCK_FREE;
    while (!__atomic_compare_exchange_n(&flow->lock, &expected, LOCK_ENGINE, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        expected = LOCK_FREE;
}

static void unlock_flow(struct flow *flow) { __atomic_store_n(&flow->lock, LOCK_FREE, __ATOMIC_RELEASE); }

/* Figures */

static void hand_back(const struct half *half, struct flow *flow) {
    const struct reception *reception = &half->reception;
    flow->arrivals.started = reception->started;
    flow->arrivals.ssrc = htonl(reception->ssrc);
    flow->arrivals.highest = reception->highest;
    flow->arrivals.seen[0] = (uint64_t)reception->seen;
    flow->arrivals.seen[1] = (uint64_t)(reception->seen >> 64);
    flow->arrivals.loss_runs = reception->loss_runs;
    flow->arrivals.rate = reception->rate;
    flow->arrivals.timestamp = reception->timestamp;
    flow->arrivals.jitter = (int64_t)(reception->jitter * (1 << JITTER_SHIFT));
    flow->arrivals.arrival = reception->rate ? (uint64_t)((reception->transit + reception->timestamp) / reception->rate * 1e9) : 0;
    flow->allowance = half->allowance;
}

static void reception_of(const struct arrivals *arrivals, struct reception *reception) {
    reception->highest = arrivals->highest;
    reception->seen = (unsigned __int128)arrivals->seen[1] << 64 | arrivals->seen[0];
    reception->loss_runs = arrivals->loss_runs;
    reception->rate = arrivals->rate;
    reception->timestamp = arrivals->timestamp;
    reception->jitter = (double)arrivals->jitter / (1 << JITTER_SHIFT);
    reception->transit = (double)arrivals->arrival / 1e9 * arrivals->rate - arrivals->timestamp;
}

/* What was forwarded. Only with the lock. */
static void fold(struct half *half) {
    struct flow *flow = half->flow;
    reception_of(&flow->arrivals, &half->reception);
    half->allowance = flow->allowance;
    half->counters[PACKETS_RECEIVED] += flow->packets;
    half->counters[OCTETS_RECEIVED] += flow->octets;
    half->latch.passed |= flow->packets > 0;
    half->far->counters[PACKETS_SENT] += flow->packets;
    half->far->counters[OCTETS_SENT] += flow->octets;
    if (flow->over_rate && !half->counters[OVER_RATE])
        relay_report(half, FLOOD);
    half->counters[OVER_RATE] += flow->over_rate;
    flow->packets = flow->octets = flow->over_rate = 0;
}

void flow_take(struct half *half) {
    if (half->flow && __atomic_load_n(&half->flow->wrong_source, __ATOMIC_RELAXED))
        relay_count_elsewhere(half, __atomic_exchange_n(&half->flow->wrong_source, 0, __ATOMIC_RELAXED));
    if (!flow_is_forwarded(half))
        return;
    lock_flow(half->flow);
    fold(half);
}

void flow_give(struct half *half) {
    if (!flow_is_forwarded(half))
        return;
    hand_back(half, half->flow);
    unlock_flow(half->flow);
}

/* Beginning and end */

/* The payload types with their clocks; false: there are too many of them, too fast ones, or some whose payload is looked into. */
static bool fill_types(const struct half *half, struct flow_type types[128], uint32_t rates[MAX_CLOCKS]) {
    uint32_t count = 0;
    for (int type = 0; type < 128; type++) {
        const struct type_rule *rule = &half->types[type];
        uint32_t at = 0;
        types[type].leaving = rule->leaving;
        while (at < count && rates[at] != rule->rate)
            at++;
        if (at == MAX_CLOCKS || rule->rate > FASTEST_CLOCK || rule->digits || rule->law != AS_IT_IS)
            return false;
        if (at == count)
            rates[count++] = rule->rate;
        types[type].clock = (uint8_t)at;
    }
    return true;
}

static bool is_link_local(const union address *address) {
    return address->any.sa_family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&address->in6.sin6_addr);
}

static enum flow_mode wanted(const struct tier *tier, const struct half *half) {
    const struct half *far = half->far;
    const union address *from = &half->latch.locked, *to = &far->latch.destination;
    if (half->udptl || !far->sending || !is_somewhere(from) || !is_somewhere(to) || is_link_local(from) || is_link_local(to))
        return FLOW_NONE;
    if ((half->dtls && !half->keys.inbound) || (far->dtls && !far->keys.outbound))
        return FLOW_NONE;
    bool plain = !half->keys.inbound && !half->keys.before && !far->keys.outbound && !far->shaped;
    return plain && from->any.sa_family == to->any.sa_family && tier->forwards ? FLOW_FORWARD : FLOW_USER;
}

/* Whether packets from elsewhere may be the peer's; else the kernel drops them. */
static bool may_be_elsewhere(const struct half *half) {
    if (latch_may_be_claimed(&half->latch))
        return true;
    return half->follow != NEVER && (half->keys.inbound || (half->follow == SAME_ADDRESS && !half->dtls));
}

static void begin(const struct tier *tier, struct half *half) {
    struct flow_type types[128] = {0};
    uint32_t rates[MAX_CLOCKS] = {0};
    enum flow_mode mode = wanted(tier, half);
    if (mode != FLOW_NONE && !fill_types(half, types, rates))
        mode = FLOW_USER;
    const union address *to = &half->far->latch.destination;
    struct flow *flow = mode == FLOW_NONE ? NULL : tier->flow_open(tier->self, mode, &half->local, &half->far->local, to);
    if (!flow)
        return;
    memcpy(flow->types, types, sizeof types);
    memcpy(flow->rates, rates, sizeof rates);
    flow->six = half->local.any.sa_family == AF_INET6;
    flow->from_six = half->far->local.any.sa_family == AF_INET6;
    flow->strict = !half->ice && !may_be_elsewhere(half);
    flow->traffic_class = (uint8_t)(half->far->dscp << 2);
    flow->relay = (uint64_t)half->relay->generation << 32 | half->relay->index;
    flow->worker = half->relay->worker_number;
    flow->shown = 0;
    flow->side = half == &half->relay->side[1];
    flow->source_port = octets_of(&half->latch.locked, flow->source);
    flow->from_port = octets_of(&half->far->local, flow->from);
    flow->to_port = octets_of(to, flow->to);
    flow->packets = flow->octets = flow->wrong_source = flow->over_rate = 0;
    flow->passed_at = monotonic_ns();
    flow->settled = flow->passed - 1; /* what passed before it was published may still be in the stack */
    hand_back(half, flow);
    half->flow = flow;
    if (!tier->flow_publish(tier->self, flow, &half->local)) {
        tier->flow_close(tier->self, flow, &half->local);
        half->flow = NULL;
    }
}

void flow_end(const struct tier *tier, struct half *half) {
    struct flow *flow = half->flow;
    if (!flow)
        return;
    flow_take(half);
    flow->mode = FLOW_NONE;
    unlock_flow(flow); /* which only what is forwarded needs */
    tier->flow_close(tier->self, flow, &half->local);
    half->flow = NULL;
}

static bool has_nothing(int descriptor) {
    uint8_t octet;
    return recv(descriptor, &octet, sizeof octet, MSG_PEEK | MSG_DONTWAIT) < 0;
}

/* Under the lock. */
static void settle(struct flow *flow, int descriptor) {
    uint32_t passed = __atomic_load_n(&flow->passed, __ATOMIC_ACQUIRE);
    if (passed != flow->settled && monotonic_ns() - flow->passed_at >= QUIET && has_nothing(descriptor))
        flow->settled = passed;
}

void flow_tend(const struct tier *tier, struct half *half) {
    if (!half->flow) {
        begin(tier, half);
        return;
    }
    lock_flow(half->flow);
    if (half->flow->mode == FLOW_USER)
        __atomic_store_n(&half->flow->packets, 0, __ATOMIC_RELAXED);
    half->flow->shown = 0;
    settle(half->flow, half->rtp);
    unlock_flow(half->flow);
}

void flow_follow(const struct tier *tier, struct half *half) {
    struct flow *flow = half->flow, *towards = half->far->flow;
    if (flow && !is_at(&half->latch.locked, flow->source, flow->source_port, flow->six))
        flow_end(tier, half);
    if (towards && !flow_leads_to(towards, &half->latch.destination))
        flow_end(tier, half->far);
}
