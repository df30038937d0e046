/* A relay and everything that can happen to it, in any order: updates, packets of any kind from anywhere, time.
 * Counters never fall, nothing is sent that was not received, nothing goes where nobody is, and no event comes twice that is promised once. */

#include <arpa/inet.h>
#include <math.h>

#include "arriving.h"

#define MOST_PLACES 64

/* What one side was ever told, or heard from, and what it has reported. */
struct memory {
    union address places[MOST_PLACES];
    size_t count;
    uint64_t counters[COUNTERS];
    int events[EVENTS];
    double moved_at, heard_at;
    bool quiet; /* reported silent, and not heard or told of since */
    uint64_t typed;
};

static struct relay relay;
static struct memory memory[2];
static struct srtp *peer[2]; /* what the peer of a side protects with */
static double now;

static int side_of(const struct half *half) { return half == &relay.side[1]; }

/* Both families, few hosts and ports, so that they meet. */
static union address place(uint8_t what, bool six) {
    union address place = {0};
    if (six) {
        place.in6.sin6_family = AF_INET6;
        place.in6.sin6_port = htons((uint16_t)(4000 + (what & 3)));
        place.in6.sin6_addr.s6_addr[0] = 0x20;
        place.in6.sin6_addr.s6_addr[15] = (uint8_t)(1 + (what >> 2 & 3));
    } else {
        place.in.sin_family = AF_INET;
        place.in.sin_port = htons((uint16_t)(4000 + (what & 3)));
        place.in.sin_addr.s_addr = htonl(0x0A000001u + (what >> 2 & 3));
    }
    return place;
}

static bool equal(const union address *one, const union address *other) { return memcmp(one, other, sizeof *one) == 0; }

static bool knows(const struct memory *of, const union address *address) {
    for (size_t at = 0; at < of->count; at++)
        if (equal(&of->places[at], address))
            return true;
    return false;
}

static void remember(struct memory *of, const union address *address) {
    if (address->any.sa_family != AF_UNSPEC && !knows(of, address)) {
        CLAIM(of->count < MOST_PLACES);
        of->places[of->count++] = *address;
    }
}

static void leave(int side, const struct datagram *datagram) {
    CLAIM(datagram->size <= MAX_PACKET);
    CLAIM(datagram->address.any.sa_family == relay.side[side].local.any.sa_family);
    CLAIM(knows(&memory[side], &datagram->address));
    CLAIM(!datagram->from_rtcp || (datagram->control && !relay.side[side].mux));
    if (datagram->size % 7) /* no route, at times */
        half_sent(&relay.side[side], datagram);
}

bool relay_send(const struct half *half, bool from_rtcp, const uint8_t *packet, size_t size, const union address *destination) {
    CLAIM(!from_rtcp);
    if (packet) { /* a digit */
        CLAIM(size >= EVENT_PACKET && size <= EVENT_PACKET + MAX_TRAILER && rtp_header(packet, size) == RTP_HEADER);
        CLAIM(half->sending && knows(&memory[side_of(half)], destination));
        memory[side_of(half)].typed++;
    } else { /* without ICE nobody is answered; this one keeps the way open */
        CLAIM(size == 0 && equal(destination, &half->latch.locked));
    }
    return true;
}

void relay_report(struct half *half, enum event event) {
    struct memory *of = &memory[side_of(half)];
    of->events[event]++;
    /* The last two begin again with a new key */
    if (event == FIRST_PACKET || event == FLOOD || event == SOURCE_CHANGED || event == KEY_FAILURE || event == KEY_WORN)
        CLAIM(of->events[event] == 1);
    if (event == SILENCE) {
        CLAIM(!of->quiet);
        of->quiet = true;
    }
}

