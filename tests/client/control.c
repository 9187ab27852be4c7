/* SPDX-License-Identifier: GPL-2.0-only */
/* control.c - see control.h. */
#include "tests/client/control.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static bool send_all(int fd, const char *p, size_t len)
{
	while (len) {
		ssize_t n = send(fd, p, len, MSG_NOSIGNAL);

		if (n < 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

int control_send(struct control *c, const char *path, const char *request)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};

	snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
	c->len = 0;
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd >= 0 && !connect(c->fd, (struct sockaddr *)&to, sizeof(to)) &&
	    send_all(c->fd, request, strlen(request)) && send_all(c->fd, "\n", 1))
		return 0;
	fprintf(stderr, "%s: %s\n", path, strerror(errno));
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	return -1;
}

static bool over(struct control *c)
{
	close(c->fd);
	c->fd = -1;
	return true;
}

bool control_answered(struct control *c, bool wait)
{
	for (;;) {
		ssize_t n = recv(c->fd, c->line + c->len, sizeof(c->line) - 1 - c->len, wait ? 0 : MSG_DONTWAIT);
		char *end;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return false;
		if (n <= 0) {
			snprintf(c->line, sizeof(c->line), "no answer: connection lost");
			return over(c);
		}
		end = memchr(c->line + c->len, '\n', (size_t)n);
		c->len += (unsigned)n;
		if (end) {
			*end = '\0';
			return over(c);
		}
	}
}

const char *control_text(const struct control *c)
{
	static char text[CONTROL_LINE_MAX + 16];
	json_t *answer = json_loads(c->line, 0, NULL), *error = json_object_get(answer, "error");
	char *result;

	if (json_is_true(json_object_get(answer, "ok"))) {
		result = json_dumps(json_object_get(answer, "result"), JSON_COMPACT);
		snprintf(text, sizeof(text), "good %s", result ? result : "");
		free(result);
	} else {
		const char *code = json_string_value(json_object_get(error, "code"));
		const char *why = json_string_value(json_object_get(error, "text"));

		snprintf(text, sizeof(text), "%s %s", code ? code : "answer:", why ? why : c->line);
	}
	json_decref(answer);
	return text;
}
