/* Strict reading of HTTP/1 request heads. */
#include "server/head.h"

#include "bailiff/http.h"

/* RFC 9110 §5.6.2. Letters and digits are asked first: they are nearly all there is. */
static bool is_token_char(unsigned char c)
{
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-')
        return true;
    return c && strchr("!#$%&'*+.^_`|~", c);
}

static bool is_token(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!is_token_char((unsigned char)s.data[i]))
            return false;
    return s.len > 0;
}

bool head_method_valid(struct span s)
{
    return s.len <= HEAD_METHOD_MAX && is_token(s);
}

bool head_method_known(struct span s)
{
    return method_parse(s) != METHOD_OTHER;
}

bool head_name_valid(struct span s)
{
    return is_token(s);
}

bool head_value_valid(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.data[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

bool head_target_valid(struct span method, struct span target)
{
    if (span_is(target, "*"))
        return span_is(method, "OPTIONS");
    if (target.len == 0 || target.data[0] != '/')
        return false;
    for (size_t i = 0; i < target.len; i++) {
        unsigned char c = (unsigned char)target.data[i];
        if (c <= 0x20 || c >= 0x7f || c == '#')
            return false;
    }
    return true;
}

bool head_host_valid(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.data[i];
        bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!alnum && (!c || !strchr("-._~:[]%", c)))
            return false;
    }
    return s.len > 0;
}

static enum head_verdict refuse(struct head *head, int status, const char *reason)
{
    head->status = status;
    head->reason = reason;
    return HEAD_REFUSED;
}

/* The next byte below 0x20 or equal to 0x7f, or len: eight bytes at a time, by the sign bits that a borrow leaves. */
static size_t skip_plain(const char *buf, size_t len, size_t at)
{
    const uint64_t ones = 0x0101010101010101, signs = 0x8080808080808080;
    uint64_t word, deletes;

    for (; at + sizeof(word) <= len; at += sizeof(word)) {
        memcpy(&word, buf + at, sizeof(word));
        deletes = word ^ 0x7f * ones;
        if ((((word - 0x20 * ones) & ~word) | ((deletes - ones) & ~deletes)) & signs)
            break;
    }
    while (at < len && (unsigned char)buf[at] >= 0x20 && buf[at] != 0x7f)
        at++;
    return at;
}

/* Looks for the empty line. Lines must end in CRLF, and no other control character but a tab may occur: a bare LF, a bare CR or
 * a NUL means different things to different readers. */
static enum head_verdict find_end(const char *buf, size_t len, size_t start, size_t seen, struct head *head)
{
    /* The last three bytes seen may begin the four that end a head. */
    for (size_t i = seen > start + 3 ? seen - 3 : start; (i = skip_plain(buf, len, i)) < len; i++) {
        unsigned char c = (unsigned char)buf[i];
        if (c == '\r') {
            if (i + 1 < len && buf[i + 1] != '\n')
                return refuse(head, 400, "A carriage return stands without its line feed.");
        } else if (c == '\n') {
            if (i == start || buf[i - 1] != '\r')
                return refuse(head, 400, "A line ends in a bare line feed.");
            if (i >= start + 3 && buf[i - 2] == '\n') {
                head->len = i + 1;
                return HEAD_OK;
            }
            if (i == start + 1)
                return refuse(head, 400, "The request line is empty.");
        } else if (c != '\t') {
            return refuse(head, 400, "The head holds a control character.");
        }
    }
    return HEAD_MORE;
}

/* Next line without its CRLF; the caller knows that there is one. */
static struct span next_line(const char **at)
{
    const char *end = rawmemchr(*at, '\r');

    struct span line = {*at, (size_t)(end - *at)};
    *at = end + 2;
    return line;
}

static enum head_verdict read_request_line(struct span line, struct head *head)
{
    struct span rest = line, version = {0};

    if (!span_cut(&rest, ' ', &head->method) || !head_method_valid(head->method))
        return refuse(head, 400, "The method is malformed.");
    if (!span_cut(&rest, ' ', &head->target) || !head_target_valid(head->method, head->target))
        return refuse(head, 400, "The request target is malformed: it must be a path.");
    if (!span_cut(&rest, ' ', &version) || rest.len > 0)
        return refuse(head, 400, "The request line is malformed.");
    if (!span_is(version, "HTTP/1.1") && !span_is(version, "HTTP/1.0"))
        return refuse(head, 400, "The protocol version is neither HTTP/1.1 nor HTTP/1.0.");
    /* A trailing blank would have been cut away silently. */
    if (line.len != head->method.len + head->target.len + version.len + 2)
        return refuse(head, 400, "The request line is malformed.");
    if (!head_method_known(head->method))
        return refuse(head, 400, "The method is unknown here; methods are written in capitals.");
    head->minor_version = version.data[version.len - 1] - '0';
    return HEAD_OK;
}

