#include "bailiff/quantity.h"

struct unit {
    const char *name;
    uint64_t factor;
};
/* the largest first, as formatting wants them */
static const struct unit SIZES[] = {{"TiB", UINT64_C(1) << 40},
                                    {"GiB", UINT64_C(1) << 30},
                                    {"MiB", UINT64_C(1) << 20},
                                    {"KiB", UINT64_C(1) << 10},
                                    {"B", 1}};
static const struct unit TIMES[] = {{"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}};

static bool parse(struct span s, const struct unit *units, size_t count, uint64_t *ret)
{
    struct span digits = {s.data, 0}, name;
    uint64_t number;

    while (digits.len < s.len && s.data[digits.len] >= '0' && s.data[digits.len] <= '9')
        digits.len++;
    name = (struct span){s.data + digits.len, s.len - digits.len};
    if (!span_to_u64(digits, UINT64_MAX, &number))
        return false;
    if (number == 0 && name.len == 0) {
        *ret = 0;
        return true;
    }
    for (size_t i = 0; i < count; i++)
        if (span_is(name, units[i].name) && !__builtin_mul_overflow(number, units[i].factor, &number)) {
            *ret = number;
            return true;
        }
    return false;
}

static void format(uint64_t value, const struct unit *units, size_t count, struct text *out)
{
    size_t i = 0;

    if (value == 0) {
        text_append_char(out, '0');
        return;
    }
    while (i + 1 < count && value % units[i].factor != 0)
        i++;
    text_printf(out, "%llu%s", (unsigned long long)(value / units[i].factor), units[i].name);
}

bool size_parse(struct span s, uint64_t *ret_bytes)
{
    return parse(s, SIZES, ARRAY_LEN(SIZES), ret_bytes);
}

bool duration_parse(struct span s, uint64_t *ret_ms)
{
    return parse(s, TIMES, ARRAY_LEN(TIMES), ret_ms);
}

void size_format(uint64_t bytes, struct text *out)
{
    format(bytes, SIZES, ARRAY_LEN(SIZES), out);
}

void duration_format(uint64_t ms, struct text *out)
{
    format(ms, TIMES, ARRAY_LEN(TIMES), out);
}
