/* What the settings mean on this machine: files, folders, users. */
#include <errno.h>
#include <pwd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/config_schema.h"
#include "bailiff/file.h"
#include "bailiff/server.h"

enum { PEM_BYTES_MAX = 1 << 20, DESCRIPTORS_BESIDES = 512 };

static bool check_readable(struct problems *problems, unsigned line, const char *name, const char *path)
{
    struct stat st;

    if (stat(path, &st) < 0)
        return problems_add(problems, line, "%s: %s: %s.", name, path, strerror(errno));
    if (!S_ISREG(st.st_mode))
        return problems_add(problems, line, "%s: %s is not a regular file.", name, path);
    if (eaccess(path, R_OK) < 0)
        return problems_add(problems, line, "%s: %s cannot be read by this user: %s.", name, path, strerror(errno));
    return true;
}

static bool check_parent(struct problems *problems, unsigned line, const char *name, const char *path)
{
    own(freep) char *parent = xstrdup(path);
    char *slash = strrchr(parent, '/');
    struct stat st;

    *(slash == parent ? slash + 1 : slash) = '\0';
    if (stat(parent, &st) < 0 || !S_ISDIR(st.st_mode))
        return problems_add(problems, line, "%s: there is no folder %s to make it in; make that first.", name, parent);
    if (lstat(path, &st) < 0 && eaccess(parent, W_OK | X_OK) < 0)
        return problems_add(problems, line, "%s: this user cannot make %s: %s; make it, and chown it to this user.",
                            name, path, strerror(errno));
    return true;
}

/* Whoever can write code can run it. Only a warning: in development a group may well share a folder. */
static void warn_if_others_write(struct problems *problems, unsigned line, const char *name, const char *path)
{
    struct stat st;

    if (stat(path, &st) == 0 && st.st_mode & 022)
        problems_warn(problems, line,
                      "%s: others than its owner can write %s (mode %04o), and so choose the code that is run; run: "
                      "chmod go-w %s",
                      name, path, st.st_mode & 07777, path);
}

/* ---- TLS ---- */
static void check_certificate(struct problems *problems, unsigned line, const char *name, const char *path)
{
    own(text_done) struct text content = {0};
    struct fault fault = {0};

    if (!check_readable(problems, line, name, path))
        return;
    if (!file_read_trusted(path, PEM_BYTES_MAX, &content, &fault))
        problems_add(problems, line, "%s: %s", name, fault.message);
    else if (!strstr(content.data, "-----BEGIN CERTIFICATE-----"))
        problems_add(problems, line, "%s: %s has no certificate in PEM (-----BEGIN CERTIFICATE-----).", name, path);
}

static void check_key(struct problems *problems, unsigned line, const char *name, const char *path)
{
    own(text_done) struct text content = {0};
    struct fault fault = {0};

    if (!file_read_secret(path, PEM_BYTES_MAX, &content, &fault)) {
        problems_add(problems, line, "%s: %s", name, fault.message);
        return;
    }
    if (!strstr(content.data, "PRIVATE KEY-----"))
        problems_add(problems, line, "%s: %s has no private key in PEM (-----BEGIN PRIVATE KEY-----).", name, path);
    else if (strstr(content.data, "ENCRYPTED"))
        problems_add(problems, line,
                     "%s: %s is encrypted, and nobody is there to type a passphrase; decrypt it, and let only "
                     "its owner read it.",
                     name, path);
    explicit_bzero(content.data, content.cap);
}

/* The files as the server will read them: keys that do not fit, CAs that are none, revocation lists that have expired. */
static void check_together(const struct config *c, size_t index, struct problems *problems)
{
    own(arena_done) struct arena arena = {0};
    struct listener_options options;
    struct fault fault = {0};

    config_listener_options(c, index, &arena, &options);
    if (!server_tls_check(&options, &fault))
        problems_add_fault(problems, config_listener(c, index)->node->line, &fault);
}

