/* SPDX-License-Identifier: GPL-2.0-only */
/* test_store.c - the catalogue: rows, filters, pages, group commit. What damages it is in test_store_hostile.c. */
#include "suites.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/store.h"
#include "tests/unit/scratch.h"

static char dir[SCRATCH_PATH_MAX], path[64];
static struct store *store;

static void begin(void)
{
	struct err err = ERR_INIT;

	scratch_new("/tmp", dir);
	snprintf(path, sizeof(path), "%s/catalogue", dir);
	CU_ASSERT_EQUAL_FATAL(store_open(path, &store, &err), 0);
}

static void end(void)
{
	store_close(store);
	scratch_remove(dir);
}

static void again(void)
{
	struct err err = ERR_INIT;

	store_close(store);
	CU_ASSERT_EQUAL_FATAL(store_open(path, &store, &err), 0);
}

/* ------------------------------------------------------------------ single calls, each in its own transaction */
struct call {
	enum store_table table;
	const char *id;
	json_t *row; /* taken */
	const struct store_query *query;
	char *cursor;
	int64_t number;
};

static int insert_fn(struct store_tx *tx, void *arg, struct err *err)
{
	struct call *c = arg;
	int rc = store_insert(tx, c->table, c->row, err);

	c->number = store_new_id(tx);
	return rc;
}

static int update_fn(struct store_tx *tx, void *arg, struct err *err)
{
	struct call *c = arg;

	return store_update(tx, c->table, c->id, c->row, err);
}

static int delete_fn(struct store_tx *tx, void *arg, struct err *err)
{
	struct call *c = arg;

	return store_delete(tx, c->table, c->id, err);
}

static int get_fn(struct store_tx *tx, void *arg, struct err *err)
{
	struct call *c = arg;

	c->row = store_get(tx, c->table, c->id, err);
	return c->row ? 0 : err->code;
}

static int find_fn(struct store_tx *tx, void *arg, struct err *err)
{
	struct call *c = arg;

	c->row = store_find(tx, c->query, &c->cursor, err);
	c->number = c->row ? store_count(tx, c->query, err) : 0;
	return c->row ? 0 : err->code;
}

static int insert(enum store_table t, json_t *row)
{
	struct call c = { .table = t, .row = row };
	int rc = store_write(store, insert_fn, &c, NULL);

	json_decref(row);
	return rc;
}

static int update(enum store_table t, const char *id, json_t *row)
{
	struct call c = { .table = t, .id = id, .row = row };
	int rc = store_write(store, update_fn, &c, NULL);

	json_decref(row);
	return rc;
}

static int drop(enum store_table t, const char *id)
{
	struct call c = { .table = t, .id = id };

	return store_write(store, delete_fn, &c, NULL);
}

static json_t *get(enum store_table t, const char *id)
{
	struct call c = { .table = t, .id = id };
	struct err err = ERR_INIT;

	CU_ASSERT_EQUAL(store_read(store, get_fn, &c, &err), 0);
	return c.row;
}

static bool same(json_t *a, json_t *b)
{
	bool is = a && b && json_equal(a, b);

	json_decref(a);
	json_decref(b);
	return is;
}

