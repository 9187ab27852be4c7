/* SPDX-License-Identifier: GPL-2.0-only */
/* crew.c - threads that do jobs, at once or later. */
#include "saga/crew.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

static uint64_t monotonic_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Moves what is due; returns when the next one will be, 0: never. */
static uint64_t move_due(struct crew *c)
{
	uint64_t now = monotonic_ns();

	while (!list_empty(&c->later)) {
		struct crew_job *first = list_first(&c->later, struct crew_job, link);

		if (first->due_ns > now)
			return first->due_ns;
		list_del(&first->link);
		first->on_later = false;
		list_push(&c->now, &first->link);
	}
	return 0;
}

/* Called with the mutex held. NULL: it is time to stop. */
static struct crew_job *next_job(struct crew *c)
{
	for (;;) {
		uint64_t due = move_due(c);
		struct timespec t = { .tv_sec = (time_t)(due / 1000000000), .tv_nsec = (long)(due % 1000000000) };

		if (c->stop && (!c->drain || list_empty(&c->now)))
			return NULL;
		if (!list_empty(&c->now))
			return list_entry(list_pop(&c->now), struct crew_job, link);
		if (due)
			pthread_cond_timedwait(&c->work, &c->mutex, &t);
		else
			pthread_cond_wait(&c->work, &c->mutex);
	}
}

static void *thread(void *arg)
{
	struct crew *c = arg;
	struct crew_job *job;

	pthread_mutex_lock(&c->mutex);
	while ((job = next_job(c))) {
		pthread_mutex_unlock(&c->mutex);
		job->fn(job);
		pthread_mutex_lock(&c->mutex);
	}
	pthread_mutex_unlock(&c->mutex);
	return NULL;
}

int crew_start(struct crew *c, unsigned threads)
{
	pthread_condattr_t monotonic;
	int rc = 0;

	*c = (struct crew){ .threads = calloc(threads, sizeof(pthread_t)) };
	if (!c->threads)
		return -ENOMEM;
	list_init(&c->now);
	list_init(&c->later);
	pthread_mutex_init(&c->mutex, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&c->work, &monotonic);
	pthread_condattr_destroy(&monotonic);
	while (!rc && c->nthreads < threads) {
		rc = pthread_create(&c->threads[c->nthreads], NULL, thread, c);
		c->nthreads += !rc;
	}
	if (rc)
		crew_stop(c, false);
	return -rc;
}

void crew_stop(struct crew *c, bool drain)
{
	if (!c->threads)
		return;
	pthread_mutex_lock(&c->mutex);
	c->stop = true;
	c->drain = drain;
	pthread_cond_broadcast(&c->work);
	pthread_mutex_unlock(&c->mutex);
	for (unsigned i = 0; i < c->nthreads; i++)
		pthread_join(c->threads[i], NULL);
	pthread_cond_destroy(&c->work);
	pthread_mutex_destroy(&c->mutex);
	free(c->threads);
	c->threads = NULL;
}

static void push_later(struct crew *c, struct crew_job *job, uint32_t delay_ms)
{
	struct link *at = &c->later;

	job->due_ns = monotonic_ns() + (uint64_t)delay_ms * 1000000;
	job->on_later = true;
	while (at->prev != &c->later && list_entry(at->prev, struct crew_job, link)->due_ns > job->due_ns)
		at = at->prev;
	link_between(&job->link, at->prev, at);
}

bool crew_add(struct crew *c, struct crew_job *job, uint32_t delay_ms)
{
	bool taken;

	pthread_mutex_lock(&c->mutex);
	taken = !c->stop;
	if (taken && delay_ms)
		push_later(c, job, delay_ms);
	else if (taken)
		list_push(&c->now, &job->link);
	/* Whoever wakes looks at both lists, and when to look again. */
	pthread_cond_signal(&c->work);
	pthread_mutex_unlock(&c->mutex);
	return taken;
}

void crew_hurry(struct crew *c, struct crew_job *job)
{
	pthread_mutex_lock(&c->mutex);
	if (job->on_later) {
		list_del(&job->link);
		job->on_later = false;
		list_push(&c->now, &job->link);
		pthread_cond_signal(&c->work);
	}
	pthread_mutex_unlock(&c->mutex);
}
