/* Threads and sockets of the engine in C under churn: calls are opened, changed, re-keyed and closed from one control thread while
 * packets flow, right ones and wrong ones. Python has no part in it, so that the sanitizers see all of it.
 *
 *   soak_media SECONDS [CHURN]     CHURN calls a second, 100 unless said
 *
 * Ends with 1 when a packet of a call came out changed, a call of which most packets should have arrived lost them, descriptors are
 * left, or events of a call came after its end. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "worker.h"

#define CALLS 120
#define FIRST_PORT 20000
#define SWEEP 0.01
#define PAYLOAD 160

struct peer {
    int socket;
    union address address;
    _Atomic uint64_t to; /* IPv4 address and port of the relay's side, one word: the packet thread sends while calls come and go */
};

struct call {
    struct relay *relay;
    struct peer peer[2];
};

static struct call calls[CALLS];
static struct engine engine;
static atomic_bool done;
static atomic_ulong sent, arrived, broken;
static unsigned long opened, changed, closed, events;

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec * 1e-9;
}

static unsigned roll(unsigned *state, unsigned below) {
    *state = *state * 1664525u + 1013904223u;
    return (*state >> 8) % below;
}

static union address address_of(const char *host, unsigned port) {
    union address address = {.in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)}};
    inet_pton(AF_INET, host, &address.in.sin_addr);
    return address;
}

static void expect(bool so, const char *what) {
    if (!so) {
        fprintf(stderr, "soak: %s (%s)\n", what, strerror(errno));
        exit(1);
    }
}

/* Packets */

static size_t speak(uint8_t *packet, unsigned sequence, unsigned ssrc) {
    memset(packet, (int)(sequence & 0xFF), RTP_HEADER + PAYLOAD);
    packet[0] = 0x80;
    packet[1] = 8;
    write16(packet + 2, (uint16_t)sequence);
    write32(packet + 4, sequence * 160);
    write32(packet + 8, ssrc);
    return RTP_HEADER + PAYLOAD;
}

static size_t report(uint8_t *packet) {
    memcpy(packet, (uint8_t[]){0x80, 201, 0, 1, 0, 0, 0, 1}, 8);
    return 8;
}

/* What arrives of a call in the clear is what was sent. */
static void hear(struct peer *peer, bool clear) {
    uint8_t packet[2048];
    ssize_t size;
    while ((size = recv(peer->socket, packet, sizeof packet, MSG_DONTWAIT)) >= 0) {
        atomic_fetch_add(&arrived, 1);
        if (clear && size == RTP_HEADER + PAYLOAD && packet[1] == 8)
            for (size_t at = RTP_HEADER; at < (size_t)size; at++)
                if (packet[at] != packet[3]) {
                    atomic_fetch_add(&broken, 1);
                    break;
                }
    }
}

static void *talk(void *unused) {
    uint8_t packet[2048];
    unsigned state = 1;
    (void)unused;
    for (unsigned sequence = 0; !atomic_load(&done); sequence++) {
        for (size_t each = 0; each < CALLS; each++)
            for (int side = 0; side < 2; side++) {
                struct peer *peer = &calls[each].peer[side];
                uint64_t to = atomic_load(&peer->to);
                union address address = {.in = {.sin_family = AF_INET, .sin_port = (uint16_t)to, .sin_addr.s_addr = (uint32_t)(to >> 16)}};
                size_t size = speak(packet, sequence, 1 + roll(&state, 2));
                switch (roll(&state, 16)) {
                case 0:
                    size = roll(&state, (unsigned)size);
                    break;
                case 1:
                    packet[roll(&state, 3)] ^= (uint8_t)roll(&state, 256); /* not what the payload is told by */
                    break;
                case 2: /* to the RTCP port */
                    size = report(packet);
                    address.in.sin_port = htons((uint16_t)(ntohs(address.in.sin_port) + 1));
                    break;
                case 3:
                    size = report(packet);
                    break;
                }
                if (to && sendto(peer->socket, packet, size, MSG_DONTWAIT, &address.any, sizeof address.in) >= 0)
                    atomic_fetch_add(&sent, 1);
                hear(peer, each % 2 == 0);
            }
        usleep(5000);
    }
    return NULL;
}

