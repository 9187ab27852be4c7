/* SPDX-License-Identifier: GPL-2.0-only */
/* relatives.c - asks the engine how volumes of a family differ and what they share, and compares with what is known:
 * by the oracle while the world lives, by what was found after a crash.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "tests/sim/oracle_priv.h"
#include "tests/sim/relatives.h"

#define SPB (BLK_BYTES / ORACLE_SECTOR)
#define STEPS_MAX 100000

/* ------------------------------------------------------------------ differences */

/* What is known of two snapshots: by the history alone (ida, idb NULL), or also by what was found in them. */
struct pair {
	struct world *w;
	const struct ovol *a, *b; /* a NULL: nothing */
	const uint64_t *ida, *idb;
	uint64_t na;
	bool same; /* made of each other: nothing may differ */
};

static enum likeness sector_like(const struct pair *p, uint64_t sector)
{
	uint64_t old;

	if (!p->idb)
		return oracle_compare(p->w->oracle, p->a, p->b, sector);
	old = p->a && sector < p->na ? p->ida[sector] : 0;
	return p->idb[sector] == old ? MAY_DIFFER : DIFFERENT;
}

static enum likeness block_like(const struct pair *p, uint64_t block)
{
	enum likeness all = SAME_BLOCK;

	for (uint64_t i = block * SPB; i < (block + 1) * SPB; i++) {
		enum likeness one = sector_like(p, i);

		if (one == DIFFERENT)
			return DIFFERENT;
		if (one == MAY_DIFFER)
			all = MAY_DIFFER;
	}
	return p->same ? SAME_BLOCK : all;
}

static bool zeros_possible(const struct pair *p, uint64_t block)
{
	for (uint64_t i = block * SPB; i < (block + 1) * SPB; i++)
		if (p->idb ? p->idb[i] != 0 : !oracle_may_hold(p->w->oracle, p->b, i, 0))
			return false;
	return true;
}

static bool wrong(const struct pair *p, const char *what, uint64_t block)
{
	why_set(&p->w->why, "difference of %s and %s: %s (block %" PRIu64 ")", p->a ? ovol_name(p->a) : "nothing",
		ovol_name(p->b), what, block);
	return false;
}

/* Blocks from .. to-1 lie in no run. */
static bool between_runs(const struct pair *p, uint64_t from, uint64_t to)
{
	for (uint64_t i = from; i < to; i++)
		if (block_like(p, i) == DIFFERENT)
			return wrong(p, "does not say that it differs", i);
	return true;
}

static bool in_run(const struct pair *p, uint64_t from, uint64_t to, bool mapped)
{
	for (uint64_t i = from; i < to; i++) {
		if (block_like(p, i) == SAME_BLOCK)
			return wrong(p, "says that it differs, but nobody wrote it in between", i);
		if (!mapped && !zeros_possible(p, i))
			return wrong(p, "says that nothing is mapped, but there is data", i);
	}
	return true;
}

static bool check_pair(const struct pair *p)
{
	uint64_t at = 0, size = ovol_size(p->b);
	uint32_t from = p->a ? ovol_id(p->a) : 0;

	for (unsigned i = 0; i < STEPS_MAX; i++) {
		struct hb_diff_run run = {0};
		int rc = hb_volume_diff(p->w->pool, from, ovol_id(p->b), at, &run);
		uint64_t lo = run.off_bytes / BLK_BYTES, hi;

		if (rc == 0)
			return between_runs(p, at / BLK_BYTES, size / BLK_BYTES);
		if (rc != 1 && rc != -EAGAIN)
			return wrong(p, rc == -ENOENT ? "no such snapshot" : "an error", 0);
		if (run.off_bytes < at || run.off_bytes % BLK_BYTES || run.off_bytes >= size ||
		    (rc == -EAGAIN && run.off_bytes == at))
			return wrong(p, "a run is out of order", lo);
		if (!between_runs(p, at / BLK_BYTES, lo))
			return false;
		at = run.off_bytes;
		if (rc == -EAGAIN)
			continue;
		hi = lo + run.len_bytes / BLK_BYTES;
		if (!run.len_bytes || run.len_bytes % BLK_BYTES || run.len_bytes > size - run.off_bytes)
			return wrong(p, "a run has an impossible length", lo);
		if (!in_run(p, lo, hi, run.mapped))
			return false;
		at += run.len_bytes;
		if (at == size) /* and behind the end there must be nothing */
			return hb_volume_diff(p->w->pool, from, ovol_id(p->b), at, &run) == 0 ||
			       wrong(p, "something behind the end", hi);
	}
	return wrong(p, "never ends", at / BLK_BYTES);
}

