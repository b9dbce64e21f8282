/*
 * AEAD for a whole vector in one call, on OpenSSL's EVP as the node binary exports it, or on libipsec-mb (multi-buffer.c).
 * Each key has a context of its own whose key schedule is set up once; a packet sets the nonce alone.
 *
 * Packet: prefix (1 or 4 bytes), packet id (4), tag (16), ciphertext; with epochs: prefix (4), packet id (8), ciphertext,
 * tag. The nonce is the packet id, padded with zeros, XOR what the key brings; without epochs that has zeros there.
 */
#include <stdlib.h>
#include <string.h>

#include "flow.h"
#include "inner.h"
#include "multi-buffer.h"
#include "packet_io.h"

#define SHORT_ID_BYTES 4
#define EPOCH_ID_BYTES 8
/* Of the eight bytes of an id of an epoch these count; the rest is the epoch. */
#define LAST_COUNTER (((uint64_t)1 << 48) - 1)
#define TAG_BYTES 16
#define NONCE_BYTES 12
#define SHORT_IV_BYTES 8
#define MAX_PREFIX_BYTES 4

struct pio_key {
  EVP_CIPHER_CTX *context;
  struct pio_mb_key *multi_buffer; /* in its place, when libipsec-mb does the work */
  bool seals;
  bool epoch;
  uint8_t id_length;
  uint8_t prefix_length;
  /* Where the additional data starts: P_DATA_V1 does not authenticate its prefix. */
  uint8_t aad_start;
  uint8_t prefix[MAX_PREFIX_BYTES];
  uint8_t iv[NONCE_BYTES];
  uint8_t nonce[NONCE_BYTES]; /* of the packet in work */
};

/* What stands before the tag, or before the ciphertext where the tag is behind it. */
static inline uint32_t clear_bytes(const struct pio_key *key) { return (uint32_t)key->prefix_length + key->id_length; }
/* What stands before and behind the ciphertext. */
static inline uint32_t head_bytes(const struct pio_key *key) { return clear_bytes(key) + (key->epoch ? 0 : TAG_BYTES); }
static inline uint32_t tail_bytes(const struct pio_key *key) { return key->epoch ? TAG_BYTES : 0; }

static void set_nonce(struct pio_key *key, const uint8_t *id_bytes) {
  memcpy(key->nonce, key->iv, NONCE_BYTES);
  for (uint32_t i = 0; i < key->id_length; i++) key->nonce[i] ^= id_bytes[i];
}

void pio_key_free(void *pointer) {
  struct pio_key *key = pointer;
  if (key->context != NULL) EVP_CIPHER_CTX_free(key->context); /* wipes the key schedule */
  if (key->multi_buffer != NULL) pio_mb_key_free(key->multi_buffer);
  OPENSSL_cleanse(key, sizeof *key);
  free(key);
}

static bool evp_exists(void) {
  return EVP_CIPHER_fetch != NULL && EVP_CIPHER_free != NULL && EVP_CIPHER_CTX_new != NULL &&
         EVP_CIPHER_CTX_free != NULL && EVP_CIPHER_CTX_ctrl != NULL && EVP_CipherInit_ex != NULL &&
         EVP_EncryptUpdate != NULL && EVP_DecryptUpdate != NULL && EVP_EncryptFinal_ex != NULL &&
         EVP_DecryptFinal_ex != NULL && ERR_clear_error != NULL && OPENSSL_cleanse != NULL;
}

/* Encrypts `length` bytes from `in` to `out`, which may be the same place. */
static bool evp_seal(struct pio_key *key, const uint8_t *aad, uint32_t aad_length, const uint8_t *in, uint8_t *out,
                     uint32_t length, uint8_t *tag) {
  int written;
  return EVP_CipherInit_ex(key->context, NULL, NULL, NULL, key->nonce, 1) == 1 &&
         EVP_EncryptUpdate(key->context, NULL, &written, aad, (int)aad_length) == 1 &&
         (length == 0 || EVP_EncryptUpdate(key->context, out, &written, in, (int)length) == 1) &&
         EVP_EncryptFinal_ex(key->context, out + length, &written) == 1 &&
         EVP_CIPHER_CTX_ctrl(key->context, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, tag) == 1;
}

