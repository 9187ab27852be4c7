/* SPDX-License-Identifier: GPL-2.0-only */
/* verdict.c - judges what was found after a crash. oracle.h has the rules.
 *
 * What is kept is the set of events T at which the world could have looked as found so far: a few closed intervals.
 * Each sector, and the list of volumes, allows some intervals; the set shrinks to what all allow.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "base/units.h"
#include "tests/sim/oracle_priv.h"

#define SET_MAX 64
#define BLOCK_SECTORS (BLK_BYTES / ORACLE_SECTOR)
#define BLOCK_OPS_MAX 96

struct span {
	uint64_t lo, hi; /* both included */
};

struct set {
	unsigned n;
	struct span s[SET_MAX];
};

struct found {
	struct ovol *v;
	uint64_t nsectors;
	uint64_t *id;
};

struct verdict {
	struct oracle *o;
	enum oracle_rule rule;
	struct set set;
	uint64_t durable; /* where the set began */
	uint8_t *mark; /* by operation: MARK_HAS, MARK_LACKS; of atomic ones */
	char narrowed[2][96]; /* who cut the set from above and from below last */
	unsigned table, first_table; /* which list of volumes was found; the first that looks like it */
	unsigned nfound;
	struct found *found;
	uint64_t hash;
};

enum { MARK_HAS = 1, MARK_LACKS = 2 };

struct verdict *verdict_begin(struct oracle *o, enum oracle_rule rule)
{
	const uint64_t from[] = {[AFTER_DEATH] = o->event,
				 [AFTER_POWER_CUT] = o->flushed,
				 [AFTER_BIT_FLIP] = o->vouched,
				 [AFTER_DAMAGE] = 0};
	struct verdict *x = need(calloc(1, sizeof(*x)));

	x->o = o;
	x->rule = rule;
	x->set.n = 1;
	x->durable = from[rule];
	x->set.s[0] = (struct span){x->durable, o->event};
	x->mark = need(calloc(o->nop, 1));
	return x;
}

void verdict_free(struct verdict *x)
{
	if (!x)
		return;
	for (unsigned i = 0; i < x->nfound; i++)
		free(x->found[i].id);
	free(x->found);
	free(x->mark);
	free(x);
}

/* ------------------------------------------------------------------ sets of events */

static void set_add(struct set *s, uint64_t lo, uint64_t hi)
{
	if (lo > hi)
		return;
	for (unsigned i = 0; i < s->n;) {
		if (s->s[i].lo > hi || s->s[i].hi < lo) {
			i++;
			continue;
		}
		lo = MIN(lo, s->s[i].lo);
		hi = MAX(hi, s->s[i].hi);
		s->s[i] = s->s[--s->n];
		i = 0;
	}
	if (s->n == SET_MAX) { /* rather too large a set than too small a one */
		s->n--;
		set_add(s, MIN(lo, s->s[s->n].lo), MAX(hi, s->s[s->n].hi));
		return;
	}
	s->s[s->n++] = (struct span){lo, hi};
}

static uint64_t set_lo(const struct set *s)
{
	uint64_t lo = UINT64_MAX;

	for (unsigned i = 0; i < s->n; i++)
		lo = MIN(lo, s->s[i].lo);
	return lo;
}

static uint64_t set_hi(const struct set *s)
{
	uint64_t hi = 0;

	for (unsigned i = 0; i < s->n; i++)
		hi = MAX(hi, s->s[i].hi);
	return hi;
}

static bool covers(const struct set *a, uint64_t lo, uint64_t hi)
{
	for (unsigned i = 0; i < a->n; i++)
		if (a->s[i].lo <= lo && a->s[i].hi >= hi)
			return true;
	return false;
}

/* The set shrinks to what `by` allows. False, with a reason, when nothing is left (the set stays as it was). */
static bool narrow(struct verdict *x, const struct set *by, const char *who, uint64_t sector, struct why *why)
{
	uint64_t lo = set_lo(&x->set), hi = set_hi(&x->set);
	struct set both = {0};

	if (covers(by, lo, hi) || x->rule >= AFTER_BIT_FLIP)
		return true;
	for (unsigned i = 0; i < x->set.n; i++)
		for (unsigned j = 0; j < by->n; j++)
			set_add(&both, MAX(x->set.s[i].lo, by->s[j].lo), MIN(x->set.s[i].hi, by->s[j].hi));
	if (!both.n) {
		why_set(why,
			"%s sector %lu is of moment %lu..%lu, but the rest of %lu..%lu (from below by %s, from above "
			"by %s)",
			who, sector, set_lo(by), set_hi(by), lo, hi,
			x->narrowed[0][0] ? x->narrowed[0] : "what is durable",
			x->narrowed[1][0] ? x->narrowed[1] : "the present");
		return false;
	}
	x->set = both;
	if (set_lo(&both) > lo)
		snprintf(x->narrowed[0], sizeof(x->narrowed[0]), "%s sector %lu", who, sector);
	if (set_hi(&both) < hi)
		snprintf(x->narrowed[1], sizeof(x->narrowed[1]), "%s sector %lu", who, sector);
	return true;
}