/* Control */

static void choose_keys(unsigned *state, struct keys *keys) {
    unsigned what = roll(state, 8);
    keys->count = what < 3 ? 0 : what < 6 ? 1 : what - 4;
    for (size_t each = 0; each < keys->count; each++) {
        struct key *key = &keys->of[each];
        key->suite = roll(state, SUITES);
        memset(key->master, (int)roll(state, 4), sizeof key->master);
        key->mki[0] = (uint8_t)each;
        key->mki_size = keys->count > 1 ? 4 : 0;
        key->lifetime = roll(state, 4) ? 0 : 20;
    }
}

/* Half of the calls stay in the clear, so that speech can be looked at when it arrives. */
static void change(struct call *call, unsigned *state) {
    struct spec specs[2] = {0};
    for (int side = 0; side < 2; side++) {
        struct spec *spec = &specs[side];
        for (size_t type = 0; type < 128; type++)
            spec->types[type].leaving = NO_PAYLOAD_TYPE;
        spec->types[8] = (struct type_rule){.rate = 8000, .leaving = 8};
        spec->remote = call->peer[side].address;
        spec->remote_rtcp = spec->remote;
        spec->silence = roll(state, 2) ? 0.05 : -1;
        spec->send = roll(state, 8) != 0;
        if ((call - calls) % 2) {
            spec->mux = roll(state, 2);
            choose_keys(state, &spec->keys.receive);
            choose_keys(state, &spec->keys.transmit);
            spec->dtls = roll(state, 8) == 0;
            if (spec->dtls && !spec->mux) {
                choose_keys(state, &spec->control_keys.receive);
                choose_keys(state, &spec->control_keys.transmit);
            }
            spec->follow = (enum follow)roll(state, 3);
            spec->types[8].law = (uint8_t)roll(state, LAWS);
            spec->one_stream = roll(state, 2);
            spec->has_events = roll(state, 2);
            spec->events = 101;
            spec->events_clock = LEAST_CLOCK;
            if (roll(state, 4) == 0)
                spec->remote = address_of("127.0.0.66", 4000);
        }
        spec->from_count = 1;
        spec->from[0] = call->peer[side].address;
    }
    if ((call - calls) % 8 == 2)
        specs[0].udptl = specs[1].udptl = true;
    struct worker *worker = call->relay->worker;
    if (!worker_try_enter(worker))
        worker_enter(worker);
    int error = relay_update(call->relay, specs);
    half_add_digit(&call->relay->side[0], 5, 100);
    half_type(&call->relay->side[0], engine_now(&engine));
    worker_leave(worker);
    for (int side = 0; side < 2; side++)
        spec_end(&specs[side]);
    errno = error;
    expect(error == 0, "update");
    changed++;
}

static void open_call(struct call *call, unsigned number, unsigned *state) {
    unsigned port = FIRST_PORT + number % 10000 * 2;
    union address address[2] = {address_of("127.0.0.2", port), address_of("127.0.0.3", port)};
    struct pair pair[2];
    for (int side = 0; side < 2; side++) {
        errno = pair_bind(&address[side], &pair[side]);
        expect(errno == 0, "bind");
    }
    call->relay = relay_open(&engine, pair[0], pair[1]);
    expect(call->relay, "open");
    change(call, state);
    for (int side = 0; side < 2; side++)
        atomic_store(&call->peer[side].to, (uint64_t)address[side].in.sin_addr.s_addr << 16 | address[side].in.sin_port);
    opened++;
}

static void close_call(struct call *call) {
    struct relay *relay = call->relay;
    struct worker *worker = relay->worker;
    uint32_t index = relay->index, generation = relay->generation;
    if (!worker_try_enter(worker))
        worker_enter(worker);
    expect(relay_find(worker, index, generation) == relay, "a relay is not where it was");
    relay_close(relay);
    expect(!relay_find(worker, index, generation), "a closed relay is found");
    worker_leave(worker);
    relay_free(relay);
    call->relay = NULL;
    closed++;
}

