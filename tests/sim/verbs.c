/* SPDX-License-Identifier: GPL-2.0-only */
/* verbs.c - the workload's calls that are no requests: volumes come, go, are renamed, change their size and attributes;
 * all is written back. family.c has those that make volumes of others. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tests/sim/oracle_priv.h"
#include "tests/sim/workload_priv.h"

uint64_t space_used(struct workload *l, unsigned *ret_volumes, unsigned *ret_snapshots)
{
	uint64_t sum = 0;

	*ret_volumes = *ret_snapshots = 0;
	for (int i = 0; i < VOLS; i++) {
		if (!l->vol[i].v)
			continue;
		sum += ovol_size(l->vol[i].v);
		++*(ovol_frozen(l->vol[i].v) ? ret_snapshots : ret_volumes);
	}
	return sum;
}

/* A verb's answer: well, or with an error that the world tolerates. */
bool verb_end(struct workload *l, const char *what, int rc, const struct err *err)
{
	instant_disarm(l->w);
	oracle_vol_end(l->w->oracle, rc == 0);
	if (!rc) {
		l->refused = 0;
		return true;
	}
	if (rc == -ENOSPC && l->refused++ < REFUSED_MAX)
		return false; /* the log is full for a moment */
	if (rc == -ENOMEM && l->starved)
		return false;
	if ((rc == -ENOSPC && l->w->tolerate & TOLERATE_SPACE) ||
	    ((rc == -EIO || rc == -EROFS || rc == -ETIMEDOUT) && l->w->tolerate & TOLERATE_IO)) {
		l->errors++;
		return false;
	}
	why_set(&l->w->why, "%s: %s (%d)", what, err->text, rc);
	return false;
}

bool workload_create(struct workload *l, const char *name, uint64_t size)
{
	struct err err = ERR_INIT;
	struct world *w = l->w;
	struct hb_volume_info info;
	struct ovol *v = oracle_vol_create(w->oracle, name, size);

	instant_arm(l->w);
	if (!verb_end(l, "create", hb_volume_create(w->pool, name, size, &err), &err))
		return false;
	if (!hb_volume_find(w->pool, name, &info))
		why_set(&w->why, "%s was created, and is not there", name);
	else
		oracle_vol_known(v, &info);
	return !w->why.text[0] && wvol_open(l, v);
}

/* Its streams pass the write tier by after a few blocks. */
static void let_pass(struct workload *l, struct ovol *v)
{
	struct hb_volume_attr a = *oracle_attr(l->w->oracle, v);
	struct err err = ERR_INIT;

	a.bypass_blk = l->w->shape.bypass_blk;
	oracle_vol_set(l->w->oracle, v, &a);
	instant_arm(l->w);
	verb_end(l, "set", hb_volume_set(l->w->pool, ovol_name(v), &a, HB_ATTR_BYPASS, &err), &err);
}

static void verb_create(struct workload *l)
{
	struct world *w = l->w;
	char name[HB_NAME_MAX + 1];
	unsigned n, nsnap;
	uint64_t used = space_used(l, &n, &nsnap), size = BLK_BYTES * (1 + below(l, w->shape.volume_bytes / BLK_BYTES));

	if (n >= w->shape.volumes || used + size > w->shape.space_bytes)
		return;
	snprintf(name, sizeof(name), "v%" PRIu64, l->next_name++);
	if (!workload_create(l, name, size) || !l->w->shape.bypass_blk)
		return;
	for (n = 0; oracle_vol(w->oracle, n + 1);)
		n++; /* the newest is the last */
	let_pass(l, oracle_vol(w->oracle, n));
}

void verb_delete(struct workload *l, struct wvol *wv)
{
	struct err err = ERR_INIT;
	struct ovol *v = wv->v;
	char name[HB_NAME_MAX + 1];

	if (wv->users)
		return;
	memcpy(name, ovol_name(v), sizeof(name));
	hb_volume_close(wv->h);
	wvol_drop(wv);
	oracle_vol_delete(l->w->oracle, v);
	instant_arm(l->w);
	if (!verb_end(l, "delete", hb_volume_delete(l->w->pool, name, &err), &err) && !l->w->why.text[0])
		wvol_open(l, v);
}

void verb_rename(struct workload *l, struct wvol *wv)
{
	struct err err = ERR_INIT;
	char old[HB_NAME_MAX + 1], name[HB_NAME_MAX + 1];

	memcpy(old, ovol_name(wv->v), sizeof(old));
	snprintf(name, sizeof(name), "r%" PRIu64, l->next_name++);
	oracle_vol_rename(l->w->oracle, wv->v, name);
	instant_arm(l->w);
	verb_end(l, "rename", hb_volume_rename(l->w->pool, old, name, &err), &err);
}

