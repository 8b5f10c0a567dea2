/* Certificates of clients, as the rest of the program sees them. */
#include <time.h>

#include <openssl/x509v3.h>

#include "server/internal.h"

enum { SERIAL_MAX = 64 };

/* Printable ASCII, bounded. What was cut says so, and not within an escape. */
static char *shown(const char *data, size_t len)
{
    struct text out = {0};
    size_t kept = len <= CERTIFICATE_NAME_MAX ? len : CERTIFICATE_NAME_MAX - 3;

    while (kept < len && kept > 0 && (data[kept - 1] == '\\' || (kept > 1 && data[kept - 2] == '\\')))
        kept--;
    for (size_t i = 0; i < kept; i++)
        text_append_char(&out, data[i] >= 0x20 && data[i] < 0x7f ? data[i] : '?');
    text_append_str(&out, kept < len ? "..." : "");
    return text_take(&out);
}

/* RFC 4514; other characters than ASCII's printable ones come out escaped. */
char *certificate_name(const X509_NAME *name)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *data = NULL;
    long len = bio && X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0 ? BIO_get_mem_data(bio, &data) : 0;
    char *text = shown(data, len > 0 ? (size_t)len : 0);

    BIO_free(bio);
    return text;
}

static char *alternative_name(const GENERAL_NAME *name)
{
    int type;
    const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &type);
    const char *kind = type == GEN_URI ? "URI:" : type == GEN_DNS ? "DNS:" : type == GEN_EMAIL ? "email:" : NULL;

    if (!kind)
        return NULL;
    own(text_done) struct text text = {0};
    text_append_str(&text, kind);
    text_append(&text, ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value));
    return shown(text.data, text.len);
}

/* A subject may be empty where an alternative name says it all, as in SPIFFE's. */
static char *subject_of(X509 *x)
{
    char *subject = certificate_name(X509_get_subject_name(x));

    if (subject[0])
        return subject;
    GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        char *name = alternative_name(sk_GENERAL_NAME_value(names, i));
        if (name) {
            free(subject);
            subject = name;
            break;
        }
    }
    GENERAL_NAMES_free(names);
    return subject;
}

static char *serial_of(X509 *x)
{
    BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(x), NULL);
    char *hex = number ? BN_bn2hex(number) : NULL;
    char *serial = hex ? xstrndup(hex, strnlen(hex, SERIAL_MAX)) : xstrdup("");

    OPENSSL_free(hex);
    BN_free(number);
    return serial;
}

int64_t asn1_time_s(const ASN1_TIME *time)
{
    struct tm tm;

    return time && ASN1_TIME_to_tm(time, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

struct certificate *certificate_new(X509 *x)
{
    own(text_done) struct text thumbprint = {0};
    unsigned len = 0;
    uint8_t digest[EVP_MAX_MD_SIZE];

    if (X509_digest(x, EVP_sha256(), digest, &len) != 1 || len != CERTIFICATE_DIGEST_SIZE)
        return NULL;
    struct certificate *c = xcalloc(1, sizeof(*c));
    memcpy(c->digest, digest, sizeof(c->digest));
    hex_encode(c->digest, sizeof(c->digest), c->fingerprint);
    base64url_encode(c->digest, sizeof(c->digest), &thumbprint);
    memcpy(c->thumbprint, thumbprint.data, sizeof(c->thumbprint));
    c->subject = subject_of(x);
    c->issuer = certificate_name(X509_get_issuer_name(x));
    c->serial = serial_of(x);
    c->not_before_s = asn1_time_s(X509_get0_notBefore(x));
    c->not_after_s = asn1_time_s(X509_get0_notAfter(x));
    return c;
}

void certificate_free(struct certificate *c)
{
    if (!c)
        return;
    free(c->subject);
    free(c->issuer);
    free(c->serial);
    free(c);
}
