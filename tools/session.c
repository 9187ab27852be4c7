/* SPDX-License-Identifier: GPL-2.0-only */
/* session.c - a pool to run verbs on: opened here when it is closed, asked through the control socket when it is in
 * use. Either way a verb is a line of the protocol, so both give the same answers.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "control/proto.h"
#include "host/host.h"
#include "tool.h"

#define TRIES 20		/* a pool that another tool looks at is soon free */
#define TRY_PAUSE_MS 100

struct session {
	struct conf *conf;
	const struct conf_pool *pool;	/* of conf */
	struct host_pool *host;		/* opened here, or NULL */
	int fd;				/* of the control socket, or -1 */
	struct verb_host verbs;
	void (*progress)(void *ctx, uint64_t done, uint64_t total);
	void *progress_ctx;
	char *answer;			/* of the call being run, owned */
};

/* ------------------------------------------------------------------ the verbs' view of this process */
static struct hb_pool *find_pool(void *ctx, const char *name)
{
	struct session *s = ctx;
	struct hb_pool *pool = host_pool_engine(s->host);

	return strcmp(hb_pool_name(pool), name) ? NULL : pool;
}

static struct hb_pool *next_pool(void *ctx, struct hb_pool *after)
{
	struct session *s = ctx;

	return after ? NULL : host_pool_engine(s->host);
}

static struct host_pool *real_pool(void *ctx, struct hb_pool *pool)
{
	struct session *s = ctx;

	return host_pool_engine(s->host) == pool ? s->host : NULL;
}

static void pass_progress(void *ctx, uint64_t done, uint64_t total)
{
	struct session *s = ctx;

	if (s->progress)
		s->progress(s->progress_ctx, done, total);
}

static void log_line(void *ctx, enum hb_log_level level, const char *text)
{
	(void)ctx;
	if (level >= HB_LOG_WARN)
		fprintf(stderr, "hybrid-pool: %s\n", text);
}

/* ------------------------------------------------------------------ opening */
static int choose_pool(const struct tool *t, const struct conf *conf, const struct conf_pool **ret, struct err *err)
{
	if (t->pool) {
		*ret = conf_find_pool(conf, t->pool);
		return *ret ? 0 : err_set(err, -ENOENT, "%s: no pool is named \"%.80s\"", conf->file, t->pool);
	}
	if (conf->npools > 1)
		return err_set(err, -EINVAL, "%s has %zu pools: say which with --pool", conf->file, conf->npools);
	*ret = &conf->pools[0];
	return 0;
}

int tool_conf(const struct tool *t, struct conf **ret, const struct conf_pool **ret_pool, struct err *err)
{
	if (conf_load(t->conf_path, ret, err))
		return err->code;
	if (choose_pool(t, *ret, ret_pool, err)) {
		conf_free(*ret);
		*ret = NULL;
	}
	return err->code;
}

static int session_new(const struct tool *t, struct session **ret, struct err *err)
{
	struct session *s = calloc(1, sizeof(*s));

	if (!s)
		return err_set(err, -ENOMEM, "out of memory");
	s->fd = -1;
	s->verbs = (struct verb_host){.ctx = s, .find = find_pool, .next = next_pool, .real = real_pool,
				      .progress = pass_progress, .may_wait = true};
	host_log_to(log_line, NULL);
	if (tool_conf(t, &s->conf, &s->pool, err)) {
		session_close(s, NULL);
		return err->code;
	}
	*ret = s;
	return 0;
}

/* Whether the process behind the socket has this pool. */
static int check_served(struct session *s, struct err *err)
{
	const json_t *pools;
	json_t *result, *p;
	bool found = false;
	size_t i;

	if (session_call(s, "pools", NULL, &result, err))
		return err->code;
	pools = json_object_get(result, "pools");
	json_array_foreach((json_t *)pools, i, p)
		found |= !strcmp(get_text(p, "name"), s->pool->name);
	json_decref(result);
	if (found)
		return 0;
	return err_set(err, -EBUSY, "pool %s is in use, but not by the process that serves %s", s->pool->name,
		       s->conf->socket);
}

