/* SPDX-License-Identifier: GPL-2.0-only */
/* priv.h - what the files of the room share. Each verb's file has its checks, its saga and its answers. */
#ifndef HB_VERBS_PRIV_H
#define HB_VERBS_PRIV_H

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "box/agent.h"
#include "box/disk.h"
#include "box/identity.h"
#include "box/pool.h"
#include "box/seal.h"
#include "box/tgt.h"
#include "saga/saga.h"
#include "store/store.h"
#include "verbs/ebs.h"

#define EBS_ID_MAX 40 /* "vol-att-" and 17 digits, and the zero */
#define POOL_CALL_MS 20000u
#define AGENT_CALL_MS 60000u

struct ebs {
	struct ebs_conf conf; /* strings are ours */
	struct store *store;
	struct sagas *sagas;
	struct pools *pools;
	struct tgt *tgt; /* NULL: no targets */
	struct disks *disks; /* NULL: no targets */
	atomic_uint imports; /* import.c: how many are under way */
	atomic_uint waiting; /* begin.c: requests that wait for the end of a saga */
	struct agents *agents;
	struct seal *seal;
	char pin[IDENTITY_PIN_MAX];
	pthread_mutex_t target_lock; /* what is read from the catalogue is what tgtd gets */
	struct watch *watch; /* watch.c */
	struct {
		pthread_mutex_t lock;
		pthread_cond_t ended; /* of some put */
		struct link puts; /* struct fill_put */
	} fill; /* fill.c */
	uint64_t due_ms; /* due.c: when it last looked */
};

/* ---------------------------------------------------------------- ebs.c: errors, time, ids */

