/* Transfers, over curl_multi. */
#include "auth/fetcher.h"

struct transfer {
    struct https https; /* first: CURLOPT_PRIVATE points to it */
    struct transfer *next;
    void *owner;
};

struct fetcher {
    CURLM *multi;
    struct transfer *transfers;
};

bool fetcher_new(struct fetcher **ret_fetcher, struct fault *fault)
{
    struct fetcher *f = xcalloc(1, sizeof(*f));

    f->multi = curl_multi_init();
    if (!f->multi) {
        free(f);
        return fault_internal(fault, "libcurl cannot make a multi handle");
    }
    *ret_fetcher = f;
    return true;
}

static void transfer_free(struct fetcher *f, struct transfer *t)
{
    struct transfer **at = &f->transfers;

    while (*at && *at != t)
        at = &(*at)->next;
    if (*at)
        *at = t->next;
    if (t->https.easy)
        curl_multi_remove_handle(f->multi, t->https.easy);
    https_done(&t->https);
    free(t);
}

void fetcher_free(struct fetcher *f)
{
    if (!f)
        return;
    while (f->transfers)
        transfer_free(f, f->transfers);
    curl_multi_cleanup(f->multi);
    free(f);
}

bool fetcher_get(struct fetcher *f, const struct https_target *target, void *owner, struct fault *fault)
{
    struct transfer *t = xcalloc(1, sizeof(*t));

    t->owner = owner;
    if (!https_init(&t->https, target, fault)) {
        free(t);
        return false;
    }
    t->next = f->transfers;
    f->transfers = t;
    if (curl_multi_add_handle(f->multi, t->https.easy) != CURLM_OK) {
        transfer_free(f, t);
        return fault_internal(fault, "libcurl cannot begin a transfer");
    }
    return true;
}

void fetched_done(struct fetched *fetched)
{
    text_done(&fetched->body);
}

/* A redirect is an answer like any other that is not 200: whoever moves says so to the administrator, not to us. */
static void judge(struct transfer *t, CURLcode code, struct fetched *ret)
{
    int status = 0;

    *ret = (struct fetched){.owner = t->owner, .max_age_s = t->https.max_age_s};
    if (!https_judge(&t->https, code, &status, &ret->fault))
        return;
    if (status != 200) {
        fault_unavailable(&ret->fault, 0, "the answer is %d%s", status,
                          status >= 300 && status < 400 ? ", a redirect, which is not followed" : "");
        return;
    }
    ret->body = t->https.body;
    t->https.body = (struct text){0};
    ret->ok = true;
}

bool fetcher_next(struct fetcher *f, struct fetched *ret)
{
    CURLMsg *message;
    struct https *https = NULL;
    int left;

    do
        message = curl_multi_info_read(f->multi, &left);
    while (message && message->msg != CURLMSG_DONE);
    if (!message)
        return false;
    CURLcode code = message->data.result;
    if (curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&https) != CURLE_OK || !https)
        abort(); /* it was set when the transfer began */
    struct transfer *t = container_of(https, struct transfer, https);
    judge(t, code, ret);
    transfer_free(f, t);
    return true;
}

static int transfer_count(const struct fetcher *f)
{
    int count = 0;

    for (const struct transfer *t = f->transfers; t; t = t->next)
        count++;
    return count;
}

/* What ends in the first call has no socket left that could end the wait: it must not begin. */
void fetcher_poll(struct fetcher *f, int timeout_ms)
{
    int running = 0, ready = 0;

    if (curl_multi_perform(f->multi, &running) != CURLM_OK || running < transfer_count(f))
        return;
    if (curl_multi_poll(f->multi, NULL, 0, timeout_ms, &ready) == CURLM_OK)
        (void)curl_multi_perform(f->multi, &running);
}

void fetcher_wake(struct fetcher *f)
{
    (void)curl_multi_wakeup(f->multi);
}
