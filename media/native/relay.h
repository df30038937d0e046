/* The life of a packet inside a relay: source check, SRTP off, validity, latch, payload type, SRTP on.
 * The rules are those of media/relay.py, which says the same in Python. No threads here: whoever calls holds the worker's lock. */

#ifndef RELAY_H
#define RELAY_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "packet.h"
#include "srtp.h"

/* Hosts one peer may send from: its own and what signalling adds behind NAT, two as a rule. */
#define MAX_HOSTS 8
#define MOST_FROM (MAX_HOSTS - 2) /* what signalling adds to the hosts of `remote` and `remote_rtcp` */

/* Failures to authenticate before anything succeeded that make a KEY_FAILURE event: a wrong key, not noise. */
#define KEY_FAILURES 10

/* Packets of one side in a second, about the double of Opus at 2.5 ms; anything else has 100 or fewer. More is a flood, or a circle:
 * relays whose peers were said to be each other's ports would hand one packet round for ever. */
#define MOST_PACKETS 1000
#define ALLOWANCE_EVERY 1.0 /* seconds */

/* After a new remote, packets from the source locked before may still be on the way: they pass, but cannot take the lock. Seconds. */
#define IN_FLIGHT 0.5

/* With rtcp-mux agreed, the RTCP port stays open that long for what was sent before the answer arrived. Seconds. */
#define MUX_GRACE 5.0

union address {
    struct sockaddr any; /* AF_UNSPEC: nowhere */
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
};

struct hosts {
    size_t count;
    struct in6_addr of[MAX_HOSTS]; /* of the relay's family; an IPv4 address in the first four octets */
};

/* Where one port's peer is: as signalled until its first valid packet, then where that came from. */
struct latch {
    union address locked, destination, remote, former;
    double former_until;
    struct hosts hosts;
};

enum event { FIRST_PACKET, SILENCE, KEY_FAILURE, FLOOD, EVENTS };

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
    DATAGRAMS_RECEIVED, /* of PACKETS_RECEIVED, those without sequence numbers to count losses by (UDPTL) */
    COUNTERS,
};

struct key {
    bool given;
    enum suite suite;
    uint8_t master[MAX_MASTER];
};

/* What one side is told by an update. */
struct spec {
    union address remote, remote_rtcp;
    union address from[MOST_FROM]; /* ports do not matter; hosts of another family are no error and can never be a source */
    size_t from_count;
    struct key receive, transmit;
    bool mux, send, udptl;
    double silence; /* seconds; negative: never */
    uint8_t leaving[128];
    uint32_t rate[128]; /* Hz; 0: unknown */

    /* Made of the above by half_prepare */
    struct hosts hosts, rtcp_hosts;
    struct srtp *inbound, *outbound; /* new contexts, owned; NULL: none, or the same key as before (see below) */
    bool same_inbound, same_outbound;
};

#define NO_PAYLOAD_TYPE 0xFF

struct relay;

/* One side of a relay: what arrives from its peer, and what the peer is sent. */
struct half {
    struct half *far;
    struct relay *relay;
    int rtp, rtcp; /* sockets; -1: closed */
    bool mux, sending, udptl, started, silent;
    uint8_t pending; /* events not yet taken, one bit each */
    int unproven;    /* failures to authenticate before the first success; KEY_FAILURES: reported or proven */
    int allowance;
    struct srtp *inbound, *outbound;
    struct srtp *before; /* what `inbound` replaced: serves until the first packet under the new key (RFC 4568 s6.4) */
    struct latch latch, control_latch;
    uint64_t counters[COUNTERS];
    struct reception reception;
    double allowed_at, heard_at, silence;
    double mux_since; /* when rtcp-mux was agreed on; 0: it is not */
    uint64_t heard;
    uint8_t leaving[128];
    uint32_t rate[128];
    union address local; /* of the RTP port */
};

struct worker;

struct relay {
    struct half side[2];
    struct worker *worker;
    uint32_t index, generation;
    bool listed; /* among those with events */
    struct relay *next;
};

/* Check `spec` against the half and make what it needs. Returns 0, EAFNOSUPPORT (an address of another family) or ENOMEM. */
int half_prepare(const struct half *half, struct spec *spec);

/* Free what was prepared and not taken over; zero the keys. */
void spec_end(struct spec *spec);

/* Take over `spec`, which was prepared, and with it its contexts. Cannot fail. */
void half_update(struct half *half, struct spec *spec, double now);

/* One datagram on the RTP or the RTCP port; the buffer has room for MAX_PACKET + MAX_TRAILER octets. */
void half_receive(struct half *half, uint8_t *packet, size_t size, const union address *source, double now);
void half_receive_rtcp(struct half *half, uint8_t *packet, size_t size, const union address *source, double now);

/* Allow the packets of another second. Report a peer that fell silent, once until it is heard again. */
void half_watch(struct half *half, double now);

/* Free the contexts; sockets are the worker's. */
void half_end(struct half *half);

/* Given by the worker. */
void relay_report(struct half *half, enum event event);
bool relay_send(int descriptor, const uint8_t *packet, size_t size, const union address *destination);

#endif
