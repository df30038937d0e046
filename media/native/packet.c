#include "packet.h"

#include <math.h>

/* What 3000 packets of 20 ms take: a peer that was quiet for longer has to be heard from where it was. Seconds. */
#define LONGEST_PAUSE 60ull

size_t rtp_header(const uint8_t *packet, size_t size) {
    if (size < RTP_HEADER || size > MAX_PACKET || (packet[0] & 0xC0) != 0x80)
        return 0;
    size_t header = RTP_HEADER + 4 * (size_t)(packet[0] & 0x0F);
    if (packet[0] & 0x10) {
        if (size < header + 4)
            return 0;
        header += 4 + 4 * (size_t)read16(packet + header + 2);
    }
    return header <= size ? header : 0;
}

bool padding_fits(const uint8_t *packet, size_t size, size_t header) {
    uint8_t padding = packet[size - 1];
    return padding >= 1 && padding <= size - header;
}

bool starts_like_rtcp(const uint8_t *packet, size_t size) {
    return size >= RTCP_HEADER && size <= MAX_PACKET && (packet[0] & 0xC0) == 0x80 && is_rtcp_type(packet[1]);
}

bool well_formed_rtcp(const uint8_t *packet, size_t size) {
    size_t at = 0;
    while (at < size) {
        if (size - at < 4 || (packet[at] & 0xC0) != 0x80 || !is_rtcp_type(packet[at + 1]))
            return false;
        size_t length = 4 + 4 * (size_t)read16(packet + at + 2);
        if (length > size - at)
            return false;
        if (packet[at] & 0x20 && at + length != size)
            return false; /* RFC 3550 s6.4.1: only the last packet of a compound is padded */
        uint8_t kind = packet[at + 1];
        if (kind == SENDER_REPORT || kind == RECEIVER_REPORT) {
            size_t fixed = RTCP_HEADER + (kind == SENDER_REPORT ? SENDER_INFO : 0);
            if (length < fixed + REPORT_BLOCK * (size_t)(packet[at] & 0x1F))
                return false;
        }
        at += length;
    }
    return at > 0;
}

struct reports read_reports(const uint8_t *packet, size_t size) {
    struct reports reports = {0};
    for (size_t at = 0; at < size; at += 4 + 4 * (size_t)read16(packet + at + 2)) {
        uint8_t kind = packet[at + 1];
        const uint8_t *block = packet + at + RTCP_HEADER;
        if (kind == SENDER_REPORT) {
            reports.sender_time = read32(block + 2);
            block += SENDER_INFO;
        }
        if ((kind == SENDER_REPORT || kind == RECEIVER_REPORT) && packet[at] & 0x1F && !reports.has_block) {
            int32_t lost = (int32_t)(read32(block + 4) & 0xFFFFFF);
            reports.has_block = true;
            reports.lost = lost & 0x800000 ? lost - 0x1000000 : lost;
            reports.jitter = read32(block + 12);
            reports.last_sender = read32(block + 16);
            reports.delay = read32(block + 20);
        }
    }
    return reports;
}

/* Where the octets that begin with their length at `at` end; beyond the packet if they do not lie inside. */
static size_t past_open_type(const uint8_t *packet, size_t size, size_t at) {
    if (at >= size)
        return at + 1;
    uint8_t length = packet[at];
    if (!(length & 0x80))
        return at + 1 + length;
    if (at + 1 >= size)
        return at + 2;
    return at + 2 + ((size_t)(length & 0x3F) << 8 | packet[at + 1]); /* fourteen bits of it in two octets (X.691 s10.9.3.6) */
}

bool well_formed_udptl(const uint8_t *packet, size_t size) {
    enum { SEQUENCE_NUMBER = 2, SECONDARY = 0x00, PARITY = 0x80 };
    if (size > MAX_PACKET)
        return false;
    size_t at = past_open_type(packet, size, SEQUENCE_NUMBER);
    if (at == size && size > SEQUENCE_NUMBER + 1)
        return true;
    if (at <= SEQUENCE_NUMBER + 1 || at + 1 >= size || (packet[at] != SECONDARY && packet[at] != PARITY))
        return false;
    size_t entries;
    if (packet[at] == PARITY) {
        at = past_open_type(packet, size, at + 1); /* how many packets the parity spans */
        if (at >= size)
            return false;
        entries = packet[at];
        at += 1;
    } else {
        entries = packet[at + 1];
        at += 2;
    }
    for (; entries > 0; entries--) {
        if (at >= size)
            return false;
        at = past_open_type(packet, size, at);
    }
    return at == size;
}

