#include <openssl/crypto.h>
#include <openssl/hmac.h>

#include "bailiff/audit.h"

bool audit_seal(const uint8_t key[static AUDIT_KEY_SIZE], const struct audit_walk *end,
                uint8_t ret_seal[static AUDIT_SEAL_SIZE], struct fault *fault)
{
    static const char LABEL[] = "bailiff audit seal 1\n";
    uint8_t sealed[sizeof(LABEL) - 1 + 8 + AUDIT_HASH_SIZE], mac[EVP_MAX_MD_SIZE], *p = sealed + sizeof(LABEL) - 1;
    unsigned len = 0;

    memcpy(sealed, LABEL, sizeof(LABEL) - 1);
    for (size_t i = 0; i < 8; i++)
        *p++ = (uint8_t)((uint64_t)end->seq >> (56 - 8 * i));
    memcpy(p, end->hash, AUDIT_HASH_SIZE);
    if (!HMAC(EVP_sha256(), key, AUDIT_KEY_SIZE, sealed, sizeof(sealed), mac, &len) || len != AUDIT_SEAL_SIZE)
        return fault_internal(fault, "HMAC of the audit log's end at %lld failed", (long long)end->seq);
    memcpy(ret_seal, mac, AUDIT_SEAL_SIZE);
    return true;
}

bool audit_seal_prove(const uint8_t key[static AUDIT_KEY_SIZE], const struct audit_walk *sealed,
                      const uint8_t seal[static AUDIT_SEAL_SIZE], const struct audit_walk *found, struct fault *fault)
{
    long long sealed_seq = sealed->seq, found_seq = found->seq;
    uint8_t expected[AUDIT_SEAL_SIZE];

    if (!audit_seal(key, sealed, expected, fault))
        return false;
    if (CRYPTO_memcmp(seal, expected, AUDIT_SEAL_SIZE) != 0)
        return fault_set(fault, FAULT_INVALID,
                         "The seal of the audit log's end is forged: it was not made with this store's audit key.");
    if (found_seq < sealed_seq)
        return fault_set(fault, FAULT_INVALID,
                         "The end of the audit log was cut off: records %lld to %lld are missing.", found_seq + 1,
                         sealed_seq);
    if (found_seq > sealed_seq)
        return fault_set(
            fault, FAULT_INVALID,
            "The audit log was lengthened by somebody else: records %lld to %lld stand behind its sealed end.",
            sealed_seq + 1, found_seq);
    if (memcmp(sealed->hash, found->hash, AUDIT_HASH_SIZE) != 0)
        return fault_set(fault, FAULT_INVALID,
                         "The audit log was written anew: its last record, %lld, is not the one that was sealed.",
                         found_seq);
    return true;
}
