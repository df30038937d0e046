#define _GNU_SOURCE
#include "tier.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ports.h"

extern const char xdp_program[], xdp_program_end[];

/* An address of ours, and where it is. One that was left stays while relays are open at it: they go on when it is used again. */
struct place {
    union address address;
    struct device device;
    struct port *port; /* NULL: it was left */
    int flows;         /* the program's table of its ports, */
    int open;          /* and how many flows there are */
};

/* In the program's `devices`. */
struct device_rings {
    __u32 first, count;
};

struct xdp {
    struct tier tier;
    struct bpf_object *object;
    int program, addresses, devices, rings;
    struct flow *flows;
    struct hop *hop_table;
    uint64_t *stopped_clock;
    size_t sizes[3]; /* of those three */
    struct hops *hops;
    pthread_mutex_t lock; /* of what follows; `hops` has its own, taken after this one */
    int place_count, port_count, threads;
    struct place places[MAX_ADDRESSES];
    struct port *ports[MAX_DEVICES];
    int *epolls; /* by thread */
    uint32_t free_count;
    uint32_t free[MAX_FLOWS];
};

static bool same_host(const union address *one, const union address *other) {
    if (one->any.sa_family != other->any.sa_family)
        return false;
    return one->any.sa_family == AF_INET ? one->in.sin_addr.s_addr == other->in.sin_addr.s_addr
                                         : memcmp(&one->in6.sin6_addr, &other->in6.sin6_addr, sizeof one->in6.sin6_addr) == 0;
}

static void octets_of(const union address *address, uint8_t octets[16]) {
    memset(octets, 0, 16);
    if (address->any.sa_family == AF_INET6)
        memcpy(octets, &address->in6.sin6_addr, sizeof address->in6.sin6_addr);
    else
        memcpy(octets, &address->in.sin_addr, sizeof address->in.sin_addr);
}

static struct place *known_place(struct xdp *xdp, const union address *address) {
    for (int each = 0; each < xdp->place_count; each++)
        if (same_host(&xdp->places[each].address, address))
            return &xdp->places[each];
    return NULL;
}

static struct place *place_of(struct xdp *xdp, const union address *address) {
    struct place *place = known_place(xdp, address);
    return place && place->port ? place : NULL;
}

/* Unless somebody has to do with it. */
static void forget_place(struct xdp *xdp, struct place *place) {
    uint8_t octets[16];
    if (place->port || place->open)
        return;
    octets_of(&place->address, octets);
    bpf_map_delete_elem(xdp->addresses, octets);
    close(place->flows);
    *place = xdp->places[--xdp->place_count];
}

/* Flows */

/* What the program finds at the port of `local`. */
static bool show(struct xdp *xdp, const union address *local, struct flow_place flow) {
    const uint32_t port = ntohs(local->in.sin_port); /* where in6 has it, too */
    pthread_mutex_lock(&xdp->lock);
    const struct place *place = known_place(xdp, local);
    bool shown = place && bpf_map_update_elem(place->flows, &port, &flow, BPF_ANY) == 0;
    pthread_mutex_unlock(&xdp->lock);
    return shown;
}

static struct flow *flow_open(void *self, enum flow_mode mode, const union address *local, const union address *from, const union address *to) {
    struct xdp *xdp = self;
    struct flow *flow = NULL;
    pthread_mutex_lock(&xdp->lock);
    struct place *place = place_of(xdp, local);
    if (place && place_of(xdp, from) && xdp->free_count && (mode == FLOW_FORWARD || place->port->ring_count)) {
        flow = &xdp->flows[xdp->free[--xdp->free_count]];
        flow->device = (uint32_t)place->device.physical;
        flow->vlan = place->device.vlan;
        place->open++;
    }
    pthread_mutex_unlock(&xdp->lock);
    if (!flow)
        return NULL;
    flow->mode = mode;
    flow->hop = hops_take(xdp->hops, from, to);
    return flow;
}

static bool flow_publish(void *self, struct flow *flow, const union address *local) {
    struct xdp *xdp = self;
    return show(xdp, local, (struct flow_place){(uint32_t)(flow - xdp->flows), flow->generation});
}

static void flow_close(void *self, struct flow *flow, const union address *local) {
    struct xdp *xdp = self;
    show(xdp, local, (struct flow_place){0});
    flow->mode = FLOW_NONE;
    flow->generation++;
    if (flow->hop)
        hops_give(xdp->hops, flow->hop);
    pthread_mutex_lock(&xdp->lock);
    xdp->free[xdp->free_count++] = (uint32_t)(flow - xdp->flows);
    struct place *place = known_place(xdp, local);
    place->open--; /* it is there as long as this is not 0 */
    forget_place(xdp, place);
    pthread_mutex_unlock(&xdp->lock);
}

