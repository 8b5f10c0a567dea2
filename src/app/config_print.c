/* Writes a config back as a file, by the tables that read it. */
#include "app/config_schema.h"

#include "bailiff/quantity.h"

static void print_section(const struct setting_table *table, const void *section, unsigned indent, bool in_list,
                          struct text *out);

/* Plain where nobody could take it for something else; else in double quotes. */
static void print_text(const char *s, struct text *out)
{
    static const char *const SPECIAL[] = {"true", "false", "null", "~", "yes", "no", "on", "off"};
    bool plain = s[0] != '\0' && !strchr("-?:,[]{}#&*!|>'\"%@` .+0123456789", s[0]);

    for (const char *p = s; *p && plain; p++)
        plain = (unsigned char)*p > 0x20 && !strchr(",[]{}#\"\\", *p) && (*p != ':' || (p[1] && p[1] != ' '));
    for (size_t i = 0; i < ARRAY_LEN(SPECIAL) && plain; i++)
        plain = strcasecmp(s, SPECIAL[i]) != 0;
    if (plain) {
        text_append_str(out, s);
        return;
    }
    text_append_char(out, '"');
    for (; *s; s++) {
        if (*s == '"' || *s == '\\')
            text_append_char(out, '\\');
        text_append_char(out, *s);
    }
    text_append_char(out, '"');
}

static void print_value(const struct setting *s, const void *value, struct text *out)
{
    const struct id_list *list = value;
    const struct config_role_map *map = value;

    switch (s->kind) {
    case SETTING_TEXT:
    case SETTING_PATH:
        print_text(*(const char *const *)value, out);
        break;
    case SETTING_BOOL:
        text_append_str(out, *(const bool *)value ? "true" : "false");
        break;
    case SETTING_COUNT:
        text_append_int(out, *(const unsigned *)value);
        break;
    case SETTING_SIZE:
        size_format(*(const uint64_t *)value, out);
        break;
    case SETTING_TIME:
        duration_format(*(const unsigned *)value, out);
        break;
    case SETTING_LONG_TIME:
        duration_format(*(const uint64_t *)value, out);
        break;
    case SETTING_CHOICE:
        print_text(s->choices[*(const int *)value], out);
        break;
    case SETTING_TEXTS:
    case SETTING_PATHS:
        text_append_char(out, '[');
        for (size_t i = 0; i < list->count; i++) {
            text_append_str(out, i > 0 ? ", " : "");
            print_text(list->items[i], out);
        }
        text_append_char(out, ']');
        break;
    case SETTING_RETRIES: /* in JSON, which is YAML too */
        retries_write(out, &((const struct config_retries *)value)->retries);
        break;
    default: /* SETTING_ROLE_MAP */
        text_append_char(out, '{');
        for (size_t i = 0; i < map->count; i++) {
            text_append_str(out, i > 0 ? ", " : "");
            print_text(map->items[i].from, out);
            text_append_str(out, ": ");
            print_text(map->items[i].to, out);
        }
        text_append_char(out, '}');
        break;
    }
}

/* What was not given and has no default is left out. */
static bool is_set(const struct setting *s, const void *value)
{
    switch (s->kind) {
    case SETTING_TEXT:
    case SETTING_PATH:
        return *(const char *const *)value != NULL;
    case SETTING_COUNT:
    case SETTING_TIME:
        return s->fallback || s->min == 0 || *(const unsigned *)value > 0;
    case SETTING_LONG_TIME:
        return s->fallback || s->min == 0 || *(const uint64_t *)value > 0;
    case SETTING_PATHS:
        return ((const struct id_list *)value)->count > 0;
    case SETTING_ROLE_MAP:
        return ((const struct config_role_map *)value)->count > 0;
    case SETTING_RETRIES:
        return ((const struct config_retries *)value)->given;
    case SETTING_SECTIONS:
    case SETTING_NAMED:
        return ((const struct config_sections *)value)->count > 0;
    default:
        return true;
    }
}

static bool any_set(const struct setting_table *table, const void *section)
{
    for (size_t i = 0; i < table->count; i++)
        if (is_set(&table->rows[i], (const char *)section + table->rows[i].offset))
            return true;
    return false;
}

static void print_sections(const struct setting_table *table, const struct config_sections *list, unsigned indent,
                           struct text *out)
{
    for (size_t i = 0; i < list->count; i++) {
        text_printf(out, "%*s- ", (int)indent, "");
        print_section(table, (const char *)list->items + i * table->size, indent + 2, true, out);
    }
}

static void print_named(const struct setting_table *table, const struct config_sections *list, unsigned indent,
                        struct text *out)
{
    for (size_t i = 0; i < list->count; i++) {
        const char *item = (const char *)list->items + i * table->size, *name;

        memcpy(&name, item + sizeof(void *), sizeof(name));
        text_printf(out, "%*s%s:\n", (int)indent, "", name);
        print_section(table, item, indent + 2, false, out);
    }
}

static void print_section(const struct setting_table *table, const void *section, unsigned indent, bool in_list,
                          struct text *out)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct setting *s = &table->rows[i];
        const void *value = (const char *)section + s->offset;

        if (!is_set(s, value) || (s->kind == SETTING_SECTION && !any_set(s->section, value)))
            continue;
        text_printf(out, "%*s%s:", in_list ? 0 : (int)indent, "", s->name);
        in_list = false; /* the first stands behind the "- " */
        if (s->kind == SETTING_SECTION) {
            text_append_char(out, '\n');
            print_section(s->section, value, indent + 2, false, out);
        } else if (s->kind == SETTING_SECTIONS) {
            text_append_char(out, '\n');
            print_sections(s->section, value, indent + 2, out);
        } else if (s->kind == SETTING_NAMED) {
            text_append_char(out, '\n');
            print_named(s->section, value, indent + 2, out);
        } else {
            text_append_char(out, ' ');
            print_value(s, value, out);
            text_append_char(out, '\n');
        }
    }
}

void config_print(const struct config *c, struct text *out)
{
    print_section(&CONFIG_SCHEMA, c, 0, false, out);
}

void config_print_fixed(const struct config *c, struct text *out)
{
    struct config fixed = *c;

    fixed.policy = (struct config_policy){0};
    fixed.issuers = (struct config_sections){0};
    fixed.signing = (struct config_signing){0};
    print_section(&CONFIG_SCHEMA, &fixed, 0, false, out);
}
