/* SPDX-License-Identifier: GPL-2.0-only */
/* http.c - starts the listeners, and ends them when all that was taken on is answered. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/units.h"
#include "http/priv.h"

#define PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA:%SERVER_PRECEDENCE"
#define FIELD_ROOM (16 << 10) /* what libmicrohttpd notes about headers beside their bytes, and an answer's headers */
#define SPARE 16 /* connections: places for who comes before who had to go for it has gone */
#define LAST_SEND_MS 5000 /* how long http_free() waits for clients to take their answers */

static int start(struct port *p, const char *key, const char *cert, struct err *err)
{
	const struct http_limits *l = &p->http->limits;
	struct MHD_OptionItem tls[] = {
		{MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)key},
		{MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)cert},
		{MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)PRIORITIES},
		{MHD_OPTION_END, 0, NULL},
	};
	struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};
	unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_SUSPEND_RESUME | (key ? MHD_USE_TLS : 0);
	int fd = fcntl(p->is_unix ? p->sock.fd : p->fd, F_DUPFD_CLOEXEC, 0);

	if (fd < 0)
		return err_set(err, -errno, "%s", strerror(errno));
	/* The descriptor is libmicrohttpd's from here on, if it starts or not. */
	p->mhd = MHD_start_daemon(
		flags, 0, conn_accept, p, request_part, p, MHD_OPTION_LISTEN_SOCKET, (MHD_socket)fd,
		MHD_OPTION_CONNECTION_LIMIT, (unsigned)l->connections + SPARE, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		l->header_bytes + FIELD_ROOM, MHD_OPTION_CONNECTION_TIMEOUT, 0U, MHD_OPTION_STRICT_FOR_CLIENT, 1,
		MHD_OPTION_URI_LOG_CALLBACK, request_line, p, MHD_OPTION_NOTIFY_COMPLETED, request_end, p,
		MHD_OPTION_NOTIFY_CONNECTION, conn_notify, p, MHD_OPTION_ARRAY, key ? tls : none, MHD_OPTION_END);
	return p->mhd ? 0 : err_set(err, -EIO, "the HTTP server does not start (no memory, or no descriptors left?)");
}

static int open_port(struct port *p, const struct http_listen *l, struct err *err)
{
	char *key = NULL, *cert = NULL;
	int ret = 0;

	if (!l->unix_path == !l->address)
		return err_set(err, -EINVAL, "expected either a path or an address");
	if (!l->key_path != !l->cert_path || (l->unix_path && l->key_path) || (l->ask_client_key && !l->key_path))
		return err_set(err, -EINVAL, "%s: TLS needs an address, a key and a certificate",
			       l->unix_path ? l->unix_path : l->address);
	p->tls = l->key_path;
	p->ask_key = l->ask_client_key;
	if (p->tls) {
		ret = file_read(l->key_path, &key, err);
		ret = ret ? ret : file_read(l->cert_path, &cert, err);
		ret = ret ? ret : tls_check(key, cert, err);
		if (ret == -EINVAL)
			err_wrap(err, "%s, %s", l->key_path, l->cert_path);
	}
	if (!ret)
		ret = l->unix_path ? port_listen_unix(p, l, err) : port_listen_tcp(p, l, err);
	if (!ret)
		ret = start(p, key, cert, err);
	file_forget(key);
	file_forget(cert);
	return ret;
}

static void set_limits(struct http_limits *to, const struct http_limits *from)
{
	*to = from ? *from : (struct http_limits){0};
	to->connections = to->connections ? to->connections : 1024;
	to->connections_each = to->connections_each ? to->connections_each : 128;
	to->body_bytes = to->body_bytes ? to->body_bytes : 1 << 20;
	to->header_bytes = to->header_bytes ? to->header_bytes : 32 << 10;
	to->waiting = to->waiting ? to->waiting : 512;
	to->waiting_bytes = to->waiting_bytes ? to->waiting_bytes : 64 << 20;
	to->waiting_bytes = MAX(to->waiting_bytes, to->body_bytes + 1);
	to->answer_bytes = to->answer_bytes ? to->answer_bytes : 256 << 20;
	to->idle_ms = to->idle_ms ? to->idle_ms : 30000;
}

