/* The XDP program: RTP of relays that have a place in the table is sent on, or handed to the engine by AF_XDP. Everything else, and
 * whatever is out of the ordinary, goes on to the stack and so to the relay's socket, where all rules are (relay.c). */

#include <stdbool.h>

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "../flow.h"

#define VLAN_TAG 4
#define MAX_OFFSET 63 /* more than any header of ours ever has before it; the kernel's verifier wants to see it */
#define VLAN_ID 0x0FFF
#define HOPS 64 /* of what we send, as the stack has it: the way of what came in is nobody's business beyond us */
#define DONT_FRAGMENT 0x4000
#define FRAGMENT 0x3FFF /* more fragments, or an offset */
#define MAX_PACKET 1500
#define RTP_HEADER 12
#define PADDING 0x20
#define NO_PAYLOAD_TYPE 0xFF
#define MAX_BLOCKS 24 /* of a datagram when its checksum is made */
#define BLOCK 64
#define LONGEST_GAP (1ull << 42) /* nanoseconds, an hour: no sum below overflows */
#define SECOND 1000000000ull

/* Our addresses, and by port what is there. Not one table of both: its entries would be memory to wait for, each in another place. */
struct {
    __uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
    __uint(max_entries, MAX_ADDRESSES);
    __uint(key_size, 16);
    __array(
        values, struct {
            __uint(type, BPF_MAP_TYPE_ARRAY);
            __uint(max_entries, MAX_PORTS);
            __uint(key_size, sizeof(__u32));
            __uint(value_size, sizeof(struct flow_place));
        });
} addresses SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, MAX_FLOWS);
    __type(key, __u32);
    __type(value, struct flow);
} flows SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, MAX_HOPS);
    __type(key, __u32);
    __type(value, struct hop);
} hops SEC(".maps");

/* Nanoseconds the engine's clock stands at; 0: it goes with the machine's. */
struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, __u64);
} stopped_clock SEC(".maps");

/* The AF_XDP sockets: those of an interface by queue, from its first one on. */
struct {
    __uint(type, BPF_MAP_TYPE_XSKMAP);
    __uint(max_entries, 1024);
    __type(key, __u32);
    __type(value, __u32);
} rings SEC(".maps");

/* By interface: how many queues it has, and where in `rings` the first one is. */
struct device_rings {
    __u32 first, count;
};
struct {
    __uint(type, BPF_MAP_TYPE_HASH);
    __uint(max_entries, 64);
    __type(key, __u32);
    __type(value, struct device_rings);
} devices SEC(".maps");

/* A datagram and where it was found. */
struct found {
    __u8 source[16], destination[16];
    __u16 source_port, destination_port;
    __u16 vlan;
    __u16 size; /* of the UDP datagram, with its header */
    __u8 six;
    __u32 offset; /* of the network header */
};

/* What of a flow is needed once its lock is given back. */
struct leaving {
    __u8 from[16], to[16];
    __u16 from_port, to_port;
    __u8 traffic_class, payload_type;
    struct hop hop;
};

static __always_inline __u64 now(void) {
    __u32 zero = 0;
    __u64 *stopped = bpf_map_lookup_elem(&stopped_clock, &zero);
    return stopped && *stopped ? *stopped : bpf_ktime_get_ns();
}

static __always_inline bool is_same(const void *one, const void *other) {
    const __u32 *a = one, *b = other;
    return a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[3] == b[3];
}

/* RFC 1071 */
static __always_inline __u16 folded(__u64 sum) {
    sum = (sum & 0xFFFFFFFF) + (sum >> 32);
    sum = (sum & 0xFFFF) + (sum >> 16);
    sum = (sum & 0xFFFF) + (sum >> 16);
    sum = (sum & 0xFFFF) + (sum >> 16);
    return (__u16)sum;
}

/* Of whole words, without the price of a call; the compiler sees how many there are. */
static __always_inline __u64 sum_words(const void *at, __u32 size) {
    const __u32 *word = at;
    __u64 sum = 0;
#pragma unroll
    for (__u32 each = 0; each < size / 4; each++)
        sum += word[each];
    return sum;
}