static void check(void) {
    for (int side = 0; side < 2; side++) {
        const struct half *half = &relay.side[side];
        struct memory *of = &memory[side];
        uint64_t heard = of->counters[PACKETS_RECEIVED] + of->counters[RTCP_RECEIVED];
        for (int each = 0; each < COUNTERS; each++)
            CLAIM(each == AUTH_FAILING || half->counters[each] >= of->counters[each]);
        memcpy(of->counters, half->counters, sizeof of->counters);
        if (of->counters[PACKETS_RECEIVED] + of->counters[RTCP_RECEIVED] != heard)
            of->quiet = false;
        CLAIM(half->counters[PACKETS_SENT] <= half->far->counters[PACKETS_RECEIVED] + of->typed);
        CLAIM(half->counters[RTCP_SENT] <= half->far->counters[RTCP_RECEIVED]);
        CLAIM(half->counters[DATAGRAMS_RECEIVED] <= half->counters[PACKETS_RECEIVED]);
        CLAIM(reception_expected(&half->reception) >= 0 && isfinite(reception_jitter_ms(&half->reception)));
        CLAIM(half->latch.locked.any.sa_family == AF_UNSPEC || equal(&half->latch.locked, &half->latch.destination));
    }
}

static void choose_key(struct input *input, struct keys *keys) {
    uint8_t what = take8(input);
    keys->count = !(what & 1) ? 0 : what & 0x80 ? 1u + (what >> 4 & 3) : 1;
    for (size_t each = 0; each < keys->count; each++) {
        struct key *key = &keys->of[each];
        key->suite = (what >> 1 & 7) % SUITES;
        memset(key->master, (what >> 4 & 3) + (int)each, sizeof key->master);
        key->mki[0] = (uint8_t)each;
        key->mki_size = what & 0x80 ? 4 : 0;
        key->lifetime = what & 0x40 ? 3 : 0;
    }
}

static void fill(struct input *input, struct spec *spec, bool six, bool udptl) {
    uint8_t what = take8(input), where = take8(input);
    memset(spec, 0, sizeof *spec);
    for (size_t type = 0; type < 128; type++)
        spec->types[type].leaving = NO_PAYLOAD_TYPE;
    if (what & 1)
        spec->remote = place(where, six != (what == 0xFF));
    if (what & 2)
        spec->remote_rtcp = place(where >> 4, six);
    spec->from_count = what >> 2 & 3;
    for (size_t each = 0; each < spec->from_count; each++)
        spec->from[each] = place(take8(input), each != 2 ? six : !six);
    spec->mux = what & 0x10;
    spec->send = !(what & 0x20);
    spec->silence = what & 0x40 ? (what & 0x80 ? 5 : 0) : -1;
    spec->udptl = udptl;
    spec->follow = (enum follow)((where >> 2 & 3) % 3);
    if (udptl)
        return;
    choose_key(input, &spec->keys.receive);
    choose_key(input, &spec->keys.transmit);
    if (where & 0x80) { /* RTCP has keys of its own, or none yet */
        spec->dtls = true;
        choose_key(input, &spec->control_keys.receive);
        choose_key(input, &spec->control_keys.transmit);
    }
    for (uint8_t type = 0; type < 128; type = (uint8_t)(type + 8)) {
        spec->types[type].leaving = take8(input) & 0x7F;
        spec->types[type].rate = type ? 8000u * type : 0;
        spec->types[type].law = type / 8 % LAWS;
        spec->types[type].digits = what & 1 && type >= 64;
    }
    spec->reports = what & 1;
    what = take8(input);
    spec->has_events = what & 1;
    spec->events = 101;
    spec->events_clock = what & 2 ? LEAST_CLOCK : MOST_CLOCK;
    spec->one_stream = what & 4;
    spec->ssrc = what >> 3;
}

