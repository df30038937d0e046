#include "relay.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

static bool same_ice(const struct ice *one, const struct ice *other) {
    if (!one || !other)
        return one == other;
    return one->username_size == other->username_size && one->password_size == other->password_size &&
           memcmp(one->username, other->username, one->username_size) == 0 &&
           CRYPTO_memcmp(one->password, other->password, one->password_size) == 0;
}

/* New credentials are a restart: until something new is nominated what was stays in use (RFC 8839 s4.4.1.1.1). Whether ICE began or ended. */
static bool use_ice(struct half *half, struct spec *spec, double now) {
    bool turned = !half->ice != !spec->ice;
    if (turned)
        half->checked.count = 0;
    if (!same_ice(half->ice, spec->ice)) {
        half->checked_at = now;
        half->consent = true;
    }
    ice_free(half->ice);
    half->ice = spec->ice;
    spec->ice = NULL;
    return turned;
}

static bool fits(const struct half *half, const union address *address) {
    return !is_somewhere(address) || address->any.sa_family == half->local.any.sa_family;
}

/* Without multiplexing a handshake on the RTP port makes keys for that alone (RFC 5764 s4.1). */
static struct contexts *control_keys(struct half *half) { return half->dtls && !half->mux ? &half->control_keys : &half->keys; }

int half_prepare(const struct half *half, struct spec *spec) {
    if (!fits(half, &spec->remote) || !fits(half, &spec->remote_rtcp))
        return EAFNOSUPPORT;
    for (size_t each = 0; each < spec->from_count; each++)
        if (fits(half, &spec->from[each]))
            hosts_add(&spec->hosts, &spec->from[each]);
    hosts_add(&spec->hosts, &spec->remote);
    spec->rtcp_hosts = spec->hosts;
    hosts_add(&spec->rtcp_hosts, &spec->remote_rtcp);
    if (spec->ice) /* where the peer is comes from its checks */
        memset(&spec->remote, 0, sizeof spec->remote);
    return keys_prepare(&spec->keys, &half->keys) && keys_prepare(&spec->control_keys, &half->control_keys) ? 0 : ENOMEM;
}

void spec_end(struct spec *spec) {
    keys_end(&spec->keys);
    keys_end(&spec->control_keys);
    ice_free(spec->ice);
    OPENSSL_cleanse(spec, sizeof *spec);
}

void half_update(struct half *half, struct spec *spec, double now) {
    if (!half->allowed_at)
        half->allowed_at = half->sent_at = half->latch.heard_at = now;
    bool turned = use_ice(half, spec, now);
    half->latch.hosts = spec->hosts;
    half->control_latch.hosts = spec->rtcp_hosts;
    bool moved = turned || !same_address(&spec->remote, &half->latch.remote);
    bool moved_rtcp = moved || !same_address(&spec->remote_rtcp, &half->control_latch.remote);
    if (moved)
        latch_redirect(&half->latch, &spec->remote, now);
    if (moved_rtcp)
        latch_redirect(&half->control_latch, &spec->remote_rtcp, now);
    if (keys_use(&half->keys, &spec->keys))
        half->unproven = 0;
    keys_use(&half->control_keys, &spec->control_keys);
    if (moved || spec->silence != half->silence) {
        half->heard_at = now;
        half->silent = false;
    }
    half->silence = spec->silence;
    memcpy(half->types, spec->types, sizeof half->types);
    half->mux_since = !spec->mux ? 0 : half->mux ? half->mux_since : now;
    half->mux = spec->mux;
    half->sending = spec->send;
    half->udptl = spec->udptl;
    half->dtls = spec->dtls;
    half->stream.own = spec->ssrc;
    half->stream.single = spec->one_stream;
    half->shaped = half->shaped || spec->one_stream || spec->has_events; /* numbers that were given stay given */
    half->far->shaped = half->far->shaped || spec->reports;
    typist_use(&half->typist, spec->has_events, spec->events, spec->events_clock);
    half->follow = (uint8_t)spec->follow;
}