/* ------------------------------------------------------------------ the list of volumes */

static struct table_row *row_named(const struct table *t, const char *name)
{
	for (unsigned j = 0; j < t->n; j++)
		if (!strcmp(name, t->row[j].name))
			return &t->row[j];
	return NULL;
}

static bool table_matches(const struct table *t, const struct hb_volume_info *found, unsigned n)
{
	if (n != t->n)
		return false;
	for (unsigned i = 0; i < n; i++) {
		const struct table_row *r = row_named(t, found[i].name);

		if (!r || found[i].size_bytes != r->size_bytes || !volattr_same(&found[i].attr, &r->attr))
			return false;
	}
	return true;
}

/* A volume is what it was made to be. */
static bool identity_ok(const struct ovol *v, const struct hb_volume_info *is, struct why *why)
{
	const struct hb_volume_info *was = &v->known;
	bool ok = is->snapshot == v->frozen;

	if (was->id)
		ok = ok && is->id == was->id && is->parent_id == was->parent_id && is->family_id == was->family_id &&
		     !memcmp(is->uuid, was->uuid, 16) && !memcmp(is->content, was->content, 16);
	if (!ok)
		why_set(why, "%s (id %u, of %u, family %u) came back as %s (id %u, of %u, family %u)", v->name, was->id,
			was->parent_id, was->family_id, is->snapshot ? "a snapshot" : "a volume", is->id, is->parent_id,
			is->family_id);
	return ok;
}

/* What a revert wrote is there if its list of volumes is, and not if it is not. */
static void mark_reverts(struct verdict *x)
{
	const struct oracle *o = x->o;

	for (unsigned i = 0; i < o->ntable; i++) {
		if (o->table[i].op && i <= x->first_table)
			x->mark[o->table[i].op] |= MARK_HAS;
		if (o->table[i].op && i > x->table)
			x->mark[o->table[i].op] |= MARK_LACKS;
	}
}

static void volumes_complain(const struct verdict *x, const struct hb_volume_info *found, unsigned n, struct why *why)
{
	const struct table *t = &x->o->table[x->o->ntable - 1];
	char text[300] = "";
	size_t at = 0;

	for (unsigned i = 0; i < n && at + 90 < sizeof(text); i++) {
		const struct table_row *r = row_named(t, found[i].name);

		at += (size_t)snprintf(text + at, sizeof(text) - at, " %s:%lu%s", found[i].name, found[i].size_bytes,
				       r && !volattr_same(&found[i].attr, &r->attr) ? " (other attributes)" : "");
	}
	at += (size_t)snprintf(text + at, sizeof(text) - at, "; last known:");
	for (unsigned i = 0; i < t->n && at + 90 < sizeof(text); i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, " %s:%lu", t->row[i].name, t->row[i].size_bytes);
	why_set(why, "volumes as at no allowed moment: found%s", text);
}

bool verdict_volumes(struct verdict *x, const struct hb_volume_info *found, unsigned n, struct ovol **ret,
		     struct why *why)
{
	const struct oracle *o = x->o;
	struct set by = {0};

	for (unsigned i = 0; i < o->ntable; i++) {
		uint64_t hi = i + 1 < o->ntable ? o->table[i + 1].end - 1 : UINT64_MAX;

		if (!table_matches(&o->table[i], found, n))
			continue;
		if (hi < set_lo(&x->set) || o->table[i].begin > set_hi(&x->set))
			continue;
		if (!by.n)
			x->first_table = i;
		set_add(&by, o->table[i].begin, hi);
		x->table = i;
	}
	if (!by.n) {
		volumes_complain(x, found, n, why);
		return false;
	}
	mark_reverts(x);
	for (unsigned i = 0; i < n; i++) {
		ret[i] = row_named(&o->table[x->table], found[i].name)->v;
		if (!identity_ok(ret[i], &found[i], why))
			return false;
	}
	return narrow(x, &by, "the list of volumes,", 0, why);
}

