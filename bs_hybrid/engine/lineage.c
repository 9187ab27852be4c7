/* SPDX-License-Identifier: GPL-2.0-only */
/* lineage.c - snapshots, clones, groups, reverting; what differs and what is shared within a family.
 *
 * A snapshot is a second holder of its source's map: every node is shared from then on, and whoever writes first takes
 * a copy of the path to one leaf (map/ptree.h). Chunks are shared with the map, and with them what is cached of them,
 * since caches know pool blocks only.
 *
 * A group is a run of records with a mark at its beginning and at its end. They may fill several units.
 * Crash story: power fails when the first of two units is durable. Replay keeps the records of a group back until its
 * last one has come, so the group never was. A group that found no room half-way is left in the log like that, too: the
 * next record of any other kind, or the next FIRST, ends it.
 */
#include "engine/pool.h"
#include "format/volrec.h"

#define USAGE_LEAVES 64u /* looked at in one step */

/* ---------------------------------------------------------------- records */

static int enter(struct hb_pool *p, const struct rec *r, const struct hb_volume *from, const struct hb_volume *parent,
		 uint32_t flags, struct hb_volume **ret)
{
	struct volrec vr = {.id = r->vol,
			    .flags = flags,
			    .size_blk = from->size_blk,
			    .created_s = r->created_s,
			    .parent_id = parent->id,
			    .family_id = parent->family_id,
			    .mapped_blk = from->mapped_blk};
	int rc;

	memcpy(vr.name, r->name, sizeof(vr.name));
	memcpy(vr.uuid, r->uuid, 16);
	if (flags & VOLREC_SNAPSHOT)
		memcpy(vr.content, r->content, 16);
	volattr_inherit(&vr.attr, &from->attr, flags & VOLREC_SNAPSHOT);
	rc = vol_enter(p, &vr, ret);
	if (!rc)
		(*ret)->changed = true;
	return rc;
}

static int apply_snap(struct hb_pool *p, const struct rec *r, struct hb_volume *src)
{
	struct hb_volume *v;
	int rc = enter(p, r, src, src, r->flags & REC_CLONE ? 0 : VOLREC_SNAPSHOT, &v);

	if (!rc && !BUG(SNAPSHOT_EMPTY))
		ptree_share(&v->map, &src->map);
	return rc;
}

static int apply_revert(struct hb_pool *p, const struct rec *r, struct hb_volume *src)
{
	struct hb_volume *v = vol_by_id(p, r->dst_vol), *keep;
	int rc;

	if (!v || v->flags & (VOLREC_DELETING | VOLREC_SNAPSHOT) || v == src || v->family_id != src->family_id)
		return -EBADMSG;
	rc = enter(p, r, v, v, VOLREC_SNAPSHOT, &keep);
	if (rc)
		return rc;
	keep->map = v->map;
	v->map = (struct ptree){.root = NULL};
	ptree_share(&v->map, &src->map);
	v->mapped_blk = src->mapped_blk;
	if (!BUG(REVERT_KEEPS_SIZE))
		v->size_blk = src->size_blk;
	v->changed = !BUG(REVERT_NOT_SAVED);
	return 0;
}

int lineage_apply(struct hb_pool *p, const struct rec *r)
{
	struct hb_volume *src = vol_by_id(p, r->src_vol);

	if (!r->vol || !src || src->flags & VOLREC_DELETING || r->src_vol >= r->vol || vol_by_id(p, r->vol) ||
	    !hb_name_ok(r->name) || vol_by_name(p, r->name))
		return -EBADMSG;
	return r->type == REC_VOL_SNAP ? apply_snap(p, r, src) : apply_revert(p, r, src);
}

/* Pins end where the volume does. Not to be undone, so only when the group is whole. */
static void clip_reverted(struct hb_pool *p, const struct rec *recs, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct hb_volume *v = recs[i].type == REC_VOL_REVERT ? vol_by_id(p, recs[i].dst_vol) : NULL;

		if (v) {
			volattr_clip(&v->attr, v->size_blk);
			pins_volume(v, false);
			floors_volume(v, false);
		}
	}
}

int lineage_replay(struct hb_pool *p, struct rec_group *g, const struct rec *r)
{
	int rc = 0;

	if (r->type != REC_VOL_SNAP && r->type != REC_VOL_REVERT) {
		g->n = 0;
		return 0;
	}
	if (BUG(GROUP_HALF))
		return lineage_apply(p, r);
	if (r->flags & REC_FIRST)
		g->n = 0;
	else if (!g->n)
		return -EBADMSG;
	if (g->n == HB_GROUP_MAX)
		return -EBADMSG;
	if (!g->rec)
		g->rec = mem_calloc(HB_GROUP_MAX, sizeof(*g->rec));
	if (!g->rec)
		return -ENOMEM;
	g->rec[g->n++] = *r;
	if (r->flags & REC_MORE)
		return 0;
	for (uint32_t i = 0; !rc && i < g->n; i++)
		rc = lineage_apply(p, &g->rec[i]);
	clip_reverted(p, g->rec, rc ? 0 : g->n);
	g->n = 0;
	return rc;
}

