/* SPDX-License-Identifier: GPL-2.0-only */
/* oracle.c - the history of sectors, and checks of live reads. oracle.h has the rules; history.c the volumes. */
#include "tests/sim/oracle.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/units.h"
#include "tests/sim/oracle_priv.h"

#define WORDS (ORACLE_SECTOR / 8)
#define PRUNE_FROM 6

const char *const oracle_kinds[OP_KINDS] = {
	[HB_READ] = "read",
	[HB_WRITE] = "write",
	[HB_WRITE_SAME] = "write same",
	[HB_COMPARE] = "compare",
	[HB_COMPARE_WRITE] = "compare and write",
	[HB_OR_WRITE] = "or-write",
	[HB_UNMAP] = "unmap",
	[HB_PREFETCH] = "prefetch",
	[HB_COPY] = "copy",
	[HB_FLUSH] = "flush",
	[OP_FAMILY] = "snapshot or revert",
};

void *need(void *p)
{
	if (!p)
		abort();
	return p;
}

void why_set(struct why *w, const char *fmt, ...)
{
	va_list ap;

	if (w->text[0])
		return; /* the first reason is the reason */
	va_start(ap, fmt);
	vsnprintf(w->text, sizeof(w->text), fmt, ap);
	va_end(ap);
}

/* ------------------------------------------------------------------ sectors as values */

static uint64_t rotl(uint64_t x, unsigned n)
{
	n &= 63;
	return n ? x << n | x >> (64 - n) : x;
}

void sector_fill(void *sector, uint64_t id)
{
	uint8_t *p = sector;

	for (unsigned i = 0; i < WORDS; i++)
		put_le64(p + i * 8, rotl(id, i));
}

bool sector_id(const void *sector, uint64_t *ret)
{
	const uint8_t *p = sector;
	uint64_t id = get_le64(p), diff = 0;

	for (unsigned i = 1; i < WORDS; i++)
		diff |= get_le64(p + i * 8) ^ rotl(id, i);
	*ret = id;
	return !diff;
}

/* ------------------------------------------------------------------ events, operations */

op_t op_new(struct oracle *o, struct op op)
{
	if (o->nop == o->cap_op) {
		o->cap_op = o->cap_op ? o->cap_op * 2 : 256;
		o->op = need(realloc(o->op, o->cap_op * sizeof(*o->op)));
	}
	o->op[o->nop] = op;
	return o->nop++;
}

struct oracle *oracle_new(void)
{
	struct oracle *o = need(calloc(1, sizeof(*o)));

	op_new(o, (struct op){.sure = true, .durable = true});
	table_push(o)->end = 0;
	return o;
}

void vol_free(struct ovol *v)
{
	for (uint64_t i = 0; i < v->nsectors; i++)
		free(v->s[i].v);
	free(v->s);
	free(v);
}

void oracle_free(struct oracle *o)
{
	struct ovol *v;

	if (!o)
		return;
	while ((v = o->vols)) {
		o->vols = v->next;
		vol_free(v);
	}
	for (unsigned i = 0; i < o->ntable; i++)
		table_free(&o->table[i]);
	free(o->table);
	free(o->op);
	free(o);
}

uint64_t oracle_event(struct oracle *o)
{
	return ++o->event;
}

uint64_t oracle_now(const struct oracle *o)
{
	return o->event;
}

/* ------------------------------------------------------------------ sectors */

void sector_reset(struct sector *s, uint64_t id)
{
	if (!s->cap) {
		s->cap = 2;
		s->v = need(malloc(s->cap * sizeof(*s->v)));
	}
	s->n = 1;
	s->v[0] = (struct ver){0, id};
}

void sector_push(struct sector *s, struct ver v)
{
	if (s->n == s->cap) {
		s->cap = s->cap ? s->cap * 2 : 2;
		s->v = need(realloc(s->v, s->cap * sizeof(*s->v)));
	}
	s->v[s->n++] = v;
}

