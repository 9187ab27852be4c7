/* SPDX-License-Identifier: GPL-2.0-only */
/* helper.c - the thread behind a device's slow calls; see helper.h. */
#include "dev/helper.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/units.h"

enum helper_state { HELPER_IDLE, HELPER_BUSY, HELPER_DONE };

struct helper {
	pthread_t thread;
	pthread_mutex_t lock;		/* guards all below */
	pthread_cond_t wake;		/* there is a job, or the owner leaves */
	enum helper_state state;
	bool leave;			/* the owner is gone; whoever ends the job frees */
	enum helper_op op;
	uint64_t off_bytes, len_bytes;
	int result;
	int fd, event_fd;		/* own duplicates: the owner may close its own while a job hangs */
};

static void helper_free(struct helper *h)
{
	if (h->fd >= 0)
		close(h->fd);
	if (h->event_fd >= 0)
		close(h->event_fd);
	pthread_cond_destroy(&h->wake);
	pthread_mutex_destroy(&h->lock);
	mem_free(h);
}

static int helper_do(const struct helper *h)
{
	uint64_t range[2] = { h->off_bytes, h->len_bytes };
	int r = 0;

	switch (h->op) {
	case HELPER_SYNC:
		r = fdatasync(h->fd);
		break;
	case HELPER_DISCARD_BLOCK:
		r = ioctl(h->fd, BLKDISCARD, range);
		break;
	case HELPER_DISCARD_FILE:
		r = fallocate(h->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)h->off_bytes,
			      (off_t)h->len_bytes);
		break;
	}
	return r < 0 ? -errno : 0;
}

static void helper_signal(const struct helper *h)
{
	uint64_t one = 1;
	ssize_t n;

	do
		n = write(h->event_fd, &one, sizeof(one));
	while (n < 0 && errno == EINTR);
}

static void *helper_main(void *arg)
{
	struct helper *h = arg;

	pthread_mutex_lock(&h->lock);
	for (;;) {
		int r;

		while (h->state != HELPER_BUSY && !h->leave)
			pthread_cond_wait(&h->wake, &h->lock);
		if (h->state != HELPER_BUSY)
			break;
		pthread_mutex_unlock(&h->lock);
		r = helper_do(h);
		pthread_mutex_lock(&h->lock);
		h->result = r;
		h->state = HELPER_DONE;
		if (h->leave) {		/* left behind by helper_drop(): nobody joins */
			pthread_mutex_unlock(&h->lock);
			helper_free(h);
			return NULL;
		}
		helper_signal(h);
	}
	pthread_mutex_unlock(&h->lock);
	return NULL;
}

/* The host program's signals are its own: none may be delivered to our thread. */
static int helper_spawn(struct helper *h)
{
	sigset_t all, old;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&h->thread, NULL, helper_main, h);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -r;
}

int helper_new(int fd, int event_fd, struct helper **ret)
{
	struct helper *h = mem_zalloc(sizeof(*h));
	int r;

	if (!h)
		return -ENOMEM;
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->wake, NULL);
	h->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	h->event_fd = fcntl(event_fd, F_DUPFD_CLOEXEC, 0);
	r = h->fd < 0 || h->event_fd < 0 ? -errno : helper_spawn(h);
	if (r < 0) {
		helper_free(h);
		return r;
	}
	*ret = h;
	return 0;
}

void helper_start(struct helper *h, enum helper_op op, uint64_t off_bytes, uint64_t len_bytes)
{
	pthread_mutex_lock(&h->lock);
	assert(h->state == HELPER_IDLE);
	h->op = op;
	h->off_bytes = off_bytes;
	h->len_bytes = len_bytes;
	h->state = HELPER_BUSY;
	pthread_cond_signal(&h->wake);
	pthread_mutex_unlock(&h->lock);
}

bool helper_poll(struct helper *h, int *result)
{
	bool done;

	pthread_mutex_lock(&h->lock);
	done = h->state == HELPER_DONE;
	if (done) {
		*result = h->result;
		h->state = HELPER_IDLE;
	}
	pthread_mutex_unlock(&h->lock);
	return done;
}

/* Looks every millisecond: it is for closing only. True when no job runs any more. */
static bool helper_wait(struct helper *h, uint64_t wait_ns)
{
	for (uint64_t ms = 0; h->state == HELPER_BUSY && ms < wait_ns / MSEC_NS; ms++) {
		pthread_mutex_unlock(&h->lock);
		poll(NULL, 0, 1);
		pthread_mutex_lock(&h->lock);
	}
	return h->state != HELPER_BUSY;
}

void helper_drop(struct helper *h, uint64_t wait_ns)
{
	pthread_t thread;
	bool idle;

	if (!h)
		return;
	pthread_mutex_lock(&h->lock);
	thread = h->thread;
	idle = helper_wait(h, wait_ns);
	h->leave = true;
	pthread_cond_signal(&h->wake);
	if (!idle)
		pthread_detach(thread);
	pthread_mutex_unlock(&h->lock);
	if (!idle)
		return;
	pthread_join(thread, NULL);
	helper_free(h);
}
