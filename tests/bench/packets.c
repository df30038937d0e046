/* Generator and sink of RTP: `packets PLAN SAMPLES`. What to send, when and where to is in PLAN, written by packets.py; one line of JSON
 * a phase goes to standard output, every 64th packet that arrived to SAMPLES.
 *
 * Endpoint e is a peer of relay e / 2: of its A side when e is even, of its B side when odd. The peers of a side share one socket, so that
 * the generator stays cheap (sendmmsg, recvmmsg); whose packet arrives says the port it comes from. The kernel stamps arrivals: the
 * generator looks for them when it wakes to send, and what it measures does not pay for waking it. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64
#define SAMPLE_EVERY 64
#define ROOM 2048
#define SECOND 1000000000ull
#define NOBODY UINT32_MAX
#define TOO_LATE (SECOND / 10) /* a phase ends then, even if not all of it is sent */

/* The head of the plan. After it: order, targets, phases, then the packets of side A and of side B, one a round. */
struct plan {
    uint32_t endpoints, rounds, phases, first_sequence;
    uint32_t size[2]; /* octets of a packet of either side */
    uint32_t address[2];
    uint32_t port[2];
    uint32_t tick_us;   /* between looks at the clock */
    uint32_t settle_us; /* waiting for the last packets */
    int32_t cpu;        /* to run on; -1: any */
    uint32_t reserved;
};

struct target {
    uint32_t address, port;
};

struct phase {
    double rate, seconds; /* packets a second */
    /* found out: */
    uint64_t first, count, sent, received, behind;
    uint32_t *delays;
    uint8_t *heard;
};

static struct plan plan;
static uint32_t *order;
static struct target *targets;
static struct phase *phases;
static uint8_t *packets[2];
static uint64_t *stamps; /* by packet in the order of sending; 0: not on the way */
static uint32_t *place;  /* of an endpoint in the order */
static uint32_t owner[2][65536];
static uint64_t total, strangers, twice, received_all, sent_all;
static int sockets[2];
static FILE *samples;

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void *some(size_t count, size_t size) {
    void *made = calloc(count ? count : 1, size);
    if (!made)
        fail("memory");
    return made;
}

static uint64_t nanoseconds(const struct timespec *time) { return (uint64_t)time->tv_sec * SECOND + (uint64_t)time->tv_nsec; }

static uint64_t now_of(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return nanoseconds(&now);
}

static void take(FILE *file, void *into, size_t size) {
    if (size && fread(into, size, 1, file) != 1)
        fail("the plan is short");
}

static void read_plan(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file)
        fail(path);
    take(file, &plan, sizeof plan);
    order = some(plan.endpoints, sizeof *order);
    targets = some(plan.endpoints, sizeof *targets);
    phases = some(plan.phases, sizeof *phases);
    take(file, order, plan.endpoints * sizeof *order);
    take(file, targets, plan.endpoints * sizeof *targets);
    for (uint32_t each = 0; each < plan.phases; each++) {
        struct phase *phase = &phases[each];
        take(file, phase, 2 * sizeof(double));
        phase->first = total;
        phase->count = (uint64_t)(phase->rate * phase->seconds);
        phase->delays = some(phase->count, sizeof *phase->delays);
        phase->heard = some(plan.endpoints, 1);
        total += phase->count;
    }
    if (total > (uint64_t)plan.rounds * plan.endpoints || plan.rounds + plan.first_sequence > 65536 || plan.size[0] > ROOM || plan.size[1] > ROOM) {
        fputs("the plan is not consistent\n", stderr);
        exit(1);
    }
    for (int side = 0; side < 2; side++) {
        packets[side] = some(plan.rounds, plan.size[side]);
        take(file, packets[side], (size_t)plan.rounds * plan.size[side]);
    }
    fclose(file);
    stamps = some(total, sizeof *stamps);
    place = some(plan.endpoints, sizeof *place);
    memset(owner, 0xFF, sizeof owner);
    for (uint32_t each = 0; each < plan.endpoints; each++) {
        place[order[each]] = each;
        owner[each % 2][targets[each].port] = each;
    }
}

