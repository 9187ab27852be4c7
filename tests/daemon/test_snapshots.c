/* SPDX-License-Identifier: GPL-2.0-only */
/* test_snapshots.c - what is made of volumes and snapshots, kept, locked and put away: the bin, locks, clones, copies,
 * going back, and what volumes say of their state. */
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "base/units.h"
#include "tests/daemon/snapshot_rig.h"
#include "tests/daemon/suites.h"

/* ---------------------------------------------------------------- the bin */

static void test_bin(void)
{
	char vol[EBS_ID_MAX], snap[EBS_ID_MAX], other[EBS_ID_MAX];
	json_t *bin = NULL;

	srig_begin(7);
	srig_volume("v", vol);
	srig_make("snapshot-create", snap, "{s:s, s:s}", "volume", "v", "name", "s");
	CU_ASSERT_STRING_EQUAL(srig_run("bin-restore", NULL, "{s:s}", "resource", vol), "IncorrectState");
	CU_ASSERT_STRING_EQUAL(srig_run("volume-delete", NULL, "{s:s}", "volume", "v"), "");
	CU_ASSERT_STRING_EQUAL(srig_run("snapshot-delete", NULL, "{s:s}", "snapshot", "s"), "");
	CU_ASSERT_EQUAL(srig_in_pool(), 2);
	CU_ASSERT_STRING_EQUAL(srig_run("bin-describe", &bin, "{}"), "");
	bin = bin ? bin : json_object();
	CU_ASSERT_EQUAL(json_array_size(json_object_get(bin, "bin")), 2);
	for (size_t i = 0; i < 2; i++) {
		const json_t *one = json_array_get(json_object_get(bin, "bin"), i);

		CU_ASSERT_STRING_EQUAL(text_of(one, "kind"), i ? "snapshot" : "volume");
		CU_ASSERT_EQUAL(number_of(one, "bin_until_ms") - number_of(one, "bin_ms"), 7 * DAY_MS);
	}
	json_decref(bin);
	/* Another of that name: it is who is meant, but for who looks into the bin. */
	srig_volume("v", other);
	CU_ASSERT_STRING_EQUAL(srig_run("volume-modify", NULL, "{s:s, s:i}", "volume", "v", "iops", 5), "");
	CU_ASSERT_STRING_EQUAL(srig_run("bin-restore", NULL, "{s:s}", "resource", "v"), "");
	CU_ASSERT_STRING_EQUAL(srig_run("bin-restore", NULL, "{s:s}", "resource", "s"), "");
	CU_ASSERT_STRING_EQUAL(srig_run("bin-restore", NULL, "{s:s}", "resource", "s"), "InvalidID");
	CU_ASSERT_EQUAL(srig_count("bin-describe", "bin", NULL), 0);
	CU_ASSERT_TRUE(srig_fact_is("snapshot-describe", "snapshots", "state", "completed"));
	CU_ASSERT_STRING_EQUAL(srig_run("volume-modify", NULL, "{s:s, s:i}", "volume", vol, "iops", 5), "");
	CU_ASSERT_STRING_EQUAL(srig_run("volume-modify", NULL, "{s:s, s:i}", "volume", "v", "iops", 5),
			       "AmbiguousName");
	srig_end();
}

static bool pool_is_empty(const void *arg)
{
	(void)arg;
	return !srig_in_pool();
}

/* Days pass: the bin lets go of what is in it. */
static void test_bin_expires(void)
{
	char vol[EBS_ID_MAX];

	srig_begin(7);
	srig_volume("v", vol);
	CU_ASSERT_STRING_EQUAL(srig_run("volume-delete", NULL, "{s:s}", "volume", vol), "");
	srig_meanwhile(T_VOLUME, vol, json_pack("{s:i}", "bin_until_ms", 1000));
	CU_ASSERT_TRUE(srig_comes(pool_is_empty, NULL));
	srig_end();
}

/* ---------------------------------------------------------------- locks */

static const char *unlock(const char *snap)
{
	return srig_run("snapshot-unlock", NULL, "{s:s}", "snapshot", snap);
}

static bool lock_is(const char *state)
{
	return srig_fact_is("snapshot-describe", "snapshots", "lock_state", state);
}

