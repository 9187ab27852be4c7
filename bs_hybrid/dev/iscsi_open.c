/* SPDX-License-Identifier: GPL-2.0-only */
/* iscsi_open.c - opening the remote LUN: is the request sensible, where is the target, log in, and wait for that. */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "base/text.h"
#include "dev/iscsi_priv.h"

#define OPEN_NS (20 * SEC_NS)
#define NAME_MAX_BYTES 223			/* of an iSCSI name (RFC 7143, 4.2.7.1) */
#define PORT_DEFAULT "3260"

/* ------------------------------------------------------------------ the request */

static bool name_is_good(const char *name)
{
	return name && name[0] && strlen(name) <= NAME_MAX_BYTES && !strpbrk(name, " \t\n");
}

static bool pair_is_good(const char *user, const char *secret)
{
	return !user == !secret && (!user || (user[0] && secret[0] && strlen(user) <= MAX_STRING_SIZE &&
					      strlen(secret) <= MAX_STRING_SIZE));
}

static int check(const struct dev_iscsi_how *how, struct err *err)
{
	if (!how->portals[0])
		return err_set(err, -EINVAL, "remote LUN: no portal, expected \"host:port\"");
	if (!name_is_good(how->target))
		return err_set(err, -EINVAL, "remote LUN: the target's name is missing, or no iSCSI name");
	if (!name_is_good(how->initiator))
		return err_set(err, -EINVAL, "remote LUN: the initiator's name is missing, or no iSCSI name");
	if (how->lun > 16383)
		return err_set(err, -EINVAL, "remote LUN: LUN %u, expected 0 to 16383", how->lun);
	if (how->connections > DEV_ISCSI_CONNECTIONS_MAX)
		return err_set(err, -EINVAL, "remote LUN: %u connections, expected 1 to %u", how->connections,
			       DEV_ISCSI_CONNECTIONS_MAX);
	if (!pair_is_good(how->user, how->secret) || !pair_is_good(how->target_user, how->target_secret))
		return err_set(err, -EINVAL, "remote LUN: CHAP wants a user and a secret, both of 1 to 255 bytes");
	if (how->target_user && !how->user)
		return err_set(err, -EINVAL, "remote LUN: the target's CHAP user needs ours as well");
	return 0;
}

static char *copy(const char *s, bool *nomem)
{
	char *p = s ? mem_strdup(s) : NULL;

	*nomem |= s && !p;
	return p;
}

/* Numeric, so that connecting anew never asks a name server. */
static int resolve(struct remote *d, const char *portal, struct err *err)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *ai = NULL;
	char host[256], number[128], numeric[160];
	const char *colon = strrchr(portal, ':'), *end = strrchr(portal, ']');
	const char *port = colon && (!end || colon > end) && (end || colon == strchr(portal, ':')) ? colon : NULL;
	size_t len = port ? (size_t)(port - portal) : strlen(portal);
	int r;

	if (portal[0] == '[' && end && len == (size_t)(end - portal) + 1) {
		portal++;
		len -= 2;
	}
	if (len == 0 || len >= sizeof(host))
		return err_set(err, -EINVAL, "portal \"%.100s\": expected \"host:port\"", portal);
	memcpy(host, portal, len);
	host[len] = '\0';
	r = getaddrinfo(host, port ? port + 1 : PORT_DEFAULT, &hints, &ai);
	if (r != 0)
		return err_set(err, r == EAI_AGAIN ? -EAGAIN : -ENOENT, "portal %s: %s", host, gai_strerror(r));
	r = getnameinfo(ai->ai_addr, ai->ai_addrlen, host, sizeof(host), number, sizeof(number),
			NI_NUMERICHOST | NI_NUMERICSERV);
	if (r == 0)
		text_fmt(numeric, sizeof(numeric), ai->ai_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, number);
	freeaddrinfo(ai);
	if (r != 0)
		return err_set(err, -EINVAL, "portal %s: %s", host, gai_strerror(r));
	d->portals[d->nportals] = mem_strdup(numeric);
	if (!d->portals[d->nportals])
		return err_set(err, -ENOMEM, "remote LUN: out of memory");
	d->nportals++;
	return 0;
}

static int take_over(struct remote *d, const struct dev_iscsi_how *how, struct err *err)
{
	bool nomem = false;
	int r = 0;

	d->target = copy(how->target, &nomem);
	d->initiator = copy(how->initiator, &nomem);
	d->user = copy(how->user, &nomem);
	d->secret = copy(how->secret, &nomem);
	d->target_user = copy(how->target_user, &nomem);
	d->target_secret = copy(how->target_secret, &nomem);
	if (nomem)
		return err_set(err, -ENOMEM, "remote LUN: out of memory");
	d->lun = how->lun;
	d->nconns = how->connections ? how->connections : DEV_ISCSI_CONNECTIONS;
	d->header_digest = how->header_digest;
	d->read_only = how->read_only;
	d->outlives = how->outlives;
	d->patience_ns = how->patience_ns ? how->patience_ns : DEV_ISCSI_PATIENCE_NS;
	d->log = how->log;
	d->log_ctx = how->log_ctx;
	for (size_t i = 0; i < DEV_ISCSI_PORTALS_MAX && how->portals[i] && r == 0; i++)
		r = resolve(d, how->portals[i], err);
	if (r == 0)
		text_fmt(d->dev.name, sizeof(d->dev.name), "iscsi://%s/%s/%u", d->portals[0], d->target, d->lun);
	return r;
}

