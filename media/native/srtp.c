/* SHA1_* are the only interface of libcrypto whose state can be copied for the price of a memcpy: two of four hash blocks a packet
 * are those of the key, the same each time. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "srtp.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "packet.h"

#define SALT_CM 14
#define SALT_GCM 12
#define TAG_GCM 16
#define TAG_RTCP 10      /* also of the _32 suites (RFC 4568 s6.2.2) */
#define INDEX_WORD 4     /* E bit and SRTCP index */
#define ENCRYPTED 0x80000000u
#define MAX_RTP_INDEX 0xFFFFFFFFFFFFull /* 2^48 packets under one key (RFC 3711 s9.2) */
#define MAX_RTCP_INDEX 0x7FFFFFFFull
#define BLOCK 64 /* of SHA-1 */

/* Octets from where libcrypto has a cipher to behind its round keys, which it allocates next and so as a rule right there. */
#define CIPHER_SPREAD 576
#define AES_BLOCK 16
#define RUN 12 /* blocks encrypted at a time: 20 ms of G.711 and a little more */

enum label { RTP_KEY, RTP_AUTH, RTP_SALT, RTCP_KEY, RTCP_AUTH, RTCP_SALT }; /* RFC 3711 s4.3.1, s4.3.2 */

static const struct profile {
    uint8_t key;
    uint8_t salt;
    uint8_t tag;
    bool gcm;
} PROFILES[SUITES] = {
    [AES_CM_128_HMAC_SHA1_80] = {16, SALT_CM, 10, false},
    [AES_CM_128_HMAC_SHA1_32] = {16, SALT_CM, 4, false},
    [AES_192_CM_HMAC_SHA1_80] = {24, SALT_CM, 10, false},
    [AES_192_CM_HMAC_SHA1_32] = {24, SALT_CM, 4, false},
    [AES_256_CM_HMAC_SHA1_80] = {32, SALT_CM, 10, false},
    [AES_256_CM_HMAC_SHA1_32] = {32, SALT_CM, 4, false},
    [AEAD_AES_128_GCM] = {16, SALT_GCM, TAG_GCM, true},
    [AEAD_AES_256_GCM] = {32, SALT_GCM, TAG_GCM, true},
};

/* Fetched once: looking a cipher up by name costs more than a packet. Indexed by key length / 8. */
static EVP_CIPHER *code_book[5], *galois_counter_mode[5];

/* What is known of one SSRC. */
struct stream {
    uint32_t ssrc;
    uint64_t highest;         /* RTP: roll-over counter and sequence number; RTCP: the index */
    unsigned __int128 window; /* bit n: the packet n before the highest was there */
};

struct streams {
    struct stream *of;
    size_t count, room;
};

/* The two states of SHA-1 after the block of the key. */
struct hmac {
    SHA_LONG inner[5], outer[5];
};

/* One of the two protocols under the key. */
struct protocol {
    EVP_CIPHER_CTX *cipher; /* NULL until the first packet */
    struct hmac hmac;
    uint8_t salt[SALT_CM];
    struct streams streams;
};

struct srtp {
    const struct profile *profile;
    enum suite suite;
    bool sending;
    uint8_t master[MAX_MASTER];
    size_t mki_size;
    uint64_t left; /* RTP packets the key is good for */
    struct protocol rtp, rtcp; /* with the streams of all keys */
    struct srtp *next, *last;  /* another key; and the one that the last packet was under */
    uint8_t mki[MAX_MKI];
};

bool srtp_library_start(void) {
    static const char *names[][2] = {{"AES-128-ECB", "AES-128-GCM"}, {"AES-192-ECB", "AES-192-GCM"}, {"AES-256-ECB", "AES-256-GCM"}};
    for (int size = 2; size <= 4; size++) {
        if (!code_book[size])
            code_book[size] = EVP_CIPHER_fetch(NULL, names[size - 2][0], NULL);
        if (!galois_counter_mode[size])
            galois_counter_mode[size] = EVP_CIPHER_fetch(NULL, names[size - 2][1], NULL);
        if (!code_book[size] || !galois_counter_mode[size])
            return false;
    }
    return true;
}

