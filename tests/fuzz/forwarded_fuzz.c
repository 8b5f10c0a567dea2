/* X-Forwarded-For: lines are headers. What is taken for the client is written down again the same, and is no trusted proxy unless
 * there is no other. */
#include "server/ip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const entries[] = {"10.0.0.0/8", "2001:db8::/32", "192.0.2.7"};
    struct trusted_proxies trusted;
    struct span values[FORWARDED_MAX], rest, line;
    struct ip none = {{0}}, ip = none, again;
    char text[INET6_ADDRSTRLEN];
    size_t count = 0;

    if (!trusted_proxies_read(entries, ARRAY_LEN(entries), &trusted, NULL))
        abort();
    own(freep) char *copy = xmalloc(size + 1);
    memcpy(copy, data, size);
    rest = (struct span){copy, size};
    while (count < FORWARDED_MAX && span_cut(&rest, '\n', &line))
        values[count++] = line;
    if (forwarded_client(&trusted, values, count, &ip) && count > 0) {
        ip_format(&ip, text);
        if (!ip_parse(span_of(text), &again) || memcmp(&ip, &again, sizeof(ip)) != 0)
            abort();
    }
    trusted_proxies_done(&trusted);
    return 0;
}
