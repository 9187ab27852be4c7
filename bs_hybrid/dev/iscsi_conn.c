/* SPDX-License-Identifier: GPL-2.0-only */
/* iscsi_conn.c - the sessions of the remote LUN: connect, log in, serve, notice the end, begin anew.
 *
 * libiscsi's own reconnecting is switched off: it takes a new ISID each time (two sessions, the old one's commands may
 * still land), resends everything without looking whether it is the same LUN, and by its own clock. Here a session that
 * ended is a context destroyed, and the next one is a new context with the old ISID: the target then ends the old
 * session and its tasks before it answers the login (session reinstatement, RFC 7143, 6.3.5).
 *
 * What libiscsi 1.19 does not do is done here: with its reconnecting off, iscsi_service() returns 0 when the peer has
 * closed, and the descriptor stays readable for ever; so the end of the stream is looked for before it is called.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/text.h"
#include "dev/iscsi_priv.h"

#define KEY_TIMER 1000u
#define KEY_SELF 1001u
#define PUMP_ROUNDS 8

_Static_assert(POLLIN == EPOLLIN && POLLOUT == EPOLLOUT && POLLERR == EPOLLERR && POLLHUP == EPOLLHUP,
	       "libiscsi speaks poll, the loop epoll");

bool conn_lost_status(int status)
{
	return status == SCSI_STATUS_CANCELLED || status == SCSI_STATUS_ERROR || status == SCSI_STATUS_TIMEOUT;
}

/* ------------------------------------------------------------------ the end of a session */

static void conn_unwatch(struct conn *c)
{
	if (c->fd >= 0)
		epoll_ctl(c->d->epoll_fd, EPOLL_CTL_DEL, c->fd, NULL);
	c->fd = -1;
	c->events = 0;
}

static void conn_destroy(struct conn *c)
{
	conn_unwatch(c);
	if (!c->ctx)
		return;
	c->closing = true;
	iscsi_destroy_context(c->ctx);
	c->closing = false;
	c->ctx = NULL;
	/* Only now nothing of libiscsi refers to it. */
	if (c->ctl)
		scsi_free_scsi_task(c->ctl);
	c->ctl = NULL;
}

void conn_end(struct conn *c, int code, const char *fmt, ...)
{
	struct remote *d = c->d;
	bool was_up = c->state == CONN_UP;
	va_list ap;

	va_start(ap, fmt);
	text_vfmt(c->why, sizeof(c->why), fmt, ap);	/* may be about the context's own text */
	va_end(ap);
	c->why_code = code;
	conn_destroy(c);
	c->state = CONN_DOWN;
	c->broken = false;
	c->portal = (c->portal + 1) % d->nportals;
	c->retry_ns = d->now_ns + (was_up ? 0 : RETRY_NS);
	if (was_up && --d->nup == 0)
		d->down_ns = d->now_ns;
	remote_conn_lost(d, c);
	conn_timer(d);
}

/* From callbacks: the context is in use, so it only is noted. The first reason counts. */
static void conn_break(struct conn *c, int code, const char *why)
{
	if (!c->broken) {
		text_fmt(c->why, sizeof(c->why), "%s", why);
		c->why_code = code;
	}
	c->broken = true;
}

static void conn_end_broken(struct conn *c)
{
	char why[sizeof(c->why)];

	text_fmt(why, sizeof(why), "%s", c->why[0] ? c->why : "connection lost");
	conn_end(c, c->why_code ? c->why_code : -ECONNRESET, "%s", why);
}

/* ------------------------------------------------------------------ the beginning */

/* The session can begin to work; what was wrong before is forgotten. */
void conn_up(struct conn *c)
{
	struct remote *d = c->d;

	c->state = CONN_UP;
	c->why[0] = '\0';
	c->heard_ns = d->now_ns;
	d->nup++;
	c->born = ++d->logins;
	/* No word of a reset: by SAM the target kept everything, its cache included. */
	d->proven = d->proven << 1 | !c->power_on;
	c->tainted = false;
	remote_conn_up(d, c);
	conn_timer(d);
}

/* "... Status: Authentication failure(513)": class and detail of the login response (RFC 7143, 11.13.5). Or words about
 * the target's part in CHAP. */
static int login_error(const char *text)
{
	const char *at = strrchr(text, '(');
	unsigned long status = at ? strtoul(at + 1, NULL, 10) : 0;

	if (status == 0x201 || status == 0x202 || strstr(text, "uthentica") || strstr(text, "CHAP"))
		return -EACCES;
	return status == 0x203 || status == 0x204 ? -ENXIO : -ECONNREFUSED;
}

static void on_login(struct iscsi_context *ctx, int status, void *data, void *priv)
{
	struct conn *c = priv;
	char why[sizeof(c->why)];

	(void)data;
	if (c->closing)
		return;
	if (status == SCSI_STATUS_GOOD) {
		c->state = CONN_VERIFY;
		lun_ask(c, STEP_READY);
		return;
	}
	text_fmt(why, sizeof(why), "login: %s", iscsi_get_error(ctx));
	why[strcspn(why, "\n")] = '\0';
	conn_break(c, login_error(why), why);
}

