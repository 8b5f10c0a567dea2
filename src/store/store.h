/* The store's own parts. */
#ifndef BAILIFF_STORE_STORE_H
#define BAILIFF_STORE_STORE_H

#include "bailiff/store.h"
#include "store/writer.h"

enum { STORE_SECRET_SIZE = 32 };

struct store {
    char *path; /* of the database */
    int lock_fd;
    uint8_t secret[STORE_SECRET_SIZE];
    struct looker *looker;
    struct writer *writer;
};

#endif
