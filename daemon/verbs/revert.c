/* SPDX-License-Identifier: GPL-2.0-only */
/* revert.c - a volume back to a snapshot of its own, in place; what it held before is kept as a snapshot.
 *
 * The pool does it in one record of its log, which makes that snapshot, too. So at any moment the volume's name means
 * the old contents or the new ones, all of them, and which ones is told by whether the kept snapshot is there.
 *
 * Crash stories
 * - Killed before the pool was asked, or the pool refused: the kept snapshot is not there, and undoing has nothing to
 *   do.
 * - Killed after the pool did it: undone. The volume goes back to the kept snapshot (which makes another one, whose
 *   name was drawn before as well), then both are deleted, the kept one first: as long as that is there, undoing begins
 *   from the beginning, and finds that it went back already; when it is gone, only the other one can be left.
 * - After the step has ended: done. The row got the snapshot's size in the same transaction.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "verbs/priv.h"

static int is_its_own(struct ebs_call *c, const json_t *volume, const json_t *snapshot)
{
	const char *id = text_of(volume, "id"), *of = text_of(snapshot, "volume_id");
	const char *began = text_of(volume, "snapshot_id"), *state = text_of(snapshot, "state");

	if (strcmp(state, "completed"))
		return ebs_fail(c, EBS_INCORRECT_STATE, -EBUSY, "Snapshot '%s' is in the '%s' state.",
				text_of(snapshot, "id"), state);
	if ((of && !strcmp(of, id)) || (began && !strcmp(began, text_of(snapshot, "id"))))
		return 0;
	return ebs_fail(c, EBS_INVALID_PARAMETER, -EINVAL,
			"Snapshot '%s' is not of volume '%s', nor what that began as.", text_of(snapshot, "id"), id);
}

static int revert_begin(struct store_tx *tx, struct ebs_call *c, json_t *doc)
{
	json_t *volume = find_row(tx, c, &kind_volume, text_of(doc, "id")), *snapshot = NULL;
	int rc = volume ? must_be(c, volume, "available") : -ENOENT;

	if (!rc)
		rc = nobody_has(tx, c, volume);
	if (!rc) {
		snapshot = find_row(tx, c, &kind_snapshot, text_of(doc, "to"));
		rc = snapshot ? is_its_own(c, volume, snapshot) : -ENOENT;
	}
	if (!rc)
		rc = quota_check(tx, c, "snapshots", 1);
	if (!rc) {
		json_object_set(doc, "pool", json_object_get(volume, "pool"));
		json_object_set(doc, "pool_name", json_object_get(volume, "pool_name"));
		json_object_set(doc, "source", json_object_get(snapshot, "pool_name"));
		json_object_set(doc, "size_bytes", json_object_get(snapshot, "size_bytes"));
		json_object_set_new(doc, "description",
				    json_sprintf("before the revert to %s", text_of(doc, "to")));
		rc = snapshot_enter(tx, c, doc, text_of(doc, "kept"), volume, text_of(volume, "id"));
	}
	json_decref(snapshot);
	json_decref(volume);
	return rc;
}

void run_volume_revert(struct ebs_call *c)
{
	char *id = find_id(c, &kind_volume, arg_text(c, "volume"));
	char *to = id ? find_id(c, &kind_snapshot, arg_text(c, "snapshot")) : NULL;
	char kept[EBS_ID_MAX], unkept[EBS_ID_MAX];
	const char *locks[] = {id, to, kept, unkept};
	struct change ch = {.saga = "volume-revert",
			    .resource = id,
			    .locks = locks,
			    .nlocks = 4,
			    .begin = revert_begin,
			    .kind = &kind_volume,
			    .show = volume_shown};

	if (id && to) {
		ebs_new_id(kept, "snap-");
		ebs_new_id(unkept, "snap-");
		ch.doc = json_pack("{s:s, s:s, s:s, s:s}", "id", id, "to", to, "kept", kept, "unkept", unkept);
		change_run(c, &ch);
		if (c->result && !c->dry_ok && !c->repeated)
			json_object_set_new(c->result, "kept", json_string(kept));
	}
	free(to);
	free(id);
}

/* Nobody should have it open; a target may be left that nobody wants any more. */
static int revert_target(struct saga *s, struct err *err)
{
	struct ebs *e = s->ctx;
	int rc = target_sync(e, text_of(s->doc, "id"), true, err);

	return rc ? rc : pool_idle(e, text_of(s->doc, "pool"), text_of(s->doc, "pool_name"), err);
}

static int drop_row(struct store_tx *tx, struct saga *s, struct err *err)
{
	int rc = tags_drop(tx, text_of(s->doc, "kept"), err);

	rc = rc ? rc : store_delete(tx, T_SNAPSHOT, text_of(s->doc, "kept"), err);
	if (rc != -ENOENT)
		return rc;
	*err = ERR_INIT;
	return 0;
}

/* Success if it was done before: `keep` is there. */
static int revert(const struct saga *s, json_t *to, const char *keep, struct err *err)
{
	int rc = ask_pool(s, "volume-revert",
			  json_pack("{s:O, s:O, s:O}", "name", json_object_get(s->doc, "pool_name"), "snapshot", to,
				    "keep", json_object_get(s->doc, keep)), err);

	if (rc != -EEXIST)
		return rc;
	*err = ERR_INIT;
	return 0;
}

static int revert_apply(struct saga *s, struct err *err)
{
	return revert(s, json_object_get(s->doc, "source"), "kept", err);
}

static int revert_settle(struct store_tx *tx, struct saga *s, struct err *err)
{
	json_t *size = json_pack("{s:O}", "size_bytes", json_object_get(s->doc, "size_bytes"));
	json_t *done = json_pack("{s:s, s:i}", "state", "completed", "progress_pct", 100);
	int rc = store_update(tx, T_VOLUME, text_of(s->doc, "id"), size, err);

	rc = rc ? rc : store_update(tx, T_SNAPSHOT, text_of(s->doc, "kept"), done, err);
	json_decref(done);
	json_decref(size);
	return rc;
}

static int revert_undo(struct saga *s, struct err *err)
{
	const char *pool = text_of(s->doc, "pool"), *kept = text_of(s->doc, "kept");
	int rc = pool_has(s->ctx, pool, kept, err);

	if (rc > 0)
		rc = revert(s, json_object_get(s->doc, "kept"), "unkept", err);
	rc = rc ? rc : pool_drop(s->ctx, pool, kept, err);
	return rc ? rc : pool_drop(s->ctx, pool, text_of(s->doc, "unkept"), err);
}

const struct saga_step volume_revert_steps[] = {
	{"target", revert_target, NULL, NULL, drop_row},
	{"pool", revert_apply, revert_settle, revert_undo, NULL},
};
