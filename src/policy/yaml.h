/* YAML as a stream of the few things that a roles file has. Aliases, anchors, tags and second documents are refused, so what is read
 * is never larger than what was written. One thread. */
#ifndef POLICY_YAML_H
#define POLICY_YAML_H

#include "bailiff/fault.h"
#include "bailiff/text.h"

enum yaml_kind { YAML_SCALAR, YAML_MAP, YAML_MAP_END, YAML_LIST, YAML_LIST_END, YAML_END };

struct yaml {
    const char *name; /* of the file, for faults */
    struct fy_diag *diag;
    struct fy_parser *parser;
    struct fy_event *event; /* owns text */
    bool had_document;
    /* what yaml_next came to */
    enum yaml_kind kind;
    struct span text; /* of a scalar; until the next yaml_next; holds no NUL */
    unsigned line;
};

/* The content must outlive y. yaml_done also after a failure. */
must_check bool yaml_begin(struct yaml *y, struct span content, const char *name, struct fault *fault);
must_check bool yaml_next(struct yaml *y, struct fault *fault);
void yaml_done(struct yaml *y);

#endif
