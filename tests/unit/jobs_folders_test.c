/* A folder is used again only if it is as a new one would be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "bailiff/file.h"
#include "jobs/folders.h"

struct kit {
    char folder[64];
    struct trash trash;
    struct folders folders;
};

static int setup(void **state)
{
    struct kit *kit = calloc(1, sizeof *kit);

    strcpy(kit->folder, "/tmp/bailiff-folders-XXXXXX");
    assert_non_null(mkdtemp(kit->folder));
    assert_int_equal(chdir(kit->folder), 0);
    assert_true(trash_init(&kit->trash, "trash", NULL));
    umask(077);
    folders_init(&kit->folders, &kit->trash, 0700);
    *state = kit;
    return 0;
}

static int teardown(void **state)
{
    struct kit *kit = *state;

    folders_done(&kit->folders);
    while (trash_sweep(&kit->trash, 1000))
        ;
    trash_done(&kit->trash);
    for (char name[2] = "a"; name[0] <= 'z'; name[0]++)
        rmdir(name);
    assert_int_equal(rmdir("trash"), 0);
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(rmdir(kit->folder), 0);
    free(kit);
    return 0;
}

static ino_t inode(const char *path)
{
    struct stat st;

    assert_int_equal(lstat(path, &st), 0);
    assert_true(S_ISDIR(st.st_mode));
    assert_int_equal(st.st_mode & 07777, 0700);
    return st.st_ino;
}

static void assert_empty(const char *path)
{
    DIR *folder = opendir(path);
    size_t count = 0;

    assert_non_null(folder);
    while (readdir(folder))
        count++;
    closedir(folder);
    assert_int_equal(count, 2);
}

static void touch(const char *path)
{
    close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

/* Until a file made now has another time than one made before. */
static void pause_until_changes_show(void)
{
    struct stat before, after;

    touch("trash/tick");
    assert_int_equal(stat("trash/tick", &before), 0);
    do {
        assert_int_equal(unlink("trash/tick"), 0);
        touch("trash/tick");
        assert_int_equal(stat("trash/tick", &after), 0);
    } while (after.st_ctim.tv_sec == before.st_ctim.tv_sec && after.st_ctim.tv_nsec == before.st_ctim.tv_nsec);
    assert_int_equal(unlink("trash/tick"), 0);
}

static void an_empty_one_is_used_again(void **state)
{
    struct kit *kit = *state;

    assert_true(folders_take(&kit->folders, "a", NULL));
    ino_t first = inode("a");
    touch("a/out-0");
    assert_int_equal(symlink("/etc/passwd", "a/link"), 0);
    folders_give_back(&kit->folders, "a");
    assert_true(folders_take(&kit->folders, "b", NULL));
    assert_true(inode("b") == first);
    assert_empty("b");
    assert_int_not_equal(access("a", F_OK), 0);
    assert_true(folders_take(&kit->folders, "c", NULL)); /* there is no other spare one */
    assert_true(inode("c") != first);
}

static void spoil_mode(void)
{
    assert_int_equal(chmod("a", 0750), 0);
}

static void spoil_subfolder(void)
{
    assert_int_equal(mkdir("a/sub", 0700), 0);
}

static void spoil_many_files(void)
{
    for (int i = 0; i < 100; i++) {
        own(freep) char *path = xprintf("a/file-%d", i);
        touch(path);
    }
}

/* Not every file system knows them; where it does not, there is nothing to see. */
static void spoil_attributes(void)
{
    if (setxattr("a", "user.secret", "s", 1, 0) < 0)
        spoil_mode();
}