static void on_connect(struct iscsi_context *ctx, int status, void *data, void *priv)
{
	struct conn *c = priv;

	(void)data;
	if (c->closing)
		return;
	if (status != SCSI_STATUS_GOOD) {
		conn_break(c, -ECONNREFUSED, iscsi_get_error(ctx));
		return;
	}
	c->state = CONN_LOGIN;
	if (iscsi_login_async(ctx, on_login, c) < 0)
		conn_break(c, -EIO, iscsi_get_error(ctx));
}

/* Each new context calls srand() with the time: whoever draws from rand() in this process (the host makes its own CHAP
 * challenges that way) would draw what can be guessed, or even the same again. So it gets a seed nobody knows. */
static struct iscsi_context *new_context(const char *initiator)
{
	struct iscsi_context *ctx = iscsi_create_context(initiator);
	unsigned seed;

	if (getrandom(&seed, sizeof(seed), 0) == (ssize_t)sizeof(seed))
		srand(seed);
	return ctx;
}

static int conn_configure(struct conn *c)
{
	struct remote *d = c->d;
	int r = 0;

	iscsi_set_log_level(c->ctx, 0);
	iscsi_set_noautoreconnect(c->ctx, 1);
	iscsi_set_timeout(c->ctx, 0);		/* the time limits are ours */
	r |= iscsi_set_isid_random(c->ctx, c->d->isid, c->index);
	r |= iscsi_set_session_type(c->ctx, ISCSI_SESSION_NORMAL);
	r |= iscsi_set_targetname(c->ctx, d->target);
	r |= iscsi_set_header_digest(c->ctx, d->header_digest ? ISCSI_HEADER_DIGEST_CRC32C :
								ISCSI_HEADER_DIGEST_NONE_CRC32C);
	if (d->user)
		r |= iscsi_set_initiator_username_pwd(c->ctx, d->user, d->secret);
	if (d->target_user)
		r |= iscsi_set_target_username_pwd(c->ctx, d->target_user, d->target_secret);
	return r;
}

static void conn_watch(struct conn *c)
{
	struct epoll_event ev = { .events = (uint32_t)iscsi_which_events(c->ctx) };
	int fd = iscsi_get_fd(c->ctx), op = c->fd < 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;

	if (fd < 0 || (c->fd >= 0 && c->fd != fd)) {
		conn_end(c, -ECONNRESET, "connection lost");
		return;
	}
	if (c->fd == fd && c->events == (int)ev.events)
		return;
	ev.data.u64 = (uint64_t)fd << 32 | c->index;
	if (epoll_ctl(c->d->epoll_fd, op, fd, &ev) < 0) {
		conn_end(c, -errno, "epoll: %s", strerror(errno));
		return;
	}
	c->fd = fd;
	c->events = (int)ev.events;
}

static void conn_start(struct conn *c)
{
	struct remote *d = c->d;

	c->power_on = c->broken = false;
	c->why_code = 0;
	c->step_tries = 0;
	c->heard_ns = d->now_ns;
	c->until_ns = d->now_ns + LOGIN_NS;
	c->ctx = new_context(d->initiator);
	if (!c->ctx || conn_configure(c) != 0) {
		conn_end(c, -ENOMEM, "cannot make a session: %s", c->ctx ? iscsi_get_error(c->ctx) : "out of memory");
		return;
	}
	c->state = CONN_CONNECTING;
	if (iscsi_connect_async(c->ctx, d->portals[c->portal], on_connect, c) < 0) {
		conn_end(c, -EHOSTUNREACH, "%s: %s", d->portals[c->portal], iscsi_get_error(c->ctx));
		return;
	}
	fcntl(iscsi_get_fd(c->ctx), F_SETFD, FD_CLOEXEC);
	conn_watch(c);
}

/* ------------------------------------------------------------------ serving */

static void conn_after_service(struct conn *c, int r)
{
	if (r < 0 && !c->broken)
		conn_break(c, -ECONNRESET, iscsi_get_error(c->ctx));
	if (c->broken)
		conn_end_broken(c);
	else
		conn_watch(c);
}

static void conn_socket_error(struct conn *c)
{
	const char *portal = c->d->portals[c->portal];
	socklen_t len = sizeof(int);
	int error = 0;

	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0 || !error)
		error = ECONNRESET;
	conn_end(c, -error, "%s: %s", portal, strerror(error));
}

static void conn_serve(struct conn *c, int events)
{
	char byte;

	if (events & (POLLERR | POLLHUP) && !(events & POLLIN && c->state != CONN_CONNECTING)) {
		conn_socket_error(c);
		return;
	}
	if (events & POLLIN && recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0) {
		conn_end(c, -ECONNRESET, "%s: closed by the target", c->d->portals[c->portal]);
		return;
	}
	c->heard_ns = c->d->now_ns;
	conn_after_service(c, iscsi_service(c->ctx, events & (POLLIN | POLLOUT)));
}

void conn_push(struct conn *c)
{
	c->queued = false;
	if (c->ctx && c->state != CONN_CONNECTING)
		conn_after_service(c, iscsi_service(c->ctx, POLLOUT));
}

