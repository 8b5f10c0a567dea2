/* The least that libh2o can do over TLS: a constant answer of 400 bytes. What bailiff costs beyond it is bailiff's own.
 *
 * usage: bench_bare_h2o PORT CERTIFICATE KEY LOOPS; ends on SIGTERM. */
#include <arpa/inet.h>
#include <err.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <h2o.h>
#include <h2o/http1.h>

enum { BODY_SIZE = 400, LOOPS_MAX = 64, TURN_MAX_MS = 1000 };

struct loop {
    pthread_t thread;
    SSL_CTX *tls;
    unsigned port;
    h2o_globalconf_t config;
    h2o_context_t context;
    h2o_accept_ctx_t accept;
};

static int answer(h2o_handler_t *handler, h2o_req_t *req)
{
    static const char BODY[] =
        "{\"task\":{\"id\":\"TASK_noop_00000000-0000-4000-8000-000000000000\",\"padding\":\"%0*d\"}}";
    static h2o_generator_t generator;
    char *body = h2o_mem_alloc_pool(&req->pool, BODY_SIZE + 1);
    int frame = snprintf(NULL, 0, BODY, 0, 0);
    h2o_iovec_t whole = h2o_iovec_init(body, BODY_SIZE);

    snprintf(body, BODY_SIZE + 1, BODY, BODY_SIZE - frame + 1, 0);
    req->res.status = 200;
    req->res.reason = "OK";
    req->res.content_length = BODY_SIZE;
    h2o_add_header(&req->pool, &req->res.headers, H2O_TOKEN_CONTENT_TYPE, NULL, H2O_STRLIT("application/json"));
    h2o_start_response(req, &generator);
    h2o_send(req, &whole, 1, H2O_SEND_STATE_FINAL);
    return 0;
}

static void on_accept(h2o_socket_t *listener, const char *error)
{
    struct loop *loop = listener->data;
    h2o_socket_t *socket;

    if (!error && (socket = h2o_evloop_socket_accept(listener)))
        h2o_accept(&loop->accept, socket);
}

static int listen_on(unsigned port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0 ||
        bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, SOMAXCONN) < 0)
        err(1, "cannot listen on 127.0.0.1:%u", port);
    return fd;
}

/* Everything of libh2o's is made in the thread that uses it: its buffers are recycled per thread. */
static void *serve(void *arg)
{
    struct loop *loop = arg;

    h2o_config_init(&loop->config);
    loop->config.http1.req_timeout = 600 * 1000;
    loop->config.http1.upgrade_to_http2 = 0;
    h2o_hostconf_t *host = h2o_config_register_host(&loop->config, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    h2o_create_handler(h2o_config_register_path(host, "/", 0), sizeof(h2o_handler_t))->on_req = answer;
    h2o_context_init(&loop->context, h2o_evloop_create(), &loop->config);
    loop->accept = (h2o_accept_ctx_t){.ctx = &loop->context, .hosts = loop->config.hosts, .ssl_ctx = loop->tls};

    h2o_socket_t *listener =
        h2o_evloop_socket_create(loop->context.loop, listen_on(loop->port), H2O_SOCKET_FLAG_DONT_READ);
    listener->data = loop;
    h2o_socket_read_start(listener, on_accept);
    while (h2o_evloop_run(loop->context.loop, TURN_MAX_MS) == 0)
        ;
    return NULL;
}

static SSL_CTX *tls_new(const char *certificate, const char *key)
{
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());

    if (!tls || SSL_CTX_set_min_proto_version(tls, TLS1_3_VERSION) != 1 ||
        SSL_CTX_use_certificate_chain_file(tls, certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(tls, key, SSL_FILETYPE_PEM) != 1)
        errx(1, "cannot use %s and %s", certificate, key);
    return tls;
}

int main(int argc, char **argv)
{
    static struct loop loops[LOOPS_MAX];

    if (argc != 5)
        errx(2, "usage: bench_bare_h2o PORT CERTIFICATE KEY LOOPS");
    SSL_CTX *tls = tls_new(argv[2], argv[3]);
    unsigned port = (unsigned)atoi(argv[1]), count = (unsigned)atoi(argv[4]);
    if (port < 1 || port > 65535 || count < 1 || count > LOOPS_MAX)
        errx(2, "PORT is a number to 65535, LOOPS one to %d", LOOPS_MAX);
    signal(SIGPIPE, SIG_IGN);
    for (unsigned i = 0; i < count; i++) {
        loops[i].tls = tls;
        loops[i].port = port;
        if (pthread_create(&loops[i].thread, NULL, serve, &loops[i]) != 0)
            errx(1, "cannot start a thread");
    }
    pthread_join(loops[0].thread, NULL);
    return 0;
}
