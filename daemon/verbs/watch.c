/* SPDX-License-Identifier: GPL-2.0-only */
/* watch.c - threads that look after things: tgtd came back, hosts and their VMs, sagas that are late, what is due.
 *
 * tgtd forgets everything when it dies. Its control socket ends with it, so its return is seen within a tenth of a
 * second, and what it should have is made again, targets with attachments first; initiators find their target again
 * when they log in anew.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "saga/crew.h"
#include "verbs/priv.h"

#define TARGETS_EVERY_MS 60000u
#define RETRY_MS 200u
#define HOSTS_EVERY_S 10
#define HOSTS_AT_ONCE 8u /* so that one that hangs does not hide the others */
#define TICK_S 1

struct watch {
	struct ebs *e;
	pthread_t targets, hosts, ticks;
	bool targets_on, hosts_on, ticks_on;
	struct crew crew; /* that asks hosts */
	json_t *asked; /* ids of hosts that are being asked (lock) */
	pthread_mutex_t lock;
	pthread_cond_t stop_now;
	bool stopping;
};

/* false: it is to end. */
static bool nap(struct watch *w, unsigned ms)
{
	struct timespec until;
	bool stopping;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	pthread_mutex_lock(&w->lock);
	while (!w->stopping && !pthread_cond_timedwait(&w->stop_now, &w->lock, &until))
		;
	stopping = w->stopping;
	pthread_mutex_unlock(&w->lock);
	return !stopping;
}

static bool stopping(struct watch *w)
{
	bool is;

	pthread_mutex_lock(&w->lock);
	is = w->stopping;
	pthread_mutex_unlock(&w->lock);
	return is;
}

static void *watch_targets(void *arg)
{
	struct watch *w = arg;
	uint32_t wait_ms = 0, retry_ms = RETRY_MS;
	uint64_t life = 0, last = 0;
	bool there = false;

	while (!stopping(w)) {
		unsigned failed = 0;
		struct err err = ERR_INIT;

		there = pools_watch(w->e->pools, there, wait_ms, &life);
		wait_ms = TARGETS_EVERY_MS;
		if (!there)
			continue;
		if (life != last)
			retry_ms = RETRY_MS;
		last = life;
		if (target_sync_all(w->e, &failed, &err) ||
		    failed) { /* it has just begun to listen, or a pool is missing */
			wait_ms = retry_ms;
			retry_ms = retry_ms < TARGETS_EVERY_MS / 2 ? 2 * retry_ms : TARGETS_EVERY_MS;
		} else {
			retry_ms = RETRY_MS;
		}
	}
	return NULL;
}

static int list_hosts(struct store_tx *tx, void *arg, struct err *err)
{
	struct store_query q = {.table = T_HOST};

	*(json_t **)arg = store_find(tx, &q, NULL, err);
	return *(json_t **)arg ? 0 : err->code;
}

struct host_job {
	struct crew_job job;
	struct watch *w;
	char id[EBS_ID_MAX];
};

static void ask_host(struct crew_job *job)
{
	struct host_job *h = container_of(job, struct host_job, job);
	struct watch *w = h->w;

	if (!stopping(w))
		host_refresh(w->e, h->id, NULL);
	pthread_mutex_lock(&w->lock);
	json_object_del(w->asked, h->id);
	pthread_mutex_unlock(&w->lock);
	free(h);
}

/* Unless it has not answered the last time yet. */
static void ask_later(struct watch *w, const char *id)
{
	struct host_job *h = calloc(1, sizeof(*h));
	bool taken = false;

	pthread_mutex_lock(&w->lock);
	if (h && !json_object_get(w->asked, id))
		taken = !json_object_set_new(w->asked, id, json_true());
	pthread_mutex_unlock(&w->lock);
	if (taken) {
		h->w = w;
		snprintf(h->id, sizeof(h->id), "%s", id);
		h->job.fn = ask_host;
		taken = crew_add(&w->crew, &h->job, 0);
	}
	if (!taken)
		free(h);
}

static void *watch_hosts(void *arg)
{
	struct watch *w = arg;

	while (nap(w, HOSTS_EVERY_S * 1000)) {
		json_t *rows = NULL, *row;
		struct err err = ERR_INIT;
		size_t i;

		store_read(w->e->store, list_hosts, &rows, &err);
		json_array_foreach(rows, i, row) ask_later(w, text_of(row, "id"));
		json_decref(rows);
	}
	return NULL;
}

static void *watch_ticks(void *arg)
{
	struct watch *w = arg;

	while (nap(w, TICK_S * 1000)) {
		sagas_reap(w->e->sagas);
		due_run(w->e);
	}
	return NULL;
}

static int start(struct watch *w, pthread_t *t, bool *on, void *(*fn)(void *arg))
{
	int rc = pthread_create(t, NULL, fn, w);

	*on = !rc;
	return -rc;
}

int watch_start(struct ebs *e, struct err *err)
{
	struct watch *w = calloc(1, sizeof(*w));
	pthread_condattr_t attr;
	int rc;

	if (!w)
		return err_set(err, -ENOMEM, "out of memory");
	e->watch = w;
	w->e = e;
	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->stop_now, &attr);
	pthread_condattr_destroy(&attr);
	rc = e->tgt ? start(w, &w->targets, &w->targets_on, watch_targets) : 0;
	w->asked = json_object();
	rc = rc ? rc : w->asked ? crew_start(&w->crew, HOSTS_AT_ONCE) : -ENOMEM;
	rc = rc ? rc : start(w, &w->hosts, &w->hosts_on, watch_hosts);
	rc = rc ? rc : start(w, &w->ticks, &w->ticks_on, watch_ticks);
	return rc ? err_set(err, rc, "a thread cannot be started") : 0;
}

void watch_stop(struct ebs *e)
{
	struct watch *w = e->watch;

	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->stopping = true;
	pthread_cond_broadcast(&w->stop_now);
	pthread_mutex_unlock(&w->lock);
	pools_stop(e->pools);
	if (w->targets_on)
		pthread_join(w->targets, NULL);
	if (w->hosts_on)
		pthread_join(w->hosts, NULL);
	crew_stop(&w->crew, true);
	json_decref(w->asked);
	if (w->ticks_on)
		pthread_join(w->ticks, NULL);
	pthread_cond_destroy(&w->stop_now);
	pthread_mutex_destroy(&w->lock);
	free(w);
	e->watch = NULL;
}
