/* SPDX-License-Identifier: GPL-2.0-only */
/* test_http.c - daemon/http with sane clients: what handlers see, Unix sockets, TLS, waiting, many at once, the end. */
#include <curl/curl.h>
#include <errno.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/units.h"
#include "http/rate.h"
#include "http_rig.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: x\r\n\r\n"

static char buf[65536];

/* ------------------------------------------------------------------ libcurl */
struct got {
	long status;
	char body[1024], headers[4096];
};

static size_t append(char *data, size_t one, size_t n, void *to, size_t room)
{
	size_t have = strlen(to);

	snprintf((char *)to + have, room - have, "%.*s", (int)(one * n), data);
	return one * n;
}

static size_t on_body(char *data, size_t one, size_t n, void *arg)
{
	return append(data, one, n, arg, sizeof(((struct got *)0)->body));
}

static size_t on_header(char *data, size_t one, size_t n, void *arg)
{
	return append(data, one, n, arg, sizeof(((struct got *)0)->headers));
}

static CURL *client(struct rig *g, bool tls, const char *path)
{
	CURL *c = curl_easy_init();
	char url[256];

	snprintf(url, sizeof(url), "http%s://127.0.0.1:%u%s", tls ? "s" : "", http_port(g->h, 0), path);
	curl_easy_setopt(c, CURLOPT_URL, url);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_PROXY, "");
	curl_easy_setopt(c, CURLOPT_TIMEOUT, 60L);
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 0L);
	curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 0L);
	curl_easy_setopt(c, CURLOPT_CAINFO, NULL);
	curl_easy_setopt(c, CURLOPT_CAPATH, NULL);
	return c;
}

static CURLcode perform(CURL *c, struct got *got)
{
	CURLcode ret;

	memset(got, 0, sizeof(*got));
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, got->body);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, got->headers);
	ret = curl_easy_perform(c);
	curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &got->status);
	return ret;
}

