/* What the files of http share with each other only. */
#ifndef HTTP_PARTS_H
#define HTTP_PARTS_H

#include "bailiff/http.h"

/* The row for a request, built-in ones included; fills x->params and x->allow. */
const struct route *route_pick(struct exchange *x);

/* The first header of that name in any case, or NULL. */
struct header *header_find(const struct header_list *list, const char *name);

/* Sets status and forgets the answer before it, with the headers that described it. */
void response_begin(struct exchange *x, int status);
/* Forgets headers that describe the thing asked for: an answer about a failure must not carry them. */
void response_drop_representation(struct exchange *x);
void response_done(struct response *response);

/* RFC 9110 §5.6.2. */
bool is_token_char(char c);

#endif