/* Of some file systems, folders grow and never shrink. */
static void spoil_size(void)
{
    struct stat st;

    for (int i = 0; i < 2000; i++) {
        own(freep) char *path = xprintf("a/%0200d", i);
        touch(path);
    }
    for (int i = 0; i < 2000; i++) {
        own(freep) char *path = xprintf("a/%0200d", i);
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(stat("a", &st), 0);
    if (st.st_size <= 65536)
        spoil_mode();
}

static void spoil_removed(void)
{
    assert_int_equal(rmdir("a"), 0);
}

static void spoil_link(void)
{
    assert_int_equal(rmdir("a"), 0);
    assert_int_equal(symlink("/tmp", "a"), 0);
}

static void one_that_was_changed_is_thrown_away(void **state)
{
    static void (*const spoil[])(void) = {spoil_mode, spoil_subfolder, spoil_many_files, spoil_attributes,
                                          spoil_size, spoil_removed,   spoil_link};
    struct kit *kit = *state;

    for (size_t i = 0; i < ARRAY_LEN(spoil); i++) {
        assert_true(folders_take(&kit->folders, "a", NULL));
        spoil[i]();
        folders_give_back(&kit->folders, "a");
        assert_int_equal(kit->folders.spare_count, 0);
        assert_int_not_equal(access("a", F_OK), 0);
        assert_true(folders_take(&kit->folders, "b", NULL));
        assert_empty("b");
        trash_throw(&kit->trash, "b");
    }
}

static void what_stands_in_the_way_goes(void **state)
{
    struct kit *kit = *state;

    assert_int_equal(mkdir("a", 0700), 0);
    touch("a/file");
    assert_true(folders_take(&kit->folders, "a", NULL));
    assert_empty("a");
    touch("a/file");
    assert_true(folders_take(&kit->folders, "b", NULL));
    folders_give_back(&kit->folders, "b");
    assert_true(folders_take(&kit->folders, "a", NULL)); /* a spare one cannot take its place */
    assert_empty("a");
}

/* A spare folder whose own path is wanted is not handed out a second time. */
static void nobody_shares_one(void **state)
{
    struct kit *kit = *state;

    assert_true(folders_take(&kit->folders, "a", NULL));
    assert_true(folders_take(&kit->folders, "b", NULL));
    folders_give_back(&kit->folders, "a");
    folders_give_back(&kit->folders, "a");
    folders_give_back(&kit->folders, "b");
    assert_int_equal(kit->folders.spare_count, 2);
    assert_true(folders_take(&kit->folders, "a", NULL));
    assert_true(folders_take(&kit->folders, "c", NULL));
    assert_true(inode("a") != inode("c"));
}

static struct folder_seal seal_of(const char *path)
{
    struct stat st;

    assert_int_equal(lstat(path, &st), 0);
    return (struct folder_seal){st.st_ino, st.st_ctim};
}

/* One name, one user after the other. What its seal says is believed; nothing else is. */
static void a_folder_is_renewed_in_its_place(void **state)
{
    struct kit *kit = *state;
    struct folder_seal seal = {0};

    assert_true(folders_renew(&kit->folders, "a", &seal, NULL));
    ino_t first = inode("a");
    assert_int_equal(seal.inode, 0); /* too new: another change may not show */
    touch("a/file");
    assert_true(folders_renew(&kit->folders, "a", &seal, NULL));
    assert_true(inode("a") == first);
    assert_empty("a");

    seal = seal_of("a");
    assert_true(folders_renew(&kit->folders, "a", &seal, NULL));
    assert_true(seal.inode == first);
    pause_until_changes_show();
    touch("a/file");
    assert_true(folders_renew(&kit->folders, "a", &seal, NULL));
    assert_true(inode("a") == first);
    assert_int_equal(seal.inode, 0);
    assert_empty("a");

    static void (*const spoil[])(void) = {spoil_mode, spoil_subfolder, spoil_many_files, spoil_attributes,
                                          spoil_size, spoil_removed,   spoil_link};
    for (size_t i = 0; i < ARRAY_LEN(spoil); i++) {
        seal = seal_of("a");
        pause_until_changes_show();
        spoil[i]();
        assert_true(folders_renew(&kit->folders, "a", &seal, NULL));
        inode("a");
        assert_empty("a");
        assert_true(getxattr("a", "user.secret", NULL, 0) < 0);
    }
}

/* Nobody looks into a folder whose seal holds. */
static void a_seal_is_enough(void **state)
{
    struct kit *kit = *state;
    struct folder_seal seal = {0};

    assert_true(folders_renew(&kit->folders, "a", &seal, NULL));
    touch("a/file");
    seal = seal_of("a"); /* as if the file had been there when it was sealed */
    assert_true(folders_renew(&kit->folders, "a", &seal, NULL));
    assert_int_equal(access("a/file", F_OK), 0);
    assert_int_equal(unlink("a/file"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_empty_one_is_used_again, setup, teardown),
        cmocka_unit_test_setup_teardown(one_that_was_changed_is_thrown_away, setup, teardown),
        cmocka_unit_test_setup_teardown(what_stands_in_the_way_goes, setup, teardown),
        cmocka_unit_test_setup_teardown(nobody_shares_one, setup, teardown),
        cmocka_unit_test_setup_teardown(a_folder_is_renewed_in_its_place, setup, teardown),
        cmocka_unit_test_setup_teardown(a_seal_is_enough, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
