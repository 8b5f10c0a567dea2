/* Whether a server could start here: asked before anything is changed. A moment later it may be otherwise; then server_start and
 * store_open say so, in the same words. */
#ifndef APP_PROBE_H
#define APP_PROBE_H

#include "app/config.h"

must_check bool probe_start(const struct config *c, struct fault *fault);

#endif