static void test_lock_governance(void)
{
	char vol[EBS_ID_MAX], snap[EBS_ID_MAX];

	srig_begin(7);
	srig_volume("v", vol);
	srig_make("snapshot-create", snap, "{s:s}", "volume", vol);
	CU_ASSERT_TRUE(lock_is(NULL));
	CU_ASSERT_STRING_EQUAL(unlock(snap), "IncorrectState");
	CU_ASSERT_STRING_EQUAL(srig_lock(snap, "governance", 3, 5), "InvalidParameterCombination");
	CU_ASSERT_STRING_EQUAL(srig_run("snapshot-lock", NULL, "{s:s, s:s}", "snapshot", snap, "mode", "governance"),
			       "MissingParameter");
	CU_ASSERT_STRING_EQUAL(srig_run("snapshot-lock", NULL, "{s:s, s:s, s:s}", "snapshot", snap, "mode",
			"governance", "until", "2001-01-01"), "InvalidParameterValue");
	CU_ASSERT_STRING_EQUAL(srig_lock(snap, "governance", 3, 0), "");
	CU_ASSERT_TRUE(lock_is("governance"));
	CU_ASSERT_STRING_EQUAL(srig_delete(snap, false), "InvalidSnapshot.InUse");
	CU_ASSERT_STRING_EQUAL(srig_delete(snap, true), "InvalidSnapshot.InUse");
	/* The volume's end does not matter. */
	CU_ASSERT_STRING_EQUAL(srig_run("volume-delete", NULL, "{s:s, s:b}", "volume", vol, "permanently", 1), "");
	CU_ASSERT_EQUAL(srig_snapshots(NULL), 1);
	/* Who is no administrator can only make it stronger. */
	CU_ASSERT_STRING_EQUAL(srig_run_as(EBS_MAY_OPERATE, "snapshot-unlock", NULL, "{s:s}", "snapshot", snap),
			       "UnauthorizedOperation");
	CU_ASSERT_STRING_EQUAL(srig_run_as(EBS_MAY_OPERATE, "snapshot-lock", NULL, "{s:s, s:s, s:i}", "snapshot",
			snap, "mode", "governance", "duration_days", 2), "UnauthorizedOperation");
	CU_ASSERT_STRING_EQUAL(srig_run_as(EBS_MAY_OPERATE, "snapshot-lock", NULL, "{s:s, s:s, s:i}", "snapshot",
			snap, "mode", "governance", "duration_days", 9), "");
	CU_ASSERT_STRING_EQUAL(srig_lock(snap, "governance", 2, 0), "");
	CU_ASSERT_STRING_EQUAL(unlock(snap), "");
	CU_ASSERT_TRUE(lock_is(NULL));
	CU_ASSERT_STRING_EQUAL(srig_delete(snap, true), "");
	CU_ASSERT_EQUAL(srig_in_pool(), 0);
	srig_end();
}

static void test_lock_compliance(void)
{
	char vol[EBS_ID_MAX], snap[EBS_ID_MAX];

	srig_begin(0);
	srig_volume("v", vol);
	srig_make("snapshot-create", snap, "{s:s}", "volume", vol);
	CU_ASSERT_STRING_EQUAL(srig_lock(snap, "compliance", 3, 5), "");
	CU_ASSERT_TRUE(lock_is("compliance-cooloff"));
	CU_ASSERT_STRING_EQUAL(srig_delete(snap, true), "InvalidSnapshot.InUse");
	CU_ASSERT_STRING_EQUAL(unlock(snap), "");
	CU_ASSERT_STRING_EQUAL(srig_lock(snap, "compliance", 3, 5), "");
	CU_ASSERT_STRING_EQUAL(srig_lock(snap, "compliance", 2, 0), "");
	CU_ASSERT_TRUE(lock_is("compliance-cooloff"));
	/* The cool-off is over. */
	srig_meanwhile(T_SNAPSHOT, snap, json_pack("{s:i}", "lock_cooloff_ms", 1000));
	CU_ASSERT_TRUE(lock_is("compliance"));
	CU_ASSERT_STRING_EQUAL(unlock(snap), "IncorrectState");
	CU_ASSERT_STRING_EQUAL(srig_lock(snap, "compliance", 1, 0), "IncorrectState");
	CU_ASSERT_STRING_EQUAL(srig_lock(snap, "governance", 9, 0), "IncorrectState");
	CU_ASSERT_STRING_EQUAL(srig_lock(snap, "compliance", 9, 5), "IncorrectState");
	CU_ASSERT_STRING_EQUAL(srig_lock(snap, "compliance", 9, 0), "");
	CU_ASSERT_STRING_EQUAL(srig_delete(snap, true), "InvalidSnapshot.InUse");
	/* The lock is over. */
	srig_meanwhile(T_SNAPSHOT, snap, json_pack("{s:i}", "lock_until_ms", 2000));
	CU_ASSERT_TRUE(lock_is("expired"));
	CU_ASSERT_STRING_EQUAL(srig_lock(snap, "governance", 1, 0), "");
	CU_ASSERT_TRUE(lock_is("governance"));
	srig_meanwhile(T_SNAPSHOT, snap, json_pack("{s:i}", "lock_until_ms", 2000));
	CU_ASSERT_STRING_EQUAL(srig_delete(snap, true), "");
	CU_ASSERT_EQUAL(srig_snapshots(NULL), 0);
	srig_end();
}

