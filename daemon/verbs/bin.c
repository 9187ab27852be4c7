/* SPDX-License-Identifier: GPL-2.0-only */
/* bin.c - the recycle bin: what is in it, and how it comes out again. What is put there: begin.c; what leaves it:
 * due.c.
 *
 * In the bin a volume or snapshot is a row in the state "recoverable", and all its bytes; so coming back is a change of
 * the catalogue alone.
 */
#include <errno.h>
#include <string.h>

#include "verbs/priv.h"

static const struct kind *kind_of(const char *id)
{
	return ebs_is_id(id, kind_snapshot.prefix) ? &kind_snapshot : &kind_volume;
}

/* ---------------------------------------------------------------- describe */

static json_t *shown(const json_t *row, const struct kind *k, const json_t *tags)
{
	static const char *const columns[] = {"id", "size_bytes", "volume_id", "description", "pool", "bin_ms",
					      "bin_until_ms"};
	json_t *o = json_pack("{s:s}", "kind", k->word);

	for (size_t i = 0; i < sizeof(columns) / sizeof(*columns); i++)
		if (json_object_get(row, columns[i]))
			json_object_set(o, columns[i], json_object_get(row, columns[i]));
	json_object_set_new(o, "deleted", time_shown(json_object_get(row, "bin_ms")));
	json_object_set_new(o, "kept_until", time_shown(json_object_get(row, "bin_until_ms")));
	if (json_object_get(tags, "Name"))
		json_object_set(o, "name", json_object_get(tags, "Name"));
	json_object_set_new(o, "tags", tags ? json_copy((json_t *)(uintptr_t)tags) : json_object());
	return o;
}

/* What of this kind is in the bin, and the caller's own; of that name, unless it is NULL. New reference. */
static json_t *binned(struct store_tx *tx, const struct ebs_call *c, const struct kind *k, const char *name,
		      unsigned limit, struct err *err)
{
	const char *state = "recoverable";
	struct store_filter f[2 + EBS_KEY_TAGS_MAX] = {{.column = "state", .values = &state, .nvalues = 1},
						       {.column = "tag:Name", .values = &name, .nvalues = 1}};
	struct store_query q = {
		.table = k->table, .filters = f, .nfilters = name ? 2 : 1, .order = "created_ms", .limit = limit};
	struct rights_filters own;
	json_t *rows = NULL;
	int rc = rights_filters(tx, c, k->table, &own, err);

	for (unsigned i = 0; i < own.n; i++)
		f[q.nfilters++] = own.filters[i];
	if (!rc)
		rows = store_find(tx, &q, NULL, err);
	rights_filters_free(&own);
	return rows;
}

struct contents {
	struct ebs_call *c;
	json_t *bin;
};

static int read_kind(struct store_tx *tx, struct contents *b, const struct kind *k, struct err *err)
{
	json_t *rows, *tags, *row;
	size_t i, most = arg_number(b->c, "limit", EBS_PAGE_MAX), n = json_array_size(b->bin);

	if (n >= most)
		return 0;
	rows = binned(tx, b->c, k, NULL, (unsigned)(most - n), err);
	tags = rows ? store_tags(tx, rows, err) : NULL;
	json_array_foreach(rows, i, row)
		json_array_append_new(b->bin, shown(row, k, json_object_get(tags, text_of(row, "id"))));
	json_decref(rows);
	json_decref(tags);
	return tags ? 0 : err->code;
}

static int read_bin(struct store_tx *tx, void *arg, struct err *err)
{
	struct contents *b = arg;
	const char *kind = arg_text(b->c, "kind");
	int rc = 0;

	if (!kind || !strcmp(kind, kind_volume.word))
		rc = read_kind(tx, b, &kind_volume, err);
	if (!rc && (!kind || !strcmp(kind, kind_snapshot.word)))
		rc = read_kind(tx, b, &kind_snapshot, err);
	return rc;
}

void run_bin_describe(struct ebs_call *c)
{
	struct contents b = {c, json_array()};
	struct err err = ERR_INIT;

	if (store_read(c->ebs->store, read_bin, &b, &err))
		ebs_fail_err(c, &err);
	else
		c->result = json_pack("{s:O}", "bin", b.bin);
	json_decref(b.bin);
}

/* ---------------------------------------------------------------- restore */

/* A snapshot that comes back is nobody's rule any more: the schedule that made it would delete it again at once. */
static int restore_begin(struct store_tx *tx, struct ebs_call *c, json_t *doc)
{
	const struct kind *k = kind_of(text_of(doc, "id"));
	json_t *row = find_row(tx, c, k, text_of(doc, "id")), *change = NULL;
	struct err err = ERR_INIT;
	int rc = row ? 0 : -ENOENT;

	if (!rc && strcmp(text_of(row, "state"), "recoverable"))
		rc = ebs_fail(c, EBS_INCORRECT_STATE, -EINVAL, "The %s '%s' is in the '%s' state: not in the bin.",
			      k->word, text_of(row, "id"), text_of(row, "state"));
	if (!rc)
		change = json_pack("{s:s, s:n, s:n}", "state", k == &kind_volume ? "available" : "completed", "bin_ms",
				   "bin_until_ms");
	if (!rc && k == &kind_snapshot)
		json_object_update_new(change, json_pack("{s:n, s:n}", "schedule_id", "expires_ms"));
	if (!rc && store_update(tx, k->table, text_of(doc, "id"), change, &err))
		rc = ebs_fail_err(c, &err);
	json_decref(change);
	json_decref(row);
	return rc;
}

/* A name means what has it in the bin: a volume, else a snapshot. */
struct named {
	struct ebs_call *c;
	char *id;
};

static int find_named(struct store_tx *tx, void *arg, struct err *err)
{
	struct named *n = arg;
	const char *name = arg_text(n->c, "resource");
	const struct kind *const kinds[] = {&kind_volume, &kind_snapshot};

	for (size_t i = 0; i < 2 && !n->id; i++) {
		json_t *rows = binned(tx, n->c, kinds[i], name, 2, err);

		if (json_array_size(rows) > 1)
			ebs_fail(n->c, EBS_AMBIGUOUS, -ENOTUNIQ, "the name '%.100s' means more than one %s in the bin",
				 name, kinds[i]->word);
		else if (json_array_size(rows))
			n->id = strdup(text_of(json_array_get(rows, 0), "id"));
		json_decref(rows);
		if (n->c->code || !rows)
			return -ENOTUNIQ;
	}
	return 0;
}

static char *id_of(struct ebs_call *c)
{
	const char *text = arg_text(c, "resource");
	struct named n = {c, NULL};
	struct err err = ERR_INIT;

	if (ebs_is_id(text, kind_volume.prefix) || ebs_is_id(text, kind_snapshot.prefix))
		return find_id(c, kind_of(text), text);
	if (store_read(c->ebs->store, find_named, &n, &err) && !c->code)
		ebs_fail_err(c, &err);
	if (!n.id && !c->code) {
		ebs_fail(c, EBS_NO_RESOURCE, -ENOENT, "Nothing in the bin is named '%.100s'.", text);
		change_repeated(c);
	}
	return n.id;
}

void run_bin_restore(struct ebs_call *c)
{
	char *id = id_of(c);
	const char *locks[] = {id};
	struct change ch = {.resource = id, .locks = locks, .nlocks = 1, .begin = restore_begin};

	if (!id)
		return;
	ch.kind = kind_of(id);
	ch.show = ch.kind == &kind_volume ? volume_shown : snapshot_shown;
	ch.doc = json_pack("{s:s}", "id", id);
	change_run(c, &ch);
	free(id);
}
