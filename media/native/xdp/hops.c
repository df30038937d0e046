#define _GNU_SOURCE
#include "hops.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define BUCKETS 4096
#define NOBODY 0 /* the first place is never given out, and the end of every chain */
#define KNOWN (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT)
#define SETTLE 20 /* milliseconds after a change of routes before all are asked for: changes come in bunches */

/* One host we send to, as the kernel would. */
struct entry {
    uint8_t from[16], to[16], gateway[16];
    bool six;
    int device;
    uint32_t users, next;
};

struct hops {
    pthread_t thread;
    pthread_mutex_t lock;
    int asking, listening, stop;
    uint32_t sequence;
    struct hop *table;
    struct entry entries[MAX_HOPS];
    uint32_t buckets[BUCKETS];
    uint32_t free, used; /* chain of places given back; places never given out begin at `used` */
    struct device devices[MAX_DEVICES];
    int device_count;
    char answer[8192];
};

static int family_of(const struct entry *entry) { return entry->six ? AF_INET6 : AF_INET; }
static size_t length_of(const struct entry *entry) { return entry->six ? 16 : 4; }

/* rtnetlink */

struct request {
    struct nlmsghdr header;
    union {
        struct rtmsg route;
        struct ndmsg neighbour;
        struct ifinfomsg link;
    };
    char attributes[128];
};

static void add_attribute(struct request *request, int type, const void *data, size_t size) {
    struct rtattr *attribute = (void *)((char *)request + NLMSG_ALIGN(request->header.nlmsg_len));
    attribute->rta_type = (unsigned short)type;
    attribute->rta_len = (unsigned short)RTA_LENGTH(size);
    memcpy(RTA_DATA(attribute), data, size);
    request->header.nlmsg_len = (uint32_t)(NLMSG_ALIGN(request->header.nlmsg_len) + RTA_LENGTH(size));
}

/* The answer of that type; NULL: the kernel has none. */
static struct nlmsghdr *ask(struct hops *hops, struct request *request, int type) {
    request->header.nlmsg_flags |= NLM_F_REQUEST;
    request->header.nlmsg_seq = ++hops->sequence;
    if (send(hops->asking, request, request->header.nlmsg_len, 0) < 0)
        return NULL;
    for (;;) {
        ssize_t size = recv(hops->asking, hops->answer, sizeof hops->answer, 0);
        struct nlmsghdr *answer = (void *)hops->answer;
        if (size < 0 || !NLMSG_OK(answer, (size_t)size))
            return NULL;
        if (answer->nlmsg_seq == hops->sequence) /* else of a question whose answer came too late */
            return answer->nlmsg_type == type ? answer : NULL;
    }
}

static const struct rtattr *attribute_of(const struct rtattr *first, int left, int type) {
    for (const struct rtattr *each = first; RTA_OK(each, left); each = RTA_NEXT(each, left))
        if ((each->rta_type & NLA_TYPE_MASK) == type)
            return each;
    return NULL;
}

static int int_of(const struct rtattr *attribute) {
    int value = 0;
    if (attribute)
        memcpy(&value, RTA_DATA(attribute), sizeof value);
    return value;
}

static void read_vlan(const struct rtattr *information, struct device *device, int below) {
    const struct rtattr *first = RTA_DATA(information);
    int left = (int)RTA_PAYLOAD(information);
    const struct rtattr *kind = attribute_of(first, left, IFLA_INFO_KIND), *data = attribute_of(first, left, IFLA_INFO_DATA);
    if (!kind || strncmp(RTA_DATA(kind), "vlan", RTA_PAYLOAD(kind)) != 0 || !data)
        return;
    const struct rtattr *id = attribute_of(RTA_DATA(data), (int)RTA_PAYLOAD(data), IFLA_VLAN_ID);
    const struct rtattr *protocol = attribute_of(RTA_DATA(data), (int)RTA_PAYLOAD(data), IFLA_VLAN_PROTOCOL);
    uint16_t tag = 0;
    if (protocol)
        memcpy(&tag, RTA_DATA(protocol), sizeof tag);
    if (id && below && tag == htons(ETH_P_8021Q)) { /* not those of providers (802.1ad), whose tags are others */
        memcpy(&device->vlan, RTA_DATA(id), sizeof device->vlan);
        device->physical = below;
    }
}