/* However it came there: what is locked does not leave the bin. */
static void test_lock_in_bin(void)
{
	char vol[EBS_ID_MAX], snap[EBS_ID_MAX], binned[EBS_ID_MAX];

	srig_begin(7);
	srig_volume("v", vol);
	srig_make("snapshot-create", snap, "{s:s}", "volume", vol);
	CU_ASSERT_STRING_EQUAL(srig_lock(snap, "compliance", 3, 0), "");
	srig_volume("w", binned);
	CU_ASSERT_STRING_EQUAL(srig_run("volume-delete", NULL, "{s:s}", "volume", binned), "");
	srig_meanwhile(T_SNAPSHOT, snap, json_pack("{s:s, s:i}", "state", "recoverable", "bin_until_ms", 1000));
	srig_meanwhile(T_VOLUME, binned, json_pack("{s:i}", "bin_until_ms", 1000));
	for (int i = 0; i < 400 && srig_in_pool() > 2; i++) /* the volume goes: both were asked for */
		poll(NULL, 0, 50);
	CU_ASSERT_EQUAL(srig_in_pool(), 2);
	CU_ASSERT_EQUAL(srig_snapshots(NULL), 1);
	CU_ASSERT_STRING_EQUAL(srig_delete(snap, true), "InvalidSnapshot.InUse");
	srig_end();
}

/* ---------------------------------------------------------------- clone, copy, revert */

static void test_clone(void)
{
	char vol[EBS_ID_MAX], clone[EBS_ID_MAX];
	json_t *made = NULL;

	srig_begin(0);
	srig_make("volume-create", vol, "{s:i, s:s, s:s, s:i, s:{s:s}}", "size_bytes", 4096, "name", "v", "type",
			"io1", "iops", 7, "tags", "a", "b");
	srig_set_data(vol, "now");
	CU_ASSERT_STRING_EQUAL(srig_run("volume-clone", NULL, "{s:s, s:i}", "volume", "v", "size_bytes", 2048),
			       "InvalidParameterValue");
	srig_spoil("volume-clone", true);
	CU_ASSERT_STRING_EQUAL(srig_run("volume-clone", &made, "{s:s, s:s, s:i, s:b}", "volume", "v", "name", "c",
			"size_bytes", 8192, "copy_tags", 1), "");
	CU_ASSERT_PTR_NOT_NULL_FATAL(made);
	snprintf(clone, sizeof(clone), "%s", text_of(made, "id"));
	CU_ASSERT_STRING_EQUAL(text_of(made, "state"), "available");
	CU_ASSERT_STRING_EQUAL(text_of(made, "type"), "io1");
	CU_ASSERT_STRING_EQUAL(text_of(made, "origin"), vol);
	CU_ASSERT_STRING_EQUAL(text_of(made, "name"), "c");
	CU_ASSERT_STRING_EQUAL(text_of(json_object_get(made, "tags"), "a"), "b");
	CU_ASSERT_EQUAL(number_of(made, "size_bytes"), 8192);
	CU_ASSERT_EQUAL(number_of(made, "iops"), 7);
	json_decref(made);
	srig_set_data(vol, "later");
	CU_ASSERT_TRUE(srig_data_is(clone, "now"));
	CU_ASSERT_EQUAL(srig_snapshots(NULL), 0);
	CU_ASSERT_EQUAL(srig_in_pool(), 2);
	/* What failed leaves nothing. */
	srig_spoil("volume-clone", false);
	CU_ASSERT_STRING_EQUAL(srig_run("volume-clone", NULL, "{s:s}", "volume", "v"), "InternalError");
	CU_ASSERT_EQUAL(srig_in_pool(), 2);
	CU_ASSERT_EQUAL(srig_count("volume-describe", "volumes", NULL), 2);
	srig_end();
}