/* Sets the call's error, once: later ones are ignored. Returns err_code, a -errno. */
int ebs_fail(struct ebs_call *c, enum ebs_code code, int err_code, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* An error that a lower room gave: a code for its -errno (ENOSPC: NO_CAPACITY, ECONNREFUSED: UNAVAILABLE, ...). */
int ebs_fail_err(struct ebs_call *c, const struct err *err);
/* PREFIX and 17 random hex digits. */
void ebs_new_id(char to[EBS_ID_MAX], const char *prefix);
/* PREFIX and 17 hex digits of the SHA-256 of these texts. */
void ebs_computed_id(char to[EBS_ID_MAX], const char *prefix, const char *a, const char *b);
bool ebs_is_id(const char *text, const char *prefix);

/* Of a row or a document: NULL, 0 if it is not there or of another type. */
static inline const char *text_of(const json_t *row, const char *column)
{
	return json_string_value(json_object_get(row, column));
}

static inline json_int_t number_of(const json_t *row, const char *column)
{
	return json_integer_value(json_object_get(row, column));
}

/* ---------------------------------------------------------------- args.c */

/* Everything against the verb's table: unknown, missing, of another type, out of range. false: the call failed. */
bool args_check(struct ebs_call *c);
/* Arguments; they have been checked. */
const char *arg_text(const struct ebs_call *c, const char *name); /* NULL: not given */
bool arg_given(const struct ebs_call *c, const char *name);
uint64_t arg_number(const struct ebs_call *c, const char *name, uint64_t otherwise);
bool arg_bool(const struct ebs_call *c, const char *name);
json_t *arg_json(const struct ebs_call *c, const char *name); /* borrowed */
/* SHA-256, in hex, of all arguments but token, dry_run and wait_ms, in an order of their own. */
void args_digest(const struct ebs_call *c, char to[65]);

/* ---------------------------------------------------------------- find.c: resources by id or name, lists */

/* What stands for a kind of resource. */
struct kind {
	enum store_table table;
	const char *prefix; /* of ids */
	const char *word; /* "volume" */
	enum ebs_code missing;
	/* Puts into the rows what else is shown of them, in as many queries for all of them as for one; NULL: nothing.
	 * 0 or a -errno. */
	int (*gather)(struct store_tx *tx, json_t *rows, struct err *err);
};
extern const struct kind kind_volume, kind_snapshot, kind_host, kind_vm, kind_schedule, kind_attachment, kind_key;

/* The row that `text` (an id, a name) means; new reference. NULL: the call failed: ambiguous, or not there, which is
 * also said of what is not for this caller's rights. Names: the tag "Name"; of hosts, schedules, VMs and keys the
 * column. */
json_t *find_row(struct store_tx *tx, struct ebs_call *c, const struct kind *k, const char *text);
/* Whosever it is: for what is on the way to something that the caller has to own. */
json_t *find_any(struct store_tx *tx, struct ebs_call *c, const struct kind *k, const char *text);
/* The same in a transaction of its own, the id only: malloc'd; for the locks of a saga. */
char *find_id(struct ebs_call *c, const struct kind *k, const char *text);
/* All rows that args "ids" (arg_ids), "filters", "limit", "cursor" ask for, each made into what is shown by `show`,
 * which gets the rows' tags and owns nothing. Result: {word + "s": [...], "cursor"?: ...}. */
typedef json_t *find_show_fn(struct store_tx *tx, const json_t *row, const json_t *tags, struct err *err);
void find_list(struct ebs_call *c, const struct kind *k, const char *arg_ids, find_show_fn *show);
/* One, as the same function shows it; new reference or NULL. */
json_t *find_shown(struct ebs *e, const struct kind *k, const char *id, find_show_fn *show, struct err *err);

/* ---------------------------------------------------------------- rights.c: who may do what; all of it is there */

/* May this caller run the verb? false: the call failed. */
bool rights_verb(struct ebs_call *c);
/* Is this row its own? Always, without only_tags. */
bool rights_own(struct store_tx *tx, const struct ebs_call *c, const json_t *row);
/* This resource was kept from it: for the audit log, whatever it is told. */
void rights_refused(struct ebs_call *c, const char *id);
/* Is the task of argument "task" its own, or not there at all? */
bool rights_task(struct ebs_call *c);
/* What narrows a list of that table to its own; to be given to rights_filters_free() whatever is returned. */
struct rights_filters {
	struct store_filter filters[EBS_KEY_TAGS_MAX];
	unsigned n;
	char *columns[EBS_KEY_TAGS_MAX];
	const char *values[EBS_KEY_TAGS_MAX];
	json_t *memory;
	const char **ids;
};
int rights_filters(struct store_tx *tx, const struct ebs_call *c, enum store_table t, struct rights_filters *r,
		   struct err *err);
void rights_filters_free(struct rights_filters *r);
/* What it makes has its tags, unless they are there with other values: that tags_put() refuses. */
void rights_add(const struct ebs_call *c, json_t *tags);
/* 0, or the code: may it give this tag this value (NULL: take it away)? May it take all? */
int rights_may_set(struct ebs_call *c, const char *key, const json_t *value);
int rights_may_drop_all(struct ebs_call *c);
/* Did the call fail for its rights? Then it goes into the audit log here. */
bool rights_is_refusal(const struct ebs_call *c);
void rights_audit(struct ebs_call *c);

/* key.c */
bool key_is_id(const char *text);

/* ---------------------------------------------------------------- begin.c: the frame around each change */

struct change {
	const char *saga; /* the kind, or NULL: all is done in the transaction */
	const char *resource; /* id, for token, audit and journal */
	const char *const *locks;
	unsigned nlocks;
	json_t *doc; /* reference is taken */
	/* Last checks and first rows; ebs_fail() for what is wrong. */
	int (*begin)(struct store_tx *tx, struct ebs_call *c, json_t *doc);
	/* What is answered at the end (also to a repeated request). NULL: {"id": resource}. */
	const struct kind *kind;
	find_show_fn *show;
};
/* As saga_wait(). Who may not do everything does not wait while half of the workers do: else one key could keep
 * everybody else from being heard. */
int change_wait(struct ebs_call *c, int64_t task, uint32_t for_ms, struct err *err);
/* What the audit log keeps of the arguments of a call that was refused: large ones by their SHA-256 only, for refusals
 * cost nothing. New reference. */
json_t *audit_refused_args(const struct ebs_call *c);
/* Token, dry run, audit, begin, wait, answer: sets the call's result or error. */
void change_run(struct ebs_call *c, const struct change *ch);
/* For sagas_at_end(): what the audit log has as begun is done, or undone. */
int change_ended(struct store_tx *tx, const struct saga *s, bool done, struct err *err);
/* The call failed since what it names is not there. Did an earlier request with this token, and these arguments, see to
 * that? Then it is answered as that one was, and no longer failed: true. */
bool change_repeated(struct ebs_call *c);

/* ---------------------------------------------------------------- drop.c */

/* 0: the pool (NULL: any) is open; -ECONNREFUSED: it is not; or another -errno. */
int pool_is_open(struct ebs *e, const char *pool, struct err *err);
/* Deletes a volume or snapshot. 0: an open pool does not have it (any more). -EAGAIN: the pool is not open. */
int pool_drop(struct ebs *e, const char *pool, const char *name, struct err *err);
/* 1: an open pool has it, 0: it does not; or a -errno. */
int pool_has(struct ebs *e, const char *pool, const char *name, struct err *err);
/* 0: nobody has it open, or it is not there. -EBUSY; -EAGAIN as above. */
int pool_idle(struct ebs *e, const char *pool, const char *name, struct err *err);

/* Deleting only puts it into the recycle bin, if there is one and the call does not say "permanently". */
void bin_instead(const struct ebs_call *c, struct change *ch);
/* 0, or the call failed: the bin lets go of it (c->from_bin), and somebody has taken it out since that was found. */
int bin_over(struct ebs_call *c, const json_t *row);
/* What then changes in its row, by the document of that change; new reference. */
json_t *bin_change(const json_t *doc);

/* Rows of tags for a resource from an object; -EINVAL beyond the limits. */
int tags_put(struct store_tx *tx, struct ebs_call *c, const char *id, const json_t *tags);
int tags_drop(struct store_tx *tx, const char *id, struct err *err);
/* "NAME" -> the tag Name, unless there is one in tags; new reference. */
json_t *tags_with_name(const json_t *tags, const char *name);
/* 0, or the code: would `more` more of "volumes", "bytes", "snapshots" be over a quota? */
int quota_check(struct store_tx *tx, struct ebs_call *c, const char *what, uint64_t more);

/* The tags of a row for another resource. */
int tags_copy(struct store_tx *tx, struct ebs_call *c, const json_t *from, const char *to);

/* ---------------------------------------------------------------- volume.c, snapshot.c: rows, states */

/* The row of a new volume, "creating", and its tags, within quotas; doc: "id", "pool", "size_bytes", and what is not in
 * the arguments: "type", "snapshot_id", "origin", ceilings, mode. */
int volume_enter(struct store_tx *tx, struct ebs_call *c, json_t *doc);
/* 0, or the call failed: the volume is in another state than that; it is attached or exported. */
int must_be(struct ebs_call *c, const json_t *row, const char *state);
int nobody_has(struct store_tx *tx, struct ebs_call *c, const json_t *row);
/* The row of a new snapshot, "pending", and its tags; source: the row of what it is made of (size, pool); volume: whose
 * snapshot it is, or NULL. doc: "group"?, "description"? (else the argument). No quota. */
int snapshot_enter(struct store_tx *tx, struct ebs_call *c, const json_t *doc, const char *id, const json_t *source,
		   const char *volume);
/* One verb of the pool in doc "pool"; its result is not wanted. args: reference is taken. */
int ask_pool(const struct saga *s, const char *verb, json_t *args, struct err *err);

/* The pool that a new volume goes to; new reference, or NULL: the call failed. */
json_t *pool_of(struct ebs_call *c);
/* The apply() of a saga that makes a volume in the pool: doc "id" (its name there), "size_bytes", "source"?,
 * "source_bytes"?. */
int volume_make(struct saga *s, struct err *err);

/* ---------------------------------------------------------------- fill.c: snapshots that are filled from outside */

#define FILL_PREFIX "fill-" /* of volumes in the pool that snapshots will be made of */
/* Is it such a name? snapshot: the id of which one. */
bool fill_is_volume(const char *name, char snapshot[EBS_ID_MAX]);
/* Its ledger (box/ledger.h); malloc'd, or NULL. */
char *fill_path(const struct ebs *e, const char *id);
/* One block that is being written; waits while it is by somebody else. id is borrowed. */
struct fill_put {
	struct link link;
	const char *id;
	uint64_t index;
};
void fill_put_begin(struct ebs *e, struct fill_put *put, const char *id, uint64_t index);
void fill_put_end(struct ebs *e, struct fill_put *put);
/* If it is being filled, it is given up, which is the call's end: true. */
bool fill_cancel(struct ebs_call *c, const char *id);

/* ---------------------------------------------------------------- lock.c: locks of snapshots */

/* "governance", "compliance", "compliance-cooloff", "expired"; NULL: it has none. */
const char *lock_state(const json_t *snapshot, uint64_t now_ms);
/* Whether nobody may delete it now. */
bool snapshot_locked(const json_t *snapshot, uint64_t now_ms);

/* ---------------------------------------------------------------- when.c: times */

/* When something is done again and again; all in UTC. */
struct when {
	uint64_t every_ms; /* 0: by the calendar */
	uint64_t minutes; /* bit sets: 0 to 59, 0 to 23, 1 to 31, 1 to 12, 0 (Sunday) to 6 */
	uint32_t hours, days, months, weekdays;
	bool either_day; /* days and weekdays are both named: one of them will do */
};
/* "30 minutes", "6 hours", "2 days" (also 30m, 6h, 2d), "daily 03:15", "weekly sun 03:15", or five fields as cron's.
 * -EINVAL: none of these, or never. */
int when_parse(const char *text, struct when *ret, struct err *err);
/* The first time after that; what is every so often counts from there. */
uint64_t when_next(const struct when *w, uint64_t after_ms);
/* "2026-01-02" or "2026-01-02T03:04:05Z", with fractions or not; -EINVAL. */
int when_time(const char *text, uint64_t *ret_ms, struct err *err);

/* ---------------------------------------------------------------- run.c: schedules */

/* Runs those that are due; waits for nothing. */
void schedules_due(struct ebs *e);
/* Deletes what their rules say is old; waits for nothing. */
void schedules_prune(struct ebs *e);
/* What a snapshot's row says of the schedule that it is made by (c->schedule); new reference. */
json_t *schedule_columns(const struct ebs_call *c);
/* Runs one, whose row this is. at: tells this run from others: the same again makes nothing new. wait_ms: for the end
 * of each snapshot. The snapshots that were begun are appended to made. 0, or the first error of any, in err and its
 * row. */
int schedule_run(struct ebs *e, const json_t *row, const char *at, uint32_t wait_ms, json_t *made, struct err *err);
void schedule_prune(struct ebs *e, const json_t *row);
/* The volumes that a spec means now, as members of ids (or NULL: only whether it can be asked). */
int schedule_selects(struct store_tx *tx, const json_t *spec, json_t *ids, struct err *err);
/* New reference, or NULL. */
json_t *schedule_row(struct ebs *e, const char *id, struct err *err);

/* ---------------------------------------------------------------- what is shown */

int volume_gather(struct store_tx *tx, json_t *rows, struct err *err);
json_t *volume_shown(struct store_tx *tx, const json_t *row, const json_t *tags, struct err *err);
/* id, name, state, zone, and where in the pools: "pool", "pool_name". status.c. */
json_t *volume_brief(struct store_tx *tx, const json_t *row, const json_t *tags, struct err *err);
json_t *snapshot_shown(struct store_tx *tx, const json_t *row, const json_t *tags, struct err *err);
json_t *host_shown(struct store_tx *tx, const json_t *row, const json_t *tags, struct err *err);
json_t *vm_shown(struct store_tx *tx, const json_t *row, const json_t *tags, struct err *err);
/* "2026-01-02T03:04:05.000Z"; JSON null for NULL. */
json_t *time_shown(const json_t *ms);

/* ---------------------------------------------------------------- target.c: what tgtd should have */

/* Makes tgtd's target of this volume what the catalogue says: there, with these initiators and secrets, or not there.
 * 0 without tgtd configured. force: sessions of nobody's are ended. */
int target_sync(struct ebs *e, const char *volume_id, bool force, struct err *err);
/* All of them, those with attachments first; *ret_failed: how many could not be. */
int target_sync_all(struct ebs *e, unsigned *ret_failed, struct err *err);
/* The target's name of a volume, malloc'd. */
char *target_name(const struct ebs *e, const char *volume_id);

/* ---------------------------------------------------------------- attach.c, host.c */

/* Rows of attachments whose column (volume_id, vm_id, host_id) is id; new reference, or NULL. */
json_t *attachments_of(struct store_tx *tx, const char *column, const char *id, struct err *err);
/* A volume has grown: hosts that have it look at its size again. Those that do not answer within 10 s are told of in
 * the journal, and are no error. rescan.c. */
int rescan_hosts(struct ebs *e, const char *volume_id, struct err *err);
/* Draws the secrets of a login (a row or object with "id") and seals them into it. others: logins of this volume that
 * there are. */
int login_secrets(struct ebs *e, json_t *row, const char *volume_id, const json_t *others, struct err *err);
/* An iSCSI name as tgtd cannot take for anything else, an address for one. export.c. */
bool initiator_ok(const char *name);
/* Before an attachment's id: a setting that says that it was here once; its value is the host. */
#define GONE "gone:"
/* Asks the host's agent what VMs it has, and what is attached there; the catalogue follows. host: id or name.
 * unknown: an array that gets the ids of what is attached there and was never in this catalogue, or NULL. 0 or a
 * -errno. */
int host_refresh(struct ebs *e, const char *host, json_t *unknown);
/* Takes an attachment down there that this catalogue does not know; not by force. 0, -EBUSY: the guest uses it, ... */
int host_forget(struct ebs *e, const char *host, json_t *attachment);

/* ---------------------------------------------------------------- stats.c: what a pool says, all parts of it */

/* The pool's counters, and {"NAME": its counters} of volumes as "volumes". New reference, or NULL. */
json_t *pool_stats(struct ebs *e, const char *pool, struct err *err);
/* Where a volume is hot and where its blocks are, in at most so many buckets (1 to 256). The same. */
json_t *pool_heat(struct ebs *e, const char *pool, const char *name, unsigned buckets, struct err *err);
/* "mapped_bytes", "exclusive_bytes", "shared_bytes"; "complete": false if that is not all. The same. */
json_t *pool_usage(struct ebs *e, const char *pool, const char *name, struct err *err);

/* ---------------------------------------------------------------- findings.c */

/* What is known of a volume when it is explained; answers of its pool as they are, NULL if there are none. */
struct explained {
	const json_t *shown; /* volume-show */
	const json_t *stats; /* pool_stats() */
	const json_t *mine; /* its counters in there; NULL: nobody has asked it for anything */
	const json_t *tiers, *scrub; /* tier-list, scrub-status */
	json_int_t dirty_bytes;
	bool mirrored; /* both halves of the write tier hold what is dirty */
};
/* Blocks that were read, by where they came from; *ret_disk: of them from the capacity device. */
json_int_t explained_reads(const struct explained *x, json_int_t *ret_disk);
/* Sentences that say what is wrong or slow, the worst first: [{"severity", "text"}]; at least one. New reference. */
json_t *findings_of(const struct explained *x);

/* ---------------------------------------------------------------- due.c */

/* What is due by now: schedules, what leaves the recycle bin, old tokens and tasks. Called every second. */
void due_run(struct ebs *e);

/* ---------------------------------------------------------------- watch.c: threads that look after things */

int watch_start(struct ebs *e, struct err *err);
void watch_stop(struct ebs *e);

/* ---------------------------------------------------------------- verbs and sagas, file by file (runs.c lists them) */

void run_verb(struct ebs_call *c); /* the one that the call's verb names */
extern const struct saga_kind ebs_saga_kinds[]; /* ends with a NULL verb */

#define EBS_VERB(name) void name(struct ebs_call *c)
/* volume.c */
EBS_VERB(run_volume_create);
EBS_VERB(run_volume_delete);
EBS_VERB(run_volume_describe);
EBS_VERB(run_volume_modify);
/* attach.c */
EBS_VERB(run_volume_attach);
EBS_VERB(run_volume_detach);
extern const struct saga_step volume_attach_steps[], volume_detach_steps[];
/* import.c: what volume-create with an image needs besides. */
/* Looks at the image; *size_bytes 0 becomes its size. *ret_mark: which one it is, and of what state; new reference. 0,
 * or the call failed. */
int import_check(struct ebs_call *c, json_int_t *size_bytes, json_t **ret_mark);
int import_copy(struct saga *s, struct err *err);
int import_undo(struct saga *s, struct err *err);
/* snapshot.c */
EBS_VERB(run_snapshot_create);
EBS_VERB(run_snapshot_group);
EBS_VERB(run_snapshot_delete);
EBS_VERB(run_snapshot_describe);
extern const struct saga_step snapshot_create_steps[], snapshot_delete_steps[];
/* fill.c */
EBS_VERB(run_snapshot_start);
EBS_VERB(run_snapshot_complete);
extern const struct saga_step snapshot_start_steps[], snapshot_complete_steps[], snapshot_cancel_steps[];
/* host.c */
EBS_VERB(run_host_add);
EBS_VERB(run_host_remove);
EBS_VERB(run_host_describe);
EBS_VERB(run_vm_describe);
/* tag.c, task.c, export.c, doctor.c */
EBS_VERB(run_tag_set);
EBS_VERB(run_tag_remove);
EBS_VERB(run_tag_describe);
EBS_VERB(run_task_describe);
EBS_VERB(run_task_wait);
EBS_VERB(run_audit_describe);
EBS_VERB(run_quota_set);
EBS_VERB(run_quota_describe);
EBS_VERB(run_volume_export);
EBS_VERB(run_volume_unexport);
EBS_VERB(run_volume_login);
EBS_VERB(run_doctor);
/* key.c */
EBS_VERB(run_key_create);
EBS_VERB(run_key_revoke);
EBS_VERB(run_key_describe);
extern const struct saga_step volume_export_steps[], volume_unexport_steps[];
/* bin.c, lock.c, clone.c, revert.c, status.c, schedule.c */
EBS_VERB(run_bin_describe);
EBS_VERB(run_bin_restore);
EBS_VERB(run_snapshot_lock);
EBS_VERB(run_snapshot_unlock);
EBS_VERB(run_volume_clone);
EBS_VERB(run_snapshot_copy);
EBS_VERB(run_volume_revert);
EBS_VERB(run_volume_status);
/* stats.c, explain.c */
EBS_VERB(run_volume_stats);
EBS_VERB(run_volume_heat);
EBS_VERB(run_volume_explain);
EBS_VERB(run_schedule_create);
EBS_VERB(run_schedule_describe);
EBS_VERB(run_schedule_modify);
EBS_VERB(run_schedule_delete);
EBS_VERB(run_schedule_run);
extern const struct saga_step volume_revert_steps[];
/* steps of volume.c */
extern const struct saga_step volume_create_steps[], volume_delete_steps[], volume_modify_steps[],
	volume_import_steps[];
#endif
