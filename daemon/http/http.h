/* SPDX-License-Identifier: GPL-2.0-only */
/* http.h - listeners (Unix socket, TCP with TLS or on loopback without) over libmicrohttpd, for hybridd and the agent.
 *
 * A request is collected (headers and body are bounded), handed to a handler on a worker's thread while its connection
 * waits suspended, and answered by it with one buffer. A handler may take as long as it likes: it stalls nobody but its
 * own client.
 *
 * Invariants
 * (1) Bounded: connections of a listener (the one that has not got on for longest makes room, so that those who ask
 *     get in whoever holds the rest) and by address, bytes of headers and of a body, requests that wait and what their
 *     bodies hold together, what large answers hold together (503 with Retry-After beyond), time a client may take to
 *     send one or to take its answer, requests a second of one address or key (429 with Retry-After beyond). Bounds
 *     are each listener's own, so that clients of TCP never keep the administrator from the Unix socket.
 * (2) A handler never sees half a request, nor one whose lengths disagree.
 * (3) What is answered has Content-Length, X-Content-Type-Options: nosniff, Cache-Control: no-store. (Not what
 *     libmicrohttpd itself refuses because it cannot be parsed: that has a fixed text and ends the connection.)
 */
#ifndef HB_HTTP_H
#define HB_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct http;
struct http_request; /* lives until http_answer() */

struct http_listen {
	const char *unix_path; /* this (at most 100 bytes; taken as control/listen.h says), */
	mode_t unix_mode; /* (0: 0600) */
	const char *address; /* or this: "127.0.0.1", "::" (IPv4 as well), a name */
	uint16_t port;
	const char *key_path, *cert_path; /* TLS if not NULL; else the address must be a loopback one, */
	bool plain_anywhere; /* unless this is set */
	bool ask_client_key; /* TLS: a client without a key is refused; http_peer_pin() tells which it has */
};

struct http_limits { /* of each listener */
	/* 0: 1024. For one more, the one ends that has not got on for longest (a handler's does not: some places more,
	 * then they wait). */
	uint32_t connections;
	uint32_t connections_each; /* of one address (IPv4, or the /64 of IPv6); 0: 128; more are closed */
	size_t body_bytes, header_bytes; /* of one request; 0: 1 MiB, 32 KiB */
	uint32_t waiting; /* requests with handlers at once; 0: 512 */
	size_t waiting_bytes; /* of all their bodies together; 0: 64 MiB, at least body_bytes */
	size_t answer_bytes; /* of all large answers (64 KiB) that are not taken yet; 0: 256 MiB */
	uint32_t requests_s; /* of one address (not over the Unix socket); 0: no limit */
	uint32_t key_requests_s; /* of one key of http_rate(); 0: no limit */
	/* Until a request line, then until all of the request, then until its answer is taken (for the last two a
	 * second more for every 16 KiB); 0: 30 s. */
	uint32_t idle_ms;
};

/* Runs handler(arg, request) on some other thread, soon; `run` is sagas_run() or the like. */
struct http_handler {
	void *ctx;
	void (*handle)(void *ctx, struct http_request *r);
	void (*run)(void *run_ctx, void (*fn)(void *arg), void *arg);
	void *run_ctx;
};

/* listen: 1 to 9 of them. Errors name the listener. -EINVAL: what is asked for makes no sense (TLS with half its files,
 * no TLS on an address that others reach); else what the system says. */
int http_new(const struct http_listen *listen, unsigned nlisten, const struct http_limits *limits,
	     const struct http_handler *handler, struct http **ret, struct err *err);
uint16_t http_port(const struct http *h, unsigned listen); /* the one really taken, where 0 was asked for */
/* No new requests; waits for those that are with handlers, and a while until their answers are sent. NULL is fine. */
void http_free(struct http *h);

/* One request of this key (an API key; only after it has proved to be its own, lest others use it up): 0, or after how
 * many seconds it may come again. Any thread. */
unsigned http_rate(struct http *h, const char *key);

/* What is kept at this moment, of all listeners. */
struct http_usage {
	uint32_t connections;
	uint32_t waiting; /* requests with handlers */
	uint32_t requests; /* ... and those that are being received or answered */
	size_t body_bytes, answer_bytes; /* of all requests */
	uint64_t answered, refused; /* since the beginning: by handlers; by this room (limits, lengths) */
};
void http_usage(struct http *h, struct http_usage *ret);

/* ---------------------------------------------------------------- a request; all borrowed until it is answered */

struct http *http_of(const struct http_request *r);
const char *http_method(const struct http_request *r); /* as sent; HEAD as well: its answer's body is not sent */
const char *http_path(const struct http_request *r); /* as sent, without the query; not decoded */
const char *http_query(const struct http_request *r); /* as sent, without '?'; "" if none */
const char *http_header(const struct http_request *r, const char *name); /* NULL: none; several: joined by "," */
/* The i-th header, as sent; false: there are not so many. */
bool http_field(const struct http_request *r, unsigned i, const char **ret_name, const char **ret_value);
const void *http_body(const struct http_request *r, size_t *ret_len); /* a zero follows it; never NULL */
const char *http_peer(const struct http_request *r); /* "unix", or the address */
bool http_peer_root(const struct http_request *r); /* by SO_PEERCRED: root, or our own user */
const char *http_peer_pin(const struct http_request *r); /* of its TLS key, verified to be its own; NULL: none */
unsigned http_listener(const struct http_request *r); /* which one of http_new() it came by */

/* Exactly once; the request is gone after it. body: copied. headers: name, value, name, value, …, NULL; may be NULL;
 * one that could not be sent as it is (line breaks in it) makes it a 500. status: 200 to 599. */
void http_answer(struct http_request *r, unsigned status, const char *content_type, const void *body, size_t len,
		 const char *const *headers);
/* The same, of a malloc'd body that is taken: nothing is copied. */
void http_answer_taken(struct http_request *r, unsigned status, const char *content_type, void *body, size_t len,
		       const char *const *headers);

#endif
