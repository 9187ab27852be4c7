/* SPDX-License-Identifier: GPL-2.0-only */
/* test_server.c - the control socket over real Unix sockets: split lines, many clients, long lines, slow readers. The
 * loop is a poll loop in this file, the clock is turned by hand.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control/proto.h"
#include "control/server.h"
#include "ctl_fixture.h"
#include "suites.h"

#define FDS_MAX 128
#define TURNS 200		/* enough for anything that a test waits for */

struct watched {
	int fd, events;
	ctl_handler_fn *handler;
	void *data;
};

static struct watched fds[FDS_MAX];
static int nfds;
static uint64_t clock_ns;
static bool add_fails;
static struct ctl_fixture fix;
static struct ctl_server *server;
static char folder[64], path[80];

/* ------------------------------------------------------------------ a small event loop */
static struct watched *watch_of(int fd)
{
	for (int i = 0; i < nfds; i++)
		if (fds[i].fd == fd)
			return &fds[i];
	return NULL;
}

static int loop_add(void *ctx, int fd, int events, ctl_handler_fn *handler, void *data)
{
	(void)ctx;
	if (add_fails || nfds == FDS_MAX)
		return -ENOMEM;
	CU_ASSERT_PTR_NULL(watch_of(fd));
	fds[nfds++] = (struct watched){fd, events, handler, data};
	return 0;
}

static int loop_modify(void *ctx, int fd, int events)
{
	(void)ctx;
	CU_ASSERT_PTR_NOT_NULL_FATAL(watch_of(fd));
	watch_of(fd)->events = events;
	return 0;
}

static void loop_del(void *ctx, int fd)
{
	struct watched *w = watch_of(fd);

	(void)ctx;
	CU_ASSERT_PTR_NOT_NULL_FATAL(w);
	*w = fds[--nfds];
}

static uint64_t loop_now(void *ctx)
{
	(void)ctx;
	return clock_ns;
}

static const struct ctl_loop loop = {.add = loop_add, .modify = loop_modify, .del = loop_del, .now_ns = loop_now};

/* One turn. Returns how many descriptors had something. */
static int turn(void)
{
	struct pollfd polled[FDS_MAX];
	int n = nfds, ready;

	for (int i = 0; i < n; i++)
		polled[i] = (struct pollfd){.fd = fds[i].fd, .events = (short)fds[i].events};
	ready = poll(polled, (nfds_t)n, 0);
	for (int i = 0; i < n; i++) {
		struct watched *w = watch_of(polled[i].fd);

		if (polled[i].revents && w)
			w->handler(w->fd, polled[i].revents, w->data);
	}
	if (fix.pool)
		hb_pool_run(fix.pool);
	if (server)
		ctl_server_run(server);
	return ready;
}

static void turns(int n)
{
	for (int i = 0; i < n; i++)
		turn();
}

/* ------------------------------------------------------------------ a server and its clients */
static int start(struct err *err)
{
	struct ctl_conf conf = {.path = path};

	return ctl_server_new(&conf, &loop, &fix.host, &server, err);
}

static void setup(void)
{
	struct err err = ERR_INIT;

	nfds = 0;
	clock_ns = 1;
	add_fails = false;
	snprintf(folder, sizeof(folder), "/tmp/hybrid-unit-XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/control", folder);
	ctl_fixture_open(&fix);
	CU_ASSERT_EQUAL_FATAL(start(&err), 0);
}

static void teardown(void)
{
	char lock[96];
	struct stat st;

	ctl_server_free(server);
	server = NULL;
	CU_ASSERT_EQUAL(nfds, 0);
	CU_ASSERT_EQUAL(lstat(path, &st), -1);
	ctl_fixture_close(&fix);
	snprintf(lock, sizeof(lock), "%s.lock", path);
	unlink(lock);
	CU_ASSERT_EQUAL(rmdir(folder), 0);
}

static int dial(void)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	CU_ASSERT_EQUAL_FATAL(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	return fd;
}

