/* Every statement of the store, by name. Prepared once a connection, when it is first needed.
 *
 * The first six columns of the listed tables are the same, so that one list function serves all of them; rows.c reads
 * the others by these positions. */
#ifndef BAILIFF_STORE_SQL_H
#define BAILIFF_STORE_SQL_H

enum common_column { COL_SEQ, COL_ID, COL_CONFIG_ID, COL_OWNER_ID, COL_VERSION, COL_CREATED_AT, COL_COMMON_COUNT };

/* what the partial indexes say, to the letter; a list of statuses here would be a temporary table for each job changed */
#define UNFINISHED "ended_at = 0"

#define TASK_COLUMNS                                                                                            \
    "seq, id, config_id, owner_id, version, created_at, revision, function_module, function_name, parent_ids, " \
    "input_ids, output_ids, skippable, created_by"
/* data node d is unwritten, or will be written by a job earlier than this one */
#define WAITED_FOR(job)                                                                                          \
    "(d.last_edit = 0 OR EXISTS (SELECT 1 FROM data_node_lock AS l WHERE l.data_node_seq = d.seq AND l.job_seq " \
    "< " job "))"
#define JOB_COLUMNS                                                                                                   \
    "seq, id, task_config_id, owner_id, version, created_at, task_id, status, revision, submission_id, force, "       \
    "cancel_requested, attempt, exit_code, signal, started_at, ended_at, worker, progress, submitted_by, error, "     \
    "stacktrace, retries, losses, retry_at, retry_delay, timeout, controls, submitter, CASE WHEN status = 'BLOCKED' " \
    "THEN (SELECT group_concat(id, ' ') FROM (SELECT d.id FROM job_wait AS w JOIN data_node AS d ON d.seq = "         \
    "w.data_node_seq WHERE w.job_seq = job.seq AND " WAITED_FOR("job.seq") " ORDER BY w.data_node_seq LIMIT 16)) END"
/* the editor is the job that will write the data node first */
#define DATA_NODE_COLUMNS                                                                                      \
    "seq, id, config_id, owner_id, version, created_at, revision, name, scope, storage_type, last_edit, "      \
    "validity_period, file, path, properties, (SELECT j.id FROM data_node_lock AS l JOIN job AS j ON j.seq = " \
    "l.job_seq WHERE l.data_node_seq = data_node.seq ORDER BY l.job_seq LIMIT 1)"
/* its status follows from those of its jobs */
#define SUBMISSION_COLUMNS                                                                         \
    "seq, id, entity_config_id, NULL, version, created_at, entity_id, entity_type, submitted_by, " \
    "(SELECT group_concat(j.status, ' ') FROM job AS j WHERE j.submission_id = submission.id)"
/* and here from those that its jobs had at the time of the event */
#define EVENT_COLUMNS                                                                                             \
    "e.seq, e.time, e.status, (SELECT group_concat((SELECT o.status FROM event AS o WHERE o.job_seq = s.seq AND " \
    "o.seq <= e.seq ORDER BY o.seq DESC LIMIT 1), ' ') FROM job AS s WHERE s.submission_id = j.submission_id), "  \
    "e.attempt, "                                                                                                 \
    "e.cancel_requested, j.id, j.task_id, j.task_config_id, j.submission_id, j.owner_id"
#define REVOCATION_COLUMNS "seq, id, issuer, token_id, subject, issued_before, created_at, created_by, reason"
#define AUDIT_COLUMNS                                                                                                \
    "seq, time, outcome, action, target, issuer, subject, token_id, roles, address, request_id, client_request_id, " \
    "method, path, permission, decision_id, reason, detail, status, count, previous, hash, certificate, "            \
    "certificate_subject"

