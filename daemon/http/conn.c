/* SPDX-License-Identifier: GPL-2.0-only */
/* conn.c - connections: who is at the other end, how many of one address, and until when the next thing must happen.
 *
 * libmicrohttpd's own timeout starts anew with every byte, so that one byte in a while would keep a connection.
 * Here each state has a deadline that progress does not move; the watch thread shuts the socket of who is late, which
 * libmicrohttpd sees as a broken connection; so does who comes when all places are taken, to who has been in its state
 * for longest. The socket may be touched only while the connection is in the list: that is left, under the lock, before
 * libmicrohttpd closes the descriptor, so the number cannot be another's by then.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/units.h"
#include "http/priv.h"

#define WATCH_MIN_MS 10
#define WATCH_MAX_MS 1000

uint64_t conn_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

void conn_set(struct conn *c, enum conn_state state, uint64_t bytes)
{
	struct http *h = c->port->http;
	uint64_t now = conn_now_ms();

	pthread_mutex_lock(&h->lock);
	c->state = state;
	c->since_ms = now;
	c->deadline_ms = now + h->limits.idle_ms + bytes * 1000 / SLOW_BYTES_S;
	pthread_mutex_unlock(&h->lock);
}

/* What counts as one address, and its text. IPv4 within IPv6 is IPv4. */
static void who(const struct sockaddr *sa, uint8_t net[NET_MAX], char peer[PEER_MAX])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	struct in6_addr a = IN6ADDR_ANY_INIT;

	memset(net, 0, NET_MAX);
	snprintf(peer, PEER_MAX, "unix");
	if (sa->sa_family == AF_INET) {
		memcpy(a.s6_addr, mapped, sizeof(mapped));
		memcpy(a.s6_addr + sizeof(mapped), &((const struct sockaddr_in *)sa)->sin_addr, 4);
	} else if (sa->sa_family == AF_INET6) {
		a = ((const struct sockaddr_in6 *)sa)->sin6_addr;
	} else {
		return;
	}
	if (IN6_IS_ADDR_V4MAPPED(&a)) {
		memcpy(net, a.s6_addr, NET_MAX);
		inet_ntop(AF_INET, a.s6_addr + sizeof(mapped), peer, PEER_MAX);
	} else {
		memcpy(net, a.s6_addr, 8);
		inet_ntop(AF_INET6, &a, peer, PEER_MAX);
	}
}

/* libmicrohttpd sees a broken connection, soon. With the lock. */
static void end(struct conn *c)
{
	c->ended = true;
	(void)shutdown(c->fd, SHUT_RDWR);
}

/* The listener is full: who has not got on for longest has to go. Those that ask and go are gone before it is their
 * turn, whoever holds the rest. What is with a handler stays. With the lock. */
static void make_place(struct port *p)
{
	struct conn *longest = NULL;

	list_each(l, &p->conns) {
		struct conn *c = container_of(l, struct conn, node);

		if (!c->ended && c->state != CONN_HANDLED && (!longest || c->since_ms < longest->since_ms))
			longest = c;
	}
	if (longest)
		end(longest);
}

enum MHD_Result conn_accept(void *port, const struct sockaddr *addr, socklen_t len)
{
	struct port *p = port;
	struct http *h = p->http;
	uint8_t net[NET_MAX];
	char peer[PEER_MAX];
	uint32_t same = 0, living = 0;
	bool yes;

	if (!p->is_unix) {
		if (len < sizeof(struct sockaddr_in))
			return MHD_NO;
		who(addr, net, peer);
	}
	pthread_mutex_lock(&h->lock);
	list_each(l, &p->conns) {
		const struct conn *c = container_of(l, struct conn, node);

		same += !p->is_unix && !memcmp(c->net, net, NET_MAX);
		living += !c->ended;
	}
	yes = !h->closing && same < h->limits.connections_each;
	if (yes && living >= h->limits.connections)
		make_place(p);
	pthread_mutex_unlock(&h->lock);
	return yes ? MHD_YES : MHD_NO;
}