static void test_copy(void)
{
	char vol[EBS_ID_MAX], snap[EBS_ID_MAX], copy[EBS_ID_MAX];
	json_t *made = NULL;

	srig_begin(0);
	srig_volume("v", vol);
	srig_set_data(vol, "then");
	srig_make("snapshot-create", snap, "{s:s}", "volume", vol);
	CU_ASSERT_STRING_EQUAL(srig_lock(snap, "governance", 1, 0), "");
	CU_ASSERT_STRING_EQUAL(srig_run("snapshot-copy", &made, "{s:s, s:s}", "snapshot", snap, "name", "k"), "");
	CU_ASSERT_PTR_NOT_NULL_FATAL(made);
	snprintf(copy, sizeof(copy), "%s", text_of(made, "id"));
	CU_ASSERT_STRING_NOT_EQUAL(copy, snap);
	CU_ASSERT_STRING_EQUAL(text_of(made, "volume_id"), vol);
	CU_ASSERT_STRING_EQUAL(text_of(made, "state"), "completed");
	CU_ASSERT_PTR_NULL(text_of(made, "lock_mode"));
	json_decref(made);
	CU_ASSERT_TRUE(srig_data_is(copy, "then"));
	/* Neither needs the other. */
	CU_ASSERT_STRING_EQUAL(unlock(snap), "");
	CU_ASSERT_STRING_EQUAL(srig_delete(snap, true), "");
	CU_ASSERT_TRUE(srig_data_is(copy, "then"));
	CU_ASSERT_STRING_EQUAL(srig_run("snapshot-copy", NULL, "{s:s}", "snapshot", snap),
			       "InvalidSnapshot.NotFound");
	srig_end();
}

static void test_revert(void)
{
	char vol[EBS_ID_MAX], snap[EBS_ID_MAX], other[EBS_ID_MAX], kept[EBS_ID_MAX];
	json_t *done = NULL;

	srig_begin(0);
	srig_volume("v", vol);
	srig_volume("w", other);
	srig_set_data(vol, "then");
	srig_make("snapshot-create", snap, "{s:s, s:s}", "volume", vol, "name", "s");
	srig_set_data(vol, "now");
	CU_ASSERT_STRING_EQUAL(srig_run("volume-modify", NULL, "{s:s, s:i}", "volume", vol, "size_bytes", 8192), "");
	CU_ASSERT_STRING_EQUAL(srig_run("volume-revert", NULL, "{s:s, s:s}", "volume", "w", "snapshot", "s"),
			       "InvalidParameterValue");
	CU_ASSERT_STRING_EQUAL(srig_run("volume-export", NULL, "{s:s, s:s}", "volume", "v", "initiator", "iqn.x:a"),
			       "");
	CU_ASSERT_STRING_EQUAL(srig_run("volume-revert", NULL, "{s:s, s:s}", "volume", "v", "snapshot", "s"),
			       "VolumeInUse");
	CU_ASSERT_STRING_EQUAL(srig_run("volume-unexport", NULL, "{s:s}", "volume", "v"), "");
	/* The pool did it, and said nothing: it is asked again. */
	srig_spoil("volume-revert", true);
	CU_ASSERT_STRING_EQUAL(srig_run("volume-revert", &done, "{s:s, s:s}", "volume", "v", "snapshot", "s"), "");
	CU_ASSERT_PTR_NOT_NULL_FATAL(done);
	CU_ASSERT_STRING_EQUAL(text_of(done, "id"), vol);
	CU_ASSERT_EQUAL(number_of(done, "size_bytes"), 4096);
	snprintf(kept, sizeof(kept), "%s", text_of(done, "kept"));
	json_decref(done);
	CU_ASSERT_TRUE(srig_data_is(vol, "then"));
	CU_ASSERT_TRUE(srig_data_is(kept, "now"));
	CU_ASSERT_EQUAL(srig_snapshots(vol), 2);
	/* And back again. */
	CU_ASSERT_STRING_EQUAL(srig_run("volume-revert", NULL, "{s:s, s:s}", "volume", "v", "snapshot", kept), "");
	CU_ASSERT_TRUE(srig_data_is(vol, "now"));
	srig_end();
}

