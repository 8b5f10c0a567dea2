#include "jobs/folders.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdalign.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "bailiff/clock.h"

enum {
    REMOVED_AT_ONCE_MAX = 16, /* of a folder that is to be used again; fuller ones are the trash's */
    FOLDER_SIZE_MAX =
        65536, /* that of its own inode: ext4 never gives back what many names needed, and reads it each time */
    SEAL_AGE_S = 3,
};

void folders_init(struct folders *folders, struct trash *trash, mode_t mode)
{
    *folders = (struct folders){.trash = trash, .mode = mode};
}

void folders_done(struct folders *folders)
{
    while (folders->spare_count > 0)
        free(folders->spare[--folders->spare_count]);
}

static void forget(struct folders *folders, const char *path)
{
    for (size_t i = 0; i < folders->spare_count; i++)
        if (strcmp(folders->spare[i], path) == 0) {
            free(folders->spare[i]);
            folders->spare[i] = folders->spare[--folders->spare_count];
            return;
        }
}

bool folders_take(struct folders *folders, const char *path, struct fault *fault)
{
    forget(folders, path); /* whatever comes of it now, it is no spare one */
    while (folders->spare_count > 0) {
        own(freep) char *spare = folders->spare[--folders->spare_count];
        if (rename(spare, path) == 0)
            return true;
        trash_throw(folders->trash, spare);
    }
    if (mkdir(path, folders->mode) == 0)
        return true;
    if (errno == EEXIST) { /* nobody released it */
        trash_throw(folders->trash, path);
        if (mkdir(path, folders->mode) == 0)
            return true;
    }
    return fault_set(fault, FAULT_INVALID, "The runner cannot make a folder: %s.", strerror(errno));
}

/* Removes the few files in it. False if anything else is there. Without readdir, which would ask and allocate more than all this does. */
static bool empty(int fd)
{
    alignas(struct dirent64) char entries[4096];
    int removed = 0;
    ssize_t len;

    while ((len = getdents64(fd, entries, sizeof entries)) > 0)
        for (const char *at = entries; at < entries + len; at += ((const struct dirent64 *)at)->d_reclen) {
            const char *name = ((const struct dirent64 *)at)->d_name;
            if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
                (++removed > REMOVED_AT_ONCE_MAX || unlinkat(fd, name, 0) < 0))
                return false;
        }
    return len == 0;
}

/* Extended attributes, access lists among them, would be handed on. A security module gives everything some of its own. */
static bool has_attributes(int fd)
{
    char names[256];
    ssize_t len = flistxattr(fd, names, sizeof names);

    if (len < 0)
        return errno != ENOTSUP;
    for (const char *name = names; name < names + len; name += strlen(name) + 1)
        if (strncmp(name, "security.", 9) != 0)
            return true;
    return false;
}

/* Users' code may have done anything to it. */
static bool can_serve_again(const struct folders *folders, const char *path)
{
    own(closep) int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;

    return fd >= 0 && empty(fd) && fstat(fd, &st) == 0 && st.st_uid == geteuid() && st.st_nlink <= 2 &&
           st.st_size <= FOLDER_SIZE_MAX && (st.st_mode & 07777) == folders->mode && !has_attributes(fd);
}

void folders_give_back(struct folders *folders, const char *path)
{
    forget(folders, path);
    if (folders->spare_count < FOLDERS_SPARE_MAX && can_serve_again(folders, path))
        folders->spare[folders->spare_count++] = xstrdup(path);
    else
        trash_throw(folders->trash, path);
}

static bool seal_holds(const struct folder_seal *seal, const struct stat *st)
{
    return seal->inode != 0 && st->st_ino == seal->inode && st->st_ctim.tv_sec == seal->changed.tv_sec &&
           st->st_ctim.tv_nsec == seal->changed.tv_nsec;
}

/* Nobody can set the time of an inode's change; but file systems may count it in seconds, or in ticks of the clock. A second
 * change too soon after the last would not show. */
static struct folder_seal seal_now(const struct stat *st)
{
    struct folder_seal seal = {.inode = st->st_ino, .changed = st->st_ctim};

    if (clock_wall_ms() / 1000 - st->st_ctim.tv_sec < SEAL_AGE_S)
        seal.inode = 0;
    return seal;
}

bool folders_renew(struct folders *folders, const char *path, struct folder_seal *seal, struct fault *fault)
{
    struct stat st;

    if (lstat(path, &st) == 0 && seal_holds(seal, &st))
        return true;
    seal->inode = 0;
    if (!can_serve_again(folders, path)) {
        trash_throw(folders->trash, path);
        if (mkdir(path, folders->mode) < 0)
            return fault_set(fault, FAULT_INVALID, "The runner cannot make a folder: %s.", strerror(errno));
    }
    if (lstat(path, &st) == 0)
        *seal = seal_now(&st);
    return true;
}

char *keeper_folder_path(const char *work, pid_t keeper)
{
    return xprintf("%s/attempts/keeper-%d", work, (int)keeper);
}