static void check_listeners(const struct config *c, struct problems *problems)
{
    for (size_t i = 0; i < c->server.listeners.count; i++) {
        const struct config_listener *l = config_listener(c, i);
        size_t before = problems->mistakes;

        if (!l->node)
            continue;
        if (l->address && l->address[0] == '/')
            check_parent(problems, yaml_line(l->node, "address"), "address", l->address);
        if (l->tls && l->certificate)
            check_certificate(problems, yaml_line(l->node, "certificate"), "certificate", l->certificate);
        if (l->tls && l->key)
            check_key(problems, yaml_line(l->node, "key"), "key", l->key);
        if (l->tls && l->client_ca)
            check_certificate(problems, yaml_line(l->node, "client_ca"), "client_ca", l->client_ca);
        for (size_t f = 0; l->tls && f < l->client_crl.count; f++)
            check_readable(problems, yaml_line(l->node, "client_crl"), "client_crl", l->client_crl.items[f]);
        if (l->tls && l->ocsp_file)
            check_readable(problems, yaml_line(l->node, "ocsp_file"), "ocsp_file", l->ocsp_file);
        if (l->tls && l->certificate && l->key && problems->mistakes == before)
            check_together(c, i, problems);
    }
}

static void check_descriptors(const struct config *c, struct problems *problems)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_max == RLIM_INFINITY)
        return;
    if (limit.rlim_max < c->limits.connections + (rlim_t)DESCRIPTORS_BESIDES)
        problems_warn(
            problems, yaml_line(c->limits.node ? c->limits.node : c->node, "connections"),
            "limits.connections: %u need more open files than this process may have (%llu); fewer will be accepted. "
            "Lower it, or raise LimitNOFILE of the service.",
            c->limits.connections, (unsigned long long)limit.rlim_max);
}

/* ---- data ---- */
static void check_store(const struct config *c, struct problems *problems)
{
    unsigned line = yaml_line(c->store.node, "folder");
    const char *folder = c->store.folder;
    struct stat st;

    if (!folder)
        return;
    if (stat(folder, &st) < 0) {
        if (errno == ENOENT)
            check_parent(problems, line, "store.folder", folder);
        else
            problems_add(problems, line, "store.folder: %s: %s.", folder, strerror(errno));
        return;
    }
    if (!S_ISDIR(st.st_mode))
        problems_add(problems, line, "store.folder: %s is not a folder.", folder);
    else if (st.st_uid != geteuid() && geteuid() != 0)
        problems_add(problems, line, "store.folder: %s belongs to another user; chown it to the server's.", folder);
    else if (st.st_mode & 066) /* passing through may be needed, by a runner of another user */
        problems_add(problems, line, "store.folder: others can look into %s (mode %04o); run: chmod 700 %s", folder,
                     st.st_mode & 07777, folder);
}

static bool has_ending(const char *path, const char *ending)
{
    size_t len = strlen(path), n = strlen(ending);

    return len > n && strcmp(path + len - n, ending) == 0;
}

static void check_application(const struct config *c, struct problems *problems)
{
    unsigned line = yaml_line(c->node, "application");
    own(freep) char *real = c->application ? realpath(c->application, NULL) : NULL;
    char *slash = real ? strrchr(real, '/') : NULL;

    if (!c->application)
        return;
    if (!has_ending(c->application, ".toml") && !has_ending(c->application, ".yaml") &&
        !has_ending(c->application, ".yml"))
        problems_add(problems, line,
                     "application: %s must be a Taipy application (.toml) or one in bailiff's own form (.yaml).",
                     c->application);
    else
        check_readable(problems, line, "application", c->application);
    if (!slash)
        return;
    warn_if_others_write(problems, line, "application", real);
    *(slash == real ? slash + 1 : slash) = '\0';
    warn_if_others_write(problems, line, "application", real);
}

/* ---- execution ---- */
static void check_python(const struct config *c, struct problems *problems)
{
    const struct config_execution *e = &c->execution;
    const struct yaml_node *node = e->node ? e->node : c->node;
    own(freep) char *program = NULL;
    struct stat st;

    if (!e->python || e->python[0] != '/' || !e->package)
        return;
    if (stat(e->python, &st) < 0)
        problems_add(problems, yaml_line(node, "python"),
                     "execution.python: %s: %s; give the interpreter of the application's "
                     "environment.",
                     e->python, strerror(errno));
    else if (!S_ISREG(st.st_mode) || eaccess(e->python, X_OK) < 0)
        problems_add(problems, yaml_line(node, "python"), "execution.python: %s is not a program that can be run.",
                     e->python);
    program = xprintf("%s/bailiff_runner/__main__.py", e->package);
    if (stat(program, &st) < 0)
        problems_add(problems, yaml_line(node, "package"),
                     "execution.package: there is no bailiff_runner in %s; give the folder "
                     "that holds it.",
                     e->package);
    warn_if_others_write(problems, yaml_line(node, "python"), "execution.python", e->python);
    warn_if_others_write(problems, yaml_line(node, "package"), "execution.package", e->package);
    *strrchr(program, '/') = '\0';
    warn_if_others_write(problems, yaml_line(node, "package"), "execution.package", program);
}

