/* Files: bounds, secrets' modes, links, locks, durable writing, and the ids that come from randomness. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "bailiff/file.h"

/* ---- a folder of each test's own ---- */

static int make_folder(void **state)
{
    char *folder = xstrdup("/tmp/bailiff-file-XXXXXX");

    *state = mkdtemp(folder);
    return *state ? 0 : -1;
}

static int remove_folder(void **state)
{
    own(freep) char *folder = *state;
    own(freep) char *command = xprintf("rm -rf '%s'", folder);

    return system(command);
}

static char *path_in(void **state, const char *name)
{
    return xprintf("%s/%s", (const char *)*state, name);
}

static void put(const char *path, const char *content, mode_t mode)
{
    own(closep) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0);
    assert_true(fd_write_all(fd, content, strlen(content)));
    assert_int_equal(fchmod(fd, mode), 0);
}

static mode_t mode_of(const char *path)
{
    struct stat st;

    assert_int_equal(lstat(path, &st), 0);
    return st.st_mode & 07777;
}

static unsigned entries_in(const char *folder)
{
    own(freep) char *command = xprintf("ls -A '%s' | wc -l", folder);
    FILE *out = popen(command, "r");
    unsigned count = 0;

    assert_non_null(out);
    assert_int_equal(fscanf(out, "%u", &count), 1);
    pclose(out);
    return count;
}

/* ---- reading ---- */

static void assert_read_fails(const char *path, size_t max, const char *words)
{
    struct text content = {0};
    struct fault fault = {0};

    if (file_read(path, max, &content, &fault))
        fail_msg("%s was read", path);
    assert_null(content.data);
    if (!strstr(fault.message, words) || !strstr(fault.message, path))
        fail_msg("'%s' does not say '%s' of %s", fault.message, words, path);
}

static void test_reading_is_bounded(void **state)
{
    own(freep) char *path = path_in(state, "f");
    own(text_done) struct text content = {0};

    put(path, "12345", 0644);
    assert_true(file_read(path, 5, &content, NULL));
    assert_string_equal(content.data, "12345");
    assert_int_equal(content.len, 5);
    assert_read_fails(path, 4, "larger than 4 bytes");
    assert_read_fails(path, 0, "larger than 0 bytes");
    put(path, "", 0644);
    text_done(&content);
    assert_true(file_read(path, 0, &content, NULL));
    assert_string_equal(content.data, "");
}

static void test_reading_what_is_no_file(void **state)
{
    own(freep) char *fifo = path_in(state, "fifo");
    own(freep) char *missing = path_in(state, "missing");

    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_read_fails(fifo, 10, "not a regular file"); /* and does not wait for a writer */
    assert_read_fails(*state, 10, "not a regular file");
    assert_read_fails(missing, 10, "No such file");
    assert_read_fails("/dev/zero", 10, "not a regular file");
}

/* Runs a check as another user in a child, where we may. */
static void as_nobody(void (*check)(const char *path), const char *path)
{
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0) {
        if (setgid(65534) < 0 || setuid(65534) < 0)
            _exit(1);
        check(path);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void exit_unless_refused_as_anothers(const char *path)
{
    struct text content = {0};
    struct fault fault = {0};

    if (file_read_secret(path, 100, &content, &fault) || !strstr(fault.message, "belongs to another user"))
        _exit(2);
}

static void exit_unless_read(const char *path)
{
    struct text content = {0};
    struct fault fault = {0};

    if (!file_read_secret(path, 100, &content, &fault))
        _exit(2);
}

static void exit_if_read(const char *path)
{
    struct text content = {0};
    struct fault fault = {0};

    if (file_read_secret(path, 100, &content, &fault))
        _exit(2);
}

static void test_secrets_are_ours_alone(void **state)
{
    static const mode_t good[] = {0600, 0400, 0700};
    static const mode_t bad[] = {0640, 0604, 0620, 0602, 0644, 0666, 0610, 0601, 0606};
    own(freep) char *path = path_in(state, "key.pem");

    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        own(text_done) struct text content = {0};
        put(path, "secret", good[i]);
        assert_true(file_read_secret(path, 100, &content, NULL));
        assert_string_equal(content.data, "secret");
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct text content = {0};
        struct fault fault = {0};
        own(freep) char *remedy = xprintf("chmod 600 %s", path);
        own(freep) char *mode = xprintf("mode %04o", bad[i]);
        put(path, "secret", bad[i]);
        if (file_read_secret(path, 100, &content, &fault))
            fail_msg("mode %04o was taken", bad[i]);
        assert_int_equal(fault.kind, FAULT_INVALID);
        assert_non_null(strstr(fault.message, remedy));
        assert_non_null(strstr(fault.message, mode));
        assert_null(content.data);
    }
}

