/* SPDX-License-Identifier: GPL-2.0-only */
/* http_rig.c - a server for tests: workers, handlers, and raw clients. */
#include "http_rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_S 30

/* ------------------------------------------------------------------ workers */
static void *work(void *arg)
{
	struct rig *g = arg;

	pthread_mutex_lock(&g->lock);
	while (g->jobs || !g->ending) {
		struct rig_job *j = g->jobs;

		if (!j) {
			pthread_cond_wait(&g->changed, &g->lock);
			continue;
		}
		g->jobs = j->next;
		if (!g->jobs)
			g->last = &g->jobs;
		pthread_mutex_unlock(&g->lock);
		j->fn(j->arg);
		free(j);
		pthread_mutex_lock(&g->lock);
	}
	pthread_mutex_unlock(&g->lock);
	return NULL;
}

static void run(void *ctx, void (*fn)(void *arg), void *arg)
{
	struct rig *g = ctx;
	struct rig_job *j = calloc(1, sizeof(*j));

	*j = (struct rig_job){fn, arg, NULL};
	pthread_mutex_lock(&g->lock);
	*g->last = j;
	g->last = &j->next;
	pthread_cond_broadcast(&g->changed);
	pthread_mutex_unlock(&g->lock);
}

/* ------------------------------------------------------------------ handlers */
static void echo(struct http_request *r)
{
	const char *headers[] = {"X-Seen", "yes", NULL};
	size_t len;
	const unsigned char *body = http_body(r, &len);
	unsigned sum = 0;
	char text[4096];

	for (size_t i = 0; i < len; i++)
		sum = sum * 31 + body[i];
	snprintf(text, sizeof(text), "%s %s %s %zu %u\n", http_method(r), http_path(r), http_query(r), len, sum);
	http_answer(r, 200, "text/plain", text, strlen(text), headers);
}

static void who(struct http_request *r)
{
	char text[256];

	snprintf(text, sizeof(text), "%s %d %s %u\n", http_peer(r), http_peer_root(r),
		 http_peer_pin(r) ? http_peer_pin(r) : "-", http_listener(r));
	http_answer(r, 200, "text/plain", text, strlen(text), NULL);
}

static void big(struct http_request *r)
{
	size_t len = strtoull(http_query(r), NULL, 10);
	char *text = calloc(1, len + 1);

	memset(text, 'x', len);
	http_answer(r, 200, "text/plain", text, len, NULL);
	free(text);
}

static void gate(struct rig *g, struct http_request *r)
{
	pthread_mutex_lock(&g->lock);
	g->gated++;
	pthread_cond_broadcast(&g->changed);
	while (!g->open)
		pthread_cond_wait(&g->changed, &g->lock);
	g->gated--;
	pthread_mutex_unlock(&g->lock);
	echo(r);
}

static void handle(void *ctx, struct http_request *r)
{
	struct rig *g = ctx;
	const char *path = http_path(r), *value;

	pthread_mutex_lock(&g->lock);
	g->called++;
	if (!strcmp(path, "/park")) {
		g->park[g->parked++] = r;
		pthread_cond_broadcast(&g->changed);
		pthread_mutex_unlock(&g->lock);
		return;
	}
	pthread_mutex_unlock(&g->lock);
	if (!strncmp(path, "/v1/", 4) && g->handle) {
		g->handle(g, r);
	} else if (!strcmp(path, "/gate")) {
		gate(g, r);
	} else if (!strcmp(path, "/who")) {
		who(r);
	} else if (!strcmp(path, "/big")) {
		big(r);
	} else if (!strcmp(path, "/fields")) {
		value = http_header(r, "x-two");
		http_answer(r, 200, "text/plain", value ? value : "none", value ? strlen(value) : 4, NULL);
	} else if (!strcmp(path, "/split")) {
		const char *headers[] = {"X-Bad", "a\r\nSet-Cookie: b", NULL};

		http_answer(r, 200, NULL, "x", 1, headers);
	} else if (!strncmp(path, "/echo", 5)) {
		echo(r);
	} else {
		http_answer(r, 404, NULL, NULL, 0, NULL);
	}
}

/* ------------------------------------------------------------------ begin, serve, end */
void rig_begin(struct rig *g)
{
	struct err err = ERR_INIT;

	memset(g, 0, sizeof(*g));
	g->last = &g->jobs;
	pthread_mutex_init(&g->lock, NULL);
	pthread_cond_init(&g->changed, NULL);
	scratch_new("/tmp", g->dir);
	snprintf(g->sock, sizeof(g->sock), "%s/http.sock", g->dir);
	snprintf(g->key, sizeof(g->key), "%s/key.pem", g->dir);
	snprintf(g->cert, sizeof(g->cert), "%s/cert.pem", g->dir);
	CU_ASSERT_EQUAL_FATAL(identity_ensure(g->key, g->cert, "server", g->pin, &err), 0);
	for (unsigned i = 0; i < RIG_WORKERS; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&g->worker[i], NULL, work, g), 0);
}

int rig_serve_these(struct rig *g, const struct http_listen *l, unsigned n, const struct http_limits *limits,
		    struct err *err)
{
	struct http_handler handler = {g, handle, run, g};

	return http_new(l, n, limits, &handler, &g->h, err);
}