static void read_link(const struct nlmsghdr *message, struct device *device) {
    const struct ifinfomsg *link = NLMSG_DATA(message);
    const struct rtattr *first = IFLA_RTA(link);
    int left = (int)IFLA_PAYLOAD(message);
    const struct rtattr *mac = attribute_of(first, left, IFLA_ADDRESS), *information = attribute_of(first, left, IFLA_LINKINFO);
    *device = (struct device){.index = link->ifi_index, .physical = link->ifi_index, .mtu = 1500};
    device->loopback = link->ifi_type == ARPHRD_LOOPBACK;
    device->up = link->ifi_flags & IFF_UP;
    int mtu = int_of(attribute_of(first, left, IFLA_MTU));
    if (mtu > 0)
        device->mtu = (uint16_t)(mtu < UINT16_MAX ? mtu : UINT16_MAX);
    if (mac && RTA_PAYLOAD(mac) == sizeof device->mac)
        memcpy(device->mac, RTA_DATA(mac), sizeof device->mac);
    if (information)
        read_vlan(information, device, int_of(attribute_of(first, left, IFLA_LINK)));
}

static bool ask_link(struct hops *hops, int index, struct device *device) {
    struct request request = {.header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)), .nlmsg_type = RTM_GETLINK}};
    request.link.ifi_index = index;
    const struct nlmsghdr *answer = ask(hops, &request, RTM_NEWLINK);
    if (answer)
        read_link(answer, device);
    return answer != NULL;
}

/* By which interface and gateway; interface 0: there is no way that a frame could take. */
static void ask_route(struct hops *hops, struct entry *entry) {
    struct request request = {.header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct rtmsg)), .nlmsg_type = RTM_GETROUTE}};
    size_t length = length_of(entry);
    request.route.rtm_family = (unsigned char)family_of(entry);
    request.route.rtm_dst_len = request.route.rtm_src_len = (unsigned char)(8 * length);
    request.route.rtm_tos = 0;
    add_attribute(&request, RTA_DST, entry->to, length);
    add_attribute(&request, RTA_SRC, entry->from, length);
    entry->device = 0;
    const struct nlmsghdr *answer = ask(hops, &request, RTM_NEWROUTE);
    if (!answer)
        return;
    const struct rtmsg *route = NLMSG_DATA(answer);
    int left = (int)RTM_PAYLOAD(answer);
    const struct rtattr *gateway = attribute_of(RTM_RTA(route), left, RTA_GATEWAY);
    if (route->rtm_type != RTN_UNICAST || attribute_of(RTM_RTA(route), left, RTA_VIA) || attribute_of(RTM_RTA(route), left, RTA_ENCAP))
        return; /* ours, refused, or by a gateway of the other family or a tunnel */
    memcpy(entry->gateway, entry->to, 16);
    if (gateway && RTA_PAYLOAD(gateway) == length)
        memcpy(entry->gateway, RTA_DATA(gateway), length);
    entry->device = int_of(attribute_of(RTM_RTA(route), left, RTA_OIF));
}

static struct request about_neighbour(const struct entry *entry, unsigned short type) {
    struct request request = {.header = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct ndmsg)), .nlmsg_type = type}};
    request.neighbour.ndm_family = (unsigned char)family_of(entry);
    request.neighbour.ndm_ifindex = entry->device;
    add_attribute(&request, NDA_DST, entry->gateway, length_of(entry));
    return request;
}

/* What is sent past the stack confirms nothing: let it ask a neighbour that it has doubts about, as it would if it sent by itself. */
static void have_asked(struct hops *hops, const struct entry *entry) {
    struct request request = about_neighbour(entry, RTM_NEWNEIGH);
    request.neighbour.ndm_flags = NTF_USE;
    request.header.nlmsg_flags = NLM_F_REQUEST;
    request.header.nlmsg_seq = ++hops->sequence;
    send(hops->asking, &request, request.header.nlmsg_len, 0); /* whether it could is seen by what becomes of the neighbour */
}

/* Where the program reads */

static const struct device *allowed(const struct hops *hops, int index) {
    for (int each = 0; each < hops->device_count; each++)
        if (hops->devices[each].index == index)
            return &hops->devices[each];
    return NULL;
}

bool hop_read(const struct hop *hop, struct hop *copy) {
    uint32_t version = __atomic_load_n(&hop->version, __ATOMIC_ACQUIRE);
    *copy = *hop;
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return !(version & 1) && version == __atomic_load_n(&hop->version, __ATOMIC_RELAXED) && copy->device;
}

/* `mac`: of the neighbour; NULL: not known. */
static void publish(struct hops *hops, const struct entry *entry, const void *mac) {
    struct hop *hop = &hops->table[entry - hops->entries];
    const struct device *device = mac ? allowed(hops, entry->device) : NULL;
    __atomic_add_fetch(&hop->version, 1, __ATOMIC_SEQ_CST);
    hop->device = device ? (uint32_t)device->physical : 0;
    if (device) {
        memcpy(hop->to, mac, sizeof hop->to);
        memcpy(hop->from, device->mac, sizeof hop->from);
        hop->vlan = device->vlan;
        hop->mtu = device->mtu;
    }
    __atomic_add_fetch(&hop->version, 1, __ATOMIC_SEQ_CST);
}

