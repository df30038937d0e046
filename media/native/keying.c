#include "keying.h"

static bool has_keys(const struct srtp *present, const struct keys *keys) {
    for (size_t each = 0; each < keys->count; each++, present = srtp_next(present)) {
        const struct key *key = &keys->of[each];
        if (!present || !srtp_has_key(present, key->suite, key->master, key->mki, key->mki_size))
            return false;
    }
    return !present;
}

/* A new context, or that the present one has those very keys. */
static bool prepare_key(const struct keys *keys, const struct srtp *present, bool sending, struct srtp **made, bool *same) {
    *same = has_keys(present, keys);
    *made = NULL;
    for (size_t left = *same ? 0 : keys->count; left; left--) {
        const struct key *key = &keys->of[left - 1];
        struct srtp *first = srtp_new(key->suite, key->master, sending);
        if (!first)
            return false; /* keys_end frees the others */
        srtp_name(first, key->mki, key->mki_size, key->lifetime);
        srtp_append(first, *made);
        *made = first;
    }
    return true;
}

bool keys_prepare(struct keying *keys, const struct contexts *present) {
    return prepare_key(&keys->receive, present->inbound, false, &keys->inbound, &keys->same_inbound) &&
           prepare_key(&keys->transmit, present->outbound, true, &keys->outbound, &keys->same_outbound);
}

bool keys_use(struct contexts *contexts, struct keying *keys) {
    bool new = !keys->same_inbound;
    if (new) {
        srtp_free(contexts->before);
        contexts->before = keys->inbound ? contexts->inbound : NULL;
        if (!keys->inbound)
            srtp_free(contexts->inbound);
        contexts->inbound = keys->inbound;
    }
    if (!keys->same_outbound) {
        srtp_free(contexts->outbound);
        contexts->outbound = keys->outbound;
    }
    keys->inbound = keys->outbound = NULL;
    return new;
}

void contexts_end(struct contexts *contexts) {
    srtp_free(contexts->inbound);
    srtp_free(contexts->before);
    srtp_free(contexts->outbound);
    *contexts = (struct contexts){0};
}

void keys_end(struct keying *keys) {
    srtp_free(keys->inbound);
    srtp_free(keys->outbound);
}