size_t suite_key_length(enum suite suite) { return (size_t)PROFILES[suite].key + PROFILES[suite].salt; }

bool srtp_has_key(const struct srtp *srtp, enum suite suite, const uint8_t *master, const uint8_t *mki, size_t mki_size) {
    return srtp->suite == suite && srtp->mki_size == mki_size && memcmp(srtp->mki, mki, mki_size) == 0 &&
           CRYPTO_memcmp(srtp->master, master, suite_key_length(suite)) == 0;
}

static void hmac_half(SHA_LONG state[5], const uint8_t block[BLOCK]) {
    SHA_CTX sum;
    SHA1_Init(&sum);
    SHA1_Update(&sum, block, BLOCK);
    memcpy(state, (SHA_LONG[5]){sum.h0, sum.h1, sum.h2, sum.h3, sum.h4}, 5 * sizeof *state);
    OPENSSL_cleanse(&sum, sizeof sum);
}

static void hmac_key(struct hmac *hmac, const uint8_t *key, size_t size) {
    uint8_t block[BLOCK];
    memset(block, 0x36, BLOCK);
    for (size_t at = 0; at < size; at++)
        block[at] ^= key[at];
    hmac_half(hmac->inner, block);
    for (size_t at = 0; at < BLOCK; at++)
        block[at] ^= 0x36 ^ 0x5C;
    hmac_half(hmac->outer, block);
    OPENSSL_cleanse(block, BLOCK);
}

static void hmac_go_on(SHA_CTX *sum, const SHA_LONG state[5]) {
    sum->h0 = state[0];
    sum->h1 = state[1];
    sum->h2 = state[2];
    sum->h3 = state[3];
    sum->h4 = state[4];
    sum->Nl = 8 * BLOCK;
    sum->Nh = sum->num = 0;
}

/* HMAC-SHA1 of the packet and, where SRTP has it, the roll-over counter (RFC 3711 s4.2). */
static void hmac_sum(const struct hmac *hmac, const uint8_t *packet, size_t size, const uint8_t *counter, uint8_t tag[SHA_DIGEST_LENGTH]) {
    SHA_CTX sum;
    hmac_go_on(&sum, hmac->inner);
    SHA1_Update(&sum, packet, size);
    if (counter)
        SHA1_Update(&sum, counter, 4);
    SHA1_Final(tag, &sum);
    hmac_go_on(&sum, hmac->outer);
    SHA1_Update(&sum, tag, SHA_DIGEST_LENGTH);
    SHA1_Final(tag, &sum);
}

static EVP_CIPHER_CTX *code_book_of(const uint8_t *key, size_t size) {
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    if (cipher && (EVP_EncryptInit_ex(cipher, code_book[size / 8], NULL, key, NULL) != 1 || EVP_CIPHER_CTX_set_padding(cipher, 0) != 1)) {
        EVP_CIPHER_CTX_free(cipher);
        cipher = NULL;
    }
    return cipher;
}

static void combine(uint8_t *data, const uint8_t *stream, size_t size) {
    size_t at = 0;
    for (uint64_t one, other; at + sizeof one <= size; at += sizeof one) {
        memcpy(&one, data + at, sizeof one);
        memcpy(&other, stream + at, sizeof other);
        one ^= other;
        memcpy(data + at, &one, sizeof one);
    }
    for (; at < size; at++)
        data[at] ^= stream[at];
}

/* AES in counter mode (RFC 3711 s4.1.1), the last two octets of `iv` being the block counter. Made of single blocks, for libcrypto takes
 * longer to begin its own counter mode anew than to encrypt a packet. */
