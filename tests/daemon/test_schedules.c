/* SPDX-License-Identifier: GPL-2.0-only */
/* test_schedules.c - when, of what and how often snapshots are made by themselves, and which of them go again. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "tests/daemon/snapshot_rig.h"
#include "tests/daemon/suites.h"

/* ---------------------------------------------------------------- times */

static uint64_t ms_of(const char *text)
{
	struct err err = ERR_INIT;
	uint64_t ms = 0;

	CU_ASSERT_EQUAL(when_time(text, &ms, &err), 0);
	return ms;
}

static void next_is(const char *every, const char *after, const char *expected)
{
	struct err err = ERR_INIT;
	struct when w;

	CU_ASSERT_EQUAL_FATAL(when_parse(every, &w, &err), 0);
	CU_ASSERT_EQUAL(when_next(&w, ms_of(after)), ms_of(expected));
}

static void test_when(void)
{
	static const char *const wrong[] = {"", "daily", "daily 24:00", "daily 3", "weekly 03:00", "weekly foo 03:00",
					    "0 minutes", "5 fortnights", "-5 minutes", "* * * *", "* * * * * *",
					    "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *", "* * * * 8",
					    "5-3 * * * *", "*/0 * * * *", "a * * * *", "0 0 30 2 *", "daily 03:15 x",
					    "1,, * * * *", "99999999999 minutes"};
	static const char *const no_times[] = {"", "2026", "2026-13-01", "2026-02-30", "2026-01-02T",
			"2026-01-02 03:04",
					       "2026-01-02T03:04:05+01:00"};
	struct err err = ERR_INIT;
	struct when w;
	uint64_t ms;

	CU_ASSERT_EQUAL(ms_of("1970-01-02T00:00:01.5Z"), 86401500);
	CU_ASSERT_EQUAL(ms_of("1970-01-02"), 86400000);
	next_is("30 minutes", "2026-01-01T10:10:00Z", "2026-01-01T10:40:00Z");
	next_is("6h", "2026-01-01T10:10:00Z", "2026-01-01T16:10:00Z");
	next_is("daily 03:15", "2026-01-01T03:14:59Z", "2026-01-01T03:15:00Z");
	next_is("daily 03:15", "2026-01-01T03:15:00Z", "2026-01-02T03:15:00Z");
	next_is("weekly sun 00:00", "2026-01-01T00:00:00Z", "2026-01-04T00:00:00Z");
	next_is("weekly sun 00:00", "2026-01-04T00:00:00Z", "2026-01-11T00:00:00Z");
	next_is("*/20 * * * *", "2026-01-01T10:41:00Z", "2026-01-01T11:00:00Z");
	next_is("5/20 8-9,22 * * *", "2026-01-01T09:45:00Z", "2026-01-01T22:05:00Z");
	next_is("0 3 * * mon-fri", "2026-01-02T04:00:00Z", "2026-01-05T03:00:00Z");
	next_is("0 3 * * 7", "2026-01-01T04:00:00Z", "2026-01-04T03:00:00Z");
	next_is("0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z");
	next_is("0 0 29 2 *", "2096-03-01T00:00:00Z", "2104-02-29T00:00:00Z");
	next_is("0 0 31 * *", "2026-01-31T00:00:00Z", "2026-03-31T00:00:00Z");
	/* Both days are named: one of them will do, as with cron. */
	next_is("0 0 13 * fri", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
	next_is("0 0 13 * fri", "2026-01-09T00:00:00Z", "2026-01-13T00:00:00Z");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		err = ERR_INIT;
		CU_ASSERT_EQUAL(when_parse(wrong[i], &w, &err), -EINVAL);
	}
	for (size_t i = 0; i < sizeof(no_times) / sizeof(*no_times); i++) {
		err = ERR_INIT;
		CU_ASSERT_EQUAL(when_time(no_times[i], &ms, &err), -EINVAL);
	}
}

/* ---------------------------------------------------------------- schedules */

static void new_schedule(json_t *args, char id[EBS_ID_MAX])
{
	json_object_set_new(args, "name", json_string("s"));
	json_object_set_new(args, "every", json_string("daily 03:00"));
	srig_make("schedule-create", id, "o", args);
}

static const char *run_schedule(const char *id)
{
	return srig_run("schedule-run", NULL, "{s:s}", "schedule", id);
}