/* ------------------------------------------------------------------ sectors */

static struct found *found_of(struct verdict *x, struct ovol *v)
{
	struct found *f;

	for (unsigned i = 0; i < x->nfound; i++)
		if (x->found[i].v == v)
			return &x->found[i];
	x->found = need(realloc(x->found, (x->nfound + 1) * sizeof(*x->found)));
	f = &x->found[x->nfound++];
	f->v = v;
	f->nsectors = v->nsectors;
	f->id = need(calloc(v->nsectors + 1, sizeof(*f->id)));
	return f;
}

/* The events at which version j may be what is seen. False: none. */
static bool version_span(const struct verdict *x, const struct sector *s, uint32_t j, struct span *ret)
{
	const struct oracle *o = x->o;
	const struct op *oj = &o->op[s->v[j].op];

	*ret = (struct span){oj->begin, UINT64_MAX};
	for (uint32_t k = j + 1; k < s->n; k++) {
		const struct op *ok = &o->op[s->v[k].op];

		if (!replaces(ok, oj))
			continue;
		if (ok->durable && x->rule < AFTER_BIT_FLIP)
			return false;
		ret->hi = MIN(ret->hi, ok->end - 1);
	}
	return ret->lo <= ret->hi;
}

/* Whether operation `op`, which wrote this sector, shows in it: MARK_HAS, MARK_LACKS, or 0 for "cannot say". */
static uint8_t shows(const struct oracle *o, const struct sector *s, op_t op, uint64_t id)
{
	bool only_it = true, only_before = true;

	for (uint32_t j = 0; j < s->n; j++) {
		if (s->v[j].id != id)
			continue;
		if (s->v[j].op != op)
			only_it = false;
		if (s->v[j].op == op || o->op[s->v[j].op].end >= o->op[op].begin)
			only_before = false;
	}
	return only_it ? MARK_HAS : only_before ? MARK_LACKS : 0;
}

struct block_ops {
	unsigned n;
	struct {
		op_t op;
		uint8_t mark;
	} o[BLOCK_OPS_MAX];
};

static uint8_t block_mark(struct block_ops *b, op_t op, uint8_t mark)
{
	for (unsigned i = 0; i < b->n; i++)
		if (b->o[i].op == op)
			return b->o[i].mark |= mark;
	if (b->n < BLOCK_OPS_MAX) {
		b->o[b->n].op = op;
		b->o[b->n++].mark = mark;
	}
	return mark;
}

/* The sector's history in short: kind, id, events, and how sure. */
static void describe(const struct verdict *x, const struct sector *s, char *text, size_t size)
{
	size_t at = 0;

	text[0] = 0;
	for (uint32_t j = s->n > 4 ? s->n - 4 : 0; j < s->n && at < size; j++) {
		const struct op *p = &x->o->op[s->v[j].op];

		at += (size_t)snprintf(text + at, size - at, " [%s %lx %lu..%ld%s]",
				       s->v[j].op ? oracle_kinds[p->kind] : "base", s->v[j].id >> 40, p->begin,
				       (long)p->end,
				       p->durable ? " durable"
				       : p->sure  ? ""
						  : " unsure");
	}
}

/* Operations that may be half done must not be half done within one block. */
static bool judge_atomic(struct verdict *x, struct block_ops *b, const struct ovol *v, uint64_t sector, uint64_t id,
			 struct why *why)
{
	const struct sector *s = &v->s[sector];

	for (uint32_t k = 0; k < s->n; k++) {
		op_t op = s->v[k].op;
		const struct op *p = &x->o->op[op];
		uint8_t mark;

		if (p->sure && p->end <= set_lo(&x->set))
			continue;
		mark = shows(x->o, s, op, id);
		if (p->atomic)
			x->mark[op] |= mark;
		if (block_mark(b, op, mark) == (MARK_HAS | MARK_LACKS)) {
			char text[240];

			describe(x, s, text, sizeof(text));
			why_set(why, "%s block %lu: a %s of events %lu..%ld is there in part (sector %lu: %lx of%s)",
				v->name, sector / BLOCK_SECTORS, oracle_kinds[p->kind], p->begin, (long)p->end, sector,
				id >> 40, text);
			return false;
		}
	}
	return true;
}