struct handshake *half_take_handshake(struct half *half) {
    struct handshake *first = half->handshake;
    half->handshake = half->last_handshake = NULL;
    half->handshakes[0] = half->handshakes[1] = 0;
    return first;
}

void half_end(struct half *half) {
    for (struct handshake *each = half_take_handshake(half), *next; each; each = next) {
        next = each->next;
        free(each);
    }
    ice_free(half->ice);
    half->ice = NULL;
    contexts_end(&half->keys);
    contexts_end(&half->control_keys);
    OPENSSL_cleanse(&half->typist, sizeof half->typist); /* perhaps the number of a card */
    OPENSSL_cleanse(&half->reader, sizeof half->reader);
}

void relay_count_elsewhere(struct half *half, uint64_t packets) {
    uint64_t before = half->counters[WRONG_SOURCE];
    half->counters[WRONG_SOURCE] += packets;
    if (before < INTRUSIONS && before + packets >= INTRUSIONS)
        relay_report(half, INTRUSION);
}

static void count_elsewhere(struct half *half, const union address *source) {
    half->stranger = *source;
    relay_count_elsewhere(half, 1);
}

/* Before anybody has said where the peer is, media that overtakes its answer is early, not wrong. */
static void refuse_source(struct half *half, const union address *source) {
    if (half->latch.hosts.count)
        count_elsewhere(half, source);
}

static void refuse(struct half *half, enum verdict verdict) {
    if (verdict == AUTHENTICATION_FAILED) {
        half->counters[SRTP_AUTH_FAILED]++;
        half->counters[AUTH_FAILING]++;
        if (half->unproven < KEY_FAILURES && ++half->unproven == KEY_FAILURES)
            relay_report(half, KEY_FAILURE);
    } else {
        half->counters[verdict == REPLAYED ? REPLAYS : MALFORMED]++;
    }
}

/* Neither RTP nor RTCP. STUN of who has no ICE with us is no fault; an empty one keeps the way open (RFC 6263 s4.1). */
static void drop(struct half *half, const uint8_t *packet, size_t size) {
    bool stun = size >= STUN_HEADER && is_stun(packet[0]) && read16(packet + 2) == size - STUN_HEADER;
    if (size)
        half->counters[stun ? STUN_REFUSED : MALFORMED]++;
}

/* Not before the packet is known to be the peer's: what only claims to come from there shall not use the allowance up. */
static bool is_allowed(struct half *half) {
    if (half->allowance > 0) {
        half->allowance--;
        return true;
    }
    if (!half->counters[OVER_RATE])
        relay_report(half, FLOOD);
    half->counters[OVER_RATE]++;
    return false;
}

typedef enum verdict unprotect(struct srtp *srtp, uint8_t *packet, size_t *size, size_t header);

static enum verdict unprotect_rtcp(struct srtp *srtp, uint8_t *packet, size_t *size, size_t header) {
    (void)header;
    return srtcp_unprotect(srtp, packet, size);
}

/* Peers change keys while packets are in flight: the key before serves until the first packet under the new one. */
static enum verdict open_packet(struct half *half, struct contexts *keys, unprotect *run, uint8_t *packet, size_t *size, size_t header) {
    enum verdict verdict;
    if (!keys->before) {
        verdict = run(keys->inbound, packet, size, header);
    } else {
        uint8_t copy[MAX_PACKET + MAX_TRAILER];
        memcpy(copy, packet, *size);
        size_t whole = *size;
        verdict = run(keys->inbound, packet, size, header);
        if (verdict == ACCEPTED) {
            srtp_free(keys->before);
            keys->before = NULL;
        } else { /* under another suite it may look too short as well, or like SRTCP in the clear */
            memcpy(packet, copy, whole);
            *size = whole;
            verdict = run(keys->before, packet, size, header);
        }
    }
    if (verdict == ACCEPTED) {
        half->unproven = KEY_FAILURES;
        half->counters[AUTH_FAILING] = 0;
    }
    return verdict;
}

static enum verdict open_speech(struct half *half, uint8_t *packet, size_t *size, size_t header) {
    enum verdict verdict = open_packet(half, &half->keys, srtp_unprotect, packet, size, header);
    if (verdict == ACCEPTED && srtp_is_worn(half->keys.inbound))
        relay_report(half, KEY_WORN);
    return verdict;
}