struct flow_counts xdp_count(const struct xdp *xdp) {
    struct flow_counts counts = {0};
    for (const struct flow *flow = xdp->flows; flow < xdp->flows + MAX_FLOWS; flow++) {
        counts.forwarded += flow->mode == FLOW_FORWARD;
        counts.handed += flow->mode == FLOW_USER;
        counts.waiting += flow->mode != FLOW_NONE && flow->passed != flow->settled;
    }
    return counts;
}

/* Rings: queue by queue, the threads take turns */

static int descriptor(void *self, int thread) { return ((struct xdp *)self)->epolls[thread]; }

/* Out of the epoll altogether: as long as anybody waits, for whatever, the kernel goes to see who it is at every packet, in and out. */
static void watch(void *self, int thread, bool told) {
    struct xdp *xdp = self;
    struct epoll_event event = {.events = EPOLLIN};
    pthread_mutex_lock(&xdp->lock);
    for (int each = 0; each < xdp->port_count; each++)
        for (int queue = thread; queue < xdp->ports[each]->ring_count; queue += xdp->threads)
            epoll_ctl(xdp->epolls[thread], told ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, ring_descriptor(xdp->ports[each]->rings[queue]), &event);
    pthread_mutex_unlock(&xdp->lock);
}

static int receive(void *self, int thread, struct datagram *datagrams, struct handed *of, int most) {
    struct xdp *xdp = self;
    int count = 0;
    pthread_mutex_lock(&xdp->lock);
    for (int each = 0; each < xdp->port_count; each++)
        for (int queue = thread; queue < xdp->ports[each]->ring_count && count < most; queue += xdp->threads)
            count += ring_receive(xdp->ports[each]->rings[queue], datagrams + count, of + count, most - count);
    pthread_mutex_unlock(&xdp->lock);
    return count;
}

static bool send_out(void *self, int thread, const struct flow *flow, const struct datagram *datagram) {
    struct xdp *xdp = self;
    struct hop hop;
    bool sent = false;
    size_t headers = sizeof(struct udphdr) + (flow->from_six ? sizeof(struct ip6_hdr) : sizeof(struct ip));
    if (datagram->from_rtcp || !hop_read(&xdp->hop_table[flow->hop], &hop) || headers + datagram->size > hop.mtu)
        return false;
    pthread_mutex_lock(&xdp->lock);
    for (int each = 0; each < xdp->port_count; each++)
        if (xdp->ports[each]->index == (int)hop.device && xdp->ports[each]->ring_count > thread)
            sent = ring_send(xdp->ports[each]->rings[thread], flow, &hop, datagram);
    pthread_mutex_unlock(&xdp->lock);
    return sent;
}

static void flush(void *self, int thread) {
    struct xdp *xdp = self;
    pthread_mutex_lock(&xdp->lock);
    for (int each = 0; each < xdp->port_count; each++)
        if (xdp->ports[each]->ring_count > thread)
            ring_flush(xdp->ports[each]->rings[thread]);
    pthread_mutex_unlock(&xdp->lock);
}

/* Interfaces */

static bool find_device(struct xdp *xdp, const union address *address, struct device *device, struct problem *problem) {
    struct ifaddrs *all;
    unsigned index = 0;
    if (getifaddrs(&all) < 0)
        return fail(problem, errno, "the interfaces cannot be listed: %s", strerror(errno));
    for (const struct ifaddrs *each = all; each; each = each->ifa_next)
        if (each->ifa_addr && same_host((const union address *)each->ifa_addr, address))
            index = if_nametoindex(each->ifa_name);
    freeifaddrs(all);
    if (!index || !hops_device(xdp->hops, (int)index, device))
        return fail(problem, ENODEV, "no interface has the address");
    return true;
}

bool xdp_probe(struct xdp *xdp, const union address *address, struct attachment *attachment, struct problem *problem) {
    struct device device;
    return find_device(xdp, address, &device, problem) && port_probe(&device, false, attachment, problem);
}

static struct port *port_at(struct xdp *xdp, int index) {
    for (int each = 0; each < xdp->port_count; each++)
        if (xdp->ports[each]->index == index)
            return xdp->ports[each];
    return NULL;
}