static void test_what_is_seen(void)
{
	struct rig g;
	struct got got;
	CURL *c;

	rig_begin(&g);
	rig_serve(&g, NULL);
	c = client(&g, false, "/echo/a%20b%2Fc?x=%41&y");
	CU_ASSERT_EQUAL(perform(c, &got), CURLE_OK);
	CU_ASSERT_EQUAL(got.status, 200);
	CU_ASSERT_STRING_EQUAL(got.body, "GET /echo/a%20b%2Fc x=%41&y 0 0\n");
	CU_ASSERT_PTR_NOT_NULL(strstr(got.headers, "X-Content-Type-Options: nosniff\r\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(got.headers, "Cache-Control: no-store\r\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(got.headers, "Content-Length: 32\r\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(got.headers, "X-Seen: yes\r\n"));
	curl_easy_setopt(c, CURLOPT_POSTFIELDS, "abc");
	perform(c, &got);
	CU_ASSERT_STRING_EQUAL(got.body, "POST /echo/a%20b%2Fc x=%41&y 3 96354\n");
	curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, "FROBNICATE");
	perform(c, &got);
	CU_ASSERT_STRING_EQUAL(got.body, "FROBNICATE /echo/a%20b%2Fc x=%41&y 3 96354\n");
	curl_easy_cleanup(c);
	c = client(&g, false, "/echo");
	curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
	perform(c, &got);
	CU_ASSERT_EQUAL(got.status, 200);
	CU_ASSERT_STRING_EQUAL(got.body, "");
	CU_ASSERT_PTR_NOT_NULL(strstr(got.headers, "Content-Length: 16\r\n"));
	curl_easy_cleanup(c);
	CU_ASSERT_EQUAL(raw_ask(http_port(g.h, 0), GET("/nothing"), buf, sizeof(buf)), 404);
	CU_ASSERT_PTR_NOT_NULL(strstr(buf, "Content-Length: 0\r\n"));
	CU_ASSERT_EQUAL(raw_ask(http_port(g.h, 0), GET("/split"), buf, sizeof(buf)), 500);
	CU_ASSERT_PTR_NULL(strstr(buf, "Set-Cookie"));
	CU_ASSERT_EQUAL(raw_ask(http_port(g.h, 0), "GET /fields HTTP/1.1\r\nHost: x\r\nX-Two: a\r\nx-tWO: b\r\n\r\n",
				buf, sizeof(buf)), 200);
	CU_ASSERT_PTR_NOT_NULL(strstr(buf, "\r\n\r\na,b"));
	CU_ASSERT_EQUAL(raw_ask(http_port(g.h, 0), GET("/who"), buf, sizeof(buf)), 200);
	CU_ASSERT_PTR_NOT_NULL(strstr(buf, "\r\n\r\n127.0.0.1 0 - 0\n"));
	rig_end(&g);
}

static void test_unix(void)
{
	struct rig g, other;
	struct err err = ERR_INIT;
	struct http_listen l[2] = {{.address = "127.0.0.1"}};
	struct http_limits one_each = {.requests_s = 1, .connections_each = 1};
	struct stat st;
	int fd, fd2;

	rig_begin(&g);
	l[1].unix_path = g.sock;
	CU_ASSERT_EQUAL_FATAL(rig_serve_these(&g, l, 2, &one_each, &err), 0);
	CU_ASSERT_EQUAL(stat(g.sock, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 0777, 0600);
	fd = raw_unix(g.sock);
	fd2 = raw_unix(g.sock);
	for (int i = 0; i < 20; i++) {	/* neither is limited by address here */
		raw_say(i & 1 ? fd : fd2, GET("/who"));
		CU_ASSERT_EQUAL(raw_answer(i & 1 ? fd : fd2, false, buf, sizeof(buf)), 200);
		CU_ASSERT_PTR_NOT_NULL(strstr(buf, "\r\n\r\nunix 1 - 1\n"));
	}
	CU_ASSERT_EQUAL(http_port(g.h, 1), 0);
	rig_begin(&other);
	CU_ASSERT_EQUAL(rig_serve_these(&other, &l[1], 1, NULL, &err), -EADDRINUSE);
	CU_ASSERT_PTR_NULL(other.h);
	rig_end(&other);
	rig_stop(&g);
	CU_ASSERT_EQUAL(stat(g.sock, &st), -1);
	CU_ASSERT_TRUE(raw_ended(fd));
	CU_ASSERT_EQUAL_FATAL(rig_serve_these(&g, &l[1], 1, NULL, &err), 0);
	close(fd);
	close(fd2);
	rig_end(&g);
}

static int refused(struct rig *g, struct http_listen l, const char *says)
{
	struct err err = ERR_INIT;
	int ret = rig_serve_these(g, &l, 1, NULL, &err);

	CU_ASSERT_PTR_NULL(g->h);
	if (!strstr(err.text, says))
		printf("expected \"%s\" in \"%s\"\n", says, err.text);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, says));
	return ret;
}

static void test_refused(void)
{
	struct rig g, other;
	char not_it[80];

	rig_begin(&g);
	rig_begin(&other);
	snprintf(not_it, sizeof(not_it), "%s/none", g.dir);
	CU_ASSERT_EQUAL(refused(&g, (struct http_listen){0}, "either a path or an address"), -EINVAL);
	CU_ASSERT_EQUAL(refused(&g, (struct http_listen){.address = "::1", .unix_path = g.sock}, "either"), -EINVAL);
	CU_ASSERT_EQUAL(refused(&g, (struct http_listen){.address = "0.0.0.0"}, "expected TLS"), -EINVAL);
	CU_ASSERT_EQUAL(refused(&g, (struct http_listen){.address = "::"}, "expected TLS"), -EINVAL);
	CU_ASSERT_EQUAL(refused(&g, (struct http_listen){.address = "127.0.0.1", .key_path = g.key}, "TLS needs"),
			-EINVAL);
	CU_ASSERT_EQUAL(refused(&g, (struct http_listen){.address = "127.0.0.1", .ask_client_key = true}, "TLS needs"),
			-EINVAL);
	CU_ASSERT_EQUAL(refused(&g, (struct http_listen){.address = "127.0.0.1", .key_path = not_it,
							 .cert_path = g.cert}, "/none"), -ENOENT);
	CU_ASSERT_EQUAL(refused(&g, (struct http_listen){.address = "127.0.0.1", .key_path = other.key,
							 .cert_path = g.cert}, "TLS key and certificate"), -EINVAL);
	CU_ASSERT_EQUAL(refused(&g, (struct http_listen){.address = "127.0.0.1", .key_path = g.cert,
							 .cert_path = g.cert}, "TLS key and certificate"), -EINVAL);
	rig_serve(&other, NULL);
	CU_ASSERT_EQUAL(refused(&g, (struct http_listen){.address = "127.0.0.1", .port = http_port(other.h, 0)},
				"port"), -EADDRINUSE);
	rig_end(&other);
	rig_end(&g);
}

/* ------------------------------------------------------------------ TLS */
static void test_tls(void)
{
	struct rig g, other;
	struct got got;
	char want[128];
	CURL *c;

	rig_begin(&g);
	rig_begin(&other);
	rig_serve_tls(&g, NULL, true, 0);
	snprintf(want, sizeof(want), "127.0.0.1 0 %s 0\n", other.pin);
	for (int version = 2; version <= 3; version++) {
		c = client(&g, true, "/who");
		curl_easy_setopt(c, CURLOPT_SSLVERSION,
				 version == 2 ? CURL_SSLVERSION_TLSv1_2 | CURL_SSLVERSION_MAX_TLSv1_2 :
						CURL_SSLVERSION_TLSv1_3);
		curl_easy_setopt(c, CURLOPT_PINNEDPUBLICKEY, g.pin);
		CU_ASSERT_NOT_EQUAL(perform(c, &got), CURLE_OK);	/* no key */
		curl_easy_setopt(c, CURLOPT_SSLKEY, other.key);
		curl_easy_setopt(c, CURLOPT_SSLCERT, other.cert);
		CU_ASSERT_EQUAL(perform(c, &got), CURLE_OK);
		CU_ASSERT_STRING_EQUAL(got.body, want);
		curl_easy_cleanup(c);
	}
	CU_ASSERT_EQUAL(rig_called(&g), 2);
	c = client(&g, true, "/who");
	curl_easy_setopt(c, CURLOPT_SSLKEY, other.key);
	curl_easy_setopt(c, CURLOPT_SSLCERT, other.cert);
	curl_easy_setopt(c, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_1 | CURL_SSLVERSION_MAX_TLSv1_1);
	CU_ASSERT_NOT_EQUAL(perform(c, &got), CURLE_OK);
	curl_easy_setopt(c, CURLOPT_SSLVERSION, CURL_SSLVERSION_DEFAULT);
	curl_easy_setopt(c, CURLOPT_PINNEDPUBLICKEY, other.pin);
	CU_ASSERT_EQUAL(perform(c, &got), CURLE_SSL_PINNEDPUBKEYNOTMATCH);
	CU_ASSERT_EQUAL(rig_called(&g), 2);
	curl_easy_cleanup(c);
	CU_ASSERT_EQUAL(raw_ask(http_port(g.h, 0), GET("/who"), buf, sizeof(buf)), 0);	/* plain to TLS */
	rig_stop(&g);
	rig_serve_tls(&g, NULL, false, 0);	/* not asked for: none is seen, none is needed */
	c = client(&g, true, "/who");
	curl_easy_setopt(c, CURLOPT_SSLKEY, other.key);
	curl_easy_setopt(c, CURLOPT_SSLCERT, other.cert);
	CU_ASSERT_EQUAL(perform(c, &got), CURLE_OK);
	CU_ASSERT_STRING_EQUAL(got.body, "127.0.0.1 0 - 0\n");
	curl_easy_cleanup(c);
	rig_end(&other);
	rig_end(&g);
}

/* A body of many records, and answers of many, over TLS. */
static void test_tls_bulk(void)
{
	struct rig g;
	struct got got;
	char *body = calloc(1, 1000001);
	CURL *c;

	memset(body, 'b', 1000000);
	rig_begin(&g);
	rig_serve_tls(&g, NULL, false, 0);
	c = client(&g, true, "/echo");
	curl_easy_setopt(c, CURLOPT_POSTFIELDS, body);
	for (int i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(perform(c, &got), CURLE_OK);
		CU_ASSERT_NSTRING_EQUAL(got.body, "POST /echo  1000000 ", 20);
	}
	curl_easy_cleanup(c);
	c = client(&g, true, "/big?3000000");
	CU_ASSERT_EQUAL(perform(c, &got), CURLE_OK);
	curl_off_t size = 0;

	curl_easy_getinfo(c, CURLINFO_SIZE_DOWNLOAD_T, &size);
	CU_ASSERT_EQUAL(size, 3000000);
	curl_easy_cleanup(c);
	CU_ASSERT_TRUE(rig_wait_idle(&g, 0));
	rig_end(&g);
	free(body);
}

/* ------------------------------------------------------------------ waiting */
/* Handlers that take for ever do not keep others from their answers, whichever connection they come by. */
static void test_slow_handlers(void)
{
	struct rig g;
	int slow[RIG_WORKERS - 1], fast;

	rig_begin(&g);
	rig_serve(&g, NULL);
	for (unsigned i = 0; i < ARRAY_LEN(slow); i++) {
		slow[i] = raw_tcp(http_port(g.h, 0));
		raw_say(slow[i], GET("/gate"));
	}
	CU_ASSERT_TRUE(rig_wait_gated(&g, ARRAY_LEN(slow)));
	fast = raw_tcp(http_port(g.h, 0));
	for (int i = 0; i < 100; i++) {
		raw_say(fast, GET("/echo"));
		CU_ASSERT_EQUAL(raw_answer(fast, false, buf, sizeof(buf)), 200);
	}
	rig_open(&g, true);
	for (unsigned i = 0; i < ARRAY_LEN(slow); i++) {
		CU_ASSERT_EQUAL(raw_answer(slow[i], false, buf, sizeof(buf)), 200);
		close(slow[i]);
	}
	close(fast);
	CU_ASSERT_TRUE(rig_wait_idle(&g, 0));
	rig_end(&g);
}

static void test_waiting_is_bounded(void)
{
	struct rig g;
	struct http_limits limits = {.waiting = 3, .body_bytes = 10000, .waiting_bytes = 25000};
	char head[] = "POST /park HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\n\r\n", body[9000];
	int fd[4];

	rig_begin(&g);
	rig_serve(&g, &limits);
	for (unsigned i = 0; i < 4; i++)
		fd[i] = raw_tcp(http_port(g.h, 0));
	for (unsigned i = 0; i < 3; i++)
		raw_say(fd[i], GET("/park"));
	CU_ASSERT_TRUE(rig_wait_parked(&g, 3));
	raw_say(fd[3], GET("/echo"));
	CU_ASSERT_EQUAL(raw_answer(fd[3], false, buf, sizeof(buf)), 503);
	CU_ASSERT_PTR_NOT_NULL(strstr(buf, "Retry-After: 1\r\n"));
	rig_answer_parked(&g);
	for (unsigned i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(raw_answer(fd[i], false, buf, sizeof(buf)), 200);
	memset(body, 'x', sizeof(body));
	for (unsigned i = 0; i < 2; i++) {
		raw_say(fd[i], head);
		raw_send(fd[i], body, sizeof(body));
	}
	CU_ASSERT_TRUE(rig_wait_parked(&g, 2));
	raw_say(fd[3], head);	/* room for a third body there is not */
	raw_send(fd[3], body, sizeof(body));
	CU_ASSERT_EQUAL(raw_answer(fd[3], false, buf, sizeof(buf)), 503);
	raw_say(fd[3], GET("/echo"));	/* the connection lives, and a request without a body is served */
	CU_ASSERT_EQUAL(raw_answer(fd[3], false, buf, sizeof(buf)), 200);
	rig_answer_parked(&g);
	for (unsigned i = 0; i < 4; i++) {
		if (i < 2)
			CU_ASSERT_EQUAL(raw_answer(fd[i], false, buf, sizeof(buf)), 200);
		close(fd[i]);
	}
	CU_ASSERT_TRUE(rig_wait_idle(&g, 0));
	rig_end(&g);
}

static void test_many(void)
{
	enum { MANY = 1000 };
	struct http_limits limits = {.connections = 1100, .connections_each = 1100, .waiting = 1100};
	struct http_usage u;
	struct rlimit files;
	struct rig g;
	int *fd = calloc(MANY, sizeof(*fd));

	CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_NOFILE, &files), 0);
	files.rlim_cur = MIN(files.rlim_max, 4096);
	setrlimit(RLIMIT_NOFILE, &files);
	unsigned many = files.rlim_cur < 2200 ? 100 : MANY;

	rig_begin(&g);
	rig_serve(&g, &limits);
	for (unsigned i = 0; i < many; i++) {
		fd[i] = raw_tcp(http_port(g.h, 0));
		raw_say(fd[i], "POST /park HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n");
	}
	memset(buf, 'x', 100);
	for (unsigned i = 0; i < many; i++)
		raw_send(fd[i], buf, 100);
	CU_ASSERT_TRUE(rig_wait_parked(&g, many));
	http_usage(g.h, &u);
	CU_ASSERT_EQUAL(u.connections, many);
	CU_ASSERT_EQUAL(u.waiting, many);
	CU_ASSERT_TRUE(u.body_bytes <= many * 4096);
	rig_answer_parked(&g);
	for (unsigned i = 0; i < many; i++) {
		CU_ASSERT_EQUAL(raw_answer(fd[i], false, buf, sizeof(buf)), 200);
		close(fd[i]);
	}
	CU_ASSERT_TRUE(rig_wait_idle(&g, 0));
	rig_end(&g);
	free(fd);
}