static void tell(int fd, const char *text)
{
	CU_ASSERT_EQUAL(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* Reads one line (without newline) while the loop turns; "" at the end of the stream, NULL if nothing comes. */
static const char *hear(int fd)
{
	static char line[65536];
	size_t len = 0;

	for (int i = 0; i < TURNS; i++) {
		while (len < sizeof(line) - 1) {
			ssize_t n = recv(fd, line + len, 1, 0);

			if (n == 0)
				return "";
			if (n < 0)
				break;
			if (line[len] == '\n') {
				line[len] = '\0';
				return line;
			}
			len++;
		}
		turn();
	}
	return NULL;
}

static void hear_with(int fd, const char *part)
{
	const char *line = hear(fd);

	if (!line || !strstr(line, part)) {
		printf("\n    expected %s\n    got      %s\n", part, line ? line : "nothing");
		CU_FAIL("answer");
	}
}

#define VERSION "{\"v\":1,\"id\":1,\"verb\":\"version\"}\n"
#define FLUSH "{\"v\":1,\"id\":\"f\",\"verb\":\"flush\"}\n"

/* ------------------------------------------------------------------ tests */
static void test_mode_and_answer(void)
{
	struct stat st;
	int fd;

	setup();
	CU_ASSERT_EQUAL(lstat(path, &st), 0);
	CU_ASSERT(S_ISSOCK(st.st_mode));
	CU_ASSERT_EQUAL(st.st_mode & 0777, 0600);
	fd = dial();
	tell(fd, VERSION);
	hear_with(fd, "\"protocol\":1");
	tell(fd, FLUSH);
	hear_with(fd, "\"id\":\"f\",\"ok\":true");
	close(fd);
	turns(3);
	CU_ASSERT_EQUAL(nfds, 1);
	teardown();
}

static void test_split_and_joined_lines(void)
{
	static const char line[] = VERSION;
	int fd;

	setup();
	fd = dial();
	for (size_t i = 0; line[i]; i++) {
		char one[2] = {line[i], '\0'};

		tell(fd, one);
		turns(2);
	}
	hear_with(fd, "\"id\":1,\"ok\":true");
	tell(fd, VERSION FLUSH VERSION "{\"v\":1,\"id\":2,");
	turns(3);
	tell(fd, "\"verb\":\"pools\"}\nrubbish\n");
	for (int i = 0, ok = 0; i < 5; i++) {
		const char *got = hear(fd);

		CU_ASSERT_PTR_NOT_NULL_FATAL(got);
		ok += strstr(got, "\"ok\":true") != NULL;
		if (i == 4)
			CU_ASSERT_EQUAL(ok, 4);
	}
	CU_ASSERT_PTR_NULL(hear(fd));
	close(fd);
	teardown();
}

static void test_last_line_without_newline(void)
{
	int fd;

	setup();
	fd = dial();
	tell(fd, FLUSH "{\"v\":1,\"id\":9,\"verb\":\"pools\"}");
	shutdown(fd, SHUT_WR);
	for (int i = 0; i < 2; i++)
		hear_with(fd, "\"ok\":true");
	CU_ASSERT_STRING_EQUAL(hear(fd), "");
	CU_ASSERT_EQUAL(nfds, 1);
	close(fd);
	teardown();
}

static void test_many_lines_at_once(void)
{
	static char lines[60000];
	size_t len = 0;
	int fd, n = 0;

	setup();
	fd = dial();
	while (len + sizeof(FLUSH) < sizeof(lines)) {
		memcpy(lines + len, FLUSH, sizeof(FLUSH));
		len += sizeof(FLUSH) - 1;
		n++;
	}
	tell(fd, lines);
	shutdown(fd, SHUT_WR);
	for (int i = 0; i < n; i++) {
		hear_with(fd, "\"id\":\"f\",\"ok\":true");
		CU_ASSERT(ctl_server_waiting(server, fix.pool) <= CTL_CALLS_MAX);
	}
	CU_ASSERT_STRING_EQUAL(hear(fd), "");
	close(fd);
	teardown();
}

static void test_too_long_line(void)
{
	char *much = malloc(PROTO_LINE_MAX * 3 + 2);
	int fd;

	setup();
	CU_ASSERT_PTR_NOT_NULL_FATAL(much);
	memset(much, 'x', PROTO_LINE_MAX * 3);
	much[PROTO_LINE_MAX * 3] = '\n';
	much[PROTO_LINE_MAX * 3 + 1] = '\0';
	fd = dial();
	for (size_t off = 0; much[off];) {
		ssize_t n = send(fd, much + off, strlen(much + off), MSG_NOSIGNAL);

		off += n > 0 ? (size_t)n : 0;
		turn();
	}
	tell(fd, VERSION);
	hear_with(fd, "\"EMSGSIZE\"");
	hear_with(fd, "\"id\":1,\"ok\":true");	/* one error for the long line, and the next line counts */
	CU_ASSERT_PTR_NULL(hear(fd));
	close(fd);
	free(much);
	teardown();
}

static void test_many_clients(void)
{
	int client[CTL_CLIENTS_MAX + 4];

	setup();
	for (int i = 0; i < CTL_CLIENTS_MAX + 4; i++)
		client[i] = dial();
	turns(10);
	for (int i = CTL_CLIENTS_MAX; i < CTL_CLIENTS_MAX + 4; i++) {
		hear_with(client[i], "\"EBUSY\"");
		CU_ASSERT_STRING_EQUAL(hear(client[i]), "");
		close(client[i]);
	}
	for (int i = 0; i < CTL_CLIENTS_MAX; i++)
		tell(client[i], i % 2 ? FLUSH : VERSION);
	for (int i = 0; i < CTL_CLIENTS_MAX; i++)
		hear_with(client[i], "\"ok\":true");
	close(client[0]);
	turns(3);
	client[0] = dial();
	tell(client[0], VERSION);
	hear_with(client[0], "\"ok\":true");
	for (int i = 0; i < CTL_CLIENTS_MAX; i++)
		close(client[i]);
	turns(3);
	CU_ASSERT_EQUAL(nfds, 1);
	teardown();
}

/* A client that asks and never reads: it is held, then dropped; the others go on. */
static void test_slow_reader(void)
{
	int slow, fd;

	setup();
	slow = dial();
	for (int i = 0; i < 20000; i++) {
		if (send(slow, VERSION, sizeof(VERSION) - 1, MSG_NOSIGNAL) < 0 && i % 100 == 0)
			turn();
	}
	turns(TURNS);
	CU_ASSERT_EQUAL(nfds, 2);
	fd = dial();
	tell(fd, VERSION);
	hear_with(fd, "\"ok\":true");
	CU_ASSERT(ctl_server_run(server) <= clock_ns + CTL_STALL_NS);
	clock_ns += CTL_STALL_NS - 2;
	turns(2);
	CU_ASSERT_EQUAL(nfds, 3);
	clock_ns += 2;
	turns(2);
	CU_ASSERT_EQUAL(nfds, 2);
	tell(fd, FLUSH);
	hear_with(fd, "\"ok\":true");
	CU_ASSERT_EQUAL(ctl_server_run(server), UINT64_MAX);
	close(slow);
	close(fd);
	teardown();
}

static void test_half_a_line(void)
{
	int half, quiet;

	setup();
	half = dial();
	quiet = dial();
	tell(half, "{\"v\":1,");
	turns(3);
	for (int i = 0; i < 9; i++) {
		clock_ns += CTL_STALL_NS / 10;
		tell(half, " ");	/* a byte now and then is no line */
		turns(2);
	}
	CU_ASSERT_EQUAL(nfds, 3);
	clock_ns += CTL_STALL_NS / 10;
	turns(2);
	CU_ASSERT_EQUAL(nfds, 2);
	CU_ASSERT_STRING_EQUAL(hear(half), "");
	tell(quiet, VERSION);		/* who asks nothing may stay */
	hear_with(quiet, "\"ok\":true");
	close(half);
	close(quiet);
	teardown();
}

static void test_gone_before_the_answer(void)
{
	int fd;

	setup();
	for (int i = 0; i < 50; i++) {
		fd = dial();
		tell(fd, "{\"v\":1,\"verb\":\"volume-create\",\"args\":{\"name\":\"a\",\"size_bytes\":4096}}\n" FLUSH
			 "{\"v\":1,\"verb\":\"volume-delete\",\"args\":{\"name\":\"a\"}}\n");
		if (i % 2)
			turn();
		close(fd);
		turns(5);
		CU_ASSERT_EQUAL(nfds, 1);
	}
	CU_ASSERT_EQUAL(ctl_server_waiting(server, fix.pool), 0);
	teardown();
}

static void test_freed_with_calls_waiting(void)
{
	int fd;

	setup();
	fd = dial();
	tell(fd, "{\"v\":1,\"verb\":\"volume-create\",\"args\":{\"name\":\"a\",\"size_bytes\":4096}}\n"
		 "{\"v\":1,\"verb\":\"volume-create\",\"args\":{\"name\":\"b\",\"size_bytes\":4096}}\n");
	for (int i = 0; i < 2; i++) {	/* accepted, then read, and the pool not run since */
		struct watched *w = watch_of(fds[nfds - 1].fd);

		w->handler(w->fd, EPOLLIN, w->data);
	}
	CU_ASSERT_EQUAL(ctl_server_waiting(server, fix.pool), 2);
	CU_ASSERT_EQUAL(ctl_server_waiting(server, NULL), 0);
	ctl_server_free(server);
	server = NULL;
	for (int i = 0; i < TURNS; i++)
		hb_pool_run(fix.pool);
	CU_ASSERT_STRING_EQUAL(hear(fd), "");
	close(fd);
	teardown();
}

static void test_loop_refuses(void)
{
	struct err err = ERR_INIT;
	struct stat st;
	int fd;

	setup();
	add_fails = true;
	fd = dial();
	hear_with(fd, "\"ENOMEM\"");
	close(fd);
	ctl_server_free(server);
	server = NULL;
	CU_ASSERT_EQUAL(start(&err), -ENOMEM);
	CU_ASSERT_EQUAL(lstat(path, &st), -1);
	server = NULL;
	teardown();
}

static void test_stale_and_live_sockets(void)
{
	struct ctl_conf conf = {.path = path};
	struct err err = ERR_INIT;
	struct ctl_server *other = NULL;
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd;

	setup();
	CU_ASSERT_EQUAL(ctl_server_new(&conf, &loop, &fix.host, &other, &err), -EADDRINUSE);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, path));
	CU_ASSERT_PTR_NULL(other);
	ctl_server_free(server);
	server = NULL;

	/* left by a process that died: bound, and nobody listens */
	snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CU_ASSERT_EQUAL(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	close(fd);
	err = ERR_INIT;
	CU_ASSERT_EQUAL(start(&err), 0);
	ctl_server_free(server);
	server = NULL;

	/* served by a program that takes no lock */
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CU_ASSERT_EQUAL(bind(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	CU_ASSERT_EQUAL(listen(fd, 1), 0);
	CU_ASSERT_EQUAL(start(&err), -EADDRINUSE);
	close(fd);
	unlink(path);

	/* no socket at all: never replaced */
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	CU_ASSERT_EQUAL(write(fd, "precious", 8), 8);
	close(fd);
	err = ERR_INIT;
	CU_ASSERT_EQUAL(start(&err), -EEXIST);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "no socket"));
	CU_ASSERT_EQUAL(unlink(path), 0);
	teardown();
}

static void test_bad_paths(void)
{
	struct ctl_conf conf = {.path = ""};
	struct err err = ERR_INIT;
	struct ctl_server *other = NULL;
	char long_path[200];

	setup();
	CU_ASSERT_EQUAL(ctl_server_new(&conf, &loop, &fix.host, &other, &err), -ENAMETOOLONG);
	memset(long_path, 'a', sizeof(long_path) - 1);
	long_path[0] = '/';
	long_path[sizeof(long_path) - 1] = '\0';
	conf.path = long_path;
	CU_ASSERT_EQUAL(ctl_server_new(&conf, &loop, &fix.host, &other, &err), -ENAMETOOLONG);
	conf.path = "/nonexistent/deep/control";
	CU_ASSERT_EQUAL(ctl_server_new(&conf, &loop, &fix.host, &other, &err), -ENOENT);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "/nonexistent/deep/control"));
	teardown();
}

