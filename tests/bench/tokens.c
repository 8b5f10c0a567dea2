/* Makes many RS256 tokens, each another one, and of each a forged twin: the same content with a signature of random bytes.
 *
 * usage: bench_tokens KEY ISSUER AUDIENCE ROLE COUNT GOOD FORGED
 * GOOD and FORGED are files to write, one token a line. The tokens are good for an hour. */
#include <err.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>

enum { THREADS_MAX = 16, CLAIMS_MAX = 1024, SIGNATURE_MAX = 1024, TOKEN_MAX = 4096, LIFETIME_S = 3600 };

struct share { /* of the tokens: what one thread makes */
    pthread_t thread;
    EVP_PKEY *key;
    const char *issuer, *audience, *role;
    unsigned long first, end;
    char **good, **forged;
};

/* Base64url without padding; returns the end of what it wrote. */
static char *put_base64url(char *out, const unsigned char *data, size_t len)
{
    int n = EVP_EncodeBlock((unsigned char *)out, data, (int)len);

    while (n > 0 && out[n - 1] == '=')
        n--;
    out[n] = '\0';
    for (char *c = out; *c; c++)
        *c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
    return out + n;
}

static char *put_text(char *out, const char *text)
{
    return put_base64url(out, (const unsigned char *)text, strlen(text));
}

static void sign(EVP_PKEY *key, const char *input, size_t len, unsigned char *signature, size_t *signature_len)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();

    if (!ctx || EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) != 1 ||
        EVP_DigestSign(ctx, signature, signature_len, (const unsigned char *)input, len) != 1)
        errx(1, "signing failed");
    EVP_MD_CTX_free(ctx);
}

static void make(struct share *s, unsigned long number)
{
    char claims[CLAIMS_MAX], token[TOKEN_MAX];
    unsigned char signature[SIGNATURE_MAX];
    size_t signature_len = sizeof(signature);
    long now = (long)time(NULL);

    int len = snprintf(claims, sizeof(claims),
                       "{\"iss\":\"%s\",\"aud\":\"%s\",\"sub\":\"bench-%lu\",\"iat\":%ld,\"exp\":%ld,"
                       "\"jti\":\"bench-%016lx\",\"roles\":[\"%s\"]}",
                       s->issuer, s->audience, number, now, now + LIFETIME_S, number, s->role);
    if (len < 0 || (size_t)len >= sizeof(claims))
        errx(2, "ISSUER, AUDIENCE and ROLE are too long");
    char *end = put_text(token, "{\"alg\":\"RS256\",\"typ\":\"JWT\"}");
    *end++ = '.';
    end = put_text(end, claims);
    sign(s->key, token, (size_t)(end - token), signature, &signature_len);
    *end++ = '.';
    put_base64url(end, signature, signature_len);
    s->good[number] = strdup(token);
    /* a number below the modulus, so that it is the mathematics that refuses it, not a look at its size */
    if (RAND_bytes(signature, (int)signature_len) != 1)
        errx(1, "no random bytes");
    signature[0] = 0;
    put_base64url(end, signature, signature_len);
    s->forged[number] = strdup(token);
    if (!s->good[number] || !s->forged[number])
        errx(1, "out of memory");
}

static void *make_share(void *arg)
{
    struct share *s = arg;

    for (unsigned long i = s->first; i < s->end; i++)
        make(s, i);
    return NULL;
}

static EVP_PKEY *read_key(const char *path)
{
    FILE *file = fopen(path, "re");
    EVP_PKEY *key = file ? PEM_read_PrivateKey(file, NULL, NULL, NULL) : NULL;

    if (!key || EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA || EVP_PKEY_get_size(key) > SIGNATURE_MAX)
        errx(1, "%s is no RSA key in PEM form", path);
    fclose(file);
    return key;
}

static void write_lines(const char *path, char *const *lines, unsigned long count)
{
    FILE *file = fopen(path, "we");

    if (!file)
        err(1, "%s", path);
    for (unsigned long i = 0; i < count; i++)
        fprintf(file, "%s\n", lines[i]);
    if (fclose(file) != 0)
        err(1, "%s", path);
}

int main(int argc, char **argv)
{
    static struct share shares[THREADS_MAX];
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned long threads = cores < 1 ? 1 : cores > THREADS_MAX ? THREADS_MAX : (unsigned long)cores;

    if (argc != 8)
        errx(2, "usage: bench_tokens KEY ISSUER AUDIENCE ROLE COUNT GOOD FORGED");
    unsigned long count = strtoul(argv[5], NULL, 10);
    EVP_PKEY *key = read_key(argv[1]);
    char **good = calloc(count, sizeof(*good)), **forged = calloc(count, sizeof(*forged));
    if (count == 0 || !good || !forged)
        errx(2, "COUNT must be a number above 0");
    for (unsigned long i = 0; i < threads; i++) {
        shares[i] = (struct share){.key = key,
                                   .issuer = argv[2],
                                   .audience = argv[3],
                                   .role = argv[4],
                                   .first = count * i / threads,
                                   .end = count * (i + 1) / threads,
                                   .good = good,
                                   .forged = forged};
        if (pthread_create(&shares[i].thread, NULL, make_share, &shares[i]) != 0)
            errx(1, "cannot start a thread");
    }
    for (unsigned long i = 0; i < threads; i++)
        pthread_join(shares[i].thread, NULL);
    write_lines(argv[6], good, count);
    write_lines(argv[7], forged, count);
    return 0;
}
