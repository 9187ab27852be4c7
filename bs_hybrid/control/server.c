/* SPDX-License-Identifier: GPL-2.0-only */
/* server.c - clients of the control socket: lines in, answers out, nothing unbounded.
 *
 * A client's handler reads what is there, runs each whole line, writes what is ready, and says what to watch next.
 * An answer that comes later (from hb_pool_run) only adds to the client's output and asks the loop for EPOLLOUT: so no
 * client disappears under somebody's feet.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "control/listen.h"
#include "control/proto.h"
#include "control/server.h"

#define ACCEPTS_A_TURN 8
#define LINES_A_TURN 8
#define ACCEPT_PAUSE_NS 1000000000ull	/* after accept() failed for want of descriptors or memory */

struct client {
	struct link link;		/* server->clients */
	struct ctl_server *server;
	int fd;
	int watched;			/* events the loop has */
	char *in;			/* PROTO_LINE_MAX + 1 bytes */
	size_t in_len;
	char *out;			/* answers not yet sent: out_off .. out_len */
	size_t out_off, out_len, out_cap;
	struct link calls;		/* struct proto_call, waiting */
	unsigned ncalls;
	bool eof;			/* the client sends no more */
	bool skipping;			/* inside a line that was too long and has been answered */
	bool doomed;			/* to be dropped by its handler */
	uint64_t progress_ns;		/* when a line began or was handled, or bytes of an answer were sent */
};

struct ctl_server {
	mode_t mode;
	struct ctl_loop loop;
	const struct verb_host *host;	/* borrowed */
	struct listener listener;
	uint64_t accept_again_ns;	/* 0: not paused */
	struct link clients;
	unsigned nclients;
	struct link orphans;		/* struct proto_call: waiting, the client has gone */
};

static uint64_t now(const struct ctl_server *s)
{
	return s->loop.now_ns(s->loop.ctx);
}

/* ------------------------------------------------------------------ clients' ends */
/* A call whose client has gone is still the pool's until it is finished: the server keeps it in sight. */
static void orphan_answer(void *owner, struct proto_call *call, const char *line, size_t len)
{
	(void)owner;
	(void)line;
	(void)len;
	list_del(&call->link);
}

static void client_drop(struct client *c)
{
	struct ctl_server *s = c->server;
	struct link *l;

	while ((l = list_pop(&c->calls))) {
		struct proto_call *call = list_entry(l, struct proto_call, link);

		call->answer = orphan_answer;
		list_push(&s->orphans, l);
	}
	s->loop.del(s->loop.ctx, c->fd);
	close(c->fd);
	list_del(&c->link);
	s->nclients--;
	mem_free(c->in);
	mem_free(c->out);
	mem_free(c);
}

/* Whether another request may be taken from this client. */
static bool has_room(const struct client *c)
{
	return !c->doomed && c->ncalls < CTL_CALLS_MAX && c->out_len - c->out_off < CTL_OUT_PAUSE;
}

static bool has_line(const struct client *c)
{
	return c->in_len && memchr(c->in, '\n', c->in_len);
}

static void client_watch(struct client *c)
{
	struct ctl_server *s = c->server;
	/* A line kept back that may run now asks for EPOLLOUT too: its byte has come already, no EPOLLIN will tell. */
	bool busy = c->doomed || c->out_off < c->out_len || (has_room(c) && has_line(c));
	int events = (has_room(c) && !c->eof ? EPOLLIN : 0) | (busy ? EPOLLOUT : 0);

	if (events == c->watched)
		return;
	if (s->loop.modify(s->loop.ctx, c->fd, events) == 0)
		c->watched = events;
	else
		c->doomed = true;
}

/* ------------------------------------------------------------------ output */
static int out_reserve(struct client *c, size_t more)
{
	size_t used = c->out_len - c->out_off, cap = c->out_cap ? c->out_cap : 4096;
	char *buf;

	if (used + more > CTL_OUT_MAX)
		return -ENOBUFS;
	if (c->out_len + more <= c->out_cap)
		return 0;
	while (cap < used + more)
		cap *= 2;
	buf = mem_alloc(cap);
	if (!buf)
		return -ENOMEM;
	if (used)
		memcpy(buf, c->out + c->out_off, used);
	mem_free(c->out);
	c->out = buf;
	c->out_cap = cap;
	c->out_len = used;
	c->out_off = 0;
	return 0;
}

static void client_answer(void *owner, struct proto_call *call, const char *line, size_t len)
{
	struct client *c = owner;

	if (call) {
		list_del(&call->link);
		c->ncalls--;
	}
	if (c->out_off == c->out_len)
		c->progress_ns = now(c->server);
	if (out_reserve(c, len)) {
		c->doomed = true;
	} else {
		memcpy(c->out + c->out_len, line, len);
		c->out_len += len;
	}
	client_watch(c);
}

