/* SPDX-License-Identifier: GPL-2.0-only */
/* test_explain.c - what the manager says of pools' counters: by its own ids, all parts added up, a finding for each
 * number that is out of order and none for those that are not. The pool answers what a test puts into a table. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "tests/daemon/fake_server.h"
#include "tests/daemon/suites.h"
#include "tests/unit/scratch.h"
#include "verbs/priv.h"

#define V_ONE "vol-00000000000000001"
#define V_TWO "vol-00000000000000002"
#define S_ONE "snap-00000000000000001"
#define S_TWO "snap-00000000000000002"

/* A quiet pool: nothing of it is worth a finding. Of an array the cursor says which element. */
static const char quiet[] =
	"{\"volume-show\": {\"name\": \"" V_ONE "\", \"size_bytes\": 1048576, \"mapped_bytes\": 40960, \"opens\": 1,"
	"  \"attributes\": {\"mode\": \"write-back\", \"iops\": 0, \"bandwidth_bytes\": 0, \"burst_s\": 5},"
	"  \"waits\": {\"limited\": 0, \"limited_ns\": 0, \"queued\": 0, \"queued_ns\": 0}, \"miss_ratios\": []},"
	" \"stats\": [{\"name\": \"main\", \"next\": \"1\","
	"   \"health\": {\"state\": \"ok\", \"failed\": false, \"read_only\": false, \"trouble\": \"\"},"
	"   \"space\": {\"capacity_bytes\": 1000000, \"free_bytes\": 900000, \"log_bytes\": 100000,"
	"     \"dirty_bytes\": 1000}, \"work\": {\"throttled\": 0, \"throttled_ns\": 0},"
	"   \"latency\": {\"flush\": {\"count\": 2, \"sum_ns\": 4000, \"p50_ns\": 2000, \"p99_ns\": 2100}},"
	"   \"tiers\": [{\"tier\": \"ram\", \"state\": \"on\", \"size_bytes\": 1000, \"used_bytes\": 500},"
	"     {\"tier\": \"ssd\", \"state\": \"on\", \"size_bytes\": 9000, \"used_bytes\": 500,"
	"      \"loading_percent\": 100}],"
	"   \"devices\": [{\"tier\": \"capacity\", \"path\": \"/dev/disk\", \"errors\": 0, \"timeouts\": 0,"
	"     \"read\": {\"mean_ns\": 5000000}}],"
	"   \"volumes\": [{\"name\": \"" V_ONE "\", \"id\": 7, \"size_bytes\": 1048576, \"mapped_bytes\": 40960,"
	"     \"requests\": {\"read\": {\"count\": 100, \"bytes\": 409600, \"errors\": 0},"
	"       \"write\": {\"count\": 10, \"bytes\": 40960, \"errors\": 0}},"
	"     \"read_blocks\": {\"unmapped\": 5000, \"ram\": 600, \"ssd\": 300, \"capacity\": 100},"
	"     \"latency\": {\"read\": {\"count\": 100, \"sum_ns\": 100000, \"p50_ns\": 900, \"p99_ns\": 2000},"
	"       \"write\": {\"count\": 10, \"sum_ns\": 20000, \"p50_ns\": 1000, \"p99_ns\": 3000}}}]},"
	"   {\"name\": \"main\", \"next\": null, \"volumes\": [{\"name\": \"other\", \"id\": 8,"
	"     \"requests\": {\"read\": {\"count\": 1, \"bytes\": 1, \"errors\": 0}}}]}],"
	" \"volume-heat\": [{\"name\": \"" V_ONE "\", \"id\": 7, \"bucket_bytes\": 524288, \"sampled_one_in\": 2,"
	"   \"size_bytes\": 1048576, \"heat\": {\"bucket_bytes\": 524288, \"reads\": [1, 2], \"writes\": [0, 0]},"
	"   \"buckets\": [{\"bucket\": 0, \"dirty\": 0, \"ram\": 1, \"capacity\": 2, \"unmapped\": 90}],"
	"   \"complete\": false, \"cursor\": \"1\"},"
	"  {\"name\": \"" V_ONE "\", \"id\": 7, \"bucket_bytes\": 524288, \"sampled_one_in\": 2, \"heat\": null,"
	"   \"size_bytes\": 1048576, \"complete\": true, \"cursor\": null,"
	"   \"buckets\": [{\"bucket\": 0, \"dirty\": 0, \"ram\": 1}, {\"bucket\": 1, \"dirty\": 0, \"ssd\": 6}]}],"
	" \"volume-usage\": [{\"complete\": false, \"cursor\": \"1\", \"exclusive_bytes\": 1},"
	"   {\"complete\": true, \"cursor\": null, \"mapped_bytes\": 40960, \"exclusive_bytes\": 8192,"
	"    \"shared_bytes\": 32768}],"
	" \"tier-list\": {\"tiers\": [{\"tier\": \"ssd\", \"path\": \"/dev/ssd\", \"state\": \"on\"}]},"
	" \"scrub-status\": {\"state\": \"never\", \"running\": false}}";

