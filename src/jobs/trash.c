#include "jobs/trash.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bailiff/file.h"
#include "bailiff/random.h"

bool trash_init(struct trash *trash, const char *folder, struct fault *fault)
{
    *trash = (struct trash){.fd = -1};
    if (!folder_make(folder, 0700, fault))
        return false;
    trash->folder = xstrdup(folder);
    trash->fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (trash->fd < 0)
        return fault_set(fault, FAULT_INVALID, "%s cannot be opened: %s.", folder, strerror(errno));
    random_bytes(&trash->counter, sizeof trash->counter); /* names differ from those an earlier process left */
    return true;
}

void trash_done(struct trash *trash)
{
    closep(&trash->fd);
    free(trash->folder);
    *trash = (struct trash){.fd = -1};
}

static void next_name(struct trash *trash, char name[static 24])
{
    snprintf(name, 24, "%llx", (unsigned long long)trash->counter++);
}

void trash_throw(struct trash *trash, const char *path)
{
    char name[24];

    if (rmdir(path) == 0 || errno == ENOENT) /* most are empty */
        return;
    next_name(trash, name);
    int moved = renameat(AT_FDCWD, path, trash->fd, name);
    if (moved < 0 && errno == EACCES) { /* as in remove_entry */
        (void)!fchmodat(AT_FDCWD, path, 0700, AT_SYMLINK_NOFOLLOW);
        moved = renameat(AT_FDCWD, path, trash->fd, name);
    }
    if (moved == 0)
        trash->empty = false;
}

/* False if it is still there. */
static bool remove_entry(struct trash *trash, int parent, const char *name)
{
    char fresh[24];

    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
        return true;
    if ((errno != EISDIR && errno != EPERM) || parent == trash->fd)
        return false;
    if (unlinkat(parent, name, AT_REMOVEDIR) == 0)
        return true;
    /* Renaming a folder needs the right to write to it: its ".." changes. */
    (void)!fchmodat(parent, name, 0700, 0);
    next_name(trash, fresh);
    return renameat(parent, name, trash->fd, fresh) == 0;
}

/* Empties one folder of the trash as far as the budget goes, and removes it when it is empty. */
static bool empty_folder(struct trash *trash, const char *name, unsigned *budget)
{
    (void)!fchmodat(trash->fd, name, 0700, 0);
    int fd = openat(trash->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);

    if (!folder) {
        closep(&fd);
        return false;
    }
    bool progress = false;
    for (struct dirent *entry; *budget > 0 && (entry = readdir(folder));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        (*budget)--;
        progress |= remove_entry(trash, dirfd(folder), entry->d_name);
    }
    closedir(folder);
    return unlinkat(trash->fd, name, AT_REMOVEDIR) == 0 || progress;
}

bool trash_sweep(struct trash *trash, unsigned budget)
{
    if (trash->empty)
        return false;
    int fd = openat(trash->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);

    if (!folder) {
        closep(&fd);
        return false;
    }
    bool progress = false, left = false;
    for (struct dirent *entry; budget > 0 && (entry = readdir(folder));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        left = true;
        budget--;
        progress |= remove_entry(trash, trash->fd, entry->d_name) || empty_folder(trash, entry->d_name, &budget);
    }
    closedir(folder);
    trash->empty = !left || !progress; /* what resists is tried again when something new is thrown in */
    return !trash->empty;
}
