/* What one setting means for another. Only the file's own text is looked at. */
#include <arpa/inet.h>
#include <sys/un.h>

#include "app/config_schema.h"
#include "app/passed.h"
#include "app/routes.h"
#include "bailiff/server.h"

/* ---- server ---- */
static bool is_unix(const char *address)
{
    return address[0] == '/';
}

static bool is_ip(const char *address)
{
    unsigned char bytes[16];

    return inet_pton(AF_INET, address, bytes) == 1 || inet_pton(AF_INET6, address, bytes) == 1;
}

static void check_listener_tls(const struct config_listener *l, struct problems *problems)
{
    const struct yaml_node *node = l->node;

    /* What is there but could not be read was complained of. */
    if (yaml_find(node, "tls") && !str_eq(yaml_find(node, "tls")->text, "true") &&
        !str_eq(yaml_find(node, "tls")->text, "false"))
        return;
    if (l->tls && (!yaml_find(node, "certificate") || !yaml_find(node, "key")))
        problems_add(problems, node->line,
                     "a listener with TLS needs a certificate and a key; give both, or tls: false on "
                     "loopback or a Unix socket.");
    if (!l->tls && (l->certificate || l->key || l->client_ca || l->client_crl.count > 0 || l->ocsp_file))
        problems_add(problems, yaml_line(node, "tls"),
                     "tls: false, yet there is a certificate, key, client_ca, client_crl or ocsp_file; remove "
                     "those, or tls: false.");
    if (!l->tls && l->address && !is_unix(l->address) && is_ip(l->address) && !address_is_loopback(l->address))
        problems_add(problems, yaml_line(node, "tls"),
                     "tls: false is allowed on loopback and on Unix sockets only; on %s "
                     "tokens would travel in the clear.",
                     l->address);
}

/* A client_ca asks for certificates; only whether a client may come without one is left to say. */
static void check_client_certificates(struct config_listener *l, struct problems *problems)
{
    const struct yaml_node *said = yaml_find(l->node, "client_certificate");
    bool has_ca = yaml_find(l->node, "client_ca") != NULL;

    if (!said && has_ca)
        l->client_certificate = CLIENT_CERTIFICATE_REQUIRED;
    if (!has_ca && l->client_certificate != CLIENT_CERTIFICATE_NONE)
        problems_add(problems, yaml_line(l->node, "client_certificate"),
                     "client_certificate: %s, but there is nothing to check it by; give client_ca.",
                     l->client_certificate == CLIENT_CERTIFICATE_OPTIONAL ? "optional" : "required");
    if (has_ca && said && str_eq(said->text, "none"))
        problems_add(problems, yaml_line(l->node, "client_certificate"),
                     "client_certificate: none, yet there is a client_ca in line %u; remove one of the two.",
                     yaml_line(l->node, "client_ca"));
    if (!has_ca && l->client_crl.count > 0)
        problems_add(problems, yaml_line(l->node, "client_crl"),
                     "client_crl revokes certificates of client_ca, and there is none; give that, or remove this.");
}

