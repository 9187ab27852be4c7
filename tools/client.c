/* SPDX-License-Identifier: GPL-2.0-only */
/* client.c - the client's end of the control socket: one line out, one line in, with a time limit. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/units.h"
#include "tool.h"

#define ANSWER_MAX (64u << 20)
#define SILENCE_MS 120000	/* a server that says nothing for so long is given up */

int client_connect(const char *path, int *ret_fd, struct err *err)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd;

	if (strlen(path) >= sizeof(sun.sun_path))
		return err_set(err, -ENAMETOOLONG, "control socket %s: the path is too long", path);
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0) {
		int error = errno;

		if (fd >= 0)
			close(fd);
		return err_set(err, -error, "control socket %s: %s", path, strerror(error));
	}
	*ret_fd = fd;
	return 0;
}

static int send_all(int fd, const char *text, size_t len, struct err *err)
{
	while (len) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_set(err, -errno, "control socket: send: %s", strerror(errno));
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

/* Waits for more bytes of the answer; 0 or -errno. */
static int await(int fd, struct err *err)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	int n;

	do
		n = poll(&p, 1, SILENCE_MS);
	while (n < 0 && errno == EINTR);
	if (n > 0)
		return 0;
	return n < 0 ? err_set(err, -errno, "control socket: %s", strerror(errno)) :
		       err_set(err, -ETIMEDOUT, "control socket: no answer within %d s", SILENCE_MS / 1000);
}

static int receive_line(int fd, char **buf, size_t *cap, struct err *err)
{
	size_t len = 0;

	for (;;) {
		ssize_t n;

		if (len + 1 >= *cap) {
			char *more = *cap < ANSWER_MAX ? realloc(*buf, *cap * 2) : NULL;

			if (!more)
				return err_set(err, -ENOMEM, "control socket: the answer is too long");
			*buf = more;
			*cap *= 2;
		}
		if (await(fd, err))
			return err->code;
		n = recv(fd, *buf + len, *cap - len - 1, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return err_set(err, n < 0 ? -errno : -EIO, "control socket: %s",
				       n < 0 ? strerror(errno) : "closed by the server before it answered");
		len += (size_t)n;
		(*buf)[len] = '\0';
		if ((*buf)[len - 1] == '\n') {
			(*buf)[len - 1] = '\0';
			return 0;
		}
	}
}

int client_ask(int fd, const char *line, char **ret, struct err *err)
{
	size_t cap = 4096;
	char *buf = malloc(cap);

	if (!buf)
		return err_set(err, -ENOMEM, "out of memory");
	if (send_all(fd, line, strlen(line), err) || send_all(fd, "\n", 1, err) || receive_line(fd, &buf, &cap, err)) {
		free(buf);
		return err->code;
	}
	*ret = buf;
	return 0;
}
