/* SHA-256 over OpenSSL, and cursors made with it.
 *
 * EVP_sha256() is looked up at each use, which costs some 0.2 µs; the alternative is an EVP_MD that is fetched once and kept in
 * a global. Nothing here runs for every request, so there is no global. With a digest that every OpenSSL has, only lack
 * of memory can fail; that aborts, as in our own allocations. */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "bailiff/http.h"

void digest_sha256(const void *data, size_t len, uint8_t out[static 32])
{
    if (!EVP_Digest(data ? data : "", len, out, NULL, EVP_sha256(), NULL))
        abort();
}

struct digest {
    EVP_MD_CTX *context;
};

struct digest *digest_new(void)
{
    struct digest *d = xmalloc(sizeof(*d));

    d->context = EVP_MD_CTX_new();
    if (!d->context || !EVP_DigestInit_ex(d->context, EVP_sha256(), NULL))
        abort();
    return d;
}

void digest_add(struct digest *d, struct span piece)
{
    uint8_t length[8];

    for (size_t i = 0; i < sizeof(length); i++)
        length[i] = (uint8_t)((uint64_t)piece.len >> (56 - 8 * i));
    if (!EVP_DigestUpdate(d->context, length, sizeof(length)) ||
        (piece.len > 0 && !EVP_DigestUpdate(d->context, piece.data, piece.len)))
        abort();
}

void digest_end(struct digest *d, uint8_t out[static 32])
{
    if (!EVP_DigestFinal_ex(d->context, out, NULL))
        abort();
    EVP_MD_CTX_free(d->context);
    free(d);
}

/* ---- cursors: version, position, the first half of an HMAC over all that they are bound to ---- */

enum {
    CURSOR_VERSION = 1,
    CURSOR_TAG_SIZE = 16,
    BINDING_SIZE = 32,
    CURSOR_MAX = 1 + CURSOR_POSITION_MAX + CURSOR_TAG_SIZE
};
static const char CURSOR_PURPOSE[] = "bailiff cursor 1"; /* so that the secret's other uses make other bytes */

static void cursor_tag(const uint8_t secret[static 32], const void *position, size_t len,
                       const uint8_t binding[static BINDING_SIZE], uint8_t ret_tag[static CURSOR_TAG_SIZE])
{
    uint8_t message[sizeof(CURSOR_PURPOSE) - 1 + BINDING_SIZE + CURSOR_POSITION_MAX], mac[EVP_MAX_MD_SIZE];
    uint8_t *end = message;

    end = mempcpy(end, CURSOR_PURPOSE, sizeof(CURSOR_PURPOSE) - 1);
    end = mempcpy(end, binding, BINDING_SIZE);
    end = mempcpy(end, position, len);
    if (!HMAC(EVP_sha256(), secret, 32, message, (size_t)(end - message), mac, NULL))
        abort();
    memcpy(ret_tag, mac, CURSOR_TAG_SIZE);
}

void cursor_seal(const uint8_t secret[static 32], const void *position, size_t len, const uint8_t binding[static 32],
                 struct text *out)
{
    uint8_t bytes[CURSOR_MAX] = {CURSOR_VERSION};

    if (len > CURSOR_POSITION_MAX)
        abort(); /* a position is a struct of ours */
    memcpy(bytes + 1, position, len);
    cursor_tag(secret, position, len, binding, bytes + 1 + len);
    base64url_encode(bytes, 1 + len + CURSOR_TAG_SIZE, out);
}

bool cursor_open(const uint8_t secret[static 32], struct span cursor, const uint8_t binding[static 32], void *position,
                 size_t len, struct fault *fault)
{
    uint8_t bytes[CURSOR_MAX], tag[CURSOR_TAG_SIZE];
    size_t got;

    if (len > CURSOR_POSITION_MAX)
        abort();
    if (!base64url_decode(cursor, bytes, sizeof(bytes), &got) || got != 1 + len + CURSOR_TAG_SIZE ||
        bytes[0] != CURSOR_VERSION)
        goto refuse;
    cursor_tag(secret, bytes + 1, len, binding, tag);
    if (CRYPTO_memcmp(tag, bytes + 1 + len, CURSOR_TAG_SIZE) != 0)
        goto refuse;
    memcpy(position, bytes + 1, len);
    return true;
refuse:
    return fault_set(fault, FAULT_INVALID,
                     "Query parameter cursor was not given by this server for this list, filter and sort; "
                     "begin again without it.");
}
