/* The audit chain: the hash as audit.h defines it, and what a walk finds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "bailiff/audit.h"

static struct audit_record record_of(int64_t seq, const char *target)
{
    return (struct audit_record){
        .seq = seq,
        .time_ms = 1700000000000 + seq,
        .outcome = AUDIT_DONE,
        .draft = {.action = "task.create", .target = target, .subject = "ann", .path = "/api/v1/tasks/", .status = 201},
    };
}

/* The value was computed from the definition by another program:
 *   field(p, b) = p + len(b).to_bytes(8, "big") + b, over seq=1, time_ms=1700000000001, "done", the texts, 201, 1 */
static void the_hash_is_as_defined(void **state)
{
    const uint8_t zero[AUDIT_HASH_SIZE] = {0};
    struct audit_record record = record_of(1, "TASK_a_1");
    uint8_t hash[AUDIT_HASH_SIZE];
    char hex[2 * AUDIT_HASH_SIZE + 1];

    assert_true(audit_hash(zero, &record, hash, NULL));
    hex_encode(hash, sizeof(hash), hex);
    assert_string_equal(hex, "c0d1e56e2d7b86bb3113e8b92a0934858e9a8cd13640c13c30c074fa06a3332e");
    record.draft.count = 1; /* 0 is read as 1 */
    assert_true(audit_hash(zero, &record, hash, NULL));
    hex_encode(hash, sizeof(hash), hex);
    assert_string_equal(hex, "c0d1e56e2d7b86bb3113e8b92a0934858e9a8cd13640c13c30c074fa06a3332e");
}

/* No two records may have the same hash, however their fields run into each other. */
static void every_field_counts(void **state)
{
    struct audit_record variants[64];
    uint8_t hashes[64][AUDIT_HASH_SIZE], previous[AUDIT_HASH_SIZE] = {0};
    size_t n = 0;

    variants[n++] = record_of(1, "a");
#define VARIANT(change)                  \
    do {                                 \
        variants[n] = record_of(1, "a"); \
        variants[n].change;              \
        n++;                             \
    } while (0)
    VARIANT(seq = 2);
    VARIANT(time_ms += 1);
    VARIANT(outcome = AUDIT_FAILED);
    VARIANT(draft.status = 200);
    VARIANT(draft.count = 2);
#define X(member, max)           \
    VARIANT(draft.member = "x"); \
    VARIANT(draft.member = "");
    AUDIT_TEXTS(X)
    AUDIT_TEXTS_2(X)
#undef X
    assert_true(n <= ARRAY_LEN(variants));
    for (size_t i = 0; i < n; i++)
        assert_true(audit_hash(previous, &variants[i], hashes[i], NULL));
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < i; k++)
            assert_memory_not_equal(hashes[i], hashes[k], AUDIT_HASH_SIZE);
    previous[31] = 1;
    assert_true(audit_hash(previous, &variants[0], hashes[1], NULL));
    assert_memory_not_equal(hashes[0], hashes[1], AUDIT_HASH_SIZE);
}

enum { LINKS = 5 };
struct link {
    struct audit_record record;
    uint8_t previous[AUDIT_HASH_SIZE], hash[AUDIT_HASH_SIZE];
};

static void make_chain(struct link *links)
{
    uint8_t previous[AUDIT_HASH_SIZE] = {0};

    for (size_t i = 0; i < LINKS; i++) {
        links[i].record = record_of((int64_t)i + 1, "t");
        memcpy(links[i].previous, previous, AUDIT_HASH_SIZE);
        assert_true(audit_hash(previous, &links[i].record, links[i].hash, NULL));
        memcpy(previous, links[i].hash, AUDIT_HASH_SIZE);
    }
}

/* The seq of the first record that does not fit, 0: all do. */
static int64_t walk(const struct link *links, size_t count, struct fault *fault)
{
    struct audit_walk at = {0};

    for (size_t i = 0; i < count; i++)
        if (!audit_walk_step(&at, &links[i].record, links[i].previous, links[i].hash, fault))
            return links[i].record.seq;
    return 0;
}

