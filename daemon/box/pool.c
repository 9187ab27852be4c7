/* SPDX-License-Identifier: GPL-2.0-only */
/* pool.c - verbs of the pools over their control socket: a few kept connections, one request at a time on each.
 *
 * Crash story: a request whose answer did not come is "done or not" (-EPIPE, -ETIMEDOUT), and never sent again from
 * here. Only one whose line was not handed over wholly is: a server acts on whole lines.
 */
#include "box/pool.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/units.h"
#include "box/sock.h"
#include "control/proto.h"

#define CONNECTIONS 8		/* of the server's 32: the tool and others want some */
#define ANSWER_MAX (16u << 20)	/* the server keeps at most 8 MiB */
#define WATCH_PAUSE_MS 100	/* between attempts to connect, while nobody serves */

struct pools {
	char *path;
	pthread_mutex_t lock;	/* of what follows */
	pthread_cond_t freed;
	int idle[CONNECTIONS];
	unsigned nidle, nused;
	uint64_t last_id;
	/* pools_watch()'s */
	pthread_mutex_t watch_lock;
	int watch_fd;		/* a connection that says nothing; -1: none */
	int stop_fd;		/* eventfd; readable: stopped */
	bool serves;
	uint64_t life;
};

int pools_new(const char *path, struct pools **ret, struct err *err)
{
	struct pools *ps = calloc(1, sizeof(*ps));
	pthread_condattr_t attr;

	if (ps) {
		ps->path = strdup(path);
		ps->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	}
	if (!ps || !ps->path || ps->stop_fd < 0) {
		if (ps && ps->stop_fd >= 0)
			close(ps->stop_fd);
		if (ps)
			free(ps->path);
		free(ps);
		return err_set(err, -ENOMEM, "out of memory or descriptors");
	}
	ps->watch_fd = -1;
	pthread_mutex_init(&ps->lock, NULL);
	pthread_mutex_init(&ps->watch_lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&ps->freed, &attr);
	pthread_condattr_destroy(&attr);
	*ret = ps;
	return 0;
}

void pools_free(struct pools *ps)
{
	if (!ps)
		return;
	while (ps->nidle)
		close(ps->idle[--ps->nidle]);
	if (ps->watch_fd >= 0)
		close(ps->watch_fd);
	close(ps->stop_fd);
	pthread_cond_destroy(&ps->freed);
	pthread_mutex_destroy(&ps->watch_lock);
	pthread_mutex_destroy(&ps->lock);
	free(ps->path);
	free(ps);
}

/* ------------------------------------------------------------------ connections */
/* One that has something to say unasked, or has ended, is of no use. */
static bool is_quiet(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 0) == 0;
}

/* *ret_fd -1: a place was taken, connect it. */
static int take(struct pools *ps, uint64_t deadline_ms, int *ret_fd, uint64_t *ret_id, struct err *err)
{
	struct timespec until = {.tv_sec = (time_t)(deadline_ms / 1000),
				 .tv_nsec = (long)(deadline_ms % 1000 * MSEC_NS)};
	int rc = 0;

	*ret_fd = -1;
	pthread_mutex_lock(&ps->lock);
	while (ps->nused == CONNECTIONS && rc == 0)
		rc = pthread_cond_timedwait(&ps->freed, &ps->lock, &until);
	if (ps->nused == CONNECTIONS) {
		pthread_mutex_unlock(&ps->lock);
		return err_set(err, -ETIMEDOUT, "%u requests are under way, none has ended in time", CONNECTIONS);
	}
	ps->nused++;
	*ret_id = ++ps->last_id;
	while (ps->nidle && *ret_fd < 0) {
		*ret_fd = ps->idle[--ps->nidle];
		if (!is_quiet(*ret_fd)) {
			close(*ret_fd);
			*ret_fd = -1;
		}
	}
	pthread_mutex_unlock(&ps->lock);
	return 0;
}

/* fd -1: it was closed. */
static void give_back(struct pools *ps, int fd)
{
	pthread_mutex_lock(&ps->lock);
	ps->nused--;
	if (fd >= 0)
		ps->idle[ps->nidle++] = fd; /* nidle + nused <= CONNECTIONS */
	pthread_cond_signal(&ps->freed);
	pthread_mutex_unlock(&ps->lock);
}