static const void *mac_of(const struct nlmsghdr *message) {
    const struct ndmsg *neighbour = NLMSG_DATA(message);
    int left = (int)(message->nlmsg_len - NLMSG_LENGTH(sizeof *neighbour));
    const struct rtattr *first = (const void *)((const char *)neighbour + NLMSG_ALIGN(sizeof *neighbour));
    const struct rtattr *mac = attribute_of(first, left, NDA_LLADDR);
    return mac && RTA_PAYLOAD(mac) == 6 && neighbour->ndm_state & KNOWN ? RTA_DATA(mac) : NULL;
}

static void resolve(struct hops *hops, struct entry *entry) {
    ask_route(hops, entry);
    if (!allowed(hops, entry->device)) {
        publish(hops, entry, NULL);
        return;
    }
    struct request request = about_neighbour(entry, RTM_GETNEIGH);
    const struct nlmsghdr *answer = ask(hops, &request, RTM_NEWNEIGH);
    publish(hops, entry, answer ? mac_of(answer) : NULL);
    if (answer && ((const struct ndmsg *)NLMSG_DATA(answer))->ndm_state & NUD_STALE)
        have_asked(hops, entry);
}

static void resolve_all(struct hops *hops) {
    for (uint32_t place = 1; place < hops->used; place++)
        if (hops->entries[place].users)
            resolve(hops, &hops->entries[place]);
}

/* What the kernel tells */

static void hear_neighbour(struct hops *hops, const struct nlmsghdr *message) {
    const struct ndmsg *neighbour = NLMSG_DATA(message);
    int left = (int)(message->nlmsg_len - NLMSG_LENGTH(sizeof *neighbour));
    const struct rtattr *first = (const void *)((const char *)neighbour + NLMSG_ALIGN(sizeof *neighbour));
    const struct rtattr *host = attribute_of(first, left, NDA_DST);
    const void *mac = message->nlmsg_type == RTM_NEWNEIGH ? mac_of(message) : NULL;
    bool doubted = mac && neighbour->ndm_state & NUD_STALE;
    for (uint32_t place = 1; host && place < hops->used; place++) {
        const struct entry *entry = &hops->entries[place];
        if (!entry->users || entry->device != neighbour->ndm_ifindex || family_of(entry) != neighbour->ndm_family ||
            RTA_PAYLOAD(host) != length_of(entry) || memcmp(RTA_DATA(host), entry->gateway, length_of(entry)) != 0)
            continue;
        publish(hops, entry, mac);
        if (doubted)
            have_asked(hops, entry);
        doubted = false;
    }
}

static void hear_link(struct hops *hops, const struct nlmsghdr *message) {
    struct device now;
    read_link(message, &now);
    for (int each = 0; each < hops->device_count; each++)
        if (hops->devices[each].index == now.index) {
            memcpy(hops->devices[each].mac, now.mac, sizeof now.mac);
            hops->devices[each].mtu = now.mtu;
        }
}

/* Whether routes may have changed. */
static bool hear(struct hops *hops, ssize_t size, const char *told) {
    bool changed = false;
    size_t left = (size_t)size;
    for (const struct nlmsghdr *message = (const void *)told; NLMSG_OK(message, left); message = NLMSG_NEXT(message, left)) {
        if (message->nlmsg_type == RTM_NEWNEIGH || message->nlmsg_type == RTM_DELNEIGH) {
            hear_neighbour(hops, message);
            continue;
        }
        if (message->nlmsg_type == RTM_NEWLINK)
            hear_link(hops, message);
        changed = true;
    }
    return changed;
}

static void *listen_to_kernel(void *argument) {
    struct hops *hops = argument;
    struct pollfd waiting[] = {{.fd = hops->listening, .events = POLLIN}, {.fd = hops->stop, .events = POLLIN}};
    char told[16384] __attribute__((aligned(8)));
    bool changed = false;
    pthread_setname_np(pthread_self(), "media-routes");
    for (;;) {
        int ready = poll(waiting, 2, changed ? SETTLE : -1);
        if (waiting[1].revents)
            return NULL;
        pthread_mutex_lock(&hops->lock);
        if (ready == 0) {
            resolve_all(hops);
            changed = false;
        } else {
            ssize_t size = recv(hops->listening, told, sizeof told, MSG_DONTWAIT);
            changed = size < 0 ? changed || errno == ENOBUFS : hear(hops, size, told) || changed;
        }
        pthread_mutex_unlock(&hops->lock);
    }
}

/* Beginning and end */

