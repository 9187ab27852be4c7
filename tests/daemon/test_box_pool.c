/* SPDX-License-Identifier: GPL-2.0-only */
/* test_box_pool.c - box/pool.h against a server that behaves in every way one may. The verb says how. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "box/pool.h"
#include "tests/daemon/fake_server.h"
#include "tests/daemon/suites.h"

#define LONG_MS 20000
#define SHORT_MS 100

static void pause_ms(int ms)
{
	poll(NULL, 0, ms);
}

static bool say(int fd, const char *text)
{
	return fake_write(fd, text, strlen(text));
}

/* Dribbles a text byte by byte. */
static bool dribble(int fd, const char *text)
{
	for (; *text; text++) {
		if (!fake_write(fd, text, 1))
			return false;
		if (*text == ',')
			pause_ms(2);
	}
	return true;
}

/* True: the connection lives on. */
static bool answer(int fd, const json_t *request)
{
	const char *verb = json_string_value(json_object_get(request, "verb"));
	long long id = json_integer_value(json_object_get(request, "id"));
	char good[256], text[512];

	snprintf(good, sizeof(good), "{\"v\":1,\"id\":%lld,\"ok\":true,\"result\":{\"id\":%lld,\"verb\":\"%s\"}}\n",
		 id, id, verb);
	if (!strcmp(verb, "good"))
		return say(fd, good);
	if (!strcmp(verb, "dribble"))
		return dribble(fd, good);
	if (!strcmp(verb, "fail")) {
		snprintf(text, sizeof(text), "{\"v\":1,\"id\":%lld,\"ok\":false,\"error\":{\"code\":\"EEXIST\","
			 "\"text\":\"there is one\"}}\n", id);
		return say(fd, text);
	}
	if (!strcmp(verb, "wrong-id")) {
		snprintf(text, sizeof(text), "{\"v\":1,\"id\":%lld,\"ok\":true,\"result\":{}}\n", id - 1);
		return say(fd, text);
	}
	if (!strcmp(verb, "late")) { /* in the way of the next one, if that is on this connection */
		pause_ms(2 * SHORT_MS);
		return say(fd, good);
	}
	if (!strcmp(verb, "half")) {
		fake_write(fd, good, strlen(good) / 2);
		return false;
	}
	if (!strcmp(verb, "twice"))
		return say(fd, good) && say(fd, good);
	if (!strcmp(verb, "junk"))
		return say(fd, "}{ \xff\n");
	if (!strcmp(verb, "no-result")) {
		snprintf(text, sizeof(text), "{\"v\":1,\"id\":%lld,\"ok\":true}\n", id);
		return say(fd, text);
	}
	if (!strcmp(verb, "silent"))
		fake_read(fd, text, 1);
	if (!strcmp(verb, "refuse"))
		say(fd, "{\"v\":1,\"id\":null,\"ok\":false,\"error\":{\"code\":\"EAGAIN\",\"text\":\"too many\"}}\n");
	return false; /* "die" as well */
}

static void serve(void *arg, int fd)
{
	static const size_t cap = 70000;
	char *line = malloc(cap);
	bool go_on = true;

	(void)arg;
	while (line && go_on && fake_read_line(fd, line, cap)) {
		json_t *request = json_loads(line, 0, NULL);

		go_on = request && answer(fd, request);
		json_decref(request);
	}
	free(line);
}

static struct pools *ps;
static struct err err;

static int call(const char *verb, uint32_t ms)
{
	json_t *result;

	err = ERR_INIT;
	result = pool_call(ps, "main", verb, NULL, ms, &err);
	CHECK((result != NULL) == (err.code == 0));
	if (result && strcmp(verb, "wrong-id"))
		CHECK(!strcmp(json_string_value(json_object_get(result, "verb")), verb));
	json_decref(result);
	return err.code;
}

static void test_answers(void)
{
	struct fake *f = fake_start(serve, NULL);

	CHECK(pools_new(fake_path(f), &ps, &err) == 0);
	CHECK(call("good", LONG_MS) == 0);
	CHECK(call("dribble", LONG_MS) == 0);
	CHECK(call("good", LONG_MS) == 0);
	CHECK(call("fail", LONG_MS) == -EEXIST && strstr(err.text, "there is one"));
	CHECK(call("good", LONG_MS) == 0);
	CHECK(fake_connections(f) == 1); /* it was kept */
	CHECK(call("wrong-id", LONG_MS) == -EPROTO);
	CHECK(call("good", LONG_MS) == 0);
	CHECK(call("junk", LONG_MS) == -EPROTO);
	CHECK(call("no-result", LONG_MS) == -EPROTO);
	CHECK(call("refuse", LONG_MS) == -EAGAIN);
	CHECK(call("half", LONG_MS) == -EPIPE);
	CHECK(call("die", LONG_MS) == -EPIPE);
	CHECK(call("silent", SHORT_MS) == -ETIMEDOUT);
	CHECK(call("late", SHORT_MS) == -ETIMEDOUT);
	pause_ms(3 * SHORT_MS);
	CHECK(call("good", LONG_MS) == 0); /* not the late answer */
	call("twice", LONG_MS); /* the second may come in time to be seen, or not */
	CHECK(call("good", LONG_MS) == 0 || err.code == -EPROTO);
	CHECK(call("good", LONG_MS) == 0);
	pools_free(ps);
	fake_stop(f);
}

