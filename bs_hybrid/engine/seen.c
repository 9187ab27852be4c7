/* SPDX-License-Identifier: GPL-2.0-only */
/* seen.c - what is seen of a volume's use: its miss-ratio curve (cache/shards.h) and where it is hot (cache/heat.h).
 *
 * Kept from the first request on, as long as the pool is open; a volume that memory is short for goes without.
 */
#include "engine/pool.h"

#define MANY_VOLUMES 64u /* from so many on, the curves are coarser */
#define CURVE_SAMPLES 4096u
#define CURVE_SAMPLES_FEW 512u
#define CURVE_HALF_LIFE (1u << 24) /* accesses */
#define HEAT_HALF_LIFE_NS (3600 * SEC_NS)

static struct seen *begin(struct hb_volume *v)
{
	struct hb_pool *p = v->pool;
	struct seen *s = mem_zalloc(sizeof(*s));
	uint32_t samples = p->nseen < MANY_VOLUMES ? CURVE_SAMPLES : CURVE_SAMPLES_FEW;

	if (!s)
		return NULL;
	s->heat = heat_new(MAX(v->size_blk, 1), HEAT_HALF_LIFE_NS);
	if (!s->heat || shards_init(&s->curve, samples, CURVE_HALF_LIFE)) {
		heat_free(s->heat);
		mem_free(s);
		return NULL;
	}
	s->size_blk = v->size_blk;
	p->nseen++;
	return s;
}

void seen_request(struct hb_req *r, bool is_write)
{
	struct hb_volume *v = r->vol;
	uint64_t blk = r->off_bytes / BLK_BYTES, end = DIV_UP(r->off_bytes + r->len_bytes, BLK_BYTES);
	struct seen *s = v->seen;

	if (!s) {
		s = v->unseen ? NULL : begin(v);
		v->seen = s;
		v->unseen = !s;
		if (!s)
			return;
	}
	if (s->size_blk != v->size_blk) {
		heat_resize(s->heat, MAX(v->size_blk, 1));
		s->size_blk = v->size_blk;
	}
	heat_count(s->heat, r->start_ns, blk, end - blk, is_write);
	for (; blk < end; blk++)
		shards_access(&s->curve, blk);
}

void seen_free(struct hb_volume *v)
{
	if (!v->seen)
		return;
	heat_free(v->seen->heat);
	shards_end(&v->seen->curve);
	mem_free(v->seen);
	v->seen = NULL;
	v->pool->nseen--;
}

int hb_volume_curve(struct hb_pool *p, uint32_t id, const uint64_t *bytes, double *ret, uint32_t n)
{
	struct hb_volume *v = vol_by_id(p, id);

	if (!v)
		return -ENOENT;
	if (!v->seen)
		return -ENODATA;
	for (uint32_t i = 0; i < n; i++)
		ret[i] = shards_miss_ratio(&v->seen->curve, bytes[i] / BLK_BYTES);
	return 0;
}

int hb_volume_heat(struct hb_pool *p, uint32_t id, struct hb_heat *ret, uint32_t max, uint64_t *ret_bucket_bytes)
{
	struct hb_volume *v = vol_by_id(p, id);
	struct heat_at *at;
	uint32_t n;

	if (!v)
		return -ENOENT;
	if (!v->seen)
		return -ENODATA;
	at = mem_calloc(max, sizeof(*at));
	if (!at)
		return -ENOMEM;
	n = heat_read(v->seen->heat, pool_now(p), at, max);
	for (uint32_t i = 0; i < n; i++)
		ret[i] = (struct hb_heat){at[i].reads, at[i].writes};
	*ret_bucket_bytes = heat_bucket_blk(v->seen->heat) * BLK_BYTES;
	mem_free(at);
	return (int)n;
}
