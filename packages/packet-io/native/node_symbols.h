/*
 * What the node binary exports besides N-API: libuv and OpenSSL's EVP. Neither brings its headers (node-api-headers
 * holds N-API alone), so the few functions that are used stand here. They are weak: a binary without them loads the
 * addon, and the part that needs them reports that it is missing.
 */
#ifndef PACKET_IO_NODE_SYMBOLS_H
#define PACKET_IO_NODE_SYMBOLS_H

#include <stddef.h>

#define PIO_WEAK __attribute__((weak, visibility("default")))

/* libuv 1.x: the numbers are part of its ABI. */
#define UV_POLL_HANDLE_TYPE 8
#define UV_READABLE 1
#define UV_WRITABLE 2

struct uv_loop_s;
struct uv_handle_s;
typedef void (*uv_poll_cb)(struct uv_handle_s *handle, int status, int events);
typedef void (*uv_close_cb)(struct uv_handle_s *handle);

PIO_WEAK size_t uv_handle_size(int type);
PIO_WEAK int uv_poll_init(struct uv_loop_s *loop, struct uv_handle_s *handle, int fd);
PIO_WEAK int uv_poll_start(struct uv_handle_s *handle, int events, uv_poll_cb callback);
PIO_WEAK int uv_poll_stop(struct uv_handle_s *handle);
PIO_WEAK void uv_close(struct uv_handle_s *handle, uv_close_cb callback);
PIO_WEAK void uv_handle_set_data(struct uv_handle_s *handle, void *data);
PIO_WEAK void *uv_handle_get_data(const struct uv_handle_s *handle);

/* OpenSSL 3. */
#define EVP_CTRL_AEAD_SET_IVLEN 0x9
#define EVP_CTRL_AEAD_GET_TAG 0x10
#define EVP_CTRL_AEAD_SET_TAG 0x11

typedef struct evp_cipher_ctx_st EVP_CIPHER_CTX;
typedef struct evp_cipher_st EVP_CIPHER;
typedef struct engine_st ENGINE;
typedef struct ossl_lib_ctx_st OSSL_LIB_CTX;

PIO_WEAK EVP_CIPHER *EVP_CIPHER_fetch(OSSL_LIB_CTX *context, const char *name, const char *properties);
PIO_WEAK void EVP_CIPHER_free(EVP_CIPHER *cipher);
PIO_WEAK EVP_CIPHER_CTX *EVP_CIPHER_CTX_new(void);
PIO_WEAK void EVP_CIPHER_CTX_free(EVP_CIPHER_CTX *context);
PIO_WEAK int EVP_CIPHER_CTX_ctrl(EVP_CIPHER_CTX *context, int type, int argument, void *pointer);
PIO_WEAK int EVP_CipherInit_ex(EVP_CIPHER_CTX *context, const EVP_CIPHER *cipher, ENGINE *engine,
                               const unsigned char *key, const unsigned char *iv, int encrypt);
PIO_WEAK int EVP_EncryptUpdate(EVP_CIPHER_CTX *context, unsigned char *out, int *written, const unsigned char *in,
                               int length);
PIO_WEAK int EVP_DecryptUpdate(EVP_CIPHER_CTX *context, unsigned char *out, int *written, const unsigned char *in,
                               int length);
PIO_WEAK int EVP_EncryptFinal_ex(EVP_CIPHER_CTX *context, unsigned char *out, int *written);
PIO_WEAK int EVP_DecryptFinal_ex(EVP_CIPHER_CTX *context, unsigned char *out, int *written);
PIO_WEAK void ERR_clear_error(void);
PIO_WEAK void OPENSSL_cleanse(void *bytes, size_t length);

#endif
