/* A runner that lies: the test itself stands at the other end of the socket. And a runner of another user. */
#include <linux/fs.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "jobs/link.h"
#include "unit/jobs_fixture.h"

struct impostor {
    struct kit *kit;
    int listener;
    struct link link;
};

static void impostor_listen(struct impostor *impostor, struct kit *kit)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    impostor->kit = kit;
    kit->options.socket_path = arena_printf(&kit->arena, "%s/s", kit->folder);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", kit->options.socket_path);
    impostor->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(impostor->listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(impostor->listener, 4), 0);
}

static void impostor_send(struct impostor *impostor, const char *json)
{
    assert_true(link_send(&impostor->link, span_of(json), NULL));
    while (link_queued(&impostor->link) > 0)
        if (!link_flush(&impostor->link, NULL))
            return;
}

/* The next message whose op it is; others are passed over. NULL: the server closed the connection. */
static const char *impostor_await(struct impostor *impostor, const char *op)
{
    const char *wanted = arena_printf(&impostor->kit->arena, "\"op\":\"%s\"", op);
    struct frame frame;

    for (int64_t end = clock_mono_ms() + PATIENCE_MS; clock_mono_ms() < end; pause_ms(1)) {
        bool got = true;
        if (!link_fill(&impostor->link, NULL) || impostor->link.ended)
            return NULL;
        while (link_next(&impostor->link, &frame, &got, NULL) && got) {
            const char *copy = arena_strndup(&impostor->kit->arena, frame.body.data, frame.body.len);
            if (strstr(copy, wanted))
                return copy;
        }
    }
    fail_msg("no %s came", op);
    return NULL;
}

static void impostor_accept(struct impostor *impostor)
{
    int fd = accept(impostor->listener, NULL, NULL);

    assert_true(fd >= 0);
    link_init(&impostor->link, fd);
    assert_non_null(impostor_await(impostor, "hello"));
    impostor_send(
        impostor,
        arena_printf(&impostor->kit->arena,
                     "{\"op\":\"hello\",\"protocol\":1,\"uid\":%u,\"pid\":1,\"work\":\"%s\",\"storage_readable\":true}",
                     (unsigned)geteuid(), impostor->kit->work));
}

/* jobs_new waits for the greeting, so the impostor answers on a thread. */
static void *impostor_greet(void *arg)
{
    impostor_accept(arg);
    return NULL;
}

static void impostor_start(struct impostor *impostor, struct kit *kit)
{
    pthread_t thread;

    mkdir(kit->work, 0700);
    kit_write(kit, "go", "");
    impostor_listen(impostor, kit);
    pthread_create(&thread, NULL, impostor_greet, impostor);
    kit_start(kit);
    pthread_join(thread, NULL);
}

static void impostor_done(struct impostor *impostor)
{
    close(impostor->listener); /* first, so that nobody connects again */
    link_done(&impostor->link);
}

/* The attempt number that the server gave to the job it starts next. */
static long long impostor_started(struct impostor *impostor)
{
    const char *start = impostor_await(impostor, "start");

    assert_non_null(start);
    return atoll(strstr(start, "\"attempt\":") + 10);
}

static void outputs_from_elsewhere_are_refused(void **state)
{
    struct kit *kit = *state;
    struct impostor impostor = {0};
    const char *const lies[] = {
        "[\"/etc/passwd\"]",
        "[]",
        "[\"%s/attempts/../../etc/passwd\"]",
        "[\"%s/attempts/1/out-0\",\"%s/attempts/1/out-0\"]",
        "[\"%s/attempts/99/out-0\"]",
    };

    kit_add_node(kit, "text", "json", NULL, NULL);
    kit_add_task(kit, "write", "true", NULL, NULL, "text", 0);
    impostor_start(&impostor, kit);
    for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
        const char *id = kit_submit(kit, "write");
        long long attempt = impostor_started(&impostor);
        struct text json = {0}, paths = {0};
        for (const char *c = lies[i]; *c; c++)
            if (c[0] == '%' && c[1] == 's') {
                text_append_str(&paths, kit->work);
                c++;
            } else
                text_append_char(&paths, *c);
        text_printf(&json, "{\"op\":\"ended\",\"attempt\":%lld,\"result\":\"completed\",\"outputs\":%s}", attempt,
                    paths.data);
        impostor_send(&impostor, json.data);
        struct job job = kit_await(kit, id, JOB_FAILED);
        assert_non_null(strstr(job.error, "did not hand over"));
        text_done(&json);
        text_done(&paths);
    }
    impostor_done(&impostor);
}