/* The pool did it, and said that it failed: the old contents come back, and nothing else is left. */
static void test_revert_undone(void)
{
	char vol[EBS_ID_MAX], snap[EBS_ID_MAX];

	srig_begin(0);
	srig_volume("v", vol);
	srig_set_data(vol, "then");
	srig_make("snapshot-create", snap, "{s:s, s:s}", "volume", vol, "name", "s");
	srig_set_data(vol, "now");
	srig_spoil("volume-revert", false);
	CU_ASSERT_STRING_EQUAL(srig_run("volume-revert", NULL, "{s:s, s:s}", "volume", "v", "snapshot", "s"),
			       "InternalError");
	CU_ASSERT_TRUE(srig_data_is(vol, "now"));
	CU_ASSERT_EQUAL(srig_snapshots(NULL), 1);
	CU_ASSERT_EQUAL(srig_in_pool(), 2);
	CU_ASSERT_STRING_EQUAL(srig_run("volume-revert", NULL, "{s:s, s:s}", "volume", "v", "snapshot", "s"), "");
	CU_ASSERT_TRUE(srig_data_is(vol, "then"));
	srig_end();
}

/* ---------------------------------------------------------------- status */

static void test_status(void)
{
	char vol[EBS_ID_MAX];

	srig_begin(0);
	srig_volume("v", vol);
	CU_ASSERT_TRUE(srig_fact_is("volume-status", "statuses", "status", "ok"));
	CU_ASSERT_TRUE(srig_fact_is("volume-status", "statuses", "io_enabled", "passed"));
	srig_close(true);
	CU_ASSERT_TRUE(srig_fact_is("volume-status", "statuses", "status", "impaired"));
	CU_ASSERT_TRUE(srig_fact_is("volume-status", "statuses", "io_enabled", "failed"));
	srig_close(false);
	srig_lose_all();
	CU_ASSERT_TRUE(srig_fact_is("volume-status", "statuses", "status", "impaired"));
	srig_die();
	CU_ASSERT_TRUE(srig_fact_is("volume-status", "statuses", "status", "insufficient-data"));
	CU_ASSERT_TRUE(srig_fact_is("volume-status", "statuses", "io_enabled", "unknown"));
	srig_end();
}

/* ---------------------------------------------------------------- between looking and doing */

/* Keeps the catalogue's writer, so that what is asked meanwhile waits in line. */
struct gate {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool inside, open;
};

static int in_gate(struct store_tx *tx, void *arg, struct err *err)
{
	struct gate *g = arg;

	(void)tx;
	(void)err;
	pthread_mutex_lock(&g->lock);
	g->inside = true;
	pthread_cond_broadcast(&g->changed);
	while (!g->open)
		pthread_cond_wait(&g->changed, &g->lock);
	pthread_mutex_unlock(&g->lock);
	return 0;
}

static void *keep_writer(void *gate)
{
	struct err err = ERR_INIT;

	store_write(srig_ebs()->store, in_gate, gate, &err);
	return NULL;
}

static const char *restored;

static void *restore(void *id)
{
	restored = srig_run("bin-restore", NULL, "{s:s}", "resource", (const char *)id);
	return NULL;
}

static void *run_due(void *ebs)
{
	struct ebs *e = ebs;

	e->due_ms = 0;
	due_run(e);
	return NULL;
}

static int let_expire(struct store_tx *tx, void *id, struct err *err)
{
	json_t *change = json_pack("{s:i}", "bin_until_ms", 1000);
	bool volume = ebs_is_id(id, kind_volume.prefix);
	int rc = store_update(tx, volume ? T_VOLUME : T_SNAPSHOT, id, change, err);

	json_decref(change);
	return rc;
}

/* Taken out of the bin while that is about to let go of it: who was told that it is back has it. */
static void restore_in_time(char *id, const char *verb, const char *member, const char *state)
{
	struct gate g = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, false};
	struct err err = ERR_INIT;
	pthread_t threads[3];

	CU_ASSERT_EQUAL(store_write(srig_ebs()->store, let_expire, id, &err), 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[0], NULL, keep_writer, &g), 0);
	pthread_mutex_lock(&g.lock);
	while (!g.inside)
		pthread_cond_wait(&g.changed, &g.lock);
	pthread_mutex_unlock(&g.lock);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[1], NULL, restore, id), 0);
	poll(NULL, 0, 300); /* the other way round nothing would be seen, and nothing be wrong */
	CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[2], NULL, run_due, srig_ebs()), 0);
	poll(NULL, 0, 300);
	pthread_mutex_lock(&g.lock);
	g.open = true;
	pthread_cond_broadcast(&g.changed);
	pthread_mutex_unlock(&g.lock);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	if (!*restored)
		CU_ASSERT_TRUE(srig_fact_is(verb, member, "state", state));
}