static void started(struct port *p, struct MHD_Connection *m, void **ctx)
{
	const union MHD_ConnectionInfo *addr = MHD_get_connection_info(m, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const union MHD_ConnectionInfo *fd = MHD_get_connection_info(m, MHD_CONNECTION_INFO_CONNECTION_FD);
	const union MHD_ConnectionInfo *tls = MHD_get_connection_info(m, MHD_CONNECTION_INFO_GNUTLS_SESSION);
	struct conn *c = calloc(1, sizeof(*c));
	struct http *h = p->http;
	uid_t uid;

	*ctx = c;
	if (!c)
		return; /* its first request is refused */
	c->port = p;
	c->fd = fd->connect_fd;
	if (p->is_unix) {
		snprintf(c->peer, sizeof(c->peer), "unix");
		c->root = listen_peer_uid(c->fd, &uid) == 0 && (uid == 0 || uid == geteuid());
	} else {
		who(addr->client_addr, c->net, c->peer);
	}
	/* Before the handshake. No list of authorities is sent with it: the client offers what key it has, proves that
	 * it is its own, and those above know by the pin who that is. */
	if (p->ask_key && tls)
		gnutls_certificate_server_set_request(tls->tls_session, GNUTLS_CERT_REQUIRE);
	conn_set(c, CONN_IDLE, 0);
	pthread_mutex_lock(&h->lock);
	list_push(&p->conns, &c->node);
	h->usage.connections++;
	pthread_mutex_unlock(&h->lock);
}

void conn_notify(void *port, struct MHD_Connection *m, void **ctx, enum MHD_ConnectionNotificationCode what)
{
	struct port *p = port;
	struct conn *c = *ctx;

	if (what == MHD_CONNECTION_NOTIFY_STARTED) {
		started(p, m, ctx);
		return;
	}
	if (!c)
		return;
	pthread_mutex_lock(&p->http->lock);
	list_del(&c->node);
	p->http->usage.connections--;
	pthread_mutex_unlock(&p->http->lock);
	free(c);
	*ctx = NULL;
}

const char *conn_pin(struct conn *c, struct MHD_Connection *m)
{
	const union MHD_ConnectionInfo *tls;
	const gnutls_datum_t *certs;
	unsigned n = 0;

	if (c->pin_known)
		return c->pin;
	c->pin_known = true;
	tls = c->port->ask_key ? MHD_get_connection_info(m, MHD_CONNECTION_INFO_GNUTLS_SESSION) : NULL;
	certs = tls ? gnutls_certificate_get_peers(tls->tls_session, &n) : NULL;
	if (!certs || !n || identity_pin_der(certs[0].data, certs[0].size, c->pin, NULL) < 0)
		c->pin[0] = '\0';
	return c->pin;
}

/* ---------------------------------------------------------------- the watch */

/* libmicrohttpd (0.9.75, epoll) overlooks a client's end that comes together with its last bytes. An end that is still
 * unread a round later, while nothing else happened, is such a one: no request can come any more. */
static bool is_gone(struct conn *c)
{
	char byte;

	if (c->state == CONN_SENDING || recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) != 0)
		return false;
	if (c->gone_ms == c->deadline_ms)
		return true;
	c->gone_ms = c->deadline_ms;
	return false;
}

static void end_late(struct http *h, uint64_t now)
{
	for (unsigned i = 0; i < h->nports; i++) {
		list_each(l, &h->ports[i].conns) {
			struct conn *c = container_of(l, struct conn, node);

			if (!c->ended && c->state != CONN_HANDLED && (now >= c->deadline_ms || is_gone(c)))
				end(c);
		}
	}
}

void *conn_watch(void *http)
{
	struct http *h = http;
	uint64_t each = MIN(MAX(h->limits.idle_ms / 8, WATCH_MIN_MS), WATCH_MAX_MS);

	pthread_mutex_lock(&h->lock);
	while (h->watching) {
		uint64_t now = conn_now_ms(), next = now + each;
		struct timespec until = {(time_t)(next / 1000), (long)(next % 1000 * 1000000)};

		end_late(h, now);
		while (h->watching && pthread_cond_timedwait(&h->changed, &h->lock, &until) != ETIMEDOUT)
			;
	}
	pthread_mutex_unlock(&h->lock);
	return NULL;
}
