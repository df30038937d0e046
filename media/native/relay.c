#include "relay.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

static bool is_somewhere(const union address *address) { return address->any.sa_family != AF_UNSPEC; }

static bool same_address(const union address *one, const union address *other) {
    if (one->any.sa_family != other->any.sa_family)
        return false;
    if (one->any.sa_family == AF_INET)
        return one->in.sin_port == other->in.sin_port && one->in.sin_addr.s_addr == other->in.sin_addr.s_addr;
    return one->in6.sin6_port == other->in6.sin6_port && one->in6.sin6_scope_id == other->in6.sin6_scope_id &&
           memcmp(&one->in6.sin6_addr, &other->in6.sin6_addr, sizeof one->in6.sin6_addr) == 0;
}

static struct in6_addr host_of(const union address *address) {
    struct in6_addr host = {0};
    if (address->any.sa_family == AF_INET)
        memcpy(&host, &address->in.sin_addr, sizeof address->in.sin_addr);
    else
        host = address->in6.sin6_addr;
    return host;
}

static bool has_host(const struct hosts *hosts, const union address *address) {
    struct in6_addr host = host_of(address);
    for (size_t at = 0; at < hosts->count; at++)
        if (memcmp(&hosts->of[at], &host, sizeof host) == 0)
            return true;
    return false;
}

static void allow_host(struct hosts *hosts, const union address *address) {
    if (is_somewhere(address) && hosts->count < MAX_HOSTS && !has_host(hosts, address))
        hosts->of[hosts->count++] = host_of(address);
}

/* The peer said it is at `remote` from now on. */
static void redirect(struct latch *latch, const union address *remote, double now) {
    if (is_somewhere(&latch->locked)) {
        latch->former = latch->locked;
        latch->former_until = now + IN_FLIGHT;
    }
    latch->remote = latch->destination = *remote;
    latch->locked.any.sa_family = AF_UNSPEC;
}

static bool admits(const struct latch *latch, const union address *source) {
    if (is_somewhere(&latch->locked))
        return same_address(source, &latch->locked);
    return has_host(&latch->hosts, source);
}

/* A valid packet came from an admitted source. */
static void lock(struct latch *latch, const union address *source, double now) {
    if (is_somewhere(&latch->locked))
        return;
    if (is_somewhere(&latch->former) && same_address(source, &latch->former) && now < latch->former_until &&
        !same_address(source, &latch->remote))
        return;
    latch->former.any.sa_family = AF_UNSPEC;
    latch->locked = latch->destination = *source;
}

static bool fits(const struct half *half, const union address *address) {
    return !is_somewhere(address) || address->any.sa_family == half->local.any.sa_family;
}

/* A new context, or that the present one has that very key. */
static bool prepare_key(const struct key *key, const struct srtp *present, bool sending, struct srtp **made, bool *same) {
    *same = key->given ? present && srtp_has_key(present, key->suite, key->master) : !present;
    *made = key->given && !*same ? srtp_new(key->suite, key->master, sending) : NULL;
    return *made || *same || !key->given;
}

int half_prepare(const struct half *half, struct spec *spec) {
    if (!fits(half, &spec->remote) || !fits(half, &spec->remote_rtcp))
        return EAFNOSUPPORT;
    for (size_t each = 0; each < spec->from_count; each++)
        if (fits(half, &spec->from[each]))
            allow_host(&spec->hosts, &spec->from[each]);
    allow_host(&spec->hosts, &spec->remote);
    spec->rtcp_hosts = spec->hosts;
    allow_host(&spec->rtcp_hosts, &spec->remote_rtcp);
    return prepare_key(&spec->receive, half->inbound, false, &spec->inbound, &spec->same_inbound) &&
                   prepare_key(&spec->transmit, half->outbound, true, &spec->outbound, &spec->same_outbound)
               ? 0
               : ENOMEM;
}

void spec_end(struct spec *spec) {
    srtp_free(spec->inbound);
    srtp_free(spec->outbound);
    OPENSSL_cleanse(spec, sizeof *spec);
}