static enum head_verdict read_field(struct span line, struct head *head)
{
    const char *colon = memchr(line.data, ':', line.len);

    if (line.len > 0 && (line.data[0] == ' ' || line.data[0] == '\t'))
        return refuse(head, 400, "A header field is folded over several lines.");
    if (!colon)
        return refuse(head, 400, "A header line has no colon.");
    struct head_field field = {{line.data, (size_t)(colon - line.data)}, {colon + 1, 0}};
    field.value.len = (size_t)(line.data + line.len - field.value.data);
    field.value = span_trim(field.value);
    if (!head_name_valid(field.name))
        return refuse(head, 400, "The name of a header field is malformed.");
    /* the value holds no control character: find_end has seen to that */
    if (head->field_count == HEAD_FIELDS_MAX)
        return refuse(head, 400, "The request has more than 64 header fields.");
    head->fields[head->field_count++] = field;
    return HEAD_OK;
}

struct framing {
    unsigned hosts, lengths, encodings;
    struct span host, length, encoding;
    bool expects_other; /* anything but 100-continue */
};

static void collect_framing(const struct head *head, struct framing *f)
{
    for (size_t i = 0; i < head->field_count; i++) {
        struct span name = head->fields[i].name, value = head->fields[i].value;
        /* By length first: most fields are none of these. */
        if (name.len == 4 && span_ieq(name, SPAN("host"))) {
            f->hosts++;
            f->host = value;
        } else if (name.len == 14 && span_ieq(name, SPAN("content-length"))) {
            f->lengths++;
            f->length = value;
        } else if (name.len == 17 && span_ieq(name, SPAN("transfer-encoding"))) {
            f->encodings++;
            f->encoding = value;
        } else if (name.len == 6 && span_ieq(name, SPAN("expect"))) {
            f->expects_other |= !span_ieq(value, SPAN("100-continue"));
        }
    }
}

static enum head_verdict check_framing(struct head *head, uint64_t body_max)
{
    struct framing f = {0};

    collect_framing(head, &f);
    if (f.hosts > 1)
        return refuse(head, 400, "The request has more than one Host.");
    if (f.hosts == 0 && head->minor_version > 0)
        return refuse(head, 400, "The request has no Host.");
    if (f.hosts == 1 && !head_host_valid(f.host))
        return refuse(head, 400, "Host is malformed.");
    if (f.lengths > 1)
        return refuse(head, 400, "The request has more than one Content-Length.");
    if (f.encodings > 1)
        return refuse(head, 400, "The request has more than one Transfer-Encoding.");
    if (f.lengths > 0 && f.encodings > 0)
        return refuse(head, 400, "The request has both Content-Length and Transfer-Encoding.");
    if (f.encodings > 0 && head->minor_version == 0)
        return refuse(head, 400, "Transfer-Encoding does not exist in HTTP/1.0.");
    if (f.encodings > 0 && !span_ieq(f.encoding, SPAN("chunked")))
        return refuse(head, 400, "Transfer-Encoding is not exactly \"chunked\".");
    if (f.lengths > 0 && !span_to_u64(f.length, INT64_MAX, &head->content_length))
        return refuse(head, 400, "Content-Length is not a number.");
    if (f.expects_other)
        return refuse(head, 417, "The only expectation known is 100-continue.");
    head->has_length = f.lengths > 0;
    head->chunked = f.encodings > 0;
    if (head->content_length > body_max)
        return refuse(head, 413, "The body is larger than any route takes.");
    return HEAD_OK;
}

enum head_verdict head_read(const char *buf, size_t len, size_t seen, uint64_t body_max, struct head *head)
{
    /* RFC 9112 §2.2: one empty line before the request line is forgiven. */
    size_t start = len >= 2 && buf[0] == '\r' && buf[1] == '\n' ? 2 : 0;

    head->len = head->field_count = 0;
    head->chunked = head->has_length = false;
    head->content_length = 0;
    if (start == 0 && len == 1 && buf[0] == '\r')
        return HEAD_MORE;
    enum head_verdict verdict = find_end(buf, MIN(len, start + HEAD_SIZE_MAX), start, MIN(seen, len), head);
    if (verdict == HEAD_MORE && len >= start + HEAD_SIZE_MAX)
        return refuse(head, 431, "The head is larger than 16 KiB.");
    if (verdict != HEAD_OK)
        return verdict;

    const char *at = buf + start, *end = buf + head->len - 2;
    verdict = read_request_line(next_line(&at), head);
    while (verdict == HEAD_OK && at < end)
        verdict = read_field(next_line(&at), head);
    return verdict == HEAD_OK ? check_framing(head, body_max) : verdict;
}