static bool evp_open(struct pio_key *key, const uint8_t *aad, uint32_t aad_length, uint8_t *bytes, uint32_t length,
                     uint8_t *tag) {
  int written;
  return EVP_CipherInit_ex(key->context, NULL, NULL, NULL, key->nonce, 0) == 1 &&
         EVP_CIPHER_CTX_ctrl(key->context, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, tag) == 1 &&
         EVP_DecryptUpdate(key->context, NULL, &written, aad, (int)aad_length) == 1 &&
         EVP_DecryptUpdate(key->context, bytes, &written, bytes, (int)length) == 1 &&
         EVP_DecryptFinal_ex(key->context, bytes + length, &written) == 1;
}

/* Seals `length` bytes at `packet` to a packet at `start`: in place when that is `head_bytes` in front. */
static bool seal(struct pio_key *key, const uint8_t *packet, uint32_t length, uint64_t id, uint8_t *start) {
  uint8_t *id_bytes = start + key->prefix_length;
  uint8_t *out = start + head_bytes(key);
  uint8_t *tag = key->epoch ? out + length : out - TAG_BYTES;
  memcpy(start, key->prefix, key->prefix_length);
  if (key->epoch) pio_put32(id_bytes, (uint32_t)(id >> 32));
  pio_put32(id_bytes + key->id_length - SHORT_ID_BYTES, (uint32_t)id);
  set_nonce(key, id_bytes);
  const uint8_t *aad = start + key->aad_start;
  const uint32_t aad_length = clear_bytes(key) - key->aad_start;
  if (key->multi_buffer != NULL) {
    pio_mb_seal(key->multi_buffer, key->nonce, aad, aad_length, packet, out, length, tag);
    return true;
  }
  return evp_seal(key, aad, aad_length, packet, out, length, tag);
}

/* Opens the packet of `length` bytes at `start` in place; `length` covers head and tail, which have been seen to fit. */
static bool open(struct pio_key *key, uint8_t *start, uint32_t length) {
  uint8_t *packet = start + head_bytes(key);
  const uint32_t plain = length - head_bytes(key) - tail_bytes(key);
  uint8_t *tag = key->epoch ? packet + plain : packet - TAG_BYTES;
  set_nonce(key, start + key->prefix_length);
  const uint8_t *aad = start + key->aad_start;
  const uint32_t aad_length = clear_bytes(key) - key->aad_start;
  if (key->multi_buffer != NULL) return pio_mb_open(key->multi_buffer, key->nonce, aad, aad_length, packet, plain, tag);
  return evp_open(key, aad, aad_length, packet, plain, tag);
}

struct pio_key_shape pio_key_shape(const struct pio_key *key) {
  return (struct pio_key_shape){.seals = key->seals, .epoch = key->epoch, .head = head_bytes(key), .tail = tail_bytes(key)};
}

uint64_t pio_key_id(const struct pio_key *key, const uint8_t *start) {
  const uint8_t *id = start + key->prefix_length;
  return (key->epoch ? (uint64_t)pio_get32(id) << 32 : 0) | pio_get32(id + key->id_length - SHORT_ID_BYTES);
}

bool pio_key_open(struct pio_key *key, uint8_t *start, uint32_t length) {
  if (open(key, start, length)) return true;
  ERR_clear_error();
  return false;
}

bool pio_key_seal(struct pio_key *key, const uint8_t *packet, uint32_t length, uint64_t id, uint8_t *start) {
  return seal(key, packet, length, id, start);
}

/* The id of a row. Without epochs the upper word is none of ours. */
static uint64_t id_of(const struct pio_key *key, const struct pio_vector *vector, uint32_t row) {
  const uint64_t high = key->epoch ? pio_column(vector, COLUMN_PACKET_ID_HIGH)[row] : 0;
  return high << 32 | pio_column(vector, COLUMN_PACKET_ID_LOW)[row];
}

/*
 * Seals a super-packet segment by segment into the free part of the arena, where the sealed datagrams lie one behind the
 * other. The headers of a segment are written right in front of its payload, over the segment before, which is sealed
 * already: one pass, no copy. `*place` is where the arena is free.
 */
