/* A disk between SQLite and the real one that fails when it is told to: the n-th write, sync, … of the database or its log. */
#ifndef STORE_FAULTY_DISK_H
#define STORE_FAULTY_DISK_H

#include <errno.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

enum { DISK_READ = 1, DISK_WRITE = 2, DISK_SYNC = 4, DISK_TRUNCATE = 8, DISK_SIZE = 16, DISK_LOCK = 32 };
enum disk_file { DISK_DATABASE, DISK_LOG };

static struct {
    atomic_int calls, file, rc;
    atomic_long countdown; /* the call that fails; 0: none */
    atomic_bool stays;     /* and all behind it */
    atomic_long failed;
} faulty_disk;

static inline void faulty_disk_arm(int calls, enum disk_file file, int rc, long nth, bool stays)
{
    faulty_disk.calls = calls;
    faulty_disk.file = file;
    faulty_disk.rc = rc;
    faulty_disk.stays = stays;
    faulty_disk.failed = 0;
    faulty_disk.countdown = nth;
}

/* How many calls have failed. */
static inline long faulty_disk_disarm(void)
{
    faulty_disk.countdown = 0;
    return faulty_disk.failed;
}

/* Several kinds may be told; each then says what fails of it, whatever rc is. */
static int faulty_disk_reason(int call)
{
    bool one = (faulty_disk.calls & (faulty_disk.calls - 1)) == 0;

    return one ? faulty_disk.rc : call == DISK_SYNC ? SQLITE_IOERR_FSYNC : SQLITE_IOERR_WRITE;
}

static int faulty_disk_judge(int call, int file)
{
    long left = faulty_disk.countdown;

    if (left == 0 || !(faulty_disk.calls & call) || faulty_disk.file != file)
        return SQLITE_OK;
    if (left > 1) {
        atomic_compare_exchange_strong(&faulty_disk.countdown, &left, left - 1);
        return SQLITE_OK;
    }
    if (!faulty_disk.stays)
        faulty_disk.countdown = 0;
    faulty_disk.failed++;
    return faulty_disk_reason(call);
}

/* ---- SQLite's side ---- */
struct faulty_file {
    sqlite3_file base;
    int kind; /* enum disk_file; -1: never fails */
    sqlite3_file *real;
};
#define REAL(f) (((struct faulty_file *)(f))->real)
#define FAULTY(call, f, forward)                                           \
    do {                                                                   \
        int rc = faulty_disk_judge(call, ((struct faulty_file *)f)->kind); \
        return rc != SQLITE_OK ? rc : REAL(f)->pMethods->forward;          \
    } while (0)

static int faulty_close(sqlite3_file *f)
{
    return REAL(f)->pMethods->xClose(REAL(f));
}
static int faulty_read(sqlite3_file *f, void *out, int n, sqlite3_int64 at)
{
    FAULTY(DISK_READ, f, xRead(REAL(f), out, n, at));
}
static int faulty_write(sqlite3_file *f, const void *data, int n, sqlite3_int64 at)
{
    FAULTY(DISK_WRITE, f, xWrite(REAL(f), data, n, at));
}
static int faulty_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    FAULTY(DISK_TRUNCATE, f, xTruncate(REAL(f), size));
}
static int faulty_sync(sqlite3_file *f, int flags)
{
    FAULTY(DISK_SYNC, f, xSync(REAL(f), flags));
}
static int faulty_size(sqlite3_file *f, sqlite3_int64 *ret)
{
    FAULTY(DISK_SIZE, f, xFileSize(REAL(f), ret));
}
static int faulty_lock(sqlite3_file *f, int lock)
{
    return REAL(f)->pMethods->xLock(REAL(f), lock);
}
static int faulty_unlock(sqlite3_file *f, int lock)
{
    return REAL(f)->pMethods->xUnlock(REAL(f), lock);
}
static int faulty_is_locked(sqlite3_file *f, int *ret)
{
    return REAL(f)->pMethods->xCheckReservedLock(REAL(f), ret);
}
static int faulty_control(sqlite3_file *f, int op, void *arg)
{
    int rc = REAL(f)->pMethods->xFileControl(REAL(f), op, arg);

    if (op == SQLITE_FCNTL_LAST_ERRNO && faulty_disk.failed > 0 && faulty_disk.file == ((struct faulty_file *)f)->kind)
        *(int *)arg = EIO;
    return rc;
}
static int faulty_sector(sqlite3_file *f)
{
    return REAL(f)->pMethods->xSectorSize(REAL(f));
}
static int faulty_traits(sqlite3_file *f)
{
    return REAL(f)->pMethods->xDeviceCharacteristics(REAL(f));
}
static int faulty_shm_map(sqlite3_file *f, int region, int size, int extend, void volatile **ret)
{
    return REAL(f)->pMethods->xShmMap(REAL(f), region, size, extend, ret);
}
static int faulty_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
    if (flags & SQLITE_SHM_UNLOCK)
        return REAL(f)->pMethods->xShmLock(REAL(f), offset, n, flags);
    FAULTY(DISK_LOCK, f, xShmLock(REAL(f), offset, n, flags));
}
static void faulty_shm_barrier(sqlite3_file *f)
{
    REAL(f)->pMethods->xShmBarrier(REAL(f));
}
static int faulty_shm_unmap(sqlite3_file *f, int remove)
{
    return REAL(f)->pMethods->xShmUnmap(REAL(f), remove);
}

static int faulty_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *ret_flags)
{
    static const sqlite3_io_methods METHODS = {
        .iVersion = 2,
        .xClose = faulty_close,
        .xRead = faulty_read,
        .xWrite = faulty_write,
        .xTruncate = faulty_truncate,
        .xSync = faulty_sync,
        .xFileSize = faulty_size,
        .xLock = faulty_lock,
        .xUnlock = faulty_unlock,
        .xCheckReservedLock = faulty_is_locked,
        .xFileControl = faulty_control,
        .xSectorSize = faulty_sector,
        .xDeviceCharacteristics = faulty_traits,
        .xShmMap = faulty_shm_map,
        .xShmLock = faulty_shm_lock,
        .xShmBarrier = faulty_shm_barrier,
        .xShmUnmap = faulty_shm_unmap,
    };
    struct faulty_file *file = (struct faulty_file *)f;
    sqlite3_vfs *real = vfs->pAppData;

    file->real = (sqlite3_file *)(file + 1);
    file->kind = flags & SQLITE_OPEN_MAIN_DB ? DISK_DATABASE : flags & SQLITE_OPEN_WAL ? DISK_LOG : -1;
    int rc = real->xOpen(real, name, file->real, flags, ret_flags);
    f->pMethods = file->real->pMethods ? &METHODS : NULL;
    return rc;
}

/* Every database that is opened from here on lies on it. */
static inline int faulty_disk_install(void)
{
    static sqlite3_vfs vfs;
    sqlite3_vfs *real = sqlite3_vfs_find(NULL);

    vfs = *real;
    vfs.zName = "faulty";
    vfs.szOsFile = (int)sizeof(struct faulty_file) + real->szOsFile;
    vfs.pAppData = real;
    vfs.xOpen = faulty_open;
    return sqlite3_vfs_register(&vfs, 1) == SQLITE_OK ? 0 : -1;
}

#endif