static void take_events(void) {
    eventfd_t count;
    if (eventfd_read(engine.events, &count) < 0)
        return;
    for (int each = 0; each < engine.workers; each++) {
        struct worker *worker = &engine.worker[each];
        if (!worker_try_enter(worker))
            worker_enter(worker);
        struct relay *relay;
        while ((relay = worker_take_event(worker))) {
            expect(relay_find(worker, relay->index, relay->generation) == relay, "an event of a closed relay");
            expect(relay->side[0].pending || relay->side[1].pending, "an event of nothing");
            relay->side[0].pending = relay->side[1].pending = 0;
            for (int side = 0; side < 2; side++)
                for (struct handshake *each = half_take_handshake(&relay->side[side]), *next; each; each = next) {
                    next = each->next;
                    free(each);
                }
            events++;
        }
        worker_leave(worker);
    }
}

static int descriptors(void) {
    DIR *folder = opendir("/proc/self/fd");
    int count = 0;
    expect(folder, "/proc/self/fd");
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

static void round_of_engine(double seconds, double churn, unsigned *state) {
    static unsigned number;
    int before = descriptors();
    expect(engine_start(&engine, 2, SWEEP, -1) == 0, "start");
    for (size_t each = 0; each < CALLS; each++)
        open_call(&calls[each], number++, state);
    double begun = now(), end = begun + seconds;
    for (unsigned turn = 0; now() < end; turn++) {
        struct call *call = &calls[roll(state, CALLS)];
        close_call(call);
        open_call(call, number++, state);
        for (int each = 0; each < 3; each++)
            change(&calls[roll(state, CALLS)], state);
        take_events();
        double rest = begun + turn / churn - now();
        if (rest > 0)
            usleep((useconds_t)(rest * 1e6));
    }
    for (size_t each = 0; each < CALLS; each += 2) /* the others are the engine's to end */
        close_call(&calls[each]);
    for (size_t each = 0; each < CALLS; each++)
        for (int side = 0; side < 2; side++)
            atomic_store(&calls[each].peer[side].to, 0);
    engine_stop(&engine);
    expect(descriptors() == before, "descriptors are left");
}

int main(int arguments, char **argument) {
    expect(arguments > 1, "soak_media SECONDS [CHURN]");
    double seconds = atof(argument[1]), churn = arguments > 2 ? atof(argument[2]) : 100;
    unsigned state = 7;
    pthread_t talker;
    expect(srtp_library_start(), "libcrypto");
    for (size_t each = 0; each < CALLS; each++)
        for (int side = 0; side < 2; side++) {
            struct peer *peer = &calls[each].peer[side];
            socklen_t size = sizeof peer->address;
            peer->socket = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
            peer->address = address_of("127.0.0.4", 0);
            expect(bind(peer->socket, &peer->address.any, sizeof peer->address.in) == 0, "bind");
            getsockname(peer->socket, &peer->address.any, &size);
        }
    expect(pthread_create(&talker, NULL, talk, NULL) == 0, "thread");
    double end = now() + seconds;
    unsigned rounds = 0;
    for (; now() < end; rounds++) /* the engine comes and goes, too */
        round_of_engine(seconds > 40 ? 20 : seconds / 2, churn, &state);
    atomic_store(&done, true);
    pthread_join(talker, NULL);
    for (size_t each = 0; each < CALLS; each++)
        for (int side = 0; side < 2; side++)
            close(calls[each].peer[side].socket);
    printf("%u engines, %lu calls, %lu updates, %lu closed by hand, %lu packets sent, %lu arrived, %lu relays with events\n", rounds, opened,
           changed, closed, atomic_load(&sent), atomic_load(&arrived), events);
    expect(!atomic_load(&broken), "speech came out changed");
    expect(atomic_load(&arrived) * 10 > atomic_load(&sent), "hardly anything arrived");
    return 0;
}