static const struct {
	enum store_table table;
	const char *row;
} rows[] = {
#define VOLUME(id, more) \
	"{\"id\": \"" id "\", \"pool\": \"main\", \"pool_name\": \"" id "\", \"size_bytes\": 1048576," \
	" \"type\": \"gp3\", \"state\": \"available\", \"created_ms\": 1" more "}"
#define SNAPSHOT(id) \
	"{\"id\": \"" id "\", \"pool\": \"main\", \"pool_name\": \"" id "\", \"volume_id\": \"" V_ONE "\"," \
	" \"size_bytes\": 1048576, \"state\": \"completed\", \"created_ms\": 1}"
#define TAG_OF(id, k, v) "{\"resource_id\": \"" id "\", \"key\": \"" k "\", \"value\": \"" v "\"}"
	{T_VOLUME, VOLUME(V_ONE, ", \"exported\": [{\"initiator\": \"iqn.x\", \"secret\": \"hidden\"}]")},
	{T_VOLUME, VOLUME(V_TWO, "")},
	{T_SNAPSHOT, SNAPSHOT(S_ONE)},
	{T_SNAPSHOT, SNAPSHOT(S_TWO)},
	{T_TAG, TAG_OF(V_ONE, "Name", "one")},
	{T_TAG, TAG_OF(V_ONE, "team", "red")},
	{T_TAG, TAG_OF(S_ONE, "team", "red")},
};

static struct {
	pthread_mutex_t lock;
	json_t *answers;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER};
static char dir[SCRATCH_PATH_MAX];
static struct fake *fake;
static struct ebs *ebs;

/* ---------------------------------------------------------------- the pool */

static const json_t *element(const json_t *list, const char *number)
{
	return json_array_get(list, (size_t)strtoul(number, NULL, 10));
}

static json_t *answer_to(const json_t *q)
{
	const json_t *args = json_object_get(q, "args");
	const char *at = text_of(args, "cursor") ? text_of(args, "cursor") : text_of(args, "after");
	const json_t *a = json_object_get(pool.answers, text_of(q, "verb"));

	if (json_is_array(a))
		a = element(a, at ? at : "0");
	return a ? json_pack("{s:i, s:O, s:b, s:O}", "v", 1, "id", json_object_get(q, "id"), "ok", 1, "result", a)
		 : json_pack("{s:i, s:O, s:b, s:{s:s, s:s}}", "v", 1, "id", json_object_get(q, "id"), "ok", 0, "error",
			     "code", "EIO", "text", "it is broken");
}

static void serve(void *arg, int fd)
{
	char line[4096];

	(void)arg;
	while (fake_read_line(fd, line, sizeof(line))) {
		json_t *q = json_loads(line, 0, NULL), *a;
		char *text;

		pthread_mutex_lock(&pool.lock);
		a = answer_to(q);
		text = json_dumps(a, JSON_COMPACT);
		json_decref(a);
		pthread_mutex_unlock(&pool.lock);
		fake_write(fd, text, strlen(text));
		fake_write(fd, "\n", 1);
		free(text);
		json_decref(q);
	}
}

/* Puts a value (JSON) at a place, "stats/0/space/dirty_bytes"; NULL: takes it away. */
static void set(const char *path, const char *value)
{
	char part[64];
	json_t *at;

	pthread_mutex_lock(&pool.lock);
	for (at = pool.answers; strchr(path, '/'); path = strchr(path, '/') + 1) {
		snprintf(part, sizeof(part), "%.*s", (int)strcspn(path, "/"), path);
		at = json_is_array(at) ? (json_t *)(uintptr_t)element(at, part) : json_object_get(at, part);
	}
	CU_ASSERT_TRUE_FATAL(json_is_object(at));
	if (!value)
		json_object_del(at, path);
	CU_ASSERT_TRUE_FATAL(!value || !json_object_set_new(at, path, json_loads(value, JSON_DECODE_ANY, NULL)));
	pthread_mutex_unlock(&pool.lock);
}

