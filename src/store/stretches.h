/* One step of a list, and the stretches of seq that it goes through: created_at rises with seq, so that a time is found by bisection;
 * where the clock was set back a new stretch begins, and each stretch is looked at for itself. */
#ifndef BAILIFF_STORE_STRETCHES_H
#define BAILIFF_STORE_STRETCHES_H

#include "bailiff/store.h"
#include "store/database.h"

struct table { /* the statements of one kind of row; [1]: descending */
    enum sql max_seq, time_at;
    enum sql clock_back[2], by_seq[2], by_id[2];
    bool by_config; /* there is an index of configurations, and these: */
    enum sql of_config[2], next_config[2];
};
struct step { /* one call */
    struct database *db;
    const struct table *table;
    const struct scope *scope;
    const struct list_query *query;
    struct list_position at;
    size_t left; /* rows that may still be looked at */
    /* Is the current row wanted? Fills the next result if it is. */
    bool (*take)(struct step *step, struct query *row, struct fault *fault);
    struct arena *arena;
    void *rows;
    size_t count;
};

struct stretch { /* of seq: created_at rises in it */
    int64_t first, last;
};
struct stretch stretch_whole(const struct step *step); /* all of the list */
/* The stretch of the row that comes next; without times to look for, all is one. */
must_check bool stretch_find(struct step *step, struct stretch *ret, struct fault *fault);
/* Passes over the rows of a stretch that come before the first one whose time is wanted. */
must_check bool stretch_enter(struct step *step, const struct stretch *stretch, struct fault *fault);
/* On to the next one, or to the end of the list. Counts as one row looked at. */
void stretch_leave(struct step *step, const struct stretch *stretch);

#endif
