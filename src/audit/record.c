#include <openssl/evp.h>

#include "bailiff/audit.h"

const char *audit_outcome_name(enum audit_outcome o)
{
    static const char *const NAMES[] = {
#define X(name, wire) [name] = wire,
        AUDIT_OUTCOMES(X)
#undef X
    };

    return (unsigned)o < AUDIT_OUTCOME_COUNT ? NAMES[o] : "unknown";
}

static const char *text_clamped(const char *s, size_t max, struct arena *arena)
{
    static const char ELLIPSIS[] = "\xe2\x80\xa6";
    size_t len;

    if (!s || strnlen(s, max + 1) <= max)
        return s;
    len = max - (sizeof(ELLIPSIS) - 1);
    while (len > 0 && ((unsigned char)s[len] & 0xc0) == 0x80)
        len--;
    return arena_printf(arena, "%.*s%s", (int)len, s, ELLIPSIS);
}

void audit_draft_clamp(struct audit_draft *draft, struct arena *arena)
{
    enum { DETAIL_MAX = 16384 };

    /* half a JSON object would be none */
    if (draft->detail && strnlen(draft->detail, DETAIL_MAX + 1) > DETAIL_MAX)
        draft->detail = "{\"truncated\":true}";
#define X(member, max) draft->member = text_clamped(draft->member, (max), arena);
    AUDIT_TEXTS(X)
    AUDIT_TEXTS_2(X)
#undef X
    if (draft->count == 0)
        draft->count = 1;
}

static void append_be64(struct text *t, uint64_t n)
{
    uint8_t bytes[8];

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(n >> (56 - 8 * i));
    text_append(t, bytes, sizeof(bytes));
}

static void append_text(struct text *t, const char *s)
{
    size_t len = s ? strlen(s) : 0;

    text_append_char(t, s ? 1 : 0);
    append_be64(t, len);
    text_append(t, s ? s : "", len);
}

static void append_number(struct text *t, uint64_t n)
{
    text_append_char(t, 1);
    append_be64(t, 8);
    append_be64(t, n);
}

static bool is_version_2(const struct audit_draft *draft)
{
#define X(member, max) || draft->member
    return false AUDIT_TEXTS_2(X);
#undef X
}

bool audit_hash(const uint8_t previous[static AUDIT_HASH_SIZE], const struct audit_record *record,
                uint8_t ret_hash[static AUDIT_HASH_SIZE], struct fault *fault)
{
    own(text_done) struct text t = {0};
    uint8_t hash[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    bool more = is_version_2(&record->draft);
    text_append_str(&t, more ? "bailiff audit 2\n" : "bailiff audit 1\n");
    text_append(&t, previous, AUDIT_HASH_SIZE);
    append_number(&t, (uint64_t)record->seq);
    append_number(&t, (uint64_t)record->time_ms);
    append_text(&t, audit_outcome_name(record->outcome));
#define X(member, max) append_text(&t, record->draft.member);
    AUDIT_TEXTS(X)
#undef X
    append_number(&t, (uint64_t)record->draft.status);
    append_number(&t, record->draft.count ? record->draft.count : 1);
#define X(member, max) append_text(&t, record->draft.member);
    if (more) {
        AUDIT_TEXTS_2(X)
    }
#undef X

    if (EVP_Digest(t.data, t.len, hash, &len, EVP_sha256(), NULL) != 1 || len != AUDIT_HASH_SIZE)
        return fault_internal(fault, "SHA-256 of audit record %lld failed", (long long)record->seq);
    memcpy(ret_hash, hash, AUDIT_HASH_SIZE);
    return true;
}
