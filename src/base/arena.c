/* A bump allocator in blocks: everything that is made for one exchange or change, freed at once. */
#include <stdarg.h>
#include <stdio.h>

#include "bailiff/text.h"

struct arena_block {
    struct arena_block *next;
    size_t used, size;
    max_align_t data[];
};

/* The largest that glibc keeps ready for each thread without a lock. */
enum { BLOCK_SIZE = 1032 - sizeof(struct arena_block) };

void arena_done(struct arena *a)
{
    while (a->blocks) {
        struct arena_block *next = a->blocks->next;
        free(a->blocks);
        a->blocks = next;
    }
}

static void *alloc_dirty(struct arena *a, size_t size)
{
    size_t rounded = (size + sizeof(max_align_t) - 1) & ~(sizeof(max_align_t) - 1);

    if (rounded < size || rounded > SIZE_MAX / 2)
        abort();
    if (!a->blocks || a->blocks->size - a->blocks->used < rounded) {
        size_t block_size = rounded > BLOCK_SIZE / 4 ? rounded : BLOCK_SIZE;
        struct arena_block *block = xmalloc(sizeof(*block) + block_size);
        block->used = 0;
        block->size = block_size;
        if (block_size == BLOCK_SIZE || !a->blocks) {
            block->next = a->blocks;
            a->blocks = block;
        } else { /* a large piece goes behind the block that still has room */
            block->next = a->blocks->next;
            a->blocks->next = block;
            block->used = rounded;
            return block->data;
        }
    }
    void *p = (char *)a->blocks->data + a->blocks->used;
    a->blocks->used += rounded;
    return p;
}

void *arena_alloc(struct arena *a, size_t size)
{
    return memset(alloc_dirty(a, size), 0, size);
}

char *arena_strndup(struct arena *a, const char *s, size_t len)
{
    char *copy = alloc_dirty(a, len + 1);

    if (len > 0)
        memcpy(copy, s, len);
    copy[len] = '\0';
    return copy;
}

char *arena_strdup(struct arena *a, const char *s)
{
    return s ? arena_strndup(a, s, strlen(s)) : NULL;
}

char *arena_printf(struct arena *a, const char *format, ...)
{
    va_list args, again;

    va_start(args, format);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len < 0)
        abort();
    char *s = alloc_dirty(a, (size_t)len + 1);
    vsnprintf(s, (size_t)len + 1, format, again);
    va_end(again);
    return s;
}
