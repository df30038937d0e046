/* media.native.core with the network and the time in a test's hands: all of the engine but its sockets' sendto and recvfrom, which
 * `drive_receive` stands for. For ctypes; one engine at a time. */

#include "arriving.h"
#include "worker.h"

#define MOST_SENT 64

struct sent {
    int descriptor;
    uint32_t size;
    union address destination;
    uint8_t packet[MAX_PACKET];
};

static struct sent sent[MOST_SENT];
static int count;
static struct engine *driven;

int start_engine(struct engine *engine, int workers, double sweep_every, double clock);
int drive_receive(uint64_t handle, int side, int rtcp, const uint8_t *packet, uint32_t size, const void *source);
int drive_watch(uint64_t handle);
void drive_listen(uint64_t handle);
int drive_heard(void);
int drive_sent(int which, int *side, int *rtcp, const uint8_t **packet, const void **destination);

static struct relay *find(uint64_t handle) { return relay_find(&driven->worker[0], handle & 0xFFFFFF, (uint32_t)(handle >> 32)); }

static struct relay *last;

int engine_start(struct engine *engine, int workers, double sweep_every, double clock) {
    driven = engine;
    return start_engine(engine, workers, sweep_every, clock);
}

static void note_sent(int descriptor, const uint8_t *packet, size_t size, const union address *destination) {
    CLAIM(count < MOST_SENT && size <= MAX_PACKET);
    sent[count] = (struct sent){.descriptor = descriptor, .size = (uint32_t)size, .destination = *destination};
    if (size)
        memcpy(sent[count].packet, packet, size);
    count++;
}

bool relay_send(const struct half *half, bool from_rtcp, const uint8_t *packet, size_t size, const union address *destination) {
    note_sent(from_rtcp ? half->rtcp : half->rtp, packet, size, destination);
    return true;
}

/* How many packets left. */
int drive_receive(uint64_t handle, int side, int rtcp, const uint8_t *packet, uint32_t size, const void *source) {
    worker_enter(&driven->worker[0]);
    last = find(handle);
    struct half *half = &last->side[side];
    struct datagram *datagram = datagram_of(packet, size, source);
    count = 0;
    (rtcp ? half_receive_rtcp : half_receive)(half, datagram, engine_now(driven));
    if (datagram->size) {
        note_sent(datagram->from_rtcp ? half->far->rtcp : half->far->rtp, datagram->packet, datagram->size, &datagram->address);
        half_sent(half->far, datagram);
    }
    free(datagram);
    worker_leave(&driven->worker[0]);
    return count;
}

int drive_watch(uint64_t handle) {
    worker_enter(&driven->worker[0]);
    last = find(handle);
    count = 0;
    for (int side = 0; side < 2; side++)
        half_watch(&last->side[side], engine_now(driven));
    worker_leave(&driven->worker[0]);
    return count;
}

/* From here on, until `drive_heard` says how many, what leaves because Python asked for it. */
void drive_listen(uint64_t handle) {
    last = find(handle);
    count = 0;
}

int drive_heard(void) { return count; }

/* The octets of a packet that left, and from where. */
int drive_sent(int which, int *side, int *rtcp, const uint8_t **packet, const void **destination) {
    const struct sent *one = &sent[which];
    *side = one->descriptor == last->side[1].rtp || one->descriptor == last->side[1].rtcp;
    *rtcp = one->descriptor == last->side[*side].rtcp;
    *packet = one->packet;
    *destination = &one->destination;
    return (int)one->size;
}
