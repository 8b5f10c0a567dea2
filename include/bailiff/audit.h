/* The audit log's chain: what a record says, how it is hashed, how a chain is proved. Pure; the store keeps the rows.
 *
 * hash(n) = SHA-256("bailiff audit 1\n" || hash(n-1) || every field of record n in fixed order, each as a presence byte,
 * a length of 8 bytes big-endian and its bytes). hash(0) is 32 zero bytes. So no record can be changed, removed from the middle, added
 * or moved without breaking all that follow. What a chain cannot show is that its end was cut off, or that somebody computed the
 * whole of it anew: for that its end is sealed with a key.
 *
 * Version 2, label "bailiff audit 2\n": the texts of AUDIT_TEXTS_2 follow behind count. A record that has none of them is hashed
 * as version 1, so that logs from before they existed stay provable; whoever takes them away from a record breaks its hash.
 *
 * The order is: seq, time_ms (8 bytes big-endian each), outcome (its name), the texts of AUDIT_TEXTS, status, count
 * (8 bytes big-endian each). An absent text is a presence byte 0 and a length of 0; everything else has presence byte 1. */
#ifndef BAILIFF_AUDIT_H
#define BAILIFF_AUDIT_H

#include "bailiff/fault.h"
#include "bailiff/model.h"

enum { AUDIT_HASH_SIZE = 32 };

#define AUDIT_OUTCOMES(X)                                                \
    X(AUDIT_DONE, "done")       /* the change was made */                \
    X(AUDIT_FAILED, "failed")   /* allowed, but it failed: see reason */ \
    X(AUDIT_REFUSED, "refused") /* not authenticated, not permitted, over a limit */
#define X(name, wire) name,
enum audit_outcome { AUDIT_OUTCOMES(X) AUDIT_OUTCOME_COUNT };
#undef X
const char *audit_outcome_name(enum audit_outcome o);

/* X(member of struct audit_draft, bytes kept of it): the texts of a record in the order in which they are hashed and stored. */
#define AUDIT_TEXTS(X)        \
    X(action, 128)            \
    X(target, 256)            \
    X(issuer, 1024)           \
    X(subject, 1024)          \
    X(token_id, 512)          \
    X(roles, 4096)            \
    X(address, 128)           \
    X(request_id, 64)         \
    X(client_request_id, 128) \
    X(method, 32)             \
    X(path, 2048)             \
    X(permission, 64)         \
    X(decision_id, 64)        \
    X(reason, 1024)           \
    X(detail, 16384)

#define AUDIT_TEXTS_2(X) \
    X(certificate, 64)   \
    X(certificate_subject, 256)

struct audit_record {
    int64_t seq;     /* 1, 2, 3 … without gaps */
    int64_t time_ms; /* wall clock of the writer */
    enum audit_outcome outcome;
    struct audit_draft draft;
};

/* Cuts texts that are longer than AUDIT_TEXTS says on a UTF-8 border ("…" behind them; a detail that is too long becomes
 * {"truncated":true}), so that what a client sends cannot fill the disk; an empty count becomes 1. */
void audit_draft_clamp(struct audit_draft *draft, struct arena *arena);

/* hash of `record` behind `previous`. */
must_check bool audit_hash(const uint8_t previous[static AUDIT_HASH_SIZE], const struct audit_record *record,
                           uint8_t ret_hash[static AUDIT_HASH_SIZE], struct fault *fault);

/* Walks a chain: feed records in order; each call says whether this record belongs behind the one before. Zeroed, it starts
 * before the first record. INVALID names the record and what is wrong with it. */
struct audit_walk {
    int64_t seq; /* of the last record that was found good */
    uint8_t hash[AUDIT_HASH_SIZE];
};
must_check bool audit_walk_step(struct audit_walk *walk, const struct audit_record *record,
                                const uint8_t stored_previous[static AUDIT_HASH_SIZE],
                                const uint8_t stored_hash[static AUDIT_HASH_SIZE], struct fault *fault);

/* The seal of a chain's end: HMAC-SHA-256(key, "bailiff audit seal 1\n" || seq (8 bytes big-endian) || hash). Without the key
 * nobody makes the seal of another end. (Who can read the key can: keep a head elsewhere, too, such as in the server's log.) */
enum { AUDIT_KEY_SIZE = 32, AUDIT_SEAL_SIZE = 32 };
must_check bool audit_seal(const uint8_t key[static AUDIT_KEY_SIZE], const struct audit_walk *end,
                           uint8_t ret_seal[static AUDIT_SEAL_SIZE], struct fault *fault);
/* Is `found` the end that was sealed? INVALID: the seal is forged, records behind `found` are missing, records were added
 * behind the sealed end, or the end is another one. */
must_check bool audit_seal_prove(const uint8_t key[static AUDIT_KEY_SIZE], const struct audit_walk *sealed,
                                 const uint8_t seal[static AUDIT_SEAL_SIZE], const struct audit_walk *found,
                                 struct fault *fault);

#endif