static void test_schedule_args(void)
{
	char vol[EBS_ID_MAX], id[EBS_ID_MAX];

	srig_begin(0);
	srig_volume("v", vol);
	CU_ASSERT_STRING_EQUAL(srig_run("schedule-create", NULL, "{s:s, s:s, s:i}", "name", "s", "every", "6h",
			"keep_count", 1), "MissingParameter");
	CU_ASSERT_STRING_EQUAL(srig_run("schedule-create", NULL, "{s:s, s:s, s:s}", "name", "s", "every", "6h",
			"volumes", "v"), "MissingParameter");
	CU_ASSERT_STRING_EQUAL(srig_run("schedule-create", NULL, "{s:s, s:s, s:s, s:i}", "name", "s", "every",
			"often", "volumes", "v", "keep_count", 1),
			       "InvalidParameterValue");
	CU_ASSERT_STRING_EQUAL(srig_run("schedule-create", NULL, "{s:s, s:s, s:{s:s}, s:i}", "name", "s", "every",
			"6h", "filters", "colour", "red", "keep_count", 1),
			       "InvalidParameterValue");
	CU_ASSERT_STRING_EQUAL(srig_run("schedule-create", NULL, "{s:s, s:s, s:s, s:i}", "name", "s", "every", "6h",
			"volumes", "nobody", "keep_count", 1),
			       "InvalidVolume.NotFound");
	new_schedule(json_pack("{s:s, s:i}", "volumes", "v", "keep_count", 1), id);
	CU_ASSERT_STRING_EQUAL(srig_run("schedule-create", NULL, "{s:s, s:s, s:s, s:i}", "name", "s", "every", "6h",
			"volumes", "v", "keep_count", 1),
			       "InvalidParameterValue.Duplicate");
	CU_ASSERT_STRING_EQUAL(srig_run("schedule-modify", NULL, "{s:s, s:i}", "schedule", "s", "keep_count", 0),
			       "MissingParameter");
	CU_ASSERT_STRING_EQUAL(srig_run("schedule-modify", NULL, "{s:s, s:s, s:s}", "schedule", "s", "name", "t",
			"every", "0 4 * * *"), "");
	CU_ASSERT_TRUE(srig_fact_is("schedule-describe", "schedules", "every", "0 4 * * *"));
	CU_ASSERT_STRING_EQUAL(run_schedule("s"), "InvalidID");
	CU_ASSERT_STRING_EQUAL(srig_run("schedule-delete", NULL, "{s:s}", "schedule", "t"), "");
	CU_ASSERT_EQUAL(srig_count("schedule-describe", "schedules", NULL), 0);
	srig_end();
}

/* By count, of each volume, and only its own. */
static void test_schedule_count(void)
{
	char v[EBS_ID_MAX], w[EBS_ID_MAX], id[EBS_ID_MAX], own[EBS_ID_MAX];

	srig_begin(0);
	srig_volume("v", v);
	srig_volume("w", w);
	CU_ASSERT_STRING_EQUAL(srig_run("tag-set", NULL, "{s:[s, s], s:{s:s}}", "resources", v, w, "tags", "keep",
			"yes"), "");
	srig_make("snapshot-create", own, "{s:s}", "volume", v);
	new_schedule(json_pack("{s:{s:s}, s:i, s:{s:s}}", "filters", "tag:keep", "y*", "keep_count", 2, "tags", "by",
			       "clock"), id);
	for (int i = 0; i < 4; i++)
		CU_ASSERT_STRING_EQUAL(run_schedule(id), "");
	for (int i = 0; i < 400 && srig_snapshots(NULL) > 5; i++)
		poll(NULL, 0, 50);
	CU_ASSERT_EQUAL(srig_snapshots(v), 3);
	CU_ASSERT_EQUAL(srig_snapshots(w), 2);
	/* A locked one stays, however old. */
	{
		json_t *all = srig_list("snapshot-describe", "snapshots", w);

		CU_ASSERT_STRING_EQUAL(text_of(json_object_get(json_array_get(all, 0), "tags"), "by"), "clock");
		for (size_t i = 0; i < json_array_size(all); i++)
			CU_ASSERT_STRING_EQUAL(srig_lock(text_of(json_array_get(all, i), "id"), "governance", 1, 0),
					"");
		json_decref(all);
	}
	for (int i = 0; i < 3; i++)
		CU_ASSERT_STRING_EQUAL(run_schedule(id), "");
	for (int i = 0; i < 400 && srig_snapshots(NULL) > 7; i++)
		poll(NULL, 0, 50);
	CU_ASSERT_EQUAL(srig_snapshots(v), 3);
	CU_ASSERT_EQUAL(srig_snapshots(w), 4);
	CU_ASSERT_STRING_EQUAL(srig_delete(own, true), "");
	/* Without the schedule they are nobody's. */
	CU_ASSERT_STRING_EQUAL(srig_run("schedule-delete", NULL, "{s:s}", "schedule", id), "");
	CU_ASSERT_EQUAL(srig_snapshots(NULL), 6);
	CU_ASSERT_TRUE(srig_fact_is("snapshot-describe", "snapshots", "schedule_id", NULL));
	srig_end();
}

