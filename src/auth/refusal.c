/* Refusals as faults. */
#include "auth/refusal.h"

static const struct {
    const char *reason, *sentence;
} REFUSAL_TEXTS[REFUSAL_COUNT] = {
#define X(name, reason, sentence) [name] = {reason, sentence},
    REFUSALS(X)
#undef X
};

bool refuse(struct fault *fault, enum refusal why)
{
    fault_set(fault, FAULT_UNAUTHENTICATED, "%s", REFUSAL_TEXTS[why].sentence);
    return fault_detail(fault, "%s", REFUSAL_TEXTS[why].reason);
}
