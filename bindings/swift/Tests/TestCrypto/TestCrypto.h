// The few functions of OpenSSL 3's libcrypto that the tests' key store needs. Declared here, since the library comes
// with ours and its headers do not.
#pragma once
#include <stddef.h>

typedef struct evp_pkey_st EVP_PKEY;
typedef struct evp_md_ctx_st EVP_MD_CTX;
typedef struct evp_md_st EVP_MD;

EVP_PKEY *EVP_PKEY_Q_keygen(void *libctx, const char *propq, const char *type, ...);
void EVP_PKEY_free(EVP_PKEY *key);
size_t EVP_PKEY_get1_encoded_public_key(EVP_PKEY *key, unsigned char **out);
EVP_MD_CTX *EVP_MD_CTX_new(void);
void EVP_MD_CTX_free(EVP_MD_CTX *context);
const EVP_MD *EVP_sha256(void);
int EVP_DigestSignInit(EVP_MD_CTX *context, void *unused, const EVP_MD *digest, void *engine, EVP_PKEY *key);
int EVP_DigestSign(EVP_MD_CTX *context, unsigned char *signature, size_t *length, const unsigned char *message, size_t size);
void CRYPTO_free(void *pointer, const char *file, int line);

// Swift does not call functions with a variable number of arguments.
static inline EVP_PKEY *test_p256_key(void) { return EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256"); }
