/* SPDX-License-Identifier: GPL-2.0-only */
/* workers.c - a few threads that run what they are given; see workers.h. */
#include "agent/workers.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#include "agent/need.h"

struct task {
	struct task *next;
	void (*fn)(void *arg);
	void *arg;
};

struct workers {
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct task *first, **last;
	bool end;
	unsigned n;
	pthread_t threads[];
};

static void *work(void *arg)
{
	struct workers *w = arg;
	struct task *t;

	pthread_mutex_lock(&w->lock);
	for (;;) {
		while (!w->first && !w->end)
			pthread_cond_wait(&w->more, &w->lock);
		t = w->first;
		if (!t)
			break;
		w->first = t->next;
		w->last = w->first ? w->last : &w->first;
		pthread_mutex_unlock(&w->lock);
		t->fn(t->arg);
		free(t);
		pthread_mutex_lock(&w->lock);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

int workers_new(unsigned threads, struct workers **ret, struct err *err)
{
	struct workers *w = need_zalloc(sizeof(*w) + threads * sizeof(*w->threads));
	int e = 0;

	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->more, NULL);
	w->last = &w->first;
	while (w->n < threads && e == 0) {
		e = -pthread_create(&w->threads[w->n], NULL, work, w);
		w->n += e == 0;
	}
	if (e < 0) {
		workers_free(w);
		return err_set(err, e, "cannot start a thread: %s", strerror(-e));
	}
	*ret = w;
	return 0;
}

void workers_run(void *workers, void (*fn)(void *arg), void *arg)
{
	struct workers *w = workers;
	struct task *t = need_zalloc(sizeof(*t));

	t->fn = fn;
	t->arg = arg;
	pthread_mutex_lock(&w->lock);
	*w->last = t;
	w->last = &t->next;
	pthread_cond_signal(&w->more);
	pthread_mutex_unlock(&w->lock);
}

void workers_free(struct workers *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->end = true;
	pthread_cond_broadcast(&w->more);
	pthread_mutex_unlock(&w->lock);
	for (unsigned i = 0; i < w->n; i++)
		pthread_join(w->threads[i], NULL);
	pthread_cond_destroy(&w->more);
	pthread_mutex_destroy(&w->lock);
	free(w);
}