static void links_on_the_way_are_not_followed(void **state)
{
    struct kit *kit = *state;
    struct impostor impostor = {0};
    char *elsewhere = arena_printf(&kit->arena, "%s/elsewhere", kit->folder);

    kit_add_node(kit, "text", "json", NULL, NULL);
    kit_add_task(kit, "write", "true", NULL, NULL, "text", 0);
    impostor_start(&impostor, kit);
    mkdir(elsewhere, 0700);
    assert_true(file_write_durable(arena_printf(&kit->arena, "%s/out-0", elsewhere), "secret", 6, 0600, NULL));
    mkdir(arena_printf(&kit->arena, "%s/attempts", kit->work), 0700);
    const char *id = kit_submit(kit, "write");
    long long attempt = impostor_started(&impostor);
    assert_int_equal(symlink(elsewhere, arena_printf(&kit->arena, "%s/attempts/%lld", kit->work, attempt)), 0);
    impostor_send(
        &impostor,
        arena_printf(
            &kit->arena,
            "{\"op\":\"ended\",\"attempt\":%lld,\"result\":\"completed\",\"outputs\":[\"%s/attempts/%lld/out-0\"]}",
            attempt, kit->work, attempt));
    kit_await(kit, id, JOB_FAILED);
    assert_null(kit_output(kit, id));
    impostor_done(&impostor);
}

static void a_pipe_is_no_output(void **state)
{
    struct kit *kit = *state;
    struct impostor impostor = {0};

    kit_add_node(kit, "text", "json", NULL, NULL);
    kit_add_task(kit, "write", "true", NULL, NULL, "text", 0);
    impostor_start(&impostor, kit);
    mkdir(arena_printf(&kit->arena, "%s/attempts", kit->work), 0700);
    const char *id = kit_submit(kit, "write");
    long long attempt = impostor_started(&impostor);
    mkdir(arena_printf(&kit->arena, "%s/attempts/%lld", kit->work, attempt), 0700);
    assert_int_equal(mkfifo(arena_printf(&kit->arena, "%s/attempts/%lld/out-0", kit->work, attempt), 0600), 0);
    impostor_send(
        &impostor,
        arena_printf(
            &kit->arena,
            "{\"op\":\"ended\",\"attempt\":%lld,\"result\":\"completed\",\"outputs\":[\"%s/attempts/%lld/out-0\"]}",
            attempt, kit->work, attempt));
    struct job job = kit_await(kit, id, JOB_FAILED);
    assert_non_null(strstr(job.error, "no regular file"));
    impostor_done(&impostor);
}

static void nonsense_ends_the_connection_not_the_server(void **state)
{
    struct kit *kit = *state;
    struct impostor impostor = {0};
    const char *const nonsense[] = {
        "{\"op\":\"ended\",\"attempt\":-1,\"result\":\"completed\"}",
        "{\"op\":\"ended\",\"attempt\":1,\"result\":\"splendid\"}",
        "{\"op\":\"hello\",\"protocol\":1,\"uid\":0,\"pid\":1,\"work\":\"/\"}",
        "{\"op\":\"start\"}",
        "[]",
        "{",
        "",
        "{\"op\":\"ended\",\"op\":\"ended\"}",
    };

    kit_add_command(kit, "sleep", "true");
    impostor_start(&impostor, kit);
    for (size_t i = 0; i < ARRAY_LEN(nonsense); i++) {
        impostor_send(&impostor, nonsense[i]);
        assert_null(impostor_await(&impostor, "never"));
        link_done(&impostor.link);
        impostor_accept(&impostor); /* the server comes again */
    }
    /* What is well-formed and about nobody is passed over. */
    impostor_send(&impostor, "{\"op\":\"ended\",\"attempt\":4711,\"result\":\"completed\",\"outputs\":[]}");
    impostor_send(&impostor, "{\"op\":\"loaded\",\"request\":4711,\"ok\":true}");
    impostor_send(&impostor, "{\"op\":\"read\",\"request\":4711,\"ok\":true}");
    impostor_send(&impostor, "{\"op\":\"published\",\"request\":4711,\"ok\":true}");
    /* But a document that nobody fetches any more is not to lie there for ever. */
    assert_non_null(strstr(impostor_await(&impostor, "forget"), "4711"));
    const char *id = kit_submit(kit, "sleep");
    long long attempt = impostor_started(&impostor);
    impostor_send(&impostor,
                  arena_printf(&kit->arena,
                               "{\"op\":\"ended\",\"attempt\":%lld,\"result\":\"completed\",\"outputs\":[]}", attempt));
    kit_await(kit, id, JOB_COMPLETED);
    impostor_done(&impostor);
}

