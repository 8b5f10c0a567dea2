/* The whole server at a glance: the chain and the routes. */
#ifndef BAILIFF_APP_ROUTES_H
#define BAILIFF_APP_ROUTES_H

#include "bailiff/http.h"

extern const struct chain BAILIFF_CHAIN;
size_t routes_body_max(void); /* the largest limit of any row */

#endif
