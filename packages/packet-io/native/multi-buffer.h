/* AEAD by Intel's multi-buffer library, when it is installed. */
#ifndef PACKET_IO_MULTI_BUFFER_H
#define PACKET_IO_MULTI_BUFFER_H

#include <stdbool.h>
#include <stdint.h>

struct pio_mb_key;

/* Loads the library at the first call. Whether it is there, is of a version whose interface is known here, and works. */
bool pio_mb_usable(void);
/* `libipsec-mb 1.3.0`, or what speaks against it. */
const char *pio_mb_text(void);

/* A key for AES-128-GCM, AES-192-GCM, AES-256-GCM or CHACHA20-POLY1305; NULL when the library does not do it. */
struct pio_mb_key *pio_mb_key(const char *cipher, const uint8_t *secret);
void pio_mb_key_free(struct pio_mb_key *key);

void pio_mb_seal(struct pio_mb_key *key, const uint8_t *nonce, const uint8_t *aad, uint32_t aad_length, const uint8_t *in,
                 uint8_t *out, uint32_t length, uint8_t *tag);
/* In place; false when the tag is wrong, and then the bytes are worth nothing. */
bool pio_mb_open(struct pio_mb_key *key, const uint8_t *nonce, const uint8_t *aad, uint32_t aad_length, uint8_t *bytes,
                 uint32_t length, const uint8_t *tag);

#endif