static void a_log_without_end_is_cut(void **state)
{
    struct kit *kit = *state;
    struct impostor impostor = {0};
    char bytes[FRAME_OUTPUT_MAX];

    kit_add_command(kit, "chatty", "true");
    impostor_start(&impostor, kit);
    const char *id = kit_submit(kit, "chatty");
    long long attempt = impostor_started(&impostor);
    memset(bytes, 'x', sizeof bytes);
    for (int i = 0; i < 20; i++) {
        link_send_output(&impostor.link, attempt, (struct span){bytes, sizeof bytes});
        link_send_output(&impostor.link, attempt + 1, (struct span){bytes, sizeof bytes});
    }
    impostor_send(
        &impostor,
        arena_printf(
            &kit->arena,
            "{\"op\":\"ended\",\"attempt\":%lld,\"result\":\"failed\",\"error\":\"two\\nlines\",\"outputs\":[]}",
            attempt));
    struct job job = kit_await(kit, id, JOB_FAILED);
    assert_string_equal(job.error, "two lines");
    assert_in_range(strlen(kit_log(kit, id)), 100000, 100080);
    impostor_done(&impostor);
}

static void the_same_user_is_refused_unless_allowed(void **state)
{
    struct kit *kit = *state;
    struct fault fault = {0};

    kit->options.allow_same_user = false;
    assert_false(jobs_new(&kit->options, &kit->jobs, &fault));
    assert_int_equal(fault.kind, FAULT_INVALID);
    assert_non_null(strstr(fault.message, "same_user"));
}

enum { NOBODY = 65534 };

/* If the test may do that. */
static void as_another_user(struct kit *kit)
{
    if (geteuid() != 0)
        return;
    chmod(kit->folder, 0711);
    kit->options.allow_same_user = false;
    kit->options.run_as_uid = NOBODY;
    kit->options.run_as_gid = NOBODY;
}

static void users_code_runs_as_another_user(void **state)
{
    struct kit *kit = *state;

    if (geteuid() != 0)
        skip();
    as_another_user(kit);
    kit_add_node(kit, "text", "json", NULL, NULL);
    kit_add_node(kit, "copy", "json", NULL, NULL);
    kit_add_task(kit, "who",
                 "id -u; id -G; grep NoNewPrivs /proc/self/status; ls /proc/self/fd | tr '\\n' ' '; env | sort; echo 1 "
                 ">$BAILIFF_OUTPUT_TEXT",
                 NULL, NULL, "text", 0);
    kit_start(kit);
    const char *id = kit_submit(kit, "who");
    kit_await(kit, id, JOB_COMPLETED);
    const char *log = kit_log(kit, id);
    assert_int_equal(strncmp(log, "65534\n65534\nNoNewPrivs:\t1\n0 1 2 3 ", 32), 0);
    assert_non_null(strstr(log, "LANG=C.UTF-8\n"));
    assert_null(strstr(log, "SUDO"));
    struct stat st;
    assert_int_equal(stat(kit_output(kit, id), &st), 0);
    assert_int_equal(st.st_uid, 0);
    assert_int_equal(st.st_gid, NOBODY);
    assert_int_equal(st.st_mode & 0777, 0440);
    struct jobs_health health;
    jobs_get_health(kit->jobs, &health);
    assert_true(health.runner_connected);
    assert_false(health.same_user);
}

