/* Deleting what may be anything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bailiff/file.h"
#include "jobs/trash.h"

static void trash_takes_depth_width_and_links(void **state)
{
    char folder[] = "/tmp/bailiff-trash-XXXXXX";
    struct trash trash;

    assert_non_null(mkdtemp(folder));
    own(freep) char *bin = xprintf("%s/trash", folder);
    own(freep) char *kept = xprintf("%s/kept", folder);
    own(freep) char *victim = xprintf("%s/victim", folder);
    own(freep) char *kept_file = xprintf("%s/kept/file", folder);
    assert_true(trash_init(&trash, bin, NULL));
    assert_int_equal(mkdir(kept, 0700), 0);
    assert_true(file_write_durable(kept_file, "x", 1, 0600, NULL));

    assert_int_equal(mkdir(victim, 0700), 0);
    assert_int_equal(chdir(victim), 0);
    assert_int_equal(symlink(kept, "link"), 0);
    for (int i = 0; i < 200; i++) {
        char name[20];
        snprintf(name, sizeof name, "file-%d", i);
        fclose(fopen(name, "w"));
    }
    for (int i = 0; i < 1500; i++) { /* far deeper than a path may be long */
        assert_int_equal(mkdir("a-rather-long-name-of-a-folder", 0700), 0);
        assert_int_equal(chdir("a-rather-long-name-of-a-folder"), 0);
    }
    assert_int_equal(chdir(folder), 0);
    assert_int_equal(chmod(victim, 0), 0);

    trash_throw(&trash, victim);
    trash_throw(&trash, victim); /* not there any more */
    assert_int_not_equal(access(victim, F_OK), 0);
    int sweeps = 0;
    while (trash_sweep(&trash, 50))
        assert_true(++sweeps < 10000);
    assert_true(sweeps > 10);
    assert_int_equal(rmdir(bin), 0); /* it is empty */
    assert_int_equal(access(kept_file, F_OK), 0);
    trash_done(&trash);
    unlink(kept_file);
    rmdir(kept);
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest all[] = {cmocka_unit_test(trash_takes_depth_width_and_links)};
    return cmocka_run_group_tests(all, NULL, NULL);
}
