/* SPDX-License-Identifier: GPL-2.0-only */
/* create.c - formatting two devices as a pool, and telling what a device is. */
#include "engine/pool.h"

#define SEGS_MIN 7u /* fewer and the log cannot breathe */
#define WRITE_TIER_MIN MIB(64)
#define CAPACITY_MIN MIB(128)

/* Pages for: map leaves twice over (new ones are written before old ones are free), inner nodes, fragments; segment and
 * volume tables twice over. */
static uint64_t meta_pages(uint64_t nchunks, uint64_t nsegs)
{
	return nchunks / 64 + nsegs / 4 + MIN(nchunks / 4, 16384u) + 192;
}

static uint32_t default_seg_blk(uint64_t size_blk)
{
	uint32_t s = SEG_BLK_MAX;

	while (s > 64 && size_blk / s < 64)
		s /= 2;
	return s;
}

static int lay_out(struct super *cap, struct super *wt, const struct hb_create *how, struct err *err)
{
	uint32_t chunk_blk = (how->chunk_bytes ? how->chunk_bytes : 65536u) / BLK_BYTES;
	uint32_t seg_blk = how->segment_bytes ? how->segment_bytes / BLK_BYTES : default_seg_blk(wt->size_blk);
	uint64_t nsegs, nchunks, meta, first;

	if (chunk_blk != 16 && chunk_blk != 32)
		return err_set(err, -EINVAL, "chunk size %u: expected 65536 or 131072", how->chunk_bytes);
	if (seg_blk < 64 || seg_blk > SEG_BLK_MAX || (seg_blk & (seg_blk - 1)))
		return err_set(err, -EINVAL, "segment size %u: expected a power of two from 256 KiB to 2 MiB",
			       how->segment_bytes);
	if (wt->size_blk / seg_blk < SEGS_MIN + 1)
		return err_set(err, -EINVAL, "the write tier is too small: it holds %llu segments, %u are needed",
			       (unsigned long long)(wt->size_blk / seg_blk), SEGS_MIN + 1);
	nsegs = MIN(wt->size_blk / seg_blk - 1, (1u << 31) / seg_blk - 1);
	meta = meta_pages(cap->size_blk / chunk_blk, nsegs);
	cap->meta_start_blk = ROUND_UP(SUPER_B + 1, chunk_blk);
	first = DIV_UP(cap->meta_start_blk + meta, chunk_blk);
	if (first + 1 >= cap->size_blk / chunk_blk)
		return err_set(err, -EINVAL, "the capacity device is too small: %llu bytes, metadata alone needs %llu",
			       (unsigned long long)cap->size_blk * BLK_BYTES,
			       (unsigned long long)first * chunk_blk * BLK_BYTES);
	nchunks = MIN(cap->size_blk / chunk_blk - first, (uint64_t)UINT32_MAX / 2 - first);
	cap->chunk_blk = chunk_blk;
	cap->seg_blk = seg_blk;
	cap->meta_pages = (uint32_t)meta;
	cap->first_chunk = (uint32_t)first;
	cap->nchunks = (uint32_t)nchunks;
	cap->nsegs = (uint32_t)nsegs;
	return 0;
}

static int write_both(const struct hb_env *env, struct dev *dev, struct super *s, struct err *err)
{
	uint8_t *block = mem_alloc(BLK_BYTES);
	int rc = block ? 0 : -ENOMEM;

	for (int i = 0; !rc && i < 2; i++) {
		super_encode(s, i ? SUPER_B : SUPER_A, block);
		rc = sync_io(env, dev, DEV_WRITE, i ? SUPER_B : SUPER_A, block, 1);
	}
	if (!rc)
		rc = sync_io(env, dev, DEV_FLUSH, 0, NULL, 0);
	mem_free(block);
	return rc ? err_set(err, rc, "%s: superblock: %s", dev->name, strerror(-rc)) : 0;
}

int hb_pool_create(const struct hb_env *env, const struct hb_create *how, struct dev *capacity, struct dev *write_tier,
		   struct dev *mirror, struct err *err)
{
	struct super cap = {
		.role = HB_ROLE_CAPACITY, .index = 0, .ndevs = 2, .size_blk = capacity->geom.size_bytes / BLK_BYTES};
	uint64_t wt_bytes = MIN(write_tier->geom.size_bytes, mirror ? mirror->geom.size_bytes : UINT64_MAX);
	struct super wt;
	int rc;

