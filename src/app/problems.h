/* Collects what is wrong with a file of the operator's, so that all of it is seen at once: file:line: what — remedy.
 * A mistake refuses to start; a warning does not. */
#ifndef APP_PROBLEMS_H
#define APP_PROBLEMS_H

#include <stdio.h>

#include "bailiff/fault.h"
#include "bailiff/text.h"

struct problem {
    unsigned line; /* 0: the file as a whole */
    bool warning;
    bool placed; /* the text names its own file and line */
    size_t order;
    const char *text;
};

struct problems {
    const char *file; /* as the operator named it */
    struct arena arena;
    struct problem *items;
    size_t count, cap;
    size_t mistakes, warnings;
};

void problems_init(struct problems *p, const char *file); /* copies the name */
void problems_done(struct problems *p);

/* "…: what" at a line of the file. Returns false, so that a check can end with it. Beyond a few hundred they are only counted. */
bool problems_add(struct problems *p, unsigned line, const char *format, ...) printf_like(3, 4);
void problems_warn(struct problems *p, unsigned line, const char *format, ...) printf_like(3, 4);
/* A fault of another module. Its message may begin with a place ("roles.yaml:3: …"), which then stays the place. */
bool problems_add_fault(struct problems *p, unsigned line, const struct fault *fault);

/* One a line, in the order of the file; control characters are made harmless. */
void problems_print(struct problems *p, FILE *out);
/* "3 mistakes, 1 warning" */
void problems_summary(const struct problems *p, struct text *out);

/* Writes text of unknown origin to a terminal: control characters become "?". */
void print_harmless(FILE *out, const char *s);

#endif
