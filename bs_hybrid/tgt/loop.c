/* SPDX-License-Identifier: GPL-2.0-only */
/* loop.c - tgtd's event loop and the pools. */
#include "tgt/loop.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "base/units.h"
#include "host/host.h"
#include "tgt/ctl.h"
#include "tgt/lun.h"
#include "tgt/pools.h"
#include "tgt/tgt_abi.h"
#include "tgt/work.h"

#define PUMP_FDS_MAX 256
#define GATHER_MAX 8u		/* commands that go down together at most */
#define UNWATCHED_NS MSEC_NS	/* a pool whose devices nobody watches runs this often */
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
	if (pool->unwatched)
		pool->deadline = MIN(pool->deadline, loop_now_ns() + UNWATCHED_NS);
}

/* ------------------------------------------------------------------ what tgtd watches */

static void device_ready(int fd, int events, void *data)
{
	(void)fd;
	(void)events;
	loop_touch(data);
}

static void unwatch(struct pool *pool)
{
	while (pool->nwatches > 0) {
		struct watch *w = &pool->watches[--pool->nwatches];

		tgt_event_del(w->dup);
		close(w->dup);
	}
}

/* What is signalled already shows at once: adding a readable descriptor is an edge. */
static int watch(struct pool *pool, struct err *err)
{
	int fds[HB_DEVS_MAX], n = hb_pool_event_fds(pool->hb, fds);

	for (int i = 0; i < n; i++) {
		struct watch *w = &pool->watches[i];

		w->fd = fds[i];
		w->dup = fcntl(fds[i], F_DUPFD_CLOEXEC, 0);
		if (w->dup < 0)
			return err_set(err, -errno, "no descriptor for a device: %s", strerror(errno));
		if (tgt_event_add(w->dup, (int)(EPOLLIN | EPOLLET), device_ready, pool)) {
			close(w->dup);
			return err_set(err, -EIO, "tgtd does not watch a device's descriptor");
		}
		pool->nwatches++;
	}
	return 0;
}

static bool watches_all(struct pool *pool)
{
	int fds[HB_DEVS_MAX], n = hb_pool_event_fds(pool->hb, fds);
	bool same = n == pool->nwatches;

	for (int i = 0; i < n && same; i++)
		same = fds[i] == pool->watches[i].fd;
	return same;
}

void loop_rewatch(struct pool *pool)
{
	pool->rewatch = true;
	loop_touch(pool);
}

/* True if anything was changed. */
static bool put_right(struct pool *pool)
{
	struct err err = ERR_INIT;

	/* Two numbers may be the same for two devices, one closed and one opened since: then somebody has said so. */
	if (!pool->rewatch && (pool->unwatched || watches_all(pool)))
		return false;
	pool->rewatch = false;
	unwatch(pool);
	host_pool_settle(pool->host);
	pool->unwatched = watch(pool, &err) != 0;
	if (pool->unwatched)
		log_error("hybrid: pool %s is slow from now on: %s\n", hb_pool_name(pool->hb), err.text);
	return true;
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

void loop_dropped(void)
{
	struct pool *pool = NULL;

	while ((pool = pools_next(pool)))
		loop_touch(pool);
}

static void put_all_right(void)
{
	struct pool *pool = NULL;
	bool changed = false;

	while ((pool = pools_next(pool)))
		changed |= put_right(pool);
	if (changed)
		loop_dropped();
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
	put_all_right();
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
	int ret = timer_start(err);

	if (!ret)
		ret = watch(pool, err);
	if (ret) {
		unwatch(pool);
		return ret;
	}
	hb_pool_edge_events(pool->hb, true);
	loop_touch(pool);
	return 0;
}

void loop_remove(struct pool *pool)
{
	unwatch(pool);
	hb_pool_edge_events(pool->hb, false);	/* who waits for it to close looks at levels */
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
		for (int i = 0; i < pool->nwatches && n < PUMP_FDS_MAX; i++)
			fds[n++] = (struct pollfd){ .fd = pool->watches[i].dup, .events = POLLIN };
	}
	now = loop_now_ns();
	/* Rounded up, or a deadline would be asked for again at once. With more devices than watched: look often. */
	if (until_ns > now)
		poll(fds, n, n == PUMP_FDS_MAX ? 1 : (int)MIN(DIV_UP(until_ns - now, MSEC_NS), 1000u));
	while ((pool = pools_next(pool)))
		hb_pool_edge_events(pool->hb, true);
}