/* ------------------------------------------------------------------ rows */
static void test_rows(void)
{
	json_t *row;

	begin();
	row = json_pack("{s:s, s:s, s:s, s:I, s:b, s:[s, i, {s:n}], s:i}", "id", "vol-1", "pool", "p", "pool_name", "n",
			"size_bytes", (json_int_t)1 << 62, "multi_attach", 1, "exported", "ä\n\"", -5, "k", "iops",
			-3);
	CU_ASSERT_EQUAL(insert(T_VOLUME, json_incref(row)), 0);
	CU_ASSERT(same(get(T_VOLUME, "vol-1"), json_deep_copy(row)));
	again();
	CU_ASSERT(same(get(T_VOLUME, "vol-1"), row));
	CU_ASSERT_PTR_NULL(get(T_VOLUME, "vol-2"));
	CU_ASSERT_EQUAL(update(T_VOLUME, "vol-1", json_pack("{s:n, s:n, s:n, s:b, s:s}", "size_bytes", "exported",
							    "iops", "multi_attach", 0, "state", "x")), 0);
	CU_ASSERT(same(get(T_VOLUME, "vol-1"), json_pack("{s:s, s:s, s:s, s:b, s:s}", "id", "vol-1", "pool", "p",
							 "pool_name", "n", "multi_attach", 0, "state", "x")));
	CU_ASSERT_EQUAL(update(T_VOLUME, "vol-1", json_object()), 0);
	CU_ASSERT_EQUAL(update(T_VOLUME, "vol-2", json_object()), -ENOENT);
	CU_ASSERT_EQUAL(update(T_VOLUME, "vol-2", json_pack("{s:s}", "state", "x")), -ENOENT);
	CU_ASSERT_EQUAL(drop(T_VOLUME, "vol-2"), -ENOENT);
	CU_ASSERT_EQUAL(drop(T_VOLUME, "vol-1"), 0);
	CU_ASSERT_EQUAL(drop(T_VOLUME, "vol-1"), -ENOENT);
	end();
}

static void test_refused(void)
{
	begin();
	CU_ASSERT_EQUAL(insert(T_VOLUME, json_pack("{s:s, s:s, s:s}", "id", "vol-1", "pool", "p", "pool_name", "n")),
			0);
	CU_ASSERT_EQUAL(insert(T_VOLUME, json_pack("{s:s}", "id", "vol-1")), -EEXIST);
	CU_ASSERT_EQUAL(insert(T_VOLUME, json_pack("{s:s, s:s, s:s}", "id", "vol-2", "pool", "p", "pool_name", "n")),
			-EEXIST);
	/* NULLs are not the same */
	CU_ASSERT_EQUAL(insert(T_VOLUME, json_pack("{s:s}", "id", "vol-3")), 0);
	CU_ASSERT_EQUAL(insert(T_VOLUME, json_pack("{s:s}", "id", "vol-4")), 0);
	CU_ASSERT_EQUAL(insert(T_VOLUME, json_pack("{s:s, s:i}", "id", "vol-5", "x\" --", 1)), -EINVAL);
	CU_ASSERT_EQUAL(insert(T_VOLUME, json_pack("{s:s, s:s}", "id", "vol-5", "size_bytes", "1")), -EINVAL);
	CU_ASSERT_EQUAL(insert(T_VOLUME, json_pack("{s:s, s:i}", "id", "vol-5", "multi_attach", 1)), -EINVAL);
	CU_ASSERT_EQUAL(insert(T_VOLUME, json_pack("{s:s, s:i}", "id", "vol-5", "state", 1)), -EINVAL);
	CU_ASSERT_EQUAL(insert(T_VOLUME, json_pack("{s:s%}", "id", "vol\0005", (size_t)5)), -EINVAL);
	CU_ASSERT_EQUAL(insert(T_VOLUME, json_pack("{s:i}", "id", 5)), -EINVAL);
	CU_ASSERT_EQUAL(insert(T_VOLUME, json_object()), -EINVAL);
	CU_ASSERT_EQUAL(insert(T_VOLUME, json_array()), -EINVAL);
	CU_ASSERT_EQUAL(update(T_VOLUME, "vol-3", json_pack("{s:s}", "id", "vol-9")), -EINVAL);
	CU_ASSERT_EQUAL(update(T_VOLUME, "vol-3", json_pack("{s:s}", "bogus", "vol-9")), -EINVAL);
	CU_ASSERT_EQUAL(update(T_VOLUME, "vol-3", json_pack("{s:s, s:s}", "pool", "p", "pool_name", "n")), -EEXIST);
	end();
}

static int insert_tag(const char *id, const char *key, const char *value)
{
	return insert(T_TAG, json_pack("{s:s, s:s, s:s}", "resource_id", id, "key", key, "value", value));
}

