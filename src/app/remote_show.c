/* Answers for people: entities, a member a line; and lists, in tables. As JSON: what the server said. */
#include "app/remote.h"

#include "bailiff/clock.h"
#include "bailiff/quantity.h"

const char *plain_name(const char *name)
{
    const char *dot = name ? strchr(name, '.') : NULL;

    return dot ? dot + 1 : name;
}

static bool ends_with(const char *s, const char *end)
{
    size_t len = strlen(s), end_len = strlen(end);

    return len >= end_len && strcmp(s + len - end_len, end) == 0;
}

void remote_print_json(struct remote *r, const json_t *document)
{
    own(freep) char *json =
        json_dumps(document ? document : json_null(), JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_ENCODE_ANY);
    own(text_done) struct text shown = {0};

    if (!json)
        abort();
    shown_append_json(&shown, span_of(json));
    fprintf(r->call->out, "%s\n", shown.data);
}

void remote_print_message(struct remote *r, const json_t *document)
{
    const char *message = json_string_value(json_object_get(document, "message"));
    own(text_done) struct text shown = {0};

    if (r->json || !message) {
        remote_print_json(r, document);
        return;
    }
    shown_append(&shown, span_of(message));
    fprintf(r->call->out, "%s\n", shown.data ? shown.data : "");
}

/* ---- one entity ---- */
static void append_value(struct text *out, const char *key, const json_t *value);

static void append_list(struct text *out, const json_t *list)
{
    size_t i;
    json_t *item;

    json_array_foreach (list, i, item) {
        text_append_str(out, i > 0 ? ", " : "");
        append_value(out, "", item);
    }
}

static void append_value(struct text *out, const char *key, const json_t *value)
{
    if (json_is_string(value) && (ends_with(key, "_at") || ends_with(key, "_date")))
        shown_time(out, json_string_value(value), true);
    else if (json_is_string(value))
        shown_append(out, (struct span){json_string_value(value), json_string_length(value)});
    else if (json_is_integer(value) && ends_with(key, "_ms"))
        shown_duration(out, json_integer_value(value));
    else if (json_is_array(value))
        append_list(out, value);
    else if (!json_is_null(value)) {
        own(freep) char *json = json_dumps(value, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_ENCODE_ANY);

        shown_append_json(out, span_of(json));
    }
}

/* A stack trace has lines; each is set off, so that none can pass for another member. */
static void print_lines(FILE *out, const char *key, const json_t *list)
{
    fprintf(out, "%s:\n", key);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);
        struct span rest = {json_string_value(item), json_string_length(item)}, line;

        while (rest.data && rest.len > 0 && span_cut(&rest, '\n', &line)) {
            own(text_done) struct text shown = {0};

            shown_append(&shown, line);
            fprintf(out, "    %s\n", shown.data ? shown.data : "");
        }
    }
}

void remote_print_entity(struct remote *r, const json_t *entity)
{
    FILE *out = r->call->out;
    size_t width = 0;
    const char *key;
    json_t *value;

    json_object_foreach ((json_t *)entity, key, value)
        width = MAX(width, shown_columns(span_of(key)));
    json_object_foreach ((json_t *)entity, key, value) {
        own(text_done) struct text name = {0}, shown = {0};

        shown_append(&name, span_of(key));
        if (strcmp(key, "stacktrace") == 0 && json_array_size(value) > 0) {
            print_lines(out, name.data, value);
            continue;
        }
        append_value(&shown, key, value);
        if (strcmp(key, "status") == 0 && json_is_string(value)) {
            text_clear(&shown);
            shown_append(&shown, span_of(plain_name(json_string_value(value))));
        }
        fprintf(out, "%s:%*s %s\n", name.data, (int)(width - shown_columns(text_span(&name))), "",
                shown.len > 0 ? shown.data : "-");
    }
}

/* ---- lists ---- */
static void add_cell(struct table *t, const struct column *column, const json_t *row)
{
    const json_t *value = json_object_get(row, column->member);
    own(text_done) struct text text = {0};

    if (column->cell == CELL_TIME && json_is_string(value))
        shown_time(&text, json_string_value(value), false);
    else if (column->cell == CELL_NAME && json_is_string(value))
        text_append_str(&text, plain_name(json_string_value(value)));
    else if (column->cell == CELL_DURATION && json_is_integer(value))
        shown_duration(&text, json_integer_value(value));
    else if (column->cell == CELL_COUNT && json_is_array(value))
        text_printf(&text, "%zu", json_array_size(value));
    else if (column->cell == CELL_TEXT && value)
        append_value(&text, "", value);
    table_cell(t, text.data);
}

struct listed { /* how far a list is */
    struct remote *remote;
    const struct listing *listing;
    struct table table;
    uint64_t left; /* rows that are still wanted */
    uint64_t count;
    struct text query;  /* the path with its filters */
    struct text cursor; /* empty: from the start */
    bool ended;
};

/* "…&cursor=X>; rel="next"" of the field Link, where the body has no room for it (Taipy's wire). */
static struct span link_cursor(const struct caller_answer *answer)
{
    struct span link = caller_answer_field(answer, "Link");
    const char *at = link.len > 0 ? memmem(link.data, link.len, "cursor=", 7) : NULL;
    size_t len = 0;

    if (!at || !memmem(link.data, link.len, "rel=\"next\"", 10))
        return (struct span){"", 0};
    at += 7;
    while (at + len < link.data + link.len && at[len] != '&' && at[len] != '>')
        len++;
    return (struct span){at, len};
}

