/* What every file needs: must-check results, ownership by cleanup attribute, sizes, and allocation that cannot fail.
 *
 * Our own allocations abort when memory is gone, as libh2o's do. What comes from SQLite, OpenSSL, jansson or the
 * system is checked where it is called. */
#ifndef BAILIFF_COMMON_H
#define BAILIFF_COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define must_check __attribute__((warn_unused_result))
#define own(done) __attribute__((cleanup(done)))
#define printf_like(text, first) __attribute__((__format__(__printf__, text, first)))

/* Hands a pointer on to its new owner and leaves NULL behind: `*ret_x = give(x);` */
#define give(p)                              \
    ({                                       \
        __auto_type give_from = &(p);        \
        __auto_type give_value = *give_from; \
        *give_from = NULL;                   \
        give_value;                          \
    })

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define KIB(n) ((size_t)(n) << 10)
#define MIB(n) ((size_t)(n) << 20)
#define MIN(a, b)                      \
    ({                                 \
        __auto_type min_a = (a);       \
        __auto_type min_b = (b);       \
        min_a < min_b ? min_a : min_b; \
    })
#define MAX(a, b)                      \
    ({                                 \
        __auto_type max_a = (a);       \
        __auto_type max_b = (b);       \
        max_a > max_b ? max_a : max_b; \
    })
#define container_of(p, type, member) ((type *)((char *)(p)-offsetof(type, member)))

/* Never NULL; abort when there is no memory. Free with free(). */
void *xmalloc(size_t size) __attribute__((malloc, returns_nonnull));
void *xcalloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
void *xrealloc(void *p, size_t size) __attribute__((returns_nonnull));
char *xstrdup(const char *s) __attribute__((malloc, returns_nonnull));
char *xstrndup(const char *s, size_t len) __attribute__((malloc, returns_nonnull));
char *xprintf(const char *format, ...) printf_like(1, 2) __attribute__((malloc, returns_nonnull));

/* For own(): p is the address of a pointer or descriptor. */
static inline void freep(void *p)
{
    free(*(void **)p);
}
void closep(int *fd); /* ignores -1; keeps errno */

static inline bool str_eq(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

#endif