/* ------------------------------------------------------------------ request and answer */
static char *make_line(uint64_t id, const char *pool, const char *verb, const json_t *args)
{
	json_t *o = json_pack("{s:i, s:I, s:s, s:s*, s:O*}", "v", PROTO_VERSION, "id", (json_int_t)id, "verb", verb,
			      "pool", pool, "args", args);
	char *text = o ? json_dumps(o, JSON_COMPACT) : NULL, *line = NULL;
	size_t len = text ? strlen(text) : 0;

	json_decref(o);
	if (text)
		line = realloc(text, len + 2);
	if (!line) {
		free(text);
		return NULL;
	}
	memcpy(line + len, "\n", 2);
	return line;
}

static int receive_line(int fd, uint64_t deadline_ms, char **ret, size_t *ret_len, struct err *err)
{
	size_t len = 0, cap = 0;
	char *buf = NULL;

	for (;;) {
		size_t got;

		if (len == cap) {
			char *more = cap < ANSWER_MAX ? realloc(buf, cap ? cap * 2 : 4096) : NULL;

			if (!more) {
				err_set(err, cap < ANSWER_MAX ? -ENOMEM : -EPROTO, "the answer is too long");
				break;
			}
			buf = more;
			cap = cap ? cap * 2 : 4096;
		}
		if (sock_recv(fd, buf + len, cap - len, deadline_ms, &got, err))
			break;
		if (!got) {
			err_set(err, -EPIPE, "it has gone without an answer");
			break;
		}
		len += got;
		if (buf[len - 1] == '\n') {
			*ret = buf;
			*ret_len = len - 1;
			return 0;
		}
	}
	free(buf);
	return err->code;
}

/* A pool that is not open yet is no reason to give up. */
static int error_of(const char *code)
{
	int value = proto_code_value(code);

	return value == -ENODEV ? -EAGAIN : value;
}

/* New reference, or NULL with err. Who answers another request than ours cannot be talked with any more: *ret_sane. */
static json_t *read_answer(const char *line, size_t len, uint64_t id, bool *ret_sane, struct err *err)
{
	json_t *o = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL), *result = NULL;
	const json_t *their_id = json_object_get(o, "id"), *ok = json_object_get(o, "ok");
	const json_t *error = json_object_get(o, "error");
	const char *code = json_string_value(json_object_get(error, "code"));
	const char *text = json_string_value(json_object_get(error, "text"));
	bool ours = json_is_integer(their_id) && json_integer_value(their_id) == (json_int_t)id;
	/* A refusal of the connection as a whole has no id, and nothing was done. */
	bool refused = json_is_null(their_id) && json_is_false(ok);

	*ret_sane = ours;
	if (json_is_true(ok) && ours)
		result = json_incref(json_object_get(o, "result"));
	if (json_is_false(ok) && code && text && (ours || refused))
		err_set(err, error_of(code), "%s", text);
	else if (!result) {
		*ret_sane = false;
		err_set(err, -EPROTO, o && !ours ? "it answered something else than was asked" :
						   "its answer is not of this protocol");
	}
	json_decref(o);
	return result;
}

/* On a kept connection, or where that turns out to be dead before the line was handed over, on a new one. */
static int deliver(struct pools *ps, int *fd, const char *line, uint64_t deadline_ms, struct err *err)
{
	bool kept = *fd >= 0;

	for (;;) {
		int rc = 0;

		if (*fd < 0)
			rc = sock_connect(ps->path, deadline_ms, fd, err);
		if (!rc)
			rc = sock_send(*fd, line, strlen(line), deadline_ms, err);
		if (rc != -EPIPE || !kept)
			return rc;
		close(*fd);
		*fd = -1;
		kept = false;
		*err = ERR_INIT;
	}
}

