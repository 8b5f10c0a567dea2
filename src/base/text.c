/* Growing byte strings and the functions on spans. */
#include <stdarg.h>
#include <stdio.h>

#include "bailiff/text.h"

void text_done(struct text *t)
{
    free(t->data);
    *t = (struct text){0};
}

void text_clear(struct text *t)
{
    t->len = 0;
    if (t->data)
        t->data[0] = '\0';
}

void text_reserve(struct text *t, size_t more)
{
    if (more > SIZE_MAX / 2 - t->len)
        abort();
    size_t need = t->len + more + 1;
    if (need <= t->cap)
        return;
    size_t cap = t->cap ? t->cap : 128;
    while (cap < need)
        cap *= 2;
    t->data = xrealloc(t->data, cap);
    t->cap = cap;
}

void text_append(struct text *t, const void *data, size_t len)
{
    text_reserve(t, len);
    if (len > 0)
        memcpy(t->data + t->len, data, len);
    t->len += len;
    t->data[t->len] = '\0';
}

void text_append_str(struct text *t, const char *s)
{
    text_append(t, s, strlen(s));
}

void text_append_span(struct text *t, struct span s)
{
    text_append(t, s.data, s.len);
}

void text_append_int(struct text *t, int64_t n)
{
    char digits[24];
    char *p = digits + sizeof(digits);
    uint64_t u = n < 0 ? 0 - (uint64_t)n : (uint64_t)n;

    do {
        *--p = (char)('0' + u % 10);
        u /= 10;
    } while (u);
    if (n < 0)
        *--p = '-';
    text_append(t, p, (size_t)(digits + sizeof(digits) - p));
}

void text_printf(struct text *t, const char *format, ...)
{
    va_list args, again;

    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len < 0)
        abort();
    text_reserve(t, (size_t)len);
    vsnprintf(t->data + t->len, (size_t)len + 1, format, again);
    va_end(again);
    t->len += (size_t)len;
}

char *text_take(struct text *t)
{
    text_reserve(t, 0);
    t->data[t->len] = '\0';
    char *data = t->data;
    *t = (struct text){0};
    return data;
}

static unsigned char lower(unsigned char c)
{
    return c >= 'A' && c <= 'Z' ? (unsigned char)(c | 0x20) : c;
}

bool bytes_ieq(const char *a, const char *b, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (lower((unsigned char)a[i]) != lower((unsigned char)b[i]))
            return false;
    return true;
}

struct span span_trim(struct span s)
{
    while (s.len > 0 && (s.data[0] == ' ' || s.data[0] == '\t')) {
        s.data++;
        s.len--;
    }
    while (s.len > 0 && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t'))
        s.len--;
    return s;
}

bool span_cut(struct span *rest, char separator, struct span *ret_part)
{
    if (!rest->data)
        return false;
    const char *at = rest->len > 0 ? memchr(rest->data, separator, rest->len) : NULL;
    if (!at) {
        *ret_part = *rest;
        *rest = (struct span){0};
        return true;
    }
    size_t len = (size_t)(at - rest->data);
    *ret_part = (struct span){rest->data, len};
    *rest = (struct span){at + 1, rest->len - len - 1};
    return true;
}

bool span_to_u64(struct span s, uint64_t max, uint64_t *ret)
{
    uint64_t n = 0;

    if (s.len == 0 || s.len > 20)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] < '0' || s.data[i] > '9')
            return false;
        if (__builtin_mul_overflow(n, (uint64_t)10, &n) || __builtin_add_overflow(n, (uint64_t)(s.data[i] - '0'), &n))
            return false;
    }
    if (n > max)
        return false;
    *ret = n;
    return true;
}

bool text_is_visible_ascii(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] < 0x21 || s.data[i] > 0x7e)
            return false;
    return s.len > 0;
}

bool text_is_identifier(struct span s)
{
    if (s.len == 0 || s.len > 128 || (s.data[0] >= '0' && s.data[0] <= '9'))
        return false;
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.data[i];
        if (!((c >= '0' && c <= '9') || (lower(c) >= 'a' && lower(c) <= 'z') || c == '_'))
            return false;
    }
    return true;
}

/* Levenshtein distance, bounded by the short names it is asked about. */
static size_t distance(const char *a, const char *b)
{
    enum { LONGEST = 64 };
    size_t row[LONGEST + 1];
    size_t a_len = strlen(a), b_len = strlen(b);

    if (a_len > LONGEST || b_len > LONGEST)
        return SIZE_MAX;
    for (size_t j = 0; j <= b_len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t above = row[j];
            size_t change = diagonal + (lower((unsigned char)a[i - 1]) != lower((unsigned char)b[j - 1]));
            size_t add = MIN(row[j - 1], above) + 1;
            row[j] = MIN(change, add);
            diagonal = above;
        }
    }
    return row[b_len];
}

const char *text_nearest(const char *wanted, const char *const *names, size_t count)
{
    const char *best = NULL;
    size_t len = strlen(wanted), best_distance = MAX((size_t)3, len / 4 + 2);

    for (size_t i = 0; i < count; i++) {
        /* the whole beginning of a name is nearer than another name with some letters changed */
        size_t d = len >= 3 && strncasecmp(wanted, names[i], len) == 0 ? 1 : distance(wanted, names[i]);
        if (d < best_distance) {
            best = names[i];
            best_distance = d;
        }
    }
    return best;
}
