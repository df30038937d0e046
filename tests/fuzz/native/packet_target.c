/* Any octets to all that reads packets: nothing beyond them is read, and what is said of them fits. The same octets, as numbers of
 * packets that arrive, to the figures of reception. */

#include <math.h>

#include "input.h"
#include "packet.h"

static void read_packet(const uint8_t *data, size_t size) {
    uint8_t *packet = copy_of(data, size, 0);
    size_t header = rtp_header(packet, size);
    CLAIM(header == 0 || (header >= RTP_HEADER && header <= size && size <= MAX_PACKET && packet[0] >> 6 == 2));
    if (header && padding_fits(packet, size, header))
        CLAIM(packet[size - 1] <= size - header && header < size);
    if (starts_like_rtcp(packet, size))
        CLAIM(size >= RTCP_HEADER && size <= MAX_PACKET);
    if (well_formed_rtcp(packet, size))
        CLAIM(size >= 4 && size % 4 == 0);
    if (well_formed_udptl(packet, size))
        CLAIM(size > 3 && size <= MAX_PACKET);
    free(packet);
}

static void count_packets(struct input input) {
    static const uint32_t RATES[] = {0, 8000, 48000, 90000, 1, UINT32_MAX};
    struct reception reception = {0};
    uint8_t packet[RTP_HEADER] = {0x80};
    uint16_t sequence = take16(&input);
    uint32_t timestamp = 0;
    double arrival = 1000;
    bool old = take8(&input) & 1;
    for (int counted = 0; input.left; counted++) {
        uint8_t how = take8(&input);
        sequence = (uint16_t)(sequence + (how & 1 ? take16(&input) : 1));
        timestamp += how & 2 ? (uint32_t)take16(&input) << 16 | take16(&input) : 160;
        arrival += how & 4 ? take16(&input) / 1000.0 : 0.02;
        write16(packet + 2, sequence);
        write32(packet + 4, timestamp);
        write32(packet + 8, how >> 6);
        int64_t before = reception_expected(&reception);
        reception_count(&reception, packet, RATES[(how >> 3 & 7) % 6], arrival);
        CLAIM(reception_expected(&reception) >= before);
        CLAIM(reception_expected(&reception) - before <= 3000);
        double jitter = reception_jitter_ms(&reception);
        CLAIM(isfinite(jitter) && jitter >= 0);
        if (old && counted == 0) { /* as if almost 2^32 packets had come: a peer that skips 2,999 at a time needs 24 minutes */
            reception.highest += 0xFFFFFFF0u;
            sequence = (uint16_t)reception.highest;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    read_packet(data, size);
    count_packets((struct input){data, size});
    return 0;
}
