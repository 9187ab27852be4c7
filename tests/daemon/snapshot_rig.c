/* SPDX-License-Identifier: GPL-2.0-only */
/* snapshot_rig.c - the rig of snapshot_rig.h. */
#include "tests/daemon/snapshot_rig.h"

#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/store.h"
#include "tests/daemon/fake_server.h"
#include "tests/daemon/suites.h"
#include "tests/unit/scratch.h"


static struct {
	pthread_mutex_t lock;
	json_t *volumes; /* {"NAME": {"size": bytes, "data": text}} of pool "main" */
	bool closed;
	const char *spoilt; /* this verb is done once, but "EIO" is said of it, or nothing at all: */
	bool silent;
	bool refuses; /* snapshots */
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER};

static char dir[SCRATCH_PATH_MAX];
static char catalogue[SCRATCH_PATH_MAX + 16];
static struct fake *fake;
static struct ebs *ebs;
static uint32_t bin_days;

/* ---------------------------------------------------------------- the pool */

static json_t *copy_of(const char *name, const char *to, const char **ret_error)
{
	json_t *v = json_object_get(pool.volumes, name);

	if (!v || json_object_get(pool.volumes, to))
		return *ret_error = v ? "EEXIST" : "ENOENT", NULL;
	json_object_set_new(pool.volumes, to, json_deep_copy(v));
	return json_object();
}

static json_t *snapshots(const json_t *members, const char **ret_error)
{
	json_t *m, *done = NULL;
	size_t i;

	if (pool.refuses)
		return *ret_error = "ENOSPC", NULL;
	json_array_foreach(members, i, m)
	{
		json_decref(done);
		done = copy_of(text_of(m, "volume"), text_of(m, "snapshot"), ret_error);
	}
	return done;
}

static json_t *revert(const json_t *args, const char **ret_error)
{
	json_t *to = json_object_get(pool.volumes, text_of(args, "snapshot")), *done;

	if (!to)
		return *ret_error = "ENOENT", NULL;
	done = copy_of(text_of(args, "name"), text_of(args, "keep"), ret_error);
	if (done)
		json_object_set_new(pool.volumes, text_of(args, "name"), json_deep_copy(to));
	return done;
}

static json_t *shown(void)
{
	return json_pack("{s:{s:b, s:b, s:n}, s:[], s:[], s:i, s:n}", "health", "failed", 0, "read_only", 0, "trouble",
			 "tiers", "volumes", "lost_blocks", 0, "next");
}

static json_t *do_verb(const char *verb, const json_t *args, const char **ret_error)
{
	const char *name = text_of(args, "name");
	json_t *v = name ? json_object_get(pool.volumes, name) : NULL;

	if (!strcmp(verb, "pools"))
		return json_pack("{s:o}", "pools", pool.closed ? json_array() : json_pack("[{s:s}]", "name", "main"));
	if (pool.closed)
		return *ret_error = "ENODEV", NULL;
	if (!strcmp(verb, "snapshot-group"))
		return snapshots(json_object_get(args, "members"), ret_error);
	if (!strcmp(verb, "pool-show") || !strcmp(verb, "tier-list") || !strcmp(verb, "stats") ||
	    !strcmp(verb, "scrub-status"))
		return shown();
	if (!strcmp(verb, "volume-create") && !v) {
		v = json_pack("{s:O, s:s}", "size", json_object_get(args, "size_bytes"), "data", "");
		json_object_set_new(pool.volumes, name, v);
	}
	if (!v)
		return *ret_error = "ENOENT", NULL;
	if (!strcmp(verb, "volume-clone"))
		return copy_of(name, text_of(args, "clone"), ret_error);
	if (!strcmp(verb, "volume-revert"))
		return revert(args, ret_error);
	if (!strcmp(verb, "volume-grow")) {
		json_int_t size = number_of(args, "size_bytes");

		if (size % 4096 || size < number_of(v, "size"))
			return *ret_error = "EINVAL", NULL;
		json_object_set_new(v, "size", json_integer(size));
	}
	if (!strcmp(verb, "volume-delete"))
		json_object_del(pool.volumes, name);
	return json_pack("{s:i, s:O*}", "opens", 0, "size_bytes", json_object_get(v, "size"));
}

