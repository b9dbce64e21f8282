/*
 * libipsec-mb, loaded at run time. Its interface is a table of functions in a structure that it allocates; where in the
 * structure they stand is known for the versions below, and a start-up self-test compares what they do with the EVP of
 * the node binary. The functions that are used work on one buffer and return when it is done.
 */
#include "multi-buffer.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node_symbols.h"

#define TAG_BYTES 16
#define NONCE_BYTES 12

/* struct gcm_key_data and the context structures of the library are smaller, and aligned to at most 64. */
#define KEY_BYTES 4096
#define CONTEXT_BYTES 1024
#define LINE_BYTES 64

typedef void gcm_function(const void *key, void *context, uint8_t *out, const uint8_t *in, uint64_t length, const uint8_t *iv,
                          const uint8_t *aad, uint64_t aad_length, uint8_t *tag, uint64_t tag_length);
typedef void gcm_key_function(const void *key, void *data);
typedef void chacha_init_function(const void *key, void *context, const void *iv, const void *aad, uint64_t aad_length);
typedef void chacha_update_function(const void *key, void *context, void *out, const void *in, uint64_t length);
typedef void chacha_final_function(void *context, void *tag, uint64_t tag_length);

/* Offsets in IMB_MGR, with the size that the library itself must report. */
struct layout {
  unsigned version; /* major, minor, patch in a byte each */
  size_t manager_bytes;
  size_t gcm_seal, gcm_open, gcm_key; /* the first of three: 128, 192, 256 bits */
  size_t chacha_init;                 /* followed by sealing, opening and the tag */
};
static const struct layout layouts[] = {{0x010300, 200744, 256, 280, 448, 920}};

static struct {
  bool usable;
  char text[128];
  gcm_function *gcm_seal[3], *gcm_open[3];
  gcm_key_function *gcm_key[3];
  /* How long the library makes a key: it knows its own processor. */
  size_t key_bytes;
  chacha_init_function *chacha_init;
  chacha_update_function *chacha_seal, *chacha_open;
  chacha_final_function *chacha_final;
} library = {.text = "libipsec-mb is not installed"};

enum cipher { GCM_128, GCM_192, GCM_256, CHACHA };

/* A server has two for each client: as long as the library needs it and no longer. */
struct pio_mb_key {
  enum cipher cipher;
  _Alignas(LINE_BYTES) uint8_t data[];
};

/* Of the packet in work. */
static _Thread_local _Alignas(LINE_BYTES) uint8_t context[CONTEXT_BYTES];

static void *at(const uint8_t *manager, size_t offset) {
  void *pointer;
  memcpy(&pointer, manager + offset, sizeof pointer);
  return pointer;
}

/* Seals with a key that is made for it, on the library or on EVP; for the self-test. */
static bool evp_seal(const char *cipher_name, const uint8_t *secret, const uint8_t *nonce, const uint8_t *aad, uint32_t aad_length,
                     const uint8_t *in, uint8_t *out, uint32_t length, uint8_t *tag) {
  if (EVP_CIPHER_fetch == NULL || EVP_CIPHER_CTX_new == NULL || EVP_CIPHER_CTX_ctrl == NULL) return false;
  EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, cipher_name, NULL);
  EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
  int written;
  const bool done = cipher != NULL && context != NULL && EVP_CipherInit_ex(context, cipher, NULL, NULL, NULL, 1) == 1 &&
                    EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_IVLEN, NONCE_BYTES, NULL) == 1 &&
                    EVP_CipherInit_ex(context, NULL, NULL, secret, nonce, 1) == 1 &&
                    EVP_EncryptUpdate(context, NULL, &written, aad, (int)aad_length) == 1 &&
                    (length == 0 || EVP_EncryptUpdate(context, out, &written, in, (int)length) == 1) &&
                    EVP_EncryptFinal_ex(context, out + length, &written) == 1 &&
                    EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, tag) == 1;
  if (context != NULL) EVP_CIPHER_CTX_free(context);
  if (cipher != NULL) EVP_CIPHER_free(cipher);
  if (!done) ERR_clear_error();
  return done;
}

