/* SPDX-License-Identifier: GPL-2.0-only */
/* shards.c - a sampled miss ratio curve: followed keys in a hash table, their order of access in a Fenwick tree.
 *
 * Each access to a followed key takes the next place in a row of 2 * samples places; the key's old place is left. How
 * many places between are taken is its stack distance, among followed keys. When the row is at its end the places
 * are numbered anew, in order: once per `samples` accesses at least, so it costs a little per access.
 *
 * The rate is lowered to the largest followed hash by a heap of hashes. Distances are counted with the weight of all
 * keys that one followed stands for, at the rate of that moment; the histogram has 8 steps an octave. */
#include "cache/shards.h"

#include "base/mem.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define NONE UINT16_MAX
#define STEPS 8u			/* an octave */
#define OCTAVES 40u
#define BINS (OCTAVES * STEPS)

struct sample {
	uint64_t key;
	uint32_t hash;
	uint16_t chain;			/* in its bucket, or of free samples */
	uint16_t place;			/* in the row */
};

struct shards_core {
	uint32_t samples, used;
	uint32_t row, next_place;	/* places, and the first never taken */
	uint16_t free;			/* chain of free samples */
	uint64_t half_life, decay_at;
	double expected_from;		/* accesses expected to be sampled so far, decayed; see adjust() */
	uint64_t expected_at;		/* accesses counted in it */
	double total;			/* weight of all sampled accesses, decayed */
	float bins[BINS];		/* by stack distance; cold accesses are in total only */
	uint64_t table_bytes;
	struct sample *sample;
	uint16_t *heap;			/* sample ids, the largest hash first */
	uint16_t *owner;		/* by place: sample id, or NONE */
	uint16_t *tree;			/* Fenwick tree over the places, from 1 */
	uint16_t *buckets;
};

static uint64_t round_pow2(uint64_t n)
{
	uint64_t p = 1;

	while (p < n)
		p *= 2;
	return p;
}