/* The pool is locked by somebody: by one who serves the socket, hopefully. Keeps the error of the lock otherwise. */
static int try_socket(struct session *s, struct err *err)
{
	struct err own = ERR_INIT;

	if (client_connect(s->conf->socket, &s->fd, &own))
		return own.code == -ENOENT || own.code == -ECONNREFUSED ? err->code :
			err_set(err, own.code, "%s", own.text);
	if (check_served(s, &own) == 0) {
		*err = ERR_INIT;
		return 0;
	}
	close(s->fd);
	s->fd = -1;
	return err_set(err, own.code, "%s", own.text);
}

/* -ENODEV: nobody serves it now. */
static int connect_only(struct session *s, struct err *err)
{
	err_set(err, -ENODEV, "pool %s is not in use: nobody serves %s", s->pool->name, s->conf->socket);
	if (try_socket(s, err) == -EBUSY)
		err->code = -ENODEV;
	return err->code;
}

static int open_or_connect(struct session *s, enum session_want want, struct err *err)
{
	unsigned flags = want == SESSION_WRITE ? 0 : HOST_READ_ONLY;

	for (int i = 0; i < TRIES; i++) {
		*err = ERR_INIT;
		if (want == SESSION_SERVED)
			return connect_only(s, err);
		if (host_pool_open(s->pool, flags, &s->host, err) == 0)
			return 0;
		if (err->code != -EBUSY)
			return err->code;
		if (want != SESSION_CLOSED && try_socket(s, err) != -EBUSY)
			return err->code;
		poll(NULL, 0, TRY_PAUSE_MS);
	}
	return err->code;
}

int session_open(const struct tool *t, enum session_want want, struct session **ret, struct err *err)
{
	struct session *s;

	if (session_new(t, &s, err))
		return err->code;
	if (open_or_connect(s, want, err)) {
		session_close(s, NULL);
		return err->code;
	}
	*ret = s;
	return 0;
}

int session_close(struct session *s, struct err *err)
{
	int rc = 0;

	if (!s)
		return 0;
	if (s->host)
		rc = host_pool_close(s->host, err);
	if (s->fd >= 0)
		close(s->fd);
	conf_free(s->conf);
	free(s);
	return rc;
}

/* ------------------------------------------------------------------ calling */
static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * SEC_NS + (uint64_t)ts.tv_nsec;
}