static void calm(void)
{
	pthread_mutex_lock(&pool.lock);
	json_decref(pool.answers);
	pool.answers = json_loads(quiet, 0, NULL);
	pthread_mutex_unlock(&pool.lock);
	CU_ASSERT_PTR_NOT_NULL_FATAL(pool.answers);
}

/* ---------------------------------------------------------------- the manager */

static int insert_all(struct store_tx *tx, void *arg, struct err *err)
{
	int rc = 0;

	(void)arg;
	for (size_t i = 0; !rc && i < ARRAY_LEN(rows); i++) {
		json_t *row = json_loads(rows[i].row, 0, NULL);

		rc = store_insert(tx, rows[i].table, row, err);
		json_decref(row);
	}
	return rc;
}

static void begin(void)
{
	static const char *const files[] = {"catalogue.db", "seal", "key", "crt"};
	char paths[4][SCRATCH_PATH_MAX + 16];
	struct ebs_conf conf = {.prefix = "iqn.2026-01.test", .zone = "z", .pool = "main"};
	struct err err = ERR_INIT;
	struct store *s;

	scratch_new("/tmp", dir);
	for (int i = 0; i < 4; i++)
		snprintf(paths[i], sizeof(paths[i]), "%s/%s", dir, files[i]);
	CU_ASSERT_EQUAL_FATAL(store_open(paths[0], &s, &err), 0);
	CU_ASSERT_EQUAL_FATAL(store_write(s, insert_all, NULL, &err), 0);
	store_close(s);
	calm();
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
	json_decref(pool.answers);
	pool.answers = NULL;
	scratch_remove(dir);
}

/* New reference; never NULL. red: as a key that is bound to that team. */
static json_t *asked(bool red, const char *verb, const char *args)
{
	json_t *parsed = json_loads(args, 0, NULL), *team = json_pack("{s:s}", "team", "red"), *result;
	struct ebs_call c = {.who = "me", .rights = red ? EBS_MAY_OPERATE : EBS_MAY_READ, .args = parsed};

	c.only_tags = red ? team : NULL;
	ebs_run(ebs, verb, &c);
	CU_ASSERT_PTR_NULL(c.code);
	result = c.result ? json_incref(c.result) : json_object();
	ebs_call_free(&c);
	json_decref(parsed);
	json_decref(team);
	return result;
}

/* Is that what stands there? As set() has it. */
static bool has(const json_t *o, const char *path, const char *value)
{
	json_t *want = json_loads(value, JSON_DECODE_ANY, NULL);
	char part[64];
	bool same;

	for (; *path; path += strcspn(path, "/"), path += *path == '/') {
		snprintf(part, sizeof(part), "%.*s", (int)strcspn(path, "/"), path);
		o = json_is_array(o) ? element(o, part) : json_object_get(o, part);
	}
	same = o ? json_equal((json_t *)(uintptr_t)o, want) : json_is_null(want);
	json_decref(want);
	return same;
}

/* ---------------------------------------------------------------- stats, heat */

static void test_stats(void)
{
	json_t *s;

	begin();
	s = asked(false, "volume-stats", "{}");
	CU_ASSERT_EQUAL(json_array_size(json_object_get(s, "stats")), 2);
	CU_ASSERT_TRUE(has(s, "stats/0/id", "\"" V_ONE "\""));
	CU_ASSERT_TRUE(has(s, "stats/0/name", "\"one\""));
	CU_ASSERT_TRUE(has(s, "stats/0/requests/read/count", "100"));
	CU_ASSERT_TRUE(has(s, "stats/0/read_blocks/capacity", "100"));
	CU_ASSERT_TRUE(has(s, "stats/0/pool_name", "null"));
	CU_ASSERT_TRUE(has(s, "stats/1/id", "\"" V_TWO "\""));
	CU_ASSERT_TRUE(has(s, "stats/1/requests", "null"));
	CU_ASSERT_EQUAL(json_array_size(json_object_get(s, "pools")), 1);
	CU_ASSERT_TRUE(has(s, "pools/0/space/free_bytes", "900000"));
	CU_ASSERT_TRUE(has(s, "pools/0/volumes", "null"));
	json_decref(s);
	/* Who may know of its own only is not told what all do together. */
	s = asked(true, "volume-stats", "{}");
	CU_ASSERT_EQUAL(json_array_size(json_object_get(s, "stats")), 1);
	CU_ASSERT_TRUE(has(s, "stats/0/id", "\"" V_ONE "\""));
	CU_ASSERT_TRUE(has(s, "pools/0/health/state", "\"ok\""));
	CU_ASSERT_TRUE(has(s, "pools/0/space", "null"));
	json_decref(s);
	/* A part that does not come: no part is told. */
	set("stats", "[{\"name\": \"main\", \"next\": \"1\", \"volumes\": [{\"name\": \"" V_ONE "\", \"id\": 7}]}]");
	s = asked(false, "volume-stats", "{\"volumes\": \"one\"}");
	CU_ASSERT_EQUAL(json_array_size(json_object_get(s, "stats")), 1);
	CU_ASSERT_TRUE(has(s, "pools/0/error", "\"it is broken\""));
	json_decref(s);
	end();
}

