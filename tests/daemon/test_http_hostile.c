/* SPDX-License-Identifier: GPL-2.0-only */
/* test_http_hostile.c - daemon/http with clients that lie, dawdle, flood and go away. Raw bytes; no assertion on a
 * time: what must end is waited for, for a long time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/units.h"
#include "http_rig.h"

#define HOST "Host: x\r\n"
#define GET(path) "GET " path " HTTP/1.1\r\n" HOST "\r\n"
#define POST(headers) "POST /echo HTTP/1.1\r\n" HOST headers "\r\n"

static char buf[65536], bulk[1 << 20];

/* ------------------------------------------------------------------ lengths */
/* One request, in bytes, on a connection of its own, then the client's side is closed. The handler never sees it; the
 * status is this (0: none is needed), and nothing that follows is taken for another request. */
static void never_seen(struct rig *g, const char *bytes, size_t len, int status)
{
	unsigned before = rig_called(g);
	int fd = raw_tcp(http_port(g->h, 0)), got;

	raw_send(fd, bytes, len);
	shutdown(fd, SHUT_WR);
	got = raw_answer(fd, false, buf, sizeof(buf));
	if (got != status && status)
		printf("%d instead of %d for %.60s\n", got, status, bytes);
	CU_ASSERT_TRUE(got == status || !status);
	CU_ASSERT_TRUE(got == 0 || got >= 400);
	/* libmicrohttpd 0.9.75 says the headers of some of its refusals twice, so there may be more of this answer. */
	while (recv(fd, buf, sizeof(buf), 0) > 0)
		;
	CU_ASSERT_TRUE(raw_ended(fd));
	close(fd);
	CU_ASSERT_EQUAL(rig_called(g), before);
}

#define NEVER_SEEN(g, bytes, status) never_seen(g, bytes, sizeof(bytes) - 1, status)

static void test_lengths(void)
{
	struct rig g;

	rig_begin(&g);
	rig_serve(&g, NULL);
	NEVER_SEEN(&g, POST("Content-Length: 3\r\nContent-Length: 4\r\n") "abcd", 400);
	NEVER_SEEN(&g, POST("Content-Length: 3\r\nContent-Length: 3\r\n") "abc", 400);
	NEVER_SEEN(&g, POST("Content-Length: 3, 3\r\n") "abc", 400);
	NEVER_SEEN(&g, POST("Content-Length: 35\r\nTransfer-Encoding: chunked\r\n") "0\r\n\r\n" GET("/echo"), 400);
	NEVER_SEEN(&g, POST("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n") "0\r\n\r\n", 400);
	NEVER_SEEN(&g, POST("Transfer-Encoding: gzip, chunked\r\n") "0\r\n\r\n", 400);
	NEVER_SEEN(&g, POST("Transfer-Encoding: identity\r\n") "abc", 400);
	NEVER_SEEN(&g, POST("Transfer-Encoding : chunked\r\n") "0\r\n\r\n", 400);
	NEVER_SEEN(&g, POST("Content-Length : 3\r\n"), 400);
	NEVER_SEEN(&g, POST("Content-Length: -3\r\n") "abc", 400);
	NEVER_SEEN(&g, POST("Content-Length: +3\r\n") "abc", 400);
	NEVER_SEEN(&g, POST("Content-Length: 0x3\r\n") "abc", 400);
	NEVER_SEEN(&g, POST("Content-Length: 3a\r\n") "abc", 400);
	NEVER_SEEN(&g, POST("Content-Length:\r\n") "abc", 400);
	NEVER_SEEN(&g, POST("Content-Length: 99999999999999999999999\r\n") "abc", 413);
	NEVER_SEEN(&g, POST("Content-Length: 18446744073709551615\r\n") "abc", 413);
	NEVER_SEEN(&g, POST("Content-Length: 10\r\n") "abc", 0);	/* and goes away */
	NEVER_SEEN(&g, POST("Transfer-Encoding: chunked\r\n") "3\r\nabc\r\n", 0);
	NEVER_SEEN(&g, POST("Transfer-Encoding: chunked\r\n") "3\r\nabcd\r\n0\r\n\r\n", 400);
	NEVER_SEEN(&g, POST("Transfer-Encoding: chunked\r\n") "zz\r\nabc\r\n0\r\n\r\n", 400);
	NEVER_SEEN(&g, POST("Transfer-Encoding: chunked\r\n") "-3\r\nabc\r\n0\r\n\r\n", 400);
	NEVER_SEEN(&g, POST("Transfer-Encoding: chunked\r\n") "ffffffffffffffffff\r\nabc\r\n0\r\n\r\n", 413);
	CU_ASSERT_TRUE(rig_wait_idle(&g, 0));
	rig_end(&g);
}