static int bound(uint32_t address, uint32_t port) {
    int made = socket(AF_INET, SOCK_DGRAM, 0), room = 64 << 20, yes = 1;
    struct sockaddr_in local = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(address)};
    if (made < 0 || bind(made, (struct sockaddr *)&local, sizeof local) < 0)
        fail("bind");
    if (setsockopt(made, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) < 0)
        setsockopt(made, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    setsockopt(made, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    setsockopt(made, SOL_SOCKET, SO_TIMESTAMPNS, &yes, sizeof yes);
    return made;
}

static struct phase *phase_of(uint64_t number) {
    struct phase *phase = phases;
    while (number >= phase->first + phase->count)
        phase++;
    return phase;
}

/* Sending */

struct outgoing {
    struct mmsghdr header[BATCH];
    struct iovec vector[BATCH];
    struct sockaddr_in name[BATCH];
    uint64_t number[BATCH];
    unsigned count;
};

static void flush(struct outgoing *out, int descriptor) {
    uint64_t now = now_of(CLOCK_REALTIME);
    for (unsigned each = 0; each < out->count; each++)
        stamps[out->number[each]] = now;
    for (unsigned done = 0; done < out->count;) {
        int sent = sendmmsg(descriptor, out->header + done, out->count - done, 0);
        if (sent > 0)
            done += (unsigned)sent;
        else if (errno != EINTR && errno != EAGAIN && errno != ECONNREFUSED)
            fail("sendmmsg");
    }
    out->count = 0;
}

static void send_one(struct outgoing *both, uint64_t number) {
    uint32_t endpoint = order[number % plan.endpoints], side = endpoint % 2;
    uint64_t round = number / plan.endpoints;
    struct outgoing *out = &both[side];
    unsigned at = out->count++;
    out->number[at] = number;
    out->vector[at] = (struct iovec){packets[side] + round * plan.size[side], plan.size[side]};
    out->name[at] = (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)targets[endpoint].port),
        .sin_addr.s_addr = htonl(targets[endpoint].address),
    };
    out->header[at].msg_hdr = (struct msghdr){
        .msg_name = &out->name[at], .msg_namelen = sizeof out->name[at], .msg_iov = &out->vector[at], .msg_iovlen = 1};
    if (out->count == BATCH)
        flush(out, sockets[side]);
}

/* Receiving */

static uint64_t stamp_of(struct msghdr *message) {
    for (struct cmsghdr *control = CMSG_FIRSTHDR(message); control; control = CMSG_NXTHDR(message, control))
        if (control->cmsg_level == SOL_SOCKET && control->cmsg_type == SCM_TIMESTAMPNS) {
            struct timespec stamp;
            memcpy(&stamp, CMSG_DATA(control), sizeof stamp);
            return nanoseconds(&stamp);
        }
    return now_of(CLOCK_REALTIME);
}

static void received(uint32_t side, const struct sockaddr_in *source, const uint8_t *packet, uint32_t size, uint64_t at) {
    uint32_t endpoint = owner[side][ntohs(source->sin_port)];
    if (endpoint == NOBODY || size < 12 || targets[endpoint].address != ntohl(source->sin_addr.s_addr)) {
        strangers++;
        return;
    }
    uint32_t sender = endpoint ^ 1, round = (uint32_t)(uint16_t)((packet[2] << 8 | packet[3]) - plan.first_sequence);
    uint64_t number = (uint64_t)round * plan.endpoints + place[sender];
    if (round >= plan.rounds || number >= total) {
        strangers++;
        return;
    }
    if (!stamps[number]) {
        twice++;
        return;
    }
    struct phase *phase = phase_of(number);
    uint64_t delay = at > stamps[number] ? at - stamps[number] : 0;
    stamps[number] = 0;
    phase->heard[endpoint] = 1;
    phase->delays[phase->received++] = delay > UINT32_MAX ? UINT32_MAX : (uint32_t)delay;
    if (received_all++ % SAMPLE_EVERY == 0) {
        uint32_t head[3] = {sender, round, size};
        fwrite(head, sizeof head, 1, samples);
        fwrite(packet, size, 1, samples);
    }
}

/* Returns whether there may be more. */
static bool drain(uint32_t side) {
    static uint8_t room[BATCH][ROOM], control[BATCH][128];
    static struct sockaddr_in names[BATCH];
    static struct iovec vectors[BATCH];
    static struct mmsghdr headers[BATCH];
    for (int each = 0; each < BATCH; each++) {
        vectors[each] = (struct iovec){room[each], ROOM};
        headers[each].msg_hdr = (struct msghdr){.msg_name = &names[each],
                                                .msg_namelen = sizeof names[each],
                                                .msg_iov = &vectors[each],
                                                .msg_iovlen = 1,
                                                .msg_control = control[each],
                                                .msg_controllen = sizeof control[each]};
    }
    int count = recvmmsg(sockets[side], headers, BATCH, MSG_DONTWAIT, NULL);
    for (int each = 0; each < count; each++)
        received(side, &names[each], room[each], headers[each].msg_len, stamp_of(&headers[each].msg_hdr));
    return count == BATCH;
}