static void test_heat(void)
{
	json_t *h;

	begin();
	h = asked(true, "volume-heat", "{\"volume\": \"one\", \"buckets\": 2}");
	CU_ASSERT_TRUE(has(h, "id", "\"" V_ONE "\""));
	CU_ASSERT_TRUE(has(h, "name", "\"one\""));
	CU_ASSERT_TRUE(has(h, "complete", "true"));
	CU_ASSERT_TRUE(has(h, "cursor", "null"));
	CU_ASSERT_TRUE(has(h, "heat/reads", "[1, 2]"));
	CU_ASSERT_TRUE(has(h, "buckets", "[{\"bucket\": 0, \"dirty\": 0, \"ram\": 2, \"capacity\": 2,"
			   " \"unmapped\": 90},"
			   " {\"bucket\": 1, \"dirty\": 0, \"ssd\": 6}]"));
	json_decref(h);
	end();
}

/* ---------------------------------------------------------------- explain */

static json_t *explained(bool red)
{
	return asked(red, "volume-explain", "{\"volume\": \"" V_ONE "\"}");
}

static void test_facts(void)
{
	json_t *v;
	char *text;

	begin();
	v = explained(false);
	CU_ASSERT_TRUE(has(v, "name", "\"one\""));
	CU_ASSERT_TRUE(has(v, "mapped_bytes", "40960"));
	CU_ASSERT_TRUE(has(v, "exclusive_bytes", "8192"));
	CU_ASSERT_TRUE(has(v, "shared_bytes", "32768"));
	CU_ASSERT_TRUE(has(v, "places", "{\"ram\": {\"bytes\": 16384, \"percent\": 20.0}, \"capacity\": {\"bytes\": "
			   "16384, \"percent\": 20.0}, \"ssd\": {\"bytes\": 49152, \"percent\": 60.0}}"));
	CU_ASSERT_TRUE(has(v, "reads_from/percent", "{\"ram\": 60.0, \"ssd\": 30.0, \"capacity\": 10.0}"));
	CU_ASSERT_TRUE(has(v, "dirty", "{\"bytes\": 0, \"mirrored\": false, \"lost_if_ssd_dies\": false}"));
	CU_ASSERT_TRUE(has(v, "latency/read/mean_ns", "1000"));
	CU_ASSERT_TRUE(has(v, "latency/flush_of_pool/mean_ns", "2000"));
	CU_ASSERT_TRUE(has(v, "mode", "\"write-back\""));
	CU_ASSERT_TRUE(has(v, "initiators", "[\"iqn.x\"]"));
	CU_ASSERT_TRUE(has(v, "sessions", "null"));
	CU_ASSERT_TRUE(has(v, "pool", "\"main\""));
	CU_ASSERT_TRUE(has(v, "pool_state/scrub/state", "\"never\""));
	CU_ASSERT_EQUAL(json_array_size(json_object_get(v, "snapshots")), 2);
	CU_ASSERT_TRUE(has(v, "snapshots/0/exclusive_bytes", "8192"));
	CU_ASSERT_TRUE(has(v, "findings", "[{\"severity\": \"ok\", \"text\": \"no finding: nothing is slow here\"}]"));
	text = json_dumps(v, 0);
	CU_ASSERT_PTR_NULL(strstr(text, "hidden"));
	free(text);
	json_decref(v);
	/* Another's snapshot of it is not this key's to know. */
	v = explained(true);
	CU_ASSERT_EQUAL(json_array_size(json_object_get(v, "snapshots")), 1);
	CU_ASSERT_TRUE(has(v, "snapshots/0/id", "\"" S_ONE "\""));
	json_decref(v);
	end();
}

