#include "latch.h"

static struct in6_addr host_of(const union address *address) {
    struct in6_addr host = {0};
    if (address->any.sa_family == AF_INET)
        memcpy(&host, &address->in.sin_addr, sizeof address->in.sin_addr);
    else
        host = address->in6.sin6_addr;
    return host;
}

static bool same_host(const union address *one, const union address *other) {
    if (one->any.sa_family != other->any.sa_family)
        return false;
    if (one->any.sa_family == AF_INET)
        return one->in.sin_addr.s_addr == other->in.sin_addr.s_addr;
    return memcmp(&one->in6.sin6_addr, &other->in6.sin6_addr, sizeof one->in6.sin6_addr) == 0;
}

static bool has_host(const struct hosts *hosts, const union address *address) {
    struct in6_addr host = host_of(address);
    for (size_t at = 0; at < hosts->count; at++)
        if (memcmp(&hosts->of[at], &host, sizeof host) == 0)
            return true;
    return false;
}

/* RFC 1918, RFC 6598, RFC 4193 */
static bool is_private(const union address *address) {
    if (address->any.sa_family == AF_INET6)
        return (address->in6.sin6_addr.s6_addr[0] & 0xFE) == 0xFC;
    uint32_t host = ntohl(address->in.sin_addr.s_addr);
    return host >> 24 == 10 || host >> 20 == 0xAC1 || host >> 16 == 0xC0A8 || host >> 22 == 0x191;
}

void hosts_add(struct hosts *hosts, const union address *address) {
    if (is_somewhere(address) && hosts->count < MAX_HOSTS && !has_host(hosts, address))
        hosts->of[hosts->count++] = host_of(address);
}

void latch_redirect(struct latch *latch, const union address *remote, double now) {
    if (is_somewhere(&latch->locked)) {
        latch->former = latch->locked;
        latch->former_until = now + IN_FLIGHT;
    }
    latch->remote = latch->destination = *remote;
    latch->locked.any.sa_family = latch->moved.any.sa_family = AF_UNSPEC;
    latch->settled = false;
    latch->heard_at = now;
}

bool latch_admits(const struct latch *latch, const union address *source) {
    if (is_somewhere(&latch->locked))
        return same_address(source, &latch->locked);
    return has_host(&latch->hosts, source) || same_host(&latch->moved, source);
}

void latch_lock(struct latch *latch, const union address *source, bool proven, double now) {
    if (is_somewhere(&latch->former) && same_address(source, &latch->former) && now < latch->former_until &&
        !same_address(source, &latch->remote))
        return;
    latch->former.any.sa_family = AF_UNSPEC;
    latch->locked = latch->destination = *source;
    latch->settled |= proven;
}

bool latch_may_be_claimed(const struct latch *latch) {
    return is_somewhere(&latch->locked) && is_somewhere(&latch->remote) && !latch->settled &&
           !same_address(&latch->locked, &latch->remote) && (same_host(&latch->locked, &latch->remote) || !is_private(&latch->remote));
}

bool latch_is_claimed(const struct latch *latch, const union address *source) {
    return same_address(source, &latch->remote) && latch_may_be_claimed(latch);
}

void latch_note_passed(struct latch *latch, double now) {
    if (latch->passed)
        latch->heard_at = now;
    latch->passed = false;
}

bool latch_may_move(struct latch *latch, double now) {
    latch_note_passed(latch, now);
    return now - latch->heard_at >= FOLLOW_AFTER && (!latch->moved_at || now - latch->moved_at >= FOLLOW_EVERY);
}

bool latch_is_neighbour(const struct latch *latch, const union address *source) {
    return same_host(&latch->locked, source) &&
           (source->any.sa_family == AF_INET || latch->locked.in6.sin6_scope_id == source->in6.sin6_scope_id);
}

void latch_move(struct latch *latch, const union address *source, double now) {
    latch->former.any.sa_family = AF_UNSPEC;
    latch->locked = latch->destination = *source;
    latch->settled = true;
    latch->heard_at = latch->moved_at = now;
}

void latch_reopen(struct latch *latch, const union address *source) {
    latch->locked.any.sa_family = AF_UNSPEC;
    latch->settled = true;
    latch->moved = *source;
}