static void check_listener_address(const struct config_listener *l, struct problems *problems)
{
    unsigned line = yaml_line(l->node, "address");

    if (!l->address)
        return;
    if (is_unix(l->address)) {
        if (strlen(l->address) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
            problems_add(problems, line, "the path of a Unix socket must be shorter than %zu bytes.",
                         sizeof(((struct sockaddr_un *)NULL)->sun_path));
        if (yaml_find(l->node, "port"))
            problems_add(problems, yaml_line(l->node, "port"), "a Unix socket has no port; remove it.");
    } else if (!is_ip(l->address)) {
        problems_add(problems, line,
                     "\"%s\" is neither an IP address nor the absolute path of a Unix socket; use 0.0.0.0 or "
                     ":: for all addresses.",
                     l->address);
    } else if (!yaml_find(l->node, "port")) {
        problems_add(problems, l->node->line, "the listener on %s has no port.", l->address);
    }
}

static bool same_listener(const struct config_listener *a, const struct config_listener *b)
{
    return a->address && b->address && strcmp(a->address, b->address) == 0 && a->port == b->port;
}

static void check_public_url(const struct config *c, struct problems *problems)
{
    const char *url = c->server.public_url, *fault;
    unsigned line = yaml_line(c->server.node, "public_url");
    bool loopback = false;

    if (!url)
        return;
    fault = origin_fault(url, true, &loopback);
    if (fault)
        problems_add(problems, line, "server.public_url: \"%s\" cannot be used: %s.", url, fault);
    else if (strncmp(url, "http://", 7) == 0 && !loopback)
        problems_add(problems, line, "server.public_url: http:// is allowed for loopback only; use https://.");
}

static void check_rate(const struct config_rate *rate, const char *name, struct problems *problems)
{
    if (rate->burst > 0 && rate->requests_per_second == 0)
        problems_add(problems, yaml_line(rate->node, "burst"),
                     "limits.%s.burst limits nothing without requests_per_second; set "
                     "that too.",
                     name);
    if (rate->refusals_burst > 0 && rate->refusals_per_minute == 0)
        problems_add(problems, yaml_line(rate->node, "refusals_burst"),
                     "limits.%s.refusals_burst limits nothing with refusals_per_minute: 0; set that too.", name);
}

static unsigned element_line(const struct yaml_node *list, const char *text)
{
    for (size_t i = 0; i < list->count; i++)
        if (str_eq(list->items[i]->text, text))
            return list->items[i]->line;
    return list->line;
}

static void check_proxies(const struct config *c, struct problems *problems)
{
    const struct id_list *proxies = &c->server.trusted_proxies;

    for (size_t i = 0; i < proxies->count; i++) {
        struct fault fault = {0};

        if (!server_trusted_proxy_check(proxies->items[i], &fault))
            problems_add(problems, element_line(yaml_find(c->server.node, "trusted_proxies"), proxies->items[i]),
                         "server.%s", fault.message);
    }
    for (size_t i = 0; i < c->server.listeners.count; i++) {
        const struct config_listener *l = config_listener(c, i);

        if (l->node && l->proxy_protocol && proxies->count == 0)
            problems_add(problems, yaml_line(l->node, "proxy_protocol"),
                         "proxy_protocol: v2 takes connections of server.trusted_proxies only, and there are none; "
                         "name the proxies there.");
    }
}

static void check_memory(const struct config *c, struct problems *problems)
{
    const struct config_limits *l = &c->limits;
    uint64_t needed = server_memory_needed(l->connections, routes_body_max());

    if (l->memory_budget < needed)
        problems_add(problems, l->node ? yaml_line(l->node, "memory_budget") : c->node->line,
                     "limits.memory_budget is too small: %u connections may need %llu MiB; raise it, or lower "
                     "limits.connections.",
                     l->connections, (unsigned long long)((needed + MIB(1) - 1) / MIB(1)));
}

static void check_bodies(const struct config *c, struct problems *problems)
{
    const struct config_limits *l = &c->limits;
    uint64_t least = server_bodies_per_address_least(MIN(routes_body_max(), (size_t)l->body));

    if (l->address.bodies > 0 && l->address.bodies < least)
        problems_add(problems, yaml_line(l->address.node, "bodies"),
                     "limits.address.bodies is too small: one body of the largest size takes %llu KiB; raise it, or "
                     "lower limits.body.",
                     (unsigned long long)(least / KIB(1)));
    if (l->address.bodies > l->memory_budget)
        problems_warn(problems, yaml_line(l->address.node, "bodies"),
                      "limits.address.bodies limits nothing: it is more than limits.memory_budget.");
}

static void check_environment(const struct config *c, struct problems *problems)
{
    const struct config_execution *e = &c->execution;
    const struct yaml_node *list = yaml_find(e->node, "environment");

    for (size_t i = 0; i < e->environment.count; i++) {
        const char *fault = passed_name_fault(e->environment.items[i]);

        if (fault)
            problems_add(problems, element_line(list, e->environment.items[i]), "execution.environment: \"%s\" %s.",
                         e->environment.items[i], fault);
    }
    if (e->socket && e->environment.count > 0)
        problems_warn(problems, yaml_line(e->node, "environment"),
                      "execution.environment has no effect: the runner behind execution.socket has its own; start it "
                      "with --pass-environment NAME.");
}

static void check_execution(const struct config *c, struct problems *problems)
{
    const struct config_execution *e = &c->execution;
    unsigned line = e->node ? yaml_line(e->node, "same_user") : c->node->line;

    if (e->python && e->python[0] != '/')
        problems_add(problems, yaml_line(e->node, "python"),
                     "execution.python: \"%s\" must be an absolute path: what is found "
                     "on PATH may be another interpreter.",
                     e->python);
    if (e->user && e->socket)
        problems_add(problems, yaml_line(e->node, "socket"),
                     "execution.user and execution.socket exclude each other: a runner "
                     "behind a socket was started as its own user; remove one.");
    if (e->socket && strlen(e->socket) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
        problems_add(problems, yaml_line(e->node, "socket"), "execution.socket must be shorter than %zu bytes.",
                     sizeof(((struct sockaddr_un *)NULL)->sun_path));
    if (e->socket && yaml_find(e->node, "work_folder"))
        problems_warn(problems, yaml_line(e->node, "work_folder"),
                      "execution.work_folder has no effect: the runner behind "
                      "execution.socket has its own.");
    if (!e->user && !e->socket && !e->same_user)
        problems_add(problems, line,
                     "users' code would run as the server's own user and could read its keys; set "
                     "execution.user or execution.socket, or, for development only, same_user: unsafe.");
    if (!e->user && e->same_user)
        problems_warn(problems, line,
                      "execution.same_user: unsafe lets users' code run as the server's own user: it can read "
                      "the server's keys and memory. For development only.");
    if (e->user && e->same_user)
        problems_warn(problems, line, "execution.same_user has no effect, as execution.user is set; remove it.");
}

void config_check_server(struct config *c, struct problems *problems)
{
    check_public_url(c, problems);
    for (size_t i = 0; i < c->server.listeners.count; i++) {
        struct config_listener *l = (struct config_listener *)c->server.listeners.items + i;

        if (!l->node) /* not a table: that was said */
            continue;
        check_listener_address(l, problems);
        check_listener_tls(l, problems);
        check_client_certificates(l, problems);
        for (size_t j = 0; j < i; j++)
            if (same_listener(config_listener(c, j), l))
                problems_add(problems, l->node->line,
                             "the same address and port stand in line %u; remove one listener.",
                             config_listener(c, j)->node->line);
    }
    check_proxies(c, problems);
    check_memory(c, problems);
    check_bodies(c, problems);
    check_rate(&c->limits.address, "address", problems);
    check_rate(&c->limits.subject, "subject", problems);
    check_execution(c, problems);
    check_environment(c, problems);
}

/* ---- web pages ---- */
void config_check_cors(struct config *c, struct problems *problems)
{
    const struct yaml_node *origins = yaml_find(c->cors.node, "origins");

    for (size_t i = 0; i < c->cors.origins.count; i++) {
        const char *origin = c->cors.origins.items[i], *fault;
        unsigned line = element_line(origins, origin);
        bool loopback = false;

        if (strcmp(origin, "*") == 0) {
            problems_add(problems, line,
                         "cors.origins: \"*\" would let every web page call; list the origins that may.");
            continue;
        }
        fault = origin_fault(origin, false, &loopback);
        if (fault)
            problems_add(problems, line, "cors.origins: \"%s\" matches no page: %s.", origin, fault);
        else if (strncmp(origin, "http://", 7) == 0 && !loopback)
            problems_warn(problems, line,
                          "cors.origins: \"%s\" is not https; whoever can change that page in transit can call "
                          "as its users.",
                          origin);
    }
}
