/* Counting header fields in HPACK. */
#include "server/hpack.h"

struct reader {
    const uint8_t *at, *end;
};

/* An integer with a prefix of so many bits (§5.1). False: it does not end here, or is larger than any that can be meant. */
static bool read_integer(struct reader *r, unsigned bits, size_t *ret)
{
    const uint8_t mask = (uint8_t)((1U << bits) - 1);
    size_t value;

    if (r->at == r->end)
        return false;
    value = *r->at++ & mask;
    if (value == mask) {
        for (unsigned shift = 0;; shift += 7) {
            if (r->at == r->end || shift > 28)
                return false;
            uint8_t byte = *r->at++;
            value += (size_t)(byte & 0x7f) << shift;
            if (byte < 0x80)
                break;
        }
    }
    *ret = value;
    return true;
}

static bool skip_string(struct reader *r)
{
    size_t len;

    if (!read_integer(r, 7, &len) || len > (size_t)(r->end - r->at))
        return false;
    r->at += len;
    return true;
}

/* A name, unless it stands in a table, and a value. */
static bool skip_literal(struct reader *r, unsigned bits)
{
    size_t name;

    return read_integer(r, bits, &name) && (name > 0 || skip_string(r)) && skip_string(r);
}

/* One representation (§6); *fields grows by those that become one. */
static bool skip_one(struct reader *r, size_t *fields)
{
    uint8_t first = *r->at;
    size_t ignored;

    if (first & 0x80) { /* indexed */
        ++*fields;
        return read_integer(r, 7, &ignored);
    }
    if ((first & 0xe0) == 0x20) /* the table's size changes */
        return read_integer(r, 5, &ignored);
    ++*fields;
    return skip_literal(r, first & 0x40 ? 6 : 4);
}

bool hpack_has_at_most(const uint8_t *block, size_t len, size_t max)
{
    struct reader r = {block, block + len};
    size_t fields = 0;

    while (r.at < r.end && fields <= max)
        if (!skip_one(&r, &fields))
            break;
    return fields <= max;
}
