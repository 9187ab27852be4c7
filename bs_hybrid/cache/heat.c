/* SPDX-License-Identifier: GPL-2.0-only */
/* heat.c - where a volume is read and written.
 *
 * Fading costs nothing per bucket: instead of letting old counts fade, new ones weigh more, by 2^(time / half-life);
 * reading divides by the weight of that time. When the weight becomes large, all counts are divided once. */
#include "cache/heat.h"

#include "base/mem.h"

#include <assert.h>
#include <string.h>

#define WEIGHT_MAX_LOG2 40
#define STEPS 64u			/* weights per half-life: an error of 1 % at most */
#define STEP_RATIO 1.0108892860517005	/* 2^(1/STEPS) */

struct heat {
	uint64_t blocks;
	uint64_t half_life_ns;
	uint64_t start_ns;		/* weight 1; 0 at first: no time was told yet */
	uint64_t step;			/* so many steps after start_ns was the latest time */
	uint32_t shift;			/* a bucket is 2^shift blocks */
	bool started;
	float weight;			/* at `step` */
	struct heat_at at[HEAT_BUCKETS];
};

static uint32_t shift_for(uint64_t blocks)
{
	uint32_t shift = 0;

	while ((blocks - 1) >> shift >= HEAT_BUCKETS)
		shift++;
	return shift;
}

struct heat *heat_new(uint64_t blocks, uint64_t half_life_ns)
{
	struct heat *h;

	assert(blocks && half_life_ns);
	h = mem_zalloc(sizeof(*h));
	if (!h)
		return NULL;
	h->blocks = blocks;
	h->half_life_ns = MAX(half_life_ns, STEPS);
	h->shift = shift_for(blocks);
	h->weight = 1;
	return h;
}

void heat_free(struct heat *h)
{
	mem_free(h);
}

uint64_t heat_bytes(const struct heat *h)
{
	return sizeof(*h);
}

uint64_t heat_bucket_blk(const struct heat *h)
{
	return 1ull << h->shift;
}

uint32_t heat_used(const struct heat *h)
{
	return (uint32_t)(((h->blocks - 1) >> h->shift) + 1);
}

/* A volume that shrinks keeps its buckets' size: what is known cannot be split. */
void heat_resize(struct heat *h, uint64_t blocks)
{
	assert(blocks);
	while ((blocks - 1) >> h->shift >= HEAT_BUCKETS) {
		for (uint32_t i = 0; i < HEAT_BUCKETS / 2; i++) {
			h->at[i].reads = h->at[2 * i].reads + h->at[2 * i + 1].reads;
			h->at[i].writes = h->at[2 * i].writes + h->at[2 * i + 1].writes;
		}
		memset(&h->at[HEAT_BUCKETS / 2], 0, sizeof(h->at) / 2);
		h->shift++;
	}
	h->blocks = blocks;
	for (uint32_t i = heat_used(h); i < HEAT_BUCKETS; i++)
		h->at[i] = (struct heat_at){0};
}

static void scale_all(struct heat *h, float by)
{
	for (uint32_t i = 0; i < HEAT_BUCKETS; i++) {
		h->at[i].reads *= by;
		h->at[i].writes *= by;
	}
}

static void set_time(struct heat *h, uint64_t now_ns)
{
	uint64_t step;

	if (!h->started) {
		h->started = true;
		h->start_ns = now_ns;
	}
	if (now_ns < h->start_ns)
		return;
	step = (now_ns - h->start_ns) / (h->half_life_ns / STEPS);
	if (step <= h->step)
		return;
	if (step >= (uint64_t)WEIGHT_MAX_LOG2 * STEPS) {
		bool all_gone = step - h->step >= (uint64_t)WEIGHT_MAX_LOG2 * STEPS;
		float left = 1 / h->weight;

		for (uint64_t i = h->step; !all_gone && i < step; i++)
			left /= (float)STEP_RATIO;
		scale_all(h, all_gone ? 0 : left);
		h->start_ns = now_ns;
		h->step = 0;
		h->weight = 1;
		return;
	}
	for (; h->step < step; h->step++)
		h->weight *= (float)STEP_RATIO;
}

void heat_count(struct heat *h, uint64_t now_ns, uint64_t blk, uint64_t count, bool is_write)
{
	uint64_t end;

	set_time(h, now_ns);
	if (blk >= h->blocks)
		return;
	end = blk + MIN(count, h->blocks - blk);
	while (blk < end) {
		uint64_t bucket = blk >> h->shift, to = MIN((bucket + 1) << h->shift, end);

		*(is_write ? &h->at[bucket].writes : &h->at[bucket].reads) += (float)(to - blk) * h->weight;
		blk = to;
	}
}

uint32_t heat_read(struct heat *h, uint64_t now_ns, struct heat_at *ret, uint32_t max)
{
	uint32_t n = MIN(heat_used(h), max);

	set_time(h, now_ns);
	for (uint32_t i = 0; i < n; i++)
		ret[i] = (struct heat_at){ .reads = h->at[i].reads / h->weight, .writes = h->at[i].writes / h->weight };
	return n;
}