static __always_inline bool is_whole_ipv4(struct iphdr *ip, void *end, struct found *found) {
    if ((void *)(ip + 1) > end || ip->version != 4 || ip->ihl != 5 || ip->protocol != IPPROTO_UDP || ip->ttl == 0)
        return false;
    if (ip->frag_off & bpf_htons(FRAGMENT))
        return false;
    if (folded(sum_words(ip, sizeof *ip)) != 0xFFFF)
        return false;
    found->size = bpf_ntohs(ip->tot_len) - sizeof *ip;
    __builtin_memcpy(found->source, &ip->saddr, 4);
    __builtin_memcpy(found->destination, &ip->daddr, 4);
    return true;
}

static __always_inline bool is_whole_ipv6(struct ipv6hdr *ip, void *end, struct found *found) {
    if ((void *)(ip + 1) > end || ip->version != 6 || ip->nexthdr != IPPROTO_UDP || ip->hop_limit == 0)
        return false;
    found->size = bpf_ntohs(ip->payload_len);
    found->six = 1;
    __builtin_memcpy(found->source, &ip->saddr, 16);
    __builtin_memcpy(found->destination, &ip->daddr, 16);
    return true;
}

/* The UDP header of a datagram that is neither a fragment nor has options; NULL: there is none. */
static __always_inline struct udphdr *find_udp(void *start, void *end, struct found *found) {
    struct ethhdr *ethernet = start;
    if ((void *)(ethernet + 1) > end)
        return NULL;
    __u16 kind = ethernet->h_proto;
    found->offset = sizeof *ethernet;
    if (kind == bpf_htons(ETH_P_8021Q)) {
        __u16 *tag = (__u16 *)(ethernet + 1);
        if ((void *)(tag + 2) > end)
            return NULL;
        found->vlan = bpf_ntohs(tag[0]) & VLAN_ID;
        kind = tag[1];
        found->offset += VLAN_TAG;
    }
    void *network = start + found->offset;
    struct udphdr *udp;
    if (kind == bpf_htons(ETH_P_IP)) {
        if (!is_whole_ipv4(network, end, found))
            return NULL;
        udp = network + sizeof(struct iphdr);
    } else if (kind == bpf_htons(ETH_P_IPV6)) {
        if (!is_whole_ipv6(network, end, found))
            return NULL;
        udp = network + sizeof(struct ipv6hdr);
    } else {
        return NULL;
    }
    if ((void *)(udp + 1) > end || bpf_ntohs(udp->len) != found->size || found->size < sizeof *udp ||
        (void *)udp + found->size > end)
        return NULL;
    found->source_port = udp->source;
    found->destination_port = udp->dest;
    return udp;
}

/* The sum of `left` octets of the frame and `sum`, RFC 1071. A function of its own, which the kernel verifies once and not for every way
 * that leads here. */
__attribute__((noinline)) int sum_of(struct xdp_md *ctx, __u32 offset, __u32 left, __u32 blocks) {
    void *at = (void *)(long)ctx->data + (offset & MAX_OFFSET), *end = (void *)(long)ctx->data_end;
    __u64 sum = 0;
    for (int each = 0; each < MAX_BLOCKS; each++) {
        if (left < BLOCK || at + BLOCK > end)
            break;
        blocks = bpf_csum_diff(0, 0, at, BLOCK, blocks);
        at += BLOCK;
        left -= BLOCK;
    }
    for (int each = 0; each < BLOCK / 4; each++) {
        if (left < 4 || at + 4 > end)
            break;
        sum += *(__u32 *)at;
        at += 4;
        left -= 4;
    }
    if (left >= 2 && at + 2 <= end) {
        sum += *(__u16 *)at;
        at += 2;
        left -= 2;
    }
    if (left == 1 && at + 1 <= end) {
        sum += bpf_htons((__u16)(*(__u8 *)at << 8));
        left = 0;
    }
    return left == 0 ? folded(sum + blocks) : 0;
}

/* Whether the checksum is right; IPv4 may do without. */
static __always_inline bool is_intact(struct xdp_md *ctx, struct udphdr *udp, struct found *found) {
    if (!udp->check)
        return !found->six;
    __u64 sum = bpf_htons(IPPROTO_UDP) + bpf_htons(found->size);
    sum += sum_words(found->source, sizeof found->source) + sum_words(found->destination, sizeof found->destination);
    __u32 offset = found->offset + (found->six ? sizeof(struct ipv6hdr) : sizeof(struct iphdr));
    return sum_of(ctx, offset, found->size, folded(sum)) == 0xFFFF;
}