static json_t *ask(struct pools *ps, int *fd, const char *line, uint64_t id, uint64_t deadline_ms, struct err *err)
{
	json_t *result = NULL;
	char *answer = NULL;
	bool sane = false;
	size_t len = 0;

	if (!deliver(ps, fd, line, deadline_ms, err) && !receive_line(*fd, deadline_ms, &answer, &len, err))
		result = read_answer(answer, len, id, &sane, err);
	free(answer);
	/* An answer that comes late must not be taken for that of the next request. */
	if (!sane && *fd >= 0) {
		close(*fd);
		*fd = -1;
	}
	return result;
}

json_t *pool_call(struct pools *ps, const char *pool, const char *verb, const json_t *args, uint32_t timeout_ms,
		  struct err *err)
{
	uint64_t deadline_ms = sock_now_ms() + timeout_ms, id = 0;
	struct err own = ERR_INIT;
	json_t *result = NULL;
	char *line;
	int fd;

	if (take(ps, deadline_ms, &fd, &id, &own)) {
		err_set(err, own.code, "%s: %s", ps->path, own.text);
		return NULL;
	}
	line = make_line(id, pool, verb, args);
	if (!line)
		err_set(&own, -EINVAL, "%s: out of memory, or a name is not UTF-8", verb);
	else if (strlen(line) > PROTO_LINE_MAX + 1)
		err_set(&own, -E2BIG, "%s: the request is too long", verb);
	else
		result = ask(ps, &fd, line, id, deadline_ms, &own);
	free(line);
	give_back(ps, fd);
	if (!result)
		err_set(err, own.code, "%s", own.text);
	return result;
}

/* ------------------------------------------------------------------ watching */
/* Waits for fd (or -1) and for the order to stop. True: fd has something to say. */
static bool wait_for(struct pools *ps, int fd, uint64_t ms, bool *ret_stopped)
{
	struct pollfd p[2] = {{.fd = ps->stop_fd, .events = POLLIN}, {.fd = fd, .events = POLLIN}};
	int n = poll(p, 2, (int)MIN(ms, (uint64_t)60000));

	*ret_stopped = n > 0 && p[0].revents;
	return n > 0 && p[1].revents;
}

/* The watching connection has something to say: it ended, or the server has no room for it and said so. Only the first
 * is a death. */
static void hear(struct pools *ps)
{
	char buf[4096];
	ssize_t n = recv(ps->watch_fd, buf, sizeof(buf), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	close(ps->watch_fd);
	ps->watch_fd = -1;
	if (n <= 0)
		ps->serves = false;
}

static void try_connect(struct pools *ps)
{
	struct err err = ERR_INIT;

	if (sock_connect(ps->path, sock_now_ms(), &ps->watch_fd, &err)) {
		ps->watch_fd = -1;
		/* A full backlog is no death. */
		if (err.code != -ETIMEDOUT)
			ps->serves = false;
		return;
	}
	if (!ps->serves) {
		ps->serves = true;
		ps->life++;
	}
}

int pools_watch(struct pools *ps, bool was, uint32_t for_ms, uint64_t *ret_life)
{
	uint64_t deadline_ms = sock_now_ms() + for_ms, now;
	bool stopped;
	int serves;

	pthread_mutex_lock(&ps->watch_lock);
	wait_for(ps, -1, 0, &stopped);
	for (;;) {
		if (ps->watch_fd >= 0 && !is_quiet(ps->watch_fd))
			hear(ps);
		/* A death is told before a new life is looked for, so that it is never missed. */
		if (ps->watch_fd < 0 && !(was && !ps->serves))
			try_connect(ps);
		now = sock_now_ms();
		if (ps->serves != was || stopped || now >= deadline_ms)
			break;
		wait_for(ps, ps->watch_fd, ps->watch_fd < 0 ? MIN(deadline_ms - now, (uint64_t)WATCH_PAUSE_MS) :
							      deadline_ms - now, &stopped);
	}
	serves = ps->serves;
	if (ret_life)
		*ret_life = ps->life;
	pthread_mutex_unlock(&ps->watch_lock);
	return serves;
}

void pools_stop(struct pools *ps)
{
	uint64_t one = 1;

	if (write(ps->stop_fd, &one, sizeof(one)) < 0)
		return; /* it is full: stopped long ago */
}
