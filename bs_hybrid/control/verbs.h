/* SPDX-License-Identifier: GPL-2.0-only */
/* verbs.h - what can be asked of an open pool: a table of verbs, each from JSON arguments to a JSON result.
 *
 * A verb works on a `struct hb_pool` whoever opened it: tgtd's module and the offline tool run the very same verbs.
 * Pools are found through the callbacks of struct verb_host.
 *
 * Life of a call: the caller fills a struct verb_call (zeroed, then host and answered) and calls verb_run(). Either it
 * is finished on return, or it waits for the pool's log, and answered() runs later, from hb_pool_run(). A verb that
 * changes something is finished only when the change is durable.
 *
 * Invariants
 * (1) A finished call has either err.code == 0 and an object in result, or err.code < 0, a text, and result NULL.
 * (2) answered() runs at most once, and only for calls for which verb_run() returned false.
 * (3) Without host->may_wait no verb blocks: what would is answered with -EOPNOTSUPP.
 */
#ifndef HB_CONTROL_VERBS_H
#define HB_CONTROL_VERBS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "engine/engine.h"

#ifndef HB_VERSION
#define HB_VERSION "0.1.0"
#endif

#define VERB_LIST_MAX 1000	/* volumes in one answer of volume-list; more come by asking again with "after" */
#define VERB_FINDINGS_MAX 256	/* findings that check lists; all are counted */
#define VERB_RUNS_MAX 1000	/* runs in one answer of volume-diff; more come by asking again with "offset_bytes" */
#define VERB_CURSOR_MAX 80	/* bytes of a cursor */
#define VERB_STATS_MAX 128	/* volumes in one answer of stats; more come by asking again with "after" */
#define VERB_TIER_MAX 16	/* bytes of a tier's name */
#define VERB_ARGS_MAX 12

struct host_pool;

struct verb_host {
	void *ctx;
	/* Required. The open pool of that name, or NULL. */
	struct hb_pool *(*find)(void *ctx, const char *name);
	/* Required. The open pool after this one (NULL: the first), or NULL at the end. */
	struct hb_pool *(*next)(void *ctx, struct hb_pool *after);
	/* Optional. A volume's size was raised (the initiators must be told). Runs inside verb_run(). */
	void (*volume_grown)(void *ctx, struct hb_pool *pool, const char *volume);
	/* Optional. A volume's bytes, and perhaps its size, became those of a snapshot (the initiators must be told).
	 * Runs inside verb_run(), for each volume of a group, also for those that are not open; volume_grown does not
	 * run then. */
	void (*volume_reverted)(void *ctx, struct hb_pool *pool, const char *volume);
	/* Optional. The real pool behind an open one (host/host.h), or NULL: for the verbs on its devices. */
	struct host_pool *(*real)(void *ctx, struct hb_pool *pool);
	/* Optional. hb_pool_event_fds() has other descriptors than before, or will have soon, when a device that was
	 * removed is closed. Runs inside verb_run(). */
	void (*descriptors_changed)(void *ctx, struct hb_pool *pool);
	/* Optional. How far a long check is. Runs inside verb_run(). */
	void (*progress)(void *ctx, uint64_t done, uint64_t total);
	/* True in tools: verbs may block (a deep check, a full write-back). False on a loop that serves others. */
	bool may_wait;
};

enum verb_arg_type {
	VERB_ARG_NAME,
	VERB_ARG_BYTES,
	VERB_ARG_PATH,		/* absolute */
	VERB_ARG_COUNT,
	VERB_ARG_BOOL,
	VERB_ARG_CURSOR,	/* a string that an answer of the same verb brought */
	VERB_ARG_SNAPSHOTS,	/* 1 to HB_GROUP_MAX of {"volume": name, "snapshot": name} */
	VERB_ARG_REVERTS,	/* the same, each perhaps with "keep": name */
	VERB_ARG_RANGES,	/* 1 to HB_GROUP_MAX of {"offset_bytes": bytes, "length_bytes": bytes} */
	VERB_ARG_NUMBER,	/* a whole number, perhaps 0 */
	VERB_ARG_AMOUNT,	/* bytes, "default" or "never" */
	VERB_ARG_WORD,		/* one of a few; the verb knows which */
	VERB_ARG_TYPES
};

struct verb_arg {
	const char *name;
	enum verb_arg_type type;
	bool required;
};

struct verb_call;

struct verb {
	const char *name;
	bool wants_pool;
	struct verb_arg args[VERB_ARGS_MAX + 1];	/* ends with a NULL name */
	/* True: finished (result or err is set). False: answered() will run. Arguments are checked before. */
	bool (*run)(struct verb_call *call);
	const char *help;		/* one sentence */
};

struct verb_call {
	/* The caller's. */
	const struct verb_host *host;	/* borrowed, until the call is finished */
	void (*answered)(struct verb_call *call);
	/* The result; the caller's when finished: json_decref(result). */
	json_t *result;
	struct err err;
	/* verb_run's own. */
	const struct verb *verb;
	struct hb_pool *pool;		/* NULL for verbs that want none */
	const json_t *args;		/* borrowed during verb_run() only */
	struct hb_req sync;
};