/* ------------------------------------------------------------------ the end */
static void *stop(void *g)
{
	http_free(((struct rig *)g)->h);
	return NULL;
}

/* Requests under way are answered wholly; nothing new is taken on. */
static void test_end_under_way(void)
{
	struct rig g;
	pthread_t ending;
	int fd[3], idle;
	unsigned called;

	rig_begin(&g);
	rig_serve(&g, NULL);
	idle = raw_tcp(http_port(g.h, 0));
	raw_say(idle, GET("/echo"));
	CU_ASSERT_EQUAL(raw_answer(idle, false, buf, sizeof(buf)), 200);
	for (unsigned i = 0; i < ARRAY_LEN(fd); i++) {
		fd[i] = raw_tcp(http_port(g.h, 0));
		raw_say(fd[i], GET("/gate"));
		raw_say(fd[i], GET("/echo"));
	}
	CU_ASSERT_TRUE(rig_wait_gated(&g, ARRAY_LEN(fd)));
	called = rig_called(&g);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&ending, NULL, stop, &g), 0);
	/* Served until the end has begun, and never half: */
	do {
		raw_say(idle, GET("/echo"));
	} while (raw_answer(idle, false, buf, sizeof(buf)) == 200 && ++called);
	CU_ASSERT_EQUAL(rig_called(&g), called);
	rig_open(&g, true);
	pthread_join(ending, NULL);
	g.h = NULL;
	for (unsigned i = 0; i < ARRAY_LEN(fd); i++) {
		CU_ASSERT_EQUAL(raw_answer(fd[i], false, buf, sizeof(buf)), 200);
		if (raw_answer(fd[i], false, buf, sizeof(buf)))	/* what waited behind it: refused or cut, not done */
			CU_ASSERT_NSTRING_EQUAL(buf, "HTTP/1.1 503", 12);
		close(fd[i]);
	}
	CU_ASSERT_EQUAL(rig_called(&g), called);
	close(idle);
	rig_end(&g);
}

