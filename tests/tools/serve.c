/* SPDX-License-Identifier: GPL-2.0-only */
/* serve.c - opens the first pool of a configuration and serves its control socket, as tgtd's module does: for the tests
 * of hybrid-pool on a pool in use. Prints "ready", and "reverted NAME" when a volume was; ends cleanly when its
 * standard input is closed.
 *
 *	serve CONFIG [VOLUME [COUNT STRIDE]]
 *
 * VOLUME is kept open. Its first bytes are written first and made durable; or COUNT blocks are written, STRIDE bytes
 * from one to the next.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "control/server.h"
#include "host/host.h"

#define FDS_MAX 256

struct watched {
	ctl_handler_fn *handler;
	void *data;
};

static struct watched watched[FDS_MAX];		/* by descriptor */
static int epoll_fd;
static bool stop;
static struct hb_pool *pool;
static struct host_pool *real;
static int fds[HB_DEVS_MAX], nfds;		/* of the pool, watched */

static uint64_t now_ns(void *ctx)
{
	struct timespec ts;

	(void)ctx;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * SEC_NS + (uint64_t)ts.tv_nsec;
}

static int change(int op, int fd, int events)
{
	struct epoll_event e = {.events = (uint32_t)events, .data.fd = fd};

	return epoll_ctl(epoll_fd, op, fd, &e) ? -errno : 0;
}

static int add(void *ctx, int fd, int events, ctl_handler_fn *handler, void *data)
{
	(void)ctx;
	if (fd >= FDS_MAX)
		return -EMFILE;
	watched[fd] = (struct watched){handler, data};
	return change(EPOLL_CTL_ADD, fd, events);
}

static int modify(void *ctx, int fd, int events)
{
	(void)ctx;
	return change(EPOLL_CTL_MOD, fd, events);
}

static void del(void *ctx, int fd)
{
	(void)ctx;
	watched[fd].handler = NULL;
	change(EPOLL_CTL_DEL, fd, 0);
}

static void stdin_event(int fd, int events, void *data)
{
	char c;

	(void)events;
	(void)data;
	if (read(fd, &c, 1) <= 0)
		stop = true;
}

static void device_event(int fd, int events, void *data)
{
	(void)fd;
	(void)events;
	(void)data;	/* hb_pool_run() at the end of the turn drains it */
}

static struct hb_pool *find_pool(void *ctx, const char *name)
{
	(void)ctx;
	return strcmp(name, hb_pool_name(pool)) ? NULL : pool;
}

static struct hb_pool *next_pool(void *ctx, struct hb_pool *after)
{
	(void)ctx;
	return after ? NULL : pool;
}

static struct host_pool *real_pool(void *ctx, struct hb_pool *of)
{
	(void)ctx;
	return of == pool ? real : NULL;
}

/* Watches what the pool has now. A descriptor that was closed is watched no more. */
static void watch(void)
{
	for (int i = 0; i < nfds; i++)
		del(NULL, fds[i]);
	nfds = hb_pool_event_fds(pool, fds);
	for (int i = 0; i < nfds; i++)
		add(NULL, fds[i], EPOLLIN, device_event, NULL);
}

static void descriptors_changed(void *ctx, struct hb_pool *of)
{
	(void)ctx;
	(void)of;
	watch();
}

static void turn(struct ctl_server *server)
{
	struct epoll_event events[32];
	uint64_t next = hb_pool_run(pool), then = ctl_server_run(server), now = now_ns(NULL);
	int n, now_fds[HB_DEVS_MAX];

	if (hb_pool_event_fds(pool, now_fds) != nfds) {
		watch();
		host_pool_settle(real);
	}
	next = MIN(next, then);
	n = epoll_wait(epoll_fd, events, 32, next <= now ? 0 : (int)MIN((next - now) / MSEC_NS + 1, 1000));
	for (int i = 0; i < n; i++) {
		struct watched w = watched[events[i].data.fd];

		if (w.handler)
			w.handler(events[i].data.fd, (int)events[i].events, w.data);
	}
}

static void written(struct hb_req *req)
{
	*(bool *)req->owner = true;
}

/* Writes a text that can be found on the devices, at most this much of it, and waits for it. */
static int write_pattern(struct hb_volume *vol, uint64_t off, uint64_t len, unsigned flags)
{
	static char buf[KIB(64)];
	struct hb_req req = {.op = HB_WRITE, .flags = flags, .vol = vol, .buf = buf, .done = written};
	bool done = false;

	for (size_t i = 0; i + 32 <= sizeof(buf); i += 32)
		snprintf(buf + i, 32, "pattern at byte %12zu", i);
	req.owner = &done;
	req.off_bytes = off;
	req.len_bytes = MIN(hb_volume_size(vol) - off, len);
	if (!hb_submit(&req))
		while (!done)
			hb_pool_run(pool);
	return req.error;
}

static int write_first(struct hb_volume *vol, const char *count, const char *stride)
{
	int rc = 0;

	if (!count)
		return write_pattern(vol, 0, KIB(64), HB_FUA);
	for (uint64_t i = 0; rc == 0 && i < strtoull(count, NULL, 10); i++)
		rc = write_pattern(vol, i * strtoull(stride, NULL, 10), BLK_BYTES, 0);
	return rc;
}

static void volume_reverted(void *ctx, struct hb_pool *of, const char *volume)
{
	(void)ctx;
	(void)of;
	printf("reverted %s\n", volume);
	fflush(stdout);
}

static int serve(const struct conf *conf, struct err *err)
{
	static const struct ctl_loop loop = {.add = add, .modify = modify, .del = del, .now_ns = now_ns};
	static const struct verb_host host = {.find = find_pool, .next = next_pool, .volume_reverted = volume_reverted,
					      .real = real_pool, .descriptors_changed = descriptors_changed};
	const struct ctl_conf ctl = {.path = conf->socket, .mode = conf->socket_mode};
	struct ctl_server *server;

	if (ctl_server_new(&ctl, &loop, &host, &server, err))
		return err->code;
	add(NULL, STDIN_FILENO, EPOLLIN, stdin_event, NULL);
	watch();
	puts("ready");
	fflush(stdout);
	while (!stop || ctl_server_waiting(server, pool))
		turn(server);
	ctl_server_free(server);
	return 0;
}

int main(int argc, char **argv)
{
	struct host_pool *host = NULL;
	struct hb_volume *vol = NULL;
	struct err err = ERR_INIT;
	struct conf *conf = NULL;

	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (argc < 2 || argc == 4 || epoll_fd < 0)
		return 2;
	if (conf_load(argv[1], &conf, &err) == 0 && host_pool_open(&conf->pools[0], 0, &host, &err) == 0) {
		real = host;
		pool = host_pool_engine(host);
		if (argc >= 3 && hb_volume_open(pool, argv[2], &vol, &err) == 0 &&
		    write_first(vol, argc >= 5 ? argv[3] : NULL, argv[argc - 1]))
			err_set(&err, -EIO, "the volume cannot be written");
		if (err.code == 0)
			serve(conf, &err);
		if (vol)
			hb_volume_close(vol);
		host_pool_close(host, &err);
	}
	conf_free(conf);
	if (err.code)
		fprintf(stderr, "serve: %s\n", err.text);
	return err.code ? 1 : 0;
}