#define MINE "stats/0/volumes/0/"
static const struct {
	const char *path, *value, *and_path, *and_value, *severity, *text;
} cases[] = {
	{MINE "read_blocks/capacity", "1400", "volume-show/miss_ratios",
	 "[{\"cache_bytes\": 1073741824, \"miss_ratio\": 0.5}, {\"cache_bytes\": 4294967296, \"miss_ratio\": 0.1}]",
	 "warning", "61 % of reads go to the disk, though the caches are but 10 % full: what is read has not been read "
		    "before, or is passed by them (its miss-ratio curve says that a cache of 4.0 GiB for it "
		    "alone would serve 90 %)"},
	{MINE "read_blocks/capacity", "1400", "stats/0/tiers/1/used_bytes", "9000", "warning",
	 "61 % of reads go to the disk: the working set is larger than the cache"},
	{MINE "read_blocks/capacity", "1400", "volume-show/miss_ratios",
	 "[{\"cache_bytes\": 1073741824, \"miss_ratio\": 0.6}]", "warning", "no cache would serve more than 40 %"},
	{MINE "read_blocks", "{\"capacity\": 255}", NULL, NULL, "ok", "no finding"}, /* too few to tell */
	{"volume-show/waits/limited", "1200", "volume-show/waits/limited_ns", "34000000000", "warning",
	 "1200 requests waited 34 s in all since the pool was opened for its ceilings, which"},
	{"volume-show/waits", "{\"limited\": 9, \"limited_ns\": 2500000000}", "volume-show/attributes/iops", "500",
	 "warning", "9 requests waited 2.5 s in all since the pool was opened for its ceiling of 500 IOPS"},
	{"volume-show/waits", "{\"limited\": 9, \"limited_ns\": 5000000}", "volume-show/attributes/bandwidth_bytes",
	 "10485760", "note", "9 requests waited 5.0 ms in all since the pool was opened for its ceiling of 10 MiB"},
	{"volume-show/waits", "{\"queued\": 9, \"queued_ns\": 2500000000}", NULL, NULL, "warning",
	 "9 requests waited 2.5 s in all for their turn"},
	{"stats/0/space/dirty_bytes", "97000", NULL, NULL, "warning", "the write tier is 97 % full"},
	{"stats/0/space/dirty_bytes", "49000", NULL, NULL, "ok", "no finding"},
	{"stats/0/work/throttled", "5", "stats/0/work/throttled_ns", "2000000000", "warning",
	 "5 writes of its volumes were slowed to the disk's pace, by 2.0 s"},
	{"stats/0/space/free_bytes", "20000", NULL, NULL, "warning", "the pool is 98 % full: 20 KiB are free"},
	{"stats/0/space/free_bytes", "0", NULL, NULL, "error", "the pool is 100 % full"},
	{"volume-show/attributes/mode", "\"write-through\"", NULL, NULL, "warning",
	 "write-through: each write waits for the disk (half of them took 0.0 ms or less)"},
	{"volume-show/attributes/mode", "\"read-only\"", NULL, NULL, "note", "each write is refused"},
	{"stats/0/health/failed", "true", NULL, NULL, "error", "the pool has failed"},
	{"stats/0/health/read_only", "true", NULL, NULL, "error", "the pool is read-only"},
	{"stats/0/health/trouble", "\"a level is out\"", NULL, NULL, "warning", "the pool: a level is out"},
	{"tier-list/tiers", "[{\"tier\": \"level\", \"path\": \"/dev/x\", \"state\": \"missing\"}]", NULL, NULL,
	 "warning", "the cache level /dev/x is missing"},
	{"tier-list/tiers", "[{\"tier\": \"half\", \"path\": \"/dev/x\", \"state\": \"out\"}]", NULL, NULL, "warning",
	 "the mirror's half /dev/x is out: what is on the other one only has no copy"},
	{"tier-list/tiers", "[{\"tier\": \"capacity\", \"path\": \"/dev/x\", \"state\": \"failed\"}]", NULL, NULL,
	 "error", "the disk /dev/x is failed"},
	{"scrub-status/unreadable_blocks", "3", NULL, NULL, "error", "found 3 blocks of the pool that cannot be read"},
	{"scrub-status/running", "true", "scrub-status/rate_bytes_s", "1048576", "note", "at most 1.0 MiB a second"},
	{"stats/0/devices/0/timeouts", "4", NULL, NULL, "warning", "/dev/disk: 0 errors, and 4 times no answer"},
	{"stats/0/devices/0/read/mean_ns", "90000000", NULL, NULL, "warning", "a read of the disk takes 90.0 ms"},
	{MINE "requests/write/errors", "2", NULL, NULL, "error", "2 write requests have failed"},
	{MINE "latency/write/p99_ns", "50000000", NULL, NULL, "warning", "one write in a hundred takes 50.0 ms"},
	{MINE "name", "\"renamed\"", NULL, NULL, "note", "nobody has used it"},
	{"stats/0/tiers/1/loading_percent", "30", NULL, NULL, "note", "30 % of what ssd held is known again"},
	{"volume-heat/1/buckets/0/dirty", "3", NULL, NULL, "note",
	 "24 KiB of it are on the SSD and not on the disk yet: the SSD is not mirrored"},
};

