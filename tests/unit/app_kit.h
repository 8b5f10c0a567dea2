/* For tests of app: folders of their own, output as text, golden files. */
#ifndef TESTS_APP_KIT_H
#define TESTS_APP_KIT_H

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> /* needs those above */

#include "bailiff/file.h"

struct folder {
    char path[64];
};

static inline int folder_remove_entry(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    return remove(path);
}

static inline void folder_done(struct folder *f)
{
    nftw(f->path, folder_remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static inline struct folder folder_new(void)
{
    struct folder f = {"/tmp/bailiff-app-XXXXXX"};

    assert_non_null(mkdtemp(f.path));
    return f;
}

static inline char *folder_file(const struct folder *f, const char *name)
{
    return xprintf("%s/%s", f->path, name);
}

static inline void folder_write(const struct folder *f, const char *name, const char *content, unsigned mode)
{
    own(freep) char *path = folder_file(f, name);
    FILE *file;

    unlink(path); /* it may be there, and read-only */
    file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(content, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

/* Every `from` becomes `to`. */
static inline char *text_replaced(const char *s, const char *from, const char *to)
{
    struct text out = {0};

    text_append_str(&out, "");
    for (const char *found; (found = strstr(s, from)); s = found + strlen(from)) {
        text_append(&out, s, (size_t)(found - s));
        text_append_str(&out, to);
    }
    text_append_str(&out, s);
    return text_take(&out);
}

/* What is said must be what tests/golden/NAME says. BAILIFF_GOLDEN_UPDATE=1 writes it anew, for a person to review. */
static inline void assert_golden(const char *name, const char *actual)
{
    own(freep) char *path = xprintf("tests/golden/%s", name);
    own(text_done) struct text expected = {0};
    struct fault fault = {0};

    if (getenv("BAILIFF_GOLDEN_UPDATE")) {
        FILE *file = fopen(path, "w");

        assert_non_null(file);
        fputs(actual, file);
        fclose(file);
        return;
    }
    if (!file_read(path, MIB(1), &expected, &fault))
        fail_msg("%s", fault.message);
    assert_string_equal(actual, expected.data);
}

#endif
