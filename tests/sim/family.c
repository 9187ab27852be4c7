/* SPDX-License-Identifier: GPL-2.0-only */
/* family.c - the workload's verbs that make volumes of volumes: snapshots, clones, groups, reverting; and questions on
 * how they differ and what they share. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/sim/oracle_priv.h"
#include "tests/sim/relatives.h"
#include "tests/sim/workload_priv.h"

#define NAME_BYTES (HB_NAME_MAX + 1)

/* Before the call into the engine: perhaps memory runs out in it, perhaps the process dies in it. */
static void verb_begin(struct workload *l)
{
	l->starved = pct(l, l->w->shape.starve_pct);
	if (l->starved)
		mem_fail_at(1 + below(l, 1u << below(l, 8)));
	else
		instant_arm(l->w);
}

static bool verb_over(struct workload *l, const char *what, int rc, const struct err *err)
{
	bool ok;

	mem_fail_at(0);
	ok = verb_end(l, what, rc, err);
	l->starved = false;
	return ok;
}

static void next_name(struct workload *l, char kind, char *name)
{
	snprintf(name, NAME_BYTES, "%c%" PRIu64, kind, l->next_name++);
}

/* A new relative is what it was asked to be. */
static bool meet(struct workload *l, struct ovol *v, const struct ovol *parent, bool snapshot)
{
	static const uint8_t none[16];
	struct world *w = l->w;
	struct hb_volume_info info;

	if (!hb_volume_find(w->pool, ovol_name(v), &info)) {
		why_set(&w->why, "%s was made, and is not there", ovol_name(v));
		return false;
	}
	if (info.snapshot != snapshot || (memcmp(info.content, none, 16) != 0) != snapshot || info.deleting ||
	    info.parent_id != ovol_id(parent) || info.family_id != ovol_family(parent) ||
	    info.size_bytes != ovol_size(v))
		why_set(&w->why, "%s is not what was made of %s", ovol_name(v), ovol_name(parent));
	oracle_vol_known(v, &info);
	return !w->why.text[0] && wvol_open(l, v);
}

/* ------------------------------------------------------------------ making */

static bool make(struct workload *l, struct osnap *what, unsigned n)
{
	struct world *w = l->w;
	struct hb_snap *ask = need(calloc(n, sizeof(*ask)));
	struct err err = ERR_INIT;
	bool ok;

	for (unsigned i = 0; i < n; i++)
		ask[i] = (struct hb_snap){
			.source = ovol_name(what[i].source), .name = what[i].name, .writable = what[i].writable};
	oracle_vol_snapshot(w->oracle, what, n);
	verb_begin(l);
	ok = verb_over(l, "snapshot", hb_volume_snapshot(w->pool, ask, n, &err), &err);
	for (unsigned i = 0; ok && i < n; i++)
		ok = meet(l, what[i].made, what[i].source, !what[i].writable);
	free(ask);
	world_submitted(w);
	return ok;
}

static bool places_for(struct workload *l, unsigned n)
{
	unsigned nvol, nsnap;

	space_used(l, &nvol, &nsnap);
	return nvol + nsnap + n <= VOLS;
}

bool workload_group(struct workload *l, struct ovol *const *source, unsigned n, struct ovol **ret)
{
	struct osnap *what = need(calloc(n, sizeof(*what)));
	char(*name)[NAME_BYTES] = need(calloc(n, NAME_BYTES));
	bool ok = places_for(l, n);

	for (unsigned i = 0; i < n; i++) {
		next_name(l, 'g', name[i]);
		what[i] = (struct osnap){.source = source[i], .name = name[i]};
	}
	ok = ok && make(l, what, n);
	for (unsigned i = 0; ok && i < n; i++)
		ret[i] = what[i].made;
	free(what);
	free(name);
	return ok;
}

/* Writers take a new chunk at most for each chunk of theirs that is shared. */
static bool chunks_suffice(struct workload *l)
{
	uint64_t chunk = l->w->shape.chunk_bytes, wanted = 8 * chunk;
	struct hb_stats st;

	for (int i = 0; i < VOLS; i++)
		if (l->vol[i].v && !ovol_frozen(l->vol[i].v))
			wanted += 2 * ROUND_UP(ovol_size(l->vol[i].v), chunk);
	hb_pool_stats(l->w->pool, &st);
	return st.free_bytes > wanted;
}

static bool delete_some(struct workload *l, bool snapshots_first)
{
	for (unsigned tries = 0; tries < 8; tries++) {
		struct wvol *wv = some_volume(l);

		if (!wv || wv->users || (snapshots_first && !ovol_frozen(wv->v)))
			continue;
		verb_delete(l, wv);
		return true;
	}
	return false;
}

