/* SRTP and SRTCP under every suite: any octets; and packets of a real sender that are lost, reordered, repeated and changed.
 * What was changed is never accepted, what is accepted is what was sent and is accepted once, and a refusal moves nothing. */

#include "input.h"
#include "packet.h"
#include "srtp.h"

#define KEPT 16

struct kept {
    uint8_t *plain, *sealed;
    size_t plain_size, sealed_size, header;
    bool rtcp, accepted, used;
};

static uint8_t master[MAX_MASTER];

__attribute__((constructor)) static void start(void) {
    for (size_t at = 0; at < sizeof master; at++)
        master[at] = (uint8_t)(at * 7 + 1);
    CLAIM(srtp_library_start());
}

/* One in 2^32 guesses at a tag of four octets is right. Two in a row are none. */
static void claim_forged(enum verdict verdict, enum suite suite, bool rtcp) {
    static int lucky;
    bool short_tag = suite == AES_CM_128_HMAC_SHA1_32 || suite == AES_192_CM_HMAC_SHA1_32 || suite == AES_256_CM_HMAC_SHA1_32;
    CLAIM(verdict != ACCEPTED || (short_tag && !rtcp && !lucky++));
}

static enum verdict open_sealed(struct srtp *receiver, const uint8_t *sealed, size_t *size, bool rtcp, uint8_t **plain) {
    uint8_t *packet = copy_of(sealed, *size, 0);
    size_t header = rtp_header(packet, *size);
    enum verdict verdict = UNUSABLE;
    if (rtcp && *size >= RTCP_HEADER)
        verdict = srtcp_unprotect(receiver, packet, size);
    else if (!rtcp && header)
        verdict = srtp_unprotect(receiver, packet, size, header);
    *plain = packet;
    return verdict;
}

static const uint8_t MKI[MAX_MKI] = {1, 2, 3, 4};

/* `name`: which MKI its packets have. */
static struct srtp *context(enum suite suite, bool sending, uint8_t name) {
    static const size_t sizes[] = {0, 0, 4, MAX_MKI};
    struct srtp *made = srtp_new(suite, master, sending);
    CLAIM(made);
    srtp_name(made, MKI, sizes[name & 3], 0);
    return made;
}

static void any_octets(enum suite suite, uint8_t name, struct input input) {
    struct srtp *receiver = context(suite, false, name), *sender = context(suite, true, name);
    for (int rtcp = 0; rtcp < 2; rtcp++) {
        uint8_t *plain;
        size_t size = input.left;
        claim_forged(open_sealed(receiver, input.at, &size, rtcp, &plain), suite, rtcp);
        free(plain);
        plain = copy_of(input.at, input.left, MAX_TRAILER);
        size = input.left;
        size_t header = rtp_header(plain, size);
        enum verdict verdict = UNUSABLE;
        if (rtcp && size >= RTCP_HEADER)
            verdict = srtcp_protect(sender, plain, &size);
        else if (!rtcp && header)
            verdict = srtp_protect(sender, plain, &size, header);
        if (verdict == ACCEPTED) {
            uint8_t *opened;
            CLAIM(size <= MAX_PACKET && size <= input.left + MAX_TRAILER);
            CLAIM(open_sealed(receiver, plain, &size, rtcp, &opened) == ACCEPTED);
            CLAIM(size == input.left && memcmp(opened, input.at, size) == 0);
            free(opened);
        }
        free(plain);
    }
    srtp_free(receiver);
    srtp_free(sender);
}

static void forget(struct kept *kept) {
    free(kept->plain);
    free(kept->sealed);
    *kept = (struct kept){0};
}

