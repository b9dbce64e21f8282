/*
 * AEAD for a whole vector in one call, on OpenSSL's EVP as the node binary exports it. Each key has a context of its
 * own whose key schedule is set up once; a packet sets the nonce alone.
 *
 * Packet: prefix (1 or 4 bytes), packet id (4), tag (16), ciphertext.
 */
#include <stdlib.h>
#include <string.h>

#include "packet_io.h"

#define ID_BYTES 4
#define TAG_BYTES 16
#define NONCE_BYTES 12
#define IMPLICIT_IV_BYTES 8
#define MAX_PREFIX_BYTES 4

struct pio_key {
  EVP_CIPHER_CTX *context;
  bool seals;
  uint8_t prefix_length;
  /* Where the additional data starts: P_DATA_V1 does not authenticate its prefix. */
  uint8_t aad_start;
  uint8_t prefix[MAX_PREFIX_BYTES];
  uint8_t nonce[NONCE_BYTES];
};

void pio_key_free(void *pointer) {
  struct pio_key *key = pointer;
  if (key->context != NULL) EVP_CIPHER_CTX_free(key->context); /* wipes the key schedule */
  OPENSSL_cleanse(key, sizeof *key);
  free(key);
}

static bool evp_exists(void) {
  return EVP_CIPHER_fetch != NULL && EVP_CIPHER_free != NULL && EVP_CIPHER_CTX_new != NULL &&
         EVP_CIPHER_CTX_free != NULL && EVP_CIPHER_CTX_ctrl != NULL && EVP_CipherInit_ex != NULL &&
         EVP_EncryptUpdate != NULL && EVP_DecryptUpdate != NULL && EVP_EncryptFinal_ex != NULL &&
         EVP_DecryptFinal_ex != NULL && ERR_clear_error != NULL && OPENSSL_cleanse != NULL;
}

/* Seals `length` bytes at `packet` in place and writes the header in front of them. */
static bool seal(struct pio_key *key, uint8_t *packet, uint32_t length, uint32_t id) {
  const uint32_t header = key->prefix_length + ID_BYTES + TAG_BYTES;
  uint8_t *start = packet - header;
  memcpy(start, key->prefix, key->prefix_length);
  uint8_t *id_bytes = start + key->prefix_length;
  id_bytes[0] = key->nonce[0] = (uint8_t)(id >> 24);
  id_bytes[1] = key->nonce[1] = (uint8_t)(id >> 16);
  id_bytes[2] = key->nonce[2] = (uint8_t)(id >> 8);
  id_bytes[3] = key->nonce[3] = (uint8_t)id;
  int written;
  return EVP_CipherInit_ex(key->context, NULL, NULL, NULL, key->nonce, 1) == 1 &&
         EVP_EncryptUpdate(key->context, NULL, &written, start + key->aad_start,
                           key->prefix_length + ID_BYTES - key->aad_start) == 1 &&
         (length == 0 || EVP_EncryptUpdate(key->context, packet, &written, packet, (int)length) == 1) &&
         EVP_EncryptFinal_ex(key->context, packet + length, &written) == 1 &&
         EVP_CIPHER_CTX_ctrl(key->context, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, id_bytes + ID_BYTES) == 1;
}

/* Opens the packet of `length` bytes at `start` in place; `length` covers the header, which has been seen to fit. */
static bool open(struct pio_key *key, uint8_t *start, uint32_t length) {
  uint8_t *id_bytes = start + key->prefix_length;
  uint8_t *tag = id_bytes + ID_BYTES;
  uint8_t *packet = tag + TAG_BYTES;
  const uint32_t plain = length - (uint32_t)(packet - start);
  memcpy(key->nonce, id_bytes, ID_BYTES);
  int written;
  return EVP_CipherInit_ex(key->context, NULL, NULL, NULL, key->nonce, 0) == 1 &&
         EVP_CIPHER_CTX_ctrl(key->context, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, tag) == 1 &&
         EVP_DecryptUpdate(key->context, NULL, &written, start + key->aad_start,
                           key->prefix_length + ID_BYTES - key->aad_start) == 1 &&
         EVP_DecryptUpdate(key->context, packet, &written, packet, (int)plain) == 1 &&
         EVP_DecryptFinal_ex(key->context, packet + plain, &written) == 1;
}

