#include "app/command.h"

#include <stdarg.h>

#include "app/problems.h"

static size_t option_index(const struct command *command, const char *name)
{
    size_t i = 0;

    while (i < command->option_count && strcmp(command->options[i].name, name) != 0)
        i++;
    return i;
}

const struct id_list *call_values(const struct call *call, const char *option)
{
    size_t i = option_index(call->command, option);

    if (i == call->command->option_count)
        abort(); /* the command asks for an option that its table does not have */
    return &call->given[i];
}

const char *call_value(const struct call *call, const char *option)
{
    const struct id_list *values = call_values(call, option);

    return values->count > 0 ? values->items[0] : NULL;
}

bool call_takes(const struct call *call, const char *option)
{
    return option_index(call->command, option) < call->command->option_count;
}

bool call_has(const struct call *call, const char *option)
{
    return call_values(call, option)->count > 0;
}

bool call_unsigned(struct call *call, const char *option, uint64_t max, uint64_t absent, uint64_t *ret)
{
    const char *value = call_value(call, option);
    uint64_t n = absent;

    if (value && !span_to_u64(span_of(value), max, &n)) {
        call_fail(call, STATUS_USAGE, "--%s must be a number from 0 to %llu.", option, (unsigned long long)max);
        return false;
    }
    *ret = n;
    return true;
}

int call_fail(struct call *call, enum exit_status status, const char *format, ...)
{
    own(freep) char *text = NULL;
    va_list args;

    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        abort();
    va_end(args);
    fprintf(call->err, "bailiff %s: ", call->command->name);
    print_harmless(call->err, text);
    fputc('\n', call->err);
    return (int)status;
}

int call_fail_fault(struct call *call, enum exit_status status, const struct fault *fault)
{
    /* Here the reader is the operator: what a client may not see is what helps. */
    bool hidden = fault->kind == FAULT_INTERNAL && fault->detail[0];

    return call_fail(call, status, "%s", hidden ? fault->detail : fault->message);
}

/* ---- parsing ---- */
static bool usage(struct call *call, const char *format, ...) printf_like(2, 3);
static bool usage(struct call *call, const char *format, ...)
{
    own(freep) char *text = NULL;
    va_list args;

    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        abort();
    va_end(args);
    call_fail(call, STATUS_USAGE, "%s See: bailiff help %s", text, call->command->name);
    return false;
}

static bool unknown_option(struct call *call, const char *name)
{
    const char *names[OPTIONS_MAX], *near;

    for (size_t i = 0; i < call->command->option_count; i++)
        names[i] = call->command->options[i].name;
    near = text_nearest(name, names, call->command->option_count);
    return near ? usage(call, "there is no option --%s; did you mean --%s?", name, near)
                : usage(call, "there is no option --%s.", name);
}

static bool give_value(struct call *call, size_t index, const char *value)
{
    const struct command_option *option = &call->command->options[index];
    struct id_list *given = &call->given[index];

    if (given->count > 0 && !option->repeats)
        return usage(call, "--%s is given twice.", option->name);
    if (option->value && value[0] == '\0')
        return usage(call, "--%s needs a value: %s.", option->name, option->value);
    given->items[given->count++] = value;
    return true;
}

static bool check_required(struct call *call)
{
    const struct command *c = call->command;

    if (c->operand && !c->operand_optional && !call->operand)
        return usage(call, "%s is missing.", c->operand);
    for (size_t i = 0; i < call->command->option_count; i++)
        if (call->command->options[i].required && call->given[i].count == 0)
            return usage(call, "--%s %s is missing: %s.", call->command->options[i].name,
                         call->command->options[i].value, call->command->options[i].help);
    return true;
}

static bool take_operand(struct call *call, const char *word)
{
    const char *name = call->command->operand;

    if (!name || word[0] == '-')
        return usage(call, "\"%s\" is not an option.", word);
    if (call->operand)
        return usage(call, "\"%s\" is one too many: it takes one %s.", word, name);
    if (word[0] == '\0')
        return usage(call, "%s is empty.", name);
    call->operand = word;
    return true;
}

bool call_parse(struct call *call, int argc, char **argv)
{
    for (size_t i = 0; i < call->command->option_count; i++)
        call->given[i].items = arena_alloc(&call->arena, ((size_t)argc + 1) * sizeof(char *));
    for (int a = 0; a < argc; a++) {
        const char *word = argv[a], *equals = strchr(word, '=');
        size_t i;

        if (strncmp(word, "--", 2) != 0 || word[2] == '\0') {
            if (!take_operand(call, word))
                return false;
            continue;
        }
        own(freep) char *name = equals ? xstrndup(word + 2, (size_t)(equals - word - 2)) : xstrdup(word + 2);
        i = option_index(call->command, name);
        if (i == call->command->option_count)
            return unknown_option(call, name);
        if (!call->command->options[i].value) {
            if (equals)
                return usage(call, "--%s takes no value.", name);
            if (!give_value(call, i, ""))
                return false;
        } else if (!equals && a + 1 == argc) {
            return usage(call, "--%s needs a value: %s.", name, call->command->options[i].value);
        } else if (!give_value(call, i, equals ? equals + 1 : argv[++a])) {
            return false;
        }
    }
    return check_required(call);
}

void call_done(struct call *call)
{
    arena_done(&call->arena);
}