void half_update(struct half *half, struct spec *spec, double now) {
    if (!half->allowed_at)
        half->allowed_at = now;
    half->latch.hosts = spec->hosts;
    half->control_latch.hosts = spec->rtcp_hosts;
    bool moved = !same_address(&spec->remote, &half->latch.remote);
    bool moved_rtcp = moved || !same_address(&spec->remote_rtcp, &half->control_latch.remote);
    if (moved)
        redirect(&half->latch, &spec->remote, now);
    if (moved_rtcp)
        redirect(&half->control_latch, &spec->remote_rtcp, now);
    if (!spec->same_inbound) {
        srtp_free(half->before);
        half->before = spec->inbound ? half->inbound : NULL;
        if (!spec->inbound)
            srtp_free(half->inbound);
        half->inbound = spec->inbound;
        half->unproven = 0;
    }
    if (!spec->same_outbound) {
        srtp_free(half->outbound);
        half->outbound = spec->outbound;
    }
    spec->inbound = spec->outbound = NULL;
    if (moved || spec->silence != half->silence) {
        half->heard_at = now;
        half->silent = false;
    }
    half->silence = spec->silence;
    memcpy(half->leaving, spec->leaving, sizeof half->leaving);
    memcpy(half->rate, spec->rate, sizeof half->rate);
    half->mux_since = !spec->mux ? 0 : half->mux ? half->mux_since : now;
    half->mux = spec->mux;
    half->sending = spec->send;
    half->udptl = spec->udptl;
}

void half_end(struct half *half) {
    srtp_free(half->inbound);
    srtp_free(half->before);
    srtp_free(half->outbound);
    half->inbound = half->before = half->outbound = NULL;
}

/* Before anybody has said where the peer is, media that overtakes its answer is early, not wrong. */
static void refuse_source(struct half *half) {
    if (half->latch.hosts.count)
        half->counters[WRONG_SOURCE]++;
}

