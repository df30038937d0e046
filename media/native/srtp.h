/* SRTP and SRTCP of one direction under one master key (RFC 3711, RFC 6188, RFC 7714). Ciphers and hashes are libcrypto's. */

#ifndef SRTP_H
#define SRTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum suite {
    AES_CM_128_HMAC_SHA1_80,
    AES_CM_128_HMAC_SHA1_32,
    AES_192_CM_HMAC_SHA1_80,
    AES_192_CM_HMAC_SHA1_32,
    AES_256_CM_HMAC_SHA1_80,
    AES_256_CM_HMAC_SHA1_32,
    AEAD_AES_128_GCM,
    AEAD_AES_256_GCM,
    SUITES,
};

#define MAX_MASTER 46 /* octets of key and salt */

#define MAX_MKI 128 /* octets (RFC 4568 s6.1) */

/* Keys one direction has at a time, told apart by their MKIs. */
#define MOST_KEYS 4

/* What protection adds at most: a GCM tag, the SRTCP index and an MKI. A buffer given to `protect` has that much room behind the packet. */
#define MAX_TRAILER (20 + MAX_MKI)

/* Packets a stream may be late by: 2.5 s of 20 ms audio. RFC 3711 s3.3.2 wants at least 64. */
#define REPLAY_WINDOW 128

/* SSRCs one key serves. None may be forgotten: its replay window (in) and roll-over counter (out) would start again.
 * A long call with many transfers sees tens. */
#define MAX_SOURCES 128

enum verdict {
    ACCEPTED,
    AUTHENTICATION_FAILED,
    REPLAYED, /* seen before, or older than the window; when sending: the same number again, which would repeat keystream */
    UNUSABLE, /* too short, too long, key exhausted, or one SSRC too many */
};

struct srtp;

bool srtp_library_start(void);

/* Octets of master key followed by master salt. */
size_t suite_key_length(enum suite suite);

/* NULL: libcrypto or memory failed. `srtp_free` zeroes all key material. */
struct srtp *srtp_new(enum suite suite, const uint8_t *master, bool sending);
void srtp_free(struct srtp *srtp);
/* Before the first packet: octets that every packet carries to name the key (RFC 3711 s3.1), none as a rule; and how many packets its
 * owner says it is good for, 0: as many as SRTP allows. */
void srtp_name(struct srtp *srtp, const uint8_t *mki, size_t size, uint64_t lifetime);

/* Take `next`, which is of the same suite, for what its MKI names: packets of one SSRC go on under either (RFC 3711 s3.2.1). */
void srtp_append(struct srtp *srtp, struct srtp *next);
const struct srtp *srtp_next(const struct srtp *srtp);

/* The RTP packet that was just accepted is the last its key is good for. */
bool srtp_is_worn(const struct srtp *srtp);

bool srtp_has_key(const struct srtp *srtp, enum suite suite, const uint8_t *master, const uint8_t *mki, size_t mki_size);

/* Bring that line of memory near (expect.h). */
static inline void read_line(const void *at) { (void)*(const volatile uint8_t *)at; }

/* Read what `srtp_protect` and `srtp_unprotect` will need, so that it is near: the context, and once it is there the round keys and streams. */
void srtp_expect(const struct srtp *srtp);
void srtp_expect_cipher(const struct srtp *srtp);

/* In place; `*size` is changed. `header` comes from rtp_header. A packet that is not accepted may be overwritten, the state has not moved. */
enum verdict srtp_protect(struct srtp *srtp, uint8_t *packet, size_t *size, size_t header);
enum verdict srtp_unprotect(struct srtp *srtp, uint8_t *packet, size_t *size, size_t header);

/* Of packets with at least RTCP_HEADER octets. */
enum verdict srtcp_protect(struct srtp *srtp, uint8_t *packet, size_t *size);
enum verdict srtcp_unprotect(struct srtp *srtp, uint8_t *packet, size_t *size);

#endif