static void test_keys(void)
{
	struct call c = { .table = T_AUDIT };

	begin();
	CU_ASSERT_EQUAL(insert_tag("vol-1", "a\nb", "x"), 0);
	CU_ASSERT_EQUAL(insert_tag("vol-1", "a", "y"), 0);
	CU_ASSERT(same(get(T_TAG, "vol-1\na\nb"), json_pack("{s:s, s:s, s:s}", "resource_id", "vol-1", "key", "a\nb",
							      "value", "x")));
	CU_ASSERT_PTR_NULL(get(T_TAG, "vol-1"));
	CU_ASSERT_EQUAL(drop(T_TAG, "vol-1\na"), 0);
	/* Numbers are counted up, and never come again. */
	for (int i = 1; i < 4; i++) {
		c.row = json_pack("{s:s}", "who", "me");
		CU_ASSERT_EQUAL(store_write(store, insert_fn, &c, NULL), 0);
		CU_ASSERT_EQUAL(c.number, i);
		json_decref(c.row);
	}
	CU_ASSERT_EQUAL(drop(T_AUDIT, "3"), 0);
	again();
	c.row = json_pack("{s:s}", "who", "me");
	CU_ASSERT_EQUAL(store_write(store, insert_fn, &c, NULL), 0);
	CU_ASSERT_EQUAL(c.number, 4);
	json_decref(c.row);
	CU_ASSERT(same(get(T_AUDIT, "4"), json_pack("{s:i, s:s}", "id", 4, "who", "me")));
	CU_ASSERT_PTR_NULL(get(T_AUDIT, "04x"));
	CU_ASSERT_PTR_NULL(get(T_AUDIT, ""));
	CU_ASSERT_EQUAL(drop(T_AUDIT, "99999999999999999999"), -ENOENT);
	end();
}

/* ------------------------------------------------------------------ filters */
/* Volumes a to e; the text of found ids, in order, into `to`. */
static const char *found(const struct store_filter *f, unsigned n)
{
	static char to[100];
	struct store_query q = { .table = T_VOLUME, .filters = f, .nfilters = n };
	struct call c = { .query = &q };
	struct err err = ERR_INIT;
	json_t *row;
	size_t i;

	if (store_read(store, find_fn, &c, &err)) {
		snprintf(to, sizeof(to), "%d", err.code);
		return to;
	}
	*to = 0;
	CU_ASSERT_EQUAL((size_t)c.number, json_array_size(c.row));
	json_array_foreach(c.row, i, row)
		snprintf(to + i, sizeof(to) - i, "%s", json_string_value(json_object_get(row, "id")));
	json_decref(c.row);
	return to;
}

static const char *by(const char *column, int how, bool negate, const char *v1, const char *v2)
{
	const char *values[] = { v1, v2 };
	struct store_filter f = { .column = column, .values = values, .nvalues = !!v1 + !!v2, .negate = negate };

	f.how = how;
	return found(&f, 1);
}

#define FOUND(want, ...) CU_ASSERT_STRING_EQUAL(by(__VA_ARGS__), want)

static void fill_filters(void)
{
	static const char *const tags[] = { "a", "Name", "web*1", "b", "Name", "web[1", "c", "Name", "webä1",
					    "d", "env", "web\\1", "c", "env", "web%1" };

	for (int i = 0; i < 5; i++)
		insert(T_VOLUME, json_pack("{s:s%, s:s, s:i, s:o, s:o}", "id", "abcde" + i, (size_t)1, "state",
					   i % 2 ? "in-use" : "available", "size_bytes", i * 100, "multi_attach",
					   i == 4 ? json_null() : json_boolean(i < 2), "origin",
					   i < 3 ? json_null() : json_string("")));
	for (int i = 0; i < 15; i += 3)
		insert_tag(tags[i], tags[i + 1], tags[i + 2]);
	insert(T_ATTACHMENT, json_pack("{s:s, s:s, s:s, s:i}", "id", "1", "volume_id", "b", "device", "/dev/sdf",
				       "created_ms", 5));
	insert(T_ATTACHMENT, json_pack("{s:s, s:s, s:s}", "id", "2", "volume_id", "d", "device", "/dev/sdg"));
}

