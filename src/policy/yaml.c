/* libfyaml's events, thinned out. */
#include <libfyaml.h>

#include "policy/yaml.h"

static bool fault_at(const struct yaml *y, struct fault *fault, const char *what)
{
    return fault_set(fault, FAULT_INVALID, "%s:%u: %s", y->name, y->line, what);
}

/* The parser reads bytes that are no UTF-8 as it likes, so they never get there. */
static bool check_bytes(struct yaml *y, struct span content, struct fault *fault)
{
    struct span rest = content, line;

    for (y->line = 1; span_cut(&rest, '\n', &line); y->line++) {
        if (!utf8_valid(line.data, line.len))
            return fault_at(y, fault, "this is not UTF-8; save the file as UTF-8.");
        if (memchr(line.data, '\0', line.len))
            return fault_at(y, fault, "a NUL byte stands here; this is no text file.");
    }
    y->line = 1;
    return true;
}

bool yaml_begin(struct yaml *y, struct span content, const char *name, struct fault *fault)
{
    struct fy_diag_cfg diag_cfg;
    struct fy_parse_cfg cfg = {.flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG | FYPCF_JSON_NONE};

    *y = (struct yaml){.name = name, .line = 1};
    if (content.len == 0)
        return fault_at(y, fault, "the file is empty.");
    if (!check_bytes(y, content, fault))
        return false;
    fy_diag_cfg_default(&diag_cfg);
    diag_cfg.fp = NULL; /* a library writes nothing to stderr */
    y->diag = fy_diag_create(&diag_cfg);
    if (!y->diag)
        return fault_internal(fault, "fy_diag_create failed");
    fy_diag_set_collect_errors(y->diag, true);
    cfg.diag = y->diag;
    y->parser = fy_parser_create(&cfg);
    if (!y->parser || fy_parser_set_string(y->parser, content.data, content.len) != 0)
        return fault_internal(fault, "fy_parser_create or fy_parser_set_string failed");
    return true;
}

void yaml_done(struct yaml *y)
{
    if (y->event)
        fy_parser_event_free(y->parser, y->event);
    if (y->parser)
        fy_parser_destroy(y->parser);
    if (y->diag)
        fy_diag_destroy(y->diag);
    *y = (struct yaml){0};
}

static bool fault_syntax(struct yaml *y, struct fault *fault)
{
    void *iterator = NULL;
    const struct fy_diag_error *error = fy_diag_errors_iterate(y->diag, &iterator);

    if (error && error->line > 0)
        y->line = (unsigned)error->line;
    return fault_set(fault, FAULT_INVALID, "%s:%u: not valid YAML: %s.", y->name, y->line,
                     error && error->msg ? error->msg : "the parser gave up");
}

/* What would let a small file mean a large one, or a scalar mean something else than it says. */
static const char *refusal(const struct fy_event *e)
{
    const struct fy_token *anchor = NULL, *tag = NULL;

    switch (e->type) {
    case FYET_ALIAS:
        return "aliases (*name) are not allowed here; write the value out (and \"*\" in quotes).";
    case FYET_SCALAR:
        anchor = e->scalar.anchor;
        tag = e->scalar.tag;
        break;
    case FYET_MAPPING_START:
        anchor = e->mapping_start.anchor;
        tag = e->mapping_start.tag;
        break;
    case FYET_SEQUENCE_START:
        anchor = e->sequence_start.anchor;
        tag = e->sequence_start.tag;
        break;
    default:
        break;
    }
    if (anchor)
        return "anchors (&name) are not allowed here; take it away.";
    return tag ? "tags (!name) are not allowed here; take it away." : NULL;
}

static bool take_text(struct yaml *y, struct fault *fault)
{
    size_t len = 0;
    const char *text = y->event->scalar.value ? fy_token_get_text(y->event->scalar.value, &len) : "";

    if (!text)
        return fault_internal(fault, "fy_token_get_text failed");
    if (memchr(text, '\0', len)) /* written as \0 */
        return fault_at(y, fault, "a NUL character stands in this value.");
    y->text = (struct span){text, len};
    return true;
}

bool yaml_next(struct yaml *y, struct fault *fault)
{
    const struct fy_mark *mark;
    const char *refused;

again:
    if (y->event)
        fy_parser_event_free(y->parser, y->event);
    y->text = (struct span){0};
    y->event = fy_parser_parse(y->parser);
    if (!y->event)
        return fault_syntax(y, fault);
    if ((mark = fy_event_start_mark(y->event)))
        y->line = (unsigned)mark->line + 1;
    if ((refused = refusal(y->event)))
        return fault_at(y, fault, refused);
    switch (y->event->type) {
    case FYET_SCALAR:
        y->kind = YAML_SCALAR;
        return take_text(y, fault);
    case FYET_MAPPING_START:
        y->kind = YAML_MAP;
        return true;
    case FYET_MAPPING_END:
        y->kind = YAML_MAP_END;
        return true;
    case FYET_SEQUENCE_START:
        y->kind = YAML_LIST;
        return true;
    case FYET_SEQUENCE_END:
        y->kind = YAML_LIST_END;
        return true;
    case FYET_STREAM_END:
        y->kind = YAML_END;
        return true;
    case FYET_DOCUMENT_START:
        if (y->had_document)
            return fault_at(y, fault, "a second document begins here; one file holds one.");
        y->had_document = true;
        goto again;
    default:
        goto again; /* the stream's start, the document's end */
    }
}
