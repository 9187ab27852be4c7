/* SPDX-License-Identifier: GPL-2.0-only */
/* priv.h - what the files of this room share: listeners, connections, requests.
 *
 * Threads: each listener has one thread of libmicrohttpd's, which calls all callbacks of its connections; a watch
 * thread (conn.c) ends connections that are late; workers answer. http->lock guards the lists of connections and all
 * counts; it is never held while libmicrohttpd is called.
 */
#ifndef HB_HTTP_PRIV_H
#define HB_HTTP_PRIV_H

#include <microhttpd.h>
#include <pthread.h>

#include "base/list.h"
#include "box/identity.h"
#include "control/listen.h"
#include "http/http.h"
#include "http/rate.h"

#define LISTENERS_MAX 9
#define PEER_MAX 48 /* an IPv6 address and its zero */
#define NET_MAX 16 /* what counts as one address: an IPv4 one (mapped), or an IPv6 /64 */
#define HEADERS_MAX 128
#define SLOW_BYTES_S 16384 /* slower clients than this are late */

struct port {
	struct http *http;
	unsigned index;
	struct MHD_Daemon *mhd;
	int fd; /* our own of the TCP listener; -1 */
	struct listener sock; /* Unix: the path and its lock */
	bool is_unix, tls, ask_key;
	uint16_t number;
	/* under http->lock */
	struct link conns;
	uint32_t waiting;
	size_t body_bytes, answer_bytes;
};

enum conn_state {
	CONN_IDLE, /* no request line yet */
	CONN_RECEIVING,
	CONN_HANDLED, /* no deadline: the handler's time is not the client's fault */
	CONN_SENDING,
};

struct conn {
	struct link node; /* of port->conns */
	struct port *port;
	int fd; /* libmicrohttpd's; open as long as we are in the list */
	uint8_t net[NET_MAX];
	char peer[PEER_MAX];
	bool root; /* at the other end of a Unix socket */
	bool pin_known;
	char pin[IDENTITY_PIN_MAX]; /* "": none */
	/* under http->lock */
	enum conn_state state;
	bool ended; /* shut down by us */
	uint64_t since_ms; /* in this state */
	uint64_t deadline_ms;
	uint64_t gone_ms; /* the deadline when the watch first saw that the client had closed; 0: it has not */
};

struct http_field {
	const char *name, *value;
};

struct joined {
	struct joined *next;
	char text[];
};

struct http_request {
	struct port *port;
	struct conn *conn;
	struct MHD_Connection *mhd;
	const char *raw; /* where libmicrohttpd keeps the request target */
	size_t raw_len;
	char *path, *query; /* one copy of the target; path is the allocation */
	const char *method;
	struct http_field *fields;
	unsigned nfields;
	struct joined *joined;
	char *body;
	size_t len, room;
	uint64_t seen; /* bytes of body that came, those that were thrown away too */
	bool begun, chunked, handed;
	unsigned refuse; /* status with which this room answers it; 0: it is for the handler */
	unsigned retry_s;
	struct MHD_Response *response;
	size_t answer; /* bytes that count in port->answer_bytes */
	unsigned status;
};

struct http {
	struct http_limits limits;
	struct http_handler handler;
	struct port ports[LISTENERS_MAX];
	unsigned nports;
	struct rate *by_address, *by_key;
	pthread_t watch;
	bool watching;

	pthread_mutex_t lock;
	pthread_cond_t changed; /* a count fell while closing, or watching ends; of the monotonic clock */
	bool closing;
	uint32_t running; /* calls of handler.handle, from when they are given to run() */
	uint32_t unanswered; /* requests with handlers */
	uint32_t sending; /* ... answered by them, not yet sent */
	struct http_usage usage;
};

/* socket.c: sockets and files of a listener. */
int port_listen_unix(struct port *p, const struct http_listen *l, struct err *err);
int port_listen_tcp(struct port *p, const struct http_listen *l, struct err *err);
/* A whole file as a string (malloc'd; to be given to file_forget()), if it is a sane one. */
int file_read(const char *path, char **ret, struct err *err);
void file_forget(char *text);
/* That the two fit together, as libmicrohttpd would not tell why it refuses them. */
int tls_check(const char *key, const char *cert, struct err *err);

/* conn.c */
uint64_t conn_now_ms(void);
/* The state, and with it the deadline: idle_ms from now, and as long as `bytes` may take. */
void conn_set(struct conn *c, enum conn_state state, uint64_t bytes);
enum MHD_Result conn_accept(void *port, const struct sockaddr *addr, socklen_t len);
void conn_notify(void *port, struct MHD_Connection *m, void **ctx, enum MHD_ConnectionNotificationCode what);
/* The pin of the client's key, "" if it has none; asks once. */
const char *conn_pin(struct conn *c, struct MHD_Connection *m);
void *conn_watch(void *http);

/* request.c: callbacks of libmicrohttpd. */
void *request_line(void *port, const char *target, struct MHD_Connection *m);
enum MHD_Result request_part(void *port, struct MHD_Connection *m, const char *url, const char *method,
			     const char *version, const char *data, size_t *len, void **ctx);
void request_end(void *port, struct MHD_Connection *m, void **ctx, enum MHD_RequestTerminationCode why);

#endif