/* Whether header, CSRC list and extension lie inside: rtp_header of packet.c. */
static __always_inline bool has_whole_header(__u8 *packet, __u32 size, void *end) {
    if (size < RTP_HEADER || size > MAX_PACKET || (void *)(packet + RTP_HEADER) > end)
        return false;
    __u32 header = RTP_HEADER + 4 * (packet[0] & 0x0F);
    if (packet[0] & 0x10) {
        __u8 *extension = packet + header;
        if ((void *)(extension + 4) > end)
            return false;
        header += 4 + 4 * (extension[2] << 8 | extension[3]);
    }
    return header <= size;
}

/* To the socket, and with it all that comes until the engine has seen to it. */
static __always_inline int pass_in_order(struct flow *flow) {
    flow->passed_at = bpf_ktime_get_ns();
    __sync_fetch_and_add(&flow->passed, 1);
    return XDP_PASS;
}

/* RFC 3550 A.8 and the record of what was there, of a packet that is `ahead` of the highest. */
static __always_inline void count(struct arrivals *arrivals, __u32 ahead, __u32 timestamp, __u32 rate) {
    __u64 arrival = now();
    arrivals->highest += ahead;
    arrivals->loss_runs += ahead > 1;
    if (ahead < 64) {
        arrivals->seen[1] = arrivals->seen[1] << ahead | arrivals->seen[0] >> (64 - ahead);
        arrivals->seen[0] = arrivals->seen[0] << ahead | 1;
    } else {
        arrivals->seen[1] = ahead < 128 ? arrivals->seen[0] << (ahead - 64) : 0;
        arrivals->seen[0] = 1;
    }
    if (!rate)
        return;
    if (rate != arrivals->rate) {
        arrivals->rate = rate;
        arrivals->jitter = 0;
    } else if (timestamp == arrivals->timestamp) {
        return; /* of one telephone event: see packet.c */
    } else {
        __u64 gap = arrival - arrivals->arrival;
        if (gap > LONGEST_GAP)
            gap = LONGEST_GAP;
        __u64 ticks = gap * rate / SECOND, rest = gap * rate % SECOND;
        __s64 difference = (__s64)(__s32)((__u32)ticks - (timestamp - arrivals->timestamp)) * (1 << JITTER_SHIFT);
        difference += (rest << JITTER_SHIFT) / SECOND;
        if (difference < 0)
            difference = -difference;
        arrivals->jitter += (difference - arrivals->jitter + 8) >> 4;
    }
    arrivals->arrival = arrival;
    arrivals->timestamp = timestamp;
}

static __always_inline bool read_hop(__u32 index, struct hop *copy) {
    struct hop *hop = bpf_map_lookup_elem(&hops, &index);
    if (!hop)
        return false;
    __u32 version = *(volatile __u32 *)&hop->version;
    __builtin_memcpy(copy, hop, sizeof *copy);
    return !(version & 1) && version == *(volatile __u32 *)&hop->version && copy->device;
}

/* Under the lock: whether the packet is to be sent on, and if so all that is needed for it. What is left to the engine has changed nothing. */
static __always_inline int judge(struct flow *flow, __u8 *packet, struct found *found, __u32 generation, struct leaving *leaving) {
    if (flow->generation != generation || flow->mode != FLOW_FORWARD || flow->passed != flow->settled)
        return pass_in_order(flow);
    struct arrivals *arrivals = &flow->arrivals;
    __u32 type = packet[1] & 0x7F;
    __u32 ssrc = *(__u32 *)(packet + 8);
    __u16 ahead = bpf_ntohs(*(__u16 *)(packet + 2)) - (__u16)arrivals->highest;
    leaving->payload_type = flow->types[type].leaving;
    if (leaving->payload_type == NO_PAYLOAD_TYPE || (ssrc == arrivals->ssrc && (ahead == 0 || ahead > 0x10000 - MAX_MISORDER)))
        return XDP_PASS; /* not to be sent, or late or doubled: nothing waits for it */
    if (ssrc != arrivals->ssrc || ahead >= MAX_DROPOUT || !arrivals->started)
        return pass_in_order(flow);
    if (!read_hop(flow->hop, &leaving->hop) || found->size + (flow->six ? sizeof(struct ipv6hdr) : sizeof(struct iphdr)) > leaving->hop.mtu)
        return pass_in_order(flow);
    if (flow->allowance <= 0) {
        flow->over_rate++;
        return XDP_DROP;
    }
    flow->allowance--;
    flow->packets++;
    flow->octets += found->size - sizeof(struct udphdr);
    count(arrivals, ahead, bpf_ntohl(*(__u32 *)(packet + 4)), flow->rates[flow->types[type].clock & (MAX_CLOCKS - 1)]);
    __builtin_memcpy(leaving->from, flow->from, 16);
    __builtin_memcpy(leaving->to, flow->to, 16);
    leaving->from_port = flow->from_port;
    leaving->to_port = flow->to_port;
    leaving->traffic_class = flow->traffic_class;
    return XDP_TX;
}

