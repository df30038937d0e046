/* Takes datagrams as long as speech off the wire, and lets everything else pass. What it took is counted by the driver (ethtool -S). */

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define SPEECH (20 + 8 + 172)

SEC("xdp") int sink(struct xdp_md *ctx) {
    struct ethhdr *ethernet = (void *)(long)ctx->data;
    struct iphdr *ip = (void *)(ethernet + 1);
    if ((void *)(ip + 1) > (void *)(long)ctx->data_end || ethernet->h_proto != bpf_htons(ETH_P_IP))
        return XDP_PASS;
    return ip->protocol == IPPROTO_UDP && bpf_ntohs(ip->tot_len) >= SPEECH ? XDP_DROP : XDP_PASS;
}