static void serve(struct rig *g, const struct http_listen *l, const struct http_limits *limits)
{
	struct err err = ERR_INIT;

	if (rig_serve_these(g, l, 1, limits, &err))
		fprintf(stderr, "%s\n", err.text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(g->h);
}

void rig_serve(struct rig *g, const struct http_limits *limits)
{
	struct http_listen l = {.address = "127.0.0.1"};

	serve(g, &l, limits);
}

void rig_serve_tls(struct rig *g, const struct http_limits *limits, bool ask_key, uint16_t port)
{
	struct http_listen l = {.address = "127.0.0.1", .port = port, .key_path = g->key, .cert_path = g->cert,
				.ask_client_key = ask_key};

	serve(g, &l, limits);
}

void rig_stop(struct rig *g)
{
	rig_open(g, true);
	http_free(g->h);
	g->h = NULL;
}

void rig_end(struct rig *g)
{
	rig_stop(g);
	pthread_mutex_lock(&g->lock);
	g->ending = true;
	pthread_cond_broadcast(&g->changed);
	pthread_mutex_unlock(&g->lock);
	for (unsigned i = 0; i < RIG_WORKERS; i++)
		pthread_join(g->worker[i], NULL);
	pthread_cond_destroy(&g->changed);
	pthread_mutex_destroy(&g->lock);
	scratch_remove(g->dir);
}

void rig_open(struct rig *g, bool open)
{
	pthread_mutex_lock(&g->lock);
	g->open = open;
	pthread_cond_broadcast(&g->changed);
	pthread_mutex_unlock(&g->lock);
}

void rig_answer_parked(struct rig *g)
{
	unsigned n;

	pthread_mutex_lock(&g->lock);
	n = g->parked;
	g->parked = 0;
	pthread_mutex_unlock(&g->lock);
	for (unsigned i = 0; i < n; i++)
		echo(g->park[i]);
}

unsigned rig_called(struct rig *g)
{
	unsigned n;

	pthread_mutex_lock(&g->lock);
	n = g->called;
	pthread_mutex_unlock(&g->lock);
	return n;
}

static bool wait_count(struct rig *g, const unsigned *count, unsigned n)
{
	struct timespec until;
	int ret = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += PATIENCE_S;
	pthread_mutex_lock(&g->lock);
	while (*count < n && !ret)
		ret = pthread_cond_timedwait(&g->changed, &g->lock, &until);
	pthread_mutex_unlock(&g->lock);
	return !ret;
}

bool rig_wait_gated(struct rig *g, unsigned n)
{
	return wait_count(g, &g->gated, n);
}

bool rig_wait_parked(struct rig *g, unsigned n)
{
	return wait_count(g, &g->parked, n);
}

bool rig_wait_idle(struct rig *g, unsigned connections)
{
	const struct timespec pause = {0, 10000000};
	struct http_usage u;

	for (int i = 0; i < PATIENCE_S * 100; i++) {
		http_usage(g->h, &u);
		if (u.connections == connections && !u.requests && !u.waiting && !u.body_bytes)
			return true;
		nanosleep(&pause, NULL);
	}
	return false;
}

/* ------------------------------------------------------------------ raw clients */
static int patient(int fd)
{
	struct timeval tv = {PATIENCE_S, 0};
	int on = 1;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* not for Unix sockets, and not missed there */
	return fd;
}

int raw_tcp(uint16_t port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = patient(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CU_ASSERT_EQUAL_FATAL(connect(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	return fd;
}

int raw_unix(const char *path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = patient(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	CU_ASSERT_EQUAL_FATAL(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	return fd;
}

void raw_send(int fd, const char *data, size_t len)
{
	while (len > 0) {
		ssize_t n = send(fd, data, len, MSG_NOSIGNAL);

		if (n <= 0)
			return; /* the server has had enough: what it says is looked at */
		data += n;
		len -= (size_t)n;
	}
}

void raw_say(int fd, const char *text)
{
	raw_send(fd, text, strlen(text));
}

int raw_answer(int fd, bool head, char *buf, size_t room)
{
	size_t have = 0, want = 0;
	char *end = NULL, *len;

	/* One byte at a time as far as the headers go: what follows belongs to the next answer. */
	while (have + 1 < room && !end) {
		ssize_t n = recv(fd, buf + have, 1, 0);

		if (n <= 0)
			return 0;
		buf[++have] = '\0';
		if (have >= 4 && !memcmp(buf + have - 4, "\r\n\r\n", 4))
			end = buf + have;
	}
	if (!end)
		return 0;
	len = strcasestr(buf, "\r\nContent-Length:");
	if (len && !head)
		want = strtoull(len + 17, NULL, 10);
	while (want > 0 && have + 1 < room) {
		ssize_t n = recv(fd, buf + have, want < room - 1 - have ? want : room - 1 - have, 0);

		if (n <= 0)
			return 0;
		have += (size_t)n;
		want -= (size_t)n;
		buf[have] = '\0';
	}
	return strncmp(buf, "HTTP/1.", 7) ? -1 : (int)strtol(buf + 9, NULL, 10);
}

bool raw_ended(int fd)
{
	char byte;
	ssize_t n = recv(fd, &byte, 1, 0);

	return n == 0 || (n < 0 && errno == ECONNRESET);
}

int raw_ask(uint16_t port, const char *text, char *buf, size_t room)
{
	int fd = raw_tcp(port), status;

	raw_say(fd, text);
	status = raw_answer(fd, false, buf, room);
	close(fd);
	return status;
}