int64_t reception_expected(const struct reception *reception) {
    return reception->before + (reception->started ? (int64_t)(reception->highest - reception->first + 1) : 0);
}

double reception_jitter_ms(const struct reception *reception) {
    return reception->rate ? reception->jitter * 1000 / reception->rate : 0;
}

static void start(struct reception *reception, uint16_t sequence, uint32_t ssrc) {
    reception->before = reception_expected(reception);
    reception->started = true;
    reception->ssrc = ssrc;
    reception->highest = reception->first = sequence;
    reception->seen = 1;
    reception->probation = -1;
    reception->rate = 0;
    reception->jitter = 0;
}

/* `behind` the highest, by less than MAX_MISORDER. */
static void note_late(struct reception *reception, uint16_t behind) {
    if (reception->seen >> behind & 1) {
        reception->duplicates++;
        return;
    }
    uint64_t newer = (uint64_t)(reception->seen >> (behind - 1) & 1), older = (uint64_t)(reception->seen >> (behind + 1) & 1);
    reception->reordered++;
    reception->loss_runs += 1 - newer - older; /* it closes a gap, shortens one, or makes two of one */
    reception->seen |= (unsigned __int128)1 << behind;
}

/* Whether the packet belongs to the stream that is counted. */
static bool follow(struct reception *reception, uint16_t sequence, uint32_t ssrc) {
    if (!reception->started || ssrc != reception->ssrc) {
        start(reception, sequence, ssrc);
        return true;
    }
    uint16_t ahead = (uint16_t)(sequence - reception->highest);
    if (ahead > 0x10000 - MAX_MISORDER || ahead == 0) {
        note_late(reception, (uint16_t)-ahead);
    } else if (ahead < MAX_DROPOUT) {
        reception->highest += ahead;
        reception->seen = ahead < 128 ? reception->seen << ahead | 1 : 1;
        reception->loss_runs += ahead > 1;
    } else {
        if (sequence != reception->probation) {
            reception->probation = (uint16_t)(sequence + 1);
            return false;
        }
        start(reception, (uint16_t)(sequence - 1), ssrc);
        reception->highest += 1;
        reception->seen = 3;
    }
    return true;
}

bool reception_continues(const struct reception *reception, const uint8_t *packet) {
    uint16_t ahead = (uint16_t)(read16(packet + 2) - reception->highest);
    if (!reception->started || read32(packet + 8) != reception->ssrc || ahead == 0 || ahead >= MAX_DROPOUT)
        return false;
    return (uint32_t)(read32(packet + 4) - reception->timestamp) <= LONGEST_PAUSE * reception->rate;
}

bool reception_is_past(const struct reception *reception, const uint8_t *packet) {
    uint16_t ahead = (uint16_t)(read16(packet + 2) - reception->highest);
    return reception->started && read32(packet + 8) == reception->ssrc && (ahead == 0 || ahead >= 0x8000);
}

void reception_count(struct reception *reception, const uint8_t *packet, uint32_t rate, double arrival) {
    if (!follow(reception, read16(packet + 2), read32(packet + 8)) || !rate)
        return;
    uint32_t timestamp = read32(packet + 4);
    double transit = arrival * rate - timestamp;
    if (rate != reception->rate) {
        reception->rate = rate;
        reception->jitter = 0;
    } else if (timestamp == reception->timestamp) {
        return; /* packets of one telephone event share a timestamp (RFC 4733 s2.2.1.2): the wait between them is not jitter */
    } else {
        double difference = fabs(transit - reception->transit);
        if (difference > 0x1p31)
            difference = fabs(remainder(difference, 0x1p32)); /* the timestamp wraps */
        reception->jitter += (difference - reception->jitter) / 16;
    }
    reception->transit = transit;
    reception->timestamp = timestamp;
}
