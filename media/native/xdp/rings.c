#define _GNU_SOURCE
#include "rings.h"

#include <errno.h>
#include <linux/if_xdp.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <xdp/xsk.h>

#define FRAME 2048
/* Frames that wait to be filled. 2,048 were lost when the thread was not let run for a few milliseconds, 8,192 were not; many queues share. */
#define MOST_INCOMING 8192
#define LEAST_INCOMING 1024
#define OUTGOING 2048
#define MOST_TRIES 20
#define PAUSE 5000 /* microseconds */
#define MOST_EXPECTED 256 /* octets of a frame: 20 ms of G.711 with all headers */
#define MOST_KICKS 64 /* the kernel takes 32 frames at a time */

struct ring {
    struct xsk_umem *umem;
    struct xsk_socket *socket;
    struct xsk_ring_prod fill, out;
    struct xsk_ring_cons sent, in;
    uint8_t *frames;
    size_t size;
    uint32_t free_count;
    bool written; /* since the last flush */
    uint64_t free[OUTGOING];
};

static void give_to_fill(struct ring *ring, uint32_t count) {
    uint32_t first = 0;
    xsk_ring_prod__reserve(&ring->fill, count, &first);
    for (uint32_t each = 0; each < count; each++)
        *xsk_ring_prod__fill_addr(&ring->fill, first + each) = (uint64_t)each * FRAME;
    xsk_ring_prod__submit(&ring->fill, count);
}

struct ring *ring_open(const char *interface, int queue, int queues) {
    struct ring *ring = calloc(1, sizeof *ring);
    if (!ring)
        return NULL;
    uint32_t incoming = MOST_INCOMING;
    while (incoming > LEAST_INCOMING && incoming * (uint32_t)queues > MOST_INCOMING)
        incoming /= 2;
    const struct xsk_umem_config memory = {.fill_size = incoming, .comp_size = OUTGOING, .frame_size = FRAME};
    const struct xsk_socket_config config = {
        .rx_size = incoming, .tx_size = OUTGOING, .libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD, .bind_flags = XDP_USE_NEED_WAKEUP};
    ring->size = (size_t)(incoming + OUTGOING) * FRAME;
    ring->frames = mmap(NULL, ring->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int error = ring->frames == MAP_FAILED ? errno : 0;
    if (error) {
        free(ring);
        errno = error;
        return NULL;
    }
    madvise(ring->frames, ring->size, MADV_HUGEPAGE); /* every packet is in another page, if those are small */
    error = -xsk_umem__create(&ring->umem, ring->frames, ring->size, &ring->fill, &ring->sent, &memory);
    for (int tries = 0; !error && !ring->socket; tries++) {
        error = -xsk_socket__create(&ring->socket, interface, (uint32_t)queue, ring->umem, &ring->in, &ring->out, &config);
        if (error == EBUSY && tries < MOST_TRIES && usleep(PAUSE) == 0)
            error = 0; /* who had the queue before is gone, and the kernel not yet done with it */
    }
    if (error) {
        ring_close(ring);
        errno = error;
        return NULL;
    }
    for (uint64_t each = 0; each < OUTGOING; each++)
        ring->free[ring->free_count++] = (incoming + each) * FRAME;
    give_to_fill(ring, incoming);
    return ring;
}

void ring_close(struct ring *ring) {
    if (ring->socket)
        xsk_socket__delete(ring->socket);
    if (ring->umem)
        xsk_umem__delete(ring->umem);
    munmap(ring->frames, ring->size);
    free(ring);
}

int ring_descriptor(const struct ring *ring) { return xsk_socket__fd(ring->socket); }

/* Have frames brought near that another processor has written: only the first one is waited for. */
static void expect(const struct ring *ring, uint32_t first, uint32_t count) {
    for (uint32_t each = 0; each < count; each++) {
        const struct xdp_desc *found = xsk_ring_cons__rx_desc(&ring->in, first + each);
        for (uint32_t at = 0; at < found->len && at < MOST_EXPECTED; at += CACHE_LINE)
            __builtin_prefetch(ring->frames + found->addr + at);
    }
}

int ring_receive(struct ring *ring, struct datagram *datagrams, struct handed *of, int most) {
    uint32_t first, back = 0;
    int good = 0;
    uint32_t count = (uint32_t)xsk_ring_cons__peek(&ring->in, (uint32_t)most, &first);
    if (!count)
        return 0;
    expect(ring, first, count);
    xsk_ring_prod__reserve(&ring->fill, count, &back); /* there is room: every frame comes from there */
    for (uint32_t each = 0; each < count; each++) {
        const struct xdp_desc *found = xsk_ring_cons__rx_desc(&ring->in, first + each);
        good += frame_read(ring->frames + found->addr, found->len, &of[good], &datagrams[good]);
        *xsk_ring_prod__fill_addr(&ring->fill, back + each) = found->addr & ~(uint64_t)(FRAME - 1);
    }
    xsk_ring_prod__submit(&ring->fill, count);
    xsk_ring_cons__release(&ring->in, count);
    if (xsk_ring_prod__needs_wakeup(&ring->fill))
        recvfrom(ring_descriptor(ring), NULL, 0, MSG_DONTWAIT, NULL, NULL);
    return good;
}

static void take_back(struct ring *ring) {
    uint32_t first;
    uint32_t count = (uint32_t)xsk_ring_cons__peek(&ring->sent, OUTGOING, &first);
    for (uint32_t each = 0; each < count; each++)
        ring->free[ring->free_count++] = *xsk_ring_cons__comp_addr(&ring->sent, first + each);
    xsk_ring_cons__release(&ring->sent, count);
}

bool ring_send(struct ring *ring, const struct flow *flow, const struct hop *hop, const struct datagram *datagram) {
    uint32_t place;
    if (!ring->free_count)
        take_back(ring);
    if (!ring->free_count || MOST_HEADERS + datagram->size > FRAME || !xsk_ring_prod__reserve(&ring->out, 1, &place))
        return false;
    struct xdp_desc *made = xsk_ring_prod__tx_desc(&ring->out, place);
    made->addr = ring->free[--ring->free_count];
    made->len = (uint32_t)frame_write(ring->frames + made->addr, flow, hop, datagram);
    made->options = 0;
    xsk_ring_prod__submit(&ring->out, 1);
    ring->written = true;
    return true;
}

void ring_flush(struct ring *ring) {
    if (!ring->written)
        return;
    ring->written = false;
    for (int kicks = 0; kicks < MOST_KICKS && xsk_ring_prod__needs_wakeup(&ring->out); kicks++)
        if (sendto(ring_descriptor(ring), NULL, 0, MSG_DONTWAIT, NULL, 0) >= 0 || (errno != EAGAIN && errno != EINTR))
            break;
    take_back(ring);
}
