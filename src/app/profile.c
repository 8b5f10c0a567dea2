#include "app/profile.h"

#include <errno.h>
#include <unistd.h>

#include "app/yaml.h"
#include "bailiff/caller.h"
#include "bailiff/file.h"

const char *profile_path(struct arena *arena)
{
    const char *named = getenv("BAILIFF_CLIENT"), *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

    if (named && named[0])
        return arena_strdup(arena, named);
    if (config && config[0] == '/') /* as that specification says: what is not absolute is ignored */
        return arena_printf(arena, "%s/bailiff/client.yaml", config);
    return home && home[0] == '/' ? arena_printf(arena, "%s/.config/bailiff/client.yaml", home) : NULL;
}

struct reading {
    const char *folder; /* of the file, absolute */
    struct arena *arena;
    struct problems *problems;
};

static const struct member {
    const char *name;
    size_t at;
    bool path;
} MEMBERS[] = {
    {"url", offsetof(struct profile, url), false},
    {"ca_file", offsetof(struct profile, ca_file), true},
    {"token_file", offsetof(struct profile, token_file), true},
    {"certificate", offsetof(struct profile, certificate), true},
    {"key", offsetof(struct profile, key), true},
};

/* Links are followed: a file that is linked to stands among its files. */
static bool find_folder(struct reading *r, const char *file)
{
    own(freep) char *real = realpath(file, NULL);

    if (!real)
        return problems_add(
            r->problems, 0,
            "cannot be read: %s. Give --url and --token-file, or write profiles into this file (README: "
            "The command line).",
            strerror(errno));
    *strrchr(real, '/') = '\0';
    r->folder = arena_strdup(r->arena, real);
    return true;
}

static const char *read_member(struct reading *r, const struct yaml_node *node, const char *profile,
                               const struct member *m)
{
    const struct yaml_node *value = yaml_find(node, m->name);

    if (!value)
        return NULL;
    if (value->kind != YAML_SCALAR || !value->text[0]) {
        problems_add(r->problems, yaml_line(node, m->name), "profile %s: %s must be a text.", profile, m->name);
        return NULL;
    }
    if (m->path && value->text[0] == '~') {
        problems_add(
            r->problems, yaml_line(node, m->name),
            "profile %s: %s: \"~\" means nothing here; write the whole path, or one seen from this file's folder.",
            profile, m->name);
        return NULL;
    }
    return m->path && value->text[0] != '/' ? arena_printf(r->arena, "%s/%s", r->folder, value->text) : value->text;
}

static void read_profile(struct reading *r, const char *name, const struct yaml_node *node, struct profile *ret)
{
    own(freep) char *where = xprintf("profile %s", name);
    const char *names[ARRAY_LEN(MEMBERS)], *wrong;

    *ret = (struct profile){.name = name};
    if (node->kind != YAML_MAP) {
        problems_add(r->problems, node->line, "%s must be a table of settings, not %s.", where, yaml_kind_name(node));
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(MEMBERS); i++) {
        names[i] = MEMBERS[i].name;
        *(const char **)((char *)ret + MEMBERS[i].at) = read_member(r, node, name, &MEMBERS[i]);
    }
    yaml_refuse_unknown(node, where, names, ARRAY_LEN(names), r->problems);
    if (!yaml_find(node, "url"))
        problems_add(r->problems, node->line, "%s has no url, such as https://bailiff.example.com:8443.", where);
    else if (ret->url && (wrong = caller_url_fault(ret->url)))
        problems_add(r->problems, yaml_line(node, "url"), "%s: url \"%s\": %s.", where, ret->url, wrong);
    if (!ret->certificate != !ret->key)
        problems_add(r->problems, node->line, "%s: certificate and key belong together; give both or none.", where);
}

static const char *choose(struct reading *r, const struct yaml_node *root, const struct yaml_node *profiles,
                          const char *name)
{
    const struct yaml_node *preset = yaml_find(root, "default");

    if (preset && (preset->kind != YAML_SCALAR || !yaml_find(profiles, preset->text))) {
        problems_add(r->problems, yaml_line(root, "default"), "default must be the name of a profile.");
        return NULL;
    }
    if (!name && !preset && profiles->count != 1)
        problems_add(r->problems, root->line,
                     "says of none of its profiles that it is the default; add `default: NAME`, or give --profile.");
    return name ? name : preset ? preset->text : profiles->count == 1 ? profiles->keys[0] : NULL;
}

static bool read_root(struct reading *r, const struct yaml_node *root, const char *name, struct profile *ret)
{
    static const char *const NAMES[] = {"default", "profiles"};
    const struct yaml_node *profiles;
    bool found = false;

    if (root->kind != YAML_MAP)
        return problems_add(r->problems, root->line, "must be a table of settings, not %s.", yaml_kind_name(root));
    yaml_refuse_unknown(root, "the file", NAMES, ARRAY_LEN(NAMES), r->problems);
    profiles = yaml_find(root, "profiles");
    if (!profiles || profiles->kind != YAML_MAP || profiles->count == 0)
        return problems_add(r->problems, yaml_line(root, "profiles"),
                            "profiles must be a table of at least one profile.");
    name = choose(r, root, profiles, name);
    for (size_t i = 0; i < profiles->count; i++) {
        struct profile p;

        read_profile(r, profiles->keys[i], profiles->items[i], &p);
        if (str_eq(name, profiles->keys[i])) {
            *ret = p;
            found = true;
        }
    }
    if (name && !found) {
        const char *near = text_nearest(name, profiles->keys, profiles->count);

        problems_add(r->problems, 0, "has no profile \"%s\"%s%s%s", name, near ? "; did you mean \"" : "",
                     near ? near : "", near ? "\"?" : ".");
    }
    return r->problems->mistakes == 0;
}

bool profile_load(const char *file, const char *name, struct arena *arena, struct profile *ret_profile,
                  struct problems *problems)
{
    struct reading r = {.arena = arena, .problems = problems};
    own(text_done) struct text content = {0};
    struct yaml_node *root = NULL;
    struct fault fault = {0};

    if (!find_folder(&r, file))
        return false;
    if (!file_read_secret(file, YAML_SIZE_MAX, &content, &fault))
        return problems_add(problems, 0, "cannot be used: %s", fault.message);
    return yaml_read(text_span(&content), arena, problems, &root) && read_root(&r, root, name, ret_profile);
}
