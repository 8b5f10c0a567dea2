#include "app/manifest_defaults.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bailiff/file.h"
#include "bailiff/http.h"

static const uint64_t DEFAULT_BYTES_MAX = UINT64_C(1) << 30;

/* Of the content as a whole: pieces have one length but for the last. */
static bool digest_file(const char *path, uint8_t out[static 32])
{
    own(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    own(freep) char *piece = xmalloc(MIB(1));
    struct digest *digest;
    size_t filled = 0;
    ssize_t n = 0;
    uint64_t total = 0;

    if (fd < 0)
        return false;
    digest = digest_new();
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
    own(freep) char *path = text ? path_resolve(item->form->root, text) : NULL;
    struct stat st;

    if (!path)
        return NULL;
    if (storage == STORAGE_IN_MEMORY) {
        item_bad(item, "default_path", "a data node in memory has no file; use another storage_type.");
        return NULL;
    }
    d->source = arena_strdup(item->form->arena, path);
    if (stat(path, &st) < 0)
        item_bad(item, "default_path", "%s: %s.", path, strerror(errno));
    else if (!S_ISREG(st.st_mode))
        item_bad(item, "default_path", "%s is not a regular file.", path);
    else if ((uint64_t)st.st_size > DEFAULT_BYTES_MAX)
        item_bad(item, "default_path", "%s is larger than 1 GiB.", path);
    else if (!digest_file(path, d->digest))
        item_bad(item, "default_path", "%s cannot be read: %s.", path, strerror(errno));
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

static bool store(const struct form_default *d, const char *target, struct fault *fault)
{
    own(freep) char *source =
        d->source ? realpath(d->source, NULL) : NULL; /* the operator may link; a copy follows no link */
    uint64_t size;

    if (is_stored(d, target))
        return true;
    if (unlink(target) < 0 && errno != ENOENT) /* half of it, from a start that was cut short */
        return fault_set(fault, FAULT_INVALID, "%s: %s.", target, strerror(errno));
    if (d->data)
        return file_write_durable(target, d->data, strlen(d->data), 0600, fault);
    if (!file_copy_durable(source ? source : d->source, target, DEFAULT_BYTES_MAX, 0600, &size, fault))
        return false;
    return is_stored(d, target) || fault_set(fault, FAULT_INVALID, "%s changed while it was copied.", d->source);
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

        if (!store(&form->defaults[i], target, &fault) || !share(folder, target, &fault))
            return problems_add_fault(form->problems, form->defaults[i].line, &fault);
    }
    return true;
}
