/* Reading an application through the runner, and taking over what it hands out. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bailiff/file.h"
#include "jobs/thread.h"

enum { LOAD_TIMEOUT_MS = 150000, MANIFEST_MAX = 64 << 20, SAME_NAME_MAX = 100 };

static bool load_answered(const struct jobs *jobs)
{
    return jobs->load.answered;
}

static void write_errors(const struct answer *answer, const char *application, struct text *errors)
{
    for (size_t i = 0; i < json_array_size(answer->errors); i++) {
        const json_t *error = json_array_get(answer->errors, i);
        const char *file = json_string_value(json_object_get(error, "file"));
        long long number = json_integer_value(json_object_get(error, "line"));
        own(text_done) struct text line = {0};

        message_one_line(&line, file ? file : application);
        if (number > 0) /* else it is about the file as a whole */
            text_printf(&line, ":%lld", number);
        text_printf(&line, ": ");
        message_one_line(&line, json_string_value(json_object_get(error, "message")));
        text_printf(errors, "%s\n", line.data);
    }
}

static bool ask(struct jobs *jobs, const char *application, struct text *errors, struct fault *fault)
{
    own(text_done) struct text json = {0};

    answer_done(&jobs->load.answer);
    jobs->load.answered = false;
    jobs->load.number = ++jobs->last_request;
    jw_open(&json, '{');
    jw_member_string(&json, "op", "load");
    jw_member_int(&json, "request", jobs->load.number);
    jw_member_string(&json, "application", application);
    jw_close(&json, '}');
    client_send(jobs, &json);
    if (!client_pump(jobs, load_answered, LOAD_TIMEOUT_MS, fault))
        return false;
    if (jobs->load.answer.ok)
        return true;
    write_errors(&jobs->load.answer, application, errors);
    return fault_set(fault, FAULT_INVALID, "The application %s cannot be loaded.", application);
}

/* Opens <work>/loads/<request>/<name>[/<below>]; the answer's own paths are not even looked at. */
static bool open_loaded(struct jobs *jobs, const char *name, const char *below, uint64_t max, int *ret_fd,
                        struct fault *fault)
{
    own(freep) char *number = xprintf("%lld", (long long)jobs->load.number);
    own(closep) int loads = openat(jobs->client.folder, "loads", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    char *names[3] = {number, (char *)name, (char *)below};

    if (loads < 0)
        return fault_set(fault, FAULT_INVALID, "The runner's work folder has no loads: %s.", strerror(errno));
    return open_handed_over(loads, names, jobs->client.uid, max, ret_fd, fault);
}

static bool read_manifest(struct jobs *jobs, struct manifest **ret_manifest, struct fault *fault)
{
    own(closep) int fd = -1;
    own(text_done) struct text content = {0};
    own(freep) char *piece = xmalloc(KIB(64));

    if (!open_loaded(jobs, "manifest.json", NULL, MANIFEST_MAX, &fd, &(struct fault){0}))
        return fault_set(fault, FAULT_INVALID,
                         "%s was run and left no manifest; execution.python must be Python 3.11 or newer.",
                         jobs->options.python);
    for (ssize_t got; (got = read(fd, piece, KIB(64))) != 0;) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 || content.len + (size_t)got > MANIFEST_MAX)
            return fault_set(fault, FAULT_INVALID, "The manifest cannot be read.");
        text_append(&content, piece, (size_t)got);
    }
    return manifest_read(text_span(&content), ret_manifest, fault);
}

/* ---- defaults: named after their content, written once, never changed ---- */

static bool fingerprint(int fd, uint64_t *ret_hash)
{
    own(freep) char *piece = xmalloc(KIB(64));
    uint64_t hash = HASH_BEGIN;

    if (lseek(fd, 0, SEEK_SET) < 0)
        return false;
    for (ssize_t got; (got = read(fd, piece, KIB(64))) != 0;) {
        if (got < 0)
            return false;
        hash = hash_bytes(hash, piece, (size_t)got);
    }
    *ret_hash = hash;
    return true;
}

static bool read_full(int fd, char *out, size_t len, off_t at)
{
    for (size_t done = 0; done < len;) {
        ssize_t got = pread(fd, out + done, len - done, at + (off_t)done);
        if (got <= 0)
            return false;
        done += (size_t)got;
    }
    return true;
}