static bool counter_mode(EVP_CIPHER_CTX *cipher, const uint8_t iv[AES_BLOCK], uint8_t *data, size_t size) {
    uint8_t stream[RUN * AES_BLOCK];
    for (size_t at = 0; at < size; at += sizeof stream) {
        size_t part = size - at < sizeof stream ? size - at : sizeof stream, blocks = (part + AES_BLOCK - 1) / AES_BLOCK;
        int made;
        for (size_t block = 0; block < blocks; block++) {
            memcpy(stream + block * AES_BLOCK, iv, AES_BLOCK);
            write16(stream + block * AES_BLOCK + AES_BLOCK - 2, (uint16_t)(at / AES_BLOCK + block));
        }
        if (EVP_EncryptUpdate(cipher, stream, &made, stream, (int)(blocks * AES_BLOCK)) != 1)
            return false;
        combine(data + at, stream, part);
    }
    return true;
}

/* Session keys by the AES-CM PRF with key derivation rate 0 (RFC 3711 s4.3); a 96-bit salt is padded on the right (RFC 7714 s11). */
static bool derive(EVP_CIPHER_CTX *prf, const struct srtp *srtp, enum label label, uint8_t *out, size_t size) {
    uint8_t iv[AES_BLOCK] = {0};
    memcpy(iv, srtp->master + srtp->profile->key, srtp->profile->salt);
    iv[7] ^= (uint8_t)label;
    memset(out, 0, size);
    bool good = counter_mode(prf, iv, out, size);
    OPENSSL_cleanse(iv, sizeof iv); /* part of it is the salt */
    return good;
}

static EVP_CIPHER_CTX *galois_of(const uint8_t *key, size_t size, bool sending) {
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    if (cipher && EVP_CipherInit_ex(cipher, galois_counter_mode[size / 8], NULL, key, NULL, sending) != 1) {
        EVP_CIPHER_CTX_free(cipher);
        cipher = NULL;
    }
    return cipher;
}

static bool start(const struct srtp *srtp, struct protocol *protocol) {
    enum label first = protocol == &srtp->rtp ? RTP_KEY : RTCP_KEY;
    const struct profile *profile = srtp->profile;
    uint8_t key[32], auth[SHA_DIGEST_LENGTH];
    EVP_CIPHER_CTX *prf = code_book_of(srtp->master, profile->key);
    bool good = prf && derive(prf, srtp, first, key, profile->key) && derive(prf, srtp, first + 2, protocol->salt, profile->salt);
    if (good && !profile->gcm) {
        good = derive(prf, srtp, first + 1, auth, sizeof auth);
        hmac_key(&protocol->hmac, auth, sizeof auth);
    }
    EVP_CIPHER_CTX_free(prf);
    if (good)
        protocol->cipher = profile->gcm ? galois_of(key, profile->key, srtp->sending) : code_book_of(key, profile->key);
    OPENSSL_cleanse(key, sizeof key);
    OPENSSL_cleanse(auth, sizeof auth);
    return protocol->cipher != NULL;
}

struct srtp *srtp_new(enum suite suite, const uint8_t *master, bool sending) {
    struct srtp *srtp = calloc(1, sizeof *srtp);
    if (!srtp)
        return NULL;
    srtp->suite = suite;
    srtp->profile = &PROFILES[suite];
    srtp->sending = sending;
    srtp->last = srtp;
    memcpy(srtp->master, master, suite_key_length(suite));
    if (!start(srtp, &srtp->rtp)) {
        srtp_free(srtp);
        return NULL;
    }
    srtp_name(srtp, NULL, 0, 0);
    return srtp; /* RTCP may never come: its keys are derived when it does */
}

void srtp_name(struct srtp *srtp, const uint8_t *mki, size_t size, uint64_t lifetime) {
    srtp->left = lifetime ? lifetime : MAX_RTP_INDEX + 1;
    srtp->mki_size = size;
    if (size)
        memcpy(srtp->mki, mki, size);
}