static void test_filters(void)
{
	begin();
	fill_filters();
	FOUND("abcde", "state", FILTER_GLOB, false, "*", NULL);
	FOUND("ace", "state", FILTER_EQUAL, false, "available", NULL);
	FOUND("abcde", "state", FILTER_EQUAL, false, "available", "in-use");
	FOUND("bd", "state", FILTER_EQUAL, true, "available", "x");
	FOUND("", "state", FILTER_EQUAL, false, NULL, NULL);
	FOUND("abcde", "state", FILTER_EQUAL, true, NULL, NULL);
	FOUND("ab", "multi_attach", FILTER_EQUAL, false, "true", NULL);
	FOUND("cd", "multi_attach", FILTER_GLOB, false, "f*", NULL);
	FOUND("cde", "multi_attach", FILTER_GLOB, true, "true", NULL);
	FOUND("abc", "size_bytes", FILTER_BELOW, false, "250", NULL);
	FOUND("e", "size_bytes", FILTER_ABOVE, false, "300", NULL);
	FOUND("c", "size_bytes", FILTER_EQUAL, false, "200", "7");
	FOUND("bcde", "size_bytes", FILTER_GLOB, false, "?00", NULL);
	FOUND("de", "origin", FILTER_EQUAL, false, "", NULL);
	FOUND("abc", "origin", FILTER_EQUAL, true, "", NULL);
	FOUND("abc", "tag:Name", FILTER_GLOB, false, "web?1", NULL);
	FOUND("a", "tag:Name", FILTER_GLOB, false, "web\\*1", NULL);
	FOUND("b", "tag:Name", FILTER_GLOB, false, "web[1*", NULL);
	FOUND("a", "tag:Name", FILTER_EQUAL, false, "web*1", NULL);
	FOUND("d", "tag:env", FILTER_GLOB, false, "*\\\\1", NULL);
	FOUND("bde", "tag:Name", FILTER_EQUAL, true, "web*1", "webä1");
	FOUND("cd", "tag-key", FILTER_EQUAL, false, "env", NULL);
	FOUND("abe", "tag-key", FILTER_GLOB, true, "e*", NULL);
	FOUND("b", "attachment.device", FILTER_EQUAL, false, "/dev/sdf", NULL);
	FOUND("bd", "attachment.device", FILTER_GLOB, false, "/dev/sd[fg]", "/dev/sd?");
	FOUND("b", "attachment.created_ms", FILTER_BELOW, false, "6", NULL);
	FOUND("", "tag:Name' OR 1 --", FILTER_EQUAL, false, "x", NULL);
	end();
}

static void test_bad_filters(void)
{
	static const struct {
		const char *column, *value;
		int how;
	} bad[] = { { "nothing", "x", FILTER_EQUAL },	     { "id\" OR 1", "x", FILTER_EQUAL },
		    { "size_bytes", "x", FILTER_EQUAL },     { "size_bytes", " 1", FILTER_EQUAL },
		    { "size_bytes", "1x", FILTER_BELOW },    { "multi_attach", "1", FILTER_EQUAL },
		    { "state", "1", FILTER_ABOVE },	     { "modification", "x", FILTER_EQUAL },
		    { "host.name", "x", FILTER_EQUAL },	     { "attachment.x", "x", FILTER_EQUAL },
		    { "attachment.", "x", FILTER_EQUAL },    { "x.device", "x", FILTER_EQUAL },
		    { "state", "\xff", FILTER_EQUAL },	     { "state", "*\xff", FILTER_GLOB },
		    { "tag:\xff", "x", FILTER_EQUAL },	     { "", "x", FILTER_EQUAL },
		    { "size_bytes", "99999999999999999999", FILTER_EQUAL } };
	const char *many[201];
	struct store_filter f = { .column = "state", .values = many, .nvalues = 200, .how = FILTER_GLOB }, all[65];
	char *huge = malloc(5001);

	begin();
	fill_filters();
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		FOUND("-22", bad[i].column, bad[i].how, false, bad[i].value, NULL);
	for (int i = 0; i < 201; i++)
		many[i] = "a?*";
	for (int i = 0; i < 65; i++) {
		all[i] = f;
		all[i].nvalues = 3;
	}
	CU_ASSERT_STRING_EQUAL(found(&f, 1), "ace");
	CU_ASSERT_STRING_EQUAL(found(all, 64), "ace");
	all[0].nvalues = 12;
	CU_ASSERT_STRING_EQUAL(found(all, 64), "-22");
	CU_ASSERT_STRING_EQUAL(found(all, 65), "-22");
	f.nvalues = 201;
	CU_ASSERT_STRING_EQUAL(found(&f, 1), "-22");
	f.how = FILTER_EQUAL;
	CU_ASSERT_STRING_EQUAL(found(&f, 1), "");
	memset(huge, '*', 5000);
	huge[5000] = 0;
	FOUND("-22", "state", FILTER_GLOB, false, huge, NULL);
	free(huge);
	end();
}