/* Another user's process, even when the file's mode lets it connect. Only root can play this. */
static void test_other_user(void)
{
	char got[512] = "";
	struct pollfd polled = {.events = POLLIN};
	int fd, status, link[2];
	pid_t pid;

	setup();
	if (geteuid() == 0) {
		CU_ASSERT_EQUAL(chmod(path, 0666), 0);
		CU_ASSERT_EQUAL(chmod(folder, 0755), 0);
		CU_ASSERT_EQUAL_FATAL(pipe(link), 0);
		pid = fork();
		CU_ASSERT_FATAL(pid >= 0);
		if (pid == 0) {
			if (setuid(65534))
				_exit(2);
			fd = dial();
			polled.fd = fd;
			_exit(write(link[1], "c", 1) == 1 && poll(&polled, 1, 20000) == 1 &&
			      recv(fd, got, sizeof(got) - 1, 0) > 0 && strstr(got, "\"EPERM\"") ? 0 : 1);
		}
		CU_ASSERT_EQUAL(read(link[0], got, 1), 1);
		turns(5);
		CU_ASSERT_EQUAL(waitpid(pid, &status, 0), pid);
		CU_ASSERT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
		CU_ASSERT_EQUAL(nfds, 1);
		close(link[0]);
		close(link[1]);
	}
	teardown();
}

static CU_TestInfo tests[] = {
	{"mode_and_answer", test_mode_and_answer},
	{"split_and_joined_lines", test_split_and_joined_lines},
	{"last_line_without_newline", test_last_line_without_newline},
	{"many_lines_at_once", test_many_lines_at_once},
	{"too_long_line", test_too_long_line},
	{"many_clients", test_many_clients},
	{"slow_reader", test_slow_reader},
	{"half_a_line", test_half_a_line},
	{"gone_before_the_answer", test_gone_before_the_answer},
	{"freed_with_calls_waiting", test_freed_with_calls_waiting},
	{"loop_refuses", test_loop_refuses},
	{"stale_and_live_sockets", test_stale_and_live_sockets},
	{"bad_paths", test_bad_paths},
	{"other_user", test_other_user},
	CU_TEST_INFO_NULL};
const struct hb_suite suite_server = {"server", tests};