/* How many deletions have ever been begun. */
static size_t ndeletions(void)
{
	json_t *all = NULL;
	size_t n;

	CU_ASSERT_STRING_EQUAL(srig_run("task-describe", &all, "{s:{s:s}}", "filters", "verb", "snapshot-delete"), "");
	n = json_array_size(json_object_get(all, "tasks"));
	json_decref(all);
	return n;
}

/* Creations fail: the last good one stays, though it is too old; and it is said why. */
static void test_schedule_fails(void)
{
	char v[EBS_ID_MAX], id[EBS_ID_MAX], snap[EBS_ID_MAX];
	json_t *all;

	srig_begin(0);
	srig_volume("v", v);
	new_schedule(json_pack("{s:s, s:i}", "volumes", "v", "keep_days", 1), id);
	CU_ASSERT_STRING_EQUAL(run_schedule(id), "");
	all = srig_list("snapshot-describe", "snapshots", NULL);
	CU_ASSERT_EQUAL_FATAL(json_array_size(all), 1);
	CU_ASSERT_PTR_NOT_NULL(text_of(json_array_get(all, 0), "expires"));
	snprintf(snap, sizeof(snap), "%s", text_of(json_array_get(all, 0), "id"));
	json_decref(all);
	srig_meanwhile(T_SNAPSHOT, snap, json_pack("{s:i, s:i}", "created_ms", 1000, "expires_ms", 2000));
	srig_refuse(true);
	CU_ASSERT_STRING_EQUAL(run_schedule(id), "InsufficientVolumeCapacity");
	CU_ASSERT_EQUAL(srig_snapshots(v), 1);
	CU_ASSERT_EQUAL(ndeletions(), 0);
	all = srig_list("schedule-describe", "schedules", NULL);
	CU_ASSERT_PTR_NOT_NULL(text_of(json_array_get(all, 0), "last_error"));
	json_decref(all);
	srig_refuse(false);
	CU_ASSERT_STRING_EQUAL(run_schedule(id), "");
	for (int i = 0; i < 400 && srig_snapshots(v) > 1; i++)
		poll(NULL, 0, 50);
	CU_ASSERT_EQUAL(srig_snapshots(v), 1);
	CU_ASSERT_FALSE(srig_fact_is("snapshot-describe", "snapshots", "id", snap));
	CU_ASSERT_TRUE(srig_fact_is("schedule-describe", "schedules", "last_error", NULL));
	srig_end();
}

/* One of a group has been deleted: of the others there are snapshots all the same, and it is said. */
static void test_schedule_group_gone(void)
{
	char v[EBS_ID_MAX], w[EBS_ID_MAX], id[EBS_ID_MAX];

	srig_begin(7);
	srig_volume("v", v);
	srig_volume("w", w);
	new_schedule(json_pack("{s:[s, s], s:i, s:s}", "volumes", "v", "w", "keep_count", 9, "how", "group"), id);
	CU_ASSERT_STRING_EQUAL(srig_run("volume-delete", NULL, "{s:s}", "volume", v), "");
	CU_ASSERT_STRING_EQUAL(run_schedule(id), "InvalidID");
	CU_ASSERT_EQUAL(srig_snapshots(w), 1);
	CU_ASSERT_FALSE(srig_fact_is("schedule-describe", "schedules", "last_error", NULL));
	CU_ASSERT_STRING_EQUAL(srig_run("bin-restore", NULL, "{s:s}", "resource", v), "");
	CU_ASSERT_STRING_EQUAL(run_schedule(id), "");
	CU_ASSERT_EQUAL(srig_snapshots(v), 1);
	CU_ASSERT_EQUAL(srig_snapshots(w), 2);
	srig_end();
}

/* A deletion that its rule asked for before it was gone is none any more. */
static void test_schedule_not_its_own(void)
{
	json_t *other = json_pack("{s:s}", "id", "sched-0123456789abcdef0"), *args;
	struct ebs_call c = {.who = "schedule", .rights = EBS_MAY_ALL, .schedule = other};
	char v[EBS_ID_MAX], snap[EBS_ID_MAX];

	srig_begin(0);
	srig_volume("v", v);
	srig_make("snapshot-create", snap, "{s:s}", "volume", v);
	args = json_pack("{s:s}", "snapshot", snap);
	c.args = args;
	ebs_run(srig_ebs(), "snapshot-delete", &c);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c.code);
	CU_ASSERT_STRING_EQUAL(c.code, "IncorrectState");
	ebs_call_free(&c);
	CU_ASSERT_EQUAL(srig_snapshots(v), 1);
	json_decref(args);
	json_decref(other);
	srig_end();
}

