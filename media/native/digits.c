#include "digits.h"

#include <string.h>

#define VOLUME 10 /* -10 dBm0, as most send it */
#define END 0x80
#define LONGEST_FIELD 0xFFFF

void typist_use(struct typist *typist, bool used, uint8_t type, uint32_t clock) {
    typist->used = used;
    typist->type = type;
    typist->clock = clock;
    if (!used) {
        typist->waiting = 0;
        typist->typing = false;
    }
}

void typist_add(struct typist *typist, uint8_t event, uint32_t duration) {
    if (!typist->used || typist->waiting == MOST_WAITING)
        return;
    uint64_t steps = ((uint64_t)duration * STEPS_IN_A_SECOND + 999) / 1000, most = LONGEST_FIELD * STEPS_IN_A_SECOND / typist->clock;
    if (most > LONGEST)
        most = LONGEST;
    if (steps > most)
        steps = most;
    if (steps < SHORTEST)
        steps = SHORTEST;
    typist->queue[typist->waiting].event = event;
    typist->queue[typist->waiting].steps = (uint16_t)steps;
    typist->waiting++;
}

bool typist_is_busy(const struct typist *typist) { return typist->typing || typist->waiting; }

size_t typist_packet(struct typist *typist, struct stream *stream, uint8_t *packet, double now) {
    if (!typist_is_busy(typist) || now < typist->due)
        return 0;
    typist->due = now + STEP;
    uint8_t marker = 0;
    if (!typist->typing) {
        typist->typing = true;
        typist->event = typist->queue[0].event;
        typist->steps = typist->queue[0].steps;
        typist->waiting--;
        memmove(typist->queue, typist->queue + 1, typist->waiting * sizeof typist->queue[0]);
        typist->step = 0;
        typist->ends = 0;
        stream_begin(stream, typist->clock, now);
        typist->timestamp = stream_time(stream, now);
        marker = 0x80;
    }
    if (typist->step < typist->steps)
        typist->step++;
    bool end = typist->step == typist->steps;
    packet[RTP_HEADER] = typist->event;
    packet[RTP_HEADER + 1] = end ? VOLUME | END : VOLUME;
    uint64_t duration = (uint64_t)typist->step * typist->clock / STEPS_IN_A_SECOND; /* the clock may have become another meanwhile */
    write16(packet + RTP_HEADER + 2, duration < LONGEST_FIELD ? (uint16_t)duration : LONGEST_FIELD);
    if (end && ++typist->ends == ENDS) {
        typist->typing = false;
        typist->due = now + 2 * STEP;
    }
    stream_own(stream, packet, marker | typist->type, typist->timestamp);
    return EVENT_PACKET;
}

static bool end_event(struct reader *reader) {
    if (!reader->open)
        return false;
    reader->open = false;
    if (reader->allowed <= 0)
        return false;
    reader->allowed--;
    if (reader->count < MOST_REPORTED) /* else nobody has looked for seconds */
        reader->ended[reader->count++] =
            (struct digit){reader->event, (uint32_t)((reader->before + reader->duration) * 1000 / reader->clock)};
    return true;
}

bool reader_read(struct reader *reader, const uint8_t *packet, size_t size, size_t header, uint32_t clock, double now) {
    const uint8_t *payload = packet + header;
    uint32_t timestamp = read32(packet + 4), ssrc = read32(packet + 8);
    bool ended = false, same = reader->known && ssrc == reader->ssrc;
    if (packet[0] & 0x20)
        size -= packet[size - 1];
    if (size - header < EVENT_PACKET - RTP_HEADER || payload[0] >= DIGITS)
        return false;
    uint16_t duration = read16(payload + 2);
    if (same && timestamp == reader->timestamp) {
        if (!reader->open)
            return false; /* its end once more */
        if (duration > reader->duration)
            reader->duration = duration;
    } else if (same && reader->timestamp - timestamp < reader->clock) {
        return false; /* late by less than a second: of an event before */
    } else {
        bool segment = reader->open && same && payload[0] == reader->event && !(packet[1] & 0x80);
        if (segment && timestamp == reader->timestamp + reader->duration) {
            reader->before += reader->duration; /* RFC 4733 s2.5.1.3 */
        } else {
            ended = end_event(reader);
            reader->before = 0;
        }
        reader->known = reader->open = true;
        reader->ssrc = ssrc;
        reader->event = payload[0];
        reader->duration = duration;
    }
    reader->timestamp = timestamp;
    reader->clock = clock ? clock : DEFAULT_CLOCK;
    reader->at = now;
    if (payload[1] & END)
        ended |= end_event(reader);
    return ended;
}

bool reader_watch(struct reader *reader, double now) { return now - reader->at >= UNHEARD && end_event(reader); }
