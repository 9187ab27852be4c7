/* SPDX-License-Identifier: GPL-2.0-only */
/* schema.h - the catalogue's tables and columns. Times are milliseconds since 1970 (UTC); sizes bytes.
 *
 * What is named _ms, _bytes, _pct, _code, iops, bandwidth_bytes_s, step, tries, most or called a number is a JSON
 * integer, bool and JSON are what they say, all else is text. The table itself is store/tables.c. A new version of the
 * program adds columns and tables, and raises SCHEMA_VERSION; columns are never renamed or taken away.
 */
#ifndef HB_STORE_SCHEMA_H
#define HB_STORE_SCHEMA_H

#define SCHEMA_VERSION 2

enum store_table {
	/* id "vol-…" | pool, pool_name (UNIQUE together) | size_bytes | type (gp3, …) | state (creating, available,
	 * in-use, deleting, error, recoverable) | zone | iops, bandwidth_bytes_s (ceilings or NULL) | mode |
	 * multi_attach (bool) | snapshot_id | origin (text: image path; "vol-…": a
	 * clone of that) | created_ms | bin_ms, bin_until_ms (recycle
	 * bin) | modification (JSON: the last one) | exported (JSON: initiators that may log in without an
	 * attachment) */
	T_VOLUME,
	/* id "snap-…" | pool, pool_name (UNIQUE together) | volume_id | size_bytes | state (pending, completed,
	 * error, recoverable) | progress_pct | description | group_id | created_ms | bin_ms, bin_until_ms |
	 * lock_mode (governance, compliance), lock_until_ms, lock_created_ms, lock_cooloff_ms (when that ends) |
	 * schedule_id | expires_ms | fill_until_ms (it is filled from outside until then; its pool_name is that of the
	 * volume it will be made of). Belongs to volume by volume_id, to schedule by schedule_id. */
	T_SNAPSHOT,
	/* id "vol-att-…" | volume_id | host_id | vm_id | device | path (what the host calls it) | state (attaching,
	 * attached, detaching, busy) | initiator | user, secret, back_user, back_secret (sealed) | mode (rw, ro) |
	 * created_ms | deadline_ms | delete_on_termination (bool). Belongs to volume by volume_id, to host by
	 * host_id, to vm by vm_id. */
	T_ATTACHMENT,
	/* id "h-…" | name (UNIQUE) | url | pin | initiator | delegate | state (up, down, new) | seen_ms | created_ms */
	T_HOST,
	/* id "i-…" | host_id | name (UNIQUE with host_id) | uuid | state | seen_ms | info (JSON). Belongs to host by
	 * host_id. */
	T_VM,
	/* (resource_id, key) | value. Belongs to anything by resource_id. */
	T_TAG,
	/* id (number, counted up) | verb | resource_id | who | doc (JSON) | step, step_name (the last one that
	 * began; the name is what counts) | step_ended (bool; while undoing: that step had ended) | state (running,
	 * undoing, done, failed) | tries, trouble (of this step: failures, what the last one said) | error,
	 * error_code (why it is undone; a -errno) | deadline_ms | created_ms | ended_ms. Belongs to anything by
	 * resource_id. */
	T_TASK,
	/* (resource_id) | task_id (number). Belongs to anything by resource_id. */
	T_LOCK,
	/* (who, verb, token) | digest (of the arguments) | result (JSON) | resource_id | created_ms */
	T_TOKEN,
	/* id "sched-…" | name | spec (JSON) | enabled (bool) | next_ms | last_ms | last_error | created_ms */
	T_SCHEDULE,
	/* id (what is limited: "volumes", "bytes", "snapshots", …; with ":KEY-ID" for one key's) | most */
	T_QUOTA,
	/* id (access key) | name (UNIQUE) | secret (sealed) | rights (JSON) | created_ms | used_ms | revoked_ms */
	T_KEY,
	/* id (number, counted up) | at_ms | who | verb | resource_id | outcome | args (JSON, no secrets). Belongs to
	 * anything by resource_id. */
	T_AUDIT,
	/* id (name) | value (text): the box's own settings: box id, prefix, … */
	T_SETTING,
	STORE_TABLES
};

/* "volume", "tag", …: the name in SQL and in filters. */
const char *store_table_name(enum store_table t);

#endif
