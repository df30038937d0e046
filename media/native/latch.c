#include "latch.h"

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
    latch->locked.any.sa_family = AF_UNSPEC;
}

bool latch_admits(const struct latch *latch, const union address *source) {
    if (is_somewhere(&latch->locked))
        return same_address(source, &latch->locked);
    return has_host(&latch->hosts, source);
}

void latch_lock(struct latch *latch, const union address *source, double now) {
    if (is_somewhere(&latch->locked))
        return;
    if (is_somewhere(&latch->former) && same_address(source, &latch->former) && now < latch->former_until &&
        !same_address(source, &latch->remote))
        return;
    latch->former.any.sa_family = AF_UNSPEC;
    latch->locked = latch->destination = *source;
}
