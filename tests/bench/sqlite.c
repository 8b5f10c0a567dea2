/* What SQLite alone can do: the rows of created tasks, with their audit records, in durable transactions of a fixed size.
 * Nothing is hashed, nothing is answered.
 *
 * usage: bench_sqlite DATABASE SECONDS BATCH DATA-NODES
 * DATABASE is a copy of bailiff's own, DATA-NODES what each task has of its own. Prints {"tasks": N, "seconds": S}. */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sqlite3.h>

static const char TASK_ADD[] =
    "INSERT INTO task (id, config_id, owner_id, version, created_at, revision, function_module, function_name, "
    "parent_ids, input_ids, output_ids, skippable, created_by) VALUES (?1, 'noop', NULL, 'development', 1, 1, 'fns', "
    "'noop', '', ?2, ?2, 0, 'bench')";
static const char DATA_NODE_ADD[] =
    "INSERT INTO data_node (id, config_id, owner_id, version, created_at, revision, name, scope, storage_type, "
    "last_edit, validity_period, file, path, properties) VALUES (?1, 'nb', NULL, 'development', 1, 1, NULL, "
    "'SCENARIO', 'pickle', 1, 0, NULL, NULL, '{}')";
static const char LINK_ADD[] = "INSERT INTO task_data_node (task_seq, data_node_seq) VALUES (?1, ?2)";
static const char AUDIT_ADD[] =
    "INSERT INTO audit (seq, time, outcome, action, target, issuer, subject, token_id, roles, address, request_id, "
    "client_request_id, method, path, permission, decision_id, reason, detail, status, count, previous, hash) VALUES "
    "(?1, 1, 'done', 'task.create', ?2, 'https://rs.example.com', 'bench', '11111111-1111-4111-8111-111111111111', "
    "'TAIPY_EDITOR', '127.0.0.1', '01890000-0000-7000-8000-000000000000', NULL, 'POST', '/api/v1/tasks/', "
    "'tasks:create', '01890000-0000-7000-8000-000000000001', 'TAIPY_EDITOR', NULL, 201, 1, zeroblob(32), "
    "zeroblob(32))";

enum { ID_SIZE = 64 };

struct run {
    sqlite3 *db;
    sqlite3_stmt *task, *data_node, *link, *audit;
    long long audit_seq;
    unsigned data_nodes;
    unsigned char id_group[4]; /* ids of one transaction begin alike, as the store's do */
};

static void check(struct run *r, int ok)
{
    if (!ok)
        errx(1, "SQLite: %s", sqlite3_errmsg(r->db));
}

static void execute(struct run *r, const char *sql)
{
    check(r, sqlite3_exec(r->db, sql, NULL, NULL, NULL) == SQLITE_OK);
}

static sqlite3_stmt *prepare(struct run *r, const char *sql)
{
    sqlite3_stmt *statement = NULL;

    check(r, sqlite3_prepare_v2(r->db, sql, -1, &statement, NULL) == SQLITE_OK);
    return statement;
}

static void run(struct run *r, sqlite3_stmt *statement)
{
    check(r, sqlite3_step(statement) == SQLITE_DONE);
    sqlite3_reset(statement);
}

static void id_make(const struct run *r, const char *kind, char out[static ID_SIZE])
{
    unsigned char b[16];

    sqlite3_randomness(sizeof(b), b);
    memcpy(b, r->id_group, sizeof(r->id_group));
    snprintf(out, ID_SIZE, "%s_noop_%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", kind, b[0],
             b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

static void create_task(struct run *r)
{
    long long nodes[8] = {0};
    char id[ID_SIZE], node_id[ID_SIZE] = "";

    for (unsigned i = 0; i < r->data_nodes; i++) {
        id_make(r, "DATANODE", node_id);
        sqlite3_bind_text(r->data_node, 1, node_id, -1, SQLITE_STATIC);
        run(r, r->data_node);
        nodes[i] = sqlite3_last_insert_rowid(r->db);
    }
    id_make(r, "TASK", id);
    sqlite3_bind_text(r->task, 1, id, -1, SQLITE_STATIC);
    sqlite3_bind_text(r->task, 2, node_id, -1, SQLITE_STATIC);
    run(r, r->task);
    long long task = sqlite3_last_insert_rowid(r->db);
    for (unsigned i = 0; i < r->data_nodes; i++) {
        sqlite3_bind_int64(r->link, 1, task);
        sqlite3_bind_int64(r->link, 2, nodes[i]);
        run(r, r->link);
    }
    sqlite3_bind_int64(r->audit, 1, ++r->audit_seq);
    sqlite3_bind_text(r->audit, 2, id, -1, SQLITE_STATIC);
    run(r, r->audit);
}

static double now_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    struct run r = {0};

    if (argc != 5)
        errx(2, "usage: bench_sqlite DATABASE SECONDS BATCH DATA-NODES");
    double seconds = atof(argv[2]), begin, spent;
    unsigned batch = (unsigned)atoi(argv[3]);
    unsigned long tasks = 0;
    r.data_nodes = (unsigned)atoi(argv[4]);
    if (seconds <= 0 || batch < 1 || r.data_nodes > 8)
        errx(2, "SECONDS and BATCH must be above 0, DATA-NODES at most 8");

    check(&r, sqlite3_open_v2(argv[1], &r.db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) == SQLITE_OK);
    /* as the store's writer has them */
    execute(&r, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; "
                "PRAGMA wal_autocheckpoint = 250; PRAGMA cache_size = -32768");
    sqlite3_stmt *last = prepare(&r, "SELECT coalesce(max(seq), 0) FROM audit");
    check(&r, sqlite3_step(last) == SQLITE_ROW);
    r.audit_seq = sqlite3_column_int64(last, 0);
    sqlite3_finalize(last);
    r.task = prepare(&r, TASK_ADD);
    r.data_node = prepare(&r, DATA_NODE_ADD);
    r.link = prepare(&r, LINK_ADD);
    r.audit = prepare(&r, AUDIT_ADD);

    begin = now_s();
    do {
        execute(&r, "BEGIN IMMEDIATE");
        sqlite3_randomness(sizeof(r.id_group), r.id_group);
        for (unsigned i = 0; i < batch; i++)
            create_task(&r);
        execute(&r, "COMMIT");
        tasks += batch;
        spent = now_s() - begin;
    } while (spent < seconds);
    printf("{\"tasks\": %lu, \"seconds\": %.3f}\n", tasks, spent);
    return 0;
}