	if (!hb_name_ok(how->name))
		return err_set(err, -EINVAL, "'%.80s' is no name of a pool", how->name);
	if (!how->any_size && capacity->geom.size_bytes < CAPACITY_MIN)
		return err_set(err, -EINVAL, "%s: %llu bytes are too small for a capacity device, %llu is the least",
			       capacity->name, (unsigned long long)capacity->geom.size_bytes,
			       (unsigned long long)CAPACITY_MIN);
	if (!how->any_size && wt_bytes < WRITE_TIER_MIN)
		return err_set(err, -EINVAL, "%s: %llu bytes are too small for a write tier, %llu is the least",
			       write_tier->name, (unsigned long long)wt_bytes, (unsigned long long)WRITE_TIER_MIN);
	memcpy(cap.name, how->name, strlen(how->name) + 1);
	cap.created_s = env->wall_s(env->ctx);
	new_uuid(env, cap.pool_uuid);
	new_uuid(env, cap.devs[0].uuid);
	new_uuid(env, cap.devs[1].uuid);
	wt = cap;
	wt.size_blk = wt_bytes / BLK_BYTES;
	rc = lay_out(&cap, &wt, how, err);
	if (rc)
		return rc;
	cap.devs[0].role = HB_ROLE_CAPACITY;
	cap.devs[0].size_blk = cap.size_blk;
	cap.devs[1].role = HB_ROLE_WRITE;
	cap.devs[1].size_blk = wt.size_blk;
	if (mirror) {
		cap.ndevs = 3;
		cap.devs[2] = cap.devs[1];
		new_uuid(env, cap.devs[2].uuid);
	}
	for (int i = 0; i < TREE_COUNT; i++)
		cap.roots[i].page = PTREE_NO_PAGE;
	cap.flags = SUPER_CLEAN;
	cap.log_seg = 1;
	cap.log_next_seg = 2;
	cap.log_unit_seq = cap.log_seg_seq = cap.next_volume_id = 1;
	cap.generation = cap.seq = 1;
	memcpy(cap.dev_uuid, cap.devs[0].uuid, 16);
	wt = cap;
	wt.size_blk = cap.devs[1].size_blk;
	wt.role = HB_ROLE_WRITE;
	wt.index = 1;
	memcpy(wt.dev_uuid, cap.devs[1].uuid, 16);
	/* The capacity device last: without it there is no pool. */
	rc = write_both(env, write_tier, &wt, err);
	if (!rc && mirror) {
		wt.index = 2;
		memcpy(wt.dev_uuid, cap.devs[2].uuid, 16);
		rc = write_both(env, mirror, &wt, err);
	}
	if (!rc)
		rc = write_both(env, capacity, &cap, err);
	return rc;
}

/* `s`: the capacity device's superblock; becomes the level's. */
int level_format(const struct hb_env *env, struct super *s, struct dev *level, uint32_t segment_bytes, struct err *err)
{
	uint64_t blk = level->geom.size_bytes / BLK_BYTES, nsegs;

	s->seg_blk = segment_bytes ? segment_bytes / BLK_BYTES : default_seg_blk(blk);
	if (s->seg_blk < 64 || s->seg_blk > SEG_BLK_MAX || (s->seg_blk & (s->seg_blk - 1)))
		return err_set(err, -EINVAL, "segment size %u: expected a power of two from 256 KiB to 2 MiB",
			       s->seg_blk * BLK_BYTES);
	nsegs = MIN(blk / s->seg_blk, (1u << 31) / s->seg_blk - 1);
	s->meta_start_blk = SUPER_B + 1;
	for (;; nsegs--) {
		s->meta_pages = (uint32_t)(nsegs / LEVELTAB_PER_PAGE + 1);
		if (nsegs < LEVEL_SEGS_MIN)
			return err_set(err, -EINVAL, "%s: %llu bytes are too small for a cache level of this pool",
				       level->name, (unsigned long long)level->geom.size_bytes);
		if (s->meta_start_blk + 2 * (s->meta_pages + 1ull) + (nsegs + 1) * s->seg_blk <= blk)
			break;
	}
	s->nsegs = (uint32_t)nsegs;
	s->role = HB_ROLE_CACHE;
	s->index = 2;
	s->size_blk = blk;
	s->seq = 1;
	s->flags = 0;
	new_uuid(env, s->dev_uuid);
	return write_both(env, level, s, err);
}

int hb_level_create(const struct hb_env *env, struct dev *capacity, struct dev *level, const struct hb_create *how,
		    struct err *err)
{
	struct super s;
	int mend, rc = super_read(env, capacity, &s, &mend, err);

	if (rc)
		return rc;
	if (s.role != HB_ROLE_CAPACITY)
		return err_set(err, -EXDEV, "%s is not the capacity device of pool %s", capacity->name, s.name);
	return level_format(env, &s, level, how ? how->segment_bytes : 0, err);
}

int hb_dev_probe(const struct hb_env *env, struct dev *dev, struct hb_dev_label *ret, struct err *err)
{
	struct super s;
	int mend, rc = super_read(env, dev, &s, &mend, err);

	if (rc)
		return rc;
	*ret = (struct hb_dev_label){.role = (enum hb_role)s.role,
				     .index = s.index,
				     .size_bytes = s.size_blk * BLK_BYTES,
				     .clean = s.flags & SUPER_CLEAN};
	memcpy(ret->pool_uuid, s.pool_uuid, 16);
	memcpy(ret->dev_uuid, s.dev_uuid, 16);
	memcpy(ret->pool_name, s.name, sizeof(ret->pool_name));
	return 0;
}
