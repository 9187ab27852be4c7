/* SPDX-License-Identifier: GPL-2.0-only */
/* env.c - the engine's environment in a real process: clock, randomness, log, waiting. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/rng.h"
#include "base/units.h"
#include "host/priv.h"

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

static void env_wait(void *ctx, uint64_t until_ns)
{
	const struct host_env *env = ctx;
	struct pollfd polls[CONF_TIER_TYPES];
	uint64_t now = env_now_ns(NULL), left = until_ns > now ? until_ns - now : 0;
	struct timespec limit;

	/* A second at most: devices notice their time-outs when they are drained. */
	left = MIN(left, SEC_NS);
	limit = (struct timespec){ .tv_sec = (time_t)(left / SEC_NS), .tv_nsec = (long)(left % SEC_NS) };
	for (int i = 0; i < env->nfds; i++)
		polls[i] = (struct pollfd){ .fd = env->fds[i], .events = POLLIN };
	ppoll(polls, (nfds_t)env->nfds, &limit, NULL);
}

void env_init(struct host_env *ctx, struct dev *capacity, struct dev *write_tier, struct hb_env *ret)
{
	struct dev *const devs[] = { capacity, write_tier };

	ctx->nfds = 0;
	for (size_t i = 0; i < ARRAY_LEN(devs); i++) {
		if (dev_event_fd(devs[i]) >= 0)
			ctx->fds[ctx->nfds++] = dev_event_fd(devs[i]);
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