static int netlink(unsigned groups) {
    struct sockaddr_nl ours = {.nl_family = AF_NETLINK, .nl_groups = groups};
    struct timeval patience = {.tv_usec = 100000};
    int made = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (made >= 0 && (bind(made, (struct sockaddr *)&ours, sizeof ours) < 0 ||
                      setsockopt(made, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0)) {
        close(made);
        return -1;
    }
    return made;
}

struct hops *hops_new(struct hop *table) {
    struct hops *hops = calloc(1, sizeof *hops);
    if (!hops)
        return NULL;
    hops->table = table;
    hops->used = 1;
    pthread_mutex_init(&hops->lock, NULL);
    hops->asking = netlink(0);
    hops->listening = netlink(RTMGRP_NEIGH | RTMGRP_LINK | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR |
                              RTMGRP_IPV4_RULE);
    hops->stop = eventfd(0, EFD_CLOEXEC);
    int error = hops->asking < 0 || hops->listening < 0 || hops->stop < 0 ? errno : 0;
    if (!error)
        error = pthread_create(&hops->thread, NULL, listen_to_kernel, hops);
    if (!error)
        return hops;
    close(hops->asking);
    close(hops->listening);
    close(hops->stop);
    free(hops);
    errno = error;
    return NULL;
}

void hops_free(struct hops *hops) {
    eventfd_write(hops->stop, 1);
    pthread_join(hops->thread, NULL);
    close(hops->asking);
    close(hops->listening);
    close(hops->stop);
    pthread_mutex_destroy(&hops->lock);
    free(hops);
}

bool hops_device(struct hops *hops, int index, struct device *device) {
    pthread_mutex_lock(&hops->lock);
    bool found = ask_link(hops, index, device);
    pthread_mutex_unlock(&hops->lock);
    return found;
}

void hops_allow(struct hops *hops, const struct device *device) {
    pthread_mutex_lock(&hops->lock);
    if (!allowed(hops, device->index) && hops->device_count < MAX_DEVICES)
        hops->devices[hops->device_count++] = *device;
    resolve_all(hops);
    pthread_mutex_unlock(&hops->lock);
}

void hops_forget(struct hops *hops, int index) {
    pthread_mutex_lock(&hops->lock);
    for (int each = 0; each < hops->device_count; each++)
        if (hops->devices[each].index == index)
            hops->devices[each--] = hops->devices[--hops->device_count];
    resolve_all(hops);
    pthread_mutex_unlock(&hops->lock);
}

/* FNV-1a: hosts are chosen by who may call us, and a long chain costs a look at each of at most MAX_HOPS. */
static uint32_t *bucket_of(struct hops *hops, const struct entry *entry) {
    uint32_t hash = 2166136261u;
    for (size_t each = 0; each < 16; each++)
        hash = (hash ^ entry->to[each] ^ (uint32_t)entry->from[each] << 8) * 16777619u;
    return &hops->buckets[hash % BUCKETS];
}

static void fill(uint8_t octets[16], const union address *address) {
    if (address->any.sa_family == AF_INET6)
        memcpy(octets, &address->in6.sin6_addr, 16);
    else
        memcpy(octets, &address->in.sin_addr, 4);
}

uint32_t hops_take(struct hops *hops, const union address *from, const union address *to) {
    struct entry wanted = {.six = to->any.sa_family == AF_INET6, .users = 1};
    fill(wanted.from, from);
    fill(wanted.to, to);
    pthread_mutex_lock(&hops->lock);
    uint32_t *bucket = bucket_of(hops, &wanted), place = *bucket;
    while (place != NOBODY && (memcmp(hops->entries[place].to, wanted.to, 16) != 0 || hops->entries[place].six != wanted.six ||
                               memcmp(hops->entries[place].from, wanted.from, 16) != 0))
        place = hops->entries[place].next;
    if (place != NOBODY) {
        hops->entries[place].users++;
    } else if (hops->free != NOBODY || hops->used < MAX_HOPS) {
        place = hops->free != NOBODY ? hops->free : hops->used++;
        if (place == hops->free)
            hops->free = hops->entries[place].next;
        wanted.next = *bucket;
        hops->entries[place] = wanted;
        *bucket = place;
        resolve(hops, &hops->entries[place]);
    }
    pthread_mutex_unlock(&hops->lock);
    return place;
}

void hops_give(struct hops *hops, uint32_t place) {
    pthread_mutex_lock(&hops->lock);
    struct entry *entry = &hops->entries[place];
    if (--entry->users == 0) {
        uint32_t *at = bucket_of(hops, entry);
        while (*at != place)
            at = &hops->entries[*at].next;
        *at = entry->next;
        publish(hops, entry, NULL);
        entry->next = hops->free;
        hops->free = place;
    }
    pthread_mutex_unlock(&hops->lock);
}
