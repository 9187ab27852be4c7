/* SPDX-License-Identifier: GPL-2.0-only */
/* test_verbs.c - the verbs over a real catalogue, and pools that are a table in memory: what is said to be gone is
 * gone, what failed is said to have failed. */
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/daemon/fake_server.h"
#include "tests/daemon/suites.h"
#include "tests/unit/scratch.h"
#include "verbs/ebs.h"

static struct {
	pthread_mutex_t lock;
	json_t *volumes; /* {"NAME": true} of pool "main" */
	bool closed; /* the pool; the server answers */
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER};

static char dir[SCRATCH_PATH_MAX];
static struct fake *fake;
static struct ebs *ebs;

/* ---------------------------------------------------------------- the pool */

static json_t *do_verb(const char *verb, const char *name, const char *of, const char **ret_error)
{
	if (!strcmp(verb, "pools"))
		return json_pack("{s:o}", "pools", pool.closed ? json_array() : json_pack("[{s:s}]", "name", "main"));
	if (pool.closed || (of && strcmp(of, "main")))
		return *ret_error = "ENODEV", NULL;
	if (!strcmp(verb, "volume-create")) {
		json_object_set_new(pool.volumes, name, json_true());
	} else if (!json_object_get(pool.volumes, name)) {
		return *ret_error = "ENOENT", NULL;
	} else if (!strcmp(verb, "volume-delete")) {
		json_object_del(pool.volumes, name);
	}
	return json_pack("{s:i}", "opens", 0);
}

static void serve(void *arg, int fd)
{
	char line[4096];

	(void)arg;
	while (fake_read_line(fd, line, sizeof(line))) {
		json_t *q = json_loads(line, 0, NULL), *result, *a;
		const char *error = NULL;
		char *text;

		pthread_mutex_lock(&pool.lock);
		result = do_verb(json_string_value(json_object_get(q, "verb")),
				 json_string_value(json_object_get(json_object_get(q, "args"), "name")),
				 json_string_value(json_object_get(q, "pool")), &error);
		pthread_mutex_unlock(&pool.lock);
		a = error ? json_pack("{s:i, s:O, s:b, s:{s:s, s:s}}", "v", 1, "id", json_object_get(q, "id"), "ok", 0,
				      "error", "code", error, "text", "not there")
			  : json_pack("{s:i, s:O, s:b, s:o}", "v", 1, "id", json_object_get(q, "id"), "ok", 1, "result",
				      result);
		text = json_dumps(a, JSON_COMPACT);
		fake_write(fd, text, strlen(text));
		fake_write(fd, "\n", 1);
		free(text);
		json_decref(a);
		json_decref(q);
	}
}

static void set_closed(bool closed)
{
	pthread_mutex_lock(&pool.lock);
	pool.closed = closed;
	pthread_mutex_unlock(&pool.lock);
}

/* ---------------------------------------------------------------- the manager */

static void begin(void)
{
	char paths[4][SCRATCH_PATH_MAX + 16];
	static const char *const files[] = {"catalogue.db", "seal", "key", "crt"};
	struct ebs_conf conf = {.prefix = "iqn.2026-01.test", .zone = "z"};
	struct err err = ERR_INIT;

	scratch_new("/tmp", dir);
	for (int i = 0; i < 4; i++)
		snprintf(paths[i], sizeof(paths[i]), "%s/%s", dir, files[i]);
	pool.volumes = json_object();
	pool.closed = false;
	fake = fake_start(serve, NULL);
	conf.catalogue = paths[0];
	conf.seal_key = paths[1];
	conf.tls_key = paths[2];
	conf.tls_cert = paths[3];
	conf.pool_socket = fake_path(fake);
	ebs = NULL;
	CU_ASSERT_EQUAL_FATAL(ebs_new(&conf, &ebs, &err), 0);
}

static void end(void)
{
	ebs_free(ebs);
	fake_stop(fake);
	json_decref(pool.volumes);
	scratch_remove(dir);
}

/* The code ("": none); *ret_result, if it is wanted, is the caller's. */
static const char *run(const char *verb, const char *args, json_t **ret_result)
{
	struct ebs_call c = {.who = "root", .rights = EBS_MAY_ALL};
	json_t *parsed = json_loads(args, 0, NULL);
	const char *code;

	CU_ASSERT_PTR_NOT_NULL_FATAL(parsed);
	c.args = parsed;
	ebs_run(ebs, verb, &c);
	code = c.code ? c.code : "";
	if (c.code) { /* an answer can be made of it */
		json_t *text = json_string(c.err.text);

		CU_ASSERT_PTR_NOT_NULL(text);
		json_decref(text);
	}
	if (ret_result)
		*ret_result = json_incref(c.result);
	ebs_call_free(&c);
	json_decref(parsed);
	return code;
}

