/* Verdicts on signatures without OpenSSL: the same as OpenSSL's, and good is nothing but the one signature. */
#include "unit/auth_tokens.h"

#include <openssl/bn.h>
#include <openssl/rsa.h>

#include "auth/key_bench.h"

enum { SIZE_MAX_TESTED = RSA_PUBLIC_SIZE_MAX };

static const uint8_t SHA1_OID[] = {0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e,
                                   0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14};
static const uint8_t SHA256_INFO[] = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                      0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};
static const uint8_t WITHOUT_NULL[] = {0x30, 0x2f, 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48,
                                       0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x04, 0x20};
static const uint8_t SHA512_OID[] = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                     0x65, 0x03, 0x04, 0x02, 0x03, 0x05, 0x00, 0x04, 0x20};
static const uint8_t SHA512_256_OID[] = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                         0x65, 0x03, 0x04, 0x02, 0x06, 0x05, 0x00, 0x04, 0x20};
/* the same in BER: a length in its long form, and one without an end of its own */
static const uint8_t LONG_LENGTH[] = {0x30, 0x81, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48,
                                      0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};
static const uint8_t NULL_WITH_CONTENT[] = {0x30, 0x33, 0x30, 0x0f, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65,
                                            0x03, 0x04, 0x02, 0x01, 0x05, 0x02, 0x00, 0x00, 0x04, 0x20};

struct signer {
    EVP_PKEY *pkey;
    EVP_PKEY_CTX *context; /* of `slow` */
    struct key fast, slow; /* slow: as on a machine without IFMA */
    uint8_t sha256[32];
    size_t size;
};

static const char INPUT[] = "header.payload";

static void signer_init(struct signer *s, unsigned bits)
{
    size_t len;

    s->pkey = EVP_RSA_gen(bits);
    assert_non_null(s->pkey);
    s->size = bits / 8;
    assert_true(key_init(&s->fast, s->pkey, ALG_RS256, NULL, NULL));
    assert_true(key_init(&s->slow, s->pkey, ALG_RS256, NULL, NULL));
    assert_true(ifma_supported() == (s->fast.rsa != NULL));
    rsa_public_free(s->slow.rsa);
    s->slow.rsa = NULL;
    s->context = key_digest_context(&s->slow);
    assert_non_null(s->context);
    assert_int_equal(EVP_Q_digest(NULL, "SHA256", NULL, INPUT, strlen(INPUT), s->sha256, &len), 1);
}

static void signer_done(struct signer *s)
{
    EVP_PKEY_CTX_free(s->context);
    key_done(&s->fast);
    key_done(&s->slow);
    EVP_PKEY_free(s->pkey);
}

/* What all ways of judging say. */
static bool judge(const struct signer *s, const uint8_t *signature, size_t len)
{
    struct span span = {(const char *)signature, len};
    struct key_bench bench = {0};
    bool slow = key_verify_digest(&s->slow, s->context, s->sha256, span, NULL);

    assert_true(key_verify(&s->slow, span_of(INPUT), span, NULL) == slow);
    assert_true(key_bench_verify(&bench, &s->slow, s->sha256, span_of(INPUT), span, NULL) == slow);
    assert_true(key_bench_verify(&bench, &s->fast, s->sha256, span_of(INPUT), span, NULL) == slow);
    if (s->fast.rsa) {
        assert_true(rsa_public_verify(s->fast.rsa, s->sha256, span) == slow);
        assert_true(key_verify_digest(&s->fast, NULL, s->sha256, span, NULL) == slow);
    }
    key_bench_clear(&bench);
    return slow;
}

static void sign_raw(const struct signer *s, const uint8_t *encoded, uint8_t *ret)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(s->pkey, NULL);
    size_t len = s->size;

    assert_int_equal(EVP_PKEY_sign_init(ctx), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_NO_PADDING), 1);
    assert_int_equal(EVP_PKEY_sign(ctx, ret, &len, encoded, s->size), 1);
    assert_int_equal(len, s->size);
    EVP_PKEY_CTX_free(ctx);
}

static bool judge_encoded(const struct signer *s, const uint8_t *encoded)
{
    uint8_t signature[SIZE_MAX_TESTED];

    sign_raw(s, encoded, signature);
    return judge(s, signature, s->size);
}

/* 00 01 FF … 00 info content, with so much behind it that fits the key */
static void encode(const struct signer *s, const uint8_t *info, size_t info_len, const uint8_t *content,
                   size_t content_len, size_t behind, uint8_t *ret)
{
    size_t padding = s->size - 3 - info_len - content_len - behind;

    memset(ret, 0x5a, s->size);
    ret[0] = 0;
    ret[1] = 1;
    memset(ret + 2, 0xff, padding);
    ret[2 + padding] = 0;
    memcpy(ret + 3 + padding, info, info_len);
    memcpy(ret + 3 + padding + info_len, content, content_len);
}