/* A runner that was started on its own serves one server after the other. */
static void an_external_runner_serves_again_and_again(void **state)
{
    struct kit *kit = *state;
    char *socket_path = arena_printf(&kit->arena, "%s/runner.sock", kit->folder);
    char *uid = arena_printf(&kit->arena, "%u", (unsigned)geteuid());

    pid_t runner = fork();
    if (runner == 0) {
        execl(kit->program, "bailiff", "runner", "--socket", socket_path, "--work", kit->work, "--server-uid", uid,
              (char *)NULL);
        _exit(127);
    }
    kit_await_file(socket_path);
    kit->options.socket_path = socket_path;
    kit_add_command(kit, "fine", "true");
    kit_add_command(kit, "long", arena_printf(&kit->arena, "touch %s; sleep 1000", kit_path(kit, "mark")));
    for (int i = 0; i < 3; i++) {
        struct manifest *manifest;
        kit_start(kit);
        kit_await(kit, kit_submit(kit, "fine"), JOB_COMPLETED);
        manifest = kit->manifest;
        kit->manifest = NULL;
        kit_stop(kit);
        kit->manifest = manifest;
    }
    kit_start(kit);
    const char *id = kit_submit(kit, "long");
    kit_await_file(kit_path(kit, "mark"));
    assert_true(kit_cancel(kit, id));
    kit_await(kit, id, JOB_CANCELED);
    kill(runner, SIGTERM);
    int status;
    assert_int_equal(waitpid(runner, &status, 0), runner);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    kit->options.socket_path = NULL;
}

/* Of one user, but not of one attempt. */
static void a_job_reaches_nobody_but_its_own(void **state)
{
    struct kit *kit = *state;
    const char *there = kit_path(kit, "there");

    if (syscall(SYS_landlock_create_ruleset, NULL, 0, 1) < 6)
        skip(); /* this kernel cannot */
    kit_add_command(kit, "victim",
                    arena_printf(&kit->arena, "echo $$ >%s.new; mv %s.new %s; sleep 1000", there, there, there));
    kit_add_command(
        kit, "killer",
        arena_printf(
            &kit->arena,
            "exec 2>/dev/null; reach() { kill -$1 $2 && echo reached $3; :; }\n"
            "keeper=$PPID\n"
            "runner=$(sed -n 's/^PPid:[^0-9]*//p' /proc/$keeper/status)\n"
            "for s in STOP KILL; do reach $s $keeper keeper; reach $s $runner runner; reach $s $(cat %s) job; done\n"
            "sleep 1000 & kill -9 $!; wait $!; echo own $?",
            there));
    kit_start(kit);
    const char *victim = kit_submit(kit, "victim");
    kit_await_file(there);
    const char *killer = kit_submit(kit, "killer");
    kit_await(kit, killer, JOB_COMPLETED);
    assert_string_equal(kit_log(kit, killer), "own 137\n");
    assert_int_equal(kit_await(kit, victim, JOB_RUNNING).attempt, 1);
    assert_true(kit_cancel(kit, victim)); /* whoever looks after it still can */
    kit_await(kit, victim, JOB_CANCELED);
}

/* Commands without outputs use their keeper's folder and its pipe, one after the other. */
static void a_command_leaves_nothing_to_the_next(void **state)
{
    struct kit *kit = *state;

    as_another_user(kit); /* for whom a mode is a limit */
    kit->options.workers_max = 1;
    kit_add_command(kit, "tidy",
                    "pwd >/dev/stdout; ls -A; [ \"$HOME\" = \"$PWD\" ]; cat ~/secret 2>/dev/null; head -c 90000 "
                    "/dev/zero | tr '\\0' x");
    kit_add_command(
        kit, "spoiler",
        "echo s >secret; mkdir -p a/b; ln -s / c; chmod 0 a; chmod 777 .;\n"
        "exec perl -e 'use Fcntl; fcntl(STDOUT, F_SETFL, O_WRONLY | O_NONBLOCK) && fcntl(STDOUT, 1031, 4096) or die'");
    kit_add_command(kit, "writer", "echo s >secret");
    kit_add_command(kit, "remover", "cd /; rmdir \"$HOME\"");
    kit_add_command(kit, "closer", "echo s >secret; chmod 0 . /dev/stdout");
    kit_start(kit);
    static const char *const before[] = {"tidy", "spoiler", "writer", "remover", "closer", "tidy"};
    const char *folder = NULL;
    for (size_t i = 0; i < ARRAY_LEN(before); i++) {
        kit_await(kit, kit_submit(kit, before[i]), JOB_COMPLETED);
        const char *id = kit_submit(kit, "tidy");
        kit_await(kit, id, JOB_COMPLETED);
        const char *log = kit_log(kit, id);
        size_t len = strcspn(log, "\n");
        folder = folder ? folder : arena_printf(&kit->arena, "%.*s", (int)len, log);
        assert_int_equal(strncmp(log, folder, len), 0);
        assert_int_equal(strlen(log), len + 1 + 90000); /* nothing was there, and all that it wrote is */
        assert_null(strstr(log, "secret"));
    }
    assert_non_null(strstr(folder, "/attempts/keeper-"));
}