static bool seal_segments(struct pio_key *key, const struct pio_vector *vector, uint32_t row, size_t *place) {
  uint32_t *offset = pio_column(vector, COLUMN_OFFSET) + row;
  uint32_t *length = pio_column(vector, COLUMN_LENGTH) + row;
  uint32_t *segment_bytes = pio_column(vector, COLUMN_SEGMENT_BYTES) + row;
  const uint32_t segments = pio_column(vector, COLUMN_SEGMENTS)[row];
  const uint64_t first_id = id_of(key, vector, row);
  const uint64_t last_counter = key->epoch ? LAST_COUNTER : UINT32_MAX;
  uint8_t *packet = vector->bytes + *offset;
  struct pio_split split;
  if (!pio_split_begin(&split, packet, *length, segments, *segment_bytes)) return false;
  if ((first_id & last_counter) > last_counter - (segments - 1)) return false;
  const uint32_t sealing = head_bytes(key) + tail_bytes(key);
  const size_t total = (size_t)segments * (sealing + split.inner.payload) + split.payload_bytes;
  const size_t start = (*place + 63) & ~(size_t)63;
  if (start > vector->bytes_length || total > vector->bytes_length - start) return false;
  uint8_t *out = vector->bytes + start;
  for (uint32_t index = 0; index < segments; index++) {
    uint8_t *segment = packet + (size_t)index * split.segment_bytes;
    const uint32_t bytes = pio_split_write(&split, index, segment);
    if (!seal(key, segment, bytes, first_id + index, out)) return false;
    out += sealing + bytes;
  }
  *offset = (uint32_t)start;
  *length = (uint32_t)total;
  *segment_bytes = sealing + split.inner.payload + split.segment_bytes;
  *place = start + total;
  return true;
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
  const uint32_t *segments = pio_column(vector, COLUMN_SEGMENTS);
  size_t place = 0;
  for (uint32_t row = 0; row < rows; row++) {
    if (fates[row] != FATE_SEAL || keys[row] == PIO_NOTHING) continue;
    struct pio_key *key = pio_slots_at(&env->keys, keys[row]);
    const uint32_t offset = offsets[row], length = lengths[row];
    if (key == NULL || !key->seals) {
      fates[row] = FATE_DROPPED;
      continue;
    }
    const uint32_t head = head_bytes(key), tail = tail_bytes(key);
    /* In this order: a sum of untrusted lengths might wrap. */
    if (length > INT32_MAX || !pio_in_slab(vector, offset, length + tail, head)) {
      fates[row] = FATE_DROPPED;
      continue;
    }
    if (segments[row] > 1) {
      /* Packets that lie at the end of what is used may get a tag there. */
      if (place == 0) place = pio_arena_top(vector, rows) + TAG_BYTES;
      fates[row] = seal_segments(key, vector, row, &place) ? FATE_TO_LINK : FATE_DROPPED;
      continue;
    }
    if (!seal(key, vector->bytes + offset, length, id_of(key, vector, row), vector->bytes + offset - head)) {
      fates[row] = FATE_DROPPED;
      continue;
    }
    offsets[row] = offset - head;
    lengths[row] = head + length + tail;
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
  uint32_t *ids_high = pio_column(vector, COLUMN_PACKET_ID_HIGH);
  uint32_t *ids = pio_column(vector, COLUMN_PACKET_ID_LOW);
  for (uint32_t row = 0; row < rows; row++) {
    if (fates[row] != FATE_OPEN || keys[row] == PIO_NOTHING) continue;
    struct pio_key *key = pio_slots_at(&env->keys, keys[row]);
    const uint32_t offset = offsets[row], length = lengths[row];
    if (key == NULL || key->seals || !pio_in_slab(vector, offset, length, 0) || length > INT32_MAX) {
      fates[row] = FATE_DROPPED;
      continue;
    }
    const uint32_t sealing = head_bytes(key) + tail_bytes(key);
    /* The shortest packet has one byte of payload. */
    if (length <= sealing || !open(key, vector->bytes + offset, length)) {
      fates[row] = FATE_DROPPED;
      failed = true;
      continue;
    }
    const uint8_t *id = vector->bytes + offset + key->prefix_length;
    if (key->epoch) ids_high[row] = pio_get32(id);
    ids[row] = pio_get32(id + key->id_length - SHORT_ID_BYTES);
    offsets[row] = offset + head_bytes(key);
    lengths[row] = length - sealing;
    fates[row] = FATE_INNER;
  }
  /* What a forged packet left in the thread's queue must not become the reason of somebody else's error. */
  if (failed) ERR_clear_error();
  return NULL;
}

static bool set_up_evp(struct pio_key *key, const char *name, const uint8_t *secret) {
  if (!evp_exists()) return false;
  EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, name, NULL);
  key->context = EVP_CIPHER_CTX_new();
  const bool ready = cipher != NULL && key->context != NULL &&
                     EVP_CipherInit_ex(key->context, cipher, NULL, NULL, NULL, key->seals) == 1 &&
                     EVP_CIPHER_CTX_ctrl(key->context, EVP_CTRL_AEAD_SET_IVLEN, NONCE_BYTES, NULL) == 1 &&
                     EVP_CipherInit_ex(key->context, NULL, NULL, secret, key->nonce, key->seals) == 1;
  if (cipher != NULL) EVP_CIPHER_free(cipher); /* the context holds its own reference */
  if (!ready) ERR_clear_error();
  return ready;
}