/* All verbs, in the order of the help; ends with a NULL name. */
extern const struct verb verbs[];

/* Finds the verb and the pool, checks the arguments, runs. `pool` may be NULL: the only open pool is meant. `args` may
 * be NULL: none; else it must be an object. True: finished; false: call->answered() will run. */
bool verb_run(struct verb_call *call, const char *name, const char *pool, const json_t *args);

/* For the verbs themselves, in their several files. */
bool verb_fail(struct verb_call *call, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Finishes with this result (taken); NULL means out of memory. */
bool verb_done(struct verb_call *call, json_t *result);
/* Finishes with this result (taken) as soon as all that was done so far is durable. */
bool verb_done_durable(struct verb_call *call, json_t *result);
/* Of names, paths and cursors. */
const char *verb_arg_name(const struct verb_call *call, const char *arg);
uint64_t verb_arg_uint(const struct verb_call *call, const char *arg, uint64_t otherwise);
bool verb_arg_bool(const struct verb_call *call, const char *arg);
/* The array of a group's members; borrowed during verb_run(). */
const json_t *verb_arg_group(const struct verb_call *call, const char *arg);

/* Both take `v`. When memory is out, or v is NULL, the whole is dropped: *o becomes NULL and stays so, and verb_done()
 * answers with an error. So an answer is complete or none. */
void verb_put(json_t **o, const char *key, json_t *v);
void verb_append(json_t **list, json_t *v);
/* A JSON string of any bytes: what is no UTF-8 or no printable character becomes '?'. */
json_t *verb_text_json(const char *text);
/* "1b4e28ba-2fa1-11d2-883f-0016d3cca427" */
json_t *verb_uuid_json(const uint8_t uuid[16]);

/* What a volume's attributes are, in the words of volume-set; verbs_attr.c. */
json_t *verb_attr_json(const struct hb_volume_attr *attr);
/* What is set aside of RAM and write tier for a volume, and what they hold of it; null if it has no cache floor. */
json_t *verb_floor_json(const struct hb_volume_info *info);
/* How many of its requests waited for its ceilings and for their turn, and how long, since the pool was opened. */
json_t *verb_waits_json(const struct hb_volume_info *info);

/* Of the stats verb, verbs_stats.c: a histogram of HB_HIST_BUCKETS / per_bucket, each of so many of the engine's; and
 * what there is by tier and volume, into the answer. */
json_t *verb_latency_json(const uint64_t *hist, unsigned per_bucket, uint64_t sum_ns);
void verb_stats_parts(struct verb_call *call, const struct hb_stats *st, json_t **o);
/* "cache1": what tiers below the write tier are called, with level from 1. */
void verb_level_name(unsigned level, char to[VERB_TIER_MAX]);
/* The name of a place: "unmapped", "ram", "staging", "ssd", "cache1", "capacity". */
void verb_place_name(enum hb_place place, char to[VERB_TIER_MAX]);

/* The volume or snapshot as volume-show answers with it. NULL with call->err set: there is none, or no memory. */
json_t *verb_volume_json(struct verb_call *call, const char *name);
/* The cache levels, an array: what pool-show and stats say of them. */
json_t *verb_levels_json(const struct verb_call *call, const struct hb_stats *st);
/* After a change that succeeded: finishes with the volume as soon as the change is durable. */
bool verb_volume_changed(struct verb_call *call, const char *name);

bool verb_volume_create(struct verb_call *call);
bool verb_volume_delete(struct verb_call *call);
bool verb_volume_rename(struct verb_call *call);
bool verb_volume_grow(struct verb_call *call);
bool verb_volume_set(struct verb_call *call);
bool verb_volume_list(struct verb_call *call);
bool verb_volume_show(struct verb_call *call);
bool verb_volume_snapshot(struct verb_call *call);
bool verb_volume_clone(struct verb_call *call);
bool verb_volume_revert(struct verb_call *call);
bool verb_volume_shrink(struct verb_call *call);
bool verb_volume_usage(struct verb_call *call);
bool verb_volume_diff(struct verb_call *call);
bool verb_volume_heat(struct verb_call *call);
bool verb_snapshot_group(struct verb_call *call);
bool verb_revert_group(struct verb_call *call);
bool verb_pools(struct verb_call *call);
bool verb_pool_show(struct verb_call *call);
bool verb_stats(struct verb_call *call);
bool verb_check(struct verb_call *call);
bool verb_flush(struct verb_call *call);
bool verb_pool_grow(struct verb_call *call);
bool verb_tier_list(struct verb_call *call);
bool verb_tier_add(struct verb_call *call);
bool verb_tier_remove(struct verb_call *call);
bool verb_tier_replace(struct verb_call *call);
bool verb_writeback(struct verb_call *call);
bool verb_scrub_start(struct verb_call *call);
bool verb_scrub_stop(struct verb_call *call);
bool verb_scrub_status(struct verb_call *call);

#endif
