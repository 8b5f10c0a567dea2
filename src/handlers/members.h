/* Entities as JSON, by tables: one row a member. Rendering, ?fields= and both wires come from the same row. */
#ifndef BAILIFF_HANDLERS_MEMBERS_H
#define BAILIFF_HANDLERS_MEMBERS_H

#include "bailiff/http.h"
#include "bailiff/model.h"
#include "bailiff/store.h"

struct member {
    const char *name;
    bool ours; /* not Taipy's: left out in wire taipy */
    void (*put)(struct text *out, const void *entity, enum wire wire);
};
struct member_table {
    const struct member *items;
    size_t count; /* at most 64 */
};
extern const struct member_table TASK_MEMBERS, JOB_MEMBERS, SUBMISSION_MEMBERS, DATA_NODE_MEMBERS, REVOCATION_MEMBERS,
    EVENT_MEMBERS;

typedef uint64_t member_set;
static const member_set ALL_MEMBERS = ~(member_set)0;

/* "id,config_id" of ?fields=; NULL: all. INVALID names the unknown one. */
must_check bool members_parse(const struct member_table *table, const char *fields, member_set *ret,
                              struct fault *fault);
void members_put(struct text *out, const struct member_table *table, const void *entity, member_set set,
                 enum wire wire);

/* The tag of one representation of an entity (without quotes): it changes with the entity, the members picked and the wire. */
enum { ETAG_SIZE = 72 };
void members_etag(int64_t seq, int64_t revision, member_set set, enum wire wire, char out[static ETAG_SIZE]);

#endif
