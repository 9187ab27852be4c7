/* SPDX-License-Identifier: GPL-2.0-only */
/* sock.c - connect, send and receive on Unix stream sockets, with deadlines. */
#include "box/sock.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/units.h"

#define BACKLOG_PAUSE_MS 10

uint64_t sock_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / MSEC_NS;
}

static int say(struct err *err, int error)
{
	if (error == ENOENT)
		error = ECONNREFUSED;
	if (error == ECONNRESET)
		error = EPIPE;
	return err_set(err, -error, "%s", error == ECONNREFUSED ? "nobody serves it" :
					  error == EPIPE	? "it has gone" :
					  error == ETIMEDOUT	? "no answer in time" :
								  strerror(error));
}

/* 0: `events` may be tried; hang-ups count, the next call will say what they are. */
static int await(int fd, short events, uint64_t deadline_ms, struct err *err)
{
	struct pollfd p = {.fd = fd, .events = events};

	for (;;) {
		uint64_t now = sock_now_ms();
		int n;

		if (now >= deadline_ms)
			return say(err, ETIMEDOUT);
		n = poll(&p, 1, (int)MIN(deadline_ms - now, (uint64_t)60000));
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return say(err, errno);
	}
}

int sock_connect(const char *path, uint64_t deadline_ms, int *ret_fd, struct err *err)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd, error;

	if (strlen(path) >= sizeof(sun.sun_path))
		return err_set(err, -ENAMETOOLONG, "the path is too long");
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return say(err, errno);
	/* A full backlog says EAGAIN at once, and there is nothing to wait on. */
	while (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0) {
		error = errno;
		if (error == EAGAIN && sock_now_ms() < deadline_ms)
			poll(NULL, 0, BACKLOG_PAUSE_MS);
		else if (error != EINTR)
			goto fail;
	}
	*ret_fd = fd;
	return 0;
fail:
	close(fd);
	return say(err, error == EAGAIN ? ETIMEDOUT : error);
}

int sock_send(int fd, const void *p, size_t n, uint64_t deadline_ms, struct err *err)
{
	const char *from = p;

	while (n) {
		ssize_t done = send(fd, from, n, MSG_NOSIGNAL);

		if (done < 0 && errno == EAGAIN) {
			int rc = await(fd, POLLOUT, deadline_ms, err);

			if (rc)
				return rc;
			continue;
		}
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return say(err, errno);
		from += done;
		n -= (size_t)done;
	}
	return 0;
}

int sock_recv(int fd, void *p, size_t n, uint64_t deadline_ms, size_t *ret_got, struct err *err)
{
	for (;;) {
		ssize_t got = recv(fd, p, n, 0);
		int rc;

		if (got >= 0) {
			*ret_got = (size_t)got;
			return 0;
		}
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN)
			return say(err, errno);
		rc = await(fd, POLLIN, deadline_ms, err);
		if (rc)
			return rc;
	}
}

int sock_recv_all(int fd, void *p, size_t n, uint64_t deadline_ms, struct err *err)
{
	char *to = p;

	while (n) {
		size_t got;
		int rc = sock_recv(fd, to, n, deadline_ms, &got, err);

		if (rc)
			return rc;
		if (!got)
			return say(err, EPIPE);
		to += got;
		n -= got;
	}
	return 0;
}
