/* The life of a packet inside a relay: source check, SRTP off, validity, latch, payload type, SRTP on.
 * The rules are those of media/relay.py, which says the same in Python. No threads here: whoever calls holds the worker's lock. */

#ifndef RELAY_H
#define RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "digits.h"
#include "g711.h"
#include "keying.h"
#include "latch.h"
#include "packet.h"
#include "stream.h"
#include "stun.h"

#define MOST_FROM (MAX_HOSTS - 2) /* what signalling adds to the hosts of `remote` and `remote_rtcp` */

/* Failures to authenticate before anything succeeded that make a KEY_FAILURE event: a wrong key, not noise. */
#define KEY_FAILURES 10

/* Packets of one side in a second, about the double of Opus at 2.5 ms; anything else has 100 or fewer. More is a flood, or a circle:
 * relays whose peers were said to be each other's ports would hand one packet round for ever. */
#define MOST_PACKETS 1000
#define ALLOWANCE_EVERY 1.0 /* seconds */

/* RFC 3550 s6.4.1 gives the round trip by clocks of two machines; what comes out longer than this is a wrong clock. Seconds. */
#define LONGEST_ROUND_TRIP 10.0

/* With rtcp-mux agreed, the RTCP port stays open that long for what was sent before the answer arrived. Seconds. */
#define MUX_GRACE 5.0

/* Checks answered in a second: a browser sends 20 on each pair of addresses until one is chosen, then one every few seconds. */
#define MOST_CHECKS 100

/* Addresses a peer may send from with ICE: a host has a few, each perhaps as its NATs show it. */
#define MAX_CHECKED 8

/* A peer that is sent nothing else gets an empty datagram that often, so that what lies between keeps the way open (RFC 6263 s4.1, s7).
 * Seconds. */
#define KEEP_ALIVE_EVERY 15.0

/* DSCP of a side until it is told another: expedited forwarding (RFC 3246, RFC 4594 s4.1). */
#define EXPEDITED 46

/* Without a valid check for that long we have no consent to send (RFC 7675 s5.1). Seconds. */
#define CONSENT 30.0

/* Datagrams of DTLS of one port that wait for Python: a flight with a long chain of certificates has about ten. */
#define MAX_HANDSHAKE 16

/* First octets of what shares a media port (RFC 7983 s7) */
static inline bool is_stun(uint8_t first) { return first <= 3; }
static inline bool is_dtls(uint8_t first) { return first >= 20 && first <= 63; }

#define CACHE_LINE 64

/* Where valid checks came from, the latest last. */
struct checked {
    size_t count;
    union address of[MAX_CHECKED];
};

/* Something for a DTLS handshake; no octets: ICE has found another address of the peer. */
struct handshake {
    struct handshake *next;
    bool control; /* it came to the RTCP port */
    union address source;
    size_t size;
    uint8_t octets[];
};

/* Packets of a side from where its peer is not, until that is told: what is in flight when a peer moves is less. */
#define INTRUSIONS 100

enum event { FIRST_PACKET, SILENCE, KEY_FAILURE, FLOOD, SOURCE_CHANGED, KEY_WORN, HANDSHAKE, DIGIT, INTRUSION, EVENTS };

/* Whether a peer is followed that sends from elsewhere in the middle of a call, as media.api.Follow has it. */
enum follow { NEVER, AUTHENTICATED, SAME_ADDRESS };

/* Counters in the order of media.api.SideStats, as far as it has whole numbers; what has no place there comes after. */
enum counter {
    PACKETS_RECEIVED,
    OCTETS_RECEIVED,
    PACKETS_SENT,
    OCTETS_SENT,
    RTCP_RECEIVED,
    RTCP_SENT,
    WRONG_SOURCE,
    SRTP_AUTH_FAILED,
    REPLAYS,
    MALFORMED,
    PAYLOAD_TYPE_MISMATCH,
    OVER_RATE,
    STUN_REFUSED,
    AUTH_FAILING, /* since the last that did not */
    SOURCE_CHANGES,
    DATAGRAMS_RECEIVED, /* of PACKETS_RECEIVED, those without sequence numbers to count losses by (UDPTL) */
    COUNTERS,
};

#define NO_PAYLOAD_TYPE 0xFF

/* What becomes of an arriving payload type. */
struct type_rule {
    uint32_t rate; /* Hz; 0: unknown */
    uint8_t leaving;
    uint8_t law; /* of enum law: what becomes of the payload */
    bool digits; /* it is a telephone-event, to be reported and not sent on */
};

/* What one side is told by an update. */
struct spec {
    union address remote, remote_rtcp;
    union address from[MOST_FROM]; /* ports do not matter; hosts of another family are no error and can never be a source */
    size_t from_count;
    struct keying keys, control_keys;
    struct ice *ice; /* owned; NULL: none */
    bool mux, send, udptl, dtls;
    enum follow follow;
    uint8_t dscp;
    double silence; /* seconds; negative: never */
    struct type_rule types[128];
    bool has_events, one_stream;
    bool reports; /* one of `types` has digits */
    uint8_t events; /* payload type of the telephone-events we send */
    uint32_t events_clock, ssrc;

