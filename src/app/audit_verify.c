/* bailiff audit verify: proves the whole chain of audit records and the seal of its end. */
#include <errno.h>
#include <unistd.h>

#include "app/command.h"
#include "app/config.h"
#include "bailiff/store.h"

static int verify(struct call *call, const char *folder)
{
    struct audit_report report = {0};
    struct fault fault = {0};
    own(freep) char *database = xprintf("%s/bailiff.db", folder);

    if (access(database, F_OK) < 0)
        return call_fail(call, STATUS_FAILED,
                         "%s: %s; give the data folder of a server (store.folder), or a copy of it.", database,
                         strerror(errno));
    if (!store_verify_audit(folder, &report, &fault))
        return call_fail_fault(call, STATUS_FAILED, &fault);
    if (report.records == 0)
        fputs("OK: there are no audit records yet, the end is sealed\n", call->out);
    else
        fprintf(call->out, "OK: %lld audit records, %lld to %lld, the chain is unbroken, the end is sealed\nhead: %s\n",
                (long long)report.records, (long long)report.first_seq, (long long)report.last_seq, report.head);
    return STATUS_OK;
}

static int run(struct call *call)
{
    const char *folder = call_value(call, "store");
    struct problems problems;

    if (folder && call_has(call, "config"))
        return call_fail(call, STATUS_USAGE, "give either --store or --config, not both.");
    if (folder)
        return verify(call, folder);
    own(config_freep) struct config *c = config_load(config_path(call_value(call, "config")), CONFIG_TEXT, &problems);
    if (!c || !c->store.folder)
        problems_print(&problems, call->err);
    problems_done(&problems);
    /* Mistakes elsewhere in the configuration are no reason not to look. */
    return c && c->store.folder ? verify(call, c->store.folder) : STATUS_CONFIG;
}

static const struct command_option VERIFY_OPTIONS[] = {
    {"store", "FOLDER", false, false, "the data folder to look into, instead of the configuration's"},
    CONFIG_OPTION,
};

const struct command COMMAND_AUDIT_VERIFY = {
    .name = "audit verify",
    .summary = "proves that no audit record was changed, removed or moved",
    .about =
        "Recomputes every hash of the chain and the seal of its end, read-only; a server may be running. The seal is\n"
        "made with audit.key in the data folder. Prints the chain's head: the server logs it, too, when it starts\n"
        "and stops; kept elsewhere, it proves the log even to those who do not trust that folder.\n"
        "Exit status: 0 unbroken and sealed, 1 broken, cut off, or unreadable.\n",
    .options = VERIFY_OPTIONS,
    .option_count = ARRAY_LEN(VERIFY_OPTIONS),
    .run = run,
};