static void test_bin_restore_in_time(void)
{
	char id[EBS_ID_MAX], of[EBS_ID_MAX];

	srig_begin(7);
	srig_volume("v", id);
	CU_ASSERT_STRING_EQUAL(srig_run("volume-delete", NULL, "{s:s}", "volume", id), "");
	restore_in_time(id, "volume-describe", "volumes", "available");
	srig_end();
	srig_begin(7);
	srig_volume("v", of);
	srig_make("snapshot-create", id, "{s:s}", "volume", of);
	CU_ASSERT_STRING_EQUAL(srig_delete(id, false), "");
	restore_in_time(id, "snapshot-describe", "snapshots", "completed");
	srig_end();
}

/* ---------------------------------------------------------------- what is told meanwhile */

static bool modification_is(const char *state, json_int_t to)
{
	json_t *rows = srig_list("volume-describe", "volumes", NULL);
	const json_t *m = json_object_get(json_array_get(rows, 0), "modification");
	const char *now = text_of(m, "state");
	bool is = state ? now && !strcmp(now, state) && number_of(m, "to_bytes") == to : !now;

	json_decref(rows);
	return is;
}

static bool has_grown(const void *arg)
{
	(void)arg;
	return modification_is("completed", 12288);
}

/* Of a modification that is under way nobody is told that the one before it is "completed". */
static void test_modification(void)
{
	char vol[EBS_ID_MAX];

	srig_begin(0);
	srig_volume("v", vol);
	srig_spoil("volume-set", false);
	CU_ASSERT_STRING_NOT_EQUAL(srig_run("volume-modify", NULL, "{s:s, s:i}", "volume", "v", "iops", 100), "");
	CU_ASSERT_TRUE(modification_is(NULL, 0));
	CU_ASSERT_STRING_EQUAL(srig_run("volume-modify", NULL, "{s:s, s:i}", "volume", "v", "size_bytes", 8192), "");
	CU_ASSERT_TRUE(modification_is("completed", 8192));
	srig_close(true);
	CU_ASSERT_STRING_EQUAL(srig_run("volume-modify", NULL, "{s:s, s:i, s:i}", "volume", "v", "size_bytes", 12288,
			"wait_ms", 0), "");
	CU_ASSERT_TRUE(modification_is("modifying", 12288));
	srig_close(false);
	CU_ASSERT_TRUE(srig_comes(has_grown, NULL));
	srig_spoil("volume-set", false);
	CU_ASSERT_STRING_NOT_EQUAL(srig_run("volume-modify", NULL, "{s:s, s:i}", "volume", "v", "iops", 100), "");
	CU_ASSERT_TRUE(modification_is("completed", 12288));
	srig_end();
}

/* A size that the pool never takes is refused before the pivot; behind it, the volume would stay locked for ever. */
static void test_modify_impossible(void)
{
	json_t *args = NULL, *done;
	struct err err = ERR_INIT;
	char vol[EBS_ID_MAX];

	srig_begin(0);
	srig_volume("v", vol);
	CU_ASSERT_STRING_EQUAL(srig_run("volume-create", NULL, "{s:i}", "size_bytes", 4608), "InvalidParameterValue");
	CU_ASSERT_STRING_EQUAL(srig_run("volume-clone", NULL, "{s:s, s:i}", "volume", "v", "size_bytes", 4608),
			       "InvalidParameterValue");
	CU_ASSERT_STRING_EQUAL(srig_run("volume-modify", NULL, "{s:s, s:i, s:i}", "volume", "v", "size_bytes", 4608,
			"wait_ms", 2000), "InvalidParameterValue");
	args = json_pack("{s:s, s:i}", "name", vol, "size_bytes", 16384);
	done = pool_call(srig_ebs()->pools, "main", "volume-grow", args, 10000, &err);
	CU_ASSERT_PTR_NOT_NULL(done);
	CU_ASSERT_STRING_EQUAL(srig_run("volume-modify", NULL, "{s:s, s:i, s:i}", "volume", "v", "size_bytes", 8192,
			"wait_ms", 2000), "InvalidParameterValue");
	CU_ASSERT_STRING_EQUAL(srig_run("volume-delete", NULL, "{s:s}", "volume", "v"), "");
	json_decref(done);
	json_decref(args);
	srig_end();
}

