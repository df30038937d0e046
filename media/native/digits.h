/* Digits as telephone-events (RFC 4733): made of what somebody else says was typed, and read to be told to somebody else. */

#ifndef DIGITS_H
#define DIGITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "packet.h"
#include "stream.h"

#define DIGITS 16 /* events that are keys (RFC 4733 s3.2) */

/* Between the packets of an event: that of speech (RFC 4733 s2.5.1.2). Seconds. */
#define STEP 0.02
#define STEPS_IN_A_SECOND 50

/* What detectors take for a digit at least, with three packets before the first that says it ends. Steps. */
#define SHORTEST 4
/* Nobody means more by one digit. Steps. */
#define LONGEST 300

/* "The final packet for each event SHOULD be sent a total of three times" (RFC 4733 s2.5.1.4). */
#define ENDS 3

/* Digits that wait to be sent to one peer: a number has 15, a card 19. */
#define MOST_WAITING 32

/* Digits of one peer that are reported in a second: no human types faster than 20. */
#define MOST_REPORTED 32

/* An event of which nothing was heard for so long has ended, and its ends are lost. Seconds. */
#define UNHEARD 0.5

/* Clocks of telephone-events in Hz: those of speech, and with room for SHORTEST in the field for the duration. */
#define LEAST_CLOCK 8000
#define MOST_CLOCK 192000

#define EVENT_PACKET (RTP_HEADER + 4)

/* Types to one peer: one digit after the other, with silence between them. */
struct typist {
    bool used, typing; /* there is somebody to type to; a digit is under way */
    uint8_t type;
    uint32_t clock;
    uint8_t event;
    uint16_t step, steps;
    int ends;
    uint32_t timestamp;
    double due; /* the next packet, while it is busy */
    size_t waiting;
    struct {
        uint8_t event;
        uint16_t steps;
    } queue[MOST_WAITING];
};

void typist_use(struct typist *typist, bool used, uint8_t type, uint32_t clock);

/* `event` is below DIGITS; the duration in milliseconds. */
void typist_add(struct typist *typist, uint8_t event, uint32_t duration);

bool typist_is_busy(const struct typist *typist);

/* Octets of what is due in `stream`, at most EVENT_PACKET; 0: nothing. */
size_t typist_packet(struct typist *typist, struct stream *stream, uint8_t *packet, double now);

struct digit {
    uint8_t event;
    uint32_t duration; /* milliseconds */
};

/* Reads what one peer types: each event once, by its timestamp (RFC 4733 s2.5.2). */
struct reader {
    bool known, open; /* there was an event; it has not ended */
    int allowed;      /* to be reported yet in this second */
    uint8_t event;
    uint16_t duration;
    uint32_t ssrc, timestamp, clock;
    uint64_t before; /* of an event longer than its field: the segments before this one, in units of the clock */
    double at;
    size_t count; /* not taken yet */
    struct digit ended[MOST_REPORTED];
};

/* The event in a well-formed packet whose padding fits. Whether a digit has ended. */
bool reader_read(struct reader *reader, const uint8_t *packet, size_t size, size_t header, uint32_t clock, double now);

/* Whether a digit has ended whose end does not come any more. */
bool reader_watch(struct reader *reader, double now);

#endif