/* One turn of the pool's loop; waits at most `ms` for something to do. */
static void turn(struct session *s, unsigned ms)
{
	struct hb_pool *pool = host_pool_engine(s->host);
	uint64_t next = hb_pool_run(pool), now = now_ns();
	struct pollfd p[HB_DEVS_MAX];
	int fds[HB_DEVS_MAX], n = hb_pool_event_fds(pool, fds);

	if (s->answer || next <= now)
		return;
	for (int i = 0; i < n; i++)
		p[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
	poll(p, (nfds_t)n, (int)MIN((next - now) / MSEC_NS + 1, ms));
}

/* Turns the pool's loop until the answer is there. Every request ends in bounded time, and so does this. */
static void run_until_answered(struct session *s)
{
	while (!s->answer)
		turn(s, 1000);
}

void session_turn(struct session *s, unsigned ms)
{
	uint64_t until = now_ns() + ms * MSEC_NS, now;

	if (!s->host)
		poll(NULL, 0, (int)ms);
	while (s->host && (now = now_ns()) < until)
		turn(s, (unsigned)((until - now) / MSEC_NS + 1));
}

static void keep_answer(void *owner, struct proto_call *call, const char *line, size_t len)
{
	struct session *s = owner;

	(void)call;
	s->answer = strndup(line, len);
	if (s->answer)
		return;
	fprintf(stderr, "hybrid-pool: out of memory\n");
	exit(EXIT_FAILED);
}

/* The answer line of a request line, owned by the caller; NULL with err set. */
static char *exchange(struct session *s, const char *line, struct err *err)
{
	struct proto_call *call;
	char *answer = NULL;

	if (!s->host)
		return client_ask(s->fd, line, &answer, err) ? NULL : answer;
	if (proto_handle_line(&s->verbs, line, strlen(line), keep_answer, s, &call))
		run_until_answered(s);
	answer = s->answer;
	s->answer = NULL;
	return answer;
}

/* Takes the answer apart: 0 and the result, or the error it brings. */
static int read_answer(const char *answer, json_t **ret_result, struct err *err)
{
	json_t *root = json_loads(answer, JSON_REJECT_DUPLICATES, NULL);

	if (get_uint(root, "v") != PROTO_VERSION)
		err_set(err, -EPROTO, "the answer is none of protocol version %d", PROTO_VERSION);
	else if (!get_bool(root, "ok"))
		err_set(err, proto_code_value(get_text(root, "error.code")), "%s", get_text(root, "error.text"));
	else
		*ret_result = json_incref(json_object_get(root, "result"));
	json_decref(root);
	return err->code;
}

int session_call(struct session *s, const char *verb, json_t *args, json_t **ret_result, struct err *err)
{
	bool wants_pool = strcmp(verb, "pools") && strcmp(verb, "version");
	json_t *request = json_pack("{s:i, s:i, s:s}", "v", PROTO_VERSION, "id", 1, "verb", verb);
	char *line, *answer;

	if (wants_pool)
		json_object_set_new(request, "pool", json_string(s->pool->name));
	if (args)
		json_object_set_new(request, "args", args);
	line = json_dumps(request, JSON_COMPACT);
	json_decref(request);
	if (!line)	/* a name on the command line that is no UTF-8 ends here */
		return err_set(err, -EINVAL, "%s: the arguments are not valid text", verb);
	answer = exchange(s, line, err);
	free(line);
	if (!answer)
		return err->code;
	read_answer(answer, ret_result, err);
	free(answer);
	return err->code;
}

int session_once(const struct tool *t, enum session_want want, const char *verb, json_t *args, json_t **ret_result,
		 struct err *err)
{
	struct err close_err = ERR_INIT;
	struct session *s;

	if (session_open(t, want, &s, err)) {
		json_decref(args);
		return err->code;
	}
	session_call(s, verb, args, ret_result, err);
	if (session_close(s, &close_err) == 0 || err->code)
		return err->code;
	json_decref(*ret_result);
	return err_set(err, close_err.code, "%s: done, but closing the pool failed: %s", verb, close_err.text);
}

json_t *session_volumes(struct session *s, struct err *err)
{
	json_t *all = json_array(), *args = NULL, *part;
	const char *next;

	for (;;) {
		if (session_call(s, "volume-list", args, &part, err)) {
			json_decref(all);
			return NULL;
		}
		json_array_extend(all, json_object_get(part, "volumes"));
		next = get_text(part, "next");
		args = next[0] ? json_pack("{s:s}", "after", next) : NULL;
		json_decref(part);
		if (!args)
			return all;
	}
}

int session_usage(struct session *s, const char *name, json_t **ret_result, struct err *err)
{
	json_t *args = json_pack("{s:s}", "name", name), *part = NULL;

	if (!args)
		return err_set(err, -EINVAL, "volume usage: the name is no valid text");
	while (session_call(s, "volume-usage", args, &part, err) == 0) {
		if (get_bool(part, "complete")) {
			*ret_result = part;
			return 0;
		}
		args = json_pack("{s:s, s:s}", "name", name, "cursor", get_text(part, "cursor"));
		json_decref(part);
	}
	return err->code;
}

void session_progress(struct session *s, void (*progress)(void *ctx, uint64_t done, uint64_t total), void *ctx)
{
	s->progress = progress;
	s->progress_ctx = ctx;
}

struct hb_pool *session_pool(struct session *s)
{
	return s->host ? host_pool_engine(s->host) : NULL;
}

/* ------------------------------------------------------------------ without a session */
int session_create_pool(const struct tool *t, char ret_name[64], struct err *err)
{
	struct session *s;

	if (session_new(t, &s, err))
		return err->code;
	snprintf(ret_name, 64, "%s", s->pool->name);
	host_pool_create(s->pool, t->force, err);
	session_close(s, NULL);
	return err->code;
}

int session_each_pool(const struct tool *t, int (*each)(void *ctx, const char *name), void *ctx, struct err *err)
{
	struct conf *conf;
	int rc = 0;

	if (conf_load(t->conf_path, &conf, err))
		return err->code;
	for (size_t i = 0; i < conf->npools && rc == 0; i++)
		rc = each(ctx, conf->pools[i].name);
	conf_free(conf);
	return rc ? err_set(err, rc, "the list could not be made: %s", strerror(-rc)) : 0;
}
