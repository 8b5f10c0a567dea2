/* A whole server: started, reloaded, stopped, and every start that must fail cleanly. This very program stands in for bailiff: called
 * with arguments it is one. */
#include "app_kit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "app/commands.h"
#include "bailiff/clock.h"

enum { PATIENCE_MS = 60000 };

struct place {
    struct folder folder;
    pid_t server; /* 0: none */
};

static void sleep_ms(unsigned ms)
{
    usleep(ms * 1000);
}

static pid_t start(const struct folder *f, const char *command)
{
    own(freep) char *config = folder_file(f, "bailiff.yaml"), *log = folder_file(f, "log");
    pid_t pid;

    unlink(log);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int fd = open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        char *words = strdup(command), *second = strchr(words, ' ');
        char *argv[] = {(char *)"bailiff",
                        words,
                        second ? second + 1 : (char *)"--config",
                        second ? (char *)"--config" : config,
                        second ? config : NULL,
                        NULL};

        if (second)
            *second = '\0';
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves no server behind */
        if (fd >= 0 && dup2(fd, 1) >= 0 && dup2(fd, 2) >= 0)
            execv("/proc/self/exe", argv);
        _exit(127);
    }
    return pid;
}

static int end(pid_t pid)
{
    int64_t deadline = clock_mono_ms() + PATIENCE_MS;
    int status;

    while (clock_mono_ms() < deadline) {
        if (waitpid(pid, &status, WNOHANG) == pid)
            return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
        sleep_ms(10);
    }
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    return -1;
}

static void place_done(struct place *p)
{
    if (p->server > 0) {
        kill(p->server, SIGKILL);
        end(p->server);
    }
    folder_done(&p->folder);
}

/* What it printed, with the folder's name left out. */
static char *log_of(const struct place *p)
{
    own(freep) char *path = folder_file(&p->folder, "log");
    own(text_done) struct text content = {0};

    if (!file_read(path, MIB(1), &content, NULL))
        return xstrdup("");
    return text_replaced(content.data, p->folder.path, "@");
}

static void wait_for_log(const struct place *p, const char *wanted)
{
    int64_t deadline = clock_mono_ms() + PATIENCE_MS;

    for (;; sleep_ms(10)) {
        own(freep) char *log = log_of(p);

        if (strstr(log, wanted))
            return;
        if (clock_mono_ms() > deadline)
            fail_msg("\"%s\" did not come: %s", wanted, log);
    }
}

static struct place place_new(void)
{
    struct place p = {.folder = folder_new()};
    own(freep) char *package = realpath("src/python", NULL), *yaml = NULL, *config = NULL;
    const char *f = p.folder.path;
    char *argv[8];

    yaml = xprintf(
        "server: {public_url: https://a.example, drain_timeout: 2s, listeners: [{address: %s/socket, tls: false}]}\n"
        "limits: {connections: 10}\nstore: {folder: data}\napplication: app.yaml\n"
        "execution: {package: %s, same_user: unsafe, work_folder: work}\npolicy: {roles: roles.yaml}\n"
        "issuers:\n  - {issuer: me, audiences: [bailiff], jwks_file: jwks.json}\n",
        f, package);
    folder_write(&p.folder, "bailiff.yaml", yaml, 0600);
    folder_write(&p.folder, "roles.yaml", "version: 1\nroles: {READER: {permissions: [tasks:read]}}\n", 0644);
    folder_write(&p.folder, "app.yaml", "tasks: {t: {command: [\"true\"]}}\n", 0644);
    own(freep) char *key = xprintf("%s/key.pem", f), *jwks = xprintf("%s/jwks.json", f);
    memcpy(argv,
           (char *[]){(char *)"bailiff", (char *)"token", (char *)"keygen", (char *)"--private", key, (char *)"--jwks",
                      jwks, NULL},
           sizeof(argv));
    FILE *nowhere = fopen("/dev/null", "w");
    assert_int_equal(commands_run_to(7, argv, nowhere, nowhere), 0);
    fclose(nowhere);
    return p;
}

