#include "stun.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#include "packet.h"

#define TRANSACTION 12
#define COOKIE 0x2112A442u
#define OPTIONAL 0x8000 /* attributes from here on may be passed over (RFC 8489 s14) */
#define FINGERPRINT_XOR 0x5354554Eu
#define ATTRIBUTE 4 /* octets of its header */
#define DIGEST 20

enum { REQUEST = 0x0001, INDICATION = 0x0011, SUCCESS = 0x0101, ERROR = 0x0111 };
enum {
    USERNAME = 0x0006,
    INTEGRITY = 0x0008,
    ERROR_CODE = 0x0009,
    UNKNOWN_ATTRIBUTES = 0x000A,
    INTEGRITY_SHA256 = 0x001C, /* this and the next come beside the others where a peer does not know yet what we can */
    ALGORITHM = 0x001D,
    XOR_MAPPED = 0x0020,
    PRIORITY = 0x0024,
    USE_CANDIDATE = 0x0025,
    FINGERPRINT = 0x8028,
    CONTROLLED = 0x8029,
};

void ice_free(struct ice *ice) {
    if (!ice)
        return;
    OPENSSL_cleanse(ice, sizeof *ice);
    free(ice);
}

/* CRC-32 of ITU-T V.42, four bits at a time: checks are rare. */
static uint32_t crc32(const uint8_t *octets, size_t size) {
    static const uint32_t table[16] = {
        0x00000000, 0x1DB71064, 0x3B6E20C8, 0x26D930AC, 0x76DC4190, 0x6B6B51F4, 0x4DB26158, 0x5005713C,
        0xEDB88320, 0xF00F9344, 0xD6D6A3E8, 0xCB61B38C, 0x9B64C2B0, 0x86D3D2D4, 0xA00AE278, 0xBDBDF21C,
    };
    uint32_t crc = 0xFFFFFFFFu;
    for (size_t at = 0; at < size; at++) {
        crc ^= octets[at];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

/* Over the `size` octets before the attribute, with the length of a message that ends with it (s14.5). */
static bool integrity_of(const uint8_t *message, size_t size, const struct ice *ice, uint8_t digest[EVP_MAX_MD_SIZE]) {
    uint8_t whole[MAX_PACKET];
    if (size > sizeof whole)
        return false;
    memcpy(whole, message, size);
    write16(whole + 2, (uint16_t)(size + ATTRIBUTE + DIGEST - STUN_HEADER));
    return HMAC(EVP_sha1(), ice->password, (int)ice->password_size, whole, size, digest, NULL) != NULL;
}

static bool has_integrity(const uint8_t *message, size_t at, const struct ice *ice) {
    uint8_t digest[EVP_MAX_MD_SIZE];
    return integrity_of(message, at, ice, digest) && CRYPTO_memcmp(digest, message + at + ATTRIBUTE, DIGEST) == 0;
}

static bool is_understood(uint16_t name) {
    return name >= OPTIONAL || name == USERNAME || name == INTEGRITY || name == PRIORITY || name == USE_CANDIDATE ||
           name == INTEGRITY_SHA256 || name == ALGORITHM;
}

enum check_kind stun_read(const uint8_t *packet, size_t size, const struct ice *ice, struct check *check) {
    if (size < STUN_HEADER || size > MAX_PACKET || size % 4 || read16(packet + 2) != size - STUN_HEADER || read32(packet + 4) != COOKIE)
        return NOT_A_CHECK;
    if (read16(packet) != REQUEST)
        return read16(packet) == INDICATION ? KEEP_ALIVE : NOT_A_CHECK;
    size_t user = 0, user_size = 0, integrity = 0, checksum = 0;
    bool nominates = false, controlled = false;
    check->transaction = packet + 8;
    check->unknown_count = 0;
    for (size_t at = STUN_HEADER; at < size;) {
        uint16_t name = read16(packet + at), length = read16(packet + at + 2);
        size_t end = at + ATTRIBUTE + length;
        if (end > size || checksum)
            return NOT_A_CHECK; /* nothing follows FINGERPRINT (s14.7) */
        if (name == FINGERPRINT && length == 4) {
            checksum = at;
        } else if (integrity) {
            /* what follows MESSAGE-INTEGRITY is not looked at, but for FINGERPRINT (s14.5) */
        } else if (name == INTEGRITY && length == DIGEST) {
            integrity = at;
        } else if (name == USERNAME && !user_size) {
            user = at + ATTRIBUTE;
            user_size = length;
        } else {
            nominates |= name == USE_CANDIDATE;
            controlled |= name == CONTROLLED;
            if (!is_understood(name) && check->unknown_count < MAX_UNKNOWN)
                check->unknown[check->unknown_count++] = name;
        }
        at = (end + 3) & ~(size_t)3;
    }
    if (!integrity || !checksum || user_size != ice->username_size || memcmp(packet + user, ice->username, user_size) != 0)
        return NOT_A_CHECK;
    if (read32(packet + checksum + ATTRIBUTE) != (crc32(packet, checksum) ^ FINGERPRINT_XOR) || !has_integrity(packet, integrity, ice))
        return NOT_A_CHECK;
    /* One who takes itself for the controlled agent nominates nothing: a lite agent is that always (RFC 8445 s6.1.1). */
    return nominates && !controlled ? NOMINATION : CHECK;
}

static size_t begin_attribute(uint8_t *at, uint16_t name, size_t length) {
    write16(at, name);
    write16(at + 2, (uint16_t)length);
    return ATTRIBUTE;
}

/* XOR-MAPPED-ADDRESS (s14.2) behind the header of a message; where it ends. */
static size_t write_mapped(uint8_t *message, const union address *source) {
    bool six = source->any.sa_family == AF_INET6;
    size_t host = six ? 16 : 4, at = STUN_HEADER;
    at += begin_attribute(message + at, XOR_MAPPED, ATTRIBUTE + host);
    message[at++] = 0;
    message[at++] = six ? 2 : 1;
    write16(message + at, (uint16_t)(ntohs(source->in.sin_port) ^ COOKIE >> 16)); /* where in6 has it, too */
    at += 2;
    const uint8_t *octets = six ? source->in6.sin6_addr.s6_addr : (const uint8_t *)&source->in.sin_addr;
    for (size_t each = 0; each < host; each++)
        message[at++] = octets[each] ^ message[4 + each]; /* the cookie, and the transaction after it */
    return at;
}

static size_t write_refusal(uint8_t *message, const struct check *check) {
    size_t at = STUN_HEADER, length = 2 * check->unknown_count;
    at += begin_attribute(message + at, ERROR_CODE, 4);
    write32(message + at, 4 << 8 | 20); /* 420 */
    at += 4;
    at += begin_attribute(message + at, UNKNOWN_ATTRIBUTES, length);
    memset(message + at, 0, length + 2);
    for (size_t each = 0; each < check->unknown_count; each++)
        write16(message + at + 2 * each, check->unknown[each]);
    return at + ((length + 3) & ~(size_t)3);
}

size_t stun_answer(const struct check *check, const union address *source, const struct ice *ice, uint8_t *answer) {
    uint8_t digest[EVP_MAX_MD_SIZE];
    write16(answer, check->unknown_count ? ERROR : SUCCESS);
    write32(answer + 4, COOKIE);
    memcpy(answer + 8, check->transaction, TRANSACTION);
    size_t at = check->unknown_count ? write_refusal(answer, check) : write_mapped(answer, source);
    if (!integrity_of(answer, at, ice, digest))
        return 0;
    at += begin_attribute(answer + at, INTEGRITY, DIGEST);
    memcpy(answer + at, digest, DIGEST);
    at += DIGEST;
    write16(answer + 2, (uint16_t)(at + ATTRIBUTE + 4 - STUN_HEADER));
    uint32_t checksum = crc32(answer, at) ^ FINGERPRINT_XOR;
    at += begin_attribute(answer + at, FINGERPRINT, 4);
    write32(answer + at, checksum);
    return at + 4;
}