static bool finds(const json_t *v, const char *severity, const char *text)
{
	const json_t *f;
	size_t i;

	json_array_foreach(json_object_get(v, "findings"), i, f)
	{
		if (!strcmp(text_of(f, "severity"), severity) && strstr(text_of(f, "text"), text))
			return true;
	}
	return false;
}

static void test_findings(void)
{
	json_t *v;

	begin();
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char *all;

		calm();
		set(cases[i].path, cases[i].value);
		if (cases[i].and_path)
			set(cases[i].and_path, cases[i].and_value);
		v = explained(false);
		all = json_dumps(json_object_get(v, "findings"), 0);
		if (!finds(v, cases[i].severity, cases[i].text))
			fprintf(stderr, "%s %s: expected %s '%s', got %s\n", cases[i].path, cases[i].value,
				cases[i].severity, cases[i].text, all);
		CU_ASSERT_TRUE(finds(v, cases[i].severity, cases[i].text));
		/* One that says that all is well is not beside one that says that it is not. */
		CU_ASSERT_EQUAL(finds(v, "ok", ""), !finds(v, "warning", "") && !finds(v, "error", ""));
		free(all);
		json_decref(v);
	}
	end();
}

/* A mirror keeps what is dirty. */
static void test_mirrored(void)
{
	json_t *v;

	begin();
	set("volume-heat/1/buckets/0/dirty", "3");
	set("tier-list/tiers", "[{\"tier\": \"half\", \"state\": \"on\"}, {\"tier\": \"half\", \"state\": \"on\"}]");
	v = explained(false);
	CU_ASSERT_TRUE(has(v, "dirty", "{\"bytes\": 24576, \"mirrored\": true, \"lost_if_ssd_dies\": false}"));
	CU_ASSERT_FALSE(finds(v, "note", "mirrored"));
	json_decref(v);
	set("tier-list/tiers",
	    "[{\"tier\": \"half\", \"state\": \"on\"}, {\"tier\": \"half\", \"state\": \"syncing\"}]");
	v = explained(false);
	CU_ASSERT_TRUE(has(v, "dirty/lost_if_ssd_dies", "true"));
	json_decref(v);
	end();
}

/* What the catalogue knows is told though the pool says nothing; what is only worth having may be missing. */
static void test_silent(void)
{
	json_t *v;

	begin();
	set("volume-show", NULL);
	v = explained(false);
	CU_ASSERT_TRUE(has(v, "findings", "[{\"severity\": \"error\", \"text\": \"it is broken\"}]"));
	CU_ASSERT_TRUE(has(v, "size_bytes", "1048576"));
	CU_ASSERT_EQUAL(json_array_size(json_object_get(v, "snapshots")), 2);
	json_decref(v);
	calm();
	set("volume-heat", NULL);
	set("volume-usage", NULL);
	set("tier-list", NULL);
	set("scrub-status", NULL);
	v = explained(false);
	CU_ASSERT_TRUE(finds(v, "ok", "nothing is slow"));
	CU_ASSERT_TRUE(has(v, "mapped_bytes", "40960"));
	CU_ASSERT_TRUE(has(v, "places", "null"));
	json_decref(v);
	end();
}

static CU_TestInfo tests[] = {
	{"stats", test_stats},
	{"heat", test_heat},
	{"facts", test_facts},
	{"findings", test_findings},
	{"mirrored", test_mirrored},
	{"silent", test_silent},
	CU_TEST_INFO_NULL,
};

const struct hb_suite suite_explain = {"explain", tests};