/* The rings of each port lie one behind the other in the program's table, MAX_QUEUES apart. */
static int free_rings(struct xdp *xdp) {
    int first = 0;
    for (int each = 0; each < xdp->port_count; each++)
        if (xdp->ports[each]->first_ring == first) {
            first += MAX_QUEUES;
            each = -1;
        }
    return first;
}

static void show_rings(struct xdp *xdp, struct port *port) {
    const struct device_rings place = {(__u32)port->first_ring, (__u32)port->ring_count};
    for (int queue = 0; queue < port->ring_count; queue++) {
        struct epoll_event event = {.events = EPOLLIN};
        int place_of_ring = port->first_ring + queue, shown = ring_descriptor(port->rings[queue]);
        bpf_map_update_elem(xdp->rings, &place_of_ring, &shown, BPF_ANY);
        epoll_ctl(xdp->epolls[queue % xdp->threads], EPOLL_CTL_ADD, shown, &event);
    }
    bpf_map_update_elem(xdp->devices, &port->index, &place, BPF_ANY);
}

static struct port *add_port(struct xdp *xdp, const struct device *device, bool native_pairs, struct problem *problem) {
    struct port *port = xdp->port_count < MAX_DEVICES ? calloc(1, sizeof *port) : NULL;
    if (!port) {
        fail(problem, ENOMEM, "there are %d interfaces already", xdp->port_count);
        return NULL;
    }
    if (!port_open(port, device, native_pairs, xdp->program, problem)) {
        free(port);
        return NULL;
    }
    port->first_ring = free_rings(xdp);
    port_open_rings(port);
    show_rings(xdp, port);
    xdp->ports[xdp->port_count++] = port;
    return port;
}

static void remove_port(struct xdp *xdp, struct port *port) {
    int at = 0;
    while (xdp->ports[at] != port)
        at++;
    xdp->ports[at] = xdp->ports[--xdp->port_count];
    bpf_map_delete_elem(xdp->devices, &port->index);
    port_close(port);
    free(port);
}

/* With an empty table of ports, unless it was one of ours before; NULL: there are too many. */
static struct place *add_place(struct xdp *xdp, const union address *address, struct problem *problem) {
    struct place *place = known_place(xdp, address);
    if (place)
        return place;
    if (xdp->place_count == MAX_ADDRESSES) {
        fail(problem, ENOSPC, "there are %d addresses already", MAX_ADDRESSES);
        return NULL;
    }
    uint8_t octets[16];
    octets_of(address, octets);
    int flows = bpf_map_create(BPF_MAP_TYPE_ARRAY, "ports", sizeof(uint32_t), sizeof(struct flow_place), MAX_PORTS, NULL);
    if (flows < 0 || bpf_map_update_elem(xdp->addresses, octets, &flows, BPF_ANY) < 0) {
        fail(problem, errno, "no table for the ports: %s", strerror(errno));
        if (flows >= 0)
            close(flows);
        return NULL;
    }
    place = &xdp->places[xdp->place_count++];
    *place = (struct place){.address = *address, .flows = flows};
    return place;
}

bool xdp_attach(struct xdp *xdp, const union address *address, bool native_pairs, struct attachment *attachment, struct problem *problem) {
    struct device device;
    if (!find_device(xdp, address, &device, problem))
        return false;
    pthread_mutex_lock(&xdp->lock);
    struct place *place = add_place(xdp, address, problem);
    struct port *port = place ? port_at(xdp, device.physical) : NULL;
    if (place && !port)
        port = add_port(xdp, &device, native_pairs, problem);
    if (port) {
        place->device = device;
        place->port = port;
        *attachment = port->attachment;
    } else if (place) {
        forget_place(xdp, place);
    }
    pthread_mutex_unlock(&xdp->lock);
    if (port)
        hops_allow(xdp->hops, &device);
    return port != NULL;
}

void xdp_detach(struct xdp *xdp, const union address *address) {
    pthread_mutex_lock(&xdp->lock);
    struct place *place = place_of(xdp, address);
    struct port *port = place ? place->port : NULL;
    int index = place ? place->device.index : 0;
    bool device_used = false, port_used = false;
    if (place)
        place->port = NULL;
    for (int each = 0; each < xdp->place_count; each++) {
        device_used |= xdp->places[each].port && xdp->places[each].device.index == index;
        port_used |= xdp->places[each].port == port;
    }
    if (port && !port_used)
        remove_port(xdp, port);
    if (place)
        forget_place(xdp, place);
    pthread_mutex_unlock(&xdp->lock);
    if (port && !device_used)
        hops_forget(xdp->hops, index);
}

/* Beginning and end */