static void client_write(struct client *c)
{
	while (c->out_off < c->out_len) {
		ssize_t n = send(c->fd, c->out + c->out_off, c->out_len - c->out_off, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return;
		if (n <= 0) {
			c->doomed = true;
			return;
		}
		c->out_off += (size_t)n;
		c->progress_ns = now(c->server);
	}
	c->out_off = c->out_len = 0;
}

/* ------------------------------------------------------------------ input */
static void handle_line(struct client *c, const char *line, size_t len)
{
	struct proto_call *call;

	c->progress_ns = now(c->server);
	if (proto_handle_line(c->server->host, line, len, client_answer, c, &call)) {
		list_push(&c->calls, &call->link);
		c->ncalls++;
	}
}

/* Runs some whole lines, as the client's bounds allow, and keeps the rest. */
static void handle_lines(struct client *c)
{
	size_t off = 0, end;

	for (int n = 0; n < LINES_A_TURN && off < c->in_len && has_room(c); n++) {
		const char *newline = memchr(c->in + off, '\n', c->in_len - off);

		if (!newline)
			break;
		end = (size_t)(newline - c->in);
		if (!c->skipping)
			handle_line(c, c->in + off, end - off);
		c->skipping = false;
		off = end + 1;
	}
	memmove(c->in, c->in + off, c->in_len - off);
	c->in_len -= off;
}

/* A buffer full of one line: answered once, then skipped up to its newline. */
static void handle_too_long(struct client *c)
{
	if (c->in_len <= PROTO_LINE_MAX || has_line(c))
		return;
	_Static_assert(PROTO_LINE_MAX == 65536, "the text below says so");
	if (!c->skipping)
		proto_refuse(-EMSGSIZE, "the line is longer than 65536 bytes", client_answer, c);
	c->skipping = true;
	c->in_len = 0;
}

/* At the end of the input, what has no newline counts as a line. */
static void handle_last_line(struct client *c)
{
	if (!c->eof || !c->in_len || !has_room(c) || has_line(c))
		return;
	if (!c->skipping)
		handle_line(c, c->in, c->in_len);
	c->in_len = 0;
}

static void client_read(struct client *c)
{
	size_t room = PROTO_LINE_MAX + 1 - c->in_len;
	ssize_t n;

	if (c->eof || !room || !has_room(c))
		return;
	n = recv(c->fd, c->in + c->in_len, room, MSG_DONTWAIT);
	if (n < 0) {
		c->doomed = errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR;
		return;
	}
	if (!c->in_len && !c->skipping)
		c->progress_ns = now(c->server);
	c->in_len += (size_t)n;
	c->eof = n == 0;
}

static void client_event(int fd, int events, void *data)
{
	struct client *c = data;

	assert(fd == c->fd);
	if (events & EPOLLERR)
		c->doomed = true;
	if (events & (EPOLLIN | EPOLLHUP))
		client_read(c);
	if (!c->doomed)
		client_write(c);	/* may lift a bound, so before the lines */
	handle_lines(c);
	handle_too_long(c);
	handle_last_line(c);
	if (!c->doomed)
		client_write(c);
	/* EPOLLHUP: both directions are shut, so nobody will read an answer. What was sent before has been run. */
	if ((events & EPOLLHUP) && (c->eof || !has_room(c)))
		c->doomed = true;
	if (c->doomed || (c->eof && !c->in_len && !c->ncalls && c->out_off == c->out_len))
		client_drop(c);
	else
		client_watch(c);
}

/* ------------------------------------------------------------------ accepting */
static void answer_once(void *owner, struct proto_call *call, const char *line, size_t len)
{
	const int *fd = owner;

	(void)call;
	if (send(*fd, line, len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return;	/* the peer has gone: nothing to tell it */
}

/* 0 or a -errno with the reason, for the peer. */
static int may_come_in(const struct ctl_server *s, int fd, const char **why)
{
	uid_t uid;

	*why = "too many clients: try again later";
	if (s->nclients >= CTL_CLIENTS_MAX)
		return -EBUSY;
	*why = "not permitted: expected root or the server's own user";
	if (s->mode & 077)
		return 0;
	if (listen_peer_uid(fd, &uid))
		return -EPERM;
	return uid == 0 || uid == geteuid() ? 0 : -EPERM;
}

/* Takes the descriptor on success. */
static int client_new(struct ctl_server *s, int fd)
{
	struct client *c = mem_zalloc(sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->server = s;
	c->fd = fd;
	c->watched = EPOLLIN;
	c->progress_ns = now(s);
	list_init(&c->calls);
	c->in = mem_alloc(PROTO_LINE_MAX + 1);
	if (!c->in || s->loop.add(s->loop.ctx, fd, c->watched, client_event, c)) {
		mem_free(c->in);
		mem_free(c);
		return -ENOMEM;
	}
	list_push(&s->clients, &c->link);
	s->nclients++;
	return 0;
}

static void come_in(struct ctl_server *s, int fd)
{
	const char *why;
	int rc = may_come_in(s, fd, &why);

	if (rc == 0) {
		rc = client_new(s, fd);
		why = "out of memory";
	}
	if (rc == 0)
		return;
	proto_refuse(rc, why, answer_once, &fd);
	close(fd);
}

static void listener_event(int fd, int events, void *data)
{
	struct ctl_server *s = data;

	(void)events;
	for (int i = 0; i < ACCEPTS_A_TURN; i++) {
		int peer = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (peer >= 0) {
			come_in(s, peer);
			continue;
		}
		if (errno == EINTR || errno == ECONNABORTED)
			continue;
		if (errno == EAGAIN || errno == EWOULDBLOCK)
			return;
		/* Out of descriptors or memory: the connection stays in the queue, so don't spin on it. */
		if (s->loop.modify(s->loop.ctx, fd, 0) == 0)
			s->accept_again_ns = now(s) + ACCEPT_PAUSE_NS;
		return;
	}
}

/* ------------------------------------------------------------------ the server */
int ctl_server_new(const struct ctl_conf *conf, const struct ctl_loop *loop, const struct verb_host *host,
		   struct ctl_server **ret, struct err *err)
{
	struct ctl_server *s = mem_zalloc(sizeof(*s));
	int rc;

	if (!s)
		return err_set(err, -ENOMEM, "control socket: out of memory");
	s->mode = conf->mode ? conf->mode : 0600;
	s->loop = *loop;
	s->host = host;
	list_init(&s->clients);
	list_init(&s->orphans);
	rc = listen_open(&s->listener, conf->path, s->mode, err);
	if (rc)
		goto free_server;
	rc = loop->add(loop->ctx, s->listener.fd, EPOLLIN, listener_event, s);
	if (rc) {
		err_set(err, rc, "control socket: the event loop took it not: %s", strerror(-rc));
		goto close_listener;
	}
	*ret = s;
	return 0;
close_listener:
	listen_close(&s->listener);
free_server:
	mem_free(s);
	return rc;
}

void ctl_server_free(struct ctl_server *s)
{
	if (!s)
		return;
	list_each_safe(l, tmp, &s->clients)
		client_drop(list_entry(l, struct client, link));
	assert(s->nclients == 0);
	list_each_safe(l, tmp, &s->orphans) {
		list_del(l);
		proto_call_orphan(list_entry(l, struct proto_call, link));
	}
	s->loop.del(s->loop.ctx, s->listener.fd);
	listen_close(&s->listener);
	mem_free(s);
}

/* Whether this client is the one that keeps things waiting. */
static bool is_stalling(const struct client *c)
{
	if (c->out_off < c->out_len)
		return true;
	return (c->in_len || c->skipping) && !has_line(c);
}

uint64_t ctl_server_run(struct ctl_server *s)
{
	uint64_t t = now(s), next = UINT64_MAX;

	if (s->accept_again_ns && t >= s->accept_again_ns) {
		s->accept_again_ns = 0;
		if (s->loop.modify(s->loop.ctx, s->listener.fd, EPOLLIN))
			s->accept_again_ns = t + ACCEPT_PAUSE_NS;
	}
	if (s->accept_again_ns)
		next = s->accept_again_ns;
	list_each_safe(l, tmp, &s->clients) {
		struct client *c = list_entry(l, struct client, link);

		if (c->doomed || (is_stalling(c) && t - c->progress_ns >= CTL_STALL_NS))
			client_drop(c);
		else if (is_stalling(c))
			next = MIN(next, c->progress_ns + CTL_STALL_NS);
	}
	return next;
}

static unsigned count_calls(const struct link *calls, const struct hb_pool *pool)
{
	unsigned n = 0;

	list_each(l, calls)
		n += list_entry(l, struct proto_call, link)->verb.pool == pool;
	return n;
}

unsigned ctl_server_waiting(const struct ctl_server *s, const struct hb_pool *pool)
{
	unsigned n = count_calls(&s->orphans, pool);

	list_each(l, &s->clients)
		n += count_calls(&list_entry(l, struct client, link)->calls, pool);
	return n;
}

static void fail_calls(struct link *calls, const struct hb_pool *pool)
{
	list_each_safe(l, tmp, calls) {
		struct proto_call *call = list_entry(l, struct proto_call, link);

		if (call->verb.pool == pool)
			proto_call_fail(call, "the pool was closed before this was known to be durable");
	}
}

void ctl_server_forget(struct ctl_server *s, const struct hb_pool *pool)
{
	fail_calls(&s->orphans, pool);
	list_each(l, &s->clients)
		fail_calls(&list_entry(l, struct client, link)->calls, pool);
}