void srtp_append(struct srtp *srtp, struct srtp *next) { srtp->next = next; }

const struct srtp *srtp_next(const struct srtp *srtp) { return srtp->next; }

bool srtp_is_worn(const struct srtp *srtp) { return srtp->last->left == 0; }

void srtp_free(struct srtp *srtp) {
    if (!srtp)
        return;
    srtp_free(srtp->next);
    EVP_CIPHER_CTX_free(srtp->rtp.cipher); /* which zeroes its key */
    EVP_CIPHER_CTX_free(srtp->rtcp.cipher);
    free(srtp->rtp.streams.of);
    free(srtp->rtcp.streams.of);
    OPENSSL_cleanse(srtp, sizeof *srtp);
    free(srtp);
}

void srtp_expect(const struct srtp *srtp) {
    for (size_t at = 0; at < sizeof srtp->rtp; at += 64)
        read_line((const uint8_t *)&srtp->rtp + at);
}

/* What lies behind the cipher's first line is not ours to read. */
void srtp_expect_cipher(const struct srtp *srtp) {
    if (srtp->rtp.streams.of)
        read_line(srtp->rtp.streams.of);
    if (srtp->rtp.cipher)
        read_line(srtp->rtp.cipher);
    for (size_t at = 64; srtp->rtp.cipher && at < CIPHER_SPREAD; at += 64)
        __builtin_prefetch((const uint8_t *)srtp->rtp.cipher + at);
}

/* Streams, and which packet of one this is */

static struct stream *find(const struct streams *streams, uint32_t ssrc) {
    for (size_t at = 0; at < streams->count; at++)
        if (streams->of[at].ssrc == ssrc)
            return &streams->of[at];
    return NULL;
}

static bool has_room(struct streams *streams) {
    if (streams->count < streams->room)
        return true;
    if (streams->room >= MAX_SOURCES)
        return false;
    size_t room = streams->room ? 4 * streams->room : 1;
    if (room > MAX_SOURCES)
        room = MAX_SOURCES;
    struct stream *grown = realloc(streams->of, room * sizeof *grown);
    if (!grown)
        return false;
    streams->of = grown;
    streams->room = room;
    return true;
}

/* RFC 3711 s3.3.1 and A; a roll-over counter below zero does not exist. */
static uint64_t estimate(const struct stream *stream, uint16_t sequence) {
    if (!stream)
        return sequence;
    uint64_t rollover = stream->highest >> 16;
    uint16_t last = (uint16_t)stream->highest;
    if (last < 0x8000) {
        if (rollover > 0 && sequence > last + 0x8000)
            rollover--;
    } else if (sequence < last - 0x8000) {
        rollover++;
    }
    return rollover << 16 | sequence;
}

static bool is_replay(const struct stream *stream, uint64_t index) {
    if (!stream || index > stream->highest)
        return false;
    uint64_t late = stream->highest - index;
    return late >= REPLAY_WINDOW || stream->window >> late & 1;
}

/* Not before the packet was authenticated: strangers cannot fill the table or move the window. There is room. */
static void commit(struct streams *streams, struct stream *stream, uint32_t ssrc, uint64_t index) {
    if (!stream) {
        stream = &streams->of[streams->count++];
        *stream = (struct stream){.ssrc = ssrc, .highest = index, .window = 1};
    } else if (index > stream->highest) {
        uint64_t ahead = index - stream->highest;
        stream->window = ahead < REPLAY_WINDOW ? stream->window << ahead | 1 : 1;
        stream->highest = index;
    } else {
        stream->window |= (unsigned __int128)1 << (stream->highest - index);
    }
}

/* Ciphers */

