/* Methods by name. */
#include "bailiff/http.h"

static const char *const names[METHOD_COUNT] = {
    [GET] = "GET",     [HEAD] = "HEAD",     [POST] = "POST",       [PUT] = "PUT",
    [PATCH] = "PATCH", [DELETE] = "DELETE", [OPTIONS] = "OPTIONS", [METHOD_OTHER] = "OTHER",
};

const char *method_name(enum method m)
{
    return names[m];
}

enum method method_parse(struct span s)
{
    for (unsigned m = 0; m < METHOD_OTHER; m++)
        if (span_is(s, names[m]))
            return (enum method)m;
    return METHOD_OTHER;
}