static bool set_immutable(int fd, bool on)
{
    int flags;

    if (ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
        return false;
    flags = on ? flags | FS_IMMUTABLE_FL : flags & ~FS_IMMUTABLE_FL;
    return ioctl(fd, FS_IOC_SETFLAGS, &flags) == 0;
}

/* Whatever keeps a keeper's folder from being emptied: commands go on in another. */
static void a_folder_that_stays_is_left(void **state)
{
    struct kit *kit = *state;
    const char *folders[2];

    kit->options.workers_max = 1;
    kit_add_command(kit, "where", "pwd; touch file");
    kit_start(kit);
    own(closep) int fd = -1;
    for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
        const char *id = kit_submit(kit, "where");
        kit_await(kit, id, JOB_COMPLETED);
        folders[i] = kit_log(kit, id);
        if (i > 0)
            break;
        fd =
            open(arena_strndup(&kit->arena, folders[i], strcspn(folders[i], "\n")), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (!set_immutable(fd, true))
            skip(); /* not ours to do, or not here */
    }
    assert_true(set_immutable(fd, false));
    assert_string_not_equal(folders[0], folders[1]);
}

/* A descriptor outlives its attempt with whoever was handed it: a job that waits for one, the test here. What comes after is not for it, nor
 * from it. */
static void an_output_is_of_one_command(void **state)
{
    struct kit *kit = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    char byte;
    struct msghdr message = {.msg_iov = &(struct iovec){&byte, 1},
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    int taker = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), output = -1;

    snprintf(address.sun_path, sizeof address.sun_path, "%s/t", kit->folder);
    assert_int_equal(bind(taker, (struct sockaddr *)&address, sizeof address), 0);
    kit->options.workers_max = 1;
    kit_add_command(
        kit, "giver",
        arena_printf(&kit->arena,
                     "exec /usr/bin/python3 -c 'import socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
                     "s.connect(\"%s\"); socket.send_fds(s, [b\"x\"], [1])'",
                     address.sun_path));
    kit_add_command(
        kit, "next",
        arena_printf(&kit->arena, "echo one; while [ ! -e %s ]; do sleep 0.01; done; echo two", kit_path(kit, "gate")));
    kit_start(kit);
    kit_await(kit, kit_submit(kit, "giver"), JOB_COMPLETED);
    assert_int_equal(recvmsg(taker, &message, MSG_CMSG_CLOEXEC), 1);
    memcpy(&output, CMSG_DATA(&control.head), sizeof output);
    const char *id = kit_submit(kit, "next");
    kit_await(kit, id, JOB_RUNNING);
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(write(output, "forged\n", 7), -1);
    assert_int_equal(errno, EPIPE);
    kit_write(kit, "gate", "");
    kit_await(kit, id, JOB_COMPLETED);
    assert_string_equal(kit_log(kit, id), "one\ntwo\n");
    close(output);
    close(taker);
}

static int tests(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, kit_setup, kit_teardown)
    const struct CMUnitTest all[] = {
        T(outputs_from_elsewhere_are_refused),
        T(links_on_the_way_are_not_followed),
        T(a_pipe_is_no_output),
        T(nonsense_ends_the_connection_not_the_server),
        T(a_log_without_end_is_cut),
        T(the_same_user_is_refused_unless_allowed),
        T(users_code_runs_as_another_user),
        T(an_external_runner_serves_again_and_again),
        T(a_job_reaches_nobody_but_its_own),
        T(a_command_leaves_nothing_to_the_next),
        T(a_folder_that_stays_is_left),
        T(an_output_is_of_one_command),
    };
    return cmocka_run_group_tests(all, NULL, NULL);
}

int main(int argc, char **argv)
{
    return jobs_fixture_main(argc, argv, tests);
}
