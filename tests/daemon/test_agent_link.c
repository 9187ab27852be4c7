/* SPDX-License-Identifier: GPL-2.0-only */
/* test_agent_link.c - calls to an agent: over our own server, with keys that are known and such that are not. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/units.h"
#include "box/agent.h"
#include "http_rig.h"

struct link_rig {
	struct rig server, client; /* the client's is an identity only */
	struct agents *as;
	char url[64];
};

/* ------------------------------------------------------------------ an agent */
static void answer(struct http_request *r, unsigned status, const char *text)
{
	http_answer(r, status, "application/json", text, strlen(text), NULL);
}

static void huge(struct http_request *r)
{
	char *text = calloc(1, AGENT_ANSWER_MAX + 64);

	memset(text, ' ', AGENT_ANSWER_MAX + 32);
	memcpy(text, "{\"ok\":true,\"result\":{}}", 23);
	http_answer(r, 200, "application/json", text, AGENT_ANSWER_MAX + 32, NULL);
	free(text);
}

static void agent(void *ctx, struct http_request *r)
{
	static const char *const moved[] = {"Location", "https://127.0.0.1:1/v1/ping", NULL};
	const char *verb = http_path(r) + 4;
	char text[512];
	size_t len;

	(void)ctx;
	if (!strcmp(verb, "ping")) {
		snprintf(text, sizeof(text), "{\"ok\":true,\"result\":{\"method\":\"%s\",\"pin\":\"%s\",\"body\":%s}}",
			 http_method(r), http_peer_pin(r) ? http_peer_pin(r) : "-", (const char *)http_body(r, &len));
		answer(r, 200, text);
	} else if (!strcmp(verb, "detach")) {
		answer(r, 409, "{\"ok\":false,\"error\":{\"code\":\"EBUSY\",\"text\":\"the guest\\nuses it\"}}");
	} else if (!strcmp(verb, "odd-code")) {
		answer(r, 200, "{\"ok\":false,\"error\":{\"code\":\"ENOTHING\",\"text\":\"x\"}}");
	} else if (!strcmp(verb, "huge")) {
		huge(r);
	} else if (!strcmp(verb, "moved")) {
		http_answer(r, 302, NULL, NULL, 0, moved);
	} else if (!strcmp(verb, "busy")) {
		answer(r, 503, "wait");
	} else if (!strcmp(verb, "stranger")) {
		answer(r, 403, "who?");
	} else if (!strcmp(verb, "never")) {
		((struct rig *)ctx)->park[0] = r;
		((struct rig *)ctx)->parked = 1;
	} else {
		answer(r, 200, !strcmp(verb, "text")	 ? "hello" :
			       !strcmp(verb, "empty")	 ? "" :
			       !strcmp(verb, "array")	 ? "[]" :
			       !strcmp(verb, "no-result") ? "{\"ok\":true}" :
							   "{\"ok\":false}");
	}
}

static void begin(struct link_rig *l)
{
	struct err err = ERR_INIT;

	rig_begin(&l->server);
	rig_begin(&l->client);
	l->server.handle = agent;
	rig_serve_tls(&l->server, NULL, true, 0);
	snprintf(l->url, sizeof(l->url), "https://127.0.0.1:%u", http_port(l->server.h, 0));
	CU_ASSERT_EQUAL_FATAL(agents_new(l->client.key, l->client.cert, &l->as, &err), 0);
}

static void end(struct link_rig *l)
{
	agents_free(l->as);
	rig_end(&l->server);
	rig_end(&l->client);
}

/* 0, or the error of a call. */
static int call(struct link_rig *l, const char *verb, struct err *err)
{
	json_t *got;

	*err = ERR_INIT;
	got = agent_call(l->as, l->url, l->server.pin, verb, NULL, 0, err);
	json_decref(got);
	return got ? 0 : err->code;
}