/* ------------------------------------------------------------------ writes */

void oracle_horizon(struct oracle *o, uint64_t event)
{
	o->horizon = event;
}

op_t oracle_begin(struct oracle *o, enum hb_op kind, bool atomic)
{
	return op_new(o, (struct op){.kind = kind, .begin = oracle_event(o), .end = NO_EVENT, .atomic = atomic});
}

void sector_keep_only(struct sector *s, uint64_t id)
{
	uint32_t n = 0;

	for (uint32_t j = 0; j < s->n; j++)
		if (s->v[j].id == id)
			s->v[n++] = s->v[j];
	if (n) /* or the caller has just complained */
		s->n = n;
}

/* Whether no crash from now on can bring version j back. */
static bool forgotten(const struct oracle *o, const struct sector *s, uint32_t j)
{
	for (uint32_t k = j + 1; k < s->n; k++) {
		const struct op *op = &o->op[s->v[k].op];

		if (replaces(op, &o->op[s->v[j].op]) && op->end <= o->horizon && (op->durable || op->end <= o->flushed))
			return true;
	}
	return false;
}

void sector_prune(const struct oracle *o, struct sector *s)
{
	uint32_t n = 0;

	if (s->n < PRUNE_FROM || o->keep_all)
		return;
	for (uint32_t j = 0; j < s->n; j++)
		if (!forgotten(o, s, j))
			s->v[n++] = s->v[j];
	s->n = n;
}

void oracle_write(struct oracle *o, op_t op, struct ovol *v, uint64_t sector, const uint64_t *ids, uint64_t n)
{
	assert(sector + n <= v->nsectors);
	for (uint64_t i = 0; i < n; i++) {
		struct sector *s = &v->s[sector + i];

		sector_prune(o, s);
		sector_push(s, (struct ver){op, ids[i]});
	}
}

/* As if `op`, and what is left of it in snapshots, had never been. */
static bool is_of(const struct oracle *o, op_t k, op_t op)
{
	return k == op || o->op[k].of == op;
}

void vol_forget_op(const struct oracle *o, struct ovol *v, op_t op)
{
	for (uint64_t i = 0; i < v->nsectors; i++) {
		struct sector *s = &v->s[i];
		uint32_t n = 0;

		for (uint32_t j = 0; j < s->n; j++)
			if (!is_of(o, s->v[j].op, op))
				s->v[n++] = s->v[j];
		s->n = n;
	}
}

void oracle_end(struct oracle *o, op_t op, enum op_end how)
{
	struct op *p = &o->op[op];

	assert(p->end == NO_EVENT);
	p->end = oracle_event(o);
	p->sure = how == OP_DONE || how == OP_DURABLE;
	p->durable = how == OP_DURABLE;
	if (p->sure && p->kind == HB_WRITE && p->begin > o->anchor_end && !o->wrote_after)
		o->wrote_after = p->end;
	if (how == OP_NEVER)
		for (struct ovol *v = o->vols; v; v = v->next)
			vol_forget_op(o, v, op);
}

void oracle_flushed(struct oracle *o, uint64_t since)
{
	o->flushed = MAX(o->flushed, since);
	if (o->wrote_after && o->wrote_after >= since)
		return;
	if (o->wrote_after)
		o->vouched = o->anchor_begin;
	o->anchor_begin = since;
	o->anchor_end = oracle_event(o);
	o->wrote_after = 0;
}

/* ------------------------------------------------------------------ now */

bool replaced_before(const struct oracle *o, const struct sector *s, uint32_t j, uint64_t at)
{
	for (uint32_t k = j + 1; k < s->n; k++) {
		const struct op *op = &o->op[s->v[k].op];

		if (replaces(op, &o->op[s->v[j].op]) && op->end <= at)
			return true;
	}
	return false;
}

