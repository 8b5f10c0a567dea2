/* Files: bounded reading, durable writing, locks, secrets. Faults name the file. Blocking; any thread. */
#ifndef BAILIFF_FILE_H
#define BAILIFF_FILE_H

#include <sys/stat.h>

#include "bailiff/fault.h"
#include "bailiff/text.h"

/* Reads a regular file whole, at most max bytes. */
must_check bool file_read(const char *path, size_t max, struct text *ret_content, struct fault *fault);
/* The same for a file that grants power (roles, public keys, configuration): nobody but its owner may write it. Whose it is does not
 * matter. The fault says how to mend it. */
must_check bool file_read_trusted(const char *path, size_t max, struct text *ret_content, struct fault *fault);
/* The same for a secret: must belong to root or to us and grant nothing to group and others (the group may read if the
 * file is root's, as systemd credentials and Kubernetes secrets are laid). The fault says how to mend it. */
must_check bool file_read_secret(const char *path, size_t max, struct text *ret_content, struct fault *fault);
/* Opens a regular file for reading whose path may come from somebody less trusted: neither "..", nor an absolute path, nor any link on
 * the way leads out of the folder. Judge and read the descriptor, not the path again. */
must_check bool file_open_beneath(int folder, const char *path, int *ret_fd, struct stat *ret_stat,
                                  struct fault *fault);
/* Temporary file beside it, fsync, rename, fsync of the folder. */
must_check bool file_write_durable(const char *path, const void *data, size_t len, unsigned mode, struct fault *fault);
/* Copies a regular file (never through a symbolic link, at most max bytes) to a new file, fsyncs it and its folder. */
must_check bool file_copy_durable(const char *from, const char *to, uint64_t max, unsigned mode, uint64_t *ret_size,
                                  struct fault *fault);
/* The same from an open file; name is for the fault. */
must_check bool file_copy_open(int from, const char *name, const char *to, uint64_t max, unsigned mode,
                               uint64_t *ret_size, struct fault *fault);
must_check bool file_sync_folder(const char *path, struct fault *fault);
must_check bool folder_make(const char *path, unsigned mode,
                            struct fault *fault); /* with parents; fine if it is there */
/* Takes an exclusive flock on path (made if missing) without waiting; CONFLICT if another process has it.
 * Held until the descriptor is closed. */
must_check bool file_lock(const char *path, int *ret_fd, struct fault *fault);

/* Whole reads and writes over EINTR and short counts. */
bool fd_write_all(int fd, const void *data, size_t len);

#endif