static void test_calls(void)
{
	struct link_rig l;
	struct err err = ERR_INIT;
	struct http_usage u;
	json_t *args = json_pack("{s:s,s:i}", "secret", "abc", "lun", 1), *got;

	begin(&l);
	setenv("https_proxy", "http://127.0.0.1:1", 1);
	setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
	got = agent_call(l.as, l.url, l.server.pin, "ping", args, 0, &err);
	unsetenv("https_proxy");
	unsetenv("ALL_PROXY");
	CU_ASSERT_PTR_NOT_NULL_FATAL(got);
	CU_ASSERT_TRUE(json_equal(json_object_get(got, "body"), args));
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(got, "pin")), l.client.pin);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(got, "method")), "POST");
	json_decref(got);
	json_decref(args);
	for (int i = 0; i < 20; i++)
		CU_ASSERT_EQUAL(call(&l, "ping", &err), 0);
	http_usage(l.server.h, &u);
	CU_ASSERT_EQUAL(u.connections, 1);	/* kept from call to call */
	CU_ASSERT_EQUAL(call(&l, "detach", &err), -EBUSY);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, ": the guest uses it"));
	CU_ASSERT_EQUAL(call(&l, "odd-code", &err), -EIO);
	CU_ASSERT_EQUAL(call(&l, "huge", &err), -EPROTO);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "larger"));
	CU_ASSERT_EQUAL(call(&l, "moved", &err), -EPROTO);
	CU_ASSERT_EQUAL(call(&l, "busy", &err), -EAGAIN);
	CU_ASSERT_EQUAL(call(&l, "stranger", &err), -EKEYREJECTED);
	CU_ASSERT_EQUAL(call(&l, "text", &err), -EPROTO);
	CU_ASSERT_EQUAL(call(&l, "empty", &err), -EPROTO);
	CU_ASSERT_EQUAL(call(&l, "array", &err), -EPROTO);
	CU_ASSERT_EQUAL(call(&l, "no-result", &err), -EPROTO);
	CU_ASSERT_EQUAL(call(&l, "no-error", &err), -EPROTO);
	CU_ASSERT_EQUAL(call(&l, "ping", &err), 0);
	end(&l);
}

static void test_keys(void)
{
	struct link_rig l;
	struct err err = ERR_INIT;
	uint16_t port;

	begin(&l);
	CU_ASSERT_PTR_NULL(agent_call(l.as, l.url, l.client.pin, "ping", NULL, 0, &err));
	CU_ASSERT_EQUAL(err.code, -EKEYREJECTED);
	CU_ASSERT_EQUAL(rig_called(&l.server), 0);	/* nothing was said to it */
	CU_ASSERT_EQUAL(call(&l, "ping", &err), 0);
	/* A connection that was good for one pin is not used for another. */
	CU_ASSERT_PTR_NULL(agent_call(l.as, l.url, l.client.pin, "ping", NULL, 0, &err));
	CU_ASSERT_EQUAL(err.code, -EKEYREJECTED);
	CU_ASSERT_EQUAL(rig_called(&l.server), 1);
	/* Another takes its place. */
	port = http_port(l.server.h, 0);
	rig_stop(&l.server);
	CU_ASSERT_EQUAL(call(&l, "ping", &err), -EHOSTDOWN);
	rig_serve_tls(&l.client, NULL, true, port);
	CU_ASSERT_EQUAL(call(&l, "ping", &err), -EKEYREJECTED);
	CU_ASSERT_EQUAL(rig_called(&l.client), 0);
	rig_stop(&l.client);
	rig_serve_tls(&l.server, NULL, true, port);
	CU_ASSERT_EQUAL(call(&l, "ping", &err), 0);	/* and the first comes back */
	end(&l);
}