static void test_not_http(void)
{
	struct rig g;

	rig_begin(&g);
	rig_serve(&g, NULL);
	NEVER_SEEN(&g, "\r\n\r\n\r\n\r\n", 0);
	NEVER_SEEN(&g, "GET\r\n\r\n", 0);
	NEVER_SEEN(&g, "GET /echo\r\n\r\n", 0);
	NEVER_SEEN(&g, "GET /echo HTTP/2.0\r\n" HOST "\r\n", 0);
	NEVER_SEEN(&g, "GET /echo HTTX/1.1\r\n" HOST "\r\n", 0);
	NEVER_SEEN(&g, "GET /ec ho HTTP/1.1\r\n" HOST "\r\n", 0);
	NEVER_SEEN(&g, "GET /echo HTTP/1.1\r\n\r\n", 400);	/* no Host (RFC 9112, 3.2) */
	NEVER_SEEN(&g, "GET /echo\0x HTTP/1.1\r\n" HOST "\r\n", 400);
	NEVER_SEEN(&g, "GET /echo?a\0HTTP/1.1 HTTP/1.1\r\n" HOST "\r\n", 400);
	NEVER_SEEN(&g, "GET /echo HTTP/1.1\r\n" HOST "A\0: b\r\n\r\n", 400);
	NEVER_SEEN(&g, "GET /echo HTTP/1.1\r\n" HOST "A b: c\r\n\r\n", 400);
	NEVER_SEEN(&g, "GET /echo HTTP/1.1\r\n" HOST "no colon\r\n\r\n", 0);
	NEVER_SEEN(&g, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 0);	/* TLS to a plain listener */
	memset(bulk, 'A', sizeof(bulk));
	never_seen(&g, bulk, sizeof(bulk), 0);
	memset(bulk, 0, sizeof(bulk));
	never_seen(&g, bulk, sizeof(bulk), 0);
	CU_ASSERT_TRUE(rig_wait_idle(&g, 0));
	CU_ASSERT_EQUAL(raw_ask(http_port(g.h, 0), GET("/echo"), buf, sizeof(buf)), 200);
	rig_end(&g);
}

static void test_random_bytes(void)
{
	static const char seeded[] = POST("Transfer-Encoding: chunked\r\nExpect: 100-continue\r\nX: y\r\n")
				     "5;ext=1\r\nhello\r\n0\r\nTrailer: x\r\n\r\n" GET("/echo?a=b&c=%41");
	struct http_limits limits = {.idle_ms = 100};
	struct rng rng = unit_rng();
	char bytes[sizeof(seeded)];
	struct rig g;

	rig_begin(&g);
	rig_serve(&g, &limits);
	for (unit_step = 0; unit_step < 1000; unit_step++) {
		int fd = raw_tcp(http_port(g.h, 0));
		size_t at = 0;

		memcpy(bytes, seeded, sizeof(bytes));
		for (uint64_t n = rng_below(&rng, 4); n > 0; n--)
			bytes[rng_below(&rng, sizeof(bytes) - 1)] = (char)rng_next(&rng);
		while (at < sizeof(bytes) - 1) {
			size_t n = 1 + rng_below(&rng, sizeof(bytes) - 1 - at);

			raw_send(fd, bytes + at, n);
			at += n;
		}
		if (rng_below(&rng, 2))
			shutdown(fd, SHUT_WR);
		if (rng_below(&rng, 2))
			raw_answer(fd, false, buf, sizeof(buf));
		close(fd);
	}
	CU_ASSERT_TRUE(rig_wait_idle(&g, 0));
	CU_ASSERT_EQUAL(raw_ask(http_port(g.h, 0), GET("/echo"), buf, sizeof(buf)), 200);
	rig_end(&g);
}