static void update(struct input *input) {
    struct spec specs[2];
    bool udptl = (take8(input) & 7) == 0;
    int error = 0;
    for (int side = 0; side < 2; side++)
        fill(input, &specs[side], side, udptl);
    for (int side = 0; !error && side < 2; side++)
        error = half_prepare(&relay.side[side], &specs[side]);
    for (int side = 0; side < 2; side++) {
        struct half *half = &relay.side[side];
        struct memory *of = &memory[side];
        if (!error) {
            bool new = !specs[side].keys.same_inbound, moved = specs[side].silence != half->silence;
            remember(of, &specs[side].remote);
            remember(of, &specs[side].remote_rtcp);
            moved |= !equal(&specs[side].remote, &half->latch.remote);
            if (new) {
                of->events[KEY_FAILURE] = of->events[KEY_WORN] = 0;
                srtp_free(peer[side]);
                const struct keys *keys = &specs[side].keys.receive;
                const struct key *key = &keys->of[keys->count ? keys->count - 1 : 0];
                peer[side] = keys->count ? srtp_new(key->suite, key->master, true) : NULL;
                if (peer[side])
                    srtp_name(peer[side], key->mki, key->mki_size, 0);
            }
            if (moved)
                of->quiet = false;
            half_update(half, &specs[side], now);
            CLAIM(!half->keys.before || half->keys.inbound);
            CLAIM(!half->control_keys.before || half->control_keys.inbound);
        }
        spec_end(&specs[side]);
    }
}

/* The peer was followed to `source`: not while it was heard elsewhere, and not sooner than promised after the last time. */
static void follow(const struct half *half, const union address *source) {
    struct memory *of = &memory[side_of(half)];
    CLAIM(half->follow != NEVER && !half->udptl && equal(&half->latch.locked, source));
    CLAIM(half->keys.inbound || half->follow == SAME_ADDRESS);
    CLAIM(!of->moved_at || now - of->moved_at >= FOLLOW_EVERY);
    CLAIM(now - of->heard_at >= FOLLOW_AFTER);
    of->moved_at = of->heard_at = now;
    remember(of, source);
}

/* A packet as a peer makes it, or any octets. */
static size_t compose(struct input *input, uint8_t *packet, int side, bool *control) {
    uint8_t what = take8(input);
    size_t size = take16(input) % (MAX_PACKET + 2);
    if (what & 0x40)
        size %= 48;
    if (what & 0x80) {
        memset(packet, 0, size);
        for (size_t at = 0; at < size && input->left && at < 64; at++)
            packet[at] = take8(input);
        return size;
    }
    static const uint8_t reports[][8] = {{0x80, 201, 0, 1}, {0x81, 203, 0, 1}, {0x80, 205, 0, 1}};
    static const uint8_t fax[] = {0, 1, 2, 0xC0, 0x11, 0, 0};
    if ((what & 7) == 7) {
        memcpy(packet, fax, sizeof fax);
        return sizeof fax;
    }
    *control = *control || (what & 7) == 6;
    if (*control) {
        size = 8;
        memcpy(packet, reports[what % 3], size);
        packet[7] = what >> 4 & 3;
    } else {
        size = size % 200 + RTP_HEADER;
        memset(packet, 0, size);
        packet[0] = (uint8_t)(what & 8 ? 0xA0 : 0x80);
        packet[1] = take8(input) & 0xF8;
        write16(packet + 2, (uint16_t)(take8(input) << (what >> 4 & 3) * 4));
        packet[11] = what >> 4 & 3;
        packet[size - 1] = 1;
    }
    if (peer[side] && what & 5) {
        size_t plain = size, header = rtp_header(packet, size);
        uint8_t *copy = copy_of(packet, size, MAX_TRAILER);
        enum verdict verdict = *control ? srtcp_protect(peer[side], copy, &size) : srtp_protect(peer[side], copy, &size, header);
        if (verdict == ACCEPTED)
            memcpy(packet, copy, size);
        else
            size = plain;
        free(copy);
    }
    return size;
}