/* ------------------------------------------------------------------ waiting */

void remote_wait(struct remote *d, uint64_t ns, bool (*over)(struct remote *d))
{
	struct pollfd p = { .fd = d->epoll_fd, .events = POLLIN };
	uint64_t start = d->now_ns;

	d->waited_ns = 0;
	while (!over(d) && d->waited_ns < ns) {
		if (poll(&p, 1, 1000) < 0 && errno != EINTR)
			return;
		conn_pump(d);
		d->now_ns = start + d->waited_ns;
	}
}

/* What another try would not mend. */
static const struct conn *refused_for_good(const struct remote *d)
{
	static const int final[] = { -EACCES, -ENXIO, -EXDEV, -EOPNOTSUPP, -EROFS, -ENOMEM };

	for (unsigned i = 0; i < d->nconns; i++)
		for (size_t k = 0; k < ARRAY_LEN(final); k++)
			if (d->conns[i].state == CONN_DOWN && d->conns[i].why_code == final[k])
				return &d->conns[i];
	return NULL;
}

static bool all_up_or_refused(struct remote *d)
{
	return d->nup == d->nconns || refused_for_good(d);
}

static int log_in(struct remote *d, uint64_t open_ns, struct err *err)
{
	const struct conn *c;

	remote_wait(d, open_ns, all_up_or_refused);
	if (d->nup == d->nconns)
		return 0;
	c = refused_for_good(d);
	for (unsigned i = 0; i < d->nconns && !c; i++)
		if (d->conns[i].state != CONN_UP)
			c = &d->conns[i];
	return err_set(err, c->why_code ? c->why_code : -ETIMEDOUT, "%s: %s", d->dev.name,
		       c->why[0] ? c->why : "the target does not answer");
}

/* ------------------------------------------------------------------ open */

static void set_geometry(struct remote *d)
{
	const struct facts *f = &d->facts;
	uint64_t block = f->block_bytes, unit = (uint64_t)MAX(f->unmap_granularity, 1u) * block;

	d->dev.geom = (struct dev_geom){
		.size_bytes = f->blocks * block, .logical_bytes = f->block_bytes, .mem_align = 1,
		.rotational = f->rotational,
	};
	d->part_bytes = f->max_blocks ? MIN(PART_BYTES, f->max_blocks * block) : PART_BYTES;
	if (d->read_only || !f->unmap_blocks || unit > GIB(1))
		return;
	d->dev.geom.discard_bytes = (uint32_t)unit;
	d->unmap_bytes = f->unmap_blocks * block;
	if (d->unmap_bytes > unit)
		d->unmap_bytes = ROUND_DOWN(d->unmap_bytes, unit);
}

static void wipe(char *secret)
{
	if (secret)
		explicit_bzero(secret, strlen(secret));
	mem_free(secret);
}

void remote_free(struct remote *d)
{
	conn_free(d);
	for (unsigned i = 0; i < d->nportals; i++)
		mem_free(d->portals[i]);
	mem_free(d->target);
	mem_free(d->initiator);
	mem_free(d->user);
	mem_free(d->target_user);
	wipe(d->secret);
	wipe(d->target_secret);
	mem_free(d);
}

/* libiscsi writes with writev(), which knows no MSG_NOSIGNAL: a target that dies would be our end. */
static void ignore_sigpipe(void)
{
	struct sigaction sa;

	if (sigaction(SIGPIPE, NULL, &sa) == 0 && !(sa.sa_flags & SA_SIGINFO) && sa.sa_handler == SIG_DFL)
		signal(SIGPIPE, SIG_IGN);
}

int dev_iscsi_open(const struct dev_iscsi_how *how, struct dev **ret, struct err *err)
{
	struct remote *d;
	int r = check(how, err);

	if (r < 0)
		return r;
	d = mem_zalloc(sizeof(*d));
	if (!d)
		return err_set(err, -ENOMEM, "remote LUN: out of memory");
	ignore_sigpipe();
	remote_init(d);
	r = take_over(d, how, err);
	if (r == 0) {
		r = conn_setup(d);
		if (r < 0)
			err_set(err, r, "%s: %s", d->dev.name, strerror(-r));
	}
	if (r == 0)
		r = log_in(d, how->open_ns ? how->open_ns : OPEN_NS, err);
	if (r == 0 && how->expect && strcmp(how->expect, d->facts.identity) != 0)
		r = err_set(err, -EXDEV, "%s: is %s, expected %.100s", d->dev.name, d->facts.identity, how->expect);
	if (r < 0) {
		remote_free(d);
		return r;
	}
	set_geometry(d);
	d->opened = d->rebase = true;
	*ret = &d->dev;
	return 0;
}