/* ---------------------------------------------------------------- a group, all or none */

static int may_change(struct hb_pool *p, uint32_t n, struct err *err)
{
	if (p->read_only)
		return err_set(err, -EROFS, "the pool is open for reading only");
	if (p->failed)
		return err_set(err, -EIO, "the pool has failed: %s", p->trouble);
	if (!n || n > HB_GROUP_MAX)
		return err_set(err, -EINVAL, "a group has 1 to %d members, not %u", HB_GROUP_MAX, n);
	if (p->nnames + n > HB_VOLUMES_MAX)
		return err_set(err, -ENOSPC, "the pool has %u volumes, and %d are as many as there can be", p->nnames,
			       HB_VOLUMES_MAX);
	if (!meta_room(p, META_SPARE_UNMAP + meta_frag_spare(p) + n / 4)) {
		meta_wait(p);
		return err_set(err, -ENOSPC, "there is no room for metadata; delete snapshots, or try again");
	}
	return 0;
}

static int new_name(struct hb_pool *p, const struct rec *recs, uint32_t n, const char *name, struct rec *ret,
		    struct err *err)
{
	int rc = vol_name_check(name, err);

	if (rc)
		return rc;
	if (vol_by_name(p, name))
		return err_set(err, -EEXIST, "volume '%s' exists already in pool %s", name, p->sb.name);
	for (uint32_t i = 0; i < n; i++)
		if (!strcmp(recs[i].name, name))
			return err_set(err, -EEXIST, "the name '%s' stands twice in the group", name);
	memcpy(ret->name, name, strlen(name) + 1);
	return 0;
}

static void new_identity(struct hb_pool *p, struct rec *r)
{
	new_uuid(&p->env, r->uuid);
	memcpy(r->content, r->uuid, 16);
}

/* Undoes the first n of a group that memory ran out for. The log was not told of any. */
static void undo(struct hb_pool *p, const struct rec *recs, uint32_t n)
{
	while (n-- > (BUG(UNDO_HALF) ? 1 : 0)) {
		struct hb_volume *v = vol_by_id(p, recs[n].vol);

		if (recs[n].type == REC_VOL_REVERT) {
			struct hb_volume *of = vol_by_id(p, recs[n].dst_vol);

			ptree_clear(&p->maps.env, &of->map);
			of->map = v->map;
			of->mapped_blk = v->mapped_blk;
			of->size_blk = v->size_blk;
			v->map = (struct ptree){.root = NULL};
		}
		vol_forget(p, v);
	}
}

/* Memory first, since it can be undone; then the log. If the log has no room half-way (no segment is free: the pool is
 * about to fill up), what it got is a group without an end, and memory is undone. */
static int commit_group(struct hb_pool *p, struct rec *recs, uint32_t n, struct err *err)
{
	uint32_t first = p->next_volume_id;
	uint64_t now_s = p->env.wall_s(p->env.ctx);
	int rc = 0;

	for (uint32_t i = 0; i < n && !rc; i++) {
		recs[i].vol = first + i;
		recs[i].created_s = now_s;
		recs[i].flags |= (i ? 0 : REC_FIRST) | (i + 1 < n ? REC_MORE : 0);
		rc = lineage_apply(p, &recs[i]);
		if (rc) {
			undo(p, recs, i);
			return err_set(err, rc, rc == -ENOMEM ? "out of memory" : "the group makes no sense");
		}
	}
	for (uint32_t i = 0; i < n; i++) {
		if (!log_room(p, 0, rec_bytes(recs[i].type), true)) {
			undo(p, recs, n);
			return err_set(err, -ENOSPC, "the log has no room at this moment; try again");
		}
		if (!BUG(SNAPSHOT_NOT_LOGGED))
			log_rec(p, &recs[i]);
		log_publish(p); /* a unit may be closed for the next one */
	}
	clip_reverted(p, recs, n);
	return 0;
}

static int snap_rec(struct hb_pool *p, const struct hb_snap *what, struct rec *recs, uint32_t i, struct err *err)
{
	struct rec *r = &recs[i];
	struct hb_volume *src;
	int rc = new_name(p, recs, i, what->name, r, err);

	if (!rc)
		rc = vol_find(p, what->source, &src, err);
	if (rc)
		return rc;
	r->type = REC_VOL_SNAP;
	r->flags = what->writable ? REC_CLONE : 0;
	r->src_vol = src->id;
	new_identity(p, r);
	if (what->content)
		memcpy(r->content, what->content, 16);
	return 0;
}

static int revert_rec(struct hb_pool *p, const struct hb_revert *what, bool in_use, struct rec *recs, uint32_t i,
		      struct err *err)
{
	struct rec *r = &recs[i];
	struct hb_volume *v, *s;
	int rc = new_name(p, recs, i, what->keep, r, err);