static void receive(struct input *input) {
    uint8_t packet[MAX_PACKET + 1 + MAX_TRAILER], what = take8(input), where = take8(input);
    int side = what & 1;
    struct half *half = &relay.side[side];
    bool control = what & 2, is_control = control;
    union address source = place(where, side);
    size_t size = compose(input, packet, side, &is_control);
    int times = (what & 0xF0) == 0xF0 ? 1100 : 1; /* more than is allowed in a second */
    for (; times; times--) {
        struct datagram *datagram = datagram_of(packet, size, &source);
        struct latch *latch = control ? &half->control_latch : &half->latch;
        for (size_t at = 0; at < latch->hosts.count; at++) { /* the rule itself is checked against the portable engine */
            union address host = source;
            if (side)
                host.in6.sin6_addr = latch->hosts.of[at];
            else
                memcpy(&host.in.sin_addr, &latch->hosts.of[at], sizeof host.in.sin_addr);
            if (equal(&host, &source))
                remember(&memory[side], &source);
        }
        union address moved = latch->moved;
        moved.in.sin_port = source.in.sin_port; /* where in6 has it, too */
        if (moved.any.sa_family != AF_UNSPEC && equal(&moved, &source))
            remember(&memory[side], &source);
        bool known = knows(&memory[side], &source);
        uint64_t before = half->counters[PACKETS_RECEIVED] + half->counters[RTCP_RECEIVED];
        uint64_t moves = half->counters[SOURCE_CHANGES];
        (control ? half_receive_rtcp : half_receive)(half, datagram, now);
        if (datagram->size)
            leave(!side, datagram);
        if (half->counters[SOURCE_CHANGES] != moves) {
            follow(half, &source);
            known = true;
        } else if (half->counters[PACKETS_RECEIVED] + half->counters[RTCP_RECEIVED] != before && !control) {
            memory[side].heard_at = now;
        }
        CLAIM(known || half->counters[PACKETS_RECEIVED] + half->counters[RTCP_RECEIVED] == before);
        free(datagram);
        check();
    }
}

static void pass(struct input *input) {
    now += take8(input) / 50.0;
    for (int side = 0; side < 2; side++) {
        struct half *half = &relay.side[side];
        half_watch(half, now);
        CLAIM(half->reader.count <= MOST_REPORTED);
        half->reader.count = 0;
    }
}

/* Digits, until there are no more or for a while. */
static void type(struct input *input) {
    uint8_t what = take8(input);
    struct half *half = &relay.side[what & 1];
    for (int count = what >> 1 & 0x3F; count; count--)
        half_add_digit(half, (uint8_t)count % DIGITS, take8(input) * 40u);
    CLAIM(half->typist.waiting <= MOST_WAITING);
    for (int count = take8(input); count; count--) {
        double due = half_type(half, now);
        CLAIM(due < 0 || due > now);
        if (due < 0)
            return;
        now = due;
    }
}

static void open_relay(void) {
    memset(&relay, 0, sizeof relay);
    memset(memory, 0, sizeof memory);
    now = 1000;
    for (int side = 0; side < 2; side++) {
        struct half *half = &relay.side[side];
        half->far = &relay.side[!side];
        half->relay = &relay;
        half->rtp = 2 * side;
        half->rtcp = 2 * side + 1;
        half->silence = -1;
        half->allowance = MOST_PACKETS;
        half->reader.allowed = MOST_REPORTED;
        half->local = place(0, side);
        for (size_t type = 0; type < 128; type++)
            half->types[type].leaving = NO_PAYLOAD_TYPE;
        srtp_free(peer[side]);
        peer[side] = NULL;
    }
}

__attribute__((constructor)) static void start(void) { CLAIM(srtp_library_start()); }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input input = {data, size};
    open_relay();
    while (input.left) {
        uint8_t what = take8(&input);
        if ((what & 7) == 0)
            update(&input);
        else if ((what & 7) == 1)
            pass(&input);
        else if ((what & 7) == 2)
            type(&input);
        else
            receive(&input);
        check();
    }
    half_end(&relay.side[0]);
    half_end(&relay.side[1]);
    for (int side = 0; side < 2; side++) {
        srtp_free(peer[side]);
        peer[side] = NULL;
    }
    return 0;
}