static void good_encoding(const struct signer *s, uint8_t *ret)
{
    encode(s, SHA256_INFO, sizeof(SHA256_INFO), s->sha256, sizeof(s->sha256), 0, ret);
}

static void only_the_signature_is_good(struct signer *s)
{
    uint8_t encoded[SIZE_MAX_TESTED], signature[SIZE_MAX_TESTED + 1] = {0};

    good_encoding(s, encoded);
    sign_raw(s, encoded, signature);
    assert_true(judge(s, signature, s->size));
    assert_false(judge(s, signature, s->size - 1));
    assert_false(judge(s, signature, s->size + 1));
    assert_false(judge(s, signature + 1, s->size));
    assert_false(judge(s, signature, 0));
    for (size_t bit = 0; bit < 8 * s->size; bit += s->size == 256 ? 1 : 7) {
        signature[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(judge(s, signature, s->size));
        signature[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_true(judge(s, signature, s->size));
    assert_false(judge(s, encoded, s->size));
}

static void other_digests_are_refused(struct signer *s)
{
    uint8_t encoded[SIZE_MAX_TESTED], signature[SIZE_MAX_TESTED];
    struct span span = {(const char *)signature, s->size};

    good_encoding(s, encoded);
    sign_raw(s, encoded, signature);
    for (unsigned bit = 0; bit < 256; bit++) {
        s->sha256[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(key_verify_digest(&s->slow, s->context, s->sha256, span, NULL));
        if (s->fast.rsa)
            assert_false(key_verify_digest(&s->fast, NULL, s->sha256, span, NULL));
        s->sha256[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

static void every_byte_of_the_encoding_counts(struct signer *s)
{
    uint8_t encoded[SIZE_MAX_TESTED];

    good_encoding(s, encoded);
    assert_true(judge_encoded(s, encoded));
    for (size_t i = 0; i < s->size; i++) {
        encoded[i] ^= i == 0 ? 1 : (uint8_t)(1 << i % 8); /* still less than the modulus */
        assert_false(judge_encoded(s, encoded));
        good_encoding(s, encoded);
    }
}

static void malformed_encodings_are_refused(struct signer *s)
{
    static const struct {
        const uint8_t *info;
        size_t len;
    } infos[] = {
        {SHA1_OID, sizeof(SHA1_OID)},
        {WITHOUT_NULL, sizeof(WITHOUT_NULL)},
        {SHA512_OID, sizeof(SHA512_OID)},
        {SHA512_256_OID, sizeof(SHA512_256_OID)},
        {LONG_LENGTH, sizeof(LONG_LENGTH)},
        {NULL_WITH_CONTENT, sizeof(NULL_WITH_CONTENT)},
        {SHA256_INFO, 0}, /* the digest alone */
        {SHA256_INFO, sizeof(SHA256_INFO) - 2},
    };
    uint8_t encoded[SIZE_MAX_TESTED], digest[64];
    size_t len;

    for (size_t i = 0; i < ARRAY_LEN(infos); i++) {
        encode(s, infos[i].info, infos[i].len, s->sha256, 32, 0, encoded);
        assert_false(judge_encoded(s, encoded));
    }
    assert_int_equal(EVP_Q_digest(NULL, "SHA1", NULL, INPUT, strlen(INPUT), digest, &len), 1);
    encode(s, SHA1_OID, sizeof(SHA1_OID), digest, len, 0, encoded);
    assert_false(judge_encoded(s, encoded));
    for (size_t behind = 1; behind < s->size - 54; behind += 1 + behind / 4) { /* Bleichenbacher's, 2006 */
        encode(s, SHA256_INFO, sizeof(SHA256_INFO), s->sha256, 32, behind, encoded);
        assert_false(judge_encoded(s, encoded));
    }
}

static void malformed_padding_is_refused(struct signer *s)
{
    uint8_t encoded[SIZE_MAX_TESTED];

    for (unsigned type = 0; type < 256; type++) {
        good_encoding(s, encoded);
        encoded[1] = (uint8_t)type;
        assert_true(judge_encoded(s, encoded) == (type == 1));
    }
    for (size_t at = 2; at < s->size - 52; at += 3) { /* padding that ends early, or has a byte that is not FF */
        good_encoding(s, encoded);
        encoded[at] = 0;
        assert_false(judge_encoded(s, encoded));
        encoded[at] = 0xfe;
        assert_false(judge_encoded(s, encoded));
    }
    good_encoding(s, encoded);
    memmove(encoded, encoded + 1, s->size - 1); /* no zero before the type */
    assert_false(judge_encoded(s, encoded));
    memset(encoded, 0, s->size);
    assert_false(judge_encoded(s, encoded));
}

/* s + n has the same power as s: not a second signature of the token (RFC 8017 §5.2.2). */
static void a_signature_is_less_than_the_modulus(struct signer *s)
{
    uint8_t encoded[SIZE_MAX_TESTED], signature[SIZE_MAX_TESTED];
    BIGNUM *n = NULL, *sum = BN_new();
    unsigned tried = 0;

    good_encoding(s, encoded);
    assert_int_equal(EVP_PKEY_get_bn_param(s->pkey, "n", &n), 1);
    for (unsigned i = 0; i < 4000 && tried < (s->size == 256 ? 3U : 1U);
         i++) { /* until some signature leaves room for n */
        size_t len;
        assert_int_equal(EVP_Q_digest(NULL, "SHA256", NULL, &i, sizeof(i), s->sha256, &len), 1);
        good_encoding(s, encoded);
        sign_raw(s, encoded, signature);
        BN_bin2bn(signature, (int)s->size, sum);
        BN_add(sum, sum, n);
        if (BN_num_bytes(sum) > (int)s->size)
            continue;
        tried++;
        struct span span = {(const char *)signature, s->size};
        assert_true(key_verify_digest(&s->fast, s->context, s->sha256, span, NULL));
        BN_bn2binpad(sum, signature, (int)s->size);
        assert_false(key_verify_digest(&s->slow, s->context, s->sha256, span, NULL));
        assert_false(key_verify_digest(&s->fast, s->context, s->sha256, span, NULL));
    }
    assert_true(tried > 0);
    BN_bn2binpad(n, signature, (int)s->size);
    assert_false(judge(s, signature, s->size));
    signature[s->size - 1] ^= 1; /* n - 1, which is its own power */
    assert_false(judge(s, signature, s->size));
    memset(signature, 0xff, s->size);
    assert_false(judge(s, signature, s->size));
    memset(signature, 0, s->size);
    assert_false(judge(s, signature, s->size));
    signature[s->size - 1] = 1;
    assert_false(judge(s, signature, s->size));
    BN_free(n);
    BN_free(sum);
}

static void judge_all(unsigned bits)
{
    struct signer s = {0};

    signer_init(&s, bits);
    only_the_signature_is_good(&s);
    other_digests_are_refused(&s);
    malformed_encodings_are_refused(&s);
    malformed_padding_is_refused(&s);
    every_byte_of_the_encoding_counts(&s);
    a_signature_is_less_than_the_modulus(&s); /* changes the digest */
    signer_done(&s);
}

static void verdicts_are_those_of_openssl(void **state)
{
    judge_all(2048);
}

static void verdicts_of_larger_keys(void **state)
{
    for (unsigned bits = 3072; bits <= 4096; bits += 1024) {
        struct signer s = {0};
        signer_init(&s, bits);
        only_the_signature_is_good(&s);
        malformed_encodings_are_refused(&s);
        a_signature_is_less_than_the_modulus(&s); /* changes the digest */
        signer_done(&s);
    }
}

/* Only what this code is for is taken from OpenSSL. */
static void other_keys_are_left_to_openssl(void **state)
{
    BIGNUM *three = BN_new();
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_RSA, NULL);
    EVP_PKEY *small_exponent = NULL, *common = EVP_RSA_gen(2048), *odd_size = EVP_RSA_gen(2056),
             *ec = EVP_EC_gen("P-256");
    static const enum jwt_algorithm others[] = {ALG_RS384, ALG_RS512, ALG_PS256};
    struct key key;

    BN_set_word(three, 3);
    assert_true(EVP_PKEY_keygen_init(ctx) == 1 && EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, 2048) == 1 &&
                EVP_PKEY_CTX_set1_rsa_keygen_pubexp(ctx, three) == 1 && EVP_PKEY_keygen(ctx, &small_exponent) == 1);
    assert_null(rsa_public_new(small_exponent));
    assert_null(rsa_public_new(odd_size));
    assert_null(rsa_public_new(ec));
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        assert_true(key_init(&key, common, others[i], NULL, NULL));
        assert_null(key.rsa);
        key_done(&key);
    }
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(small_exponent);
    EVP_PKEY_free(common);
    EVP_PKEY_free(odd_size);
    EVP_PKEY_free(ec);
    BN_free(three);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verdicts_are_those_of_openssl),
        cmocka_unit_test(verdicts_of_larger_keys),
        cmocka_unit_test(other_keys_are_left_to_openssl),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
