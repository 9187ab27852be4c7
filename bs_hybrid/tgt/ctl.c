/* SPDX-License-Identifier: GPL-2.0-only */
/* ctl.c - the control socket on tgtd's event loop: one per socket path, each for all pools. */
#include "tgt/ctl.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/units.h"
#include "control/server.h"
#include "tgt/loop.h"
#include "tgt/lun.h"
#include "tgt/pools.h"
#include "tgt/tgt_abi.h"

#define SOCKETS_MAX 16

static struct socket {
	char *path;
	struct ctl_server *server;
} sockets[SOCKETS_MAX];
static unsigned nsockets;

/* ------------------------------------------------------------------ what the server needs */
static int event_add(void *ctx, int fd, int events, ctl_handler_fn *handler, void *data)
{
	(void)ctx;
	return tgt_event_add(fd, events, handler, data) ? -EIO : 0;
}

static int event_modify(void *ctx, int fd, int events)
{
	(void)ctx;
	return tgt_event_modify(fd, events) ? -EIO : 0;
}

static void event_del(void *ctx, int fd)
{
	(void)ctx;
	tgt_event_del(fd);
	loop_dropped();
}

static uint64_t now_ns(void *ctx)
{
	(void)ctx;
	return loop_now_ns();
}

/* A verb may give the pool something to do: it is run in this pass. */
static struct hb_pool *touched(struct pool *pool)
{
	if (!pool)
		return NULL;
	loop_touch(pool);
	return pool->hb;
}

static struct hb_pool *find_pool(void *ctx, const char *name)
{
	struct pool *pool = NULL;

	(void)ctx;
	while ((pool = pools_next(pool)) && strcmp(hb_pool_name(pool->hb), name))
		;
	return touched(pool);
}

static struct hb_pool *next_pool(void *ctx, struct hb_pool *after)
{
	struct pool *pool = NULL;

	(void)ctx;
	if (!after)
		return touched(pools_next(NULL));
	while ((pool = pools_next(pool)) && pool->hb != after)
		;
	return pool ? touched(pools_next(pool)) : NULL;
}

static struct pool *of_engine(const struct hb_pool *hb)
{
	struct pool *pool = NULL;

	while ((pool = pools_next(pool)) && pool->hb != hb)
		;
	return pool;
}

static struct host_pool *real_pool(void *ctx, struct hb_pool *hb)
{
	struct pool *pool = of_engine(hb);

	(void)ctx;
	return pool ? pool->host : NULL;
}

static void descriptors_changed(void *ctx, struct hb_pool *hb)
{
	struct pool *pool = of_engine(hb);

	(void)ctx;
	if (pool)
		loop_rewatch(pool);
}

static void volume_grown(void *ctx, struct hb_pool *pool, const char *volume)
{
	(void)ctx;
	(void)pool;
	(void)volume;
	lun_check_sizes();
}

static void volume_reverted(void *ctx, struct hb_pool *pool, const char *volume)
{
	(void)ctx;
	lun_reverted(pool, volume);
}

static const struct ctl_loop loop = {
	.add = event_add, .modify = event_modify, .del = event_del, .now_ns = now_ns,
};
static const struct verb_host verb_host = {
	.find = find_pool, .next = next_pool, .volume_grown = volume_grown, .volume_reverted = volume_reverted,
	.real = real_pool, .descriptors_changed = descriptors_changed,
};

/* ------------------------------------------------------------------ sockets */
void ctl_serve(const struct conf *conf)
{
	struct ctl_conf how = { .path = conf->socket, .mode = conf->socket_mode };
	struct socket *s = &sockets[nsockets];
	struct err err = ERR_INIT;

	for (unsigned i = 0; i < nsockets; i++)
		if (!strcmp(sockets[i].path, conf->socket))
			return;
	if (nsockets == SOCKETS_MAX) {
		log_error("hybrid: control socket %s: too many sockets\n", conf->socket);
		return;
	}
	s->path = mem_strdup(conf->socket);
	if (!s->path || ctl_server_new(&how, &loop, &verb_host, &s->server, &err)) {
		log_error("hybrid: control socket %s: %s\n", conf->socket, s->path ? err.text : "out of memory");
		mem_free(s->path);
		return;
	}
	nsockets++;
}

uint64_t ctl_run(void)
{
	uint64_t next = UINT64_MAX;

	for (unsigned i = 0; i < nsockets; i++)
		next = MIN(next, ctl_server_run(sockets[i].server));
	return next;
}

bool ctl_waiting(const struct hb_pool *pool)
{
	for (unsigned i = 0; i < nsockets; i++)
		if (ctl_server_waiting(sockets[i].server, pool))
			return true;
	return false;
}

void ctl_stop(void)
{
	for (unsigned i = 0; i < nsockets; i++) {
		ctl_server_free(sockets[i].server);
		mem_free(sockets[i].path);
	}
	nsockets = 0;
}