/* multiBuffer(): a line that describes libipsec-mb, or why it is not used */
static napi_value multi_buffer(napi_env napi, napi_callback_info info) {
  (void)info;
  napi_value text, usable, result;
  if (napi_create_string_utf8(napi, pio_mb_text(), NAPI_AUTO_LENGTH, &text) != napi_ok ||
      napi_get_boolean(napi, pio_mb_usable(), &usable) != napi_ok || napi_create_object(napi, &result) != napi_ok ||
      napi_set_named_property(napi, result, "text", text) != napi_ok ||
      napi_set_named_property(napi, result, "usable", usable) != napi_ok) {
    return NULL;
  }
  return result;
}

/* installKey(cipher, key, implicitIv, prefix, seals, epoch, multiBuffer): handle, or -1 when the cipher does not exist here */
static napi_value install_key(napi_env napi, napi_callback_info info) {
  struct pio_env *env;
  napi_value arguments[7];
  char name[32];
  uint8_t *secret, *implicit_iv, *prefix;
  size_t secret_length, iv_length, prefix_length;
  bool seals, epoch, wants_multi_buffer;
  if (!pio_arguments(napi, info, 7, arguments, &env) || !pio_string(napi, arguments[0], name, sizeof name) ||
      !pio_bytes(napi, arguments[1], &secret, &secret_length) ||
      !pio_bytes(napi, arguments[2], &implicit_iv, &iv_length) ||
      !pio_bytes(napi, arguments[3], &prefix, &prefix_length) || !pio_bool(napi, arguments[4], &seals) ||
      !pio_bool(napi, arguments[5], &epoch) || !pio_bool(napi, arguments[6], &wants_multi_buffer)) {
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
  if (iv_length != (epoch ? NONCE_BYTES : SHORT_IV_BYTES)) {
    return pio_out_of_range(napi, epoch ? "an implicit IV has 12 bytes" : "an implicit IV has 8 bytes");
  }
  if (prefix_length != MAX_PREFIX_BYTES && (epoch || prefix_length != 1)) {
    return pio_out_of_range(napi, epoch ? "a prefix has 4 bytes" : "a prefix has 1 or 4 bytes");
  }
  if (openssl == NULL || OPENSSL_cleanse == NULL) return pio_int(napi, -1);

  struct pio_key *key = calloc(1, sizeof *key);
  if (key == NULL) return pio_bug(napi, "out of memory");
  key->seals = seals;
  key->epoch = epoch;
  key->id_length = epoch ? EPOCH_ID_BYTES : SHORT_ID_BYTES;
  key->prefix_length = (uint8_t)prefix_length;
  key->aad_start = prefix_length == 1 ? 1 : 0;
  memcpy(key->prefix, prefix, prefix_length);
  memcpy(key->iv + NONCE_BYTES - iv_length, implicit_iv, iv_length);
  if (wants_multi_buffer) key->multi_buffer = pio_mb_key(name, secret);
  if (key->multi_buffer == NULL && !set_up_evp(key, openssl, secret)) {
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
    pio_flows_leave_key(env, key);
    pio_key_free(key);
  }
  return NULL;
}

const pio_function pio_aead_functions[] = {{"multiBuffer", multi_buffer},
                                           {"installKey", install_key},
                                           {"retireKey", retire_key},
                                           {"sealBatch", seal_batch},
                                           {"openBatch", open_batch},
                                           {NULL, NULL}};
