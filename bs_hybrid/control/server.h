/* SPDX-License-Identifier: GPL-2.0-only */
/* server.h - the control socket: a Unix stream socket that carries the lines of proto.h.
 *
 * The server lives on its host's event loop, given as an ops table, and never blocks it. It belongs to the loop's
 * thread.
 *
 * Invariants
 * (1) The socket file is there, with its mode, from success of ctl_server_new() to ctl_server_free(); it is removed
 *     only while it is still the server's own. One server holds a path: `PATH.lock` is locked for its life.
 * (2) With a mode of 0600 who connects must be root or the server's own user (SO_PEERCRED), whatever happened to the
 *     file since. With a wider mode it was somebody's will that others may come in, and the file's mode decides.
 * (3) Bounded: clients, requests of one client that wait, bytes kept per client. A client at a bound is not read
 *     from; one that keeps half a line or does not read its answers for CTL_STALL_NS is dropped.
 * (4) A client is freed only from its own descriptor's handler, ctl_server_run() or ctl_server_free(), never from
 *     inside an answer.
 */
#ifndef HB_CONTROL_SERVER_H
#define HB_CONTROL_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "control/verbs.h"

#define CTL_CLIENTS_MAX 32
#define CTL_CALLS_MAX 8			/* of one client, waiting for durability */
#define CTL_OUT_PAUSE 65536u		/* no more requests are read from a client that has so many bytes to read */
#define CTL_OUT_MAX (8u << 20)		/* a client with more than this to read is dropped */
#define CTL_STALL_NS (10ull * 1000000000ull)

/* The host's event loop. Events are EPOLLIN and EPOLLOUT (the same bits as POLLIN and POLLOUT), level-triggered;
 * errors and hang-ups are reported whatever is watched. */
typedef void ctl_handler_fn(int fd, int events, void *data);
struct ctl_loop {
	void *ctx;
	/* Each required. add may fail with -errno. del may be called from inside fd's own handler. */
	int (*add)(void *ctx, int fd, int events, ctl_handler_fn *handler, void *data);
	int (*modify)(void *ctx, int fd, int events);
	void (*del)(void *ctx, int fd);
	uint64_t (*now_ns)(void *ctx);		/* monotonic */
};

struct ctl_conf {
	const char *path;		/* borrowed until ctl_server_new() returns; at most 100 bytes */
	mode_t mode;			/* of the socket file; 0: 0600 */
};

struct ctl_server;

/* Listens. A socket file that nobody serves is replaced; one that is served, or a file of another kind, is refused
 * with -EADDRINUSE or -EEXIST. The last folder of the path is made when it is missing. Both structs are copied,
 * `host` is borrowed. */
int ctl_server_new(const struct ctl_conf *conf, const struct ctl_loop *loop, const struct verb_host *host,
		   struct ctl_server **ret, struct err *err);
/* Drops all clients, removes the socket. Calls that still wait go on without an answer; NULL is fine. */
void ctl_server_free(struct ctl_server *server);

/* Call it at the time it returned (UINT64_MAX: no need) or more often: drops clients that stall. */
uint64_t ctl_server_run(struct ctl_server *server);

/* How many calls wait for this pool: before hb_pool_close(), run the pool until there are none. */
unsigned ctl_server_waiting(const struct ctl_server *server, const struct hb_pool *pool);
/* The pool was abandoned with calls waiting: each is answered with an error. */
void ctl_server_forget(struct ctl_server *server, const struct hb_pool *pool);

#endif