/* One that stops to answer is not waited for once for each of its volumes. */
static void test_status_silent(void)
{
	json_t *rows;
	char vol[EBS_ID_MAX];

	srig_begin(0);
	srig_volume("v", vol);
	srig_volume("w", vol);
	srig_spoil("volume-show", true);
	rows = srig_list("volume-status", "statuses", NULL);
	CU_ASSERT_EQUAL(json_array_size(rows), 2);
	for (size_t i = 0; i < json_array_size(rows); i++)
		CU_ASSERT_STRING_EQUAL(text_of(json_array_get(rows, i), "status"), "insufficient-data");
	json_decref(rows);
	srig_end();
}

static void *reopen(void *arg)
{
	poll(NULL, 0, 500);
	srig_close(false);
	return arg;
}

/* Half of the workers wait: who may only look is told at once how far it is, and does not wait for the end. */
static void test_waiting(void)
{
	json_t *made = NULL, *task = NULL;
	char vol[EBS_ID_MAX];
	pthread_t opener;

	srig_begin(0);
	srig_volume("v", vol);
	srig_close(true);
	CU_ASSERT_STRING_EQUAL(srig_run("volume-modify", &made, "{s:s, s:i, s:i}", "volume", "v", "size_bytes", 8192,
			"wait_ms", 0), "");
	atomic_store(&srig_ebs()->waiting, srig_ebs()->conf.workers / 2);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&opener, NULL, reopen, NULL), 0);
	CU_ASSERT_STRING_EQUAL(srig_run_as(EBS_MAY_READ, "task-wait", &task, "{s:O, s:i}", "task",
			json_object_get(made, "task"), "for_ms", 3600000), "");
	CU_ASSERT_STRING_EQUAL(text_of(task, "state"), "running");
	pthread_join(opener, NULL);
	CU_ASSERT_EQUAL(atomic_load(&srig_ebs()->waiting), srig_ebs()->conf.workers / 2);
	atomic_store(&srig_ebs()->waiting, 0);
	json_decref(task);
	json_decref(made);
	srig_end();
}

/* What is refused costs its caller nothing: it must not cost the catalogue a megabyte. */
static void test_audit_refused(void)
{
	json_t *names = json_array(), *rows = NULL, *row;
	size_t i, most = 0;
	char name[1000];

	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	for (i = 0; i < 500; i++)
		json_array_append_new(names, json_string(name));
	srig_begin(0);
	CU_ASSERT_STRING_EQUAL(srig_run_as(EBS_MAY_OPERATE, "tag-set", NULL, "{s:o, s:{s:s}}", "resources", names,
			"tags", "a", "b"), "InvalidVolume.NotFound");
	CU_ASSERT_STRING_EQUAL(srig_run("audit-describe", &rows, "{}"), "");
	CU_ASSERT_EQUAL(json_array_size(json_object_get(rows, "events")), 1);
	json_array_foreach(json_object_get(rows, "events"), i, row)
		most = MAX(most, json_dumpb(row, NULL, 0, 0));
	CU_ASSERT(most < 8192);
	json_decref(rows);
	srig_end();
}

static CU_TestInfo tests[] = {
	{"bin_restore_in_time", test_bin_restore_in_time},
	{"modification", test_modification},
	{"modify_impossible", test_modify_impossible},
	{"status_silent", test_status_silent},
	{"waiting", test_waiting},
	{"audit_refused", test_audit_refused},
	{"bin", test_bin},
	{"bin_expires", test_bin_expires},
	{"lock_governance", test_lock_governance},
	{"lock_compliance", test_lock_compliance},
	{"lock_in_bin", test_lock_in_bin},
	{"clone", test_clone},
	{"copy", test_copy},
	{"revert", test_revert},
	{"revert_undone", test_revert_undone},
	{"status", test_status},
	CU_TEST_INFO_NULL,
};

const struct hb_suite suite_snapshots = {"snapshots", tests};