/* sealBatch(vector, count) */
static napi_value seal_batch(napi_env napi, napi_callback_info info) {
  struct pio_env *env;
  napi_value arguments[2];
  uint32_t rows;
  if (!pio_arguments(napi, info, 2, arguments, &env)) return NULL;
  struct pio_vector *vector = pio_vector_take(env, arguments[0], arguments[1], &rows);
  if (vector == NULL) return NULL;
  uint32_t *fates = pio_column(vector, COLUMN_FATE);
  uint32_t *keys = pio_column(vector, COLUMN_KEY);
  uint32_t *offsets = pio_column(vector, COLUMN_OFFSET);
  uint32_t *lengths = pio_column(vector, COLUMN_LENGTH);
  const uint32_t *ids = pio_column(vector, COLUMN_PACKET_ID_LOW);
  for (uint32_t row = 0; row < rows; row++) {
    if (fates[row] != FATE_SEAL || keys[row] == PIO_NOTHING) continue;
    struct pio_key *key = pio_slots_at(&env->keys, keys[row]);
    const uint32_t offset = offsets[row], length = lengths[row];
    if (key == NULL || !key->seals) {
      fates[row] = FATE_DROPPED;
      continue;
    }
    const uint32_t header = key->prefix_length + ID_BYTES + TAG_BYTES;
    if (!pio_in_slab(vector, offset, length, header) || length > INT32_MAX ||
        !seal(key, vector->bytes + offset, length, ids[row])) {
      fates[row] = FATE_DROPPED;
      continue;
    }
    offsets[row] = offset - header;
    lengths[row] = length + header;
    fates[row] = FATE_TO_LINK;
  }
  return NULL;
}

/* openBatch(vector, count) */
static napi_value open_batch(napi_env napi, napi_callback_info info) {
  struct pio_env *env;
  napi_value arguments[2];
  uint32_t rows;
  bool failed = false;
  if (!pio_arguments(napi, info, 2, arguments, &env)) return NULL;
  struct pio_vector *vector = pio_vector_take(env, arguments[0], arguments[1], &rows);
  if (vector == NULL) return NULL;
  uint32_t *fates = pio_column(vector, COLUMN_FATE);
  uint32_t *keys = pio_column(vector, COLUMN_KEY);
  uint32_t *offsets = pio_column(vector, COLUMN_OFFSET);
  uint32_t *lengths = pio_column(vector, COLUMN_LENGTH);
  uint32_t *ids = pio_column(vector, COLUMN_PACKET_ID_LOW);
  for (uint32_t row = 0; row < rows; row++) {
    if (fates[row] != FATE_OPEN || keys[row] == PIO_NOTHING) continue;
    struct pio_key *key = pio_slots_at(&env->keys, keys[row]);
    const uint32_t offset = offsets[row], length = lengths[row];
    if (key == NULL || key->seals || !pio_in_slab(vector, offset, length, 0) || length > INT32_MAX) {
      fates[row] = FATE_DROPPED;
      continue;
    }
    const uint32_t header = key->prefix_length + ID_BYTES + TAG_BYTES;
    /* The shortest packet has one byte of payload. */
    if (length <= header || !open(key, vector->bytes + offset, length)) {
      fates[row] = FATE_DROPPED;
      failed = true;
      continue;
    }
    const uint8_t *id = vector->bytes + offset + key->prefix_length;
    ids[row] = (uint32_t)id[0] << 24 | (uint32_t)id[1] << 16 | (uint32_t)id[2] << 8 | id[3];
    offsets[row] = offset + header;
    lengths[row] = length - header;
    fates[row] = FATE_INNER;
  }
  /* What a forged packet left in the thread's queue must not become the reason of somebody else's error. */
  if (failed) ERR_clear_error();
  return NULL;
}

