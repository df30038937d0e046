#include "stream.h"

#include "packet.h"

#define SDES 202
#define BYE 203
#define APP 204
#define TRANSPORT_FEEDBACK 205 /* RFC 4585 s6.1 */
#define PAYLOAD_FEEDBACK 206
#define EXTENDED_REPORT 207

bool stream_pass(struct stream *stream, uint8_t *packet, uint32_t rate, double now) {
    uint16_t sequence = read16(packet + 2);
    uint32_t timestamp = read32(packet + 4), source = read32(packet + 8);
    bool late = false;
    if (!stream->has_source || source != stream->source) {
        if (stream->single && stream->started) {
            stream->shift = (uint16_t)(stream->sequence + 1 - sequence);
            stream->time_shift = stream_time(stream, now) - timestamp;
        }
        stream->source = source;
        stream->has_source = true;
        stream->bounded = false;
    } else {
        if (stream->bounded) {
            uint16_t ahead = (uint16_t)(sequence - stream->boundary);
            if ((uint16_t)-ahead < MAX_MISORDER)
                return false;
            if (ahead >= MAX_MISORDER && ahead < 0x8000)
                stream->bounded = false;
        }
        late = (uint16_t)(stream->sequence - sequence - stream->shift) < MAX_MISORDER;
    }
    sequence = (uint16_t)(sequence + stream->shift);
    timestamp += stream->time_shift;
    stream->ssrc = stream->single ? stream->own : source;
    stream->started = true;
    if (!late) {
        stream->sequence = sequence;
        if (rate)
            stream->rate = rate;
        if (timestamp != stream->timestamp) {
            stream->timestamp = timestamp;
            stream->at = now;
        }
    }
    write16(packet + 2, sequence);
    write32(packet + 4, timestamp);
    write32(packet + 8, stream->ssrc);
    return true;
}

void stream_swallow(struct stream *stream, const uint8_t *packet) {
    uint16_t sequence = read16(packet + 2), ahead = (uint16_t)(sequence - stream->sequence + stream->shift);
    if (!stream->has_source || read32(packet + 8) != stream->source || ahead == 0 || ahead > MAX_MISORDER)
        return;
    stream->shift--;
    stream->sequence = (uint16_t)(sequence + stream->shift);
    stream->boundary = sequence;
    stream->bounded = true;
}

uint32_t stream_time(const struct stream *stream, double now) {
    return stream->timestamp + (uint32_t)(int64_t)((now - stream->at) * (stream->rate ? stream->rate : DEFAULT_CLOCK) + 0.5);
}

void stream_begin(struct stream *stream, uint32_t rate, double now) {
    if (stream->started)
        return;
    stream->started = true;
    stream->ssrc = stream->timestamp = stream->own;
    stream->sequence = stream->own & 0x7FFF; /* not near the end, where SRTP begins to count roll-overs (RFC 3711 s3.3.1) */
    stream->rate = rate;
    stream->at = now;
}

void stream_own(struct stream *stream, uint8_t *packet, uint8_t second, uint32_t timestamp) {
    stream->boundary = (uint16_t)(stream->sequence - stream->shift);
    stream->bounded = true;
    stream->sequence++;
    stream->shift++;
    packet[0] = 0x80;
    packet[1] = second;
    write16(packet + 2, stream->sequence);
    write32(packet + 4, timestamp);
    write32(packet + 8, stream->ssrc);
}

/* The SSRC there is of who sends this stream, or has another one: false. It becomes the one that leaves. */
static bool name(const struct stream *stream, uint8_t *at) {
    if (stream->has_source && read32(at) != stream->source)
        return false;
    if (stream->single)
        write32(at, stream->own);
    return true;
}

/* Whether the SSRC there is the one that leaves. If so it becomes the one that arrives, if there is one. */
static bool is_named(const struct stream *stream, uint8_t *at) {
    if (!stream->started || read32(at) != stream->ssrc)
        return false;
    if (stream->has_source)
        write32(at, stream->source);
    return true;
}

/* Each an SSRC and items, up to one of type 0 and to a multiple of four octets (RFC 3550 s6.5). */
static void translate_chunks(uint8_t *packet, size_t at, size_t end, int count, const struct stream *out) {
    for (; count && at + 4 <= end; count--) {
        name(out, packet + at);
        size_t item = at + 4;
        while (item + 1 < end && packet[item])
            item += 2 + (size_t)packet[item + 1];
        at += (item - at) / 4 * 4 + 4;
    }
}

/* The blocks of an extended report (RFC 3611 s4). */
static void translate_extended(uint8_t *packet, size_t at, size_t end, const struct stream *back) {
    enum { LOSSES = 1, DUPLICATES, TIMES, DELAYS = 5, SUMMARY, METRICS, DELAYS_PART = 12 };
    while (at + 8 <= end) {
        uint8_t kind = packet[at];
        size_t after = at + 4 + 4 * (size_t)read16(packet + at + 2);
        if (after > end)
            return;
        bool range = kind == LOSSES || kind == DUPLICATES || kind == TIMES || kind == SUMMARY;
        if (kind == DELAYS) {
            for (size_t part = at + 4; part + 4 <= after; part += DELAYS_PART)
                is_named(back, packet + part);
        } else if (kind == METRICS && after - at >= 8) {
            is_named(back, packet + at + 4);
        } else if (range && after - at >= 12 && is_named(back, packet + at + 4)) {
            write16(packet + at + 8, (uint16_t)(read16(packet + at + 8) - back->shift));
            write16(packet + at + 10, (uint16_t)(read16(packet + at + 10) - back->shift));
        }
        at = after;
    }
}

static bool is_speaker(uint8_t kind) {
    return kind == SENDER_REPORT || kind == RECEIVER_REPORT || kind == APP || kind == TRANSPORT_FEEDBACK || kind == PAYLOAD_FEEDBACK ||
           kind == EXTENDED_REPORT;
}

/* A packet that begins with its sender's SSRC. */
static void translate_speaker(uint8_t *packet, size_t at, size_t end, const struct stream *out, const struct stream *back) {
    uint8_t kind = packet[at + 1];
    size_t block = at + RTCP_HEADER;
    bool heard = name(out, packet + at + 4);
    if (kind == SENDER_REPORT) {
        if (heard)
            write32(packet + block + 8, read32(packet + block + 8) + out->time_shift);
        block += SENDER_INFO;
    }
    if (kind == SENDER_REPORT || kind == RECEIVER_REPORT) {
        for (int count = packet[at] & 0x1F; count; count--, block += REPORT_BLOCK)
            if (is_named(back, packet + block))
                write32(packet + block + 8, read32(packet + block + 8) - back->shift);
    } else if ((kind == TRANSPORT_FEEDBACK || kind == PAYLOAD_FEEDBACK) && block + 4 <= end) {
        is_named(back, packet + block);
    } else if (kind == EXTENDED_REPORT) {
        translate_extended(packet, block, end, back);
    }
}

void rtcp_translate(uint8_t *packet, size_t size, const struct stream *out, const struct stream *back) {
    for (size_t at = 0, end; at < size; at = end) {
        uint8_t kind = packet[at + 1];
        int count = packet[at] & 0x1F;
        end = at + 4 + 4 * (size_t)read16(packet + at + 2);
        if (kind == SDES)
            translate_chunks(packet, at + 4, end, count, out);
        else if (kind == BYE)
            for (size_t each = at + 4; count && each + 4 <= end; each += 4, count--)
                name(out, packet + each);
        else if (is_speaker(kind) && end - at >= RTCP_HEADER)
            translate_speaker(packet, at, end, out, back);
    }
}
