/* Writing a data node's new value to a path of the user's own, as the users' code's user. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bailiff/file.h"
#include "jobs/keeper.h"

static bool publish(const struct request *request, struct fault *fault)
{
    const char *name = strrchr(request->path, '/') + 1;
    own(freep) char *folder = xstrndup(request->path, (size_t)(name - request->path));
    /* A name of the greatest length leaves no room for ours; publications come one after the other, so that any will do. */
    own(freep) char *beside = strlen(name) > NAME_MAX - strlen("..bailiff-new")
                                  ? xprintf("%s.bailiff-new", folder)
                                  : xprintf("%s.%s.bailiff-new", folder, name);
    struct stat old;

    if (name[0] == '\0')
        return fault_set(fault, FAULT_INVALID, "%s is no path of a file.", request->path);
    unsigned mode = stat(request->path, &old) == 0 ? old.st_mode & 0777 : 0644;
    unlink(beside); /* of an attempt that was cut short */
    if (!file_copy_durable(request->source, beside, UINT64_MAX, mode, NULL, fault))
        return false;
    if (rename(beside, request->path) < 0) {
        fault_set(fault, FAULT_INVALID, "Cannot replace %s: %s.", request->path, strerror(errno));
        unlink(beside);
        return false;
    }
    return file_sync_folder(folder, fault);
}

void keeper_publish(struct keeper *keeper, const struct request *request)
{
    own(text_done) struct text json = {0};
    struct fault fault = {0};

    bool ok = publish(request, &fault);
    jw_open(&json, '{');
    jw_member_string(&json, "op", "published");
    jw_member_int(&json, "request", request->number);
    jw_member_bool(&json, "ok", ok);
    jw_member_string(&json, "error", ok ? NULL : fault.message);
    jw_close(&json, '}');
    keeper_reply(keeper, &json);
}