void verb_grow(struct workload *l, struct wvol *wv)
{
	struct err err = ERR_INIT;
	unsigned n, nsnap;
	uint64_t size = ovol_size(wv->v) + BLK_BYTES * (1 + below(l, 20));
	int rc;

	if (space_used(l, &n, &nsnap) + size - ovol_size(wv->v) > l->w->shape.space_bytes)
		return;
	if (ovol_frozen(wv->v)) {
		rc = hb_volume_grow(l->w->pool, ovol_name(wv->v), size, &err);
		if (rc != -EINVAL)
			why_set(&l->w->why, "growing snapshot %s: %d", ovol_name(wv->v), rc);
		return;
	}
	oracle_vol_resize(l->w->oracle, wv->v, size);
	instant_arm(l->w);
	if (verb_end(l, "grow", hb_volume_grow(l->w->pool, ovol_name(wv->v), size, &err), &err))
		wvol_size(wv);
}

/* Nothing that would be cut off is known to be data. (Zeros may be mapped, so that it may be refused all the same.) */
static bool tail_may_go(struct workload *l, const struct ovol *v, uint64_t size)
{
	for (uint64_t i = size / ORACLE_SECTOR; i < ovol_sectors(v); i++)
		if (!oracle_may_hold(l->w->oracle, v, i, 0))
			return false;
	return true;
}

static void verb_shrink(struct workload *l, struct wvol *wv)
{
	struct err err = ERR_INIT;
	struct world *w = l->w;
	struct ovol *v = wv->v;
	uint64_t had = ovol_size(v), size = BLK_BYTES * (1 + below(l, had / BLK_BYTES)), few = below(l, 10);
	bool busy = pct(l, 10), ok;
	int rc;

	if (wv->users || ovol_frozen(v))
		return;
	if (pct(l, 60)) /* a few blocks only: more likely empty */
		size = had - MIN(had - BLK_BYTES, BLK_BYTES * few);
	ok = tail_may_go(l, v, size);
	if (!busy)
		hb_volume_close(wv->h);
	oracle_vol_resize(w->oracle, v, size);
	instant_arm(w);
	rc = hb_volume_shrink(w->pool, ovol_name(v), size, &err);
	if (rc == -ENOTEMPTY || rc == -EBUSY) {
		instant_disarm(w);
		oracle_vol_end(w->oracle, false);
	} else {
		verb_end(l, "shrink", rc, &err);
	}
	if ((rc == 0 && (!ok || busy)) || (rc == -EBUSY && !busy))
		why_set(&w->why, "shrinking %s to %" PRIu64 ": %d", ovol_name(v), size, rc);
	if (!busy) {
		wvol_drop(wv);
		if (!w->why.text[0])
			wvol_open(l, v);
	}
}

/* Some attributes of a volume, or of a snapshot, which has fewer. Ceilings are far from what stops the world. */
static uint32_t draw_attr(struct workload *l, const struct ovol *v, struct hb_volume_attr *a)
{
	uint64_t nblk = ovol_size(v) / BLK_BYTES;
	uint32_t which = 1 + (uint32_t)below(l, HB_ATTR_ALL);

	a->mode = (enum hb_mode)below(l, HB_MODES);
	a->iops = pct(l, 50) ? 0 : 20 + (uint32_t)below(l, 2000);
	a->bandwidth = pct(l, 50) ? 0 : MIB(1) + below(l, MIB(100));
	a->burst_s = (uint32_t)below(l, 20);
	a->share = 1 + (uint32_t)below(l, HB_SHARE_MAX);
	a->bypass_blk = pct(l, 30) ? HB_ATTR_NEVER : (uint32_t)below(l, 1000);
	if (l->w->shape.bypass_blk && pct(l, 60))
		a->bypass_blk = l->w->shape.bypass_blk;
	a->read_ahead_blk = pct(l, 30) ? HB_ATTR_NEVER : (uint32_t)below(l, 1000);
	a->cache_floor_mib = (uint32_t)below(l, 3);
	a->npins = (uint32_t)below(l, 1 + HB_PINS_MAX);
	for (uint32_t i = 0; i < a->npins; i++) {
		uint64_t first = below(l, nblk);

		a->pin[i] = (struct hb_pin){first, pct(l, 10) ? HB_PIN_TO_END : 1 + below(l, nblk - first)};
	}
	return ovol_frozen(v) && pct(l, 90) ? which & HB_ATTR_OF_SNAPSHOTS : which;
}

