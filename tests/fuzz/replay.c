/* Feeds a fuzz target every file of the folders and files named on the command line: corpora are regression tests too. */
#include <dirent.h>
#include <stdio.h>

#include "bailiff/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned replay_file(const char *path)
{
    own(text_done) struct text content = {0};
    struct fault fault = {0};

    if (!file_read(path, MIB(16), &content, &fault)) {
        fprintf(stderr, "%s\n", fault.message);
        exit(1);
    }
    /* a heap copy of exactly this size, so that a read behind the end is seen */
    own(freep) uint8_t *data = xmalloc(content.len + (content.len == 0));
    if (content.len > 0)
        memcpy(data, content.data, content.len);
    LLVMFuzzerTestOneInput(data, content.len);
    return 1;
}

int main(int argc, char **argv)
{
    unsigned count = 0;

    for (int i = 1; i < argc; i++) {
        DIR *folder = opendir(argv[i]);
        if (!folder)
            continue; /* a target without regressions has no folder for them */
        for (struct dirent *entry; (entry = readdir(folder));) {
            if (entry->d_name[0] == '.')
                continue;
            own(freep) char *path = xprintf("%s/%s", argv[i], entry->d_name);
            count += replay_file(path);
        }
        closedir(folder);
    }
    printf("%u inputs replayed\n", count);
    return count > 0 ? 0 : 1;
}
