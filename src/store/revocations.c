/* Revoked tokens. */
#include "store/reader.h"
#include "store/schema.h"
#include "store/txn.h"

static void row_revocation(struct query *q, struct arena *arena, struct revocation *ret)
{
    *ret = (struct revocation){
        .seq = query_column_int(q, 0),
        .id = query_column_text(q, 1, arena),
        .issuer = query_column_text(q, 2, arena),
        .token_id = query_column_text(q, 3, arena),
        .subject = query_column_text(q, 4, arena),
        .issued_before_s = query_column_int(q, 5),
        .created_at_ms = query_column_int(q, 6),
        .created_by = query_column_text(q, 7, arena),
        .reason = query_column_text(q, 8, arena),
    };
}

/* ---- changes ---- */

static bool find_same(struct store_txn *txn, const struct revocation *what, struct arena *arena, struct revocation *ret,
                      bool *ret_found, struct fault *fault)
{
    own(query_done) struct query q = query_begin(txn->db, SQL_REVOCATION_OF);

    query_text(&q, what->issuer);
    query_text(&q, what->token_id);
    query_text(&q, what->subject);
    switch (query_step(&q)) {
    case QUERY_ROW:
        row_revocation(&q, arena, ret);
        *ret_found = true;
        return true;
    case QUERY_DONE:
        *ret_found = false;
        return true;
    default:
        return query_fault(&q, fault);
    }
}

static bool insert(struct store_txn *txn, const struct revocation *what, struct arena *arena, struct revocation *ret,
                   struct fault *fault)
{
    own(query_done) struct query q = query_begin(txn->db, SQL_REVOCATION_ADD);
    struct revocation made = *what;
    char id[ENTITY_ID_SIZE];

    entity_id_make(txn->ids, "REVOCATION", NULL, id);
    made.id = arena_strdup(arena, id);
    made.created_at_ms = txn->now_ms;
    query_text(&q, made.id);
    query_text(&q, made.issuer);
    query_text(&q, made.token_id);
    query_text(&q, made.subject);
    query_int(&q, made.issued_before_s);
    query_int(&q, made.created_at_ms);
    query_text(&q, made.created_by);
    query_text(&q, made.reason);
    if (!query_run_one(&q, fault))
        return false;
    made.seq = sqlite3_last_insert_rowid(txn->db->handle);
    *ret = made;
    return true;
}

/* 0 is for ever. */
static int64_t further(int64_t a_s, int64_t b_s)
{
    return a_s == 0 || b_s == 0 ? 0 : MAX(a_s, b_s);
}

static bool extend(struct store_txn *txn, struct revocation *row, int64_t issued_before_s, struct fault *fault)
{
    own(query_done) struct query q = query_begin(txn->db, SQL_REVOCATION_EXTEND);

    row->issued_before_s = further(row->issued_before_s, issued_before_s);
    query_int(&q, row->seq);
    query_int(&q, row->issued_before_s);
    return query_run_one(&q, fault);
}

bool txn_revoke(struct store_txn *txn, const struct scope *scope, const struct revocation *what, struct arena *arena,
                struct revocation *ret, bool *ret_new, struct fault *fault)
{
    struct revocation row;
    bool found;

    if (!scope_allows(scope, NULL))
        return fault_set(fault, FAULT_FORBIDDEN, "Tokens may be revoked by those only who may see everything.");
    if (!find_same(txn, what, arena, &row, &found, fault) ||
        !(found ? extend(txn, &row, what->issued_before_s, fault) : insert(txn, what, arena, &row, fault)))
        return false;
    *ret = row;
    *ret_new = !found;
    return true;
}

static bool find_by_id(struct database *db, const char *id, struct arena *arena, struct revocation *ret,
                       struct fault *fault)
{
    own(query_done) struct query q = query_begin(db, SQL_REVOCATION_BY_ID);