/* ------------------------------------------------------------------ bodies */
static void test_chunked(void)
{
	struct rig g;
	struct http_limits limits = {.body_bytes = 1000};
	int fd;

	rig_begin(&g);
	rig_serve(&g, &limits);
	fd = raw_tcp(http_port(g.h, 0));
	raw_say(fd, POST("Transfer-Encoding: chunked\r\n"));
	for (const char *p = "1\r\na\r\n1;x=y\r\nb\r\n0001\r\nc\r\n0\r\nContent-Length: 77\r\n\r\n"; *p; p++)
		raw_send(fd, p, 1);
	CU_ASSERT_EQUAL(raw_answer(fd, false, buf, sizeof(buf)), 200);
	CU_ASSERT_PTR_NOT_NULL(strstr(buf, "\r\n\r\nPOST /echo  3 96354\n"));
	raw_say(fd, POST("Transfer-Encoding: chunked\r\n"));	/* just as much as may be */
	for (int i = 0; i < 100; i++)
		raw_say(fd, "a\r\n0123456789\r\n");
	raw_say(fd, "0\r\n\r\n");
	CU_ASSERT_EQUAL(raw_answer(fd, false, buf, sizeof(buf)), 200);
	CU_ASSERT_PTR_NOT_NULL(strstr(buf, "\r\n\r\nPOST /echo  1000 "));
	raw_say(fd, POST("Transfer-Encoding: chunked\r\n"));	/* and one more */
	for (int i = 0; i < 100; i++)
		raw_say(fd, "a\r\n0123456789\r\n");
	raw_say(fd, "1\r\n0\r\n0\r\n\r\n");
	CU_ASSERT_EQUAL(raw_answer(fd, false, buf, sizeof(buf)), 413);
	raw_say(fd, GET("/echo"));	/* the connection lives */
	CU_ASSERT_EQUAL(raw_answer(fd, false, buf, sizeof(buf)), 200);
	raw_say(fd, POST("Transfer-Encoding: chunked\r\n"));	/* without an end */
	for (int i = 0; i < 10000; i++)
		raw_say(fd, "a\r\n0123456789\r\n");
	CU_ASSERT_TRUE(raw_ended(fd));
	close(fd);
	CU_ASSERT_EQUAL(rig_called(&g), 3);
	CU_ASSERT_TRUE(rig_wait_idle(&g, 0));
	rig_end(&g);
}

static void test_large_bodies(void)
{
	struct http_limits limits = {.body_bytes = 100000};
	struct http_usage u;
	struct rig g;
	int fd;

	memset(bulk, 'x', sizeof(bulk));
	rig_begin(&g);
	rig_serve(&g, &limits);
	fd = raw_tcp(http_port(g.h, 0));
	raw_say(fd, POST("Content-Length: 100000\r\n"));
	raw_send(fd, bulk, 100000);
	CU_ASSERT_EQUAL(raw_answer(fd, false, buf, sizeof(buf)), 200);
	raw_say(fd, POST("Content-Length: 100001\r\n"));
	raw_send(fd, bulk, 100001);
	CU_ASSERT_EQUAL(raw_answer(fd, false, buf, sizeof(buf)), 413);
	CU_ASSERT_PTR_NOT_NULL(strstr(buf, "nosniff"));
	raw_say(fd, POST("Content-Length: 1000000000\r\n"));	/* is not waited for */
	CU_ASSERT_EQUAL(raw_answer(fd, false, buf, sizeof(buf)), 413);
	CU_ASSERT_TRUE(raw_ended(fd));
	close(fd);
	/* What is only announced takes no memory. */
	fd = raw_tcp(http_port(g.h, 0));
	raw_say(fd, POST("Content-Length: 100000\r\n") "x");
	raw_say(fd, "y");
	do {
		http_usage(g.h, &u);
	} while (!u.body_bytes);
	CU_ASSERT_TRUE(u.body_bytes <= 4096);
	close(fd);
	CU_ASSERT_EQUAL(rig_called(&g), 1);
	CU_ASSERT_TRUE(rig_wait_idle(&g, 0));
	rig_end(&g);
}

