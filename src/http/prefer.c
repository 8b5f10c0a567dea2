/* Prefer (RFC 7240): wishes. What is malformed or unknown is not honoured, and never an error. */
#include "http/parts.h"

enum { WAIT_MAX_S = 60, VALUE_SIZE = 32 /* the longest that we know has 14 */ };

/* Takes the next element off a list: up to a comma that stands outside quotes. */
static bool next_element(struct span *rest, struct span *ret_element)
{
    bool quoted = false;
    size_t i = 0;

    if (rest->len == 0)
        return false;
    for (; i < rest->len && (quoted || rest->data[i] != ','); i++) {
        if (rest->data[i] == '"')
            quoted = !quoted;
        else if (quoted && rest->data[i] == '\\' && i + 1 < rest->len)
            i++;
    }
    *ret_element = span_trim((struct span){rest->data, i});
    i += i < rest->len; /* the comma */
    *rest = (struct span){rest->data + i, rest->len - i};
    return true;
}

static struct span take_token(struct span *s)
{
    size_t len = 0;

    while (len < s->len && is_token_char(s->data[len]))
        len++;
    struct span token = {s->data, len};
    *s = span_trim((struct span){s->data + len, s->len - len});
    return token;
}

/* A quoted string, its escapes undone. A value longer than any that we know is read to its end, and is then no value of ours. */
static bool take_quoted(struct span *s, char out[static VALUE_SIZE])
{
    size_t len = 0, i = 1;

    for (; i < s->len && s->data[i] != '"'; i++) {
        i += s->data[i] == '\\';
        if (i == s->len)
            return false;
        if (len < VALUE_SIZE - 1)
            out[len++] = s->data[i];
    }
    if (i == s->len)
        return false;
    out[len] = '\0';
    *s = span_trim((struct span){s->data + i + 1, s->len - i - 1});
    return true;
}

/* name [= value] [; parameters]: parameters are not looked at, as none of ours has any. */
static bool read_element(struct span s, struct span *ret_name, char value[static VALUE_SIZE])
{
    value[0] = '\0';
    *ret_name = take_token(&s);
    if (ret_name->len == 0)
        return false;
    if (s.len > 0 && s.data[0] == '=') {
        s = span_trim((struct span){s.data + 1, s.len - 1});
        if (s.len > 0 && s.data[0] == '"') {
            if (!take_quoted(&s, value))
                return false;
        } else {
            struct span word = take_token(&s);
            size_t len = MIN(word.len, (size_t)VALUE_SIZE - 1);
            memcpy(value, word.data, len);
            value[len] = '\0';
        }
    }
    return s.len == 0 || s.data[0] == ';';
}

static int read_wait(const char *value)
{
    uint64_t seconds;

    if (value[0] == '\0' || value[strspn(value, "0123456789")] != '\0')
        return -1;
    return span_to_u64(span_of(value), WAIT_MAX_S, &seconds) ? (int)seconds : WAIT_MAX_S;
}

void exchange_preferences(const struct exchange *x, struct preferences *ret)
{
    bool seen_return = false, seen_wait = false; /* "only the first instance is to be considered" */
    struct span element, name;
    char value[VALUE_SIZE];

    *ret = (struct preferences){.wait_s = -1};
    for (size_t i = 0; i < x->request_headers.count; i++) {
        const struct header *header = &x->request_headers.items[i];
        struct span rest = header->value;
        if (!span_ieq(header->name, SPAN("prefer")))
            continue;
        while (next_element(&rest, &element)) {
            if (!read_element(element, &name, value))
                continue;
            if (span_ieq(name, SPAN("return")) && !seen_return) {
                seen_return = true;
                ret->representation = strcmp(value, "representation") == 0;
                ret->minimal = strcmp(value, "minimal") == 0;
            } else if (span_ieq(name, SPAN("wait")) && !seen_wait) {
                seen_wait = true;
                ret->wait_s = read_wait(value);
            }
        }
    }
}