static void serve(void *arg, int fd)
{
	char line[4096];

	(void)arg;
	while (fake_read_line(fd, line, sizeof(line))) {
		json_t *q = json_loads(line, 0, NULL), *result, *a;
		const char *error = NULL, *verb = text_of(q, "verb");
		bool silent = false;
		char *text;

		pthread_mutex_lock(&pool.lock);
		result = do_verb(verb, json_object_get(q, "args"), &error);
		if (pool.spoilt && !strcmp(verb, pool.spoilt)) {
			silent = pool.silent;
			error = "EIO";
			pool.spoilt = NULL;
		}
		pthread_mutex_unlock(&pool.lock);
		a = error ? json_pack("{s:i, s:O, s:b, s:{s:s, s:s}}", "v", 1, "id", json_object_get(q, "id"), "ok", 0,
				      "error", "code", error, "text", pool.closed ? "no pool is open" : "not so")
			  : json_pack("{s:i, s:O, s:b, s:O}", "v", 1, "id", json_object_get(q, "id"), "ok", 1, "result",
				      result);
		text = json_dumps(a, JSON_COMPACT);
		json_decref(result);
		json_decref(a);
		json_decref(q);
		if (!silent) {
			fake_write(fd, text, strlen(text));
			fake_write(fd, "\n", 1);
		}
		free(text);
		if (silent)
			return;
	}
}

void srig_spoil(const char *verb, bool silent)
{
	pthread_mutex_lock(&pool.lock);
	pool.spoilt = verb;
	pool.silent = silent;
	pthread_mutex_unlock(&pool.lock);
}

void srig_close(bool closed)
{
	pthread_mutex_lock(&pool.lock);
	pool.closed = closed;
	pthread_mutex_unlock(&pool.lock);
}

void srig_lose_all(void)
{
	pthread_mutex_lock(&pool.lock);
	json_object_clear(pool.volumes);
	pthread_mutex_unlock(&pool.lock);
}

void srig_die(void)
{
	fake_die(fake);
}

void srig_refuse(bool refuses)
{
	pthread_mutex_lock(&pool.lock);
	pool.refuses = refuses;
	pthread_mutex_unlock(&pool.lock);
}

void srig_set_data(const char *name, const char *data)
{
	pthread_mutex_lock(&pool.lock);
	json_object_set_new(json_object_get(pool.volumes, name), "data", json_string(data));
	pthread_mutex_unlock(&pool.lock);
}

bool srig_data_is(const char *name, const char *data)
{
	const char *now;
	bool same;

	pthread_mutex_lock(&pool.lock);
	now = text_of(json_object_get(pool.volumes, name), "data");
	same = now && !strcmp(now, data);
	pthread_mutex_unlock(&pool.lock);
	return same;
}

size_t srig_in_pool(void)
{
	size_t n;

	pthread_mutex_lock(&pool.lock);
	n = json_object_size(pool.volumes);
	pthread_mutex_unlock(&pool.lock);
	return n;
}

/* ---------------------------------------------------------------- the manager */

static void open_manager(void)
{
	char paths[3][SCRATCH_PATH_MAX + 16];
	static const char *const files[] = {"seal", "key", "crt"};
	struct ebs_conf conf = {.prefix = "iqn.2026-01.test", .zone = "z", .bin_days = bin_days};
	struct err err = ERR_INIT;

	for (int i = 0; i < 3; i++)
		snprintf(paths[i], sizeof(paths[i]), "%s/%s", dir, files[i]);
	conf.catalogue = catalogue;
	conf.seal_key = paths[0];
	conf.tls_key = paths[1];
	conf.tls_cert = paths[2];
	conf.pool_socket = fake_path(fake);
	ebs = NULL;
	CU_ASSERT_EQUAL_FATAL(ebs_new(&conf, &ebs, &err), 0);
}

void srig_begin(uint32_t days)
{
	scratch_new("/tmp", dir);
	snprintf(catalogue, sizeof(catalogue), "%s/catalogue.db", dir);
	pool.volumes = json_object();
	pool.closed = pool.refuses = false;
	pool.spoilt = NULL;
	fake = fake_start(serve, NULL);
	bin_days = days;
	open_manager();
}

struct ebs *srig_ebs(void)
{
	return ebs;
}

void srig_end(void)
{
	ebs_free(ebs);
	fake_stop(fake);
	json_decref(pool.volumes);
	scratch_remove(dir);
}