static void test_expect(void)
{
	struct http_limits limits = {.body_bytes = 1000};
	struct rig g;
	int fd;

	rig_begin(&g);
	rig_serve(&g, &limits);
	fd = raw_tcp(http_port(g.h, 0));
	for (int i = 0; i < 2; i++) {
		raw_say(fd, POST("Content-Length: 3\r\nExpect: 100-continue\r\n"));
		CU_ASSERT_EQUAL(raw_answer(fd, false, buf, sizeof(buf)), 100);
		raw_say(fd, "abc");
		CU_ASSERT_EQUAL(raw_answer(fd, false, buf, sizeof(buf)), 200);
		CU_ASSERT_PTR_NOT_NULL(strstr(buf, "\r\n\r\nPOST /echo  3 96354\n"));
	}
	raw_say(fd, POST("Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n"));
	CU_ASSERT_EQUAL(raw_answer(fd, false, buf, sizeof(buf)), 100);
	raw_say(fd, "3\r\nabc\r\n0\r\n\r\n");
	CU_ASSERT_EQUAL(raw_answer(fd, false, buf, sizeof(buf)), 200);
	raw_say(fd, POST("Content-Length: 1001\r\nExpect: 100-continue\r\n"));
	CU_ASSERT_EQUAL(raw_answer(fd, false, buf, sizeof(buf)), 413);	/* at once, and no 100 */
	CU_ASSERT_TRUE(raw_ended(fd));
	close(fd);
	CU_ASSERT_EQUAL(rig_called(&g), 3);
	rig_end(&g);
}

/* ------------------------------------------------------------------ headers */
static int flood(struct rig *g, unsigned fields, unsigned each)
{
	int fd = raw_tcp(http_port(g->h, 0)), status;
	char name[32];

	raw_say(fd, "GET /echo HTTP/1.1\r\n" HOST);
	memset(bulk, 'v', each);
	for (unsigned i = 0; i < fields; i++) {
		snprintf(name, sizeof(name), "X-%u: ", i);
		raw_say(fd, name);
		raw_send(fd, bulk, each);
		raw_say(fd, "\r\n");
	}
	raw_say(fd, "\r\n");
	status = raw_answer(fd, false, buf, sizeof(buf));
	close(fd);
	return status;
}

static void test_headers(void)
{
	struct http_limits limits = {.header_bytes = 16384};
	struct rig g;
	int fd;

	rig_begin(&g);
	rig_serve(&g, &limits);
	CU_ASSERT_EQUAL(flood(&g, 100, 1), 200);
	CU_ASSERT_EQUAL(flood(&g, 15, 1000), 200);
	CU_ASSERT_EQUAL(rig_called(&g), 2);
	CU_ASSERT_EQUAL(flood(&g, 200, 1), 431);
	CU_ASSERT_EQUAL(flood(&g, 17, 1000), 431);
	CU_ASSERT_NOT_EQUAL(flood(&g, 100000, 1), 200);
	CU_ASSERT_NOT_EQUAL(flood(&g, 1, sizeof(bulk)), 200);
	fd = raw_tcp(http_port(g.h, 0));	/* a request line without an end */
	raw_say(fd, "GET /");
	raw_send(fd, bulk, sizeof(bulk));
	CU_ASSERT_NOT_EQUAL(raw_answer(fd, false, buf, sizeof(buf)), 200);
	close(fd);
	CU_ASSERT_EQUAL(rig_called(&g), 2);
	CU_ASSERT_TRUE(rig_wait_idle(&g, 0));
	rig_end(&g);
}

/* ------------------------------------------------------------------ pipelining */
static void test_pipeline(void)
{
	enum { N = 50 };
	struct rig g;
	char text[64], *all = calloc(1, N * 128);
	size_t used = 0;
	int fd;

	rig_begin(&g);
	rig_serve(&g, NULL);
	fd = raw_tcp(http_port(g.h, 0));
	for (int i = 0; i < N; i++)
		used += (size_t)snprintf(all + used, N * 128 - used,
					 "POST /%s?%d HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nab",
					 i ? "echo" : "gate", i);
	raw_send(fd, all, used);
	CU_ASSERT_TRUE(rig_wait_gated(&g, 1));
	CU_ASSERT_EQUAL(rig_called(&g), 1);	/* one after the other */
	rig_open(&g, true);
	for (int i = 0; i < N; i++) {
		CU_ASSERT_EQUAL(raw_answer(fd, false, buf, sizeof(buf)), 200);
		snprintf(text, sizeof(text), "\r\n\r\nPOST /%s %d 2 ", i ? "echo" : "gate", i);
		CU_ASSERT_PTR_NOT_NULL(strstr(buf, text));
	}
	raw_say(fd, "HEAD /echo HTTP/1.1\r\n" HOST "\r\n" GET("/echo"));
	CU_ASSERT_EQUAL(raw_answer(fd, true, buf, sizeof(buf)), 200);
	CU_ASSERT_EQUAL(raw_answer(fd, false, buf, sizeof(buf)), 200);
	raw_say(fd, "GET /echo HTTP/1.0\r\n\r\n");
	CU_ASSERT_EQUAL(raw_answer(fd, false, buf, sizeof(buf)), 200);
	CU_ASSERT_TRUE(raw_ended(fd));
	close(fd);
	free(all);
	rig_end(&g);
}