static void test_secrets_of_other_users(void **state)
{
    own(freep) char *path = path_in(state, "key.pem");

    if (geteuid() !=
        0) { /* only root can make files of others; what is root's is tried on a file that every system has */
        struct text content = {0};
        struct fault fault = {0};
        assert_false(file_read_secret("/etc/passwd", 1 << 20, &content, &fault));
        assert_non_null(strstr(fault.message, "others can read it"));
        return;
    }
    assert_int_equal(chmod(*state, 0755), 0);
    put(path, "secret", 0644);
    assert_int_equal(chown(path, 12345, 65534), 0);
    as_nobody(exit_unless_refused_as_anothers, path);
    struct text content = {0};
    struct fault fault = {0};
    assert_false(file_read_secret(path, 100, &content, &fault)); /* root, too, would trust user 12345 */

    /* root's, readable by our group: as systemd and Kubernetes lay secrets */
    assert_int_equal(chown(path, 0, 65534), 0);
    assert_int_equal(chmod(path, 0640), 0);
    as_nobody(exit_unless_read, path);
    assert_int_equal(chmod(path, 0644), 0);
    as_nobody(exit_if_read, path);
    assert_int_equal(chmod(path, 0660), 0);
    as_nobody(exit_if_read, path);
}

/* ---- files that grant power ---- */

static void test_what_others_can_write_is_not_trusted(void **state)
{
    static const mode_t BAD[] = {0620, 0602, 0664, 0646, 0666, 0777, 01777};
    static const mode_t GOOD[] = {0400, 0600, 0640, 0644, 0755};
    own(freep) char *path = path_in(state, "roles.yaml"), *remedy = xprintf("run: chmod go-w %s", path);

    for (size_t i = 0; i < ARRAY_LEN(BAD); i++) {
        struct text content = {0};
        struct fault fault = {0};

        put(path, "roles", BAD[i]);
        assert_false(file_read_trusted(path, 100, &content, &fault));
        assert_null(content.data);
        assert_non_null(strstr(fault.message, remedy));
    }
    for (size_t i = 0; i < ARRAY_LEN(GOOD); i++) {
        own(text_done) struct text content = {0};

        put(path, "roles", GOOD[i]);
        assert_true(file_read_trusted(path, 5, &content, NULL));
        assert_string_equal(content.data, "roles");
    }
}

/* The mode that counts is that of what is read, whatever the link to it looks like. */
static void test_trust_is_in_what_a_link_leads_to(void **state)
{
    own(freep) char *path = path_in(state, "file"), *link = path_in(state, "link");
    own(text_done) struct text content = {0};

    put(path, "roles", 0666);
    assert_int_equal(symlink(path, link), 0);
    assert_false(file_read_trusted(link, 100, &content, NULL));
    put(path, "roles", 0644);
    assert_true(file_read_trusted(link, 100, &content, NULL));
}

/* ---- paths of somebody else's choice ---- */

static int folder_open(void **state, const char *name)
{
    own(freep) char *path = path_in(state, name);
    int fd;

    assert_true(mkdir(path, 0755) == 0 || errno == EEXIST);
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static void test_what_lies_beneath_is_opened(void **state)
{
    static const char *const NAMES[] = {"f", "./f", "sub/../f", "sub/inner", "link", "sub/up"};
    own(closep) int folder = folder_open(state, "app"), sub = folder_open(state, "app/sub");
    own(freep) char *file = path_in(state, "app/f"), *inner = path_in(state, "app/sub/inner");

    put(file, "content", 0640);
    put(inner, "content", 0640);
    assert_int_equal(symlinkat("sub/inner", folder, "link"), 0);
    assert_int_equal(symlinkat("../f", sub, "up"), 0);
    for (size_t i = 0; i < ARRAY_LEN(NAMES); i++) {
        own(closep) int fd = -1;
        struct fault fault = {0};
        struct stat st;
        char content[8] = "";

        if (!file_open_beneath(folder, NAMES[i], &fd, &st, &fault))
            fail_msg("%s", fault.message);
        assert_int_equal(st.st_mode & 0777, 0640);
        assert_int_equal(read(fd, content, 7), 7);
        assert_string_equal(content, "content");
    }
}

static void test_nothing_leads_out_of_the_folder(void **state)
{
    own(closep) int folder = folder_open(state, "app"), outside = folder_open(state, "outside");
    own(freep) char *secret = path_in(state, "secret"), *inside = path_in(state, "app/f");
    const char *const names[] = {"../secret", "..",       "/etc/passwd",      secret,     inside,
                                 "absolute",  "relative", "folder/../secret", "folder/f", "process"};

    put(secret, "secret", 0644);
    put(inside, "content", 0644);
    assert_int_equal(symlinkat(secret, folder, "absolute"), 0);
    assert_int_equal(symlinkat("../secret", folder, "relative"), 0);
    assert_int_equal(symlinkat("../outside", folder, "folder"), 0);
    assert_int_equal(symlinkat("/proc/self/exe", folder, "process"), 0);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        int fd = -1;
        struct fault fault = {0};
        struct stat st;

        if (file_open_beneath(folder, names[i], &fd, &st, &fault))
            fail_msg("%s was opened", names[i]);
        assert_int_equal(fd, -1);
        assert_non_null(strstr(fault.message, "leads out of the folder"));
    }
}