static int start_all(struct http *h, const struct http_listen *listen, unsigned nlisten, struct err *err)
{
	int ret;

	if (h->limits.requests_s)
		h->by_address = rate_new(h->limits.requests_s);
	if (h->limits.key_requests_s)
		h->by_key = rate_new(h->limits.key_requests_s);
	if ((h->limits.requests_s && !h->by_address) || (h->limits.key_requests_s && !h->by_key))
		return err_set(err, -ENOMEM, "HTTP: out of memory");
	h->watching = true;
	ret = -pthread_create(&h->watch, NULL, conn_watch, h);
	if (ret) {
		h->watching = false;
		return err_set(err, ret, "HTTP: thread: %s", strerror(-ret));
	}
	for (unsigned i = 0; i < nlisten; i++) {
		ret = open_port(&h->ports[i], &listen[i], err);
		if (ret) {
			err_wrap(err, "listener %u", i + 1);
			return ret;
		}
	}
	return 0;
}

int http_new(const struct http_listen *listen, unsigned nlisten, const struct http_limits *limits,
	     const struct http_handler *handler, struct http **ret, struct err *err)
{
	pthread_condattr_t attr;
	struct http *h;
	int code;

	*ret = NULL;
	if (!nlisten || nlisten > LISTENERS_MAX)
		return err_set(err, -EINVAL, "expected 1 to %d listeners", LISTENERS_MAX);
	h = calloc(1, sizeof(*h));
	if (!h)
		return err_set(err, -ENOMEM, "HTTP: out of memory");
	set_limits(&h->limits, limits);
	h->handler = *handler;
	h->nports = nlisten;
	pthread_mutex_init(&h->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&h->changed, &attr);
	pthread_condattr_destroy(&attr);
	for (unsigned i = 0; i < nlisten; i++) {
		struct port *p = &h->ports[i];

		p->http = h;
		p->index = i;
		p->fd = p->sock.fd = p->sock.lock_fd = -1;
		list_init(&p->conns);
	}
	code = start_all(h, listen, nlisten, err);
	if (code)
		http_free(h);
	else
		*ret = h;
	return code;
}

uint16_t http_port(const struct http *h, unsigned listen)
{
	return h->ports[listen].number;
}

/* Until handlers have answered and returned; then a while until clients have taken the answers. libmicrohttpd must not
 * be stopped while a connection is suspended, nor while a worker resumes one. */
static void drain(struct http *h)
{
	uint64_t end;

	pthread_mutex_lock(&h->lock);
	h->closing = true;
	while (h->unanswered || h->running)
		pthread_cond_wait(&h->changed, &h->lock);
	end = conn_now_ms() + LAST_SEND_MS;
	while (h->sending && conn_now_ms() < end) {
		struct timespec until = {(time_t)(end / 1000), (long)(end % 1000 * 1000000)};

		pthread_cond_timedwait(&h->changed, &h->lock, &until);
	}
	pthread_mutex_unlock(&h->lock);
}

void http_free(struct http *h)
{
	if (!h)
		return;
	drain(h);
	for (unsigned i = 0; i < h->nports; i++)
		if (h->ports[i].mhd)
			MHD_stop_daemon(h->ports[i].mhd);
	/* The watch is the last to go but one: it looks at connections, which are gone now, of ports, which are not. */
	if (h->watching) {
		pthread_mutex_lock(&h->lock);
		h->watching = false;
		pthread_cond_broadcast(&h->changed);
		pthread_mutex_unlock(&h->lock);
		pthread_join(h->watch, NULL);
	}
	for (unsigned i = 0; i < h->nports; i++) {
		listen_close(&h->ports[i].sock);
		if (h->ports[i].fd >= 0)
			close(h->ports[i].fd);
	}
	rate_free(h->by_address);
	rate_free(h->by_key);
	pthread_cond_destroy(&h->changed);
	pthread_mutex_destroy(&h->lock);
	free(h);
}

unsigned http_rate(struct http *h, const char *key)
{
	return h->by_key ? rate_take(h->by_key, key, strlen(key), conn_now_ms()) : 0;
}

void http_usage(struct http *h, struct http_usage *ret)
{
	pthread_mutex_lock(&h->lock);
	*ret = h->usage;
	pthread_mutex_unlock(&h->lock);
}
