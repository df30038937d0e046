/* What one peer is sent, as one stream of RTP: where packets of our own stand among those that are relayed, or where whoever is heard
 * shall sound like one sender. Sequence numbers go on by one, timestamps with the clock, and RTCP is told the same. */

#ifndef STREAM_H
#define STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stream {
    uint32_t own; /* our SSRC, for packets of ours before there are others, and for all of a single stream */
    bool single;
    bool has_source, started, bounded;
    uint32_t source;   /* the SSRC that arrives */
    uint32_t ssrc;     /* the one that leaves, once `started` */
    uint32_t shift;    /* from the sequence numbers that arrive to those that leave */
    uint16_t sequence; /* the last that left */
    uint16_t boundary; /* `bounded`: sequence number of the source behind which numbers were shifted last */
    uint32_t time_shift, timestamp;
    uint32_t rate; /* of the last, in Hz */
    double at;     /* when what has that timestamp left first */
};

/* A well-formed packet, made what goes on. False: it should have come before numbers were shifted, and its own is taken. */
bool stream_pass(struct stream *stream, uint8_t *packet, uint32_t rate, double now);

/* It does not go on, and what comes after it closes up. */
void stream_swallow(struct stream *stream, const uint8_t *packet);

/* The timestamp of what happens now. */
uint32_t stream_time(const struct stream *stream, double now);

/* Without a packet to go on from: everything is as hard to guess as our SSRC is (RFC 3550 s5.1). */
void stream_begin(struct stream *stream, uint32_t rate, double now);

/* The header of a packet of ours after the last one. `second`: its marker bit and payload type. */
void stream_own(struct stream *stream, uint8_t *packet, uint8_t second, uint32_t timestamp);

/* A well-formed compound RTCP packet, made one in terms of who gets it. `out`: what that one is sent; `back`: what its sender is. */
void rtcp_translate(uint8_t *packet, size_t size, const struct stream *out, const struct stream *back);

#endif