static void test_refused(void)
{
	static const char *const urls[] = {"http://127.0.0.1:1", "https://127.0.0.1:1/x", "https://a:b@127.0.0.1:1",
					   "https://127.0.0.1:1?x", "https://127.0.0.1:1#x", "127.0.0.1:1", "https://",
					   "file:///etc/passwd", "", "HTTPS://127.0.0.1:1"};
	static const char *const verbs[] = {"", "a/b", "../x", "A", "a b", "a?b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
	struct link_rig l;
	struct err err = ERR_INIT;
	struct agents *as;
	char pin[256];

	begin(&l);
	for (unsigned i = 0; i < ARRAY_LEN(urls); i++) {
		CU_ASSERT_PTR_NULL(agent_call(l.as, urls[i], l.server.pin, "ping", NULL, 0, &err));
		CU_ASSERT_EQUAL(err.code, -EINVAL);
	}
	for (unsigned i = 0; i < ARRAY_LEN(verbs); i++)
		CU_ASSERT_EQUAL(call(&l, verbs[i], &err), -EINVAL);
	snprintf(pin, sizeof(pin), "%s;%s", l.client.pin, l.server.pin);
	CU_ASSERT_PTR_NULL(agent_call(l.as, l.url, pin, "ping", NULL, 0, &err));
	CU_ASSERT_EQUAL(err.code, -EINVAL);
	CU_ASSERT_PTR_NULL(agent_call(l.as, l.url, l.server.cert, "ping", NULL, 0, &err));	/* a file */
	CU_ASSERT_EQUAL(err.code, -EINVAL);
	CU_ASSERT_PTR_NULL(agent_call(l.as, l.url, "", "ping", NULL, 0, &err));
	CU_ASSERT_EQUAL(err.code, -EINVAL);
	CU_ASSERT_EQUAL(rig_called(&l.server), 0);
	CU_ASSERT_EQUAL(agents_new("/none/key", l.client.cert, &as, &err), -ENOENT);
	CU_ASSERT_PTR_NULL(as);
	end(&l);
}

static void test_broken(void)
{
	struct link_rig l;
	struct err err = ERR_INIT;

	begin(&l);
	CU_ASSERT_PTR_NULL(agent_call(l.as, l.url, l.server.pin, "never", NULL, 300, &err));
	CU_ASSERT_EQUAL(err.code, -ETIMEDOUT);
	rig_answer_parked(&l.server);	/* to nobody */
	CU_ASSERT_EQUAL(call(&l, "ping", &err), 0);
	CU_ASSERT_PTR_NULL(agent_call(l.as, "https://127.0.0.1:1", l.server.pin, "ping", NULL, 0, &err));
	CU_ASSERT_EQUAL(err.code, -EHOSTDOWN);
	rig_stop(&l.server);
	rig_serve(&l.server, NULL);	/* no TLS there */
	snprintf(l.url, sizeof(l.url), "https://127.0.0.1:%u", http_port(l.server.h, 0));
	CU_ASSERT_EQUAL(call(&l, "ping", &err), -EHOSTDOWN);
	end(&l);
}

static void *many(void *arg)
{
	struct link_rig *l = arg;
	struct err err;

	for (int i = 0; i < 25; i++)
		if (call(l, i & 1 ? "ping" : "detach", &err) != (i & 1 ? 0 : -EBUSY)) {
			fprintf(stderr, "%s\n", err.text);
			return arg;
		}
	return NULL;
}

static void test_threads(void)
{
	struct link_rig l;
	pthread_t thread[8];
	void *bad;

	begin(&l);
	for (unsigned i = 0; i < ARRAY_LEN(thread); i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&thread[i], NULL, many, &l), 0);
	for (unsigned i = 0; i < ARRAY_LEN(thread); i++) {
		pthread_join(thread[i], &bad);
		CU_ASSERT_PTR_NULL(bad);
	}
	end(&l);
}

static CU_TestInfo tests[] = {
	{"calls", test_calls},
	{"keys", test_keys},
	{"refused", test_refused},
	{"broken", test_broken},
	{"threads", test_threads},
	CU_TEST_INFO_NULL,
};

const struct hb_suite suite_agent_link = {"agent_link", tests};
