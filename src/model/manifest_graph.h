/* The graph that tasks and data nodes make together. Pure. */
#ifndef MODEL_MANIFEST_GRAPH_H
#define MODEL_MANIFEST_GRAPH_H

#include "bailiff/model.h"

/* Data must not flow in a circle. The fault names it: "double → doubled → halve → nb → double". */
must_check bool manifest_check_acyclic(const struct manifest *m, struct fault *fault);

#endif
