/* Any octets as a frame that the XDP program handed over. What could be read of it is sent, with a VLAN tag and without, and reads as the same. */

#include "input.h"
#include "xdp/frame.h"

static void send_and_read(const struct datagram *datagram, bool six, uint16_t vlan) {
    struct flow flow = {.from_six = six, .from_port = 0x1234, .to_port = 0x5678, .traffic_class = 184};
    const struct hop hop = {.device = 1, .vlan = vlan, .mtu = 1500};
    struct handed handed;
    struct datagram again;
    memset(flow.from, 7, sizeof flow.from);
    memset(flow.to, 8, sizeof flow.to);
    uint8_t *frame = malloc(MOST_HEADERS + datagram->size);
    size_t size = frame_write(frame, &flow, &hop, datagram);
    CLAIM(size == 14 + (vlan ? 4 : 0) + (six ? 40 : 20) + 8 + datagram->size);
    CLAIM(vlan ? read16(frame + 12) == 0x8100 && read16(frame + 14) == vlan : read16(frame + 12) == (six ? 0x86DD : 0x0800));
    if (datagram->size >= 12) { /* shorter is nothing that the program hands over */
        CLAIM(frame_read(frame, size, &handed, &again));
        CLAIM(again.size == datagram->size && memcmp(again.packet, datagram->packet, again.size) == 0);
        CLAIM(again.address.any.sa_family == (six ? AF_INET6 : AF_INET) && again.address.in.sin_port == 0x1234);
        frame[size - 1] ^= 1;
        CLAIM(!frame_read(frame, size, &handed, &again));
    }
    free(frame);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct handed handed;
    struct datagram datagram;
    uint8_t *frame = copy_of(data, size, 0);
    if (frame_read(frame, size, &handed, &datagram)) {
        CLAIM(datagram.size <= MAX_PACKET + 1 && datagram.size + 42 <= size);
        send_and_read(&datagram, datagram.address.any.sa_family == AF_INET6, 0);
        send_and_read(&datagram, datagram.address.any.sa_family == AF_INET6, 7);
    }
    free(frame);
    return 0;
}