static void a_walk_finds_what_was_done(void **state)
{
    struct link whole[LINKS], links[LINKS + 1];
    struct fault fault = {0};

    make_chain(whole);
    assert_int_equal(walk(whole, LINKS, &fault), 0);

    memcpy(links, whole, sizeof(whole)); /* changed */
    links[2].record.draft.subject = "eve";
    assert_int_equal(walk(links, LINKS, &fault), 3);
    assert_int_equal(fault.kind, FAULT_INVALID);
    assert_non_null(strstr(fault.message, "record 3 "));

    memcpy(links, whole, sizeof(whole)); /* changed, and hashed again: the next one tells */
    links[2].record.draft.subject = "eve";
    assert_true(audit_hash(links[2].previous, &links[2].record, links[2].hash, NULL));
    assert_int_equal(walk(links, LINKS, NULL), 4);

    memcpy(links, whole, sizeof(whole)); /* a certificate taken away from a record, or given to one */
    links[2].record.draft.certificate = "aa";
    assert_int_equal(walk(links, LINKS, NULL), 3);
    assert_true(audit_hash(links[2].previous, &links[2].record, links[2].hash, NULL));
    links[2].record.draft.certificate = NULL;
    assert_int_equal(walk(links, LINKS, NULL), 3);

    memcpy(links, whole, sizeof(whole)); /* removed */
    memmove(&links[1], &links[2], 3 * sizeof(*links));
    assert_int_equal(walk(links, LINKS - 1, NULL), 3);

    memcpy(links, whole, sizeof(whole)); /* exchanged */
    links[1] = whole[2];
    links[2] = whole[1];
    assert_int_equal(walk(links, LINKS, NULL), 3);

    memcpy(links, whole, sizeof(whole)); /* added */
    memmove(&links[3], &whole[2], 3 * sizeof(*links));
    assert_int_equal(walk(links, LINKS + 1, NULL), 3);

    memcpy(links, whole, sizeof(whole)); /* begins too late */
    assert_int_equal(walk(links + 1, LINKS - 1, NULL), 2);
}

static void long_texts_are_cut_on_a_border(void **state)
{
    struct arena arena = {0};
    char *path = arena_alloc(&arena, 5001), *detail = arena_alloc(&arena, 20001);
    struct audit_draft draft = {.action = "a", .path = path, .detail = detail};

    memset(path, 'p', 5000);
    memcpy(path + 2044, "\xf0\x9f\x98\x80", 4); /* a character across the cut */
    memset(detail, ' ', 20000);
    audit_draft_clamp(&draft, &arena);
    assert_string_equal(draft.action, "a");
    assert_null(draft.target);
    assert_int_equal(strlen(draft.path), 2047);
    assert_true(utf8_valid(draft.path, strlen(draft.path)));
    assert_string_equal(draft.path + 2044, "\xe2\x80\xa6");
    assert_string_equal(draft.detail, "{\"truncated\":true}");
    assert_int_equal(draft.count, 1);
    path[2048] = '\0'; /* as long as is allowed */
    draft.path = path;
    audit_draft_clamp(&draft, &arena);
    assert_ptr_equal(draft.path, path);
    arena_done(&arena);
}

static void outcomes_have_names(void **state)
{
    assert_string_equal(audit_outcome_name(AUDIT_DONE), "done");
    assert_string_equal(audit_outcome_name(AUDIT_FAILED), "failed");
    assert_string_equal(audit_outcome_name(AUDIT_REFUSED), "refused");
    assert_string_equal(audit_outcome_name(AUDIT_OUTCOME_COUNT), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_hash_is_as_defined),     cmocka_unit_test(every_field_counts),
        cmocka_unit_test(a_walk_finds_what_was_done), cmocka_unit_test(long_texts_are_cut_on_a_border),
        cmocka_unit_test(outcomes_have_names),
    };

    return cmocka_run_group_tests_name("audit_chain", tests, NULL, NULL);
}