static void begin(struct place *p)
{
    p->server = start(&p->folder, "serve");
    wait_for_log(p, "server.started");
}

/* The first line of the answer. */
static char *ask(const struct place *p, const char *path)
{
    own(closep) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    own(freep) char *request = xprintf("GET %s HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n", path);
    char answer[4096] = "";
    size_t len = 0;
    ssize_t n;

    snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", p->folder.path);
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return xstrdup(strerror(errno));
    assert_true(fd_write_all(fd, request, strlen(request)));
    while (len + 1 < sizeof(answer) && (n = read(fd, answer + len, sizeof(answer) - 1 - len)) > 0)
        len += (size_t)n;
    answer[strcspn(answer, "\r\n")] = '\0';
    return xstrdup(answer);
}

static void assert_answer(const struct place *p, const char *path, const char *expected)
{
    own(freep) char *answer = ask(p, path);

    assert_string_equal(answer, expected);
}

static void assert_audit(const struct place *p, const char *expected)
{
    assert_int_equal(end(start(&p->folder, "audit verify")), 0);
    own(freep) char *said = log_of(p);

    if (strncmp(said, expected, strlen(expected)) != 0)
        fail_msg("%s", said);
}

static void assert_no_start(struct place *p, int status, const char *expected)
{
    assert_int_equal(end(start(&p->folder, "serve")), status);
    own(freep) char *log = log_of(p);

    if (!strstr(log, expected))
        fail_msg("\"%s\" is not in: %s", expected, log);
    assert_null(strstr(log, "server.started"));
}

/* ---- the good life ---- */
static void test_a_life(void **state)
{
    own(place_done) struct place p = place_new();

    begin(&p);
    assert_answer(&p, "/livez", "HTTP/1.1 200 OK");
    assert_answer(&p, "/api/v1/tasks/", "HTTP/1.1 401 Unauthorized");
    kill(p.server, SIGTERM);
    assert_int_equal(end(p.server), 0);
    p.server = 0;
    assert_answer(&p, "/livez", "No such file or directory");
    assert_audit(&p,
                 "OK: 3 audit records, 1 to 3, the chain is unbroken, the end is sealed\n"); /* start, refusal, stop */
}

static void test_a_reload_takes_new_roles(void **state)
{
    own(place_done) struct place p = place_new();

    begin(&p);
    folder_write(&p.folder, "roles.yaml", "version: 1\nroles: {WRITER: {permissions: [tasks:create]}}\n", 0644);
    kill(p.server, SIGHUP);
    wait_for_log(&p, "server.reloaded");
    assert_answer(&p, "/livez", "HTTP/1.1 200 OK");
    kill(p.server, SIGINT);
    assert_int_equal(end(p.server), 0);
    p.server = 0;
    assert_audit(&p, "OK: 3 audit records"); /* start, reload, stop */
}

static void test_a_bad_reload_changes_nothing(void **state)
{
    own(place_done) struct place p = place_new();

    begin(&p);
    folder_write(&p.folder, "roles.yaml", "version: 1\nroles: {READER: {permissions: [tasks:raed]}}\n", 0644);
    kill(p.server, SIGHUP);
    wait_for_log(&p, "server.reload_failed");
    wait_for_log(&p, "tasks:raed");
    assert_answer(&p, "/livez", "HTTP/1.1 200 OK");
    kill(p.server, SIGTERM);
    assert_int_equal(end(p.server), 0);
    p.server = 0;
    assert_audit(&p, "OK: 3 audit records"); /* start, the failed reload, stop */
}

static void test_a_reload_says_what_needs_a_restart(void **state)
{
    own(place_done) struct place p = place_new();
    own(freep) char *path = folder_file(&p.folder, "bailiff.yaml"), *changed = NULL;
    own(text_done) struct text config = {0};

    begin(&p);
    assert_true(file_read(path, MIB(1), &config, NULL));
    changed = text_replaced(config.data, "connections: 10", "connections: 11");
    folder_write(&p.folder, "bailiff.yaml", changed, 0600);
    kill(p.server, SIGHUP);
    wait_for_log(&p, "server.restart_needed");
    wait_for_log(&p, "server.reloaded");
}