int shards_init(struct shards *s, uint32_t samples, uint64_t half_life)
{
	struct shards_core *c;

	memset(s, 0, sizeof(*s));
	if (samples < SHARDS_SAMPLES_MIN || samples > SHARDS_SAMPLES_MAX)
		return -EINVAL;
	c = mem_zalloc(sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->samples = (uint32_t)round_pow2(samples);
	c->row = 2 * c->samples;
	c->half_life = half_life;
	c->table_bytes = (uint64_t)(c->samples + 1) * (sizeof(*c->sample) + sizeof(*c->heap)) +
			 (uint64_t)(c->row + c->row + 1 + c->samples) * sizeof(uint16_t);
	c->sample = mem_zalloc(c->table_bytes);
	if (!c->sample) {
		mem_free(c);
		return -ENOMEM;
	}
	c->heap = (uint16_t *)(c->sample + c->samples + 1);
	c->owner = c->heap + c->samples + 1;
	c->tree = c->owner + c->row;
	c->buckets = c->tree + c->row + 1;
	memset(c->owner, 0xff, c->row * sizeof(*c->owner));
	memset(c->buckets, 0xff, c->samples * sizeof(*c->buckets));
	for (uint32_t i = 0; i <= c->samples; i++)
		c->sample[i].chain = i < c->samples ? (uint16_t)(i + 1) : NONE;
	s->below = SHARDS_RATE_ONE;
	s->core = c;
	return 0;
}

void shards_end(struct shards *s)
{
	if (s->core)
		mem_free(s->core->sample);
	mem_free(s->core);
	s->core = NULL;
	s->below = 0;
}

uint64_t shards_bytes(const struct shards *s)
{
	return sizeof(*s) + sizeof(*s->core) + s->core->table_bytes;
}

double shards_rate(const struct shards *s)
{
	return (double)s->below / SHARDS_RATE_ONE;
}

/* ------------------------------------------------------------------ the row */
static void tree_add(struct shards_core *c, uint32_t place, int by)
{
	for (uint32_t i = place + 1; i <= c->row; i += i & -i)
		c->tree[i] = (uint16_t)(c->tree[i] + by);
}

/* Taken places up to and with this one. */
static uint32_t tree_sum(const struct shards_core *c, uint32_t place)
{
	uint32_t sum = 0;

	for (uint32_t i = place + 1; i; i &= i - 1)
		sum += c->tree[i];
	return sum;
}

static void number_anew(struct shards_core *c)
{
	uint32_t to = 0;

	for (uint32_t from = 0; from < c->row; from++) {
		uint16_t id = c->owner[from];

		if (id == NONE)
			continue;
		c->owner[from] = NONE;
		c->owner[to] = id;
		c->sample[id].place = (uint16_t)to++;
	}
	assert(to + 1 >= c->used && to <= c->used && to < c->row);	/* one key may be between two places */
	c->next_place = to;
	memset(c->tree, 0, (c->row + 1) * sizeof(*c->tree));
	for (uint32_t i = 1; i <= c->row; i++) {
		uint32_t up = i + (i & -i);

		c->tree[i] = (uint16_t)(c->tree[i] + (i <= to));
		if (up <= c->row)
			c->tree[up] = (uint16_t)(c->tree[up] + c->tree[i]);
	}
}

static void leave_place(struct shards_core *c, uint16_t id)
{
	tree_add(c, c->sample[id].place, -1);
	c->owner[c->sample[id].place] = NONE;
}

static void take_place(struct shards_core *c, uint16_t id)
{
	if (c->next_place == c->row)
		number_anew(c);
	c->sample[id].place = (uint16_t)c->next_place;
	c->owner[c->next_place] = id;
	tree_add(c, c->next_place++, 1);
}

/* ------------------------------------------------------------------ followed keys */
static uint16_t *bucket_of(const struct shards_core *c, uint64_t key)
{
	return &c->buckets[hash64(key ^ 0xd1b54a32d192ed03ull) & (c->samples - 1)];
}

static uint16_t find(const struct shards_core *c, uint64_t key)
{
	uint16_t id = *bucket_of(c, key);

	while (id != NONE && c->sample[id].key != key)
		id = c->sample[id].chain;
	return id;
}

static void heap_up(struct shards_core *c, uint16_t id)
{
	uint32_t at = c->used++;

	for (; at && c->sample[c->heap[(at - 1) / 2]].hash < c->sample[id].hash; at = (at - 1) / 2)
		c->heap[at] = c->heap[(at - 1) / 2];
	c->heap[at] = id;
}

static uint16_t heap_pop(struct shards_core *c)
{
	uint16_t top = c->heap[0], id = c->heap[--c->used];
	uint32_t at = 0, child;

	for (; (child = 2 * at + 1) < c->used; at = child) {
		if (child + 1 < c->used && c->sample[c->heap[child + 1]].hash > c->sample[c->heap[child]].hash)
			child++;
		if (c->sample[c->heap[child]].hash <= c->sample[id].hash)
			break;
		c->heap[at] = c->heap[child];
	}
	c->heap[at] = id;
	return top;
}

static void begin_key(struct shards_core *c, uint64_t key, uint32_t hash)
{
	uint16_t id = c->free, *bucket = bucket_of(c, key);

	assert(id != NONE);
	c->free = c->sample[id].chain;
	c->sample[id] = (struct sample){ .key = key, .hash = hash, .chain = *bucket };
	*bucket = id;
	take_place(c, id);
	heap_up(c, id);
}

static void forget_largest(struct shards_core *c)
{
	uint16_t id = heap_pop(c), *at = bucket_of(c, c->sample[id].key);

	while (*at != id)
		at = &c->sample[*at].chain;
	*at = c->sample[id].chain;
	leave_place(c, id);
	c->sample[id].chain = c->free;
	c->free = id;
}

/* ------------------------------------------------------------------ the curve */
static uint32_t bin_of(double distance)
{
	uint64_t n = (uint64_t)distance;
	uint32_t octave = 63u - (uint32_t)__builtin_clzll(n | 1);
	uint32_t step = octave >= 3 ? (n >> (octave - 3)) & 7 : (n << (3 - octave)) & 7;

	return MIN(octave * STEPS + step, BINS - 1);
}

/* The smallest distance of a bin. */
static double bin_from(uint32_t bin)
{
	return (double)(1ull << bin / STEPS) * (1 + (double)(bin % STEPS) / STEPS);
}

static void decay(struct shards *s)
{
	struct shards_core *c = s->core;

	c->expected_from += (double)(s->accesses - c->expected_at);
	c->expected_at = s->accesses;
	if (!c->half_life || s->accesses - c->decay_at < c->half_life / 8)
		return;
	/* Eight small steps a half-life: 0.5^(1/8). */
	c->decay_at = s->accesses;
	for (uint32_t i = 0; i < BINS; i++)
		c->bins[i] *= 0.917004f;
	c->total *= 0.917004;
	c->expected_from *= 0.917004;
}

void shards_sampled(struct shards *s, uint64_t key, uint32_t hash)
{
	struct shards_core *c = s->core;
	double each = (double)SHARDS_RATE_ONE / s->below;
	uint16_t id = find(c, key);

	decay(s);
	c->total += each;
	if (id != NONE) {
		double distance = (c->used - tree_sum(c, c->sample[id].place) + 1) * each;

		c->bins[bin_of(distance)] += (float)each;
		leave_place(c, id);
		take_place(c, id);
		return;
	}
	begin_key(c, key, hash);
	if (c->used <= c->samples)
		return;
	s->below = c->sample[c->heap[0]].hash;
	while (c->used && c->sample[c->heap[0]].hash >= s->below)
		forget_largest(c);
}

double shards_miss_ratio(const struct shards *s, uint64_t blocks)
{
	const struct shards_core *c = s->core;
	double all = c->expected_from + (double)(s->accesses - c->expected_at), hits, sum = 0;

	if (!c->total || all <= 0)
		return 1;
	/* A hot key that happens to be followed (or not) shifts the number of sampled accesses; the difference to what
	 * was expected belongs to the shortest distances (SHARDS-adj). */
	hits = all - c->total;
	for (uint32_t i = 0; i < BINS; i++) {
		double from = bin_from(i), to = bin_from(i + 1);

		if (from > (double)blocks)
			break;
		sum += c->bins[i] * MIN(((double)blocks + 1 - from) / MAX(to - from, 1.0), 1.0);
	}
	hits = blocks ? hits + sum : 0;
	return 1 - MIN(MAX(hits / all, 0.0), 1.0);
}
