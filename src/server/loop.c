/* An event loop and its thread. Everything of libh2o's is made, used and unmade in this thread: its buffers are recycled per
 * thread. */
#include <stdio.h>

#include "bailiff/thread.h"
#include "server/internal.h"

enum { TURN_MAX_MS = 1000, LINES_MAX = 1 << 18, SECOND_LINE_MS = 1000 };

/* libh2o keeps a few freed chunks per thread for reuse and has no call to let them go when the thread ends. */
#if defined(__SANITIZE_ADDRESS__)
const char *__lsan_default_suppressions(void);
const char *__lsan_default_options(void);

const char *__lsan_default_suppressions(void)
{
    return "leak:h2o_mem_alloc_recycle\n";
}

const char *__lsan_default_options(void)
{
    return "print_suppressions=0";
}
#endif

/* ---- log ---- */

static void flush_lines(struct loop *loop)
{
    if (loop->lines.len == 0)
        return;
    log_write_raw(loop->server->options.log, loop->lines.data, loop->lines.len);
    text_clear(&loop->lines);
}

void loop_log(struct loop *loop, enum log_level level, const char *event, const char *message,
              const struct log_field *fields, size_t count)
{
    struct log *log = loop->server->options.log;

    if (loop->testing || !log_enabled(log, level))
        return;
    log_format_line(log, &loop->lines, level, event, message, fields, count);
    if (loop->lines.len > LINES_MAX)
        flush_lines(loop);
}

/* ---- waking ---- */

enum wake { WAKE_ONLY, WAKE_TO_STOP, WAKE_TO_CHECK_CLIENTS };

static void loop_wake(struct loop *loop, enum wake why)
{
    pthread_mutex_lock(&loop->wake_lock);
    loop->stop_asked |= why == WAKE_TO_STOP;
    loop->check_clients_asked |= why == WAKE_TO_CHECK_CLIENTS;
    if (loop->awake && !loop->woken) {
        loop->woken = true;
        h2o_multithread_send_message(&loop->receiver, &loop->message);
    }
    pthread_mutex_unlock(&loop->wake_lock);
}

static void on_post(void *arg)
{
    loop_wake(arg, WAKE_ONLY);
}

void loop_ask_stop(struct loop *loop)
{
    loop_wake(loop, WAKE_TO_STOP);
}

void loop_ask_check_clients(struct loop *loop)
{
    loop_wake(loop, WAKE_TO_CHECK_CLIENTS);
}

/* Within libh2o's turn, so that what the completions write is looked after in the same turn. */
static void on_wake(h2o_multithread_receiver_t *receiver, h2o_linklist_t *messages)
{
    struct loop *loop = container_of(receiver, struct loop, receiver);

    pthread_mutex_lock(&loop->wake_lock);
    while (!h2o_linklist_is_empty(messages))
        h2o_linklist_unlink(messages->next);
    loop->woken = false;
    bool stop = loop->stop_asked, check_clients = loop->check_clients_asked;
    loop->check_clients_asked = false;
    pthread_mutex_unlock(&loop->wake_lock);

    if (check_clients) /* before what has come in is executed */
        clients_check_all(loop);
    /* Readers let go of their old view first: whoever waited for a change must see it. */
    if (loop->bench)
        loop->server->options.bench_turn_end(loop->bench);
    inbox_drain(loop->inbox);
    if (stop && !loop->draining)
        drain_begin(loop);
}

/* ---- life ---- */

void loop_init(struct loop *loop, struct server *server, unsigned index)
{
    loop->server = server;
    loop->index = index;
    pthread_mutex_init(&loop->wake_lock, NULL);
    h2o_linklist_init_anchor(&loop->connections);
    h2o_linklist_init_anchor(&loop->exchanges);
    h2o_linklist_init_anchor(&loop->handshakes);
    h2o_linklist_init_anchor(&loop->certified);
    h2o_linklist_init_anchor(&loop->unchecked);
    loop->inbox = inbox_new(on_post, loop);
}

void loop_done(struct loop *loop)
{
    if (!loop->inbox)
        return;
    /* Tickets that were completed after the end: nobody waits for them any more. */
    while (inbox_drain(loop->inbox) > 0)
        ;
    inbox_free(loop->inbox);
    pthread_mutex_destroy(&loop->wake_lock);
    text_done(&loop->lines);
}