/* Clients that come, ask, and go at any moment, while answers come from other threads. */
static void *hammer(void *arg)
{
	struct rig *g = arg;
	struct rng rng = unit_rng();
	char answer[4096];

	rng.s += (uint64_t)(uintptr_t)&rng;
	for (int i = 0; i < 150; i++) {
		int fd = raw_tcp(http_port(g->h, 0));
		unsigned asks = 1 + (unsigned)rng_below(&rng, 4), takes = (unsigned)rng_below(&rng, asks + 1);

		for (unsigned n = 0; n < asks; n++)
			raw_say(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcde");
		if (rng_below(&rng, 4) == 0)
			raw_say(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab");
		for (unsigned n = 0; n < takes; n++)
			if (raw_answer(fd, false, answer, sizeof(answer)) != 200)
				return arg;
		close(fd);
	}
	return NULL;
}

static void test_hammer(void)
{
	pthread_t thread[8];
	struct rig g;
	void *bad;

	rig_begin(&g);
	rig_serve(&g, NULL);
	for (unsigned i = 0; i < ARRAY_LEN(thread); i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&thread[i], NULL, hammer, &g), 0);
	for (unsigned i = 0; i < ARRAY_LEN(thread); i++) {
		pthread_join(thread[i], &bad);
		CU_ASSERT_PTR_NULL(bad);
	}
	CU_ASSERT_TRUE(rig_wait_idle(&g, 0));
	rig_end(&g);
}

/* ------------------------------------------------------------------ rates */
static void test_rate(void)
{
	struct rate *r = rate_new(10);
	unsigned got = 0;
	char name[16];

	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	for (int i = 0; i < 10; i++)	/* a burst of one second's */
		CU_ASSERT_EQUAL(rate_take(r, "a", 1, 1000), 0);
	CU_ASSERT_EQUAL(rate_take(r, "a", 1, 1000), 1);
	CU_ASSERT_EQUAL(rate_take(r, "b", 1, 1000), 0);
	CU_ASSERT_EQUAL(rate_take(r, "a", 1, 1099), 1);
	CU_ASSERT_EQUAL(rate_take(r, "a", 1, 1100), 0);	/* what was refused cost nothing */
	CU_ASSERT_EQUAL(rate_take(r, "a", 1, 1100), 1);
	for (uint64_t ms = 10000; ms < 20000; ms++)
		got += !rate_take(r, "a", 1, ms);
	CU_ASSERT_TRUE(got >= 109 && got <= 110);
	for (int i = 0; i < 20000; i++) {	/* more names than places */
		snprintf(name, sizeof(name), "n%d", i);
		CU_ASSERT_EQUAL(rate_take(r, name, strlen(name), 30000), 0);
	}
	rate_free(r);
}

static void test_rate_of_address(void)
{
	struct http_limits limits = {.requests_s = 2, .key_requests_s = 1};
	unsigned served = 0, refused_n = 0;
	struct rig g;
	int fd;

	rig_begin(&g);
	rig_serve(&g, &limits);
	fd = raw_tcp(http_port(g.h, 0));
	for (int i = 0; i < 30; i++)
		raw_say(fd, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
	for (int i = 0; i < 30; i++) {
		int status = raw_answer(fd, false, buf, sizeof(buf));

		served += status == 200;
		refused_n += status == 429 && strstr(buf, "Retry-After: 1\r\n");
	}
	CU_ASSERT_EQUAL(served + refused_n, 30);
	CU_ASSERT_TRUE(served >= 2 && refused_n >= 1);
	CU_ASSERT_EQUAL(rig_called(&g), served);
	CU_ASSERT_EQUAL(http_rate(g.h, "key"), 0);
	for (served = 0; served < 1000000 && !http_rate(g.h, "key"); served++)
		;
	CU_ASSERT_TRUE(served < 1000000);
	CU_ASSERT_EQUAL(http_rate(g.h, "another"), 0);
	close(fd);
	rig_end(&g);
}

static CU_TestInfo tests[] = {
	{"what_is_seen", test_what_is_seen},
	{"unix", test_unix},
	{"refused", test_refused},
	{"tls", test_tls},
	{"tls_bulk", test_tls_bulk},
	{"slow_handlers", test_slow_handlers},
	{"waiting_is_bounded", test_waiting_is_bounded},
	{"many", test_many},
	{"end_under_way", test_end_under_way},
	{"hammer", test_hammer},
	{"rate", test_rate},
	{"rate_of_address", test_rate_of_address},
	CU_TEST_INFO_NULL,
};

const struct hb_suite suite_http = {"http", tests};
