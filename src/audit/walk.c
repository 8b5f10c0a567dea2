#include "bailiff/audit.h"

bool audit_walk_step(struct audit_walk *walk, const struct audit_record *record,
                     const uint8_t stored_previous[static AUDIT_HASH_SIZE],
                     const uint8_t stored_hash[static AUDIT_HASH_SIZE], struct fault *fault)
{
    uint8_t hash[AUDIT_HASH_SIZE];
    long long seq = record->seq;

    if (record->seq != walk->seq + 1)
        return fault_set(fault, FAULT_INVALID,
                         "The audit chain is broken: record %lld stands where record %lld was expected.", seq,
                         (long long)walk->seq + 1);
    if (memcmp(stored_previous, walk->hash, AUDIT_HASH_SIZE) != 0)
        return fault_set(fault, FAULT_INVALID,
                         "The audit chain is broken: record %lld does not belong behind record %lld.", seq,
                         (long long)walk->seq);
    if (!audit_hash(walk->hash, record, hash, fault))
        return false;
    if (memcmp(stored_hash, hash, AUDIT_HASH_SIZE) != 0)
        return fault_set(fault, FAULT_INVALID,
                         "The audit chain is broken: record %lld is not what it was when it was written.", seq);
    walk->seq = record->seq;
    memcpy(walk->hash, hash, AUDIT_HASH_SIZE);
    return true;
}