    query_text(&q, id);
    switch (query_step(&q)) {
    case QUERY_ROW:
        row_revocation(&q, arena, ret);
        return true;
    case QUERY_DONE:
        return fault_set(fault, FAULT_NOT_FOUND, "Revocation: %s does not exist.", id);
    default:
        return query_fault(&q, fault);
    }
}

bool txn_unrevoke(struct store_txn *txn, const struct scope *scope, const char *id, struct arena *arena,
                  struct revocation *ret, struct fault *fault)
{
    struct revocation row;

    if (!scope_allows(scope, NULL))
        return fault_set(fault, FAULT_NOT_FOUND, "Revocation: %s does not exist.", id);
    if (!find_by_id(txn->db, id, arena, &row, fault))
        return false;
    own(query_done) struct query q = query_begin(txn->db, SQL_REVOCATION_DELETE);
    query_int(&q, row.seq);
    if (!query_run_one(&q, fault))
        return false;
    *ret = row;
    return true;
}

/* ---- lists ---- */

static bool read_last_seq(struct database *db, int64_t *ret, struct fault *fault)
{
    own(query_done) struct query q = query_begin(db, SQL_REVOCATION_MAX_SEQ);
    bool found;

    *ret = 0;
    return query_number(&q, ret, &found, fault);
}

static bool is_wanted(const struct list_query *query, const struct revocation *row)
{
    return (query->created_after_ms == 0 || row->created_at_ms > query->created_after_ms) &&
           (query->created_before_ms == 0 || row->created_at_ms < query->created_before_ms);
}

static bool list_step(struct database *db, const struct list_query *query, struct list_position *position,
                      size_t rows_max, struct arena *arena, struct revocation *ret_rows, size_t *ret_count,
                      struct fault *fault)
{
    struct list_position at = *position;
    enum query_result result;
    size_t looked = 0, count = 0;

    if (!at.started && !read_last_seq(db, &at.last_seq, fault))
        return false;
    at.started = true;
    own(query_done) struct query q = query_begin(db, SQL_REVOCATIONS_BY_SEQ);
    query_int(&q, at.seq);
    query_int(&q, at.last_seq);
    query_int(&q, (int64_t)rows_max);
    while ((result = query_step(&q)) == QUERY_ROW && looked < rows_max) {
        row_revocation(&q, arena, &ret_rows[count]);
        at.seq = ret_rows[count].seq;
        count += is_wanted(query, &ret_rows[count]);
        looked++;
    }
    if (result == QUERY_ERROR)
        return query_fault(&q, fault);
    at.ended = looked < rows_max || at.seq >= at.last_seq;
    *position = at;
    *ret_count = count;
    return true;
}

bool store_list_revocations(struct store_reader *reader, const struct scope *scope, const struct list_query *query,
                            struct list_position *position, size_t rows_max, struct arena *arena,
                            struct revocation *ret_rows, size_t *ret_count, struct fault *fault)
{
    if (!scope_allows(scope, NULL)) {
        position->started = position->ended = true;
        *ret_count = 0;
        return true;
    }
    return reader_enter(reader, fault) &&
           list_step(reader->db, query, position, rows_max, arena, ret_rows, ret_count, fault);
}

bool store_each_revocation(const char *folder, void (*each)(void *arg, const struct revocation *row), void *arg,
                           struct fault *fault)
{
    enum { STEP = 256 };
    own(freep) char *path = xprintf("%s/bailiff.db", folder);
    own(database_closep) struct database *db = NULL;
    static const struct list_query all = {.status = -1};
    struct list_position position = {0};
    struct revocation rows[STEP];

    if (!database_open(path, DATABASE_READ, &db, fault) || !schema_require(db, &SCHEMA, path, fault))
        return false;
    while (!position.ended) {
        own(arena_done) struct arena arena = {0};
        size_t count = 0;
        if (!list_step(db, &all, &position, STEP, &arena, rows, &count, fault))
            return false;
        for (size_t i = 0; i < count; i++)
            each(arg, &rows[i]);
    }
    return true;
}
