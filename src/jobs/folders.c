#include "jobs/folders.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { REMOVED_AT_ONCE_MAX = 16 }; /* of a folder that is to be used again; fuller ones are the trash's */

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

/* Removes the few files in it. False if anything else is there. */
static bool empty(int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0), removed = 0;
    DIR *folder = copy < 0 ? NULL : fdopendir(copy);
    bool ok = true;

    if (!folder) {
        closep(&copy);
        return false;
    }
    errno = 0;
    for (struct dirent *entry; ok && (entry = readdir(folder));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            ok = ++removed <= REMOVED_AT_ONCE_MAX && unlinkat(fd, entry->d_name, 0) == 0;
    ok = ok && errno == 0;
    closedir(folder);
    return ok;
}

/* Users' code may have done anything to it. */
static bool can_serve_again(const struct folders *folders, const char *path)
{
    own(closep) int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;

    return fd >= 0 && empty(fd) && fstat(fd, &st) == 0 && st.st_uid == geteuid() && st.st_nlink <= 2 &&
           (st.st_mode & 07777) == folders->mode;
}

void folders_give_back(struct folders *folders, const char *path)
{
    forget(folders, path);
    if (folders->spare_count < FOLDERS_SPARE_MAX && can_serve_again(folders, path))
        folders->spare[folders->spare_count++] = xstrdup(path);
    else
        trash_throw(folders->trash, path);
}
