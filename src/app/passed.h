/* Variables of our own environment that are passed on to users' code, by the server to its runner and by the runner to what it starts.
 * Everything else of the environment stays behind. Main thread. */
#ifndef APP_PASSED_H
#define APP_PASSED_H

#include "bailiff/model.h"

/* Why a variable must not be passed on, to complete "NAME …"; NULL: it may be. */
const char *passed_name_fault(const char *name);

/* "NAME=value" of those that are set, in the arena; a list of names that are not goes to ret_unset. */
void passed_collect(const struct id_list *names, struct arena *arena, struct id_list *ret_variables,
                    struct id_list *ret_unset);

#endif