static bool has_run(const void *arg)
{
	(void)arg;
	return !srig_fact_is("schedule-describe", "schedules", "last", NULL);
}

/* Missed a hundred times while nobody was there: once, both volumes at one instant. */
static void test_schedule_missed(void)
{
	char v[EBS_ID_MAX], w[EBS_ID_MAX], id[EBS_ID_MAX];
	json_t *all;

	srig_begin(0);
	srig_volume("v", v);
	srig_volume("w", w);
	new_schedule(json_pack("{s:[s, s], s:i, s:s}", "volumes", "v", "w", "keep_count", 9, "how", "group"), id);
	CU_ASSERT_FALSE(has_run(NULL));
	srig_meanwhile(T_SCHEDULE, id, json_pack("{s:I}", "next_ms", (json_int_t)(ebs_now_ms(NULL) - 100 * DAY_MS)));
	CU_ASSERT_TRUE(srig_comes(has_run, NULL));
	for (int i = 0; i < 400 && srig_snapshots(NULL) < 2; i++)
		poll(NULL, 0, 50);
	all = srig_list("snapshot-describe", "snapshots", NULL);
	CU_ASSERT_EQUAL_FATAL(json_array_size(all), 2);
	CU_ASSERT_STRING_EQUAL(text_of(json_array_get(all, 0), "group_id"), text_of(json_array_get(all, 1),
			"group_id"));
	json_decref(all);
	all = srig_list("schedule-describe", "schedules", NULL);
	CU_ASSERT(ms_of(text_of(json_array_get(all, 0), "next")) > ebs_now_ms(NULL));
	json_decref(all);
	/* A disabled one does not run, and what it missed does not count when it is enabled again. */
	CU_ASSERT_STRING_EQUAL(srig_run("schedule-modify", NULL, "{s:s, s:s}", "schedule", "s", "state", "disabled"),
			       "");
	srig_meanwhile(T_SCHEDULE, id, json_pack("{s:i, s:n}", "next_ms", 1000, "last_ms"));
	poll(NULL, 0, 2500);
	CU_ASSERT_FALSE(has_run(NULL));
	CU_ASSERT_STRING_EQUAL(srig_run("schedule-modify", NULL, "{s:s, s:s}", "schedule", "s", "state", "enabled"),
			       "");
	all = srig_list("schedule-describe", "schedules", NULL);
	CU_ASSERT(ms_of(text_of(json_array_get(all, 0), "next")) > ebs_now_ms(NULL));
	json_decref(all);
	CU_ASSERT_EQUAL(srig_snapshots(NULL), 2);
	srig_end();
}

/* It ran, and died before it could say so: the same run again makes nothing new. */
static void test_schedule_again(void)
{
	char v[EBS_ID_MAX], id[EBS_ID_MAX];
	json_int_t was = (json_int_t)(ebs_now_ms(NULL) - DAY_MS);

	srig_begin(0);
	srig_volume("v", v);
	new_schedule(json_pack("{s:s, s:i}", "volumes", "v", "keep_count", 9), id);
	srig_meanwhile(T_SCHEDULE, id, json_pack("{s:I}", "next_ms", was));
	CU_ASSERT_TRUE(srig_comes(has_run, NULL));
	srig_meanwhile(T_SCHEDULE, id, json_pack("{s:I, s:n}", "next_ms", was, "last_ms"));
	CU_ASSERT_TRUE(srig_comes(has_run, NULL));
	CU_ASSERT_EQUAL(srig_snapshots(v), 1);
	CU_ASSERT_STRING_EQUAL(srig_run("schedule-run", NULL, "{s:s, s:s}", "schedule", id, "token", "t"), "");
	CU_ASSERT_STRING_EQUAL(srig_run("schedule-run", NULL, "{s:s, s:s}", "schedule", id, "token", "t"), "");
	CU_ASSERT_EQUAL(srig_snapshots(v), 2);
	srig_end();
}

static CU_TestInfo tests[] = {
	{"schedule_group_gone", test_schedule_group_gone},
	{"schedule_not_its_own", test_schedule_not_its_own},
	{"when", test_when},
	{"args", test_schedule_args},
	{"count", test_schedule_count},
	{"fails", test_schedule_fails},
	{"missed", test_schedule_missed},
	{"again", test_schedule_again},
	CU_TEST_INFO_NULL,
};

const struct hb_suite suite_schedules = {"schedules", tests};