static void configure(struct loop *loop)
{
    const struct server_options *options = &loop->server->options;
    h2o_globalconf_t *config = &loop->config;

    h2o_config_init(config);
    config->server_name = h2o_iovec_init(NULL, 0);
    config->handshake_timeout = options->handshake_timeout_ms;
    /* Larger Content-Lengths are refused with the head; this is for chunked bodies, where libh2o refuses "or equal" too. */
    config->max_request_entity_size = options->body_max + 1;
    /* One time for idle, head and body together; connection.c knows them apart, so this is but a second line. */
    config->http1.req_timeout =
        (uint64_t)options->idle_timeout_ms + options->head_timeout_ms + options->body_timeout_ms + SECOND_LINE_MS;
    config->http1.upgrade_to_http2 = 0;
    config->http2.idle_timeout = options->idle_timeout_ms;

    h2o_hostconf_t *host = h2o_config_register_host(config, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    host->http2.push_preload = 0;
    refusal_register(&host->fallback_path);
    h2o_create_handler(h2o_config_register_path(host, "/", 0), sizeof(h2o_handler_t))->on_req = request_handle;
}

static void open_timeouts(struct loop *loop)
{
    const struct server_options *options = &loop->server->options;
    h2o_evloop_t *evloop = loop->context.loop;

    h2o_timeout_init(evloop, &loop->idle_timeout, options->idle_timeout_ms);
    h2o_timeout_init(evloop, &loop->head_timeout, options->head_timeout_ms);
    h2o_timeout_init(evloop, &loop->body_timeout, options->body_timeout_ms);
    h2o_timeout_init(evloop, &loop->write_timeout, options->write_timeout_ms);
}

static void close_timeouts(struct loop *loop)
{
    h2o_evloop_t *evloop = loop->context.loop;

    h2o_timeout_dispose(evloop, &loop->idle_timeout);
    h2o_timeout_dispose(evloop, &loop->head_timeout);
    h2o_timeout_dispose(evloop, &loop->body_timeout);
    h2o_timeout_dispose(evloop, &loop->write_timeout);
}

static void loop_open(struct loop *loop)
{
    configure(loop);
    h2o_context_init(&loop->context, h2o_evloop_create(), &loop->config);
    open_timeouts(loop);
    record_begin(loop);
    clients_begin(loop);
    loop->accept = (h2o_accept_ctx_t){.ctx = &loop->context, .hosts = loop->config.hosts};
    h2o_multithread_register_receiver(loop->context.queue, &loop->receiver, on_wake);
    pthread_mutex_lock(&loop->wake_lock);
    loop->awake = true;
    pthread_mutex_unlock(&loop->wake_lock);
}

static void listen_all(struct loop *loop)
{
    struct server *server = loop->server;

    loop->listeners = xcalloc(server->listener_count, sizeof(*loop->listeners));
    for (size_t i = 0; i < server->listener_count; i++) {
        struct loop_listener *l = &loop->listeners[i];
        int *fd = &server->listeners[i].fds[loop->index];
        l->loop = loop;
        l->listener = &server->listeners[i];
        l->socket = h2o_evloop_socket_create(loop->context.loop, *fd, H2O_SOCKET_FLAG_DONT_READ);
        l->socket->data = l;
        *fd = -1;
        h2o_socket_read_start(l->socket, accept_on_readable);
    }
}

static void stop_receiving(struct loop *loop)
{
    pthread_mutex_lock(&loop->wake_lock);
    loop->awake = false;
    bool pending = loop->woken;
    pthread_mutex_unlock(&loop->wake_lock);
    while (pending) {
        h2o_evloop_run(loop->context.loop, 10);
        pthread_mutex_lock(&loop->wake_lock);
        pending = loop->woken;
        pthread_mutex_unlock(&loop->wake_lock);
    }
    h2o_multithread_unregister_receiver(loop->context.queue, &loop->receiver);
}

static void loop_close(struct loop *loop)
{
    h2o_multithread_queue_t *queue = loop->context.queue;
    h2o_evloop_t *evloop = loop->context.loop;

    if (loop->bench)
        loop->server->options.bench_free(loop->bench);
    loop->bench = NULL;
    stop_receiving(loop);
    record_end(loop);
    clients_end(loop);
    flush_lines(loop);
    free(loop->listeners);
    loop->listeners = NULL;
    if (loop->connection_count > 0)
        return; /* cut, and still there: better to leak what they hold than to free what they use */
    if (h2o_timeout_is_linked(&loop->context.http2._graceful_shutdown_timeout))
        h2o_timeout_unlink(&loop->context.http2._graceful_shutdown_timeout);
    close_timeouts(loop);
    h2o_context_dispose(&loop->context);
    h2o_evloop_destroy(evloop);
    free(queue); /* libh2o forgets it */
    h2o_config_dispose(&loop->config);
}

/* ---- thread ---- */

static void tell_ready(struct server *server, const struct fault *fault)
{
    pthread_mutex_lock(&server->lock);
    if (fault) {
        if (server->loops_failed++ == 0)
            server->start_fault = *fault;
    } else {
        server->loops_ready++;
    }
    pthread_cond_broadcast(&server->changed);
    pthread_mutex_unlock(&server->lock);
}

/* All loops serve, or none does. */
static bool wait_for_start(struct server *server)
{
    pthread_mutex_lock(&server->lock);
    while (server->state == SERVER_STARTING)
        pthread_cond_wait(&server->changed, &server->lock);
    bool run = server->state == SERVER_RUNNING;
    pthread_mutex_unlock(&server->lock);
    return run;
}

static bool prepare(struct loop *loop, struct fault *fault)
{
    const struct server_options *options = &loop->server->options;

    if (!intercept_works(loop))
        return fault_internal(fault, "the strict HTTP/1 reader is not in the place of libh2o's: refusing to serve");
    loop->bench = options->bench_new(options->services, fault);
    return loop->bench != NULL;
}

static void serve(struct loop *loop)
{
    listen_all(loop);
    while (!loop->ended) {
        h2o_evloop_run(loop->context.loop, TURN_MAX_MS);
        loop->server->options.bench_turn_end(loop->bench);
        flush_lines(loop);
    }
}

static void *loop_main(void *arg)
{
    struct loop *loop = arg;
    struct fault fault = {0};

    loop_open(loop);
    bool prepared = prepare(loop, &fault);
    tell_ready(loop->server, prepared ? NULL : &fault);
    if (wait_for_start(loop->server) && prepared)
        serve(loop);
    loop_close(loop);
    return NULL;
}

bool loop_start(struct loop *loop, struct fault *fault)
{
    char name[16];

    snprintf(name, sizeof(name), "loop-%u", loop->index);
    int error = thread_begin(&loop->thread, name, loop_main, loop);
    if (error)
        return fault_unavailable(fault, 1, "Cannot start a thread: %s.", strerror(error));
    loop->started = true;
    return true;
}