static void refuse(struct half *half, enum verdict verdict) {
    if (verdict == AUTHENTICATION_FAILED) {
        half->counters[SRTP_AUTH_FAILED]++;
        if (half->unproven < KEY_FAILURES && ++half->unproven == KEY_FAILURES)
            relay_report(half, KEY_FAILURE);
    } else {
        half->counters[verdict == REPLAYED ? REPLAYS : MALFORMED]++;
    }
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
static bool open_packet(struct half *half, unprotect *run, uint8_t *packet, size_t *size, size_t header) {
    enum verdict verdict;
    if (!half->before) {
        verdict = run(half->inbound, packet, size, header);
    } else {
        uint8_t copy[MAX_PACKET + MAX_TRAILER];
        memcpy(copy, packet, *size);
        size_t whole = *size;
        verdict = run(half->inbound, packet, size, header);
        if (verdict == ACCEPTED) {
            srtp_free(half->before);
            half->before = NULL;
        } else { /* under another suite it may look too short as well, or like SRTCP in the clear */
            memcpy(packet, copy, whole);
            *size = whole;
            verdict = run(half->before, packet, size, header);
        }
    }
    if (verdict != ACCEPTED) {
        refuse(half, verdict);
        return false;
    }
    half->unproven = KEY_FAILURES;
    return true;
}

static void accept_source(struct half *half, const union address *source, double now) {
    lock(&half->latch, source, now);
    if (!half->started) {
        half->started = true;
        relay_report(half, FIRST_PACKET);
    }
}

static void forward(struct half *half, uint8_t *packet, size_t size, size_t header) {
    struct half *far = half->far;
    if (!far->sending || !is_somewhere(&far->latch.destination))
        return;
    if (far->outbound) {
        enum verdict verdict = srtp_protect(far->outbound, packet, &size, header);
        if (verdict != ACCEPTED) {
            refuse(half, verdict);
            return;
        }
    }
    if (relay_send(far->rtp, packet, size, &far->latch.destination)) {
        far->counters[PACKETS_SENT]++;
        far->counters[OCTETS_SENT] += size;
    }
}

/* Hold does not stop RTCP: a direction "applies to the media only" (RFC 8866 s6.7). */
static void forward_control(struct half *half, uint8_t *packet, size_t size) {
    struct half *far = half->far;
    const union address *destination = &(far->mux ? &far->latch : &far->control_latch)->destination;
    if (!is_somewhere(destination))
        return;
    if (far->outbound) {
        enum verdict verdict = srtcp_protect(far->outbound, packet, &size);
        if (verdict != ACCEPTED) {
            refuse(half, verdict);
            return;
        }
    }
    if (relay_send(far->mux ? far->rtp : far->rtcp, packet, size, destination))
        far->counters[RTCP_SENT]++;
}

static void receive_control(struct half *half, struct latch *latch, uint8_t *packet, size_t size, const union address *source, double now) {
    if (!starts_like_rtcp(packet, size)) {
        half->counters[MALFORMED]++;
        return;
    }
    if (half->inbound && !open_packet(half, unprotect_rtcp, packet, &size, 0))
        return;
    if (!well_formed_rtcp(packet, size)) {
        half->counters[MALFORMED]++;
        return;
    }
    if (!is_allowed(half))
        return;
    lock(latch, source, now);
    half->counters[RTCP_RECEIVED]++;
    forward_control(half, packet, size);
}

static void receive_udptl(struct half *half, uint8_t *packet, size_t size, const union address *source, double now) {
    if (!well_formed_udptl(packet, size)) { /* speech that is still on the way, mostly */
        half->counters[MALFORMED]++;
        return;
    }
    if (!is_allowed(half))
        return;
    half->counters[PACKETS_RECEIVED]++;
    half->counters[DATAGRAMS_RECEIVED]++;
    half->counters[OCTETS_RECEIVED] += size;
    accept_source(half, source, now);
    forward(half, packet, size, 0);
}

static void receive_rtp(struct half *half, uint8_t *packet, size_t size, const union address *source, double now) {
    size_t arrived = size, header = rtp_header(packet, size);
    if (!header) {
        half->counters[MALFORMED]++;
        return;
    }
    if (half->inbound && !open_packet(half, srtp_unprotect, packet, &size, header))
        return;
    if (packet[0] & 0x20 && !padding_fits(packet, size, header)) {
        half->counters[MALFORMED]++;
        return;
    }
    if (!is_allowed(half))
        return;
    uint8_t type = packet[1] & 0x7F;
    reception_count(&half->reception, packet, half->rate[type], now);
    half->counters[PACKETS_RECEIVED]++;
    half->counters[OCTETS_RECEIVED] += arrived;
    if (half->leaving[type] == NO_PAYLOAD_TYPE) {
        half->counters[PAYLOAD_TYPE_MISMATCH]++;
        return;
    }
    accept_source(half, source, now);
    packet[1] = (packet[1] & 0x80) | half->leaving[type];
    forward(half, packet, size, header);
}

void half_receive(struct half *half, uint8_t *packet, size_t size, const union address *source, double now) {
    if (!admits(&half->latch, source))
        refuse_source(half);
    else if (half->udptl)
        receive_udptl(half, packet, size, source, now);
    else if (half->mux && size > 1 && is_rtcp_type(packet[1]))
        receive_control(half, &half->latch, packet, size, source, now);
    else
        receive_rtp(half, packet, size, source, now);
}

void half_receive_rtcp(struct half *half, uint8_t *packet, size_t size, const union address *source, double now) {
    if (admits(&half->control_latch, source))
        receive_control(half, &half->control_latch, packet, size, source, now);
    else
        refuse_source(half);
}

void half_watch(struct half *half, double now) {
    if (now - half->allowed_at >= ALLOWANCE_EVERY) {
        half->allowance = MOST_PACKETS;
        half->allowed_at = now;
    }
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
