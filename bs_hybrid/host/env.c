/* SPDX-License-Identifier: GPL-2.0-only */
/* env.c - the engine's environment in a real process: clock, randomness, log, waiting. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/rng.h"
#include "base/units.h"
#include "host/priv.h"

_Static_assert((int)CONF_TIER_TYPES >= (int)HB_DEVS_MAX, "room for all descriptors of a pool");

/* One process has one log, whatever number of pools. */
static struct {
	void (*line)(void *ctx, enum hb_log_level level, const char *text);
	void *ctx;
} log_to;

void host_log_to(void (*line)(void *ctx, enum hb_log_level level, const char *text), void *ctx)
{
	log_to.line = line;
	log_to.ctx = ctx;
}

static void env_log(void *ctx, enum hb_log_level level, const char *text)
{
	(void)ctx;
	if (log_to.line)
		log_to.line(log_to.ctx, level, text);
}

void env_log_line(enum hb_log_level level, const char *pool, const char *fmt, ...)
{
	char text[ERR_TEXT_MAX + 128];
	int n = snprintf(text, sizeof(text), "%s%s%s", pool ? "pool " : "", pool ? pool : "", pool ? ": " : "");
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text + n, sizeof(text) - (size_t)n, fmt, ap);
	va_end(ap);
	env_log(NULL, level, text);
}

static uint64_t env_now_ns(void *ctx)
{
	struct timespec ts;

	(void)ctx;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * SEC_NS + (uint64_t)ts.tv_nsec;
}

static uint64_t env_wall_s(void *ctx)
{
	(void)ctx;
	return (uint64_t)time(NULL);
}

static uint64_t env_random(void *ctx)
{
	uint64_t r;
	ssize_t n;

	(void)ctx;
	do
		n = getrandom(&r, sizeof(r), 0);
	while (n < 0 && errno == EINTR);
	assert(n == (ssize_t)sizeof(r));	/* so short a read never fails otherwise */
	return r;
}

/* The descriptors to wait for. A level's may come and go while the pool is open, so they are asked for each time. */
static int event_fds(const struct host_env *env, int fds[CONF_TIER_TYPES])
{
	int n = 0;

	if (env->engine && !env->only)
		return hb_pool_event_fds(env->engine, fds);
	for (int i = 0; i < (env->only ? 1 : env->ndevs); i++) {
		fds[n] = dev_event_fd(env->only ? env->only : env->devs[i]);
		n += fds[n] >= 0;
	}
	return n;
}

static void env_wait(void *ctx, uint64_t until_ns)
{
	int fds[CONF_TIER_TYPES], n = event_fds(ctx, fds);
	struct pollfd polls[CONF_TIER_TYPES];
	uint64_t now = env_now_ns(NULL), left = until_ns > now ? until_ns - now : 0;
	struct timespec limit;

	/* A second at most: devices notice their time-outs when they are drained. */
	left = MIN(left, SEC_NS);
	limit = (struct timespec){ .tv_sec = (time_t)(left / SEC_NS), .tv_nsec = (long)(left % SEC_NS) };
	for (int i = 0; i < n; i++)
		polls[i] = (struct pollfd){ .fd = fds[i], .events = POLLIN };
	ppoll(polls, (nfds_t)n, &limit, NULL);
}

void env_init(struct host_env *ctx, const struct devices *devices, struct hb_env *ret)
{
	*ctx = (struct host_env){ .ndevs = 0 };
	for (int i = 0; i < CONF_TIER_TYPES; i++) {
		if (devices->dev[i])
			ctx->devs[ctx->ndevs++] = devices->dev[i];
	}
	*ret = (struct hb_env){
		.ctx = ctx, .now_ns = env_now_ns, .wall_s = env_wall_s, .random = env_random, .log = env_log,
		.wait = env_wait,
	};
}

int env_boot_token(uint64_t *ret, struct err *err)
{
	static const char path[] = "/proc/sys/kernel/random/boot_id";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char id[64];
	uint64_t token = 0;
	ssize_t n;

	if (fd < 0)
		return err_set(err, -errno, "%s: %s", path, strerror(errno));
	n = read(fd, id, sizeof(id));
	close(fd);
	if (n < 32)
		return err_set(err, -EIO, "%s: expected an identifier", path);
	for (ssize_t i = 0; i < n; i++)
		token = hash64(token ^ (uint64_t)(unsigned char)id[i]) + (uint64_t)i;
	*ret = token;
	return 0;
}
