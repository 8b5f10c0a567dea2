#include "store/stretches.h"

struct stretch stretch_whole(const struct step *step)
{
    return (struct stretch){1, step->at.last_seq};
}

bool stretch_find(struct step *step, struct stretch *ret, struct fault *fault)
{
    const struct list_query *query = step->query;
    struct stretch stretch = stretch_whole(step);
    bool found = false;
    int64_t seq = 0;

    if (query->sort == SORT_CREATED && (query->created_after_ms > 0 || query->created_before_ms > 0)) {
        own(query_done) struct query q = query_begin(step->db, step->table->clock_back[query->descending]);
        query_int(&q, query->descending ? step->at.seq - 1 : step->at.seq + 1);
        if (!query_number(&q, &seq, &found, fault))
            return false;
    }
    if (found && query->descending)
        stretch.first = seq + 1;
    else if (found)
        stretch.last = MIN(seq, stretch.last);
    *ret = stretch;
    return true;
}

/* The first row from *seq on; INT64_MAX: there is none up to `last`. */
static bool row_time_at(struct step *step, int64_t *seq, int64_t last, int64_t *ret_time_ms, struct fault *fault)
{
    own(query_done) struct query q = query_begin(step->db, step->table->time_at);

    query_int(&q, *seq);
    switch (query_step(&q)) {
    case QUERY_ROW:
        *seq = query_column_int(&q, 0);
        *ret_time_ms = *seq <= last ? query_column_int(&q, 1) : INT64_MAX;
        return true;
    case QUERY_DONE:
        *ret_time_ms = INT64_MAX;
        return true;
    default:
        return query_fault(&q, fault);
    }
}

/* The lowest seq from `first` to `last` whose row, or the first row behind it, was created at or after time_ms; else last + 1. */
static bool seek_time(struct step *step, int64_t first, int64_t last, int64_t time_ms, int64_t *ret_seq,
                      struct fault *fault)
{
    int64_t low = first, high = last + 1; /* the answer is in [low, high] */

    while (low < high) {
        int64_t middle = low + (high - low) / 2, seq = middle, row_ms = 0;
        if (!row_time_at(step, &seq, last, &row_ms, fault))
            return false;
        if (row_ms >= time_ms)
            high = middle;
        else
            low = seq + 1;
    }
    *ret_seq = high;
    return true;
}

bool stretch_enter(struct step *step, const struct stretch *stretch, struct fault *fault)
{
    const struct list_query *query = step->query;
    struct list_position *at = &step->at;
    int64_t seq;

    if (query->sort != SORT_CREATED)
        return true;
    if (query->descending && query->created_before_ms > 0)
        return seek_time(step, stretch->first, at->seq - 1, query->created_before_ms, &at->seq, fault);
    if (!query->descending && query->created_after_ms > 0) {
        if (!seek_time(step, at->seq + 1, stretch->last, query->created_after_ms + 1, &seq, fault))
            return false;
        at->seq = seq - 1;
    }
    return true;
}

void stretch_leave(struct step *step, const struct stretch *stretch)
{
    struct list_position *at = &step->at;

    if (step->left > 0)
        step->left--;
    at->seq = step->query->descending ? stretch->first : stretch->last;
    at->ended = step->query->descending ? stretch->first <= 1 : stretch->last >= at->last_seq;
}
