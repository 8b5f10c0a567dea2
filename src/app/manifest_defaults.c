#include "app/manifest_defaults.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bailiff/file.h"
#include "bailiff/http.h"

static const uint64_t DEFAULT_BYTES_MAX = UINT64_C(1) << 30;

/* Of the content as a whole: pieces have one length but for the last. */
static bool digest_open(int fd, uint8_t out[static 32])
{
    own(freep) char *piece = xmalloc(MIB(1));
    struct digest *digest = digest_new();
    size_t filled = 0;
    ssize_t n = 0;
    uint64_t total = 0;

    while (total <= DEFAULT_BYTES_MAX && (n = read(fd, piece + filled, MIB(1) - filled)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            break;
        filled += (size_t)n;
        total += (uint64_t)n;
        if (filled == MIB(1)) {
            digest_add(digest, (struct span){piece, filled});
            filled = 0;
        }
    }
    digest_add(digest, (struct span){piece, filled});
    digest_end(digest, out);
    return n == 0;
}

static bool digest_file(const char *path, uint8_t out[static 32])
{
    own(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);

    return fd >= 0 && digest_open(fd, out);
}

/* ---- the application's files ----
 * The server reads them with rights that the application's author need not have, and hands them to commands and to the API's clients. So
 * it reads only what lies in the application's folder and what users' code could read without its help. */

/* The path as seen from the folder, NULL if it leads elsewhere. */
static const char *path_in_folder(const struct form *form, const char *text)
{
    own(freep) char *path = path_resolve(form->root, text);
    size_t len = strcmp(form->root, "/") == 0 ? 0 : strlen(form->root);

    if (strncmp(path, form->root, len) != 0 || path[len] != '/')
        return strcmp(path, form->root) == 0 ? "." : NULL;
    return path[len + 1] ? arena_strdup(form->arena, path + len + 1) : ".";
}

static bool open_source(const struct form *form, const char *path, int *ret_fd, struct fault *fault)
{
    own(closep) int fd = -1;
    struct stat st;

    if (!file_open_beneath(form->folder, path, &fd, &st, fault))
        return false;
    if ((uint64_t)st.st_size > DEFAULT_BYTES_MAX)
        return fault_set(fault, FAULT_INVALID, "%s is larger than 1 GiB.", path);
    if (!form->same_user && !(st.st_mode & S_IROTH))
        return fault_set(fault, FAULT_INVALID,
                         "%s is not readable by others (mode %04o), so users' code could not read it, and bailiff does "
                         "not read it for them; if it is no secret, run: chmod o+r %s/%s",
                         path, st.st_mode & 07777, form->root, path);
    *ret_fd = fd;
    fd = -1;
    return true;
}

/* One name for one content: whoever holds the name keeps the value, however often the application changes. */
static const char *note(const struct item *item, enum storage_type storage, struct form_default *d)
{
    char hex[33];

    hex_encode(d->digest, 16, hex);
    d->name = arena_printf(item->form->arena, "defaults/%s-%s.%s", item->id, hex, storage_type_extension(storage));
    item->form->default_count++;
    return d->name;
}

static const char *read_path(const struct item *item, enum storage_type storage, struct form_default *d)
{
    const char *text = item_text(item, "default_path");
    own(closep) int fd = -1;
    struct fault fault = {0};

    if (!text)
        return NULL;
    if (storage == STORAGE_IN_MEMORY) {
        item_bad(item, "default_path", "a data node in memory has no file; use another storage_type.");
        return NULL;
    }
    d->source = path_in_folder(item->form, text);
    if (!d->source)
        item_bad(item, "default_path", "\"%s\" is not in the application's folder; copy the file there.", text);
    else if (!open_source(item->form, d->source, &fd, &fault))
        item_bad(item, "default_path", "%s", fault.message);
    else if (!digest_open(fd, d->digest))
        item_bad(item, "default_path", "%s cannot be read: %s.", d->source, strerror(errno));
    else
        return note(item, storage, d);
    return NULL;
}

static const char *read_data(const struct item *item, enum storage_type storage, const struct yaml_node *node,
                             struct form_default *d)
{
    own(json_freep) json_t *value = NULL;
    own(freep) char *text = NULL;

    if (storage != STORAGE_JSON) {
        item_bad(item, "default_data",
                 "can be given for json only; put the value into a file, and name that in default_path.");
        return NULL;
    }
    value = yaml_to_json(node);
    text = value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    if (!text) {
        item_bad(item, "default_data", "cannot be written as JSON.");
        return NULL;
    }
    d->data = arena_strdup(item->form->arena, text);
    digest_sha256(text, strlen(text), d->digest);
    return note(item, storage, d);
}

const char *form_read_default(const struct item *item, enum storage_type storage)
{
    struct form_default *d = &item->form->defaults[item->form->default_count];
    const struct yaml_node *data = yaml_find(item->node, "default_data");
    bool has_path = yaml_find(item->node, "default_path");

    *d = (struct form_default){.line = yaml_line(item->node, has_path ? "default_path" : "default_data")};
    if (has_path && data)
        item_bad(item, "default_data", "stands beside default_path; a data node has one first value.");
    else if (has_path && yaml_find(item->node, "path"))
        item_bad(item, "default_path", "stands beside path; the file at path is the value itself.");
    else if (has_path)
        return read_path(item, storage, d);
    else if (data)
        return read_data(item, storage, data, d);
    return NULL;
}

/* ---- storing ---- */
static bool is_stored(const struct form_default *d, const char *target)
{
    uint8_t digest[32];

    if (d->data) {
        own(text_done) struct text content = {0};

        return file_read(target, strlen(d->data), &content, NULL) && span_is(text_span(&content), d->data);
    }
    return digest_file(target, digest) && memcmp(digest, d->digest, sizeof(digest)) == 0;
}

/* What is copied is judged anew, by its own descriptor, and must still be what was read first. */
static bool store(const struct form *form, const struct form_default *d, const char *target, struct fault *fault)
{
    own(closep) int source = -1;

    if (is_stored(d, target))
        return true;
    if (unlink(target) < 0 && errno != ENOENT) /* half of it, from a start that was cut short */
        return fault_set(fault, FAULT_INVALID, "%s: %s.", target, strerror(errno));
    if (d->data)
        return file_write_durable(target, d->data, strlen(d->data), 0600, fault);
    if (!open_source(form, d->source, &source, fault) ||
        !file_copy_open(source, d->source, target, DEFAULT_BYTES_MAX, 0600, NULL, fault))
        return false;
    if (is_stored(d, target))
        return true;
    unlink(target);
    return fault_set(fault, FAULT_INVALID, "%s changed while it was copied.", d->source);
}

/* Storage belongs to jobs, which gave the folder to the runner's group; what lies in it is for the same readers. */
static bool share(const char *folder, const char *target, struct fault *fault)
{
    struct stat st;

    if (stat(folder, &st) < 0 || (chown(target, (uid_t)-1, st.st_gid) < 0 && errno != EPERM) || chmod(target, 0440) < 0)
        return fault_set(fault, FAULT_INVALID, "%s cannot be given to the runner's group: %s.", target,
                         strerror(errno));
    return true;
}

bool form_store_defaults(struct form *form, const char *storage_folder)
{
    own(freep) char *folder = xprintf("%s/defaults", storage_folder);
    struct fault fault = {0};

    if (form->default_count > 0 && !folder_make(folder, 0700, &fault))
        return problems_add_fault(form->problems, 0, &fault);
    for (size_t i = 0; i < form->default_count; i++) {
        own(freep) char *target = xprintf("%s/%s", storage_folder, form->defaults[i].name);

        if (!store(form, &form->defaults[i], target, &fault) || !share(folder, target, &fault))
            return problems_add_fault(form->problems, form->defaults[i].line, &fault);
    }
    return true;
}