/* ------------------------------------------------------------------ those who take their time */
/* A byte now and then, for ever, of this; until the server ends it. */
static bool trickle(uint16_t port, const char *begin, const char *byte)
{
	const struct timespec pause = {0, 10000000};
	int fd = raw_tcp(port);
	bool ended = false;

	raw_say(fd, begin);
	for (int i = 0; i < 3000 && !ended; i++) {
		char c;

		ended = send(fd, byte, strlen(byte), MSG_NOSIGNAL) < 0 || recv(fd, &c, 1, MSG_DONTWAIT) == 0;
		nanosleep(&pause, NULL);
	}
	close(fd);
	return ended;
}

static void test_slow_clients(void)
{
	struct http_limits limits = {.idle_ms = 200};
	struct rig g;
	int fd;

	rig_begin(&g);
	rig_serve(&g, &limits);
	CU_ASSERT_TRUE(trickle(http_port(g.h, 0), "G", "E"));
	CU_ASSERT_TRUE(trickle(http_port(g.h, 0), "GET /echo HTTP/1.1\r\n" HOST, "A: b\r\n"));
	CU_ASSERT_TRUE(trickle(http_port(g.h, 0), POST("Content-Length: 10000\r\n"), "x"));
	CU_ASSERT_TRUE(trickle(http_port(g.h, 0), "", "\r\n"));
	fd = raw_tcp(http_port(g.h, 0));	/* says nothing */
	CU_ASSERT_TRUE(raw_ended(fd));
	close(fd);
	fd = raw_tcp(http_port(g.h, 0));	/* says nothing more */
	raw_say(fd, GET("/echo"));
	CU_ASSERT_EQUAL(raw_answer(fd, false, buf, sizeof(buf)), 200);
	CU_ASSERT_TRUE(raw_ended(fd));
	close(fd);
	CU_ASSERT_EQUAL(rig_called(&g), 1);
	fd = raw_tcp(http_port(g.h, 0));	/* does not read what it asked for */
	raw_say(fd, GET("/big?30000000") GET("/big?30000000"));
	while (rig_called(&g) < 2)
		;
	rig_stop(&g);	/* nor is it waited for, for ever */
	close(fd);
	rig_serve_tls(&g, &limits, true, 0);
	CU_ASSERT_TRUE(trickle(http_port(g.h, 0), "", "\x16"));	/* a handshake without an end */
	fd = raw_tcp(http_port(g.h, 0));
	CU_ASSERT_TRUE(raw_ended(fd));
	close(fd);
	CU_ASSERT_TRUE(rig_wait_idle(&g, 0));
	rig_end(&g);
}

/* Who asks for much and takes nothing is ended, too; a handler's time is not held against its client. */
static void test_deadlines(void)
{
	struct http_limits limits = {.idle_ms = 100};
	const struct timespec longer = {1, 0};
	struct rig g;
	int fd, taker;

	rig_begin(&g);
	rig_serve(&g, &limits);
	fd = raw_tcp(http_port(g.h, 0));
	raw_say(fd, GET("/gate"));
	CU_ASSERT_TRUE(rig_wait_gated(&g, 1));
	nanosleep(&longer, NULL);
	rig_open(&g, true);
	CU_ASSERT_EQUAL(raw_answer(fd, false, buf, sizeof(buf)), 200);
	close(fd);
	taker = raw_tcp(http_port(g.h, 0));
	raw_say(taker, "GET /big?8000000 HTTP/1.1\r\n" HOST "\r\n");
	while (rig_called(&g) < 2)
		;
	close(taker);
	CU_ASSERT_TRUE(rig_wait_idle(&g, 0));
	rig_stop(&g);
	limits.idle_ms = 3600000;	/* who is not late is left alone, whatever it is at, by several rounds */
	rig_serve(&g, &limits);
	fd = raw_tcp(http_port(g.h, 0));
	taker = raw_tcp(http_port(g.h, 0));
	raw_say(taker, "GET /echo HTTP/1.1\r\n");
	nanosleep(&longer, NULL);
	nanosleep(&longer, NULL);
	nanosleep(&longer, NULL);
	raw_say(fd, GET("/echo"));
	raw_say(taker, HOST "\r\n");
	CU_ASSERT_EQUAL(raw_answer(fd, false, buf, sizeof(buf)), 200);
	CU_ASSERT_EQUAL(raw_answer(taker, false, buf, sizeof(buf)), 200);
	close(fd);
	close(taker);
	rig_end(&g);
}

