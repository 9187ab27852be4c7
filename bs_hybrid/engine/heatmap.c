/* SPDX-License-Identifier: GPL-2.0-only */
/* heatmap.c - a map of a volume: where its blocks are, counted in steps, by a sample; and where it is hot.
 *
 * One chunk of each group of `every` is looked at, at a place in the group that a hash chooses: neighbours in a volume
 * are used alike, but what an initiator lays out regularly must not be met, or missed, each time.
 */
#include "engine/pool.h"

#define STEP_BLK 8192u /* blocks looked at in one step: one or two milliseconds */
#define STEP_SEARCHES 1024u /* of the map for the next block */
#define SAMPLE_BLK (1u << 20) /* of the whole volume, about */

static enum hb_place place_of(struct hb_pool *p, pblk_t b, bool *ret_dirty)
{
	slot_t s = idx_find(p->idx, b), at;
	struct level *l;

	*ret_dirty = s.n && idx_state(p->idx, s) == SLOT_DIRTY;
	if (ram_find(p->ram, b))
		return HB_PLACE_RAM;
	if (s.n)
		return HB_PLACE_WRITE;
	l = level_find(p, b, &at);
	return l ? HB_PLACE_LEVEL1 + l->no - 1 : HB_PLACE_CAPACITY;
}

int hb_volume_places_plan(struct hb_pool *p, uint32_t id, uint32_t buckets, struct hb_places_plan *ret)
{
	const struct hb_volume *v = vol_by_id(p, id);
	uint64_t blk;

	if (!v)
		return -ENOENT;
	assert(buckets >= 1 && buckets <= HB_PLACES_BUCKETS_MAX);
	blk = DIV_UP(v->size_blk, buckets);
	/* Not more than what lies in one bucket, or some would have nothing. */
	ret->every = (uint32_t)MAX(1, MIN(DIV_UP(v->mapped_blk, SAMPLE_BLK), blk / p->sb.chunk_blk));
	ret->bucket_bytes = ROUND_UP(MAX(blk, 1), (uint64_t)ret->every * p->sb.chunk_blk) * BLK_BYTES;
	return 0;
}

struct walk {
	struct hb_pool *p;
	const struct hb_volume *v;
	struct hb_places *ret;
	uint64_t group_blk, bucket_blk;
	uint64_t at, end; /* blocks; at: where a group begins */
};

/* The chunk that is looked at in the group that begins at block `at`; may lie behind the end. */
static uint64_t sampled(const struct walk *w, uint64_t at)
{
	uint64_t group = at / w->group_blk, every = w->group_blk / w->p->sb.chunk_blk;

	return at + (every > 1 ? hash64(group) % every : 0) * w->p->sb.chunk_blk;
}

/* Nothing is mapped before block `next`: the groups that lie before it wholly are zeros. */
static void skip(struct walk *w, uint64_t next)
{
	uint64_t to = next >= w->end ? w->end : ROUND_DOWN(next, w->group_blk);

	while (w->at < to) {
		uint64_t bucket = w->at / w->bucket_blk, upto = MIN(to, (bucket + 1) * w->bucket_blk);
		uint64_t whole = (upto - w->at) / w->group_blk;

		w->ret[bucket].blocks[HB_PLACE_ZERO] += whole * w->p->sb.chunk_blk;
		w->at += whole * w->group_blk;
		if (w->at < upto) { /* the volume ends within the group */
			uint64_t blk = sampled(w, w->at);

			w->ret[bucket].blocks[HB_PLACE_ZERO] += MIN(w->end - MIN(w->end, blk), w->p->sb.chunk_blk);
			w->at = upto;
		}
	}
}

static void look(struct walk *w)
{
	struct hb_places *to = &w->ret[w->at / w->bucket_blk];
	uint64_t blk = sampled(w, w->at), last = MIN(blk + w->p->sb.chunk_blk, w->end);

	for (; blk < last; blk++) {
		pblk_t b = map_find(&w->p->maps, &w->v->map, (vblk_t){blk});
		bool dirty = false;

		to->blocks[b.n ? place_of(w->p, b, &dirty) : HB_PLACE_ZERO]++;
		to->dirty += dirty;
	}
	w->at += w->group_blk;
}

int hb_volume_places(struct hb_pool *p, uint32_t id, const struct hb_places_plan *plan, uint64_t *off_bytes,
		     struct hb_places *ret, uint32_t buckets)
{
	struct walk w = {.p = p, .v = vol_by_id(p, id), .ret = ret};
	uint32_t cb = p->sb.chunk_blk;

	if (!w.v)
		return -ENOENT;
	w.group_blk = (uint64_t)plan->every * cb;
	w.bucket_blk = plan->bucket_bytes / BLK_BYTES;
	if (!w.group_blk || !w.bucket_blk || plan->bucket_bytes > HB_VOLUME_BYTES_MAX * 2 ||
	    w.bucket_blk % w.group_blk || *off_bytes % (w.group_blk * BLK_BYTES) ||
	    *off_bytes > HB_VOLUME_BYTES_MAX * 2)
		return -EINVAL;
	w.at = *off_bytes / BLK_BYTES;
	w.end = w.v->size_blk / w.bucket_blk < buckets ? w.v->size_blk : buckets * w.bucket_blk;
	for (uint32_t done = 0, searches = 0; w.at < w.end && done < STEP_BLK && searches < STEP_SEARCHES; searches++) {
		skip(&w, map_next_mapped(&p->maps, &w.v->map, (vblk_t){w.at}).n);
		if (w.at < w.end) {
			look(&w);
			done += cb;
		}
	}
	*off_bytes = w.at * BLK_BYTES;
	return w.at >= w.end;
}
