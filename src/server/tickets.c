/* Session tickets: keys of our own, shared by all loops and kept over a reload of certificates.
 *
 * A key makes tickets for one period and opens them for one more; then it is wiped, and what was recorded of its sessions cannot
 * be opened any more by whoever takes the server later. */
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "bailiff/clock.h"
#include "server/internal.h"

struct ticket_key {
    unsigned char name[16], cipher[32], mac[32];
    int64_t made_ms;
    bool there;
};

struct ticket_keys {
    pthread_mutex_t mutex;
    unsigned period_ms;
    struct ticket_key current, previous;
};

struct ticket_keys *ticket_keys_new(unsigned period_ms)
{
    struct ticket_keys *k = xcalloc(1, sizeof(*k));

    pthread_mutex_init(&k->mutex, NULL);
    k->period_ms = period_ms;
    return k;
}

void ticket_keys_free(struct ticket_keys *k)
{
    if (!k)
        return;
    OPENSSL_cleanse(&k->current, sizeof(k->current));
    OPENSSL_cleanse(&k->previous, sizeof(k->previous));
    pthread_mutex_destroy(&k->mutex);
    free(k);
}

unsigned ticket_keys_period_ms(const struct ticket_keys *k)
{
    return k->period_ms;
}

static bool key_make(struct ticket_key *key, int64_t now_ms)
{
    *key = (struct ticket_key){.made_ms = now_ms};
    key->there = RAND_bytes(key->name, sizeof(key->name)) == 1 &&
                 RAND_priv_bytes(key->cipher, sizeof(key->cipher)) == 1 &&
                 RAND_priv_bytes(key->mac, sizeof(key->mac)) == 1;
    return key->there;
}

/* Under the mutex. Keys grow old also while nobody comes. */
static void rotate(struct ticket_keys *k, int64_t now_ms)
{
    if (k->current.there && now_ms - k->current.made_ms >= k->period_ms) {
        k->previous = k->current;
        OPENSSL_cleanse(&k->current, sizeof(k->current));
        k->current = (struct ticket_key){0};
    }
    if (k->previous.there && now_ms - k->previous.made_ms >= 2 * (int64_t)k->period_ms) {
        OPENSSL_cleanse(&k->previous, sizeof(k->previous));
        k->previous = (struct ticket_key){0};
    }
}

static bool key_for_sealing(struct ticket_keys *k, struct ticket_key *ret)
{
    int64_t now_ms = clock_mono_ms();

    pthread_mutex_lock(&k->mutex);
    rotate(k, now_ms);
    bool there = k->current.there || key_make(&k->current, now_ms);
    *ret = k->current;
    pthread_mutex_unlock(&k->mutex);
    return there;
}

/* How OpenSSL is told: 0: no such key, make a new session; 1: fine; 2: fine, but give out a new ticket. */
static int key_for_opening(struct ticket_keys *k, const unsigned char name[16], struct ticket_key *ret)
{
    int verdict = 0;

    pthread_mutex_lock(&k->mutex);
    rotate(k, clock_mono_ms());
    if (k->current.there && memcmp(k->current.name, name, sizeof(k->current.name)) == 0) {
        *ret = k->current;
        verdict = 1;
    } else if (k->previous.there && memcmp(k->previous.name, name, sizeof(k->previous.name)) == 0) {
        *ret = k->previous;
        verdict = 2;
    }
    pthread_mutex_unlock(&k->mutex);
    return verdict;
}

static bool use_mac(EVP_MAC_CTX *mac, const struct ticket_key *key)
{
    char digest[] = "SHA256";
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)key->mac, sizeof(key->mac)),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };

    return EVP_MAC_CTX_set_params(mac, params) == 1;
}

static int on_ticket(SSL *ssl, unsigned char name[16], unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac,
                     int seal)
{
    const struct tls *tls = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    struct ticket_keys *keys = tls->tickets;
    struct ticket_key key = {0};
    int verdict = -1;

    if (seal) {
        if (key_for_sealing(keys, &key) && RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) == 1 &&
            EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key.cipher, iv) == 1 && use_mac(mac, &key)) {
            memcpy(name, key.name, sizeof(key.name));
            verdict = 1;
        }
    } else {
        verdict = key_for_opening(keys, name, &key);
        if (verdict > 0 &&
            (EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key.cipher, iv) != 1 || !use_mac(mac, &key)))
            verdict = -1;
    }
    OPENSSL_cleanse(&key, sizeof(key));
    return verdict;
}

bool ticket_keys_use(SSL_CTX *context)
{
    return SSL_CTX_set_tlsext_ticket_key_evp_cb(context, on_ticket) == 1;
}