static void show_row(struct listed *l, const json_t *row)
{
    if (!l->remote->json) {
        for (size_t i = 0; i < l->listing->column_count; i++)
            add_cell(&l->table, &l->listing->columns[i], row);
        return;
    }
    own(freep) char *json = json_dumps(row, JSON_COMPACT | JSON_PRESERVE_ORDER | JSON_ENCODE_ANY);
    own(text_done) struct text shown = {0};
    shown_append_json(&shown, span_of(json));
    fprintf(l->remote->call->out, "%s%s", l->count > 0 ? ",\n" : "[\n", shown.data);
}

static int show_page(struct listed *l, const struct caller_answer *answer)
{
    own(json_freep) json_t *document = NULL;
    struct fault fault = {0};
    const json_t *rows;

    if (!json_read(text_span(&answer->body), "the answer", &document, &fault))
        return remote_unreached(l->remote, CALLER_REFUSED, &fault);
    rows = json_is_array(document) ? document : json_object_get(document, "results");
    if (!json_is_array(rows)) {
        fault_set(&fault, FAULT_INVALID, "it is no list");
        return remote_unreached(l->remote, CALLER_REFUSED, &fault);
    }
    const char *next = json_string_value(json_object_get(document, "next"));
    struct span cursor = next ? span_of(next) : link_cursor(answer);
    text_clear(&l->cursor);
    text_append_span(&l->cursor, cursor);
    for (size_t i = 0; i < json_array_size(rows) && l->left > 0; i++, l->left--) {
        show_row(l, json_array_get(rows, i));
        l->count++;
    }
    table_print(&l->table, l->remote->call->out);
    l->ended = cursor.len == 0 || json_array_size(rows) == 0;
    return STATUS_OK;
}

static int fetch_page(struct listed *l)
{
    enum { PAGE_MAX = 1000 };
    own(caller_answer_done) struct caller_answer answer = {0};
    own(text_done) struct text path = {0};
    char limit[24];

    snprintf(limit, sizeof(limit), "%llu", (unsigned long long)MIN(l->left, (uint64_t)PAGE_MAX));
    text_append_span(&path, text_span(&l->query));
    query_add(&path, "limit", limit);
    if (l->cursor.len > 0)
        query_add(&path, "cursor", l->cursor.data);
    const struct caller_request request = {.method = "GET", .path = path.data, .body_max = MIB(64)};
    int status = remote_send(l->remote, &request, &answer);
    return status == STATUS_OK ? show_page(l, &answer) : status;
}

/* A time, or how long ago. */
static bool add_time(struct call *call, struct text *query, const char *option, const char *name)
{
    const char *value = call_value(call, option);
    char time[TIME_TEXT_SIZE];
    int64_t at_ms;
    uint64_t ago_ms;

    if (duration_parse(span_of(value), &ago_ms) && (int64_t)ago_ms >= 0 && (int64_t)ago_ms <= clock_wall_ms())
        at_ms = clock_wall_ms() - (int64_t)ago_ms;
    else if (!time_parse(value, strlen(value), &at_ms)) {
        call_fail(
            call, STATUS_USAGE,
            "--%s: \"%s\" is neither a time in RFC 3339, such as 2026-01-02T03:04:05Z, nor how long ago, such as 90m.",
            option, value);
        return false;
    }
    time_format(at_ms, time);
    query_add(query, name, time);
    return true;
}

static bool make_query(struct call *call, const struct listing *listing, struct text *query)
{
    text_append_str(query, listing->path);
    for (const char *const *f = listing->filters; *f; f++) {
        own(freep) char *name = xstrdup(*f);

        for (char *p = name; *p; p++)
            *p = *p == '-' ? '_' : *p;
        if (!call_has(call, *f))
            continue;
        if (strncmp(*f, "created-", 8) != 0)
            query_add(query, name, call_value(call, *f));
        else if (!add_time(call, query, *f, name))
            return false;
    }
    query_add(query, "sort", call_has(call, "sort") ? call_value(call, "sort") : listing->sort);
    return true;
}

static int show_all(struct listed *l)
{
    struct remote *r = l->remote;
    int status = STATUS_OK;

    while (status == STATUS_OK && !l->ended && l->left > 0)
        status = fetch_page(l);
    if (status != STATUS_OK)
        return status; /* an array without its end: nobody takes it for the whole list */
    if (r->json)
        fputs(l->count > 0 ? "\n]\n" : "[]\n", r->call->out);
    if (!l->ended)
        remote_note(r, "There are more: --all prints them, or a higher --limit.");
    return STATUS_OK;
}

int remote_list(struct call *call, const struct listing *listing)
{
    enum { LIMIT_DEFAULT = 50 };
    const char *titles[TABLE_COLUMNS_MAX];
    struct listed l = {.listing = listing};
    struct remote r = {0};
    int status = STATUS_USAGE;

    if (call_has(call, "all") && call_has(call, "limit"))
        return call_fail(call, STATUS_USAGE, "give either --all or --limit, not both.");
    if (str_eq(call_value(call, "limit"), "0"))
        return call_fail(call, STATUS_USAGE, "--limit must be at least 1; --all prints all.");
    if (!call_unsigned(call, "limit", UINT32_MAX, LIMIT_DEFAULT, &l.left))
        return STATUS_USAGE;
    if (call_has(call, "all"))
        l.left = UINT64_MAX;
    for (size_t i = 0; i < listing->column_count; i++)
        titles[i] = listing->columns[i].title;
    table_init(&l.table, titles, listing->column_count);
    if (make_query(call, listing, &l.query))
        status = remote_open(&r, call);
    l.remote = &r;
    if (status == STATUS_OK)
        status = show_all(&l);
    text_done(&l.query);
    text_done(&l.cursor);
    table_done(&l.table);
    remote_done(&r);
    return status;
}