/* AES-CM: (salt * 2^16) XOR (SSRC * 2^64) XOR (index * 2^16) (RFC 3711 s4.1.1). */
static bool counter_mode_run(const struct protocol *protocol, uint32_t ssrc, uint64_t index, uint8_t *data, size_t size) {
    uint8_t iv[AES_BLOCK] = {0};
    memcpy(iv, protocol->salt, SALT_CM);
    for (int at = 0; at < 4; at++)
        iv[4 + at] ^= (uint8_t)(ssrc >> (24 - 8 * at));
    for (int at = 0; at < 6; at++)
        iv[8 + at] ^= (uint8_t)(index >> (40 - 8 * at));
    return counter_mode(protocol->cipher, iv, data, size);
}

/* AEAD: 00 00 SSRC, then ROC and sequence number, or 00 00 and the SRTCP index, XOR salt (RFC 7714 s8.1, s9.1). */
static bool galois_start(const struct protocol *protocol, uint32_t ssrc, uint64_t index) {
    uint8_t iv[SALT_GCM] = {0};
    write32(iv + 2, ssrc);
    for (int at = 0; at < 6; at++)
        iv[6 + at] = (uint8_t)(index >> (40 - 8 * at));
    for (int at = 0; at < SALT_GCM; at++)
        iv[at] ^= protocol->salt[at];
    return EVP_CipherInit_ex(protocol->cipher, NULL, NULL, NULL, iv, -1) == 1;
}

struct span {
    const uint8_t *at;
    size_t size;
};

static bool galois_associate(const struct protocol *protocol, struct span data) {
    int made;
    return EVP_CipherUpdate(protocol->cipher, NULL, &made, data.at, (int)data.size) == 1;
}

static bool galois_seal(const struct protocol *protocol, uint8_t *data, size_t size, uint8_t *tag) {
    int made;
    return EVP_CipherUpdate(protocol->cipher, data, &made, data, (int)size) == 1 &&
           EVP_CipherFinal_ex(protocol->cipher, data + made, &made) == 1 &&
           EVP_CIPHER_CTX_ctrl(protocol->cipher, EVP_CTRL_AEAD_GET_TAG, TAG_GCM, tag) == 1;
}

static bool galois_open(const struct protocol *protocol, uint8_t *data, size_t size, uint8_t *tag) {
    int made;
    return EVP_CIPHER_CTX_ctrl(protocol->cipher, EVP_CTRL_AEAD_SET_TAG, TAG_GCM, tag) == 1 &&
           EVP_CipherUpdate(protocol->cipher, data, &made, data, (int)size) == 1 &&
           EVP_CipherFinal_ex(protocol->cipher, data + made, &made) == 1;
}

/* The MKI stands before the tag, and is not authenticated itself (RFC 3711 s3.1, s3.4); where that is part of the cipher text it is the end
 * of the packet (RFC 7714 s8.2, s9.2). `tail`: octets behind it. */

static void add_mki(const struct srtp *srtp, uint8_t *packet, size_t *size, size_t tail) {
    uint8_t *at = packet + *size - tail;
    if (!srtp->mki_size)
        return;
    memmove(at + srtp->mki_size, at, tail);
    memcpy(at, srtp->mki, srtp->mki_size);
    *size += srtp->mki_size;
}

/* `*key` becomes the one it names; `least`: octets that stand before it. */
static enum verdict cut_mki(struct srtp **key, uint8_t *packet, size_t *size, size_t tail, size_t least) {
    size_t named = (*key)->mki_size;
    if (!named)
        return ACCEPTED;
    if (*size < least + named + tail)
        return UNUSABLE;
    uint8_t *at = packet + *size - tail - named;
    while (*key && memcmp(at, (*key)->mki, named) != 0)
        *key = (*key)->next;
    if (!*key)
        return AUTHENTICATION_FAILED; /* nobody's that we know */
    memmove(at, at + named, tail);
    *size -= named;
    return ACCEPTED;
}

/* RTP */