static void sector_complain(const struct verdict *x, const struct ovol *v, uint64_t sector, uint64_t id,
			    struct why *why)
{
	const struct sector *s = &v->s[sector];
	const char *what = id ? "data never written there" : "zeros, never there";
	char text[240];

	for (uint32_t j = 0; j < s->n; j++)
		if (s->v[j].id == id)
			what = id ? "its own older data" : "older zeros";
	describe(x, s, text, sizeof(text));
	why_set(why, "%s sector %lu holds %s (%lx); %lu must be there, present %lu, its last versions%s", v->name,
		sector, what, id >> 40, x->durable, x->o->event, text);
}

static bool judge_sector(struct verdict *x, const struct ovol *v, uint64_t sector, uint64_t id, struct why *why)
{
	const struct sector *s = &v->s[sector];
	struct set by = {0};
	struct span span;

	if (s->n == 1 && s->v[0].id == id && s->v[0].op == 0)
		return true;
	for (uint32_t j = 0; j < s->n; j++)
		if (s->v[j].id == id && version_span(x, s, j, &span))
			set_add(&by, span.lo, span.hi);
	if (!by.n || set_hi(&by) < x->durable) {
		sector_complain(x, v, sector, id, why);
		return false;
	}
	return narrow(x, &by, v->name, sector, why);
}

bool verdict_data(struct verdict *x, struct ovol *v, uint64_t sector, const void *data, uint64_t n, struct why *why)
{
	const uint8_t *p = data;
	struct found *f = found_of(x, v);
	struct block_ops ops = {0};

	assert(sector % BLOCK_SECTORS == 0 && sector + n <= v->nsectors);
	for (uint64_t i = 0; i < n; i++) {
		uint64_t id;

		if ((sector + i) % BLOCK_SECTORS == 0)
			ops.n = 0;
		if (!sector_id(p + i * ORACLE_SECTOR, &id)) {
			why_set(why, "%s sector %lu holds what nobody ever wrote (torn, or foreign)", v->name,
				sector + i);
			return false;
		}
		f->id[sector + i] = id;
		x->hash = hash64(x->hash ^ id) + sector + i;
		if (!judge_sector(x, v, sector + i, id, why))
			return false;
		if (x->rule < AFTER_BIT_FLIP && !judge_atomic(x, &ops, v, sector + i, id, why))
			return false;
	}
	return true;
}

/* Nobody wrote the sector after event `at`. */
static bool untouched(const struct oracle *o, const struct sector *s, uint64_t at)
{
	for (uint32_t j = 0; j < s->n; j++)
		if (o->op[s->v[j].op].end > at)
			return false;
	return true;
}

static const struct found *found_in(const struct verdict *x, const struct ovol *v)
{
	for (unsigned i = 0; i < x->nfound; i++)
		if (x->found[i].v == v)
			return &x->found[i];
	return NULL;
}

/* What was made of a snapshot, or reverted to one, still holds the same where nobody wrote. */
static bool relatives_agree(const struct verdict *x, const struct table_row *r, struct why *why)
{
	const struct found *a = found_in(x, r->v), *b = found_in(x, r->same);
	const struct table_row *first = row_named(&x->o->table[x->first_table], r->name);
	uint64_t n;

	if (!a || !b || !first || first->same != r->same || first->same_at != r->same_at)
		return true;
	n = MIN(r->v->size_bytes, r->same->size_bytes) / ORACLE_SECTOR;
	for (uint64_t i = 0; i < MIN(n, MIN(a->nsectors, b->nsectors)); i++) {
		if (a->id[i] == b->id[i] || !untouched(x->o, &r->v->s[i], r->same_at))
			continue;
		why_set(why, "%s sector %lu holds %lx, and %s, which it was made of, %lx", r->name, i, a->id[i] >> 40,
			r->same->name, b->id[i] >> 40);
		return false;
	}
	return true;
}

bool verdict_settle(struct verdict *x, struct why *why)
{
	const struct table *t = &x->o->table[x->table];

	assert(x->set.n);
	for (unsigned i = 0; i < t->n && x->rule < AFTER_BIT_FLIP; i++)
		if (t->row[i].same && !relatives_agree(x, &t->row[i], why))
			return false;
	for (op_t i = 0; i < x->o->nop && x->rule < AFTER_BIT_FLIP; i++) {
		if (x->mark[i] == (MARK_HAS | MARK_LACKS)) {
			why_set(why, "an atomic %s (events %lu..%ld) is there in part", oracle_kinds[x->o->op[i].kind],
				x->o->op[i].begin, (long)x->o->op[i].end);
			return false;
		}
	}
	return true;
}

