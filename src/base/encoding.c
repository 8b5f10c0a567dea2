/* Hex, base64url, UTF-8. */
#include "bailiff/text.h"

void hex_encode(const uint8_t *data, size_t len, char *out)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < len; i++) {
        out[2 * i] = digits[data[i] >> 4];
        out[2 * i + 1] = digits[data[i] & 15];
    }
    out[2 * len] = '\0';
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool hex_decode(struct span s, uint8_t *out, size_t len)
{
    if (s.len != 2 * len)
        return false;
    for (size_t i = 0; i < len; i++) {
        int high = hex_value(s.data[2 * i]), low = hex_value(s.data[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void base64url_encode(const uint8_t *data, size_t len, struct text *out)
{
    uint32_t bits = 0;
    unsigned held = 0;

    for (size_t i = 0; i < len; i++) {
        bits = bits << 8 | data[i];
        held += 8;
        while (held >= 6) {
            held -= 6;
            text_append_char(out, alphabet[bits >> held & 63]);
        }
    }
    if (held > 0)
        text_append_char(out, alphabet[bits << (6 - held) & 63]);
}

/* Values of the alphabet's characters; 255 for any other. */
#define NONE4 255, 255, 255, 255
#define NONE16 NONE4, NONE4, NONE4, NONE4
static const uint8_t VALUES[256] = {
    NONE16, NONE16, NONE4, NONE4,  NONE4,  255,    62,     255,    255,    52,     53,    54, 55, 56, 57, 58,
    59,     60,     61,    255,    255,    NONE4,  255,    0,      1,      2,      3,     4,  5,  6,  7,  8,
    9,      10,     11,    12,     13,     14,     15,     16,     17,     18,     19,    20, 21, 22, 23, 24,
    25,     255,    255,   255,    255,    63,     255,    26,     27,     28,     29,    30, 31, 32, 33, 34,
    35,     36,     37,    38,     39,     40,     41,     42,     43,     44,     45,    46, 47, 48, 49, 50,
    51,     255,    NONE4, NONE16, NONE16, NONE16, NONE16, NONE16, NONE16, NONE16, NONE16};

/* Four characters at a time are three bytes; a value above 63 is none. */
bool base64url_decode(struct span s, uint8_t *out, size_t cap, size_t *ret_len)
{
    const unsigned char *in = (const unsigned char *)s.data;
    size_t whole = s.len / 4, rest = s.len % 4, len = 3 * whole + (rest ? rest - 1 : 0);
    unsigned a, b, c = 0, d, bad = 0;

    if (rest == 1 || len > cap)
        return false;
    for (size_t i = 0; i < whole; i++, in += 4, out += 3) {
        a = VALUES[in[0]], b = VALUES[in[1]], c = VALUES[in[2]], d = VALUES[in[3]];
        bad |= a | b | c | d;
        out[0] = (uint8_t)(a << 2 | b >> 4);
        out[1] = (uint8_t)(b << 4 | c >> 2);
        out[2] = (uint8_t)(c << 6 | d);
    }
    if (rest) {
        a = VALUES[in[0]], b = VALUES[in[1]], c = rest == 3 ? VALUES[in[2]] : 0;
        bad |= a | b | c | (rest == 2 ? b << 4 & 0xff : c << 6 & 0xff) << 8; /* unused bits */
        out[0] = (uint8_t)(a << 2 | b >> 4);
        if (rest == 3)
            out[1] = (uint8_t)(b << 4 | c >> 2);
    }
    if (bad > 63)
        return false;
    *ret_len = len;
    return true;
}

/* Length of the well-formed sequence at s, 0 if there is none (RFC 3629 §4). */
static size_t utf8_sequence(const unsigned char *s, size_t len)
{
    unsigned char a = s[0];
    size_t need = a < 0x80                 ? 1
                  : a >= 0xc2 && a <= 0xdf ? 2
                  : a >= 0xe0 && a <= 0xef ? 3
                  : a >= 0xf0 && a <= 0xf4 ? 4
                                           : 0;

    if (need == 0 || need > len)
        return 0;
    for (size_t i = 1; i < need; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((a == 0xe0 && s[1] < 0xa0) || (a == 0xed && s[1] > 0x9f) || (a == 0xf0 && s[1] < 0x90) ||
        (a == 0xf4 && s[1] > 0x8f))
        return 0;
    return need;
}

bool utf8_valid(const char *s, size_t len)
{
    for (size_t i = 0; i < len;) {
        uint64_t word;
        if (i + sizeof(word) <= len && (memcpy(&word, s + i, sizeof(word)), !(word & 0x8080808080808080))) {
            i += sizeof(word); /* eight of ASCII */
            continue;
        }
        size_t step = utf8_sequence((const unsigned char *)s + i, len - i);
        if (step == 0)
            return false;
        i += step;
    }
    return true;
}
