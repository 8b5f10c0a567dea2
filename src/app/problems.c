#include "app/problems.h"

#include <ctype.h>
#include <stdarg.h>

enum { PROBLEMS_MAX = 500 };

void problems_init(struct problems *p, const char *file)
{
    *p = (struct problems){0};
    p->file = arena_strdup(&p->arena, file);
}

void problems_done(struct problems *p)
{
    free(p->items);
    arena_done(&p->arena);
    *p = (struct problems){0};
}

static void append(struct problems *p, unsigned line, bool warning, bool placed, const char *text)
{
    *(warning ? &p->warnings : &p->mistakes) += 1;
    if (p->count >= PROBLEMS_MAX)
        return;
    if (p->count == p->cap) {
        p->cap = p->cap ? 2 * p->cap : 16;
        p->items = xrealloc(p->items, p->cap * sizeof(*p->items));
    }
    p->items[p->count] = (struct problem){line, warning, placed, p->count, arena_strdup(&p->arena, text)};
    p->count++;
}

static void append_v(struct problems *p, unsigned line, bool warning, const char *format, va_list args)
    printf_like(4, 0);
static void append_v(struct problems *p, unsigned line, bool warning, const char *format, va_list args)
{
    char *text = NULL;

    if (vasprintf(&text, format, args) < 0)
        abort();
    append(p, line, warning, false, text);
    free(text);
}

bool problems_add(struct problems *p, unsigned line, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    append_v(p, line, false, format, args);
    va_end(args);
    return false;
}

void problems_warn(struct problems *p, unsigned line, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    append_v(p, line, true, format, args);
    va_end(args);
}

/* "some/file:12: …" */
static bool names_a_place(const char *message)
{
    const char *colon = strchr(message, ':');

    if (!colon || !isdigit((unsigned char)colon[1]) || memchr(message, ' ', (size_t)(colon - message)))
        return false;
    for (colon++; isdigit((unsigned char)*colon);)
        colon++;
    return strncmp(colon, ": ", 2) == 0;
}

bool problems_add_fault(struct problems *p, unsigned line, const struct fault *fault)
{
    bool placed = names_a_place(fault->message);
    bool hidden = fault->kind == FAULT_INTERNAL && fault->detail[0];

    /* Here the reader is the operator: what a client may not see is what helps. */
    append(p, line, false, placed && !hidden, hidden ? fault->detail : fault->message);
    return false;
}

static int compare(const void *a, const void *b)
{
    const struct problem *x = a, *y = b;

    if (x->line != y->line)
        return x->line < y->line ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

void print_harmless(FILE *out, const char *s)
{
    for (; *s; s++)
        fputc((unsigned char)*s < 0x20 || *s == 0x7f ? '?' : *s, out);
}

void problems_print(struct problems *p, FILE *out)
{
    if (p->count > 0)
        qsort(p->items, p->count, sizeof(*p->items), compare);
    for (size_t i = 0; i < p->count; i++) {
        const struct problem *item = &p->items[i];

        if (!item->placed) {
            print_harmless(out, p->file);
            if (item->line > 0)
                fprintf(out, ":%u", item->line);
            fputs(": ", out);
        }
        fputs(item->warning ? "warning: " : "", out);
        print_harmless(out, item->text);
        fputc('\n', out);
    }
    if (p->mistakes + p->warnings > p->count)
        fprintf(out, "… and %zu more.\n", p->mistakes + p->warnings - p->count);
}

void problems_summary(const struct problems *p, struct text *out)
{
    if (p->mistakes > 0)
        text_printf(out, "%zu mistake%s", p->mistakes, p->mistakes == 1 ? "" : "s");
    if (p->mistakes > 0 && p->warnings > 0)
        text_append_str(out, ", ");
    if (p->warnings > 0)
        text_printf(out, "%zu warning%s", p->warnings, p->warnings == 1 ? "" : "s");
}