enum verdict srtp_protect(struct srtp *srtp, uint8_t *packet, size_t *size, size_t header) {
    struct protocol *rtp = &srtp->rtp;
    uint32_t ssrc = read32(packet + 8);
    struct stream *stream = find(&rtp->streams, ssrc);
    uint64_t index = estimate(stream, read16(packet + 2));
    if (*size + srtp->profile->tag + srtp->mki_size > MAX_PACKET || index > MAX_RTP_INDEX || (!stream && !has_room(&rtp->streams)))
        return UNUSABLE;
    if (is_replay(stream, index))
        return REPLAYED;
    uint8_t *tag = packet + *size;
    if (srtp->profile->gcm) {
        if (!galois_start(rtp, ssrc, index) || !galois_associate(rtp, (struct span){packet, header}) ||
            !galois_seal(rtp, packet + header, *size - header, tag))
            return UNUSABLE;
    } else {
        if (!counter_mode_run(rtp, ssrc, index, packet + header, *size - header))
            return UNUSABLE;
        uint8_t counter[4], sum[SHA_DIGEST_LENGTH];
        write32(counter, (uint32_t)(index >> 16));
        hmac_sum(&rtp->hmac, packet, *size, counter, sum);
        memcpy(tag, sum, srtp->profile->tag);
    }
    *size += srtp->profile->tag;
    add_mki(srtp, packet, size, srtp->profile->gcm ? 0 : srtp->profile->tag);
    commit(&rtp->streams, stream, ssrc, index);
    return ACCEPTED;
}

enum verdict srtp_unprotect(struct srtp *srtp, uint8_t *packet, size_t *size, size_t header) {
    struct srtp *key = srtp;
    enum verdict named = cut_mki(&key, packet, size, srtp->profile->gcm ? 0 : srtp->profile->tag, RTP_HEADER);
    if (named != ACCEPTED)
        return named;
    const struct protocol *rtp = &key->rtp;
    struct streams *streams = &srtp->rtp.streams;
    uint32_t ssrc = read32(packet + 8);
    struct stream *stream = find(streams, ssrc);
    uint64_t index = estimate(stream, read16(packet + 2));
    if (index > MAX_RTP_INDEX)
        return UNUSABLE;
    if (is_replay(stream, index))
        return REPLAYED;
    if (*size < header + srtp->profile->tag || (!stream && !has_room(streams)))
        return UNUSABLE;
    size_t plain = *size - srtp->profile->tag;
    if (srtp->profile->gcm) {
        if (!galois_start(rtp, ssrc, index) || !galois_associate(rtp, (struct span){packet, header}))
            return UNUSABLE;
        if (!galois_open(rtp, packet + header, plain - header, packet + plain))
            return AUTHENTICATION_FAILED;
    } else {
        uint8_t counter[4], sum[SHA_DIGEST_LENGTH];
        write32(counter, (uint32_t)(index >> 16));
        hmac_sum(&rtp->hmac, packet, plain, counter, sum);
        if (CRYPTO_memcmp(sum, packet + plain, srtp->profile->tag) != 0)
            return AUTHENTICATION_FAILED;
        if (!counter_mode_run(rtp, ssrc, index, packet + header, plain - header))
            return UNUSABLE;
    }
    *size = plain;
    key->left--;
    srtp->last = key;
    commit(streams, stream, ssrc, index);
    return ACCEPTED;
}

/* RTCP: the index goes with the packet. Behind the GCM tag, before the HMAC's (RFC 3711 s3.4, RFC 7714 s9). */

static bool rtcp_ready(struct srtp *srtp) { return srtp->rtcp.cipher || start(srtp, &srtp->rtcp); }