/* From the server's environment through its runner to the loader; not unless it was named. */
static void test_variables_are_passed_on_by_name(void **state)
{
    own(place_done) struct place p = place_new();
    own(freep) char *path = folder_file(&p.folder, "bailiff.yaml"), *toml = NULL, *named = NULL;
    own(text_done) struct text config = {0};

    setenv("SERVE_TEST_WORD", "5", 1);
    unsetenv("SERVE_TEST_UNSET");
    folder_write(&p.folder, "app.toml", "[DATA_NODE.a]\ndefault_data = \"ENV[SERVE_TEST_WORD]:int\"\n", 0644);
    assert_true(file_read(path, MIB(1), &config, NULL));
    toml = text_replaced(config.data, "app.yaml", "app.toml");
    folder_write(&p.folder, "bailiff.yaml", toml, 0600);
    assert_no_start(&p, 1, "the environment variable SERVE_TEST_WORD is not set");
    named =
        text_replaced(toml, "work_folder: work", "work_folder: work, environment: [SERVE_TEST_UNSET, SERVE_TEST_WORD]");
    folder_write(&p.folder, "bailiff.yaml", named, 0600);
    begin(&p);
    wait_for_log(&p, "SERVE_TEST_UNSET");
    assert_answer(&p, "/livez", "HTTP/1.1 200 OK");
}

/* ---- starts that must fail ---- */
static void test_a_second_server(void **state)
{
    own(place_done) struct place p = place_new();

    begin(&p);
    assert_no_start(&p, 1,
                    "bailiff serve: @/data is in use by another bailiff; stop it, or choose another store.folder.\n");
    assert_answer(&p, "/livez", "HTTP/1.1 200 OK");
}

static void test_a_faulty_configuration(void **state)
{
    own(place_done) struct place p = place_new();
    own(freep) char *data = folder_file(&p.folder, "data");
    struct stat st;

    folder_write(&p.folder, "roles.yaml", "version: 1\nroles: {}\n", 0644);
    assert_no_start(&p, 3, "bailiff serve: 1 mistake, 1 warning in @/bailiff.yaml; nothing was started.\n");
    assert_int_equal(stat(data, &st), -1);
}

static void test_a_faulty_application(void **state)
{
    own(place_done) struct place p = place_new();
    own(freep) char *database = folder_file(&p.folder, "data/bailiff.db");
    struct stat st;

    folder_write(&p.folder, "app.yaml", "tasks:\n  t: {command: [x], inputs: [nothing]}\n  u: {}\n", 0644);
    assert_no_start(
        &p, 1,
        "@/app.yaml:2: task t: inputs: there is no data node \"nothing\".\n"
        "@/app.yaml:3: task u: a task needs a command, such as [./run.sh], or a function, such as module.name.\n"
        "bailiff serve: The application @/app.yaml has 2 mistakes; nothing was started.\n");
    assert_int_equal(stat(database, &st), -1);
}

static void test_a_server_that_was_killed_starts_again(void **state)
{
    own(place_done) struct place p = place_new();

    begin(&p);
    kill(p.server, SIGKILL);
    assert_int_equal(end(p.server), 1000 + SIGKILL);
    begin(&p);
    assert_answer(&p, "/livez", "HTTP/1.1 200 OK");
    kill(p.server, SIGTERM);
    assert_int_equal(end(p.server), 0);
    p.server = 0;
    assert_audit(&p, "OK: 3 audit records"); /* start, start, stop */
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_life),
        cmocka_unit_test(test_a_reload_takes_new_roles),
        cmocka_unit_test(test_a_bad_reload_changes_nothing),
        cmocka_unit_test(test_a_reload_says_what_needs_a_restart),
        cmocka_unit_test(test_variables_are_passed_on_by_name),
        cmocka_unit_test(test_a_second_server),
        cmocka_unit_test(test_a_faulty_configuration),
        cmocka_unit_test(test_a_faulty_application),
        cmocka_unit_test(test_a_server_that_was_killed_starts_again),
    };

    if (argc > 1)
        return commands_run(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