/* Whether the packet opened; what does not is counted. */
static bool opened(struct half *half, enum verdict verdict) {
    if (verdict != ACCEPTED)
        refuse(half, verdict);
    return verdict == ACCEPTED;
}

static void accept_source(struct half *half, const union address *source, double now) {
    if (!half->ice && !is_somewhere(&half->latch.locked))
        latch_lock(&half->latch, source, half->keys.inbound, now);
    if (!half->started) {
        half->started = true;
        relay_report(half, FIRST_PACKET);
    }
}

static void leave(struct datagram *datagram, size_t size, const union address *destination) {
    datagram->size = size;
    datagram->address = *destination;
}

static bool takes(const struct half *half) {
    return half->sending && is_somewhere(&half->latch.destination) && (!half->dtls || half->keys.outbound);
}

static void forward(struct half *half, struct datagram *datagram, size_t size, size_t header, double now) {
    struct half *far = half->far;
    if (!takes(far))
        return;
    if (far->shaped && !half->udptl && !stream_pass(&far->stream, datagram->packet, half->reception.rate, now))
        return;
    if (far->keys.outbound) {
        enum verdict verdict = srtp_protect(far->keys.outbound, datagram->packet, &size, header);
        if (verdict != ACCEPTED) {
            refuse(half, verdict);
            return;
        }
    }
    datagram->control = datagram->from_rtcp = false;
    leave(datagram, size, &far->latch.destination);
}

/* Hold does not stop RTCP: a direction "applies to the media only" (RFC 8866 s6.7). */
static bool forward_control(struct half *half, struct datagram *datagram, size_t size) {
    struct half *far = half->far;
    const union address *destination = &(far->mux ? &far->latch : &far->control_latch)->destination;
    struct srtp *outbound = control_keys(far)->outbound;
    if (!is_somewhere(destination) || (far->dtls && !outbound))
        return false;
    if (half->shaped || far->shaped)
        rtcp_translate(datagram->packet, size, &far->stream, &half->stream);
    if (outbound) {
        enum verdict verdict = srtcp_protect(outbound, datagram->packet, &size);
        if (verdict != ACCEPTED) {
            refuse(half, verdict);
            return false;
        }
    }
    datagram->control = true;
    datagram->from_rtcp = !far->mux;
    leave(datagram, size, destination);
    return true;
}

static void note_reports(struct half *half, const struct reports *reports, double now) {
    if (!reports->has_block)
        return;
    half->has_reported = true;
    half->reported_lost = reports->lost;
    half->reported_jitter = reports->jitter;
    if (reports->last_sender && reports->last_sender == half->sender_time) {
        double trip = now - half->sender_time_at - reports->delay / 65536.0;
        if (trip >= 0 && trip < LONGEST_ROUND_TRIP)
            half->round_trip = trip;
    }
}

void half_sent(struct half *half, const struct datagram *datagram) {
    if (datagram->control) {
        half->counters[RTCP_SENT]++;
    } else {
        half->counters[PACKETS_SENT]++;
        half->counters[OCTETS_SENT] += datagram->size;
    }
}

static void receive_control(struct half *half, struct latch *latch, struct datagram *datagram, size_t size, double now) {
    if (!starts_like_rtcp(datagram->packet, size)) {
        drop(half, datagram->packet, size);
        return;
    }
    struct contexts *keys = control_keys(half);
    if (keys->inbound && !opened(half, open_packet(half, keys, unprotect_rtcp, datagram->packet, &size, 0)))
        return;
    if (!well_formed_rtcp(datagram->packet, size)) {
        half->counters[MALFORMED]++;
        return;
    }
    if (!is_allowed(half))
        return;
    if ((!half->ice || latch == &half->control_latch) && !is_somewhere(&latch->locked))
        latch_lock(latch, &datagram->address, keys->inbound, now);
    half->counters[RTCP_RECEIVED]++;
    struct reports reports = read_reports(datagram->packet, size);
    note_reports(half, &reports, now);
    if (forward_control(half, datagram, size) && reports.sender_time) {
        half->far->sender_time = reports.sender_time;
        half->far->sender_time_at = now;
    }
}

