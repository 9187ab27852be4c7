/* SPDX-License-Identifier: GPL-2.0-only */
/* pools.c - the open pools of this tgtd. */
#include "tgt/pools.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "base/mem.h"
#include "host/host.h"
#include "tgt/ctl.h"
#include "tgt/loop.h"
#include "tgt/lun.h"

static struct link pools = { &pools, &pools };
static pid_t opener;		/* tgtd forks; only the process that opened a pool closes it */

static void log_line(void *ctx, enum hb_log_level level, const char *text)
{
	(void)ctx;
	if (level >= HB_LOG_WARN)
		log_error("hybrid: %s\n", text);
	else if (level == HB_LOG_INFO)
		log_warning("hybrid: %s\n", text);
}

/* At exit tgtd has closed its log already: what goes there is seen by nobody. */
static void log_line_at_exit(void *ctx, enum hb_log_level level, const char *text)
{
	(void)ctx;
	if (level < HB_LOG_INFO)
		return;
	syslog(level >= HB_LOG_WARN ? LOG_ERR : LOG_NOTICE, "hybrid: %s", text);
	fprintf(stderr, "tgtd: hybrid: %s\n", text);
}

struct pool *pools_next(struct pool *after)
{
	struct link *next = after ? after->link.next : pools.next;

	return next == &pools ? NULL : list_entry(next, struct pool, link);
}

static struct pool *find(const char *name)
{
	struct pool *pool = NULL;

	while ((pool = pools_next(pool)) && strcmp(hb_pool_name(pool->hb), name))
		;
	return pool;
}

static int open_pool(const struct conf *conf, const char *name, struct pool **ret, struct err *err)
{
	const struct conf_pool *pool_conf = conf_find_pool(conf, name);
	struct pool *pool;
	int r;

	if (!pool_conf)
		return err_set(err, -ENOENT, "%s: no pool \"%s\" in it", conf->file, name);
	pool = mem_zalloc(sizeof(*pool));
	if (!pool)
		return err_set(err, -ENOMEM, "out of memory");
	pool->conf_path = mem_strdup(conf->file);
	if (!pool->conf_path) {
		r = err_set(err, -ENOMEM, "out of memory");
		goto fail_alloc;
	}
	r = host_pool_open(pool_conf, 0, &pool->host, err);
	if (r)
		goto fail_alloc;
	pool->hb = host_pool_engine(pool->host);
	list_push(&pools, &pool->link);
	r = loop_add(pool, err);
	if (r)
		goto fail_host;
	*ret = pool;
	return 0;
fail_host:
	list_del(&pool->link);
	host_pool_close(pool->host, NULL);
fail_alloc:
	mem_free(pool->conf_path);
	mem_free(pool);
	return r;
}

int pools_get(const char *conf_path, const char *name, struct pool **ret, struct err *err)
{
	struct pool *pool = find(name);
	struct conf *conf;
	int r;

	if (pool && (!conf_path || !strcmp(conf_path, pool->conf_path))) {
		*ret = pool;
		return 0;
	}
	if (pool)
		return err_set(err, -EBUSY, "pool \"%s\" is open by %s, not by %s", name, pool->conf_path, conf_path);
	r = conf_load(conf_path, &conf, err);
	if (r)
		return r;
	host_log_to(log_line, NULL);
	opener = getpid();
	r = open_pool(conf, name, ret, err);
	if (!r)
		ctl_serve(conf);
	conf_free(conf);
	return r;
}

static void open_at_start(struct tgt_event *event)
{
	struct conf *conf;
	struct err err = ERR_INIT;

	(void)event;
	if (conf_load(NULL, &conf, &err)) {
		if (err.code != -ENOENT)
			log_error("hybrid: %s\n", err.text);
		return;
	}
	for (size_t i = 0; i < conf->npools; i++) {
		struct pool *pool;

		err = ERR_INIT;
		if (conf->pools[i].open_at_start && pools_get(NULL, conf->pools[i].name, &pool, &err))
			log_error("hybrid: %s\n", err.text);
		if (conf->pools[i].open_at_start) /* whoever waits for the pool is told why it is not there */
			ctl_serve(conf);
	}
	conf_free(conf);
}

void pools_open_at_start(void)
{
	static struct tgt_event event;

	tgt_init_sched_event(&event, open_at_start, NULL);
	tgt_add_sched_event(&event);
}

void pools_close_all(void)
{
	struct pool *pool = NULL, *next;
	struct err err = ERR_INIT;

	if (opener != getpid())
		return;
	host_log_to(log_line_at_exit, NULL);
	while ((pool = pools_next(pool)))
		while (ctl_waiting(pool->hb))
			loop_pump(loop_now_ns() + SEC_NS);
	ctl_stop();
	for (pool = pools_next(NULL); pool; pool = next) {
		next = pools_next(pool);
		if (lun_count(pool))
			continue;
		loop_remove(pool);
		list_del(&pool->link);
		if (host_pool_close(pool->host, &err))
			log_line_at_exit(NULL, HB_LOG_ERROR, err.text);
		mem_free(pool->conf_path);
		mem_free(pool);
	}
}
