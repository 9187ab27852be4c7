/* SPDX-License-Identifier: GPL-2.0-only */
/* loop.c - tgtd's event loop and the pools. */
#include "tgt/loop.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/units.h"
#include "tgt/ctl.h"
#include "tgt/lun.h"
#include "tgt/pools.h"
#include "tgt/tgt_abi.h"
#include "tgt/work.h"

#define PUMP_FDS_MAX 256
#define GATHER_MAX 8u		/* commands that go down together at most */
#define SWEEP_NS SEC_NS		/* volumes are asked for a new size this often, whether used or not */

static struct tgt_event event;
static bool event_ready;
static int timer_fd = -1;
static uint64_t timer_at = UINT64_MAX;		/* when the timer fires */
static uint64_t sweep_at;

uint64_t loop_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * SEC_NS + (uint64_t)ts.tv_nsec;
}

static void timer_set(uint64_t at_ns)
{
	struct itimerspec spec;

	/* A timer that fires too early does no harm; setting it is a system call. */
	if (timer_fd < 0 || at_ns >= timer_at)
		return;
	memset(&spec, 0, sizeof(spec));
	spec.it_value.tv_sec = (time_t)(at_ns / SEC_NS);
	spec.it_value.tv_nsec = (long)(at_ns % SEC_NS) + !at_ns;
	if (timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &spec, NULL))
		log_error("hybrid: cannot set the timer: %s\n", strerror(errno));
	else
		timer_at = at_ns;
}

static void sweep(uint64_t now)
{
	if (now < sweep_at)
		return;
	sweep_at = now + SWEEP_NS;
	lun_check_sizes();
}

static void run(struct pool *pool)
{
	pool->touched = pool->urgent = false;
	pool->fresh = pool->seen = 0;
	pool->deadline = hb_pool_run(pool->hb);
}

/* tgtd hands out one command of a connection in a pass. Those that follow each other closely wait for one another (and
 * for the answers that are on their way out), and their I/O goes down in one system call. */
static bool gathers(struct pool *pool, uint64_t now)
{
	if (pool->urgent || pool->deadline <= now || pool->fresh == pool->seen || pool->fresh >= GATHER_MAX)
		return false;
	pool->seen = pool->fresh;
	return true;
}

/* One turn of all pools that were touched or whose time has come. */
static void turn(struct tgt_event *ev)
{
	uint64_t now = loop_now_ns(), next;
	struct pool *pool = NULL;
	bool more;

	(void)ev;
	while ((pool = pools_next(pool))) {
		if (!pool->touched && pool->deadline > now)
			continue;
		if (!gathers(pool, now))
			run(pool);
	}
	more = work_drain();
	sweep(now);
	next = MIN(sweep_at, ctl_run());
	while ((pool = pools_next(pool))) {
		more |= pool->touched;
		next = MIN(next, pool->deadline);
	}
	if (more || next <= now)
		loop_wake();
	else
		timer_set(next);
}

void loop_wake(void)
{
	if (!event_ready) {
		tgt_init_sched_event(&event, turn, NULL);
		event_ready = true;
	}
	tgt_add_sched_event(&event);
}

void loop_command(struct pool *pool, bool waits)
{
	if (waits && hb_pool_requests(pool->hb) == 1) { /* it is alone: nothing to wait for */
		run(pool);
		timer_set(pool->deadline);
		return;
	}
	pool->fresh++;
	pool->touched = true;
	loop_wake();
}

void loop_touch(struct pool *pool)
{
	pool->urgent = true;
	pool->touched = true;
	loop_wake();
}

static void device_ready(int fd, int events, void *data)
{
	(void)fd;
	(void)events;
	loop_touch(data);
}

static void timer_fired(int fd, int events, void *data)
{
	uint64_t count;

	(void)events;
	(void)data;
	if (read(fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		log_error("hybrid: cannot read the timer: %s\n", strerror(errno));
	timer_at = UINT64_MAX;
	loop_wake();
}

static int timer_start(struct err *err)
{
	int ret;

	if (timer_fd >= 0)
		return 0;
	timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (timer_fd < 0)
		return err_set(err, -errno, "no timer descriptor: %s", strerror(errno));
	ret = tgt_event_add(timer_fd, EPOLLIN, timer_fired, NULL);
	if (!ret)
		return 0;
	close(timer_fd);
	timer_fd = -1;
	return err_set(err, -EIO, "tgtd does not watch the timer descriptor");
}

int loop_add(struct pool *pool, struct err *err)
{
	int i, ret = timer_start(err);

	if (ret)
		return ret;
	pool->nfds = hb_pool_event_fds(pool->hb, pool->fds);
	for (i = 0; i < pool->nfds; i++)
		if (tgt_event_add(pool->fds[i], (int)(EPOLLIN | EPOLLET), device_ready, pool))
			break;
	if (i < pool->nfds) {
		while (i-- > 0)
			tgt_event_del(pool->fds[i]);
		return err_set(err, -EIO, "tgtd does not watch a device's descriptor");
	}
	hb_pool_edge_events(pool->hb, true);
	loop_touch(pool);
	return 0;
}

void loop_remove(struct pool *pool)
{
	for (int i = 0; i < pool->nfds; i++)
		tgt_event_del(pool->fds[i]);
	hb_pool_edge_events(pool->hb, false);	/* who waits for it to close looks at levels */
	pool->nfds = 0;
	pool->touched = false;
	pool->deadline = UINT64_MAX;
}

void loop_pump(uint64_t until_ns)
{
	struct pollfd fds[PUMP_FDS_MAX];
	struct pool *pool = NULL;
	nfds_t n = 0;
	uint64_t now;

	while ((pool = pools_next(pool))) {
		hb_pool_edge_events(pool->hb, false);
		pool->deadline = hb_pool_run(pool->hb);
		until_ns = MIN(until_ns, pool->deadline);
		for (int i = 0; i < pool->nfds && n < PUMP_FDS_MAX; i++)
			fds[n++] = (struct pollfd){ .fd = pool->fds[i], .events = POLLIN };
	}
	now = loop_now_ns();
	/* Rounded up, or a deadline would be asked for again at once. With more devices than watched: look often. */
	if (until_ns > now)
		poll(fds, n, n == PUMP_FDS_MAX ? 1 : (int)MIN(DIV_UP(until_ns - now, MSEC_NS), 1000u));
	while ((pool = pools_next(pool)))
		hb_pool_edge_events(pool->hb, true);
}