enum verdict srtcp_protect(struct srtp *srtp, uint8_t *packet, size_t *size) {
    struct protocol *rtcp = &srtp->rtcp;
    size_t tag_size = srtp->profile->gcm ? TAG_GCM : TAG_RTCP;
    uint32_t ssrc = read32(packet + 4);
    struct stream *stream = find(&rtcp->streams, ssrc);
    uint64_t index = stream ? stream->highest + 1 : 1;
    if (*size + tag_size + INDEX_WORD + srtp->mki_size > MAX_PACKET || index > MAX_RTCP_INDEX || !rtcp_ready(srtp) ||
        (!stream && !has_room(&rtcp->streams)))
        return UNUSABLE;
    uint8_t word[INDEX_WORD];
    write32(word, (uint32_t)index | ENCRYPTED);
    if (srtp->profile->gcm) {
        if (!galois_start(rtcp, ssrc, index) || !galois_associate(rtcp, (struct span){packet, RTCP_HEADER}) ||
            !galois_associate(rtcp, (struct span){word, INDEX_WORD}) ||
            !galois_seal(rtcp, packet + RTCP_HEADER, *size - RTCP_HEADER, packet + *size))
            return UNUSABLE;
        memcpy(packet + *size + TAG_GCM, word, INDEX_WORD);
    } else {
        uint8_t sum[SHA_DIGEST_LENGTH];
        if (!counter_mode_run(rtcp, ssrc, index, packet + RTCP_HEADER, *size - RTCP_HEADER))
            return UNUSABLE;
        memcpy(packet + *size, word, INDEX_WORD);
        hmac_sum(&rtcp->hmac, packet, *size + INDEX_WORD, NULL, sum);
        memcpy(packet + *size + INDEX_WORD, sum, TAG_RTCP);
    }
    *size += tag_size + INDEX_WORD;
    add_mki(srtp, packet, size, srtp->profile->gcm ? 0 : TAG_RTCP);
    commit(&rtcp->streams, stream, ssrc, index);
    return ACCEPTED;
}

enum verdict srtcp_unprotect(struct srtp *srtp, uint8_t *packet, size_t *size) {
    struct srtp *key = srtp;
    size_t tag_size = srtp->profile->gcm ? TAG_GCM : TAG_RTCP;
    enum verdict named = cut_mki(&key, packet, size, srtp->profile->gcm ? 0 : TAG_RTCP, RTCP_HEADER);
    if (named != ACCEPTED)
        return named;
    if (*size < RTCP_HEADER + tag_size + INDEX_WORD || !rtcp_ready(key))
        return UNUSABLE;
    const struct protocol *rtcp = &key->rtcp;
    struct streams *streams = &srtp->rtcp.streams;
    size_t plain = *size - tag_size - INDEX_WORD;
    const uint8_t *word = packet + (srtp->profile->gcm ? *size - INDEX_WORD : plain);
    if (!(read32(word) & ENCRYPTED))
        return UNUSABLE; /* UNENCRYPTED_SRTCP is never agreed on (RFC 4568 s6.3.2) */
    uint64_t index = read32(word) & MAX_RTCP_INDEX;
    uint32_t ssrc = read32(packet + 4);
    struct stream *stream = find(streams, ssrc);
    if (is_replay(stream, index))
        return REPLAYED;
    if (!stream && !has_room(streams))
        return UNUSABLE;
    if (srtp->profile->gcm) {
        if (!galois_start(rtcp, ssrc, index) || !galois_associate(rtcp, (struct span){packet, RTCP_HEADER}) ||
            !galois_associate(rtcp, (struct span){word, INDEX_WORD}))
            return UNUSABLE;
        if (!galois_open(rtcp, packet + RTCP_HEADER, plain - RTCP_HEADER, packet + plain))
            return AUTHENTICATION_FAILED;
    } else {
        uint8_t sum[SHA_DIGEST_LENGTH];
        hmac_sum(&rtcp->hmac, packet, plain + INDEX_WORD, NULL, sum);
        if (CRYPTO_memcmp(sum, packet + plain + INDEX_WORD, TAG_RTCP) != 0)
            return AUTHENTICATION_FAILED;
        if (!counter_mode_run(rtcp, ssrc, index, packet + RTCP_HEADER, plain - RTCP_HEADER))
            return UNUSABLE;
    }
    *size = plain;
    commit(streams, stream, ssrc, index);
    return ACCEPTED;
}