/* What must be refused. */
static bool check_refusals(struct world *w, const struct ovol *v, const struct ovol *other)
{
	struct hb_diff_run run;
	int rc = hb_volume_diff(w->pool, 0, UINT32_MAX, 0, &run);

	if (rc != -ENOENT)
		why_set(&w->why, "difference to a snapshot that is not there: %d", rc);
	rc = hb_volume_diff(w->pool, ovol_id(v), ovol_id(other), 0, &run);
	if ((!ovol_frozen(v) || !ovol_frozen(other) || ovol_family(v) != ovol_family(other)) && rc != -EINVAL)
		why_set(&w->why, "difference of %s and %s: %d", ovol_name(v), ovol_name(other), rc);
	return !w->why.text[0];
}

static bool made_of_each_other(const struct oracle *o, const struct ovol *a, const struct ovol *b)
{
	const struct table *t = &o->table[o->ntable - 1];

	for (unsigned i = 0; i < t->n; i++)
		if ((t->row[i].v == a && t->row[i].same == b) || (t->row[i].v == b && t->row[i].same == a))
			return true;
	return false;
}

bool relatives_diff(struct world *w, const struct ovol *a, const struct ovol *b)
{
	struct pair p = {.w = w, .a = a, .b = b, .same = a && made_of_each_other(w->oracle, a, b)};

	if (a && !check_refusals(w, a, b))
		return false;
	if (!ovol_frozen(b) || (a && (!ovol_frozen(a) || ovol_family(a) != ovol_family(b))))
		return true;
	return check_pair(&p);
}

bool relatives_found(struct world *w, const struct verdict *x, struct rng *r)
{
	struct pair p = {.w = w};
	struct ovol *a, *b;
	uint64_t n;
	unsigned many = 0;

	while (verdict_found(x, many, &a, &n))
		many++;
	if (!many)
		return true;
	p.idb = verdict_found(x, (unsigned)rng_below(r, many), &b, &n);
	p.b = b;
	if (!ovol_frozen(b) || !ovol_id(b))
		return true;
	p.ida = verdict_found(x, (unsigned)rng_below(r, many), &a, &p.na);
	p.na = MIN(p.na, ovol_sectors(a));
	if (ovol_frozen(a) && ovol_id(a) && ovol_family(a) == ovol_family(b))
		p.a = a;
	return check_pair(&p);
}

/* ------------------------------------------------------------------ what is shared */

static bool usage_of(struct world *w, const struct hb_volume_info *v, struct hb_usage *u)
{
	*u = (struct hb_usage){0};
	for (unsigned i = 0; i < STEPS_MAX; i++) {
		int rc = hb_volume_usage(w->pool, v->id, u);

		if (rc == 1)
			return true;
		if (rc)
			break;
	}
	why_set(&w->why, "usage of %s: never ends, or an error", v->name);
	return false;
}

static bool usage_ok(struct world *w, const struct hb_volume_info *v, const struct hb_usage *u)
{
	uint64_t alone = u->exclusive_blk * BLK_BYTES;

	if (u->mapped_bytes == v->mapped_bytes && u->mapped_bytes <= v->size_bytes && alone <= u->exclusive_bytes &&
	    alone + u->shared_bytes == u->mapped_bytes)
		return true;
	why_set(&w->why,
		"usage of %s (%" PRIu64 " bytes): %" PRIu64 " mapped (also %" PRIu64 "), %" PRIu64
		" in blocks of its own, %" PRIu64 " in chunks, %" PRIu64 " shared",
		v->name, v->size_bytes, u->mapped_bytes, v->mapped_bytes, alone, u->exclusive_bytes, u->shared_bytes);
	return false;
}

bool relatives_usage(struct world *w)
{
	char cursor[HB_NAME_MAX + 1] = "";
	struct hb_volume_info v;
	struct hb_stats st;
	struct hb_usage u;
	uint64_t sum = 0;

	while (hb_volume_next(w->pool, cursor, &v)) {
		if (!usage_of(w, &v, &u) || !usage_ok(w, &v, &u))
			return false;
		sum += u.exclusive_bytes;
	}
	hb_pool_stats(w->pool, &st);
	if (sum <= st.capacity_bytes - st.free_bytes - st.limbo_bytes)
		return true;
	why_set(&w->why, "%" PRIu64 " bytes in exclusive chunks of all, but only %" PRIu64 " in use", sum,
		st.capacity_bytes - st.free_bytes - st.limbo_bytes);
	return false;
}

uint64_t relatives_mapped(struct world *w, const struct ovol *v)
{
	uint64_t sure = 0, n = ovol_sectors(v) / SPB;

	for (uint64_t b = 0; b < n; b++) {
		bool some = false;

		for (uint64_t i = b * SPB; i < (b + 1) * SPB; i++)
			some |= !oracle_may_hold(w->oracle, v, i, 0);
		sure += some;
	}
	return sure * BLK_BYTES;
}