static const char *run(enum ebs_rights rights, const char *verb, json_t *args, json_t **ret_result)
{
	struct ebs_call c = {.who = "root", .rights = rights, .args = args};
	const char *code;

	CU_ASSERT_PTR_NOT_NULL_FATAL(args);
	ebs_run(ebs, verb, &c);
	code = c.code ? c.code : "";
	if (ret_result)
		*ret_result = json_incref(c.result);
	ebs_call_free(&c);
	json_decref(args);
	return code;
}

const char *srig_run_as(enum ebs_rights rights, const char *verb, json_t **ret_result, const char *fmt, ...)
{
	json_t *args;
	va_list ap;

	va_start(ap, fmt);
	args = json_vpack_ex(NULL, 0, fmt, ap);
	va_end(ap);
	return run(rights, verb, args, ret_result);
}

const char *srig_run(const char *verb, json_t **ret_result, const char *fmt, ...)
{
	json_t *args;
	va_list ap;

	va_start(ap, fmt);
	args = json_vpack_ex(NULL, 0, fmt, ap);
	va_end(ap);
	return run(EBS_MAY_ALL, verb, args, ret_result);
}

void srig_make(const char *verb, char id[EBS_ID_MAX], const char *fmt, ...)
{
	json_t *made = NULL, *args;
	va_list ap;

	va_start(ap, fmt);
	args = json_vpack_ex(NULL, 0, fmt, ap);
	va_end(ap);
	CU_ASSERT_STRING_EQUAL_FATAL(run(EBS_MAY_ALL, verb, args, &made), "");
	snprintf(id, EBS_ID_MAX, "%s", text_of(made, "id"));
	json_decref(made);
}

void srig_volume(const char *name, char id[EBS_ID_MAX])
{
	srig_make("volume-create", id, "{s:i, s:s}", "size_bytes", 4096, "name", name);
}

const char *srig_lock(const char *snap, const char *mode, int days, int cool_off)
{
	json_t *args = json_pack("{s:s, s:s, s:i}", "snapshot", snap, "mode", mode, "duration_days", days);

	if (cool_off)
		json_object_set_new(args, "cool_off_hours", json_integer(cool_off));
	return run(EBS_MAY_ALL, "snapshot-lock", args, NULL);
}

const char *srig_delete(const char *snap, bool permanently)
{
	return srig_run("snapshot-delete", NULL, "{s:s, s:b}", "snapshot", snap, "permanently", permanently);
}

json_t *srig_list(const char *verb, const char *member, const char *volume)
{
	json_t *all = NULL, *rows;
	json_t *args = volume ? json_pack("{s:{s:s}}", "filters", "volume_id", volume) : json_object();

	CU_ASSERT_STRING_EQUAL(run(EBS_MAY_ALL, verb, args, &all), "");
	rows = json_incref(json_object_get(all, member));
	json_decref(all);
	return rows;
}

size_t srig_count(const char *verb, const char *member, const char *volume)
{
	json_t *rows = srig_list(verb, member, volume);
	size_t n = json_array_size(rows);

	json_decref(rows);
	return n;
}

size_t srig_snapshots(const char *volume)
{
	return srig_count("snapshot-describe", "snapshots", volume);
}

bool srig_fact_is(const char *verb, const char *member, const char *column, const char *value)
{
	json_t *rows = srig_list(verb, member, NULL);
	const char *now = text_of(json_array_get(rows, 0), column);
	bool same = now ? value && !strcmp(now, value) : !value;

	json_decref(rows);
	return same;
}

/* ---------------------------------------------------------------- time passes */

struct changing {
	enum store_table t;
	const char *id;
	json_t *change;
};

static int change_row(struct store_tx *tx, void *arg, struct err *err)
{
	struct changing *c = arg;

	return store_update(tx, c->t, c->id, c->change, err);
}

void srig_meanwhile(enum store_table t, const char *id, json_t *change)
{
	struct changing c = {t, id, change};
	struct err err = ERR_INIT;
	struct store *s = NULL;

	ebs_free(ebs);
	CU_ASSERT_EQUAL_FATAL(store_open(catalogue, &s, &err), 0);
	CU_ASSERT_EQUAL(store_write(s, change_row, &c, &err), 0);
	store_close(s);
	json_decref(change);
	open_manager();
}

bool srig_comes(bool (*is)(const void *arg), const void *arg)
{
	for (int i = 0; i < 400 && !is(arg); i++)
		poll(NULL, 0, 50);
	return is(arg);
}