	if (!rc)
		rc = vol_find(p, what->volume, &v, err);
	if (!rc)
		rc = vol_find(p, what->snapshot, &s, err);
	if (rc)
		return rc;
	if (v->flags & VOLREC_SNAPSHOT)
		return err_set(err, -EINVAL, "'%s' is a snapshot, which never changes", what->volume);
	if (!(s->flags & VOLREC_SNAPSHOT))
		return err_set(err, -EINVAL, "'%s' is no snapshot", what->snapshot);
	if (s->family_id != v->family_id)
		return err_set(err, -EINVAL, "snapshot '%s' is not of the family of volume '%s'", what->snapshot,
			       what->volume);
	if (v->opens && !in_use)
		return err_set(err, -EBUSY, "volume '%s' is in use", what->volume);
	r->type = REC_VOL_REVERT;
	r->src_vol = s->id;
	r->dst_vol = v->id;
	for (uint32_t k = 0; k < i; k++)
		if (recs[k].dst_vol == v->id)
			return err_set(err, -EINVAL, "volume '%s' stands twice in the group", what->volume);
	new_identity(p, r);
	return 0;
}

/* *ret: n empty records; end_group frees them. */
static int begin_group(struct hb_pool *p, uint32_t n, struct rec **ret, struct err *err)
{
	int rc = may_change(p, n, err);

	if (rc)
		return rc;
	*ret = mem_calloc(n, sizeof(**ret));
	return *ret ? 0 : err_set(err, -ENOMEM, "out of memory");
}

/* rc: of making the records. */
static int end_group(struct hb_pool *p, struct rec *recs, uint32_t n, int rc, struct err *err)
{
	if (!rc)
		rc = commit_group(p, recs, n, err);
	mem_free(recs);
	return rc;
}

int hb_volume_snapshot(struct hb_pool *p, const struct hb_snap *what, uint32_t n, struct err *err)
{
	struct rec *recs;
	int rc = begin_group(p, n, &recs, err);

	if (rc)
		return rc;
	for (uint32_t i = 0; i < n && !rc; i++)
		rc = snap_rec(p, &what[i], recs, i, err);
	return end_group(p, recs, n, rc, err);
}

int hb_volume_revert(struct hb_pool *p, const struct hb_revert *what, uint32_t n, bool in_use, struct err *err)
{
	struct rec *recs;
	int rc = begin_group(p, n, &recs, err);

	if (rc)
		return rc;
	for (uint32_t i = 0; i < n && !rc; i++)
		rc = revert_rec(p, &what[i], in_use, recs, i, err);
	return end_group(p, recs, n, rc, err);
}

/* ---------------------------------------------------------------- asking */

int hb_volume_usage(struct hb_pool *p, uint32_t id, struct hb_usage *u)
{
	struct hb_volume *v = vol_by_id(p, id);
	uint64_t blocks = 0, chunks = 0;

	if (!v)
		return -ENOENT;
	for (uint32_t i = 0; i < USAGE_LEAVES; i++) {
		uint64_t leaf = ptree_next_exclusive(&v->map, u->next_leaf);

		if (leaf == UINT64_MAX) {
			u->next_leaf = leaf;
			break;
		}
		map_count_exclusive(&p->maps, &v->map, leaf, &blocks, &chunks);
		u->next_leaf = leaf + 1;
	}
	/* Until the end, what was not found to be exclusive counts there. */
	u->mapped_bytes = v->mapped_blk * BLK_BYTES;
	u->exclusive_bytes += chunks * p->sb.chunk_blk * BLK_BYTES;
	u->exclusive_blk += blocks;
	u->shared_bytes = u->mapped_bytes - MIN(u->mapped_bytes, u->exclusive_blk * BLK_BYTES);
	return u->next_leaf == UINT64_MAX;
}

int hb_volume_diff(struct hb_pool *p, uint32_t from, uint32_t to, uint64_t off_bytes, struct hb_diff_run *ret)
{
	static const struct ptree nothing;
	const struct hb_volume *a = from ? vol_by_id(p, from) : NULL, *b = vol_by_id(p, to);
	vblk_t at = {off_bytes / BLK_BYTES};
	uint64_t n = 0;
	int rc;

	if (!b || (from && !a))
		return -ENOENT;
	if (!(b->flags & VOLREC_SNAPSHOT) || (a && !(a->flags & VOLREC_SNAPSHOT)) ||
	    (a && a->family_id != b->family_id))
		return -EINVAL;
	rc = map_next_diff(&p->maps, a ? &a->map : &nothing, &b->map, at, &at, &n, &ret->mapped);
	if (rc == 0 || at.n >= b->size_blk)
		return 0;
	ret->off_bytes = at.n * BLK_BYTES;
	ret->len_bytes = rc > 0 ? MIN(n, b->size_blk - at.n) * BLK_BYTES : 0;
	return rc;
}
