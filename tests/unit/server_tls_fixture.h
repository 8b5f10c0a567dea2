/* TLS clients, and certificates of certs/make-dev, for server_*_test.c. Included once by each. */
#ifndef BAILIFF_TESTS_SERVER_TLS_FIXTURE_H
#define BAILIFF_TESTS_SERVER_TLS_FIXTURE_H

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/stat.h>

#include "unit/server_fixture.h"

#define HOST "Host: localhost\r\n"
#define LAST HOST "Connection: close\r\n"

static char folder[] = "/tmp/bailiff-tls-XXXXXX";

static inline char *file(const char *name)
{
    static char paths[64][128];
    static int next;
    char *path = paths[next++ % 64];

    snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    return path;
}

static inline void shell(const char *format, ...) printf_like(1, 2);
static inline void shell(const char *format, ...)
{
    char command[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(command, sizeof(command), format, args);
    va_end(args);
    if (system(command) != 0)
        fail_msg("failed: %s", command);
}

static inline int make_certificates(void **state)
{
    if (!mkdtemp(folder))
        return -1;
    shell("certs/make-dev --dir %s --client alice >/dev/null", folder);
    /* Of the clients' CA, but a server's by its use; and one that states no use at all. */
    shell(
        "cd %s && openssl req -new -key client-alice-key.pem -subj /CN=x -out x.csr 2>/dev/null && "
        "echo extendedKeyUsage=serverAuth >x.ext && "
        "openssl x509 -req -in x.csr -CA clients-ca.pem -CAkey clients-ca-key.pem -set_serial 9 -days 9 -extfile x.ext "
        "-out client-server.pem 2>/dev/null && "
        "openssl x509 -req -in x.csr -CA clients-ca.pem -CAkey clients-ca-key.pem -set_serial 8 -days 9 "
        "-out client-useless.pem 2>/dev/null",
        folder);
    return 0;
}

static inline int remove_certificates(void **state)
{
    shell("rm -r %s", folder);
    return 0;
}

static inline struct server_options options_tls(struct listener_options *listener, bool clients)
{
    struct server_options options = options_plain(listener);

    listener->tls = true;
    listener->certificate_file = file("server.pem");
    listener->key_file = file("server-key.pem");
    listener->client_ca_file = clients ? file("clients-ca.pem") : NULL;
    return options;
}

/* ---- a TLS client ---- */

struct client {
    SSL_CTX *context;
    SSL *ssl;
    int fd;
};

struct client_options {
    int version;               /* the only one offered; 0: any */
    const unsigned char *alpn; /* with length bytes */
    const char *certificate;
    const char *key; /* NULL: client-alice-key.pem */
};

static inline bool client_open(struct client *c, unsigned port, struct client_options o)
{
    *c = (struct client){.context = SSL_CTX_new(TLS_client_method()), .fd = connect_to(port)};
    SSL_CTX_load_verify_locations(c->context, file("ca.pem"), NULL);
    SSL_CTX_set_verify(c->context, SSL_VERIFY_PEER, NULL);
    if (o.version) {
        SSL_CTX_set_security_level(c->context, 0);
        SSL_CTX_set_min_proto_version(c->context, o.version);
        SSL_CTX_set_max_proto_version(c->context, o.version);
    }
    if (o.alpn)
        SSL_CTX_set_alpn_protos(c->context, o.alpn, (unsigned)strlen((const char *)o.alpn));
    if (o.certificate) {
        SSL_CTX_use_certificate_chain_file(c->context, file(o.certificate));
        SSL_CTX_use_PrivateKey_file(c->context, file(o.key ? o.key : "client-alice-key.pem"), SSL_FILETYPE_PEM);
    }
    c->ssl = SSL_new(c->context);
    SSL_set_fd(c->ssl, c->fd);
    SSL_set1_host(c->ssl, "localhost");
    return SSL_connect(c->ssl) == 1;
}

static inline void client_close(struct client *c)
{
    SSL_free(c->ssl);
    SSL_CTX_free(c->context);
    close(c->fd);
    ERR_clear_error();
}

static inline void client_receive(struct client *c, struct text *out)
{
    char buf[16384];
    int n;

    text_append(out, "", 0);
    while ((n = SSL_read(c->ssl, buf, sizeof(buf))) > 0)
        text_append(out, buf, (size_t)n);
}

static inline void client_talk(struct client *c, const char *request, struct text *answer)
{
    SSL_write(c->ssl, request, (int)strlen(request));
    client_receive(c, answer);
}

/* TLS 1.3 tells a client that it was refused after its own handshake has succeeded. */
static inline bool is_served(unsigned port, struct client_options o)
{
    struct client c;
    own(text_done) struct text answer = {0};
    bool open = client_open(&c, port, o);

    if (open)
        client_talk(&c, "GET / HTTP/1.1\r\n" LAST "\r\n", &answer);
    client_close(&c);
    return open && answer.len > 0 && strstr(answer.data, "|secure|");
}

#endif
