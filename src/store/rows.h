/* Rows into structs. Each reads the columns that sql.h names; strings are copied into the arena. */
#ifndef BAILIFF_STORE_ROWS_H
#define BAILIFF_STORE_ROWS_H

#include "bailiff/store.h"
#include "store/database.h"

enum { PARENTS_MAX = 1000 }; /* ids told of a data node's parents */

/* INTERNAL if a row holds what we never write: somebody else did. */
must_check bool row_task(struct query *q, struct arena *arena, struct task *ret, struct fault *fault);
must_check bool row_job(struct query *q, struct arena *arena, struct job *ret, struct fault *fault);
must_check bool row_data_node(struct query *q, struct arena *arena, struct data_node *ret, struct fault *fault);
/* From the statuses of its jobs, with blanks between them. */
must_check bool submission_status_read(struct span statuses, enum submission_status *ret);
must_check bool row_submission(struct query *q, struct arena *arena, struct submission *ret, struct fault *fault);
must_check bool row_audit(struct query *q, struct arena *arena, struct audit_record *ret_record,
                          uint8_t ret_previous[static AUDIT_HASH_SIZE], uint8_t ret_hash[static AUDIT_HASH_SIZE],
                          struct fault *fault);

/* One row by its id, with what belongs to it; NOT_FOUND in Taipy's words. What the scope does not allow is not found either. */
must_check bool find_task(struct database *db, const struct scope *scope, const char *id, struct arena *arena,
                          struct task *ret, struct fault *fault);
must_check bool find_job(struct database *db, const struct scope *scope, const char *id, struct arena *arena,
                         struct job *ret, struct fault *fault);
must_check bool find_job_by_seq(struct database *db, int64_t seq, struct arena *arena, struct job *ret,
                                struct fault *fault);
must_check bool find_data_node(struct database *db, const struct scope *scope, const char *id, struct arena *arena,
                               struct data_node *ret, struct fault *fault);
must_check bool find_submission(struct database *db, const struct scope *scope, const char *id, struct arena *arena,
                                struct submission *ret, struct fault *fault);
/* Fills ret->parent_ids of a data node that was read. */
must_check bool data_node_read_parents(struct database *db, struct arena *arena, struct data_node *ret,
                                       struct fault *fault);

/* Fills ret->job_ids and revision of a submission that was read. */
must_check bool submission_read_jobs(struct database *db, struct arena *arena, struct submission *ret,
                                     struct fault *fault);

/* Lists of ids are texts separated by single spaces. */
struct id_list id_list_split(struct span text, struct arena *arena);
const char *id_list_join(const struct id_list *list, struct arena *arena);
/* All rows' first column as texts. */
must_check bool query_id_list(struct query *q, struct arena *arena, struct id_list *ret, struct fault *fault);

#endif