const uint64_t *verdict_found(const struct verdict *x, unsigned n, struct ovol **ret_v, uint64_t *ret_sectors)
{
	if (n >= x->nfound)
		return NULL;
	*ret_v = x->found[n].v;
	*ret_sectors = x->found[n].nsectors;
	return x->found[n].id;
}

uint64_t verdict_hash(const struct verdict *x)
{
	return x->hash;
}

/* ------------------------------------------------------------------ adopting */

/* After a death: what was unsure is now there, or never was. */
static void adopt_unsure(struct oracle *o, struct sector *s, uint64_t id)
{
	uint32_t n = 0;

	for (uint32_t j = 0; j < s->n; j++) {
		struct ver v = s->v[j];

		if (!o->op[v.op].sure) {
			if (v.id != id)
				continue;
			if (!o->op[v.op].resolved) {
				struct op twin = o->op[v.op];

				twin.sure = true;
				twin.end = o->event;
				twin.resolved = op_new(o, twin);
				o->op[v.op].resolved = twin.resolved;
			}
			v.op = o->op[v.op].resolved;
		}
		s->v[n++] = v;
	}
	s->n = n;
}

static void adopt_table(struct verdict *x, bool alone)
{
	struct oracle *o = x->o;

	while (o->ntable > x->table + 1)
		table_free(&o->table[--o->ntable]);
	if (alone) {
		struct table t = o->table[x->table];

		while (o->ntable > 1)
			table_free(&o->table[--o->ntable - 1]);
		o->table[0] = t;
		o->table[0].begin = 0;
	}
	o->table[o->ntable - 1].end = alone ? 0 : MIN(o->table[o->ntable - 1].end, o->event);
	for (unsigned i = 0; i < o->table[o->ntable - 1].n; i++) {
		const struct table_row *r = &o->table[o->ntable - 1].row[i];

		memcpy(r->v->name, r->name, sizeof(r->name));
		vol_resize(r->v, r->size_bytes);
	}
}

/* Volumes that no list names any more. */
static void forget_gone(struct oracle *o)
{
	const struct table *t = &o->table[0];
	struct ovol **at = &o->vols, *v;

	while ((v = *at)) {
		bool there = false;

		for (unsigned i = 0; i < t->n; i++)
			there |= t->row[i].v == v;
		if (there) {
			at = &v->next;
			continue;
		}
		*at = v->next;
		for (unsigned i = 0; i < t->n; i++)
			if (t->row[i].same == v)
				t->row[i].same = NULL;
		vol_free(v);
	}
}

static void adopt_afresh(struct verdict *x)
{
	struct oracle *o = x->o;

	for (unsigned i = 0; i < x->nfound; i++) {
		struct found *f = &x->found[i];

		for (uint64_t s = 0; s < f->v->nsectors; s++)
			sector_reset(&f->v->s[s], s < f->v->size_bytes / ORACLE_SECTOR ? f->id[s] : 0);
	}
	for (unsigned i = 0; i < o->table[0].n; i++) {
		struct table_row *r = &o->table[0].row[i];

		r->same_at = o->event;
		if (!r->v->frozen) /* who wrote it since is forgotten now */
			r->same = NULL;
	}
	o->table[0].op = o->table[0].twin = o->table[0].ntwins = 0;
	forget_gone(o);
	o->nop = 1;
	o->flushed = o->vouched = o->anchor_begin = o->anchor_end = o->event;
	o->wrote_after = 0;
}

void verdict_adopt(struct verdict *x)
{
	oracle_event(x->o);
	if (x->rule != AFTER_DEATH) {
		adopt_table(x, true);
		adopt_afresh(x);
		return;
	}
	adopt_table(x, false);
	for (unsigned i = 0; i < x->nfound; i++) {
		struct found *f = &x->found[i];

		for (uint64_t s = 0; s < f->v->size_bytes / ORACLE_SECTOR; s++) {
			if (f->v->frozen)
				sector_keep_only(&f->v->s[s], f->id[s]);
			adopt_unsure(x->o, &f->v->s[s], f->id[s]);
		}
	}
	for (op_t i = 0; i < x->o->nop; i++)
		x->o->op[i].resolved = 0;
}