static void receive_udptl(struct half *half, struct datagram *datagram, size_t size, double now) {
    if (!well_formed_udptl(datagram->packet, size)) { /* speech that is still on the way, mostly */
        half->counters[MALFORMED]++;
        return;
    }
    if (!is_allowed(half))
        return;
    half->counters[PACKETS_RECEIVED]++;
    half->counters[DATAGRAMS_RECEIVED]++;
    half->counters[OCTETS_RECEIVED] += size;
    accept_source(half, &datagram->address, now);
    forward(half, datagram, size, 0, now);
}

/* A packet whose protection is off; `arrived` octets of it came. */
static void receive_speech(struct half *half, struct datagram *datagram, size_t arrived, size_t size, size_t header, double now) {
    uint8_t *packet = datagram->packet;
    if (packet[0] & 0x20 && !padding_fits(packet, size, header)) {
        half->counters[MALFORMED]++;
        return;
    }
    if (!is_allowed(half))
        return;
    const struct type_rule *type = &half->types[packet[1] & 0x7F];
    reception_count(&half->reception, packet, type->rate, now);
    half->counters[PACKETS_RECEIVED]++;
    half->counters[OCTETS_RECEIVED] += arrived;
    if (type->leaving == NO_PAYLOAD_TYPE) {
        half->counters[PAYLOAD_TYPE_MISMATCH]++;
        return;
    }
    accept_source(half, &datagram->address, now);
    if (type->digits) {
        if (reader_read(&half->reader, packet, size, header, type->rate, now))
            relay_report(half, DIGIT);
        stream_swallow(&half->far->stream, packet);
        return;
    }
    if (type->law != AS_IT_IS)
        g711_translate(packet + header, size - header - (packet[0] & 0x20 ? packet[size - 1] : 0), type->law);
    packet[1] = (packet[1] & 0x80) | type->leaving;
    forward(half, datagram, size, header, now);
}

void half_add_digit(struct half *half, uint8_t event, uint32_t duration) { typist_add(&half->typist, event, duration); }

double half_type(struct half *half, double now) {
    uint8_t packet[EVENT_PACKET + MAX_TRAILER];
    size_t size = typist_packet(&half->typist, &half->stream, packet, now);
    if (size && takes(half) && (!half->keys.outbound || srtp_protect(half->keys.outbound, packet, &size, RTP_HEADER) == ACCEPTED) &&
        relay_send(half, false, packet, size, &half->latch.destination)) {
        half->counters[PACKETS_SENT]++;
        half->counters[OCTETS_SENT] += size;
    }
    return typist_is_busy(&half->typist) ? half->typist.due : -1;
}

static void receive_rtp(struct half *half, struct datagram *datagram, size_t size, double now) {
    size_t arrived = size, header = rtp_header(datagram->packet, size);
    if (!header) {
        drop(half, datagram->packet, size);
        return;
    }
    if (half->keys.inbound && !opened(half, open_speech(half, datagram->packet, &size, header)))
        return;
    receive_speech(half, datagram, arrived, size, header, now);
}

/* What comes from elsewhere than the peer should send from: it is followed where it proves to be the peer, behind a NAT that gave it
 * another address; all else is wrong. Only speech moves a source: while that is heard nobody else's can take its place. */
static void receive_from_elsewhere(struct half *half, struct datagram *datagram, size_t size, double now) {
    uint8_t *packet = datagram->packet;
    const union address *source = &datagram->address;
    size_t arrived = size, header = rtp_header(packet, size);
    bool is_speech = header && !half->udptl && !(half->mux && is_rtcp_type(packet[1])) &&
                     half->types[packet[1] & 0x7F].leaving != NO_PAYLOAD_TYPE;
    bool proven = false;
    if (half->follow != NEVER && is_speech && latch_may_move(&half->latch, now)) {
        if (half->keys.inbound)
            proven = !reception_is_past(&half->reception, packet) && open_speech(half, packet, &size, header) == ACCEPTED;
        else if (half->follow == SAME_ADDRESS && !half->dtls)
            proven = latch_is_neighbour(&half->latch, source) && reception_continues(&half->reception, packet);
    }
    if (!proven) {
        refuse_source(half, source);
        return;
    }
    latch_move(&half->latch, source, now);
    latch_reopen(&half->control_latch, source);
    if (!half->counters[SOURCE_CHANGES])
        relay_report(half, SOURCE_CHANGED);
    half->counters[SOURCE_CHANGES]++;
    receive_speech(half, datagram, arrived, size, header, now);
}