static void check_user(struct config *c, struct problems *problems)
{
    struct config_execution *e = &c->execution;
    unsigned line = yaml_line(e->node, "user");
    struct passwd *user;

    if (!e->user)
        return;
    user = getpwnam(e->user); /* main thread, before any other */
    if (!user) {
        problems_add(problems, line, "execution.user: there is no user \"%s\" on this machine.", e->user);
        return;
    }
    e->uid = user->pw_uid;
    e->gid = user->pw_gid;
    if (user->pw_uid == 0)
        problems_add(problems, line, "execution.user: users' code must not run as root.");
    else if (user->pw_gid == 0)
        problems_add(problems, line, "execution.user: the group of \"%s\" is root's; users' code must run in another.",
                     e->user);
    else if (user->pw_uid == geteuid())
        problems_add(problems, line,
                     "execution.user: \"%s\" is the server's own user; users' code must run as another.", e->user);
    else if (geteuid() != 0)
        problems_add(problems, line,
                     "execution.user: only root can start a process as another user; start the runner on its own "
                     "and set execution.socket.");
}

/* The real path of a file that may not be there yet. */
static char *real_path(const char *path)
{
    own(freep) char *whole = realpath(path, NULL), *parent = xstrdup(path), *real = NULL;
    char *slash = strrchr(parent, '/');

    if (whole)
        return xstrdup(whole);
    *slash = '\0';
    real = realpath(slash == parent ? "/" : parent, NULL);
    return real ? xprintf("%s/%s", real, slash + 1) : xstrdup(path);
}

static bool is_inside(const char *path, const char *folder)
{
    size_t len = strlen(folder);

    return strncmp(path, folder, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

static void check_work_folder(const struct config *c, struct problems *problems)
{
    const struct config_execution *e = &c->execution;
    unsigned line = yaml_line(e->node ? e->node : c->node, "work_folder");
    own(freep) char *work = NULL, *store = NULL;

    if (e->socket || !e->work_folder || !check_parent(problems, line, "execution.work_folder", e->work_folder) ||
        !c->store.folder)
        return;
    work = real_path(e->work_folder);
    store = real_path(c->store.folder);
    if (is_inside(work, store) || is_inside(store, work))
        problems_add(problems, line,
                     "execution.work_folder and store.folder must not lie in each other: users' code owns the one "
                     "and must not see the other.");
}

/* ---- keys ---- */
static void check_issuers(const struct config *c, struct problems *problems)
{
    for (size_t i = 0; i < c->issuers.count; i++) {
        const struct config_issuer *s = config_issuer(c, i);

        if (s->node && s->ca_file)
            check_certificate(problems, yaml_line(s->node, "ca_file"), "ca_file", s->ca_file);
    }
}

static void check_signing_key(const struct config *c, struct problems *problems)
{
    unsigned line = yaml_line(c->signing.node, "key");
    const char *path = c->signing.key;
    struct stat st;

    if (!path)
        return;
    if (stat(path, &st) < 0) /* the server does not need it, and may well not be allowed to see it */
        problems_warn(problems, line, "signing.key: %s: %s; `bailiff token issue` will not work here.", path,
                      strerror(errno));
    else if (st.st_mode & (st.st_uid == 0 ? 037 : 077))
        problems_add(problems, line,
                     "signing.key: others can read %s (mode %04o): whoever can may be anyone; run: chmod 600 %s, "
                     "and make a new key if it was so for long.",
                     path, st.st_mode & 07777, path);
}

void config_check_machine(struct config *c, struct problems *problems)
{
    check_listeners(c, problems);
    check_descriptors(c, problems);
    check_store(c, problems);
    check_application(c, problems);
    check_python(c, problems);
    check_user(c, problems);
    check_work_folder(c, problems);
    check_issuers(c, problems);
    check_signing_key(c, problems);
}
