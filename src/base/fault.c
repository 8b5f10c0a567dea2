/* Filling a fault: once, bounded, always returning false. */
#include <stdarg.h>
#include <stdio.h>

#include "bailiff/fault.h"

/* Cuts a text that filled its buffer before a UTF-8 sequence that did not fit. */
static void cut_on_border(char *s, size_t size, int wanted)
{
    if (wanted < 0 || (size_t)wanted < size)
        return;
    size_t len = size - 1;
    size_t start = len;
    while (start > 0 && ((unsigned char)s[start - 1] & 0xc0) == 0x80)
        start--;
    if (start > 0 && (unsigned char)s[start - 1] >= 0xc0) {
        unsigned char lead = (unsigned char)s[start - 1];
        size_t need = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
        if (len - (start - 1) < need)
            s[start - 1] = '\0';
    }
}

__attribute__((__format__(__printf__, 3, 0))) static void fill(char *out, size_t size, const char *format, va_list args)
{
    int wanted = vsnprintf(out, size, format, args);
    cut_on_border(out, size, wanted);
}

static bool fault_is_free(struct fault *fault)
{
    return fault && fault->kind == FAULT_NONE;
}

bool fault_set(struct fault *fault, enum fault_kind kind, const char *format, ...)
{
    if (fault_is_free(fault)) {
        va_list args;
        va_start(args, format);
        fill(fault->message, sizeof(fault->message), format, args);
        va_end(args);
        fault->kind = kind;
        fault->retry_after_s = kind == FAULT_TOO_MANY || kind == FAULT_UNAVAILABLE ? 1 : 0;
        fault->detail[0] = '\0';
    }
    return false;
}

bool fault_unavailable(struct fault *fault, unsigned retry_after_s, const char *format, ...)
{
    if (fault_is_free(fault)) {
        va_list args;
        va_start(args, format);
        fill(fault->message, sizeof(fault->message), format, args);
        va_end(args);
        fault->kind = FAULT_UNAVAILABLE;
        fault->retry_after_s = retry_after_s;
        fault->detail[0] = '\0';
    }
    return false;
}

bool fault_internal(struct fault *fault, const char *format, ...)
{
    if (fault_is_free(fault)) {
        va_list args;
        va_start(args, format);
        fill(fault->detail, sizeof(fault->detail), format, args);
        va_end(args);
        fault->kind = FAULT_INTERNAL;
        fault->retry_after_s = 0;
        snprintf(fault->message, sizeof(fault->message), "The server could not complete the request.");
    }
    return false;
}

bool fault_detail(struct fault *fault, const char *format, ...)
{
    if (fault && fault->kind != FAULT_NONE && fault->detail[0] == '\0') {
        va_list args;
        va_start(args, format);
        fill(fault->detail, sizeof(fault->detail), format, args);
        va_end(args);
    }
    return false;
}