/* What a list of one table asks. Pages by seq: ?1 < seq <= ?2, at most ?3 rows, ?4: the value filtered by. */
#define SEQ_STATEMENTS(X, T, table, columns)                                                                    \
    X(SQL_##T##_MAX_SEQ, "SELECT max(seq) FROM " table)                                                         \
    X(SQL_##T##_CLOCK_BACK, "SELECT min(seq) FROM clock_back WHERE name = '" table "' AND seq >= ?1")           \
    X(SQL_##T##_CLOCK_BACK_DOWN, "SELECT max(seq) FROM clock_back WHERE name = '" table "' AND seq < ?1")       \
    X(SQL_##T##_TIME_AT, "SELECT seq, created_at FROM " table " WHERE seq >= ?1 ORDER BY seq LIMIT 1")          \
    X(SQL_##T##_BY_SEQ, "SELECT " columns " FROM " table " WHERE seq > ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3") \
    X(SQL_##T##_BY_SEQ_DOWN,                                                                                    \
      "SELECT " columns " FROM " table " WHERE seq > ?1 AND seq <= ?2 ORDER BY seq DESC LIMIT ?3")              \
    X(SQL_##T##_BY_ID_UP, "SELECT " columns " FROM " table " WHERE id > ?1 ORDER BY id LIMIT ?2")               \
    X(SQL_##T##_BY_ID_DOWN, "SELECT " columns " FROM " table " WHERE id < ?1 ORDER BY id DESC LIMIT ?2")
/* Of tables with an index of configurations. */
#define LIST_STATEMENTS(X, T, table, columns, config)                                                                  \
    SEQ_STATEMENTS(X, T, table, columns)                                                                               \
    X(SQL_##T##_OF_CONFIG,                                                                                             \
      "SELECT " columns " FROM " table " WHERE " config " = ?4 AND seq > ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3")      \
    X(SQL_##T##_OF_CONFIG_DOWN,                                                                                        \
      "SELECT " columns " FROM " table " WHERE " config " = ?4 AND seq > ?1 AND seq <= ?2 ORDER BY seq DESC LIMIT ?3") \
    X(SQL_##T##_NEXT_CONFIG, "SELECT " config " FROM " table " WHERE " config " > ?1 ORDER BY " config " LIMIT 1")     \
    X(SQL_##T##_NEXT_CONFIG_DOWN,                                                                                      \
      "SELECT " config " FROM " table " WHERE " config " < ?1 ORDER BY " config " DESC LIMIT 1")

/* clang-format off */
#define STATEMENTS(X)                                                                                                  \
    X(SQL_BEGIN_READ, "BEGIN")                                                                                         \
    X(SQL_BEGIN_WRITE, "BEGIN IMMEDIATE")                                                                              \
    X(SQL_COMMIT, "COMMIT")                                                                                            \
    X(SQL_ROLLBACK, "ROLLBACK")                                                                                        \
    X(SQL_SAVEPOINT, "SAVEPOINT change")                                                                               \
    X(SQL_RELEASE, "RELEASE change")                                                                                   \
    X(SQL_ROLLBACK_TO, "ROLLBACK TO change")                                                                           \
    X(SQL_PROBE, "UPDATE meta SET value = value + 1 WHERE name = 'probe'")                                             \
    X(SQL_META_GET, "SELECT value FROM meta WHERE name = ?1")                                                          \
    X(SQL_META_ADD, "INSERT INTO meta (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING")                    \
    X(SQL_META_SET, "INSERT INTO meta (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = "         \
                    "excluded.value")                                                                                  \
    X(SQL_ATTEMPT_SET, "UPDATE meta SET value = ?1 WHERE name = 'attempt'")                                            \
    X(SQL_ATTEMPT_NUMBER, "SELECT value FROM meta WHERE name = 'attempt'")                                             \
    /* ---- tasks ---- */                                                                                              \
    LIST_STATEMENTS(X, TASK, "task", TASK_COLUMNS, "config_id")                                                        \
    X(SQL_TASK_BY_ID, "SELECT " TASK_COLUMNS " FROM task WHERE id = ?1")                                               \
    X(SQL_TASK_TO_REUSE, "SELECT " TASK_COLUMNS                                                                        \
                         " FROM task WHERE config_id = ?1 AND version = ?2 AND owner_id IS NULL ORDER BY seq DESC "    \
                         "LIMIT 1")                                                                                    \
    X(SQL_TASK_ADD, "INSERT INTO task (id, config_id, owner_id, version, created_at, revision, function_module, "      \
                    "function_name, parent_ids, input_ids, output_ids, skippable, created_by) "                        \
                    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)")                                 \
    X(SQL_TASK_DELETE, "DELETE FROM task WHERE seq = ?1")                                                              \
    X(SQL_TASK_IS_BUSY, "SELECT 1 FROM job WHERE task_id = ?1 AND " UNFINISHED " LIMIT 1")                             \
    X(SQL_LINK_ADD, "INSERT INTO task_data_node (task_seq, data_node_seq) VALUES (?1, ?2)")                            \
    X(SQL_LINKED_TOUCH, "UPDATE data_node SET revision = revision + 1 WHERE seq IN "                                   \
                        "(SELECT data_node_seq FROM task_data_node WHERE task_seq = ?1)")                              \
    /* ---- data nodes ---- */                                                                                         \
    LIST_STATEMENTS(X, DATA_NODE, "data_node", DATA_NODE_COLUMNS, "config_id")                                         \
    X(SQL_DATA_NODE_BY_ID, "SELECT " DATA_NODE_COLUMNS " FROM data_node WHERE id = ?1")                                \
    X(SQL_DATA_NODE_SHARED, "SELECT seq, id FROM data_node WHERE config_id = ?1 AND version = ?2 AND owner_id IS "     \
                            "NULL AND scope <> 'SCENARIO'")                                                            \
    X(SQL_DATA_NODE_ADD, "INSERT INTO data_node (id, config_id, owner_id, version, created_at, revision, name, "       \
                         "scope, storage_type, last_edit, validity_period, file, path, properties) "                   \
                         "VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)")                         \
    X(SQL_DATA_NODE_TOUCH, "UPDATE data_node SET revision = revision + 1 WHERE seq = ?1")                              \
    X(SQL_DATA_NODE_WRITTEN, "UPDATE data_node SET revision = revision + 1, last_edit = ?2, file = ?3 WHERE seq = ?1") \
    X(SQL_DATA_NODE_READY, "SELECT last_edit <> 0 AND NOT EXISTS (SELECT 1 FROM data_node_lock WHERE data_node_seq "   \
                           "= seq), seq, last_edit, path FROM data_node WHERE id = ?1")                                \
    X(SQL_DATA_NODE_PARENTS, "SELECT t.id FROM task_data_node AS l JOIN task AS t ON t.seq = l.task_seq "              \
                             "WHERE l.data_node_seq = ?1 ORDER BY l.task_seq LIMIT ?2")                                \
    X(SQL_FILE_IN_USE, "SELECT EXISTS (SELECT 1 FROM data_node WHERE file = ?1) OR "                                   \
                       "EXISTS (SELECT 1 FROM publish_intent WHERE file = ?1)")                                        \
    /* ---- submissions and jobs ---- */                                                                               \
    X(SQL_SUBMISSION_BY_ID, "SELECT " SUBMISSION_COLUMNS " FROM submission WHERE id = ?1")                             \
    X(SQL_SUBMISSION_ADD, "INSERT INTO submission (id, entity_id, entity_type, entity_config_id, version, "            \
                          "submitted_by, created_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")                             \
    X(SQL_SUBMISSION_JOBS, "SELECT id FROM job WHERE submission_id = ?1 ORDER BY seq")                                 \
    X(SQL_SUBMISSION_BY, "UPDATE submission SET submitted_by = ?2 WHERE id = ?1")                                      \
    X(SQL_SUBMISSION_DELETE, "DELETE FROM submission WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM job WHERE "           \
                             "submission_id = ?1)")                                                                    \
    SEQ_STATEMENTS(X, SUBMISSION, "submission", SUBMISSION_COLUMNS)                                                    \
    LIST_STATEMENTS(X, JOB, "job", JOB_COLUMNS, "task_config_id")                                                      \
    X(SQL_JOB_OF_TASK,                                                                                                 \
      "SELECT " JOB_COLUMNS " FROM job WHERE task_id = ?4 AND seq > ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3")           \
    X(SQL_JOB_OF_TASK_DOWN,                                                                                            \
      "SELECT " JOB_COLUMNS " FROM job WHERE task_id = ?4 AND seq > ?1 AND seq <= ?2 ORDER BY seq DESC LIMIT ?3")      \
    X(SQL_JOB_OF_SUBMISSION,                                                                                           \
      "SELECT " JOB_COLUMNS " FROM job WHERE submission_id = ?4 AND seq > ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3")     \
    X(SQL_JOB_OF_SUBMISSION_DOWN, "SELECT " JOB_COLUMNS " FROM job WHERE submission_id = ?4 AND seq > ?1 AND seq <= "  \
                                  "?2 ORDER BY seq DESC LIMIT ?3")                                                     \
    X(SQL_JOB_OF_STATUS, "SELECT " JOB_COLUMNS " FROM job WHERE status = ?4 AND " UNFINISHED                           \
                         " AND seq > ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3")                                          \
    X(SQL_JOB_OF_STATUS_DOWN, "SELECT " JOB_COLUMNS " FROM job WHERE status = ?4 AND " UNFINISHED                      \
                              " AND seq > ?1 AND seq <= ?2 ORDER BY seq DESC LIMIT ?3")                                \
    X(SQL_JOB_BY_ID, "SELECT " JOB_COLUMNS " FROM job WHERE id = ?1")                                                  \
    X(SQL_JOB_AT, "SELECT " JOB_COLUMNS " FROM job WHERE seq = ?1")                                                    \
    X(SQL_JOB_ADD, "INSERT INTO job (id, task_config_id, owner_id, version, created_at, task_id, status, revision, "   \
                   "submission_id, force, submitted_by, issuer, submitter, timeout, controls) VALUES (?1, ?2, ?3, "    \
                   "?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)")                                            \
    X(SQL_LOAD_ADD, "INSERT INTO subject_load (issuer, subject, unfinished) VALUES (?1, ?2, 1) "                       \
                    "ON CONFLICT DO UPDATE SET unfinished = unfinished + 1")                                           \
    X(SQL_LOAD, "SELECT unfinished - EXISTS (SELECT 1 FROM job WHERE seq = ?3 AND issuer = ?1 AND submitted_by = ?2) " \
                "FROM subject_load WHERE issuer = ?1 AND subject = ?2")                                                \
    X(SQL_LOAD_REMOVE, "UPDATE subject_load SET unfinished = unfinished - 1 "                                          \
                       "WHERE (issuer, subject) = (SELECT issuer, submitted_by FROM job WHERE seq = ?1)")              \
    X(SQL_JOB_SET,                                                                                                     \
      "UPDATE job SET status = ?2, revision = ?3, cancel_requested = ?4, attempt = ?5, exit_code = ?6, "               \
      "signal = ?7, started_at = ?8, ended_at = ?9, worker = ?10, error = ?11, stacktrace = ?12, retries "             \
      "= ?13, losses = ?14, retry_at = ?15, retry_delay = ?16 WHERE seq = ?1")                                         \
    X(SQL_JOB_TAKE_OVER, "UPDATE job SET force = ?2, submitted_by = ?3, issuer = ?4, submitter = ?5, timeout = ?6, "   \
                         "controls = ?7 WHERE seq = ?1")                                                               \
    X(SQL_JOB_DELETE, "DELETE FROM job WHERE seq = ?1")                                                                \
    X(SQL_JOB_IS_PUBLISHED, "SELECT 1 FROM publish_intent WHERE job_seq = ?1 LIMIT 1")                                 \
    X(SQL_JOB_EXISTS, "SELECT 1 FROM job WHERE id = ?1")                                                               \
    X(SQL_JOB_SEQS_IN_STATUS, "SELECT seq FROM job WHERE status = ?1 AND " UNFINISHED " ORDER BY seq")                 \
    /* ---- events ---- */                                                                                             \
    X(SQL_EVENT_ADD, "INSERT INTO event (job_seq, time, status, attempt, cancel_requested) VALUES (?1, ?2, ?3, ?4, "   \
                     "?5)")                                                                                            \
    X(SQL_EVENT_ENDS, "SELECT (SELECT min(seq) FROM event), (SELECT max(seq) FROM event)")                             \
    /* those of deleted jobs are looked at, too, so that a step is bounded */                                          \
    X(SQL_EVENTS_FROM,                                                                                                 \
      "SELECT " EVENT_COLUMNS " FROM event AS e LEFT JOIN job AS j ON j.seq = e.job_seq WHERE e.seq > "                \
      "?1 ORDER BY e.seq LIMIT ?2")                                                                                    \
    X(SQL_EVENTS_OF_JOB, "SELECT " EVENT_COLUMNS " FROM event AS e LEFT JOIN job AS j ON j.seq = e.job_seq WHERE "     \
                         "e.job_seq = ?3 AND e.seq > ?1 ORDER BY e.seq LIMIT ?2")                                      \
    X(SQL_EVENTS_FORGET, "DELETE FROM event WHERE job_seq = ?1 AND seq < (SELECT max(seq) FROM event)")                \
    X(SQL_EVENTS_EXPIRE, "DELETE FROM event WHERE seq IN (SELECT seq FROM (SELECT seq, time FROM event ORDER BY seq "  \
                         "LIMIT ?3) WHERE time <= ?1 OR seq <= (SELECT max(seq) FROM event) - ?2) AND seq < (SELECT "  \
                         "max(seq) FROM event)")                                                                       \
    /* ---- who waits for what ---- */                                                                                 \
    X(SQL_LOCK_ADD, "INSERT INTO data_node_lock (data_node_seq, job_seq) VALUES (?1, ?2) ON CONFLICT DO NOTHING")      \
    X(SQL_LOCK_REMOVE, "DELETE FROM data_node_lock WHERE data_node_seq = ?1 AND job_seq = ?2")                         \
    X(SQL_LOCKS_OF_JOB, "SELECT l.data_node_seq, d.id, d.path FROM data_node_lock AS l JOIN data_node AS d "           \
                        "ON d.seq = l.data_node_seq WHERE l.job_seq = ?1 ORDER BY l.data_node_seq")                    \
    X(SQL_LOCKS_LEFT_BEHIND, "SELECT l.data_node_seq, l.job_seq FROM data_node_lock AS l JOIN job AS j "               \
                             "ON j.seq = l.job_seq WHERE NOT j." UNFINISHED " AND NOT EXISTS (SELECT 1 FROM "          \
                             "publish_intent AS p WHERE p.data_node_seq = l.data_node_seq AND p.job_seq = l.job_seq)") \
    X(SQL_WAIT_ADD, "INSERT INTO job_wait (data_node_seq, job_seq) VALUES (?1, ?2) ON CONFLICT DO NOTHING")            \
    X(SQL_WAITS_REMOVE, "DELETE FROM job_wait WHERE job_seq = ?1")                                                     \
    X(SQL_WAITS_LEFT, "SELECT 1 FROM job_wait AS w JOIN data_node AS d ON d.seq = w.data_node_seq WHERE w.job_seq = "  \
                      "?1 AND " WAITED_FOR("?1") " LIMIT 1")                                                           \
    X(SQL_WAITED_PATHS, "SELECT d.seq, d.path FROM job_wait AS w JOIN data_node AS d ON d.seq = w.data_node_seq "      \
                        "WHERE w.job_seq = ?1 AND d.last_edit = 0 AND d.path IS NOT NULL")                             \
    X(SQL_WAITING_FOR, "SELECT job_seq FROM job_wait WHERE data_node_seq = ?1 ORDER BY job_seq")                       \
    /* ?2 failed to write ?1: who came later waits for it, who came earlier only if nobody else will write it */       \
    X(SQL_DEPENDENTS, "SELECT job_seq FROM job_wait WHERE data_node_seq = ?1 AND (job_seq > ?2 OR (EXISTS (SELECT 1 "  \
                      "FROM data_node WHERE seq = ?1 AND last_edit = 0) AND NOT EXISTS (SELECT 1 FROM "                \
                      "data_node_lock WHERE data_node_seq = ?1))) ORDER BY job_seq")                                   \
    X(SQL_INTENT_ADD, "INSERT INTO publish_intent (data_node_seq, job_seq, file) VALUES (?1, ?2, ?3)")                 \
    X(SQL_INTENT_FIND, "SELECT p.seq, p.data_node_seq, p.job_seq FROM publish_intent AS p JOIN data_node AS d ON "     \
                       "d.seq = p.data_node_seq WHERE d.id = ?1 AND p.file = ?2 ORDER BY p.seq LIMIT 1")               \
    X(SQL_INTENT_REMOVE, "DELETE FROM publish_intent WHERE seq = ?1")                                                  \
    X(SQL_INTENTS, "SELECT d.id, p.file, d.path FROM publish_intent AS p JOIN data_node AS d ON d.seq = "              \
                   "p.data_node_seq ORDER BY p.seq")                                                                   \
    X(SQL_FILES_EXPECTED, "SELECT d.seq, d.path FROM data_node AS d INDEXED BY data_node_expected WHERE d.last_edit = " \
                          "0 AND d.path IS NOT NULL AND d.seq > ?1 AND EXISTS (SELECT 1 FROM job_wait AS w WHERE "     \
                          "w.data_node_seq = d.seq) ORDER BY d.seq LIMIT ?2")                                          \
    X(SQL_FILE_EXPECTED, "SELECT path FROM data_node WHERE seq = ?1 AND last_edit = 0 AND path IS NOT NULL")           \
    /* ---- whether anything begins ---- */                                                                            \
    X(SQL_QUEUE_STATE, "SELECT paused, changed_at, changed_by, reason FROM queue WHERE seq = 1")                       \
    X(SQL_QUEUE_PAUSED, "SELECT 1 FROM queue WHERE seq = 1 AND paused = 1")                                            \
    X(SQL_QUEUE_SET, "UPDATE queue SET paused = ?1, changed_at = ?2, changed_by = ?3, reason = ?4 WHERE seq = 1")      \
    /* ---- revocations ---- */                                                                                        \
    X(SQL_REVOCATION_MAX_SEQ, "SELECT max(seq) FROM revocation")                                                       \
    X(SQL_REVOCATIONS_BY_SEQ,                                                                                          \
      "SELECT " REVOCATION_COLUMNS " FROM revocation WHERE seq > ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3")              \
    X(SQL_REVOCATION_BY_ID, "SELECT " REVOCATION_COLUMNS " FROM revocation WHERE id = ?1")                             \
    X(SQL_REVOCATION_OF, "SELECT " REVOCATION_COLUMNS                                                                  \
                         " FROM revocation WHERE coalesce(issuer, '') = coalesce(?1, '') AND coalesce(token_id, '') "  \
                         "= coalesce(?2, '') AND coalesce(subject, '') = coalesce(?3, '')")                            \
    X(SQL_REVOCATION_ADD, "INSERT INTO revocation (id, issuer, token_id, subject, issued_before, created_at, "         \
                          "created_by, reason) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")                               \
    X(SQL_REVOCATION_EXTEND, "UPDATE revocation SET issued_before = ?2 WHERE seq = ?1")                                \
    X(SQL_REVOCATION_DELETE, "DELETE FROM revocation WHERE seq = ?1")                                                  \
    /* ---- audit and idempotency ---- */                                                                              \
    X(SQL_AUDIT_ADD, "INSERT INTO audit (" AUDIT_COLUMNS ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, "    \
                     "?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24)")                               \
    X(SQL_AUDIT_FROM, "SELECT " AUDIT_COLUMNS " FROM audit WHERE seq > ?1 ORDER BY seq LIMIT ?2")                      \
    X(SQL_AUDIT_TAIL, "SELECT " AUDIT_COLUMNS " FROM audit WHERE seq > (SELECT coalesce(max(seq), 0) FROM audit) - "   \
                      "?1 ORDER BY seq")                                                                               \
    /* ---- time ---- */                                                                                               \
    X(SQL_CLOCK_BACK_ADD, "INSERT OR IGNORE INTO clock_back (name, seq) "                                              \
                          "SELECT 'task', max(seq) FROM task HAVING max(seq) IS NOT NULL UNION ALL "                   \
                          "SELECT 'data_node', max(seq) FROM data_node HAVING max(seq) IS NOT NULL UNION ALL "         \
                          "SELECT 'job', max(seq) FROM job HAVING max(seq) IS NOT NULL UNION ALL "                     \
                          "SELECT 'submission', max(seq) FROM submission HAVING max(seq) IS NOT NULL")                 \
    X(SQL_EDITS_SET_BACK, "UPDATE data_node SET revision = revision + 1, last_edit = min(last_edit - ?1, ?2) "         \
                          "WHERE last_edit > ?2")                                                                      \
    X(SQL_ANSWERS_SET_BACK, "UPDATE idempotency SET created_at = min(created_at - ?1, ?2) WHERE created_at > ?2")      \
    X(SQL_ANSWERS_SET_AHEAD, "UPDATE idempotency SET created_at = created_at + ?1")                                    \
    X(SQL_LATEST_TIME, "SELECT max(coalesce((SELECT time FROM audit ORDER BY seq DESC LIMIT 1), 0), "                  \
                       "coalesce((SELECT created_at FROM task ORDER BY seq DESC LIMIT 1), 0), "                        \
                       "coalesce((SELECT created_at FROM data_node ORDER BY seq DESC LIMIT 1), 0), "                   \
                       "coalesce((SELECT created_at FROM job ORDER BY seq DESC LIMIT 1), 0), "                         \
                       "coalesce((SELECT created_at FROM idempotency ORDER BY seq DESC LIMIT 1), 0))")                 \
    X(SQL_ANSWER_BY_KEY, "SELECT request, created_at, status, headers, body FROM idempotency WHERE key = ?1")          \
    X(SQL_ANSWER_ADD, "INSERT OR REPLACE INTO idempotency (key, request, created_at, status, headers, body) "          \
                      "VALUES (?1, ?2, ?3, ?4, ?5, ?6)")                                                               \
    X(SQL_ANSWERS_EXPIRE, "DELETE FROM idempotency WHERE seq IN (SELECT seq FROM (SELECT seq, created_at FROM "        \
                          "idempotency ORDER BY seq LIMIT ?2) WHERE created_at <= ?1)")

/* clang-format on */

#define X(name, text) name,
enum sql { STATEMENTS(X) SQL_COUNT };
#undef X
const char *sql_text(enum sql sql);

#endif