/* installKey(cipher, key, implicitIv, prefix, seals): handle, or -1 when the cipher does not exist here */
static napi_value install_key(napi_env napi, napi_callback_info info) {
  struct pio_env *env;
  napi_value arguments[5];
  char name[32];
  uint8_t *secret, *implicit_iv, *prefix;
  size_t secret_length, iv_length, prefix_length;
  bool seals;
  if (!pio_arguments(napi, info, 5, arguments, &env) || !pio_string(napi, arguments[0], name, sizeof name) ||
      !pio_bytes(napi, arguments[1], &secret, &secret_length) ||
      !pio_bytes(napi, arguments[2], &implicit_iv, &iv_length) ||
      !pio_bytes(napi, arguments[3], &prefix, &prefix_length) || !pio_bool(napi, arguments[4], &seals)) {
    return NULL;
  }
  static const struct {
    const char *name;
    const char *openssl;
    size_t key_bytes;
  } ciphers[] = {{"AES-128-GCM", "AES-128-GCM", 16},
                 {"AES-192-GCM", "AES-192-GCM", 24},
                 {"AES-256-GCM", "AES-256-GCM", 32},
                 {"CHACHA20-POLY1305", "ChaCha20-Poly1305", 32}};
  const char *openssl = NULL;
  for (size_t i = 0; i < sizeof ciphers / sizeof *ciphers; i++) {
    if (strcmp(ciphers[i].name, name) != 0) continue;
    if (ciphers[i].key_bytes != secret_length) return pio_out_of_range(napi, "the key has the wrong length for its cipher");
    openssl = ciphers[i].openssl;
  }
  if (iv_length != IMPLICIT_IV_BYTES) return pio_out_of_range(napi, "an implicit IV has 8 bytes");
  if (prefix_length != 1 && prefix_length != MAX_PREFIX_BYTES) return pio_out_of_range(napi, "a prefix has 1 or 4 bytes");
  if (openssl == NULL || !evp_exists()) return pio_int(napi, -1);

  struct pio_key *key = calloc(1, sizeof *key);
  if (key == NULL) return pio_bug(napi, "out of memory");
  key->seals = seals;
  key->prefix_length = (uint8_t)prefix_length;
  key->aad_start = prefix_length == 1 ? 1 : 0;
  memcpy(key->prefix, prefix, prefix_length);
  memcpy(key->nonce + ID_BYTES, implicit_iv, IMPLICIT_IV_BYTES);
  EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, openssl, NULL);
  key->context = EVP_CIPHER_CTX_new();
  bool ready = cipher != NULL && key->context != NULL &&
               EVP_CipherInit_ex(key->context, cipher, NULL, NULL, NULL, seals) == 1 &&
               EVP_CIPHER_CTX_ctrl(key->context, EVP_CTRL_AEAD_SET_IVLEN, NONCE_BYTES, NULL) == 1 &&
               EVP_CipherInit_ex(key->context, NULL, NULL, secret, key->nonce, seals) == 1;
  if (cipher != NULL) EVP_CIPHER_free(cipher); /* the context holds its own reference */
  if (!ready) {
    ERR_clear_error();
    pio_key_free(key);
    return pio_int(napi, -1);
  }
  uint32_t handle = pio_slots_add(&env->keys, key);
  if (handle == PIO_NOTHING) {
    pio_key_free(key);
    return pio_bug(napi, "too many keys");
  }
  return pio_int(napi, (int32_t)handle);
}

/* retireKey(handle) */
static napi_value retire_key(napi_env napi, napi_callback_info info) {
  struct pio_env *env;
  napi_value arguments[1];
  uint32_t handle;
  if (!pio_arguments(napi, info, 1, arguments, &env) || !pio_uint32(napi, arguments[0], &handle)) return NULL;
  struct pio_key *key = pio_slots_at(&env->keys, handle);
  if (key != NULL) {
    env->keys.items[handle] = NULL;
    pio_key_free(key);
  }
  return NULL;
}

const pio_function pio_aead_functions[] = {{"installKey", install_key},
                                           {"retireKey", retire_key},
                                           {"sealBatch", seal_batch},
                                           {"openBatch", open_batch},
                                           {NULL, NULL}};
