#include "auth/openssl_end.h"

#include <openssl/err.h>

bool openssl_drop_errors(void)
{
    bool is_short = false;

    for (unsigned long error; (error = ERR_get_error()) != 0;)
        is_short |= ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE;
    return is_short;
}

bool openssl_end(bool ok, struct fault *fault)
{
    if (!openssl_drop_errors() || ok)
        return ok;
    if (fault)
        *fault = (struct fault){0};
    return fault_unavailable(fault, 1, "There is no memory to read a key.");
}