/* ------------------------------------------------------------------ pages */
/* Walks all pages; between them rows that must be seen once stay, others come and go. */
static void walk(const char *order, bool descending, unsigned limit, struct rng *rng)
{
	struct store_query q = { .table = T_VOLUME, .order = order, .descending = descending, .limit = limit };
	int seen[200] = { 0 }, pages = 0;
	char *cursor = NULL;

	do {
		struct call c = { .query = &q };
		struct err err = ERR_INIT;
		json_t *row;
		size_t i;
		char id[20];

		q.after = cursor;
		CU_ASSERT_EQUAL_FATAL(store_read(store, find_fn, &c, &err), 0);
		CU_ASSERT(json_array_size(c.row) <= limit);
		json_array_foreach(c.row, i, row) {
			int n = -1;

			if (sscanf(json_string_value(json_object_get(row, "id")), "vol-%d", &n) == 1 && n < 200)
				seen[n]++;
		}
		json_decref(c.row);
		free(cursor);
		cursor = c.cursor;
		pages++;
		snprintf(id, sizeof(id), "new-%d", (int)rng_below(rng, 1000000));
		insert(T_VOLUME, json_pack("{s:s, s:i}", "id", id, "created_ms", (int)rng_below(rng, 20)));
	} while (cursor);
	for (int i = 0; i < 200; i++)
		CHECK(seen[i] == 1);
	CU_ASSERT(pages >= (int)(200 / limit));
}

static void test_pages(void)
{
	struct rng rng = unit_rng();

	begin();
	for (int i = 0; i < 200; i++) {
		char id[20];

		snprintf(id, sizeof(id), "vol-%d", i);
		insert(T_VOLUME, json_pack("{s:s, s:o, s:o, s:o}", "id", id, "created_ms",
					   i % 7 ? json_integer((json_int_t)rng_below(&rng, 20)) : json_null(), "zone",
					   i % 3 ? json_string(i % 2 ? "ä" : "b") : json_null(), "multi_attach",
					   i % 5 ? json_boolean(i % 2) : json_null()));
	}
	for (int down = 0; down < 2; down++) {
		walk(NULL, down, 7, &rng);
		walk("created_ms", down, 13, &rng);
		walk("zone", down, 20, &rng);
		walk("multi_attach", down, 50, &rng);
		walk("id", down, 199, &rng);
	}
	end();
}

static void test_cursors(void)
{
	static const char *const bad[] = { "", "x", "####", "WzFd", "bnVsbA", "W10", "e30",
					   /* [1,"volume",null,false,null,5] */
					   "WzEsInZvbHVtZSIsbnVsbCxmYWxzZSxudWxsLDVd" };
	struct store_query q = { .table = T_VOLUME, .limit = 1 };
	struct call c = { .query = &q };
	struct err err = ERR_INIT;
	char *ours;

	begin();
	fill_filters();
	CU_ASSERT_EQUAL(store_read(store, find_fn, &c, &err), 0);
	json_decref(c.row);
	ours = c.cursor;
	CU_ASSERT_PTR_NOT_NULL_FATAL(ours);
	q.after = ours;
	CU_ASSERT_EQUAL(store_read(store, find_fn, &c, &err), 0);
	json_decref(c.row);
	free(c.cursor);
	q.descending = true;
	CU_ASSERT_EQUAL(store_read(store, find_fn, &c, &err), -EINVAL);
	q.descending = false;
	q.order = "state";
	CU_ASSERT_EQUAL(store_read(store, find_fn, &c, &err), -EINVAL);
	q.order = "nothing";
	CU_ASSERT_EQUAL(store_read(store, find_fn, &c, &err), -EINVAL);
	q.order = NULL;
	q.table = T_HOST;
	CU_ASSERT_EQUAL(store_read(store, find_fn, &c, &err), -EINVAL);
	q.table = T_VOLUME;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		q.after = bad[i];
		CU_ASSERT_EQUAL(store_read(store, find_fn, &c, &err), -EINVAL);
	}
	for (size_t i = 0; ours[i]; i++) { /* whatever is made of ours: an answer or a refusal */
		char was = ours[i];

		ours[i] = was == 'x' ? 'y' : 'x';
		q.after = ours;
		if (store_read(store, find_fn, &c, &err) == 0) {
			json_decref(c.row);
			free(c.cursor);
		}
		ours[i] = was;
	}
	free(ours);
	end();
}