/* The next packet of the sender; lost unless it is delivered later. */
static void send(struct srtp *sender, struct input *input, uint16_t *sequence, struct kept *kept) {
    uint8_t how = take8(input);
    uint8_t plain[MAX_PACKET] = {0x80, 8};
    size_t size = RTP_HEADER + take8(input);
    forget(kept);
    kept->rtcp = how & 1;
    *sequence = (uint16_t)(*sequence + (how & 2 ? take16(input) & 0x3FFF : 1));
    for (size_t at = RTP_HEADER; at < size && at < RTP_HEADER + 4; at++)
        plain[at] = take8(input);
    if (kept->rtcp) {
        plain[1] = 201;
        write32(plain + 4, how >> 6);
    } else {
        plain[0] |= (uint8_t)(how >> 2 & 3);          /* sources */
        plain[0] |= (uint8_t)(how & 0x10 ? 0x10 : 0); /* extension */
        write16(plain + 2, *sequence);
        write32(plain + 8, how >> 6);
    }
    kept->header = kept->rtcp ? RTCP_HEADER : rtp_header(plain, size);
    if (!kept->header)
        return;
    kept->plain = copy_of(plain, size, 0);
    kept->plain_size = kept->sealed_size = size;
    kept->sealed = copy_of(plain, size, MAX_TRAILER);
    enum verdict verdict = kept->rtcp ? srtcp_protect(sender, kept->sealed, &kept->sealed_size)
                                      : srtp_protect(sender, kept->sealed, &kept->sealed_size, kept->header);
    kept->used = verdict == ACCEPTED;
    CLAIM(kept->used || verdict == REPLAYED); /* the number went round so far that it was there */
    CLAIM(!kept->used || memcmp(kept->sealed, kept->plain, kept->header) == 0 || kept->rtcp);
}

/* `calm` never sees what was changed: the other must not be moved by it. */
static void deliver(struct srtp *receiver, struct srtp *calm, struct kept *kept) {
    uint8_t *opened, *unimportant;
    size_t size = kept->sealed_size, same = size;
    enum verdict verdict = open_sealed(receiver, kept->sealed, &size, kept->rtcp, &opened);
    CLAIM(verdict == open_sealed(calm, kept->sealed, &same, kept->rtcp, &unimportant));
    CLAIM(verdict != UNUSABLE);
    if (verdict == ACCEPTED) {
        CLAIM(!kept->accepted);
        CLAIM(size == kept->plain_size && memcmp(opened, kept->plain, size) == 0);
        kept->accepted = true;
    }
    free(opened);
    free(unimportant);
}

static void deliver_changed(struct srtp *receiver, enum suite suite, struct input *input, struct kept *kept) {
    uint8_t changed[MAX_PACKET + 64 + MAX_MKI], *opened;
    uint8_t how = take8(input);
    size_t size = kept->sealed_size, at = take16(input) % size;
    memcpy(changed, kept->sealed, size);
    if (how & 1) {
        size = at;
    } else if (how & 2) {
        memset(changed + size, how, how >> 2);
        size += 1 + (how >> 3);
    } else {
        changed[at] ^= (uint8_t)(how ? how : 1);
    }
    if (size > MAX_PACKET || (size == kept->sealed_size && memcmp(changed, kept->sealed, size) == 0))
        return;
    claim_forged(open_sealed(receiver, changed, &size, kept->rtcp, &opened), suite, kept->rtcp);
    free(opened);
}

static void play(enum suite suite, uint8_t name, struct input input) {
    struct srtp *sender = context(suite, true, name), *receiver = context(suite, false, name);
    struct srtp *calm = context(suite, false, name);
    struct kept kept[KEPT] = {0};
    uint16_t sequence = take16(&input);
    while (input.left) {
        uint8_t what = take8(&input);
        struct kept *chosen = &kept[what >> 4];
        if ((what & 3) == 0)
            send(sender, &input, &sequence, chosen);
        else if (!chosen->used)
            continue;
        else if ((what & 3) == 1)
            deliver_changed(receiver, suite, &input, chosen);
        else
            deliver(receiver, calm, chosen);
    }
    for (size_t each = 0; each < KEPT; each++)
        forget(&kept[each]);
    srtp_free(calm);
    srtp_free(sender);
    srtp_free(receiver);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct input input = {data, size};
    uint8_t what = take8(&input);
    enum suite suite = (what & 0x0F) % SUITES;
    uint8_t name = what >> 4 & 3;
    if (what & 0x80)
        play(suite, name, input);
    else
        any_octets(suite, name, input);
    return 0;
}
