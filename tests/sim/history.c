/* SPDX-License-Identifier: GPL-2.0-only */
/* history.c - the oracle's history of the list of volumes: they come, go, change, and are made of each other. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "tests/sim/oracle_priv.h"

/* ------------------------------------------------------------------ the list of volumes */

void table_free(struct table *t)
{
	free(t->row);
	t->row = NULL;
}

static void table_room(struct table *t, unsigned more)
{
	t->row = need(realloc(t->row, (t->n + more) * sizeof(*t->row)));
}

struct table *table_push(struct oracle *o)
{
	struct table t = {.begin = oracle_event(o), .end = NO_EVENT};
	const struct table *from;

	if (o->ntable == o->cap_table) {
		o->cap_table = o->cap_table ? o->cap_table * 2 : 16;
		o->table = need(realloc(o->table, o->cap_table * sizeof(*o->table)));
	}
	from = o->ntable ? &o->table[o->ntable - 1] : NULL;
	table_room(&t, from ? from->n + 1 : 1);
	if (from && from->n)
		memcpy(t.row, from->row, from->n * sizeof(*t.row));
	t.n = from ? from->n : 0;
	o->table[o->ntable] = t;
	return &o->table[o->ntable++];
}

static struct table_row *row_of(struct table *t, const struct ovol *v)
{
	for (unsigned i = 0; i < t->n; i++)
		if (t->row[i].v == v)
			return &t->row[i];
	abort();
}

static void sectors_for(struct ovol *v, uint64_t n)
{
	if (n <= v->nsectors)
		return;
	v->s = need(realloc(v->s, n * sizeof(*v->s)));
	memset(v->s + v->nsectors, 0, (n - v->nsectors) * sizeof(*v->s));
	for (; v->nsectors < n; v->nsectors++)
		sector_reset(&v->s[v->nsectors], 0);
}

void vol_resize(struct ovol *v, uint64_t size_bytes)
{
	v->size_bytes = size_bytes;
	sectors_for(v, size_bytes / ORACLE_SECTOR);
}

/* A volume without sectors, with a row in the list. */
static struct table_row *vol_add(struct oracle *o, struct table *t, const char *name, uint64_t size_bytes)
{
	struct ovol *v = need(calloc(1, sizeof(*v)));
	struct table_row *r;

	table_room(t, 1);
	r = &t->row[t->n++];
	*r = (struct table_row){.v = v, .size_bytes = size_bytes, .attr = {.share = 100}};
	snprintf(v->name, sizeof(v->name), "%.*s", HB_NAME_MAX, name);
	memcpy(r->name, v->name, sizeof(r->name));
	v->size_bytes = size_bytes;
	v->next = o->vols;
	o->vols = v;
	return r;
}

struct ovol *oracle_vol_create(struct oracle *o, const char *name, uint64_t size_bytes)
{
	struct ovol *v = vol_add(o, table_push(o), name, size_bytes)->v;

	vol_resize(v, size_bytes);
	return v;
}

void oracle_vol_delete(struct oracle *o, struct ovol *v)
{
	struct table *t = table_push(o);

	*row_of(t, v) = t->row[t->n - 1];
	t->n--;
}

void oracle_vol_rename(struct oracle *o, struct ovol *v, const char *name)
{
	struct table_row *r = row_of(table_push(o), v);

	memset(r->name, 0, sizeof(r->name));
	snprintf(r->name, sizeof(r->name), "%.*s", HB_NAME_MAX, name);
}

void oracle_vol_resize(struct oracle *o, struct ovol *v, uint64_t size_bytes)
{
	struct table_row *r = row_of(table_push(o), v);

	r->size_bytes = size_bytes;
	volattr_clip(&r->attr, size_bytes / BLK_BYTES);
}

void oracle_vol_set(struct oracle *o, struct ovol *v, const struct hb_volume_attr *attr)
{
	row_of(table_push(o), v)->attr = *attr;
}

/* A clone has all that its source has but the cache floor; a snapshot has some. */
static void attr_pass_on(struct table *t, struct table_row *to, const struct ovol *from)
{
	const struct hb_volume_attr *a = &row_of(t, from)->attr;

	if (to->v->frozen) {
		to->attr.mode = a->mode;
		to->attr.bypass_blk = a->bypass_blk;
		to->attr.read_ahead_blk = a->read_ahead_blk;
	} else {
		to->attr = *a;
		to->attr.cache_floor_mib = 0;
	}
}

/* ------------------------------------------------------------------ volumes made of others */

/* The operation that stands for `op` in what is being made: itself if it is decided, else a twin. */
static op_t frozen_op(struct oracle *o, struct table *t, op_t op)
{
	struct op twin = o->op[op];

	if (twin.sure || twin.twin)
		return op;
	if (twin.resolved)
		return twin.resolved;
	twin.twin = true;
	twin.of = op; /* in flight: it ends when the snapshot is made */
	twin.resolved = op_new(o, twin);
	o->op[twin.resolved].resolved = 0;
	if (!t->ntwins++)
		t->twin = twin.resolved;
	return o->op[op].resolved = twin.resolved;
}

static void vol_copy(struct oracle *o, struct table *t, struct ovol *to, const struct ovol *from)
{
	sectors_for(to, to->size_bytes / ORACLE_SECTOR);
	for (uint64_t i = 0; i < to->nsectors; i++) {
		const struct sector *s = &from->s[i];

		to->s[i].n = 0;
		for (uint32_t j = 0; j < s->n; j++)
			sector_push(&to->s[i], (struct ver){frozen_op(o, t, s->v[j].op), s->v[j].id});
	}
}