    /* Made of the above by half_prepare */
    struct hosts hosts, rtcp_hosts;
};

struct relay;
struct flow;

/* One side of a relay: what arrives from its peer, and what the peer is sent. What every packet needs comes first, by cache lines. */
struct half {
    struct half *far;
    struct relay *relay;
    struct flow *flow; /* by which the kernel takes part (tier.h); NULL: it does not */
    int rtp, rtcp; /* sockets; -1: closed */
    bool mux, sending, udptl, started, silent;
    bool dtls;    /* keys come from a handshake: without them nothing passes */
    bool shaped;  /* what is sent goes through `stream` */
    struct ice *ice;
    uint8_t follow;  /* enum follow */
    uint8_t dscp;
    uint16_t pending; /* events not yet taken, one bit each */
    int unproven;    /* failures to authenticate before the first success; KEY_FAILURES: reported or proven */
    int allowance;
    uint32_t looked; /* when one of its sockets last had something: number of the worker's look */
    struct contexts keys;
    struct reception reception;
    uint64_t heard;
    struct latch latch;
    uint64_t counters[COUNTERS];
    struct type_rule types[128];
    struct latch control_latch;
    struct contexts control_keys; /* of RTCP, where that has a handshake of its own */
    double allowed_at, heard_at, silence;
    uint64_t sent;
    double sent_at;
    double mux_since; /* when rtcp-mux was agreed on; 0: it is not */
    uint32_t sender_time; /* of the last sender report sent to the peer, and when; 0: none */
    double sender_time_at;
    double round_trip; /* seconds; negative: not measured */
    bool has_reported;
    int32_t reported_lost;
    uint32_t reported_jitter; /* in units of the clock of what the far side sends */
    union address local; /* of the RTP port */
    union address stranger; /* who last sent from where the peer is not */
    bool consent;        /* of the peer, by its checks */
    int checks;          /* answered yet in this second */
    struct checked checked;
    double checked_at;
    struct handshake *handshake, *last_handshake;
    size_t handshakes[2]; /* of the RTP and of the RTCP port */
    struct stream stream;
    struct typist typist;
    struct reader reader;
} __attribute__((aligned(CACHE_LINE)));

struct worker;

struct relay {
    struct worker *worker;
    uint16_t worker_number;
    uint32_t index, generation;
    bool listed; /* among those with events */
    struct relay *next;
    struct half side[2];
};

/* Check `spec` against the half and make what it needs. Returns 0, EAFNOSUPPORT (an address of another family) or ENOMEM. */
int half_prepare(const struct half *half, struct spec *spec);

/* Free what was prepared and not taken over; zero the keys. */
void spec_end(struct spec *spec);

/* Take over `spec`, which was prepared, and with it its contexts and ICE credentials. Cannot fail. */
void half_update(struct half *half, struct spec *spec, double now);

/* A datagram on its way through: what arrived, and once it was received, what shall go out of the far half. */
struct datagram {
    union address address; /* where it comes from, then where it goes to */
    size_t size;           /* 0, once it was received: nothing goes out */
    bool control;          /* it is RTCP, */
    bool from_rtcp;        /* and goes out of the RTCP port */
    uint8_t packet[MAX_PACKET + 1 + MAX_TRAILER]; /* one more than is allowed: cut packets must not pass for whole ones */
};

/* One datagram on the RTP or the RTCP port. */
void half_receive(struct half *half, struct datagram *datagram, double now);
void half_receive_rtcp(struct half *half, struct datagram *datagram, double now);

/* What `half_receive` or `half_receive_rtcp` of the other half left of the datagram went out. */
void half_sent(struct half *half, const struct datagram *datagram);

/* Allow the packets of another second. Report a peer that fell silent, once until it is heard again. */
void half_watch(struct half *half, double now);

/* Type a digit to the peer: `event` below DIGITS, the duration in milliseconds. */
void half_add_digit(struct half *half, uint8_t event, uint32_t duration);

/* Send what is due of the digits. When the next is; negative: no more. */
double half_type(struct half *half, double now);

/* The datagrams for the handshake, off the queue: the caller's to free. */
struct handshake *half_take_handshake(struct half *half);

/* Free the contexts; sockets are the worker's. */
void half_end(struct half *half);

/* Given by the worker. `relay_send`: whether it was sent, from the RTP or the RTCP port. */
void relay_report(struct half *half, enum event event);
bool relay_send(const struct half *half, bool from_rtcp, const uint8_t *packet, size_t size, const union address *destination);

/* So many packets came from where the peer is not. */
void relay_count_elsewhere(struct half *half, uint64_t packets);

#endif