static void *table_of(const struct xdp *xdp, const char *name, size_t *size) {
    const struct bpf_map *map = bpf_object__find_map_by_name(xdp->object, name);
    size_t value = ((size_t)bpf_map__value_size(map) + 7) / 8 * 8, page = (size_t)sysconf(_SC_PAGESIZE);
    *size = (value * bpf_map__max_entries(map) + page - 1) / page * page;
    void *at = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);
    return at == MAP_FAILED ? NULL : at;
}

static int map_of(const struct xdp *xdp, const char *name) { return bpf_map__fd(bpf_object__find_map_by_name(xdp->object, name)); }

static bool load(struct xdp *xdp, struct problem *problem) {
    libbpf_set_print(NULL);
    xdp->object = bpf_object__open_mem(xdp_program, (size_t)(xdp_program_end - xdp_program), NULL);
    if (!xdp->object)
        return fail(problem, errno, "the XDP program cannot be read: %s", strerror(errno));
    if (bpf_object__load(xdp->object) < 0)
        return errno == EPERM ? fail(problem, EPERM, "XDP needs root, or the capabilities NET_ADMIN, NET_RAW, BPF and PERFMON")
                              : fail(problem, errno, "the kernel refuses the XDP program: %s", strerror(errno));
    xdp->program = bpf_program__fd(bpf_object__find_program_by_name(xdp->object, "sbc_relay"));
    xdp->addresses = map_of(xdp, "addresses");
    xdp->devices = map_of(xdp, "devices");
    xdp->rings = map_of(xdp, "rings");
    xdp->flows = table_of(xdp, "flows", &xdp->sizes[0]);
    xdp->hop_table = table_of(xdp, "hops", &xdp->sizes[1]);
    xdp->stopped_clock = table_of(xdp, "stopped_clock", &xdp->sizes[2]);
    if (!xdp->flows || !xdp->hop_table || !xdp->stopped_clock)
        return fail(problem, errno, "no memory for the tables of XDP");
    xdp->hops = hops_new(xdp->hop_table);
    return xdp->hops || fail(problem, errno, "rtnetlink: %s", strerror(errno));
}

static bool open_epolls(struct xdp *xdp, int threads, struct problem *problem) {
    xdp->epolls = calloc((size_t)threads, sizeof *xdp->epolls);
    while (xdp->epolls && xdp->threads < threads && (xdp->epolls[xdp->threads] = epoll_create1(EPOLL_CLOEXEC)) >= 0)
        xdp->threads++;
    return xdp->threads == threads || fail(problem, errno, "AF_XDP: %s", strerror(errno));
}

struct xdp *xdp_new(int threads, bool forwards, struct problem *problem) {
    struct xdp *xdp = calloc(1, sizeof *xdp);
    if (!xdp) {
        fail(problem, ENOMEM, "no memory for XDP");
        return NULL;
    }
    pthread_mutex_init(&xdp->lock, NULL);
    if (!open_epolls(xdp, threads, problem) || !load(xdp, problem)) {
        xdp_free(xdp);
        return NULL;
    }
    while (xdp->free_count < MAX_FLOWS - 1) { /* all but 0 */
        xdp->free[xdp->free_count] = MAX_FLOWS - 1 - xdp->free_count;
        xdp->free_count++;
    }
    xdp->tier = (struct tier){.self = xdp,
                              .stopped_clock = xdp->stopped_clock,
                              .forwards = forwards,
                              .flow_open = flow_open,
                              .flow_publish = flow_publish,
                              .flow_close = flow_close,
                              .descriptor = descriptor,
                              .watch = watch,
                              .receive = receive,
                              .send = send_out,
                              .flush = flush};
    return xdp;
}

const struct tier *xdp_tier(const struct xdp *xdp) { return &xdp->tier; }

void xdp_free(struct xdp *xdp) {
    while (xdp->port_count)
        remove_port(xdp, xdp->ports[0]);
    while (xdp->place_count)
        close(xdp->places[--xdp->place_count].flows);
    if (xdp->hops)
        hops_free(xdp->hops);
    void *tables[] = {xdp->flows, xdp->hop_table, xdp->stopped_clock};
    for (int each = 0; each < 3; each++)
        if (tables[each])
            munmap(tables[each], xdp->sizes[each]);
    if (xdp->object)
        bpf_object__close(xdp->object);
    while (xdp->threads)
        close(xdp->epolls[--xdp->threads]);
    free(xdp->epolls);
    pthread_mutex_destroy(&xdp->lock);
    free(xdp);
}