static void test_arguments(void)
{
	struct fake *f = fake_start(serve, NULL);
	char *big = calloc(1, 70000);
	json_t *args, *result;

	err = ERR_INIT;
	CHECK(pools_new(fake_path(f), &ps, &err) == 0);
	memset(big, 'x', 69999);
	args = json_pack("{s:s}", "name", big);
	CHECK(!pool_call(ps, NULL, "good", args, LONG_MS, &err) && err.code == -E2BIG);
	json_decref(args);
	err = ERR_INIT;
	CHECK(!pool_call(ps, "not \xff UTF-8", "good", NULL, LONG_MS, &err) && err.code == -EINVAL);
	err = ERR_INIT;
	args = json_pack("{s:i}", "n", 1);
	result = pool_call(ps, NULL, "good", args, LONG_MS, &err);
	CHECK(result != NULL);
	json_decref(result);
	json_decref(args);
	free(big);
	pools_free(ps);
	fake_stop(f);
}

static void test_gone(void)
{
	struct fake *f = fake_start(serve, NULL);

	CHECK(pools_new(fake_path(f), &ps, &err) == 0);
	CHECK(call("good", LONG_MS) == 0);
	fake_die(f);
	CHECK(call("good", LONG_MS) == -ECONNREFUSED);
	fake_revive(f);
	CHECK(call("good", LONG_MS) == 0); /* the dead connection was not used */
	fake_stop(f);
	CHECK(call("good", LONG_MS) == -ECONNREFUSED); /* no such file */
	pools_free(ps);
}

/* ------------------------------------------------------------------ many threads */
static void *hammer(void *arg)
{
	unsigned *bad = arg;

	for (int i = 0; i < 50; i++) {
		struct err own = ERR_INIT;
		json_t *result = pool_call(ps, "main", i % 10 == 3 ? "die" : "good", NULL, LONG_MS, &own);

		if (i % 10 == 3 ? own.code != -EPIPE : !result)
			++*bad;
		json_decref(result);
	}
	return NULL;
}

static void test_threads(void)
{
	enum { N = 16 };
	struct fake *f = fake_start(serve, NULL);
	pthread_t threads[N];
	unsigned bad[N] = {0};

	CHECK(pools_new(fake_path(f), &ps, &err) == 0);
	for (int i = 0; i < N; i++)
		CHECK(pthread_create(&threads[i], NULL, hammer, &bad[i]) == 0);
	for (int i = 0; i < N; i++) {
		pthread_join(threads[i], NULL);
		CHECK(bad[i] == 0);
	}
	CHECK(fake_connections(f) <= 8 + N * 5);
	pools_free(ps);
	fake_stop(f);
}

/* ------------------------------------------------------------------ watching */
static void *die_soon(void *arg)
{
	pause_ms(SHORT_MS);
	fake_die(arg);
	return NULL;
}

static void *stop_soon(void *arg)
{
	(void)arg;
	pause_ms(SHORT_MS);
	pools_stop(ps);
	return NULL;
}

static void test_watch(void)
{
	struct fake *f = fake_start(serve, NULL);
	uint64_t life = 0;
	pthread_t thread;

	CHECK(pools_new(fake_path(f), &ps, &err) == 0);
	CHECK(pools_watch(ps, false, LONG_MS, &life) == 1 && life == 1);
	CHECK(pools_watch(ps, true, 0, &life) == 1 && life == 1);
	CHECK(pthread_create(&thread, NULL, die_soon, f) == 0);
	CHECK(pools_watch(ps, true, LONG_MS, &life) == 0 && life == 1);
	pthread_join(thread, NULL);
	CHECK(pools_watch(ps, false, SHORT_MS, &life) == 0 && life == 1);
	fake_revive(f);
	CHECK(pools_watch(ps, false, LONG_MS, &life) == 1 && life == 2);
	/* Dead and back while nobody looked: the death is told first. */
	fake_die(f);
	fake_revive(f);
	CHECK(pools_watch(ps, true, LONG_MS, &life) == 0 && life == 2);
	CHECK(pools_watch(ps, false, LONG_MS, &life) == 1 && life == 3);
	CHECK(pthread_create(&thread, NULL, stop_soon, NULL) == 0);
	CHECK(pools_watch(ps, true, LONG_MS * 100, &life) == 1);
	pthread_join(thread, NULL);
	pools_free(ps);
	fake_stop(f);
}

static CU_TestInfo tests[] = {
	{"answers", test_answers},
	{"arguments", test_arguments},
	{"gone", test_gone},
	{"threads", test_threads},
	{"watch", test_watch},
	CU_TEST_INFO_NULL,
};

const struct hb_suite suite_box_pool = {"box_pool", tests};