static bool same_content(int a, int b)
{
    own(freep) char *piece = xmalloc(2 * KIB(64));
    struct stat x, y;

    if (fstat(a, &x) < 0 || fstat(b, &y) < 0 || x.st_size != y.st_size)
        return false;
    for (off_t at = 0; at < x.st_size;) {
        size_t len = (size_t)MIN(x.st_size - at, (off_t)KIB(64));
        if (!read_full(a, piece, len, at) || !read_full(b, piece + KIB(64), len, at) ||
            memcmp(piece, piece + KIB(64), len) != 0)
            return false;
        at += (off_t)len;
    }
    return true;
}

/* Gives the temporary file the first name of its content that is free, or finds the same content under one. */
static bool settle(int folder, const char *temporary, int fd, const char *stem, const char *extension, char **ret_name,
                   struct fault *fault)
{
    for (int i = 0; i < SAME_NAME_MAX; i++) {
        own(freep) char *name = i == 0 ? xprintf("%s.%s", stem, extension) : xprintf("%s-%d.%s", stem, i, extension);
        if (linkat(folder, temporary, folder, name, 0) == 0) {
            *ret_name = give(name);
            return true;
        }
        own(closep) int there = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (errno != EEXIST && there < 0)
            break;
        if (there >= 0 && same_content(fd, there)) {
            *ret_name = give(name);
            return true;
        }
    }
    return fault_set(fault, FAULT_INVALID, "A default cannot be stored as %s: %s.", stem, strerror(errno));
}

static bool store_default(struct jobs *jobs, int folder, struct data_node_config *node, struct arena *arena,
                          struct fault *fault)
{
    const char *temporary = ".incoming";
    own(closep) int from = -1;
    own(freep) char *name = NULL;
    uint64_t size, hash;

    if (strchr(node->default_file, '/'))
        return fault_set(fault, FAULT_INVALID, "The default of %s lies in a folder of its own.", node->id);
    if (!open_loaded(jobs, "defaults", node->default_file, jobs->options.output_max_bytes, &from, fault))
        return fault_detail(fault, "default of %s", node->id);
    unlinkat(folder, temporary, 0);
    own(closep) int fd = openat(folder, temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return fault_unavailable(fault, 5, "Storage cannot be written: %s.", strerror(errno));
    if (!copy_handed_over(from, fd, jobs->options.output_max_bytes, &size, fault))
        return false;
    if ((jobs->client.group != 0 && fchown(fd, (uid_t)-1, jobs->client.group) < 0 && errno != EPERM) ||
        fchmod(fd, 0440) < 0 || fsync(fd) < 0 || !fingerprint(fd, &hash))
        return fault_unavailable(fault, 5, "Storage cannot be written: %s.", strerror(errno));
    own(freep) char *stem = xprintf("%s-%016llx", node->id, (unsigned long long)hash);
    if (!settle(folder, temporary, fd, stem, storage_type_extension(node->storage_type), &name, fault))
        return false;
    unlinkat(folder, temporary, 0);
    node->default_file = arena_printf(arena, "defaults/%s", name);
    return true;
}

static bool store_defaults(struct jobs *jobs, struct manifest *manifest, struct fault *fault)
{
    own(freep) char *path = jobs_storage_path(jobs, "defaults");
    own(closep) int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (folder < 0)
        return fault_set(fault, FAULT_INVALID, "%s cannot be opened: %s.", path, strerror(errno));
    for (size_t i = 0; i < manifest->data_node_count; i++)
        if (manifest->data_nodes[i].default_file &&
            !store_default(jobs, folder, &manifest->data_nodes[i], &manifest->arena, fault))
            return false;
    if (fsync(folder) < 0)
        return fault_unavailable(fault, 5, "%s cannot be synced: %s.", path, strerror(errno));
    return true;
}

bool jobs_load(struct jobs *jobs, const char *application, struct manifest **ret_manifest, struct text *errors,
               struct fault *fault)
{
    own(manifest_freep) struct manifest *manifest = NULL;

    if (application[0] != '/')
        return fault_set(fault, FAULT_INVALID, "The application's path %s is not absolute.", application);
    if (!ask(jobs, application, errors, fault) || !read_manifest(jobs, &manifest, fault) ||
        !store_defaults(jobs, manifest, fault))
        return false;
    *ret_manifest = give(manifest);
    return true;
}