/* Twins are found by the operations in doubt, while they are being made. */
static void twins_made(struct oracle *o, const struct table *t)
{
	for (op_t i = t->twin; i < t->twin + t->ntwins; i++)
		o->op[o->op[i].of].resolved = 0;
}

void oracle_vol_snapshot(struct oracle *o, struct osnap *what, unsigned n)
{
	struct table *t = table_push(o);

	for (unsigned i = 0; i < n; i++) {
		struct ovol *src = what[i].source;
		struct table_row *r = vol_add(o, t, what[i].name, src->size_bytes);

		what[i].made = r->v;
		r->v->frozen = !what[i].writable;
		r->same = src->frozen ? src : NULL;
		r->same_at = NO_EVENT;
		for (unsigned k = 0; k < i && !r->same; k++)
			if (what[k].source == src && !what[k].writable)
				r->same = what[k].made;
		attr_pass_on(t, r, src);
		vol_copy(o, t, r->v, src);
	}
	twins_made(o, t);
}

/* Everything of the snapshot is written to v, which may have been larger. */
static void revert_write(struct oracle *o, op_t op, struct ovol *v, const struct ovol *snap)
{
	uint64_t n = ovol_sectors(snap);

	sectors_for(v, n);
	for (uint64_t i = 0; i < v->nsectors; i++) {
		const struct sector *s = i < n ? &snap->s[i] : NULL;
		struct sector *to = &v->s[i];

		sector_prune(o, to);
		if (!s)
			sector_push(to, (struct ver){op, 0});
		for (uint32_t j = 0; s && j < s->n; j++)
			if (!replaced_before(o, s, j, o->event))
				sector_push(to, (struct ver){op, s->v[j].id});
	}
}

void oracle_vol_revert(struct oracle *o, struct orevert *what, unsigned n)
{
	struct table *t = table_push(o);
	struct table_row *r;

	t->op = op_new(o, (struct op){.kind = OP_FAMILY, .begin = t->begin, .end = NO_EVENT, .atomic = true});
	for (unsigned i = 0; i < n; i++) {
		struct orevert *w = &what[i];

		r = vol_add(o, t, w->keep, w->v->size_bytes);
		w->kept = r->v;
		w->kept->frozen = true;
		attr_pass_on(t, r, w->v);
		vol_copy(o, t, w->kept, w->v);
		r = row_of(t, w->v);
		r->size_bytes = w->snapshot->size_bytes;
		volattr_clip(&r->attr, r->size_bytes / BLK_BYTES);
		r->same = w->snapshot;
		r->same_at = NO_EVENT;
	}
	twins_made(o, t);
	for (unsigned i = 0; i < n; i++)
		revert_write(o, t->op, what[i].v, what[i].snapshot);
}

/* ------------------------------------------------------------------ it came back */

static bool made_by(const struct table *t, const struct table *before, const struct ovol *v)
{
	for (unsigned i = before->n; i < t->n; i++)
		if (t->row[i].v == v)
			return true;
	return false;
}

static void never(struct oracle *o, struct table *t)
{
	struct ovol **at = &o->vols, *v;

	while ((v = *at)) {
		if (made_by(t, t - 1, v)) {
			*at = v->next;
			vol_free(v);
			continue;
		}
		if (t->op)
			vol_forget_op(o, v, t->op);
		at = &v->next;
	}
	table_free(t);
	o->ntable--;
}

static void happened(struct oracle *o, struct table *t)
{
	t->end = oracle_event(o);
	for (op_t i = t->twin; i < t->twin + t->ntwins; i++)
		o->op[i].end = MIN(o->op[i].end, t->end);
	if (t->op) {
		o->op[t->op].end = t->end;
		o->op[t->op].sure = true;
	}
	for (unsigned i = 0; i < t->n; i++) {
		struct table_row *r = &t->row[i];

		memcpy(r->v->name, r->name, sizeof(r->name));
		vol_resize(r->v, r->size_bytes);
		if (r->same && r->same_at == NO_EVENT)
			r->same_at = t->end;
	}
}

void oracle_vol_end(struct oracle *o, bool ok)
{
	struct table *t = &o->table[o->ntable - 1];

	assert(t->end == NO_EVENT);
	if (ok)
		happened(o, t);
	else
		never(o, t);
}

void oracle_vol_known(struct ovol *v, const struct hb_volume_info *info)
{
	v->known = *info;
}

/* ------------------------------------------------------------------ asking */

struct ovol *oracle_vol(const struct oracle *o, unsigned n)
{
	const struct table *t = &o->table[o->ntable - 1];

	return n < t->n ? t->row[n].v : NULL;
}

const struct hb_volume_attr *oracle_attr(const struct oracle *o, const struct ovol *v)
{
	return &row_of(&o->table[o->ntable - 1], v)->attr;
}

const char *ovol_name(const struct ovol *v)
{
	return v->name;
}

bool ovol_frozen(const struct ovol *v)
{
	return v->frozen;
}

uint32_t ovol_id(const struct ovol *v)
{
	return v->known.id;
}

uint32_t ovol_family(const struct ovol *v)
{
	return v->known.family_id;
}

uint64_t ovol_size(const struct ovol *v)
{
	return v->size_bytes;
}

uint64_t ovol_sectors(const struct ovol *v)
{
	return v->size_bytes / ORACLE_SECTOR;
}