/* ------------------------------------------------------------------ sums, relations */
static int related_fn(struct store_tx *tx, void *arg, struct err *err)
{
	struct store_query all = { .table = T_VOLUME }, vms = { .table = T_VM };
	json_t *rows = store_find(tx, &all, NULL, err), *made, *row;
	int64_t sum = 0;

	(void)arg;
	made = store_tags(tx, rows, err);
	CU_ASSERT(same(made, json_pack("{s:{s:s}, s:{s:s}, s:{s:s, s:s}, s:{s:s}}", "a", "Name", "web*1", "b", "Name",
				       "web[1", "c", "Name", "webä1", "env", "web%1", "d", "env", "web\\1")));
	made = store_belonging(tx, T_ATTACHMENT, rows, err);
	CU_ASSERT_EQUAL(json_object_size(made), 2);
	CU_ASSERT_EQUAL(json_array_size(json_object_get(made, "d")), 1);
	row = json_array_get(json_object_get(made, "b"), 0);
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(row, "device")), "/dev/sdf");
	json_decref(made);
	json_decref(rows);
	CU_ASSERT_EQUAL(store_sum(tx, &all, "size_bytes", &sum, err), 0);
	CU_ASSERT_EQUAL(sum, 1000);
	CU_ASSERT_EQUAL(store_sum(tx, &vms, "seen_ms", &sum, err), 0);
	CU_ASSERT_EQUAL(sum, 0);
	CU_ASSERT_EQUAL(store_sum(tx, &all, "state", &sum, err), -EINVAL);
	CU_ASSERT_EQUAL(store_insert(tx, T_VOLUME, NULL, err), -EROFS);
	return 0;
}

static int overflow_fn(struct store_tx *tx, void *arg, struct err *err)
{
	struct store_query all = { .table = T_VOLUME };
	int64_t sum;

	(void)arg;
	return store_sum(tx, &all, "size_bytes", &sum, err);
}

static void test_related(void)
{
	struct err err = ERR_INIT;

	begin();
	fill_filters();
	CU_ASSERT_EQUAL(store_read(store, related_fn, NULL, &err), 0);
	update(T_VOLUME, "a", json_pack("{s:I}", "size_bytes", (json_int_t)INT64_MAX));
	CU_ASSERT_EQUAL(store_read(store, overflow_fn, NULL, &err), -EOVERFLOW);
	end();
}

/* ------------------------------------------------------------------ writers */
struct writer {
	pthread_t thread;
	int number, failed;
};

struct line {
	char id[24];
	bool fail;
};

/* Two rows, or none. */
static int line_fn(struct store_tx *tx, void *arg, struct err *err)
{
	struct line *l = arg;
	char other[32];
	json_t *row = json_pack("{s:s, s:s}", "id", l->id, "value", "x");
	int rc = store_insert(tx, T_SETTING, row, err);

	snprintf(other, sizeof(other), "%s+", l->id);
	json_object_set_new(row, "id", json_string(other));
	if (!rc)
		rc = store_insert(tx, T_SETTING, row, err);
	json_decref(row);
	return rc ? rc : l->fail ? err_set(err, -ECANCELED, "as it was told") : 0;
}