/* ICE and DTLS */

static void queue_handshake(struct half *half, bool control, const uint8_t *octets, size_t size, const union address *source) {
    struct handshake *made = half->handshakes[control] < MAX_HANDSHAKE ? malloc(sizeof *made + size) : NULL;
    if (!made)
        return; /* as good as lost on the wire */
    made->next = NULL;
    made->control = control;
    made->source = *source;
    made->size = size;
    if (size)
        memcpy(made->octets, octets, size);
    if (half->last_handshake)
        half->last_handshake->next = made;
    else
        half->handshake = made;
    half->last_handshake = made;
    half->handshakes[control]++;
    relay_report(half, HANDSHAKE);
}

static bool is_checked(const struct checked *checked, const union address *source) {
    for (size_t each = 0; each < checked->count; each++)
        if (same_address(&checked->of[each], source))
            return true;
    return false;
}

static void add_checked(struct checked *checked, const union address *source) {
    size_t at = 0;
    while (at < checked->count && !same_address(&checked->of[at], source))
        at++;
    if (at == MAX_CHECKED)
        at = 0; /* the one that was not heard of for longest */
    else if (at == checked->count)
        checked->count++;
    memmove(&checked->of[at], &checked->of[at + 1], (checked->count - 1 - at) * sizeof checked->of[0]);
    checked->of[checked->count - 1] = *source;
}

/* A STUN datagram with ICE: answered, and its source taken for the peer's, if it has our credentials; else dropped in silence, so that
 * nobody is sent anything because somebody pretended to be there. */
static void receive_check(struct half *half, const uint8_t *packet, size_t size, const union address *source, double now) {
    struct check check;
    uint8_t answer[MAX_ANSWER];
    enum check_kind kind = stun_read(packet, size, half->ice, &check);
    if (kind == KEEP_ALIVE)
        return;
    if (kind == NOT_A_CHECK || half->checks >= MOST_CHECKS) {
        half->counters[STUN_REFUSED]++;
        return;
    }
    half->checks++;
    size_t length = stun_answer(&check, source, half->ice, answer);
    if (length)
        relay_send(half, false, answer, length, source);
    if (check.unknown_count)
        return;
    add_checked(&half->checked, source);
    half->checked_at = now;
    half->consent = true;
    union address before = half->latch.destination;
    if (kind == NOMINATION)
        half->latch.locked = half->latch.destination = *source;
    else if (!is_somewhere(&before))
        half->latch.destination = *source; /* a pair that works, until one is nominated (RFC 8445 s12.1) */
    if (half->dtls && !same_address(&half->latch.destination, &before))
        queue_handshake(half, false, NULL, 0, source);
}

static void withdraw_consent(struct half *half) {
    half->consent = false;
    half->checked.count = 0;
    half->latch.locked.any.sa_family = half->latch.destination.any.sa_family = AF_UNSPEC;
    relay_report(half, SILENCE);
}

/* From where the peer may send. */
static void receive_admitted(struct half *half, struct datagram *datagram, size_t size, double now) {
    const uint8_t *packet = datagram->packet;
    half->latch.heard_at = now;
    if (half->dtls && size && is_dtls(packet[0]))
        queue_handshake(half, false, packet, size, &datagram->address);
    else if (half->dtls && !half->keys.inbound)
        return; /* media that overtakes the handshake */
    else if (half->udptl)
        receive_udptl(half, datagram, size, now);
    else if (half->mux && size > 1 && is_rtcp_type(packet[1]))
        receive_control(half, &half->latch, datagram, size, now);
    else
        receive_rtp(half, datagram, size, now);
}