static void drain_both(void) {
    for (int turn = 0; turn < 16; turn++) { /* then sending has its turn again */
        bool more = drain(0), other = drain(1);
        if (!more && !other)
            return;
    }
}

static void wait_until(uint64_t when) {
    struct timespec until = {(time_t)(when / SECOND), (long)(when % SECOND)};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

static void run(void) {
    static struct outgoing both[2];
    uint64_t tick = plan.tick_us * 1000ull, number = 0, began = now_of(CLOCK_MONOTONIC), now = began;
    for (uint32_t each = 0; each < plan.phases; each++) {
        struct phase *phase = &phases[each];
        uint64_t sent = 0, over = began + (uint64_t)(phase->seconds * SECOND);
        while (sent < phase->count && now < over + TOO_LATE) {
            while ((now = now_of(CLOCK_MONOTONIC)) < began)
                wait_until(began);
            uint64_t due = (uint64_t)((double)(now - began) / SECOND * phase->rate) + 1, most = sent + 4 * BATCH;
            if (due > sent) {
                uint64_t behind = now - began - (uint64_t)((double)sent / phase->rate * SECOND);
                if (behind > phase->behind)
                    phase->behind = behind;
            }
            while (sent < due && sent < phase->count && sent < most) {
                send_one(both, number++);
                sent++;
            }
            for (int side = 0; side < 2; side++)
                if (both[side].count)
                    flush(&both[side], sockets[side]);
            drain_both();
            if (sent >= due && sent < phase->count)
                wait_until(now + tick);
        }
        phase->sent = sent;
        sent_all += sent;
        number = phase->first + phase->count;
        began = now > over ? now : over;
    }
    uint64_t end = now_of(CLOCK_MONOTONIC) + plan.settle_us * 1000ull;
    while ((now = now_of(CLOCK_MONOTONIC)) < end && received_all < sent_all) {
        drain_both();
        wait_until(now + SECOND / 1000);
    }
}

static int by_size(const void *one, const void *other) {
    uint32_t a = *(const uint32_t *)one, b = *(const uint32_t *)other;
    return (a > b) - (a < b);
}

static double at_share(const struct phase *phase, double share) {
    return phase->received ? phase->delays[(uint64_t)((double)(phase->received - 1) * share)] / 1e6 : 0;
}

static void report(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    double cpu = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) + (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
    for (uint32_t each = 0; each < plan.phases; each++) {
        struct phase *phase = &phases[each];
        uint32_t heard = 0;
        for (uint32_t endpoint = 0; endpoint < plan.endpoints; endpoint++)
            heard += phase->heard[endpoint];
        qsort(phase->delays, phase->received, sizeof *phase->delays, by_size);
        printf("{\"sent\": %llu, \"received\": %llu, \"heard\": %u, \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"max_ms\": %.3f, \"behind_ms\": %.3f, "
               "\"strangers\": %llu, \"twice\": %llu, \"generator_cpu\": %.3f}\n",
               (unsigned long long)phase->sent, (unsigned long long)phase->received, heard, at_share(phase, 0.5), at_share(phase, 0.99),
               at_share(phase, 1), (double)phase->behind / 1e6, (unsigned long long)strangers, (unsigned long long)twice, cpu);
    }
}

/* Before other work on this machine, where we may; see relays.prefer. */
static void prefer(void) {
    setpriority(PRIO_PROCESS, 0, -20);
    FILE *group = getsid(0) == getpid() ? fopen("/proc/self/autogroup", "w") : NULL;
    if (group) {
        fputs("-20", group);
        fclose(group);
    }
}

int main(int count, char **arguments) {
    if (count != 3) {
        fputs("packets PLAN SAMPLES\n", stderr);
        return 2;
    }
    read_plan(arguments[1]);
    samples = fopen(arguments[2], "wb");
    if (!samples)
        fail(arguments[2]);
    if (plan.cpu >= 0) {
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET((size_t)plan.cpu, &one);
        sched_setaffinity(0, sizeof one, &one);
    }
    prefer();
    prctl(PR_SET_TIMERSLACK, 1000ul, 0ul, 0ul, 0ul);
    for (int side = 0; side < 2; side++)
        sockets[side] = bound(plan.address[side], plan.port[side]);
    run();
    report();
    return fclose(samples) ? 1 : 0;
}