/* Compares the library with EVP: every cipher, lengths around its blocks, both ways, and a tag that is wrong. */
static bool works(void) {
  static const char *const names[] = {"AES-128-GCM", "AES-192-GCM", "AES-256-GCM", "CHACHA20-POLY1305"};
  static const char *const openssl_names[] = {"AES-128-GCM", "AES-192-GCM", "AES-256-GCM", "ChaCha20-Poly1305"};
  static const uint32_t lengths[] = {1, 15, 16, 17, 63, 64, 65, 127, 255, 256, 257, 512, 767, 1024, 1300, 1500, 2000, 9000};
  static uint8_t plain[9000], ours[9000 + 64], theirs[9000 + 64];
  for (size_t i = 0; i < sizeof plain; i++) plain[i] = (uint8_t)(i * 131 + 7);
  for (int cipher = GCM_128; cipher <= CHACHA; cipher++) {
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
      uint8_t secret[32], nonce[NONCE_BYTES], our_tag[TAG_BYTES], their_tag[TAG_BYTES];
      for (size_t j = 0; j < sizeof secret; j++) secret[j] = (uint8_t)(j * 29 + i * 17 + 3);
      for (size_t j = 0; j < sizeof nonce; j++) nonce[j] = (uint8_t)(j * 7 + i);
      const uint32_t aad_length = i % 2 == 0 ? 8 : 4;
      const uint32_t length = lengths[i];
      struct pio_mb_key *key = pio_mb_key(names[cipher], secret);
      if (key == NULL) return false;
      pio_mb_seal(key, nonce, plain + 5, aad_length, plain, ours, length, our_tag);
      bool good = evp_seal(openssl_names[cipher], secret, nonce, plain + 5, aad_length, plain, theirs, length, their_tag) &&
                  memcmp(ours, theirs, length) == 0 && memcmp(our_tag, their_tag, TAG_BYTES) == 0 &&
                  pio_mb_open(key, nonce, plain + 5, aad_length, ours, length, our_tag) && memcmp(ours, plain, length) == 0;
      our_tag[i % TAG_BYTES] ^= 1;
      good = good && !pio_mb_open(key, nonce, plain + 5, aad_length, theirs, length, our_tag);
      pio_mb_key_free(key);
      if (!good) return false;
    }
  }
  return true;
}

/* Up to where the library writes when it makes a key, whatever stood there before; in whole lines, since it may read whole ones. */
static size_t measure_key(void) {
  static _Alignas(LINE_BYTES) uint8_t twice[2][KEY_BYTES];
  const uint8_t secret[32] = {1, 2, 3};
  size_t used = LINE_BYTES;
  for (int cipher = GCM_128; cipher <= GCM_256; cipher++) {
    memset(twice[0], 0x55, KEY_BYTES);
    memset(twice[1], 0xaa, KEY_BYTES);
    for (int i = 0; i < 2; i++) library.gcm_key[cipher](secret, twice[i]);
    for (size_t i = 0; i < KEY_BYTES; i++) {
      if ((twice[0][i] != 0x55 || twice[1][i] != 0xaa) && i >= used) used = i + 1;
    }
  }
  return (used + LINE_BYTES - 1) / LINE_BYTES * LINE_BYTES;
}