/* What the checksum covers of what changes, inverted (RFC 1624: what was there is taken out as its complement). */
static __always_inline __u64 sum_inverted(const void *at, __u32 size) { return (size / 4) * 0xFFFFFFFFull - sum_words(at, size); }

static __always_inline void rewrite(struct udphdr *udp, __u8 *packet, struct found *found, struct leaving *leaving) {
    __u64 sum = (__u16)~udp->check;
    sum += sum_inverted(found->source, sizeof found->source) + sum_inverted(found->destination, sizeof found->destination);
    sum += sum_inverted(udp, 4) + sum_inverted(packet, 4); /* both ports */
    packet[1] = (packet[1] & 0x80) | leaving->payload_type;
    udp->source = leaving->from_port;
    udp->dest = leaving->to_port;
    if (!udp->check)
        return;
    sum += sum_words(leaving->from, sizeof leaving->from) + sum_words(leaving->to, sizeof leaving->to);
    sum += sum_words(udp, 4) + sum_words(packet, 4);
    __u16 check = ~folded(sum);
    udp->check = check ? check : 0xFFFF; /* 0 would say that there is none */
}

static __always_inline void rewrite_ipv4(struct iphdr *ip, struct leaving *leaving) {
    ip->tos = leaving->traffic_class;
    ip->id = 0;
    ip->frag_off = bpf_htons(DONT_FRAGMENT);
    ip->ttl = HOPS;
    __builtin_memcpy(&ip->saddr, leaving->from, 4);
    __builtin_memcpy(&ip->daddr, leaving->to, 4);
    ip->check = 0;
    ip->check = ~folded(sum_words(ip, sizeof *ip));
}

static __always_inline void rewrite_ipv6(struct ipv6hdr *ip, struct leaving *leaving) {
    *(__u32 *)ip = bpf_htonl(6u << 28 | (__u32)leaving->traffic_class << 20);
    ip->hop_limit = HOPS;
    __builtin_memcpy(&ip->saddr, leaving->from, 16);
    __builtin_memcpy(&ip->daddr, leaving->to, 16);
}

/* The Ethernet header anew, with or without a VLAN tag: -1, there is no room for one. */
static __always_inline int readdress(struct xdp_md *ctx, struct found *found, struct hop *hop) {
    int change = (int)found->offset - ETH_HLEN - (hop->vlan ? VLAN_TAG : 0);
    if (change && bpf_xdp_adjust_head(ctx, change) < 0)
        return -1;
    struct ethhdr *ethernet = (void *)(long)ctx->data;
    void *end = (void *)(long)ctx->data_end;
    __u16 kind = found->six ? bpf_htons(ETH_P_IPV6) : bpf_htons(ETH_P_IP);
    if ((void *)(ethernet + 1) > end)
        return -1;
    __builtin_memcpy(ethernet->h_dest, hop->to, ETH_ALEN);
    __builtin_memcpy(ethernet->h_source, hop->from, ETH_ALEN);
    ethernet->h_proto = kind;
    if (hop->vlan) {
        __u16 *tag = (__u16 *)(ethernet + 1);
        if ((void *)(tag + 2) > end)
            return -1;
        ethernet->h_proto = bpf_htons(ETH_P_8021Q);
        tag[0] = bpf_htons(hop->vlan);
        tag[1] = kind;
    }
    return 0;
}

