/* Strict reading of chunked bodies. */
#include "server/chunks.h"

enum { SIZE, EXTENSION, SIZE_LF, DATA, DATA_CR, DATA_LF, LAST_CR, LAST_LF };
enum step { STEP_ON, STEP_BAD, STEP_DONE };

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static enum step read_size(struct phr_chunked_decoder *d, char c)
{
    int digit = hex_digit(c);

    if (digit >= 0) {
        if (d->_hex_count == CHUNK_DIGITS_MAX)
            return STEP_BAD;
        d->_hex_count++;
        d->bytes_left_in_chunk = d->bytes_left_in_chunk << 4 | (size_t)digit;
        return STEP_ON;
    }
    if (d->_hex_count == 0 || (c != '\r' && c != ';'))
        return STEP_BAD;
    d->_hex_count = 0;
    d->_state = c == ';' ? EXTENSION : SIZE_LF;
    return STEP_ON;
}

static enum step read_extension(struct phr_chunked_decoder *d, char c)
{
    if (c == '\r') {
        d->_hex_count = 0;
        d->_state = SIZE_LF;
        return STEP_ON;
    }
    bool plain = (c >= 0x20 && c < 0x7f) || c == '\t';
    return plain && d->_hex_count++ < CHUNK_EXTENSION_MAX ? STEP_ON : STEP_BAD;
}

static enum step expect(struct phr_chunked_decoder *d, char c, char wanted, char state)
{
    d->_state = state;
    return c == wanted ? STEP_ON : STEP_BAD;
}

/* One byte of framing. */
static enum step read_framing(struct phr_chunked_decoder *d, char c)
{
    switch (d->_state) {
    case SIZE:
        return read_size(d, c);
    case EXTENSION:
        return read_extension(d, c);
    case SIZE_LF:
        return expect(d, c, '\n', d->bytes_left_in_chunk ? DATA : LAST_CR);
    case DATA_CR:
        return expect(d, c, '\r', DATA_LF);
    case DATA_LF:
        return expect(d, c, '\n', SIZE);
    case LAST_CR: /* anything else begins a trailer */
        return expect(d, c, '\r', LAST_LF);
    case LAST_LF:
        return c == '\n' ? STEP_DONE : STEP_BAD;
    default:
        return STEP_BAD;
    }
}

ssize_t chunks_read(struct phr_chunked_decoder *d, char *buf, size_t *size)
{
    size_t from = 0, to = 0, end = *size;

    while (from < end) {
        if (d->_state == DATA) {
            size_t n = MIN(end - from, d->bytes_left_in_chunk);
            if (from != to)
                memmove(buf + to, buf + from, n);
            from += n;
            to += n;
            d->bytes_left_in_chunk -= n;
            if (d->bytes_left_in_chunk == 0)
                d->_state = DATA_CR;
            continue;
        }
        switch (read_framing(d, buf[from++])) {
        case STEP_ON:
            break;
        case STEP_BAD:
            *size = to;
            return -1;
        case STEP_DONE:
            memmove(buf + to, buf + from, end - from);
            *size = to;
            return (ssize_t)(end - from);
        }
    }
    *size = to;
    return -2;
}