/* What it should become. */
static struct hb_volume_attr attr_after(const struct hb_volume_attr *was, const struct hb_volume_attr *a,
					uint32_t which)
{
	struct hb_volume_attr is = *was;

	is.mode = which & HB_ATTR_MODE ? a->mode : is.mode;
	is.iops = which & HB_ATTR_IOPS ? a->iops : is.iops;
	is.bandwidth = which & HB_ATTR_BANDWIDTH ? a->bandwidth : is.bandwidth;
	is.burst_s = which & HB_ATTR_BURST ? a->burst_s : is.burst_s;
	is.share = which & HB_ATTR_SHARE ? a->share : is.share;
	is.bypass_blk = which & HB_ATTR_BYPASS ? a->bypass_blk : is.bypass_blk;
	is.read_ahead_blk = which & HB_ATTR_READ_AHEAD ? a->read_ahead_blk : is.read_ahead_blk;
	is.cache_floor_mib = which & HB_ATTR_FLOOR ? a->cache_floor_mib : is.cache_floor_mib;
	if (which & HB_ATTR_PINS)
		is.npins = 0;
	for (uint32_t i = 0; which & HB_ATTR_PINS && i < a->npins; i++)
		volattr_pin(&is, a->pin[i].first_blk, a->pin[i].nblk);
	return is;
}

static void verb_set(struct workload *l, struct wvol *wv)
{
	struct err err = ERR_INIT;
	struct world *w = l->w;
	struct hb_volume_attr a, want;
	struct hb_volume_info info;
	uint32_t which = draw_attr(l, wv->v, &a);
	int rc;

	if (ovol_frozen(wv->v) && which & ~(uint32_t)HB_ATTR_OF_SNAPSHOTS) {
		rc = hb_volume_set(w->pool, ovol_name(wv->v), &a, which, &err);
		if (rc != -EINVAL)
			why_set(&w->why, "attributes that snapshot %s cannot have: %d", ovol_name(wv->v), rc);
		return;
	}
	want = attr_after(oracle_attr(w->oracle, wv->v), &a, which);
	oracle_vol_set(w->oracle, wv->v, &want);
	instant_arm(w);
	rc = hb_volume_set(w->pool, ovol_name(wv->v), &a, which, &err);
	if (rc == -ENOSPC && which & HB_ATTR_FLOOR && a.cache_floor_mib)
		l->refused = 0; /* what others have set aside leaves no room: it may be so for ever */
	if (!verb_end(l, "set", rc, &err))
		return;
	if (!hb_volume_find(w->pool, ovol_name(wv->v), &info) || !volattr_same(&info.attr, &want))
		why_set(&w->why, "%s has other attributes than it was given", ovol_name(wv->v));
}

static void verb_writeback(struct workload *l)
{
	int rc;

	world_patience(l->w, 3600 * SEC_NS);
	rc = hb_pool_writeback(l->w->pool);
	if (rc && !(l->w->tolerate & (TOLERATE_IO | TOLERATE_MEDIUM)))
		why_set(&l->w->why, "write-back: %d", rc);
}

/* The capacity device becomes larger, and the pool is told, perhaps while it still takes over the last time. */
static void verb_grow_pool(struct workload *l)
{
	struct world *w = l->w;
	struct sim_disk *d = w->disk[CAPACITY];
	struct err err = ERR_INIT;
	int rc;

	w->shape.growths--;
	sim_disk_grow(d, sim_disk_size(d) + w->shape.chunk_bytes * (1 + below(l, 20)));
	rc = hb_pool_grow(w->pool, &err);
	if (rc && rc != -EIO && rc != -EROFS)
		why_set(&w->why, "the pool does not grow: %s (%d)", err.text, rc);
}

void some_verb(struct workload *l)
{
	struct wvol *wv = some_volume(l);

	if (l->w->shape.growths && pct(l, 20)) {
		verb_grow_pool(l);
		return;
	}

	if (!wv || pct(l, 30)) {
		verb_create(l);
		return;
	}
	if (pct(l, l->w->shape.family_pct)) {
		family_verb(l);
		return;
	}
	switch (below(l, 9)) {
	case 0:
		verb_delete(l, wv);
		break;
	case 1:
		verb_rename(l, wv);
		break;
	case 2:
	case 3:
		verb_grow(l, wv);
		break;
	case 4:
		verb_shrink(l, wv);
		break;
	case 5:
	case 6:
		verb_set(l, wv);
		break;
	default:
		verb_writeback(l);
		break;
	}
}

bool workload_delete_all(struct workload *l)
{
	for (unsigned tries = 0; tries < REFUSED_MAX && some_volume(l) && !l->w->why.text[0]; tries++) {
		if (!workload_quiet(l))
			return false;
		for (int i = 0; i < VOLS; i++)
			if (l->vol[i].v)
				verb_delete(l, &l->vol[i]);
		world_turn(l->w, l->w->clock.now_ns + SEC_NS);
	}
	if (some_volume(l))
		why_set(&l->w->why, "volumes cannot be deleted");
	return !l->w->why.text[0];
}
