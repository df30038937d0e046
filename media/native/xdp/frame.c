#include "frame.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>
#include <string.h>

#define ADDRESSES 12 /* octets of the two of Ethernet */
#define VLAN_TAG 4
#define HOPS 64 /* as the stack has it */
#define LEAST (ADDRESSES + 2 + VLAN_TAG + sizeof(struct ip) + sizeof(struct udphdr)) /* RTP is longer than a tag */

/* RFC 1071 */
static uint64_t sum_of(const void *octets, size_t size, uint64_t sum) {
    const uint8_t *at = octets;
    for (; size >= 8; size -= 8, at += 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        sum += word;
        sum += sum < word; /* what is carried out comes in again */
    }
    uint64_t rest = 0;
    memcpy(&rest, at, size);
    sum += rest;
    return sum + (sum < rest);
}

static uint16_t checksum(uint64_t sum) {
    while (sum >> 16)
        sum = (sum & 0xFFFF) + (sum >> 16);
    return (uint16_t)~sum;
}

static uint64_t pseudo_header(const void *addresses, size_t size, size_t datagram) {
    return sum_of(addresses, size, (uint64_t)htons(IPPROTO_UDP) + htons((uint16_t)datagram));
}

bool frame_read(const uint8_t *frame, size_t size, struct handed *handed, struct datagram *datagram) {
    size_t at = ADDRESSES + 2;
    if (size < LEAST) /* never handed over */
        return false;
    memcpy(handed, frame, sizeof *handed);
    if (frame[ADDRESSES] == ETH_P_8021Q >> 8 && frame[ADDRESSES + 1] == (ETH_P_8021Q & 0xFF))
        at += VLAN_TAG;
    bool six = frame[at] >> 4 == 6;
    const uint8_t *addresses = frame + at + (six ? offsetof(struct ip6_hdr, ip6_src) : offsetof(struct ip, ip_src));
    size_t length = six ? 16 : 4;
    at += six ? sizeof(struct ip6_hdr) : sizeof(struct ip);
    struct udphdr udp;
    if (at + sizeof udp > size)
        return false;
    memcpy(&udp, frame + at, sizeof udp);
    size_t whole = ntohs(udp.uh_ulen);
    if (whole < sizeof udp || at + whole > size || whole - sizeof udp > MAX_PACKET + 1)
        return false;
    if (udp.uh_sum ? checksum(sum_of(frame + at, whole, pseudo_header(addresses, 2 * length, whole))) != 0 : six)
        return false;
    memset(&datagram->address, 0, sizeof datagram->address);
    datagram->address.any.sa_family = six ? AF_INET6 : AF_INET;
    datagram->address.in.sin_port = udp.uh_sport; /* where in6 has it, too */
    if (six)
        memcpy(&datagram->address.in6.sin6_addr, addresses, length);
    else
        memcpy(&datagram->address.in.sin_addr, addresses, length);
    datagram->size = whole - sizeof udp;
    memcpy(datagram->packet, frame + at + sizeof udp, datagram->size);
    return true;
}

static size_t write_ethernet(uint8_t *frame, const struct flow *flow, const struct hop *hop) {
    uint8_t *at = frame + ADDRESSES;
    memcpy(frame, hop->to, sizeof hop->to);
    memcpy(frame + sizeof hop->to, hop->from, sizeof hop->from);
    if (hop->vlan) {
        write16(at, ETH_P_8021Q);
        write16(at + 2, hop->vlan);
        at += VLAN_TAG;
    }
    write16(at, flow->from_six ? ETH_P_IPV6 : ETH_P_IP);
    return (size_t)(at + 2 - frame);
}

static size_t write_ipv4(uint8_t *at, const struct flow *flow, size_t payload) {
    struct ip ip = {.ip_v = 4, .ip_hl = sizeof ip / 4, .ip_tos = flow->traffic_class, .ip_off = htons(IP_DF), .ip_ttl = HOPS, .ip_p = IPPROTO_UDP};
    ip.ip_len = htons((uint16_t)(sizeof ip + payload));
    memcpy(&ip.ip_src, flow->from, sizeof ip.ip_src);
    memcpy(&ip.ip_dst, flow->to, sizeof ip.ip_dst);
    ip.ip_sum = checksum(sum_of(&ip, sizeof ip, 0));
    memcpy(at, &ip, sizeof ip);
    return sizeof ip;
}

static size_t write_ipv6(uint8_t *at, const struct flow *flow, size_t payload) {
    struct ip6_hdr ip = {0};
    ip.ip6_flow = htonl(6u << 28 | (uint32_t)flow->traffic_class << 20);
    ip.ip6_plen = htons((uint16_t)payload);
    ip.ip6_nxt = IPPROTO_UDP;
    ip.ip6_hlim = HOPS;
    memcpy(&ip.ip6_src, flow->from, sizeof ip.ip6_src);
    memcpy(&ip.ip6_dst, flow->to, sizeof ip.ip6_dst);
    memcpy(at, &ip, sizeof ip);
    return sizeof ip;
}

size_t frame_write(uint8_t *frame, const struct flow *flow, const struct hop *hop, const struct datagram *datagram) {
    struct udphdr udp = {.uh_sport = flow->from_port, .uh_dport = flow->to_port};
    size_t whole = sizeof udp + datagram->size, at = write_ethernet(frame, flow, hop);
    at += flow->from_six ? write_ipv6(frame + at, flow, whole) : write_ipv4(frame + at, flow, whole);
    udp.uh_ulen = htons((uint16_t)whole);
    memcpy(frame + at + sizeof udp, datagram->packet, datagram->size);
    memcpy(frame + at, &udp, sizeof udp);
    size_t length = flow->from_six ? 16 : 4;
    udp.uh_sum = checksum(sum_of(frame + at, whole, sum_of(flow->to, length, pseudo_header(flow->from, length, whole))));
    if (!udp.uh_sum)
        udp.uh_sum = 0xFFFF; /* 0 would say that there is none */
    memcpy(frame + at, &udp, sizeof udp);
    return at + whole;
}
