/* Looks at files of the users' own. They may lie on a file system that does not answer, such as a network mount whose server is gone, and who
 * asks it is held until it does. So threads are kept that may be held, and whoever asks waits for one of them for so long only.
 *
 * Any thread may ask. What is held costs a thread for each folder; once none is left, nothing is known of any path until one answers. */
#ifndef BAILIFF_STORE_LOOKER_H
#define BAILIFF_STORE_LOOKER_H

#include "bailiff/log.h"

enum { LOOKER_THREADS = 16 };

struct looker;
struct looker_options {
    struct log *log;
    unsigned patience_ms; /* 0: a second */
    /* of tests; NULL: the file's modification time, 0: there is no regular file, -1: the file system fails */
    int64_t (*time_of)(const char *path);
};
struct looker *looker_new(const struct looker_options *options);
/* Threads that are held are left behind, with what they need. NULL ok. */
void looker_free(struct looker *looker);

/* False: nobody knows. Wall-clock milliseconds; 0: there is no regular file. */
must_check bool looker_file_time(struct looker *looker, const char *path, int64_t *ret_ms);
/* Also by an answer that came too late for whoever asked, some seconds ago: of a slow file system there are no others. False: nobody knows. */
must_check bool looker_knows_file(struct looker *looker, const char *path, bool *ret_there);
/* For those who ask again later. False: it is not there, or nobody knows. */
bool looker_file_is_there(struct looker *looker, const char *path);

#endif
