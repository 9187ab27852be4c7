/* SPDX-License-Identifier: GPL-2.0-only */
/* asking.c - one HTTP request, as it is in a file, over and over by many connections: how many answers a second.
 *
 * usage: asking PORT CONNECTIONS SECONDS FILE
 * PORT of the loopback. The file is all of the request, head and body; signed in advance, so that nothing is reckoned
 * here while the clock runs. Each connection sends it, takes the answer, and sends it again. Prints "ANSWERS_A_SECOND
 * BYTES_OF_AN_ANSWER"; an answer that is not 200 ends it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 1000
#define REQUEST_MAX 65536
#define HEAD_MAX 4096

struct asker {
	char head[HEAD_MAX + 1]; /* of the answer, until all of it is there; and what of the body came with it */
	size_t len;
	bool has_head;
	size_t rest; /* of the body, still to come */
};

static char request[REQUEST_MAX];
static size_t request_len;
static struct asker askers[CONNECTIONS_MAX];
static struct pollfd polls[CONNECTIONS_MAX];
static uint64_t answers, last_bytes;

static void die(const char *what)
{
	fprintf(stderr, "asking: %s: %s\n", what, errno ? strerror(errno) : "not as expected");
	exit(1);
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int dial(uint16_t port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)))
		die("connect");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

/* Requests are small: the socket takes one at once. */
static void ask(unsigned i)
{
	askers[i].len = 0;
	askers[i].has_head = false;
	if (send(polls[i].fd, request, request_len, MSG_NOSIGNAL) != (ssize_t)request_len)
		die("send");
}

/* The head may be there; what is behind it is of the body. */
static void read_head(struct asker *a)
{
	char *end, *length;

	a->head[a->len] = '\0';
	end = strstr(a->head, "\r\n\r\n");
	if (!end && a->len == HEAD_MAX)
		die("an answer's head");
	if (!end)
		return;
	errno = 0;
	length = strcasestr(a->head, "\r\nContent-Length:");
	if (strncmp(a->head, "HTTP/1.1 200 ", 13) || !length) {
		fprintf(stderr, "%s\n", a->head);
		die("an answer");
	}
	last_bytes = strtoull(length + 17, NULL, 10);
	a->rest = last_bytes - (a->len - (size_t)(end + 4 - a->head));
	a->has_head = true;
}

static void take(unsigned i)
{
	static char body[1 << 16];
	struct asker *a = &askers[i];
	ssize_t n = a->has_head ? recv(polls[i].fd, body, sizeof(body), 0)
				: recv(polls[i].fd, a->head + a->len, HEAD_MAX - a->len, 0);

	if (n <= 0)
		die("the server ended a connection");
	if (a->has_head) {
		a->rest -= (size_t)n;
	} else {
		a->len += (size_t)n;
		read_head(a);
	}
	if (a->has_head && !a->rest) {
		answers++;
		ask(i);
	}
}

static void read_request(const char *path)
{
	FILE *f = fopen(path, "r");

	if (!f)
		die(path);
	request_len = fread(request, 1, sizeof(request), f);
	fclose(f);
}

int main(int argc, char **argv)
{
	unsigned n = argc == 5 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
	double seconds, began;

	if (!n || n > CONNECTIONS_MAX) {
		fputs("usage: asking PORT CONNECTIONS SECONDS FILE\n", stderr);
		return 2;
	}
	seconds = strtod(argv[3], NULL);
	read_request(argv[4]);
	for (unsigned i = 0; i < n; i++) {
		polls[i] = (struct pollfd){.fd = dial((uint16_t)strtoul(argv[1], NULL, 10)), .events = POLLIN};
		ask(i);
	}
	began = now_s();
	while (now_s() < began + seconds) {
		if (poll(polls, n, 1000) < 0)
			die("poll");
		for (unsigned i = 0; i < n; i++)
			if (polls[i].revents)
				take(i);
	}
	printf("%.0f %llu\n", (double)answers / (now_s() - began), (unsigned long long)last_bytes);
	return 0;
}
