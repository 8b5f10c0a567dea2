/* The stages of the chain, one file each in src/middleware. Their order is in src/app/routes.c. Loop threads. */
#ifndef BAILIFF_MIDDLEWARE_H
#define BAILIFF_MIDDLEWARE_H

#include "bailiff/services.h"

enum flow request_id_enter(struct exchange *x);  /* mints X-Request-Id, reads traceparent, fixed security headers */
enum flow audit_leave(struct exchange *x);       /* a refusal is on disk before it is answered */
enum flow cors_leave(struct exchange *x);        /* for the origins in cors.origins */
enum flow preflight_enter(struct exchange *x);   /* answers preflights */
enum flow peer_limits_enter(struct exchange *x); /* requests and refusals by address, before any cryptography */
enum flow authn_enter(struct exchange *x);       /* bearer token → identity; RFC 6750 */
/* By the policy and keys that are in force now: is its token still good, and may it do what it was let in for? */
must_check bool authn_still_allows(const struct exchange *x);
enum flow quota_enter(struct exchange *x); /* by issuer and subject */
void quota_done(struct exchange *x);
enum flow authz_enter(struct exchange *x);  /* permission → decision and scope */
enum flow body_enter(struct exchange *x);   /* limit and content type of the row */
enum flow replay_enter(struct exchange *x); /* Idempotency-Key: look-up only */
enum flow replay_leave(struct exchange *x);
void replay_done(struct exchange *x);

struct refusal_ledger *refusal_ledger_new(void);
void refusal_ledger_free(struct refusal_ledger *l);
/* Queues the counted records of what was not recorded singly. Called now and then, and at the end. Any thread. */
void refusal_ledger_flush(struct refusal_ledger *l, struct store *store, bool everything);
/* For the server: a request or connection that it refused before there was an exchange. request_id NULL: a connection, which is but
 * counted, unless it has shown a certificate that was not found good. Never waits. Any thread. */
void refusal_before_chain(const struct services *services, const char *address, const char *reason, int status,
                          const char *request_id, const struct certificate *shown);
/* Refusals by address: each of what a client without an identity does wrong counts, be it a handshake, a head, or a token; an address with
 * too many of them is barred until a minute's share grows again. Any thread. */
void refusal_count(const struct services *services, const char *address);
must_check bool address_is_barred(const struct services *services, const char *address, unsigned *ret_retry_after_s);
struct quota_ledger *quota_ledger_new(const struct rate_limits *limits);
void quota_ledger_free(struct quota_ledger *l);
struct inflight_keys *inflight_keys_new(void);
void inflight_keys_free(struct inflight_keys *k);

/* For handlers: a change that carries the exchange's audit draft, idempotency and rendering; see src/handlers/change.c. */
void audit_draft_fill(const struct exchange *x, struct arena *arena, struct audit_draft *draft);

#endif