static void receive_admitted_rtcp(struct half *half, struct datagram *datagram, size_t size, double now) {
    if (half->dtls && size && is_dtls(datagram->packet[0]))
        queue_handshake(half, true, datagram->packet, size, &datagram->address);
    else if (!half->dtls || half->control_keys.inbound)
        receive_control(half, &half->control_latch, datagram, size, now);
}

typedef void receive_as(struct half *half, struct datagram *datagram, size_t size, double now);

/* From exactly where the peer was said to be, while somebody else is taken for it: its first valid packet has the place. What came in its
 * place takes nothing from its allowance. */
static void receive_claim(struct half *half, struct latch *latch, receive_as *receive, struct datagram *datagram, size_t size, double now) {
    union address locked = latch->locked;
    int allowance = half->allowance;
    latch->locked.any.sa_family = AF_UNSPEC;
    half->allowance = MOST_PACKETS;
    receive(half, datagram, size, now);
    if (!is_somewhere(&latch->locked)) {
        latch->locked = locked;
        half->allowance = allowance;
    }
}

void half_receive(struct half *half, struct datagram *datagram, double now) {
    const uint8_t *packet = datagram->packet;
    const union address *source = &datagram->address;
    size_t size = datagram->size;
    datagram->size = 0;
    if (half->ice && size && is_stun(packet[0]))
        receive_check(half, packet, size, source, now);
    else if (half->ice && !is_checked(&half->checked, source))
        count_elsewhere(half, source);
    else if (half->ice || latch_admits(&half->latch, source))
        receive_admitted(half, datagram, size, now);
    else if (latch_is_claimed(&half->latch, source))
        receive_claim(half, &half->latch, receive_admitted, datagram, size, now);
    else
        receive_from_elsewhere(half, datagram, size, now);
}

void half_receive_rtcp(struct half *half, struct datagram *datagram, double now) {
    size_t size = datagram->size;
    datagram->size = 0;
    if (half->dtls && half->mux)
        return; /* the keys belong to the RTP port (RFC 5764 s4.1) */
    if (latch_admits(&half->control_latch, &datagram->address))
        receive_admitted_rtcp(half, datagram, size, now);
    else if (latch_is_claimed(&half->control_latch, &datagram->address))
        receive_claim(half, &half->control_latch, receive_admitted_rtcp, datagram, size, now);
    else
        refuse_source(half, &datagram->address);
}

/* Only where the peer was heard from, and checks of ICE do not serve already; fax has no empty datagrams. */
static void keep_alive(struct half *half, double now) {
    uint64_t sent = half->counters[PACKETS_SENT] + (half->mux ? half->counters[RTCP_SENT] : 0);
    if (sent != half->sent || !is_somewhere(&half->latch.locked) || half->ice || half->udptl) {
        half->sent = sent;
        half->sent_at = now;
    } else if (now - half->sent_at >= KEEP_ALIVE_EVERY) {
        half->sent_at = now;
        relay_send(half, false, NULL, 0, &half->latch.locked);
    }
}

void half_watch(struct half *half, double now) {
    if (now - half->allowed_at >= ALLOWANCE_EVERY) {
        half->allowance = MOST_PACKETS;
        half->checks = 0;
        half->reader.allowed = MOST_REPORTED;
        half->allowed_at = now;
    }
    if (reader_watch(&half->reader, now))
        relay_report(half, DIGIT);
    if (half->ice && half->consent && now - half->checked_at >= CONSENT)
        withdraw_consent(half);
    latch_note_passed(&half->latch, now);
    keep_alive(half, now);
    if (half->silence < 0)
        return;
    uint64_t heard = half->counters[PACKETS_RECEIVED] + half->counters[RTCP_RECEIVED];
    if (heard != half->heard) {
        half->heard = heard;
        half->heard_at = now;
        half->silent = false;
    } else if (!half->silent && now - half->heard_at >= half->silence) {
        half->silent = true;
        relay_report(half, SILENCE);
    }
}
