#include "store/reader.h"

#include "bailiff/clock.h"
#include "store/answers.h"
#include "store/rows.h"
#include "store/store.h"

bool store_reader_open(struct store *store, struct store_reader **ret_reader, struct fault *fault)
{
    struct database *db;

    if (!database_open(store->path, DATABASE_READ, &db, fault))
        return false;
    struct store_reader *reader = xcalloc(1, sizeof(*reader));
    reader->db = db;
    reader->idempotency_ttl_s = writer_idempotency_ttl_s(store->writer);
    *ret_reader = reader;
    return true;
}

void store_reader_free(struct store_reader *reader)
{
    if (!reader)
        return;
    store_reader_turn_end(reader);
    database_close(reader->db);
    free(reader);
}

bool reader_enter(struct store_reader *reader, struct fault *fault)
{
    if (!reader->in_turn)
        reader->in_turn = database_run(reader->db, SQL_BEGIN_READ, fault);
    return reader->in_turn;
}

void store_reader_turn_end(struct store_reader *reader)
{
    if (!reader->in_turn)
        return;
    reader->in_turn = false;
    if (!sqlite3_get_autocommit(reader->db->handle)) /* SQLite ends it itself when the disk fails */
        (void)!database_run(reader->db, SQL_COMMIT, &(struct fault){0});
}

bool store_find_task(struct store_reader *reader, const struct scope *scope, const char *id, struct arena *arena,
                     struct task *ret_task, struct fault *fault)
{
    return reader_enter(reader, fault) && find_task(reader->db, scope, id, arena, ret_task, fault);
}

bool store_find_job(struct store_reader *reader, const struct scope *scope, const char *id, struct arena *arena,
                    struct job *ret_job, struct fault *fault)
{
    return reader_enter(reader, fault) && find_job(reader->db, scope, id, arena, ret_job, fault);
}

bool store_find_submission(struct store_reader *reader, const struct scope *scope, const char *id, struct arena *arena,
                           struct submission *ret_submission, struct fault *fault)
{
    return reader_enter(reader, fault) && find_submission(reader->db, scope, id, arena, ret_submission, fault);
}

bool store_find_data_node(struct store_reader *reader, const struct scope *scope, const char *id, struct arena *arena,
                          struct data_node *ret_data_node, struct fault *fault)
{
    return reader_enter(reader, fault) && find_data_node(reader->db, scope, id, arena, ret_data_node, fault);
}

bool store_find_answer(struct store_reader *reader, const uint8_t key[static 32], struct arena *arena,
                       uint8_t ret_request[static 32], struct stored_answer *ret_answer, struct fault *fault)
{
    bool found = false;

    if (!reader_enter(reader, fault) || !answer_find(reader->db, key, clock_wall_ms(), reader->idempotency_ttl_s, arena,
                                                     ret_request, ret_answer, &found, fault))
        return false;
    return found || fault_set(fault, FAULT_NOT_FOUND, "No answer is kept for this Idempotency-Key.");
}

bool store_file_in_use(struct store_reader *reader, const char *file, bool *ret_in_use, struct fault *fault)
{
    if (!reader_enter(reader, fault))
        return false;
    own(query_done) struct query q = query_begin(reader->db, SQL_FILE_IN_USE);
    int64_t in_use = 1;
    bool found;

    query_text(&q, file);
    if (!query_number(&q, &in_use, &found, fault))
        return false;
    *ret_in_use = in_use != 0;
    return true;
}

bool store_job_exists(struct store_reader *reader, const char *id, bool *ret_exists, struct fault *fault)
{
    if (!reader_enter(reader, fault))
        return false;
    own(query_done) struct query q = query_begin(reader->db, SQL_JOB_EXISTS);
    int64_t one;

    query_text(&q, id);
    return query_number(&q, &one, ret_exists, fault);
}

bool store_next_pending(struct store_reader *reader, int64_t after_seq, size_t max, struct arena *arena,
                        struct job *ret_rows, size_t *ret_count, struct fault *fault)
{
    if (!reader_enter(reader, fault))
        return false;
    own(query_done) struct query q = query_begin(reader->db, SQL_JOB_OF_STATUS);
    enum query_result result;
    size_t count = 0;

    query_int(&q, after_seq);
    query_int(&q, INT64_MAX);
    query_int(&q, (int64_t)max);
    query_text(&q, job_status_name(JOB_PENDING));
    while ((result = query_step(&q)) == QUERY_ROW && count < max)
        if (!row_job(&q, arena, &ret_rows[count++], fault))
            return false;
    if (result == QUERY_ERROR)
        return query_fault(&q, fault);
    *ret_count = count;
    return true;
}

bool store_publish_intents(struct store_reader *reader, struct arena *arena, struct publish_intent **ret_rows,
                           size_t *ret_count, struct fault *fault)
{
    if (!reader_enter(reader, fault))
        return false;
    own(query_done) struct query q = query_begin(reader->db, SQL_INTENTS);
    own(freep) struct publish_intent *rows = NULL;
    enum query_result result;
    size_t count = 0, cap = 0;

    while ((result = query_step(&q)) == QUERY_ROW) {
        if (count == cap) {
            cap = cap ? 2 * cap : 8;
            rows = xrealloc(rows, cap * sizeof(*rows));
        }
        rows[count++] = (struct publish_intent){query_column_text(&q, 0, arena), query_column_text(&q, 1, arena),
                                                query_column_text(&q, 2, arena)};
    }
    if (result == QUERY_ERROR)
        return query_fault(&q, fault);
    *ret_rows = arena_alloc(arena, count * sizeof(*rows));
    if (count > 0)
        memcpy(*ret_rows, rows, count * sizeof(*rows));
    *ret_count = count;
    return true;
}
