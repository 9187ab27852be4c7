/* SPDX-License-Identifier: GPL-2.0-only */
/* clone.c - a volume made of another's contents, a snapshot made of another: nothing is copied, all is shared.
 *
 * The pool makes a clone of a volume in one record of its log, also while the volume is written: it is of one instant,
 * and no snapshot is in between. So both verbs are those of volume.c and snapshot.c, with another source and the same
 * crash stories; what they are made of is locked meanwhile, so it is neither deleted nor grown.
 *
 * On one box a copy of a snapshot shares all blocks with it: what it is good for is that it has tags, a lock and a life
 * of its own, not that it survives the disk.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "verbs/priv.h"

/* ---------------------------------------------------------------- volume-clone */

static int clone_begin(struct store_tx *tx, struct ebs_call *c, json_t *doc)
{
	static const char *const kept[] = {"type", "iops", "bandwidth_bytes_s", "mode"};
	json_t *row = find_row(tx, c, &kind_volume, text_of(doc, "origin"));
	json_int_t size = number_of(row, "size_bytes"), asked = number_of(doc, "size_bytes");
	const char *state = text_of(row, "state");
	int rc = row ? 0 : -ENOENT;

	if (!rc && strcmp(state, "in-use"))
		rc = must_be(c, row, "available");
	if (!rc && asked && asked < size)
		rc = ebs_fail(c, EBS_INVALID_PARAMETER, -EINVAL,
			      "The volume size is less than the source's, %lld bytes.", (long long)size);
	for (size_t i = 0; !rc && i < sizeof(kept) / sizeof(*kept); i++) {
		json_t *v = arg_given(c, kept[i]) ? arg_json(c, kept[i]) : json_object_get(row, kept[i]);

		if (v && !json_is_null(v))
			json_object_set(doc, kept[i], v);
	}
	if (!rc) {
		json_object_set(doc, "source", json_object_get(row, "pool_name"));
		json_object_set_new(doc, "source_bytes", json_integer(size));
		json_object_set(doc, "pool", json_object_get(row, "pool"));
		json_object_set_new(doc, "size_bytes", json_integer(asked ? asked : size));
		rc = volume_enter(tx, c, doc);
	}
	if (!rc && arg_bool(c, "copy_tags"))
		rc = tags_copy(tx, c, row, text_of(doc, "id"));
	if (!rc && arg_bool(c, "copy_tags")) { /* what is said counts more than what is copied */
		json_t *tags = tags_with_name(arg_json(c, "tags"), arg_text(c, "name"));

		rc = tags_put(tx, c, text_of(doc, "id"), tags);
		json_decref(tags);
	}
	json_decref(row);
	return rc;
}

void run_volume_clone(struct ebs_call *c)
{
	char id[EBS_ID_MAX], *source = find_id(c, &kind_volume, arg_text(c, "volume"));
	const char *locks[] = {id, source};
	struct change ch = {.saga = "volume-clone",
			    .resource = id,
			    .locks = locks,
			    .nlocks = 2,
			    .begin = clone_begin,
			    .kind = &kind_volume,
			    .show = volume_shown};
	json_int_t size = (json_int_t)arg_number(c, "size_bytes", 0);

	if (source && size % BLK_BYTES) {
		ebs_fail(c, EBS_INVALID_PARAMETER, -EINVAL, "\"size_bytes\": expected a multiple of 4096");
	} else if (source) {
		ebs_new_id(id, "vol-");
		ch.doc = json_pack("{s:s, s:s, s:I}", "id", id, "origin", source, "size_bytes", size);
		change_run(c, &ch);
	}
	free(source);
}

/* ---------------------------------------------------------------- snapshot-copy */

static int copy_begin(struct store_tx *tx, struct ebs_call *c, json_t *doc)
{
	json_t *row = find_row(tx, c, &kind_snapshot, text_of(doc, "of")), *text;
	json_t *member = json_array_get(json_object_get(doc, "members"), 0);
	int rc = row ? quota_check(tx, c, "snapshots", 1) : -ENOENT;

	if (!rc && strcmp(text_of(row, "state"), "completed"))
		rc = ebs_fail(c, EBS_INCORRECT_STATE, -EBUSY, "Snapshot '%s' is in the '%s' state.", text_of(row, "id"),
			      text_of(row, "state"));
	if (!rc) {
		text = arg_given(c, "description") ? json_incref(arg_json(c, "description"))
						   : json_sprintf("copy of %s", text_of(row, "id"));
		json_object_set_new(doc, "description", text);
		json_object_set(doc, "pool", json_object_get(row, "pool"));
		json_object_set(member, "pool_name", json_object_get(row, "pool_name"));
		rc = snapshot_enter(tx, c, doc, text_of(member, "id"), row, text_of(row, "volume_id"));
	}
	json_decref(row);
	return rc;
}

void run_snapshot_copy(struct ebs_call *c)
{
	char id[EBS_ID_MAX], *source = find_id(c, &kind_snapshot, arg_text(c, "snapshot"));
	const char *locks[] = {id, source};
	struct change ch = {.saga = "snapshot-copy",
			    .resource = id,
			    .locks = locks,
			    .nlocks = 2,
			    .begin = copy_begin,
			    .kind = &kind_snapshot,
			    .show = snapshot_shown};

	if (!source)
		return;
	ebs_new_id(id, "snap-");
	ch.doc = json_pack("{s:s, s:[{s:s}]}", "of", source, "members", "id", id);
	change_run(c, &ch);
	free(source);
}