static void test_only_regular_files_beneath(void **state)
{
    static const char *const NAMES[] = {".", "sub", "fifo", "nothing", ""};
    own(closep) int folder = folder_open(state, "app"), sub = folder_open(state, "app/sub");

    assert_int_equal(mkfifoat(folder, "fifo", 0644), 0);
    for (size_t i = 0; i < ARRAY_LEN(NAMES); i++) {
        int fd = -1;
        struct stat st;

        assert_false(file_open_beneath(folder, NAMES[i], &fd, &st, NULL));
        assert_int_equal(fd, -1);
    }
}

/* A kernel without openat2: better nothing than a path that is only looked at. */
static void exit_unless_refused(int folder)
{
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {ARRAY_LEN(program), program};
    struct fault fault = {0};
    struct stat st;
    int fd = -1;

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0)
        _exit(77);
    _exit(file_open_beneath(folder, "f", &fd, &st, &fault) ? 1 : strstr(fault.message, "Linux 5.6") ? 0 : 2);
}

static void test_without_the_system_call_nothing_is_opened(void **state)
{
    own(closep) int folder = folder_open(state, "app");
    own(freep) char *file = path_in(state, "app/f");
    int status;

    put(file, "content", 0644);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        exit_unless_refused(folder);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip(); /* no filters here either */
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* ---- writing ---- */

static void test_durable_writing_replaces_whole(void **state)
{
    own(freep) char *path = path_in(state, "f");
    own(text_done) struct text content = {0};
    mode_t before = umask(077);

    assert_true(file_write_durable(path, "one", 3, 0644, NULL));
    umask(before);
    assert_int_equal(mode_of(path), 0644); /* whatever the umask */
    assert_true(file_write_durable(path, "two!", 4, 0600, NULL));
    assert_int_equal(mode_of(path), 0600);
    assert_true(file_read(path, 100, &content, NULL));
    assert_string_equal(content.data, "two!");
    assert_int_equal(entries_in(*state), 1); /* no temporary file is left */
}

/* With a limit on the size of files, as on a full disk: the old content stays. */
static void test_a_failed_write_leaves_the_old(void **state)
{
    own(freep) char *path = path_in(state, "f");
    own(text_done) struct text content = {0};
    struct rlimit old, small = {10, RLIM_INFINITY};
    struct fault fault = {0};
    char data[100] = {0};

    put(path, "old", 0600);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small.rlim_max = old.rlim_max;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    bool written = file_write_durable(path, data, sizeof(data), 0600, &fault);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    signal(SIGXFSZ, handler);

    assert_false(written);
    assert_int_equal(fault.kind, FAULT_UNAVAILABLE);
    assert_true(fault.retry_after_s > 0);
    assert_true(file_read(path, 100, &content, NULL));
    assert_string_equal(content.data, "old");
    assert_int_equal(entries_in(*state), 1);
}

static void test_writing_where_nothing_can_be(void **state)
{
    own(freep) char *path = path_in(state, "no/such/f");
    struct fault fault = {0};

    assert_false(file_write_durable(path, "x", 1, 0600, &fault));
    assert_non_null(strstr(fault.message, "No such file"));
}

static void test_a_prepared_link_is_not_written_through(void **state)
{
    own(freep) char *path = path_in(state, "f");
    own(freep) char *victim = path_in(state, "victim");
    own(freep) char *temporary = xprintf("%s.tmp-%d", path, (int)getpid());
    own(text_done) struct text content = {0};

    put(victim, "precious", 0600);
    assert_int_equal(symlink(victim, temporary), 0);
    assert_false(file_write_durable(path, "x", 1, 0600, NULL));
    assert_true(file_read(victim, 100, &content, NULL));
    assert_string_equal(content.data, "precious");
}

/* ---- copies ---- */

static void test_copies(void **state)
{
    own(freep) char *from = path_in(state, "from");
    own(freep) char *to = path_in(state, "to");
    own(text_done) struct text content = {0};
    uint64_t size = 0;

    put(from, "content", 0644);
    assert_true(file_copy_durable(from, to, 7, 0400, &size, NULL));
    assert_int_equal(size, 7);
    assert_int_equal(mode_of(to), 0400);
    assert_true(file_read(to, 100, &content, NULL));
    assert_string_equal(content.data, "content");
}

static void assert_copy_fails(const char *from, const char *to, uint64_t max, enum fault_kind kind)
{
    struct fault fault = {0};
    uint64_t size = 4711;

    assert_false(file_copy_durable(from, to, max, 0600, &size, &fault));
    assert_int_equal(fault.kind, kind);
    assert_int_equal(size, 4711);
}

static void test_copies_that_must_not_be(void **state)
{
    own(freep) char *from = path_in(state, "from");
    own(freep) char *link = path_in(state, "link");
    own(freep) char *fifo = path_in(state, "fifo");
    own(freep) char *to = path_in(state, "to");
    own(freep) char *there = path_in(state, "there");
    own(text_done) struct text content = {0};

    put(from, "content", 0644);
    put(there, "there", 0644);
    assert_int_equal(symlink(from, link), 0);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_copy_fails(from, to, 6, FAULT_TOO_LARGE);
    assert_int_equal(access(to, F_OK), -1); /* nothing half is left */
    assert_copy_fails(link, to, 100, FAULT_INVALID);
    assert_copy_fails(fifo, to, 100, FAULT_INVALID);
    assert_copy_fails(*state, to, 100, FAULT_INVALID);
    assert_int_equal(access(to, F_OK), -1);
    assert_copy_fails(from, there, 100, FAULT_INVALID); /* never over a file */
    assert_true(file_read(there, 100, &content, NULL));
    assert_string_equal(content.data, "there");
    assert_copy_fails(from, link, 100, FAULT_INVALID);
}

/* ---- folders, locks ---- */

static void test_folders(void **state)
{
    own(freep) char *deep = path_in(state, "a/b/c");
    own(freep) char *file = path_in(state, "f");
    own(freep) char *below = path_in(state, "f/x");
    struct fault fault = {0};

    assert_true(folder_make(deep, 0700, NULL));
    assert_int_equal(mode_of(deep), 0700);
    assert_true(folder_make(deep, 0700, NULL));
    put(file, "", 0600);
    assert_false(folder_make(file, 0700, &fault));
    assert_non_null(strstr(fault.message, "not a folder"));
    assert_false(folder_make(below, 0700, NULL));
    assert_true(file_sync_folder(deep, NULL));
    assert_false(file_sync_folder(file, NULL));
}

static void test_a_lock_has_one_holder(void **state)
{
    own(freep) char *path = path_in(state, "lock");
    own(freep) char *link = path_in(state, "link");
    int first = -1, second = -1;
    struct fault fault = {0};

    assert_true(file_lock(path, &first, NULL));
    assert_int_equal(mode_of(path), 0600);
    assert_true(fcntl(first, F_GETFD) & FD_CLOEXEC);
    assert_false(file_lock(path, &second, &fault));
    assert_int_equal(fault.kind, FAULT_CONFLICT);
    assert_non_null(strstr(fault.message, "locked by another process"));
    assert_int_equal(second, -1);
    close(first);
    assert_true(file_lock(path, &second, NULL));
    close(second);
    assert_int_equal(symlink(path, link), 0);
    assert_false(file_lock(link, &second, NULL));
}

static void test_a_lock_ends_with_its_process(void **state)
{
    own(freep) char *path = path_in(state, "lock");
    int ready[2], fd = -1;
    char byte;

    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (!file_lock(path, &fd, NULL) || write(ready[1], "x", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_false(file_lock(path, &fd, NULL));
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_true(file_lock(path, &fd, NULL));
    close(fd);
    close(ready[0]);
    close(ready[1]);
}

/* ---- randomness ---- */

int main(void)
{
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(test_reading_is_bounded),
        IN_FOLDER(test_reading_what_is_no_file),
        IN_FOLDER(test_secrets_are_ours_alone),
        IN_FOLDER(test_secrets_of_other_users),
        IN_FOLDER(test_what_others_can_write_is_not_trusted),
        IN_FOLDER(test_trust_is_in_what_a_link_leads_to),
        IN_FOLDER(test_what_lies_beneath_is_opened),
        IN_FOLDER(test_nothing_leads_out_of_the_folder),
        IN_FOLDER(test_only_regular_files_beneath),
        IN_FOLDER(test_without_the_system_call_nothing_is_opened),
        IN_FOLDER(test_durable_writing_replaces_whole),
        IN_FOLDER(test_a_failed_write_leaves_the_old),
        IN_FOLDER(test_writing_where_nothing_can_be),
        IN_FOLDER(test_a_prepared_link_is_not_written_through),
        IN_FOLDER(test_copies),
        IN_FOLDER(test_copies_that_must_not_be),
        IN_FOLDER(test_folders),
        IN_FOLDER(test_a_lock_has_one_holder),
        IN_FOLDER(test_a_lock_ends_with_its_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