static bool source_ok(struct workload *l, const struct wvol *wv, uint64_t *used, bool writable)
{
	const struct shape *s = &l->w->shape;
	uint64_t size = ovol_size(wv->v);

	if (*used + size > s->space_bytes || (writable && !chunks_suffice(l)))
		return false;
	*used += size;
	return true;
}

/* Snapshots and clones of whatever there is, one or many at once. */
static void verb_make(struct workload *l)
{
	const struct shape *s = &l->w->shape;
	unsigned nvol, nsnap, n = 0, most = pct(l, 60) ? 1 : 2 + (unsigned)below(l, 3);
	uint64_t used = space_used(l, &nvol, &nsnap);
	struct osnap what[VOLS];
	char name[VOLS][NAME_BYTES];

	if (s->group && pct(l, 25))
		most = s->group;
	if (nvol + nsnap + most > s->volumes + s->relatives || !places_for(l, most + 1) || !chunks_suffice(l)) {
		delete_some(l, true);
		return;
	}
	for (unsigned tries = 0; tries < 2 * most && n < most; tries++) {
		struct wvol *wv = pct(l, 60) ? some_writable(l) : some_volume(l);
		bool writable = most < 8 && pct(l, 25);

		if (!wv || !source_ok(l, wv, &used, writable))
			continue;
		next_name(l, writable ? 'c' : 's', name[n]);
		what[n] = (struct osnap){.source = wv->v, .name = name[n], .writable = writable};
		n++;
	}
	if (n)
		make(l, what, n);
}

/* A group of which one member cannot be: nothing may come of it. */
static void verb_wrong_group(struct workload *l)
{
	struct world *w = l->w;
	struct wvol *wv = some_volume(l);
	struct hb_snap ask[3] = {{.source = ovol_name(wv->v), .name = "wrong-1"},
				 {.source = ovol_name(wv->v), .name = "wrong-2"},
				 {.source = ovol_name(wv->v), .name = "wrong-3"}};
	struct hb_volume_info info;
	struct err err = ERR_INIT;
	int rc, want = -EEXIST;

	switch (below(l, 4)) {
	case 0:
		ask[2].name = "wrong-1";
		break;
	case 1:
		ask[1].name = ovol_name(wv->v);
		break;
	case 2:
		ask[2].source = "nobody";
		want = -ENOENT;
		break;
	default:
		ask[1].name = "-";
		want = -EINVAL;
		break;
	}
	rc = hb_volume_snapshot(w->pool, ask, 3, &err);
	if ((rc != want && rc != -EIO && rc != -ENOSPC) || hb_volume_find(w->pool, "wrong-1", &info) ||
	    hb_volume_find(w->pool, "wrong-2", &info))
		why_set(&w->why, "a group that cannot be: %d instead of %d", rc, want);
}

/* ------------------------------------------------------------------ reverting */

/* A comparison, a copy, an OR would no longer know what it has to find. */
static bool holds_locks(struct workload *l, const struct wvol *wv)
{
	for (int i = 0; i < SLOTS; i++)
		if (l->slot[i].busy && l->slot[i].locks && (l->slot[i].wv == wv || l->slot[i].src == wv))
			return true;
	return false;
}

static bool revert(struct workload *l, struct orevert *what, unsigned n, bool in_use)
{
	struct world *w = l->w;
	struct hb_revert *ask = need(calloc(n, sizeof(*ask)));
	struct err err = ERR_INIT;
	bool ok;

	for (unsigned i = 0; i < n; i++)
		ask[i] = (struct hb_revert){.volume = ovol_name(what[i].v),
					    .snapshot = ovol_name(what[i].snapshot),
					    .keep = what[i].keep};
	oracle_vol_revert(w->oracle, what, n);
	verb_begin(l);
	ok = verb_over(l, "revert", hb_volume_revert(w->pool, ask, n, in_use, &err), &err);
	for (unsigned i = 0; ok && i < n; i++) {
		struct wvol *wv = wvol_of(l, what[i].v);

		if (wv) {
			wvol_size(wv);
			wv->shrunk = oracle_now(w->oracle);
		}
		ok = meet(l, what[i].kept, what[i].v, true);
	}
	free(ask);
	world_submitted(w);
	return ok;
}

bool workload_revert(struct workload *l, struct ovol *const *v, struct ovol *const *snapshot, unsigned n)
{
	struct orevert *what = need(calloc(n, sizeof(*what)));
	char(*name)[NAME_BYTES] = need(calloc(n, NAME_BYTES));
	bool ok = places_for(l, n);

	for (unsigned i = 0; i < n; i++) {
		next_name(l, 'k', name[i]);
		what[i] = (struct orevert){.v = v[i], .snapshot = snapshot[i], .keep = name[i]};
		ok = ok && !holds_locks(l, wvol_of(l, v[i]));
	}
	ok = ok && revert(l, what, n, true);
	free(what);
	free(name);
	return ok;
}