static size_t nvolumes(void)
{
	json_t *all;
	size_t n;

	CU_ASSERT_STRING_EQUAL(run("volume-describe", "{}", &all), "");
	n = json_array_size(json_object_get(all, "volumes"));
	json_decref(all);
	return n;
}

/* ---------------------------------------------------------------- tests */

/* "No such pool" is not "no such volume": the catalogue keeps what still is on disk. */
static void test_pool_closed(void)
{
	begin();
	CU_ASSERT_STRING_EQUAL(run("volume-create", "{\"size_bytes\": 4096, \"name\": \"v\"}", NULL), "");
	set_closed(true);
	run("volume-delete", "{\"volume\": \"v\", \"wait_ms\": 1000}", NULL);
	CU_ASSERT_EQUAL(nvolumes(), 1);
	set_closed(false);
	for (int i = 0; i < 400 && nvolumes(); i++)
		poll(NULL, 0, 50);
	CU_ASSERT_EQUAL(nvolumes(), 0);
	CU_ASSERT_EQUAL(json_object_size(pool.volumes), 0);
	end();
}

static void test_token_of_failure(void)
{
	static const char request[] = "{\"size_bytes\": 4096, \"pool\": \"no\", \"token\": \"t\"}";
	const char *first;

	begin();
	first = run("volume-create", request, NULL);
	CU_ASSERT_STRING_NOT_EQUAL(first, "");
	CU_ASSERT_STRING_EQUAL(run("volume-create", request, NULL), first);
	CU_ASSERT_EQUAL(nvolumes(), 0);
	end();
}

static void test_unexport_all(void)
{
	json_t *login;

	begin();
	CU_ASSERT_STRING_EQUAL(run("volume-create", "{\"size_bytes\": 4096, \"name\": \"v\"}", NULL), "");
	CU_ASSERT_STRING_EQUAL(run("volume-export", "{\"volume\": \"v\", \"initiator\": \"iqn.x:a\"}", NULL), "");
	CU_ASSERT_STRING_EQUAL(run("volume-export", "{\"volume\": \"v\", \"initiator\": \"iqn.x:b\"}", NULL), "");
	CU_ASSERT_STRING_EQUAL(run("volume-unexport", "{\"volume\": \"v\"}", NULL), "");
	CU_ASSERT_STRING_EQUAL(run("volume-login", "{\"volume\": \"v\"}", &login), "");
	CU_ASSERT_EQUAL(json_array_size(json_object_get(login, "logins")), 0);
	json_decref(login);
	end();
}

/* The name is cut within its last character: run() looks at the sentence. */
static void test_long_name(void)
{
	char args[160], name[100];

	memset(name, 'a', 99);
	name[99] = '\0';
	snprintf(args, sizeof(args), "{\"volume\": \"%s\xc3\xa9\"}", name);
	begin();
	CU_ASSERT_STRING_EQUAL(run("volume-delete", args, NULL), "InvalidVolume.NotFound");
	end();
}

/* Nobody named one: the row says which it is. */
static void test_only_pool(void)
{
	json_t *made;

	begin();
	CU_ASSERT_STRING_EQUAL(run("volume-create", "{\"size_bytes\": 4096}", &made), "");
	CU_ASSERT_PTR_NOT_NULL_FATAL(json_object_get(made, "pool"));
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(made, "pool")), "main");
	json_decref(made);
	end();
}

/* Who may not, and what cannot be, leaves nothing. (Images of all kinds: suite rawfile; bytes: tests/e2e.) */
static void test_image(void)
{
	struct ebs_call c = {.who = "key", .rights = EBS_MAY_OPERATE};
	json_t *args = json_pack("{s:s}", "image", "/dev/null"), *all;

	begin();
	c.args = args;
	ebs_run(ebs, "volume-create", &c);
	CU_ASSERT_STRING_EQUAL(c.code, "UnauthorizedOperation");
	ebs_call_free(&c);
	json_decref(args);
	CU_ASSERT_STRING_EQUAL(run("volume-create", "{\"image\": \"/dev/null\", \"snapshot\": \"s\"}", NULL),
			       "InvalidParameterCombination");
	CU_ASSERT_STRING_EQUAL(run("volume-create", "{\"image\": \"/dev/null\"}", NULL), "Unavailable");
	CU_ASSERT_STRING_EQUAL(run("volume-describe", "{}", &all), "");
	CU_ASSERT_EQUAL(json_array_size(json_object_get(all, "volumes")), 0);
	CU_ASSERT_EQUAL(json_object_size(pool.volumes), 0);
	json_decref(all);
	end();
}

static CU_TestInfo tests[] = {
	{"pool_closed", test_pool_closed},
	{"token_of_failure", test_token_of_failure},
	{"unexport_all", test_unexport_all},
	{"long_name", test_long_name},
	{"only_pool", test_only_pool},
	{"image", test_image},
	CU_TEST_INFO_NULL,
};

const struct hb_suite suite_verbs = {"verbs", tests};
