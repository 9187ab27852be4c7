/* SPDX-License-Identifier: GPL-2.0-only */
/* volume.c - the volumes of a pool: found by id and by name, changed by records that replay applies in the same way.
 *
 * Deleting: the name is gone at once; the map's leaves go one REC_VOL_TRIM after the other, a few a turn; at the end
 * REC_VOL_GONE. A crash in between leaves the volume marked VOLREC_DELETING, and the next open goes on.
 */
#include "format/volrec.h"
#include "engine/pool.h"

#define TRIM_PARTS 16u /* of a deleted volume's map, dropped in one turn, if others hold them, too; else one leaf */

/* ---------------------------------------------------------------- tables */

struct hb_volume *vol_by_id(struct hb_pool *p, uint32_t id)
{
	list_each(l, &p->vol_hash[id % VOL_HASH]) {
		struct hb_volume *v = list_entry(l, struct hb_volume, by_id);

		if (v->id == id)
			return v;
	}
	return NULL;
}

/* Where `name` is, or would be. */
static uint32_t name_at(const struct hb_pool *p, const char *name)
{
	uint32_t lo = 0, hi = p->nnames;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (strcmp(p->by_name[mid]->name, name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct hb_volume *vol_by_name(struct hb_pool *p, const char *name)
{
	uint32_t i = name_at(p, name);

	return i < p->nnames && !strcmp(p->by_name[i]->name, name) ? p->by_name[i] : NULL;
}

static int name_room(struct hb_pool *p)
{
	uint32_t cap = p->names_cap ? p->names_cap * 2 : 64;
	struct hb_volume **bigger;

	if (p->nnames < p->names_cap)
		return 0;
	bigger = mem_calloc(cap, sizeof(*bigger));
	if (!bigger)
		return -ENOMEM;
	if (p->nnames)
		memcpy(bigger, p->by_name, p->nnames * sizeof(*bigger));
	mem_free(p->by_name);
	p->by_name = bigger;
	p->names_cap = cap;
	return 0;
}

static void name_add(struct hb_pool *p, struct hb_volume *v)
{
	uint32_t i = name_at(p, v->name);

	memmove(p->by_name + i + 1, p->by_name + i, (p->nnames - i) * sizeof(*p->by_name));
	p->by_name[i] = v;
	p->nnames++;
}

static void name_del(struct hb_pool *p, struct hb_volume *v)
{
	uint32_t i = name_at(p, v->name);

	assert(i < p->nnames && p->by_name[i] == v);
	p->nnames--;
	memmove(p->by_name + i, p->by_name + i + 1, (p->nnames - i) * sizeof(*p->by_name));
}

int vol_enter(struct hb_pool *p, const struct volrec *r, struct hb_volume **ret)
{
	struct hb_volume *v = mem_zalloc(sizeof(*v));

	if (!v || name_room(p)) {
		mem_free(v);
		return -ENOMEM;
	}
	v->pool = p;
	v->id = r->id;
	v->flags = r->flags;
	memcpy(v->name, r->name, sizeof(v->name));
	memcpy(v->uuid, r->uuid, 16);
	v->size_blk = r->size_blk;
	v->created_s = r->created_s;
	v->parent_id = r->parent_id;
	v->family_id = r->family_id;
	memcpy(v->content, r->content, 16);
	v->mapped_blk = r->mapped_blk;
	v->attr = r->attr;
	limits_init(v);
	flow_init(&v->reading);
	flow_init(&v->writing);
	v->saved_root.page = PTREE_NO_PAGE;
	list_push(&p->vol_hash[v->id % VOL_HASH], &v->by_id);
	p->nvolumes++;
	if (v->flags & VOLREC_DELETING)
		list_push(&p->deleting, &v->deleting);
	else
		name_add(p, v);
	pins_volume(v, false);
	floors_volume(v, false);
	if (v->id >= p->next_volume_id)
		p->next_volume_id = v->id + 1;
	*ret = v;
	return 0;
}

void vol_forget(struct hb_pool *p, struct hb_volume *v)
{
	ptree_clear(&p->maps.env, &v->map);
	flow_fini(&v->reading);
	flow_fini(&v->writing);
	through_forget(v);
	pins_volume(v, true);
	floors_volume(v, true);
	if (v->flags & VOLREC_DELETING)
		list_del(&v->deleting);
	else
		name_del(p, v);
	list_del(&v->by_id);
	p->nvolumes--;
	seen_free(v);
	mem_free(v);
}

void vol_fini(struct hb_pool *p)
{
	for (uint32_t i = 0; i < VOL_HASH; i++) {
		while (!list_empty(&p->vol_hash[i])) {
			struct hb_volume *v = list_first(&p->vol_hash[i], struct hb_volume, by_id);

			ptree_forget(&p->maps.env, &v->map);
			list_del(&v->by_id);
			seen_free(v);
			mem_free(v);
		}
	}
	mem_free(p->by_name);
	p->by_name = NULL;
}

/* ---------------------------------------------------------------- records */

static int apply_create(struct hb_pool *p, const struct rec *r)
{
	struct volrec vr = {
		.id = r->vol, .family_id = r->vol, .size_blk = r->size_blk, .created_s = r->created_s};
	struct hb_volume *v;
	int rc;

	if (!r->vol || !r->size_blk || r->size_blk > HB_VOLUME_BYTES_MAX / BLK_BYTES || vol_by_id(p, r->vol) ||
	    !hb_name_ok(r->name) || vol_by_name(p, r->name))
		return -EBADMSG;
	memcpy(vr.name, r->name, sizeof(vr.name));
	memcpy(vr.uuid, r->uuid, 16);
	volattr_default(&vr.attr);
	rc = vol_enter(p, &vr, &v);
	if (!rc)
		v->changed = true;
	return rc;
}

/* The volume's place in the table becomes empty. */
static int erase_record(struct hb_pool *p, uint32_t id)
{
	uint8_t *leaf;

	if (!ptree_get(&p->vol_tree, id / VOLREC_PER_PAGE)) /* it was never in a checkpoint */
		return 0;
	leaf = ptree_change(&p->maps.plain, &p->vol_tree, id / VOLREC_PER_PAGE);
	if (!leaf)
		return -ENOMEM;
	memset(leaf + id % VOLREC_PER_PAGE * VOLREC_BYTES, 0, VOLREC_BYTES);
	if (all_zero(leaf, BLK_BYTES))
		return ptree_remove(&p->maps.plain, &p->vol_tree, id / VOLREC_PER_PAGE);
	return 0;
}

int vol_apply(struct hb_pool *p, const struct rec *r)
{
	struct hb_volume *v = vol_by_id(p, r->vol);
	int rc = 0;

	if (r->type == REC_VOL_CREATE)
		return apply_create(p, r);
	if (!v)
		return -EBADMSG;
	switch (r->type) {
	case REC_VOL_DELETE:
		if (v->flags & VOLREC_DELETING)
			return -EBADMSG;
		name_del(p, v);
		v->flags |= VOLREC_DELETING;
		list_push(&p->deleting, &v->deleting);
		pins_volume(v, true);
		floors_volume(v, true);
		break;
	case REC_VOL_TRIM:
		if (BUG(DELETE_LEAKS)) {
			ptree_forget(&p->maps.env, &v->map);
			return 0;
		}
		return map_drop_part(&p->maps, &v->map, r->vblk, (unsigned)r->count);
	case REC_VOL_GONE:
		if (!(v->flags & VOLREC_DELETING))
			return -EBADMSG;
		rc = erase_record(p, v->id);
		if (!rc)
			vol_forget(p, v);
		return rc;
	case REC_VOL_RENAME:
		if (v->flags & VOLREC_DELETING || !hb_name_ok(r->name) || vol_by_name(p, r->name))
			return -EBADMSG;
		name_del(p, v);
		memcpy(v->name, r->name, sizeof(v->name));
		name_add(p, v);
		if (BUG(RENAME_NOT_SAVED))
			return 0;
		break;
	case REC_VOL_SIZE:
		if (r->size_blk > HB_VOLUME_BYTES_MAX / BLK_BYTES)
			return -EBADMSG;
		v->size_blk = r->size_blk;
		volattr_clip(&v->attr, v->size_blk);
		pins_volume(v, false);
		break;
	case REC_VOL_ATTR:
		rc = attr_apply(v, r->attr);
		if (rc || BUG(ATTR_NOT_SAVED))
			return rc;
		break;
	default:
		return -EBADMSG;
	}
	v->changed = true;
	return rc;
}

int vol_commit(struct hb_pool *p, const struct rec *r, struct err *err)
{
	int rc;

	if (p->read_only)
		return err_set(err, -EROFS, "the pool is open for reading only");
	if (p->failed)
		return err_set(err, -EIO, "the pool has failed: %s", p->trouble);
	if (!log_room(p, 0, rec_bytes(r->type), true))
		return err_set(err, -ENOSPC, "the log has no room at this moment; try again");
	rc = vol_apply(p, r);
	if (rc)
		return err_set(err, rc, rc == -ENOMEM ? "out of memory" : "the record makes no sense");
	log_rec(p, r);
	log_publish(p);
	return 0;
}

/* ---------------------------------------------------------------- verbs */

int vol_name_check(const char *name, struct err *err)
{
	if (hb_name_ok(name))
		return 0;
	return err_set(err, -EINVAL,
		       "'%.80s' is no name: expected 1 to %d letters, digits, '.', '_' or '-', "
		       "beginning with a letter or digit",
		       name, HB_NAME_MAX);
}

static int size_check(uint64_t size, struct err *err)
{
	if (size && size % BLK_BYTES == 0 && size <= HB_VOLUME_BYTES_MAX)
		return 0;
	return err_set(err, -EINVAL, "%llu is no size of a volume: expected a multiple of 4096 bytes up to 1 PiB",
		       (unsigned long long)size);
}

int vol_find(struct hb_pool *p, const char *name, struct hb_volume **ret, struct err *err)
{
	*ret = vol_by_name(p, name);
	return *ret ? 0 : err_set(err, -ENOENT, "no volume '%.80s' in pool %s", name, p->sb.name);
}

int hb_volume_create(struct hb_pool *p, const char *name, uint64_t size, struct err *err)
{
	struct rec r = {.type = REC_VOL_CREATE, .vol = p->next_volume_id, .size_blk = size / BLK_BYTES};
	int rc = vol_name_check(name, err);

	if (!rc)
		rc = size_check(size, err);
	if (rc)
		return rc;
	if (vol_by_name(p, name))
		return err_set(err, -EEXIST, "volume '%s' exists already in pool %s", name, p->sb.name);
	if (p->nnames >= HB_VOLUMES_MAX)
		return err_set(err, -ENOSPC, "the pool has %u volumes, as many as there can be", p->nnames);
	r.created_s = p->env.wall_s(p->env.ctx);
	new_uuid(&p->env, r.uuid);
	memcpy(r.name, name, strlen(name) + 1);
	return vol_commit(p, &r, err);
}

int hb_volume_delete(struct hb_pool *p, const char *name, struct err *err)
{
	struct rec r = {.type = REC_VOL_DELETE};
	struct hb_volume *v;
	int rc = vol_find(p, name, &v, err);

	if (rc)
		return rc;
	if (v->opens)
		return err_set(err, -EBUSY, "volume '%s' is in use", name);
	r.vol = v->id;
	return vol_commit(p, &r, err);
}

int hb_volume_rename(struct hb_pool *p, const char *name, const char *new_name, struct err *err)
{
	struct rec r = {.type = REC_VOL_RENAME};
	struct hb_volume *v;
	int rc = vol_name_check(new_name, err);

	if (!rc)
		rc = vol_find(p, name, &v, err);
	if (rc)
		return rc;
	if (vol_by_name(p, new_name))
		return err_set(err, -EEXIST, "volume '%s' exists already in pool %s", new_name, p->sb.name);
	r.vol = v->id;
	memcpy(r.name, new_name, strlen(new_name) + 1);
	return vol_commit(p, &r, err);
}

static int find_to_resize(struct hb_pool *p, const char *name, uint64_t size, struct hb_volume **ret, struct err *err)
{
	int rc = vol_find(p, name, ret, err);

	if (!rc)
		rc = size_check(size, err);
	if (!rc && (*ret)->flags & VOLREC_SNAPSHOT)
		rc = err_set(err, -EINVAL, "'%s' is a snapshot, which never changes", name);
	return rc;
}

int hb_volume_grow(struct hb_pool *p, const char *name, uint64_t size, struct err *err)
{
	struct rec r = {.type = REC_VOL_SIZE, .size_blk = size / BLK_BYTES};
	struct hb_volume *v;
	int rc = find_to_resize(p, name, size, &v, err);

	if (rc)
		return rc;
	if (r.size_blk < v->size_blk)
		return err_set(err, -EINVAL, "volume '%s' has %llu bytes: it can grow, not shrink to %llu", name,
			       (unsigned long long)(v->size_blk * BLK_BYTES), (unsigned long long)size);
	r.vol = v->id;
	return vol_commit(p, &r, err);
}

int hb_volume_shrink(struct hb_pool *p, const char *name, uint64_t size, struct err *err)
{
	struct rec r = {.type = REC_VOL_SIZE, .size_blk = size / BLK_BYTES};
	struct hb_volume *v;
	int rc = find_to_resize(p, name, size, &v, err);

	if (rc)
		return rc;
	if (r.size_blk > v->size_blk)
		return err_set(err, -EINVAL, "volume '%s' has %llu bytes: it does not shrink to %llu", name,
			       (unsigned long long)(v->size_blk * BLK_BYTES), (unsigned long long)size);
	if (v->opens)
		return err_set(err, -EBUSY, "volume '%s' is in use", name);
	if (map_next_mapped(&p->maps, &v->map, (vblk_t){r.size_blk}).n < v->size_blk)
		return err_set(err, -ENOTEMPTY, "volume '%s' has data behind %llu bytes; unmap it first", name,
			       (unsigned long long)size);
	r.vol = v->id;
	return vol_commit(p, &r, err);
}

int hb_volume_open(struct hb_pool *p, const char *name, struct hb_volume **ret, struct err *err)
{
	struct hb_volume *v;
	int rc = vol_find(p, name, &v, err);

	if (rc)
		return rc;
	v->opens++;
	*ret = v;
	return 0;
}

void hb_volume_close(struct hb_volume *v)
{
	struct hb_pool *p = v->pool;

	assert(v->opens > 0);
	if (v->opens == 1)
		limits_let_go(v);
	while (v->inflight) {
		uint64_t next = hb_pool_run(p);

		if (v->inflight && next > pool_now(p))
			p->env.wait(p->env.ctx, next);
	}
	v->opens--;
}

uint64_t hb_volume_size(const struct hb_volume *v)
{
	return v->size_blk * BLK_BYTES;
}

const uint8_t *hb_volume_uuid(const struct hb_volume *v)
{
	return v->uuid;
}

struct hb_pool *hb_volume_pool(const struct hb_volume *v)
{
	return v->pool;
}

void hb_volume_info(const struct hb_volume *v, struct hb_volume_info *ret)
{
	*ret = (struct hb_volume_info){
		.id = v->id,
		.size_bytes = v->size_blk * BLK_BYTES,
		.mapped_bytes = v->mapped_blk * BLK_BYTES,
		.created_s = v->created_s,
		.opens = v->opens,
		.deleting = v->flags & VOLREC_DELETING,
		.snapshot = v->flags & VOLREC_SNAPSHOT,
		.parent_id = v->parent_id,
		.family_id = v->family_id,
		.attr = v->attr,
		.waits = v->waits,
		.settling = link_on_list(&v->settling),
		.pinned_bytes = v->pinned_blk * BLK_BYTES,
		.pinned_cached_bytes = v->pinned_cached_blk * BLK_BYTES,
	};
	floors_info(v, ret);
	memcpy(ret->content, v->content, 16);
	memcpy(ret->name, v->name, sizeof(ret->name));
	memcpy(ret->uuid, v->uuid, 16);
}

bool hb_volume_next(struct hb_pool *p, char cursor[HB_NAME_MAX + 1], struct hb_volume_info *ret)
{
	uint32_t i = name_at(p, cursor);

	if (i < p->nnames && !strcmp(p->by_name[i]->name, cursor))
		i++;
	if (i >= p->nnames)
		return false;
	hb_volume_info(p->by_name[i], ret);
	memcpy(cursor, ret->name, sizeof(ret->name));
	return true;
}

bool hb_volume_find(struct hb_pool *p, const char *name, struct hb_volume_info *ret)
{
	const struct hb_volume *v = vol_by_name(p, name);

	if (v)
		hb_volume_info(v, ret);
	return v != NULL;
}

bool hb_volume_find_id(struct hb_pool *p, uint32_t id, struct hb_volume_info *ret)
{
	const struct hb_volume *v = vol_by_id(p, id);

	if (v)
		hb_volume_info(v, ret);
	return v != NULL;
}

bool hb_volume_mapped(const struct hb_volume *v, uint64_t off, uint64_t *len)
{
	const struct mapset *ms = &v->pool->maps;
	vblk_t vb = {off / BLK_BYTES};
	uint64_t end = MIN(DIV_UP(off + *len, BLK_BYTES), v->size_blk), at = vb.n;
	bool mapped = map_find(ms, &v->map, vb).n != 0;

	if (!mapped)
		at = MIN(map_next_mapped(ms, &v->map, vb).n, end);
	while (mapped && at < end && at - vb.n < 65536) {
		pblk_t b;
		uint64_t n = map_find_run(ms, &v->map, (vblk_t){at}, end - at, &b);

		if (!b.n)
			break;
		at += n;
	}
	*len = MIN(*len, at * BLK_BYTES - off);
	return mapped;
}

/* ---------------------------------------------------------------- background, checkpoint */

bool vol_pump(struct hb_pool *p)
{
	struct hb_volume *v;

	if (list_empty(&p->deleting) || p->failed || p->closing)
		return false;
	v = list_first(&p->deleting, struct hb_volume, deleting);
	for (uint32_t i = 0; i < TRIM_PARTS; i++) {
		uint32_t limbo = p->limbo_n;
		unsigned level = 0;
		struct rec r = {.type = REC_VOL_GONE, .vol = v->id};

		/* What others hold, too, goes in one piece; else leaf by leaf. */
		if (ptree_first_part(&v->map, &r.vblk, &level))
			r.type = REC_VOL_TRIM;
		r.count = level;
		/* Giving records back changes their pages, and those must find room in the next checkpoint. Writers
		 * stop before there is none; if only that is left, nothing else could bring space back. */
		if (!meta_room(p, meta_frag_spare(p)) && meta_wait(p))
			return i > 0;

		if (!log_room(p, 0, rec_bytes(r.type), false))
			return false;
		log_rec(p, &r);
		log_publish(p);
		if (vol_apply(p, &r) || r.type == REC_VOL_GONE || p->limbo_n != limbo)
			break;
	}
	return true;
}

static int save(struct hb_pool *p, struct hb_volume *v, uint32_t (*put)(void *, const void *, uint32_t), void *ctx)
{
	struct volrec r = {.id = v->id,
			   .flags = v->flags,
			   .size_blk = v->size_blk,
			   .created_s = v->created_s,
			   .parent_id = v->parent_id,
			   .family_id = v->family_id,
			   .mapped_blk = v->mapped_blk,
			   .attr = v->attr,
			   .root_page = PTREE_NO_PAGE};
	struct page_ptr root = {PTREE_NO_PAGE, 0};
	uint8_t *leaf;
	int rc = ptree_save(&p->maps.env, &v->map, put, ctx, &root);

	if (rc)
		return rc;
	leaf = ptree_change(&p->maps.plain, &p->vol_tree, v->id / VOLREC_PER_PAGE);
	if (!leaf)
		return -ENOMEM;
	memcpy(r.name, v->name, sizeof(r.name));
	memcpy(r.uuid, v->uuid, 16);
	memcpy(r.content, v->content, 16);
	r.root_page = root.page;
	r.root_crc = root.crc;
	r.root_levels = v->map.levels;
	volrec_encode(&r, leaf + v->id % VOLREC_PER_PAGE * VOLREC_BYTES);
	v->saved_root = root;
	v->changed = false;
	return 0;
}

static bool same_root(struct page_ptr a, struct page_ptr b)
{
	return a.page == b.page && (a.page == PTREE_NO_PAGE || a.crc == b.crc);
}

int vol_save_all(struct hb_pool *p, uint32_t (*put)(void *ctx, const void *data, uint32_t crc), void *ctx)
{
	for (uint32_t i = 0; i < VOL_HASH; i++) {
		list_each(l, &p->vol_hash[i]) {
			struct hb_volume *v = list_entry(l, struct hb_volume, by_id);
			int rc;

			/* Another holder of the same root may have had it written; even to the same page, after an
			 * attempt that failed. */
			if (!v->changed && !ptree_dirty(&v->map) &&
			    (same_root(ptree_root(&v->map), v->saved_root) || BUG(SHARED_ROOT_NOT_SAVED)))
				continue;
			rc = save(p, v, put, ctx);
			if (rc)
				return rc;
		}
	}
	return 0;
}