/* Who asks for much again and again, and takes none of it, does not get all memory; small answers go on. */
static void test_answers(void)
{
	struct http_limits limits = {.answer_bytes = 40000000};
	struct http_usage usage;
	struct rig g;
	int fd;

	rig_begin(&g);
	rig_serve(&g, &limits);
	fd = raw_tcp(http_port(g.h, 0));
	raw_say(fd, GET("/big?30000000"));
	do
		http_usage(g.h, &usage);
	while (!usage.answered);
	CU_ASSERT_EQUAL(usage.answer_bytes, 30000000);
	CU_ASSERT_EQUAL(raw_ask(http_port(g.h, 0), GET("/big?30000000"), buf, sizeof(buf)), 503);
	CU_ASSERT_EQUAL(raw_ask(http_port(g.h, 0), GET("/echo"), buf, sizeof(buf)), 200);
	close(fd);
	CU_ASSERT_TRUE(rig_wait_idle(&g, 0));
	http_usage(g.h, &usage);
	CU_ASSERT_EQUAL(usage.answer_bytes, 0);
	CU_ASSERT_EQUAL(raw_ask(http_port(g.h, 0), GET("/big?100000"), buf, sizeof(buf)), 200);
	rig_end(&g);
}

/* ------------------------------------------------------------------ too many */
static void test_connections(void)
{
	struct http_limits limits = {.connections = 6, .connections_each = 4};
	struct rig g;
	int fd[7];

	rig_begin(&g);
	rig_serve(&g, &limits);
	for (int i = 0; i < 5; i++) {
		fd[i] = raw_tcp(http_port(g.h, 0));
		raw_say(fd[i], GET("/echo"));
		CU_ASSERT_EQUAL(raw_answer(fd[i], false, buf, sizeof(buf)), i < 4 ? 200 : 0);
	}
	for (int i = 0; i < 5; i++)
		close(fd[i]);
	CU_ASSERT_TRUE(rig_wait_idle(&g, 0));
	rig_stop(&g);
	limits.connections_each = 100;
	rig_serve(&g, &limits);
	for (int i = 0; i < 7; i++) {
		fd[i] = raw_tcp(http_port(g.h, 0));
		raw_say(fd[i], GET("/echo"));
		CU_ASSERT_EQUAL(raw_answer(fd[i], false, buf, sizeof(buf)), 200);
		usleep(2000); /* which of them has been idle for longest */
	}
	CU_ASSERT_EQUAL(rig_called(&g), 4 + 7);
	CU_ASSERT_EQUAL(raw_answer(fd[0], false, buf, sizeof(buf)), 0); /* it had to go */
	for (int i = 1; i < 7; i++) {
		raw_say(fd[i], GET("/echo"));
		CU_ASSERT_EQUAL(raw_answer(fd[i], false, buf, sizeof(buf)), 200);
	}
	for (int i = 0; i < 7; i++)
		close(fd[i]);
	CU_ASSERT_TRUE(rig_wait_idle(&g, 0));
	rig_end(&g);
}

static CU_TestInfo tests[] = {
	{"lengths", test_lengths},
	{"not_http", test_not_http},
	{"random_bytes", test_random_bytes},
	{"chunked", test_chunked},
	{"large_bodies", test_large_bodies},
	{"answers", test_answers},
	{"expect", test_expect},
	{"headers", test_headers},
	{"pipeline", test_pipeline},
	{"slow_clients", test_slow_clients},
	{"deadlines", test_deadlines},
	{"connections", test_connections},
	CU_TEST_INFO_NULL,
};

const struct hb_suite suite_http_hostile = {"http_hostile", tests};