/* A snapshot that wv can be reverted to, or NULL. */
static struct ovol *some_snapshot_for(struct workload *l, const struct wvol *wv)
{
	struct ovol *have[VOLS];
	unsigned n = 0;

	for (int i = 0; i < VOLS; i++)
		if (l->vol[i].v && ovol_frozen(l->vol[i].v) && ovol_family(l->vol[i].v) == ovol_family(wv->v))
			have[n++] = l->vol[i].v;
	return n ? have[below(l, n)] : NULL;
}

static void verb_revert(struct workload *l)
{
	struct world *w = l->w;
	struct wvol *wv = some_writable(l);
	struct ovol *snap = wv ? some_snapshot_for(l, wv) : NULL;
	unsigned nvol, nsnap;
	uint64_t used = space_used(l, &nvol, &nsnap);
	struct orevert what = {.v = wv ? wv->v : NULL, .snapshot = snap};
	char name[NAME_BYTES];
	bool in_use;

	if (!snap || holds_locks(l, wv))
		return;
	if (used + MAX(ovol_size(snap), ovol_size(what.v)) > w->shape.space_bytes + w->shape.volume_bytes ||
	    !places_for(l, 1) || !chunks_suffice(l)) {
		delete_some(l, true);
		return;
	}
	in_use = wv->users || pct(l, 60);
	next_name(l, 'k', name);
	what.keep = name;
	if (in_use) {
		revert(l, &what, 1, true);
		return;
	}
	hb_volume_close(wv->h);
	wvol_drop(wv);
	revert(l, &what, 1, pct(l, 50));
	if (!w->why.text[0])
		wvol_open(l, what.v);
}

static bool renew(struct workload *l, struct wvol *wv)
{
	struct ovol *v = wv->v, *snapshot;

	if (!places_for(l, 2) || holds_locks(l, wv) || !workload_group(l, &v, 1, &snapshot))
		return false;
	if (pct(l, 50))
		verb_rename(l, wv);
	if (pct(l, 50))
		verb_grow(l, wv);
	return !l->w->why.text[0] && workload_revert(l, &v, &snapshot, 1);
}

bool workload_renew(struct workload *l)
{
	for (int i = 0; i < VOLS && !l->w->why.text[0]; i++)
		if (l->vol[i].v && !ovol_frozen(l->vol[i].v) && pct(l, 30))
			renew(l, &l->vol[i]);
	return !l->w->why.text[0];
}

/* What is no snapshot, of another family, or in use. */
static void verb_wrong_revert(struct workload *l)
{
	struct world *w = l->w;
	struct wvol *wv = some_writable(l), *to = some_volume(l);
	struct hb_revert ask = {.keep = "wrong-keep"};
	struct hb_volume_info info;
	struct err err = ERR_INIT;
	int rc, want = -EINVAL;

	if (!wv || !to)
		return;
	ask.volume = ovol_name(wv->v);
	ask.snapshot = ovol_name(to->v);
	if (ovol_frozen(to->v) && ovol_family(to->v) == ovol_family(wv->v))
		want = -EBUSY; /* we have it open */
	rc = hb_volume_revert(w->pool, &ask, 1, want == -EINVAL, &err);
	if ((rc != want && rc != -EIO && rc != -ENOSPC) || hb_volume_find(w->pool, "wrong-keep", &info))
		why_set(&w->why, "reverting %s to %s: %d instead of %d", ask.volume, ask.snapshot, rc, want);
}

/* ------------------------------------------------------------------ asking, deleting */

static void verb_ask(struct workload *l)
{
	struct world *w = l->w;
	struct wvol *a = some_volume(l), *b = some_volume(l);
	struct ovol *other = some_snapshot_for(l, b);
	struct hb_volume_info info;
	const struct ovol *from = a->v;

	if (pct(l, 25))
		from = NULL;
	else if (other && pct(l, 80))
		from = other;
	if (!relatives_diff(w, from, b->v) || !relatives_usage(w))
		return;
	hb_volume_info(b->h, &info);
	if (info.mapped_bytes < relatives_mapped(w, b->v))
		why_set(&w->why, "%s has %" PRIu64 " bytes mapped, but holds more data", ovol_name(b->v),
			info.mapped_bytes);
}

bool workload_delete(struct workload *l, struct ovol *v)
{
	struct wvol *wv = wvol_of(l, v);

	if (!wv || wv->users)
		return false;
	verb_delete(l, wv);
	return !l->w->why.text[0] && !wvol_of(l, v);
}

void family_verb(struct workload *l)
{
	unsigned what = (unsigned)below(l, 100);

	if (what < 45)
		verb_make(l);
	else if (what < 63)
		verb_revert(l);
	else if (what < 67)
		verb_wrong_revert(l);
	else if (what < 71)
		verb_wrong_group(l);
	else if (what < 82)
		delete_some(l, pct(l, 70));
	else
		verb_ask(l);
}
