/* What a relay reads of the packets it carries, and the figures of reception. No state but what is passed in. */

#ifndef PACKET_H
#define PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flow.h"

/* What an Ethernet carries. Media packets are never longer. */
#define MAX_PACKET 1500

#define RTP_HEADER 12
#define RTCP_HEADER 8 /* the common header and the sender's SSRC */

#define SENDER_REPORT 200
#define RECEIVER_REPORT 201
#define REPORT_BLOCK 24
#define SENDER_INFO 20

#define DEFAULT_CLOCK 8000 /* Hz, where nobody has said anything else */

static inline uint16_t read16(const uint8_t *at) { return (uint16_t)(at[0] << 8 | at[1]); }
static inline uint32_t read32(const uint8_t *at) { return (uint32_t)read16(at) << 16 | read16(at + 2); }
static inline void write16(uint8_t *at, uint16_t value) {
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}
static inline void write32(uint8_t *at, uint32_t value) {
    write16(at, (uint16_t)(value >> 16));
    write16(at + 2, (uint16_t)value);
}

/* RFC 5761 s4: with multiplexing, second octets 192-223 (payload types 64-95 with the marker bit) are RTCP. */
static inline bool is_rtcp_type(uint8_t second) { return second >= 192 && second <= 223; }

/* Octets of header, CSRC list and extension of a packet of version 2 that holds them; 0: it is no RTP (RFC 3550 A.1). Holds for SRTP too. */
size_t rtp_header(const uint8_t *packet, size_t size);

/* The padding count of a decrypted packet with the P bit lies between 1 and the payload (RFC 3550 A.1). */
bool padding_fits(const uint8_t *packet, size_t size, size_t header);

/* All that can be said of a packet that may still be encrypted: SRTCP leaves the first eight octets clear. */
bool starts_like_rtcp(const uint8_t *packet, size_t size);

/* The lengths of a compound packet add up and reports hold their blocks (RFC 3550 A.2); reduced size passes (RFC 5506). */
bool well_formed_rtcp(const uint8_t *packet, size_t size);

/* What a relay reads of a compound RTCP packet: the time of its sender report, and its first report block (RFC 3550 s6.4). */
struct reports {
    uint32_t sender_time; /* middle 32 bits of the NTP time stamp; 0: no sender report */
    bool has_block;
    int32_t lost;         /* cumulative number of packets lost */
    uint32_t jitter;      /* in units of the clock */
    uint32_t last_sender; /* the sender_time the block answers; 0: none yet */
    uint32_t delay;       /* since that one came, in 1/65536 s */
};

/* Of a well-formed compound packet. */
struct reports read_reports(const uint8_t *packet, size_t size);

/* The packet inside and those of the error recovery fill the datagram exactly (ITU-T T.38 s9.1, aligned PER). */
bool well_formed_udptl(const uint8_t *packet, size_t size);

/* Expected packets and interarrival jitter of what one peer sends (RFC 3550 A.1, A.3, A.8).
 * A new SSRC, or a restart of the sequence, begins a new count; what was expected before is kept. */
struct reception {
    bool started;
    uint32_t ssrc;
    uint32_t first;    /* the sequence number the count began with */
    uint64_t highest;  /* extended: cycles * 65536 + sequence number */
    int64_t before;    /* packets expected of earlier sources */
    int32_t probation; /* the sequence number that would confirm a restart; -1: none */
    uint32_t rate;     /* Hz; 0: no jitter yet */
    uint32_t timestamp;
    double transit; /* in units of the clock */
    double jitter;
    unsigned __int128 seen; /* bit n: the packet n before the highest was there */
    uint64_t reordered, duplicates, loss_runs;
};

/* Packets the peer must have sent, by its sequence numbers. */
int64_t reception_expected(const struct reception *reception);

double reception_jitter_ms(const struct reception *reception);

/* Is this what the source that is counted would send next, or after a pause? */
bool reception_continues(const struct reception *reception, const uint8_t *packet);
bool reception_is_past(const struct reception *reception, const uint8_t *packet);

/* One valid packet that arrived at `arrival` (seconds); `rate` is the clock of its payload type in Hz, 0: unknown. */
void reception_count(struct reception *reception, const uint8_t *packet, uint32_t rate, double arrival);

#endif