void conn_attention(struct conn *c, int ascq)
{
	struct remote *d = c->d;

	if (ascq >> 8 == 0x29 && (ascq & 0xff) <= 4) {
		c->power_on = true;
		/* In a session's life it is as a new login would be: what was before may be gone. */
		if (c->state == CONN_UP) {
			c->born = ++d->logins;
			d->proven <<= 1;
		}
	} else if (ascq == 0x2a01) {
		d->facts.cache = c->facts.cache = true;	/* mode parameters changed: perhaps that one */
	} else if (ascq == 0x3f03 && c->state == CONN_UP) {
		conn_break(c, -ESTALE, "the LUN says that it changed");	/* the next login looks at it */
	}
}

static void conn_tick(struct conn *c)
{
	struct remote *d = c->d;
	uint64_t quiet = d->now_ns - c->heard_ns;

	if (c->state == CONN_DOWN) {
		if (d->now_ns >= c->retry_ns)
			conn_start(c);
	} else if (c->state != CONN_UP) {
		if (d->now_ns >= c->until_ns)
			conn_end(c, -ETIMEDOUT, "%s: the target does not answer the login", d->portals[c->portal]);
	} else if (quiet >= 2 * QUIET_NS) {
		conn_end(c, -ETIMEDOUT, "%s: the target does not answer", d->portals[c->portal]);
	} else if (quiet >= QUIET_NS && !c->ctl) {
		lun_ask(c, STEP_PING);
		conn_push(c);
	}
}

static void on_tick(struct remote *d)
{
	struct link *l;
	uint64_t n;

	if (read(d->timer_fd, &n, sizeof(n)) != (ssize_t)sizeof(n))
		return;
	d->waited_ns += n * d->period_ns;
	while ((l = list_pop(&d->held)) != NULL) {
		list_entry(l, struct part, link)->state = PART_READY;
		list_push(&d->ready, l);
	}
}

static int conn_pump_round(struct remote *d)
{
	struct epoll_event ev[16];
	int n = epoll_wait(d->epoll_fd, ev, (int)ARRAY_LEN(ev), 0);
	uint64_t count;

	for (int i = 0; i < n; i++) {
		unsigned key = (unsigned)ev[i].data.u64;

		if (key == KEY_TIMER) {
			on_tick(d);
		} else if (key == KEY_SELF) {
			if (read(d->self_fd, &count, sizeof(count)) > 0)
				d->self_signalled = false;
		} else if (d->conns[key].fd == (int)(ev[i].data.u64 >> 32)) {
			conn_serve(&d->conns[key], (int)ev[i].events);
		}
	}
	return n;
}

void conn_pump(struct remote *d)
{
	for (int i = 0; i < PUMP_ROUNDS && conn_pump_round(d) > 0; i++)
		;
	for (unsigned i = 0; i < d->nconns && !d->dev.failed; i++)
		conn_tick(&d->conns[i]);
}

/* ------------------------------------------------------------------ descriptors */

void conn_timer(struct remote *d)
{
	uint64_t ns = !list_empty(&d->held) || d->nup < d->nconns ? TICK_NS : SEC_NS;
	struct itimerspec t = { .it_interval = { (time_t)(ns / SEC_NS), (long)(ns % SEC_NS) } };

	if (d->dev.failed)
		ns = 0;
	if (ns == d->period_ns)
		return;
	d->period_ns = ns;
	t.it_value = t.it_interval;
	timerfd_settime(d->timer_fd, 0, ns ? &t : &(struct itimerspec){ 0 }, NULL);
}

int conn_setup(struct remote *d)
{
	struct epoll_event timer = { .events = EPOLLIN, .data.u64 = KEY_TIMER };
	struct epoll_event self = { .events = EPOLLIN, .data.u64 = KEY_SELF };

	d->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	d->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	d->self_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (d->epoll_fd < 0 || d->timer_fd < 0 || d->self_fd < 0)
		return -errno;
	if (epoll_ctl(d->epoll_fd, EPOLL_CTL_ADD, d->timer_fd, &timer) < 0 ||
	    epoll_ctl(d->epoll_fd, EPOLL_CTL_ADD, d->self_fd, &self) < 0)
		return -errno;
	if (getrandom(&d->isid, sizeof(d->isid), 0) != (ssize_t)sizeof(d->isid))
		return -EIO;
	d->isid &= 0xffffff;
	for (unsigned i = 0; i < d->nconns; i++)
		d->conns[i] = (struct conn){ .d = d, .index = i, .portal = i % d->nportals, .fd = -1 };
	conn_timer(d);
	return 0;
}

void conn_free(struct remote *d)
{
	for (unsigned i = 0; i < DEV_ISCSI_CONNECTIONS_MAX; i++)
		if (d->conns[i].d)
			conn_destroy(&d->conns[i]);
	if (d->epoll_fd >= 0)
		close(d->epoll_fd);
	if (d->timer_fd >= 0)
		close(d->timer_fd);
	if (d->self_fd >= 0)
		close(d->self_fd);
}
