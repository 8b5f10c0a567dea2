/* Plain text. */
#include "auth/plain.h"

/* U+2028 … U+202E and U+2066 … U+2069: line separators and overrides of writing direction, which make a log show another name. */
static bool misleads(const unsigned char *p)
{
    return p[0] == 0xe2 &&
           ((p[1] == 0x80 && p[2] >= 0xa8 && p[2] <= 0xae) || (p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9));
}

bool plain_text(const char *s, size_t max)
{
    size_t len = strnlen(s, max + 1);

    if (len == 0 || len > max || !utf8_valid(s, len))
        return false;
    for (const unsigned char *p = (const unsigned char *)s; *p; p++) {
        if (*p < 0x20 || *p == 0x7f)
            return false;
        if ((*p == 0xc2 && p[1] < 0xa0) /* U+0080 … U+009F */ || misleads(p))
            return false;
    }
    return true;
}

bool plain_role(const char *s)
{
    struct span role = {s, strnlen(s, ROLE_MAX_BYTES + 1)};

    return role.len <= ROLE_MAX_BYTES && text_is_visible_ascii(role);
}

bool plain_https_url(const char *s)
{
    static const char scheme[] = "https://";
    struct span url = {s, strnlen(s, URL_MAX_BYTES + 1)};

    if (url.len > URL_MAX_BYTES || !text_is_visible_ascii(url) || strncmp(s, scheme, sizeof(scheme) - 1) != 0 ||
        strpbrk(s, "#\\\"<>"))
        return false;
    const char *host = s + sizeof(scheme) - 1;
    size_t len = strcspn(host, "/?");
    return len > 0 && host[0] != ':' && !memchr(host, '@', len);
}