static void load(void) {
  void *handle = dlopen("libIPSec_MB.so.1", RTLD_NOW | RTLD_LOCAL);
  if (handle == NULL) return;
  unsigned (*version_of)(void) = (unsigned (*)(void))dlsym(handle, "imb_get_version");
  size_t (*size_of)(void) = (size_t (*)(void))dlsym(handle, "imb_get_mb_mgr_size");
  uint8_t *(*allocate)(uint64_t) = (uint8_t * (*)(uint64_t)) dlsym(handle, "alloc_mb_mgr");
  void (*set_up)(void *, void *) = (void (*)(void *, void *))dlsym(handle, "init_mb_mgr_auto");
  if (version_of == NULL || size_of == NULL || allocate == NULL || set_up == NULL) {
    snprintf(library.text, sizeof library.text, "libipsec-mb is too old");
    return;
  }
  const unsigned version = version_of();
  char name[64];
  snprintf(name, sizeof name, "libipsec-mb %u.%u.%u", version >> 16 & 0xff, version >> 8 & 0xff, version & 0xff);
  const struct layout *layout = NULL;
  for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++) {
    if (layouts[i].version == version && layouts[i].manager_bytes == size_of()) layout = &layouts[i];
  }
  /* It stays for the life of the process: keys hold what its functions made. */
  uint8_t *manager = layout == NULL ? NULL : allocate(0);
  if (manager == NULL) {
    snprintf(library.text, sizeof library.text, "%s is of a version that is not known here", name);
    return;
  }
  set_up(manager, NULL);
  for (size_t i = 0; i < 3; i++) {
    library.gcm_seal[i] = (gcm_function *)at(manager, layout->gcm_seal + i * sizeof(void *));
    library.gcm_open[i] = (gcm_function *)at(manager, layout->gcm_open + i * sizeof(void *));
    library.gcm_key[i] = (gcm_key_function *)at(manager, layout->gcm_key + i * sizeof(void *));
    if (library.gcm_seal[i] == NULL || library.gcm_open[i] == NULL || library.gcm_key[i] == NULL) return;
  }
  library.chacha_init = (chacha_init_function *)at(manager, layout->chacha_init);
  library.chacha_seal = (chacha_update_function *)at(manager, layout->chacha_init + sizeof(void *));
  library.chacha_open = (chacha_update_function *)at(manager, layout->chacha_init + 2 * sizeof(void *));
  library.chacha_final = (chacha_final_function *)at(manager, layout->chacha_init + 3 * sizeof(void *));
  if (library.chacha_init == NULL || library.chacha_seal == NULL || library.chacha_open == NULL || library.chacha_final == NULL) {
    return;
  }
  library.key_bytes = measure_key();
  library.usable = works();
  snprintf(library.text, sizeof library.text, library.usable ? "%s" : "%s failed its self-test", name);
}

static pthread_once_t once = PTHREAD_ONCE_INIT;

bool pio_mb_usable(void) {
  pthread_once(&once, load);
  return library.usable;
}

const char *pio_mb_text(void) {
  pthread_once(&once, load);
  return library.text;
}

struct pio_mb_key *pio_mb_key(const char *cipher, const uint8_t *secret) {
  static const char *const names[] = {"AES-128-GCM", "AES-192-GCM", "AES-256-GCM", "CHACHA20-POLY1305"};
  int number = 0;
  while (number <= CHACHA && strcmp(names[number], cipher) != 0) number++;
  if (number > CHACHA) return NULL;
  const size_t bytes = sizeof(struct pio_mb_key) + library.key_bytes;
  struct pio_mb_key *key = aligned_alloc(LINE_BYTES, bytes);
  if (key == NULL) return NULL;
  memset(key, 0, bytes);
  key->cipher = (enum cipher)number;
  if (key->cipher == CHACHA) memcpy(key->data, secret, 32);
  else library.gcm_key[key->cipher](secret, key->data);
  return key;
}

void pio_mb_key_free(struct pio_mb_key *key) {
  OPENSSL_cleanse(key, sizeof *key + library.key_bytes);
  OPENSSL_cleanse(context, sizeof context);
  free(key);
}

void pio_mb_seal(struct pio_mb_key *key, const uint8_t *nonce, const uint8_t *aad, uint32_t aad_length, const uint8_t *in,
                 uint8_t *out, uint32_t length, uint8_t *tag) {
  if (key->cipher != CHACHA) {
    library.gcm_seal[key->cipher](key->data, context, out, in, length, nonce, aad, aad_length, tag, TAG_BYTES);
    return;
  }
  library.chacha_init(key->data, context, nonce, aad, aad_length);
  library.chacha_seal(key->data, context, out, in, length);
  library.chacha_final(context, tag, TAG_BYTES);
}

bool pio_mb_open(struct pio_mb_key *key, const uint8_t *nonce, const uint8_t *aad, uint32_t aad_length, uint8_t *bytes,
                 uint32_t length, const uint8_t *tag) {
  uint8_t right[TAG_BYTES];
  if (key->cipher != CHACHA) {
    library.gcm_open[key->cipher](key->data, context, bytes, bytes, length, nonce, aad, aad_length, right, TAG_BYTES);
  } else {
    library.chacha_init(key->data, context, nonce, aad, aad_length);
    library.chacha_open(key->data, context, bytes, bytes, length);
    library.chacha_final(context, right, TAG_BYTES);
  }
  /* In constant time. */
  uint8_t difference = 0;
  for (int i = 0; i < TAG_BYTES; i++) difference |= right[i] ^ tag[i];
  return difference == 0;
}