static int halves_fn(struct store_tx *tx, void *arg, struct err *err)
{
	static const char *const plus[] = { "*+" };
	struct store_filter with = { .column = "id", .values = plus, .nvalues = 1, .how = FILTER_GLOB };
	struct store_query pluses = { .table = T_SETTING, .filters = &with, .nfilters = 1 };
	struct store_query all = { .table = T_SETTING };
	int64_t *n = arg;

	*n = store_count(tx, &all, err);
	return *n == 2 * store_count(tx, &pluses, err) ? 0 : err_set(err, -EPROTO, "half a transaction");
}

static void *write_lines(void *arg)
{
	struct writer *w = arg;

	for (int i = 0; i < 60; i++) {
		struct line l = { .fail = i % 3 == 2 };
		struct err err = ERR_INIT;
		int64_t n;

		snprintf(l.id, sizeof(l.id), "%d-%d", w->number, i);
		if (store_write(store, line_fn, &l, &err) != (l.fail ? -ECANCELED : 0))
			w->failed++;
		/* (1): what was answered is seen; (3): one state throughout */
		if (store_read(store, halves_fn, &n, &err) || n < 2 * (i - i / 3))
			w->failed++;
	}
	return NULL;
}

static void test_threads(void)
{
	struct writer w[12];
	int64_t n;

	begin();
	for (int i = 0; i < 12; i++) {
		w[i] = (struct writer){ .number = i };
		CU_ASSERT_EQUAL_FATAL(pthread_create(&w[i].thread, NULL, write_lines, &w[i]), 0);
	}
	for (int i = 0; i < 12; i++) {
		pthread_join(w[i].thread, NULL);
		CU_ASSERT_EQUAL(w[i].failed, 0);
	}
	CU_ASSERT_EQUAL(store_read(store, halves_fn, &n, NULL), 0);
	CU_ASSERT_EQUAL(n, 12 * 40 * 2);
	again();
	CU_ASSERT_EQUAL(store_read(store, halves_fn, &n, NULL), 0);
	CU_ASSERT_EQUAL(n, 12 * 40 * 2);
	end();
}

static void test_statements(void)
{
	begin();
	fill_filters();
	for (int i = 0; i < 400; i++) { /* more texts of SQL than the cache has room for */
		struct store_filter f[10];
		const char *value = "*a*";

		for (int k = 0; k < 10; k++)
			f[k] = (struct store_filter){ .column = i >> k & 1 ? "state" : "id", .values = &value,
						      .nvalues = 1, .how = FILTER_GLOB };
		CU_ASSERT_STRING_EQUAL(found(f, 10), (i & 1023) == 1023 ? "ace" : "a");
	}
	end();
}

static void test_keys_of_rows(void)
{
	static const struct {
		enum store_table table;
		const char *row, *key;
	} cases[] = { { T_VOLUME, "{\"id\": \"vol-1\"}", "vol-1" },
		      { T_AUDIT, "{\"id\": 17}", "17" },
		      { T_AUDIT, "{\"id\": \"17\"}", NULL },
		      { T_TAG, "{\"resource_id\": \"a\", \"key\": \"b\\nc\"}", "a\nb\nc" },
		      { T_TOKEN, "{\"who\": \"a\", \"verb\": \"b\", \"token\": \"c\"}", "a\nb\nc" },
		      { T_TOKEN, "{\"who\": \"a\", \"token\": \"c\"}", NULL } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		json_t *row = json_loads(cases[i].row, 0, NULL);
		char *key = store_key(cases[i].table, row);

		CU_ASSERT_PTR_NOT_NULL(row);
		CU_ASSERT(cases[i].key ? key && !strcmp(key, cases[i].key) : !key);
		free(key);
		json_decref(row);
	}
}

static CU_TestInfo tests[] = {
	{ "rows", test_rows },
	{ "refused", test_refused },
	{ "keys", test_keys },
	{ "keys_of_rows", test_keys_of_rows },
	{ "filters", test_filters },
	{ "bad_filters", test_bad_filters },
	{ "pages", test_pages },
	{ "cursors", test_cursors },
	{ "related", test_related },
	{ "threads", test_threads },
	{ "statements", test_statements },
	CU_TEST_INFO_NULL,
};

const struct hb_suite suite_store = { "store", tests };