bool oracle_certain(const struct oracle *o, const struct ovol *v, uint64_t sector, uint64_t *ret_id)
{
	const struct sector *s = &v->s[sector];

	*ret_id = s->v[s->n - 1].id;
	for (uint32_t j = 0; j < s->n; j++)
		if (s->v[j].id != *ret_id && !replaced_before(o, s, j, o->event))
			return false;
	return true;
}

static const char *alibi(const struct oracle *o, const struct ovol *v, uint64_t sector, uint64_t id)
{
	for (const struct ovol *w = o->vols; w; w = w->next)
		for (uint64_t i = 0; i < w->nsectors; i++)
			for (uint32_t j = 0; j < w->s[i].n; j++)
				if (w->s[i].v[j].id == id && id)
					return w == v && i == sector ? "older data of this sector"
					       : w == v              ? "data of another sector"
								     : "data of another volume";
	return id ? "unknown data" : "zeros";
}

static bool read_ok(const struct oracle *o, const struct sector *s, uint64_t id, uint64_t since)
{
	for (uint32_t j = s->n; j-- > 0;)
		if (s->v[j].id == id && !replaced_before(o, s, j, since))
			return true;
	return false;
}

bool oracle_read(const struct oracle *o, const struct ovol *v, uint64_t sector, const void *data, uint64_t n,
		 uint64_t since, struct why *why)
{
	const uint8_t *p = data;

	for (uint64_t i = 0; i < n; i++) {
		const struct sector *s = &v->s[sector + i];
		uint64_t id;

		if (!sector_id(p + i * ORACLE_SECTOR, &id)) {
			why_set(why, "read of %s sector %lu: a sector nobody ever wrote so", v->name, sector + i);
			return false;
		}
		if (!read_ok(o, s, id, since)) {
			why_set(why, "read of %s sector %lu: %s (%016lx instead of %016lx)", v->name, sector + i,
				alibi(o, v, sector + i, id), id, s->v[s->n - 1].id);
			return false;
		}
	}
	return true;
}

void oracle_pin(const struct oracle *o, struct ovol *v, uint64_t sector, const void *data, uint64_t n)
{
	const uint8_t *p = data;

	(void)o;
	assert(v->frozen);
	for (uint64_t i = 0; i < n; i++) {
		struct sector *s = &v->s[sector + i];
		uint64_t id;

		if (s->n > 1 && sector_id(p + i * ORACLE_SECTOR, &id))
			sector_keep_only(s, id);
	}
}

/* ------------------------------------------------------------------ two sectors */

static bool may_hold(const struct oracle *o, const struct sector *s, uint64_t id)
{
	return read_ok(o, s, id, o->event);
}

static bool have_common(const struct oracle *o, const struct sector *a, const struct sector *b)
{
	for (uint32_t j = 0; j < a->n; j++)
		if (may_hold(o, a, a->v[j].id) && may_hold(o, b, a->v[j].id))
			return true;
	return false;
}

/* Both are what one and the same operation left behind, and no other touched either since. */
static bool same_history(const struct oracle *o, const struct sector *a, const struct sector *b)
{
	const struct op *last = &o->op[a->v[a->n - 1].op];

	return a->n == b->n && a->v[a->n - 1].op && last->sure && !memcmp(a->v, b->v, a->n * sizeof(*a->v));
}

bool oracle_may_hold(const struct oracle *o, const struct ovol *v, uint64_t sector, uint64_t id)
{
	return sector < v->nsectors && may_hold(o, &v->s[sector], id);
}

enum likeness oracle_compare(const struct oracle *o, const struct ovol *a, const struct ovol *b, uint64_t sector)
{
	uint64_t na = a ? ovol_sectors(a) : 0, nb = ovol_sectors(b);
	const struct sector *sb = &b->s[sector];

	assert(sector < nb);
	if (sector >= na)
		return may_hold(o, sb, 0) ? MAY_DIFFER : DIFFERENT;
	if (!have_common(o, &a->s[sector], sb))
		return DIFFERENT;
	return same_history(o, &a->s[sector], sb) ? SAME_BLOCK : MAY_DIFFER;
}