static __always_inline int forward(struct xdp_md *ctx, struct flow *flow, struct udphdr *udp, __u8 *packet, struct found *found,
                                   __u32 generation) {
    struct leaving leaving;
    if (__sync_val_compare_and_swap(&flow->lock, LOCK_FREE, LOCK_PROGRAM) != LOCK_FREE)
        return pass_in_order(flow);
    int verdict = judge(flow, packet, found, generation, &leaving);
    __sync_lock_test_and_set(&flow->lock, LOCK_FREE);
    if (verdict != XDP_TX)
        return verdict;
    void *network = (void *)(long)ctx->data + (found->offset & MAX_OFFSET), *end = (void *)(long)ctx->data_end;
    rewrite(udp, packet, found, &leaving);
    if (found->six) {
        if (network + sizeof(struct ipv6hdr) > end)
            return XDP_DROP;
        rewrite_ipv6(network, &leaving);
    } else {
        if (network + sizeof(struct iphdr) > end)
            return XDP_DROP;
        rewrite_ipv4(network, &leaving);
    }
    if (readdress(ctx, found, &leaving.hop) < 0)
        return XDP_DROP;
    return leaving.hop.device == ctx->ingress_ifindex ? XDP_TX : bpf_redirect(leaving.hop.device, 0);
}

static __always_inline int hand_over(struct xdp_md *ctx, struct flow *flow, __u32 generation) {
    __u32 device = ctx->ingress_ifindex;
    struct device_rings *of = bpf_map_lookup_elem(&devices, &device);
    void *start = (void *)(long)ctx->data;
    if (flow->passed != flow->settled || !of || ctx->rx_queue_index >= of->count || start + ETH_HLEN > (void *)(long)ctx->data_end)
        return pass_in_order(flow);
    __u32 ring = of->first + ctx->rx_queue_index;
    if (!bpf_map_lookup_elem(&rings, &ring))
        return pass_in_order(flow);
    if (__sync_fetch_and_add(&flow->packets, 1) >= MOST_HANDED)
        return pass_in_order(flow);
    struct handed handed = {.relay = flow->relay, .worker = flow->worker, .side = flow->side};
    if (*(volatile __u32 *)&flow->generation != generation)
        return XDP_PASS;
    __builtin_memcpy(start, &handed, sizeof handed);
    return bpf_redirect_map(&rings, ring, XDP_DROP);
}

SEC("xdp") int sbc_relay(struct xdp_md *ctx) {
    void *start = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
    struct found found = {0};
    struct udphdr *udp = find_udp(start, end, &found);
    if (!udp)
        return XDP_PASS;
    void *ports = bpf_map_lookup_elem(&addresses, found.destination);
    if (!ports)
        return XDP_PASS;
    __u32 port = bpf_ntohs(found.destination_port);
    struct flow_place *place = bpf_map_lookup_elem(ports, &port);
    if (!place || !place->index)
        return XDP_PASS;
    __u32 index = place->index, generation = place->generation;
    struct flow *flow = bpf_map_lookup_elem(&flows, &index);
    if (!flow || flow->generation != generation || flow->device != ctx->ingress_ifindex || flow->vlan != found.vlan)
        return XDP_PASS;
    if (found.source_port != flow->source_port || !is_same(found.source, flow->source)) {
        if (!flow->strict)
            return XDP_PASS;
        if (!flow->shown) {
            flow->shown = 1;
            return XDP_PASS;
        }
        __sync_fetch_and_add(&flow->wrong_source, 1);
        return XDP_DROP;
    }
    __u8 *packet = (__u8 *)(udp + 1);
    __u32 size = found.size - sizeof *udp;
    if ((void *)(packet + RTP_HEADER) > end || (packet[0] & 0xC0) != 0x80 || (packet[1] >= 192 && packet[1] <= 223))
        return XDP_PASS; /* what else shares the port (RFC 7983, RFC 5761): the engine's */
    if (flow->mode == FLOW_USER)
        return hand_over(ctx, flow, generation);
    if (!has_whole_header(packet, size, end) || !is_intact(ctx, udp, &found))
        return XDP_PASS; /* to be counted and dropped */
    if (packet[0] & PADDING)
        return pass_in_order(flow);
    return forward(ctx, flow, udp, packet, &found, generation);
}
