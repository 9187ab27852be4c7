/* SPDX-License-Identifier: GPL-2.0-only */
/* fifos.c - two FIFO queues and a ghost: see fifos.h.
 *
 * The ghost is a table of sets of eight {fingerprint, when}: an entry is alive while fewer keys than the ghost is deep
 * were remembered after it, and a new one takes the place of the oldest of its set. With half as many places again as
 * live entries few go too early, and nothing needs to be deleted in order. Time goes in ticks of a 128th of the
 * greatest depth, so 16 bits of it last for 512 depths: by then an entry has long been overwritten.
 *
 * A fingerprint has 16 bits: one new key in some 10,000 is taken for one that came back, and enters main. That is
 * cheaper than two more bytes for every key remembered.
 *
 * Hits that follow an insertion closely belong to one burst of use (a page read in parts, a block read and written
 * back) and say nothing of later: they count for the next level, not for main.
 */
#include "cache/fifos.h"

#include <assert.h>

#define FREQ_MAX 3u
#define GHOST_WAYS 8u
#define GHOST_TICKS 128u		/* in the greatest depth */
#define BORN_TICKS 256u			/* in the capacity */
#define BORN_MASK 511u

enum place { FREE, SMALL, MAIN, SMALL_ASIDE, MAIN_ASIDE };

static uint32_t part(uint32_t capacity, uint32_t of_one)
{
	return (uint32_t)MAX((uint64_t)capacity * of_one / SHAPE_ONE, 1u);
}

static uint32_t sets_for(uint32_t capacity, uint16_t ghost_max)
{
	return (uint32_t)DIV_UP((uint64_t)part(capacity, ghost_max) * 3 / 2 + 1, GHOST_WAYS);
}

static struct fifo_clock clock_with(uint32_t keys, uint32_t ticks)
{
	return (struct fifo_clock){ .tick_keys = MAX(keys / ticks, 1u), .now = 1 };
}

static void clock_count(struct fifo_clock *c)
{
	if (++c->keys < c->tick_keys)
		return;
	c->keys = 0;
	c->now++;
}

uint64_t fifos_memory(uint32_t capacity, uint16_t ghost_max)
{
	uint64_t ghosts = (uint64_t)sets_for(capacity, ghost_max) * GHOST_WAYS * sizeof(struct ghost);
	uint64_t each = sizeof(struct queue_link) + sizeof(uint32_t) + sizeof(struct fifo_state);

	return DIV_UP(ghosts + each * capacity, 64u) * 64;
}

void fifos_make(struct fifos *f, void *memory, uint32_t capacity, uint16_t ghost_max)
{
	*f = (struct fifos){ .capacity = capacity, .ghosts = memory, .ghost_sets = sets_for(capacity, ghost_max) };
	f->entered = clock_with(capacity, BORN_TICKS);
	f->left = clock_with(part(capacity, ghost_max), GHOST_TICKS);
	f->links = (struct queue_link *)(f->ghosts + (uint64_t)f->ghost_sets * GHOST_WAYS);
	f->hashes = (uint32_t *)(f->links + capacity);
	f->states = (struct fifo_state *)(f->hashes + capacity);
	f->small = queue_on(f->links);
	f->main = queue_on(f->links);
}

void fifos_shape(struct fifos *f, const struct shape *shape)
{
	f->small_target = part(f->capacity, shape->small);
	f->hits_to_main = shape->hits_to_main;
	f->by_recency = shape->by_recency;
	f->burst_ticks = (uint32_t)((uint64_t)f->capacity * shape->burst / SHAPE_ONE / f->entered.tick_keys);
	f->ghost_ticks = (uint32_t)((uint64_t)f->capacity * shape->ghost / SHAPE_ONE / f->left.tick_keys);
}

static struct ghost *ghost_set(struct fifos *f, uint32_t hash)
{
	return &f->ghosts[((uint64_t)hash * f->ghost_sets >> 32) * GHOST_WAYS];
}

/* In ticks; a free entry is older than all. */
static uint32_t ghost_age(const struct fifos *f, const struct ghost *g)
{
	return g->when ? (uint16_t)(f->left.now - g->when) : UINT32_MAX;
}

static void ghost_remember(struct fifos *f, uint32_t hash)
{
	struct ghost *set = ghost_set(f, hash), *g = set;
	uint16_t now = (uint16_t)f->left.now;

	for (unsigned int i = 1; i < GHOST_WAYS; i++)
		if (ghost_age(f, &set[i]) > ghost_age(f, g))
			g = &set[i];
	*g = (struct ghost){ .print = (uint16_t)hash, .when = now ? now : 1 };
	clock_count(&f->left);
}

/* True if the key is remembered; forgets it. */
static bool ghost_recall(struct fifos *f, uint32_t hash)
{
	struct ghost *set = ghost_set(f, hash);

	for (unsigned int i = 0; i < GHOST_WAYS; i++) {
		if (set[i].print == (uint16_t)hash && ghost_age(f, &set[i]) < f->ghost_ticks) {
			set[i].when = 0;
			return true;
		}
	}
	return false;
}

void fifos_insert(struct fifos *f, uint32_t id, uint32_t hash)
{
	bool back;

	assert(id < f->capacity && f->states[id].place == FREE);
	back = ghost_recall(f, hash);
	f->hashes[id] = hash;
	f->states[id] = (struct fifo_state){ .place = back ? MAIN : SMALL, .earned = back,
					     .born = (uint16_t)(f->entered.now & BORN_MASK) };
	queue_put(back ? &f->main : &f->small, id);
	if (!back)
		clock_count(&f->entered);
}

void fifos_hit(struct fifos *f, uint32_t id)
{
	struct fifo_state *s = &f->states[id];
	bool small;

	assert(id < f->capacity && s->place != FREE);
	small = s->place == SMALL || s->place == SMALL_ASIDE;
	s->earned = true;
	if (f->by_recency && s->place == SMALL) {
		queue_del(&f->small, id);
		queue_put(&f->small, id);
	}
	if (small && ((f->entered.now - s->born) & BORN_MASK) < f->burst_ticks)
		return;
	if (s->freq < FREQ_MAX)
		s->freq++;
}

void fifos_remove(struct fifos *f, uint32_t id)
{
	struct fifo_state *s = &f->states[id];

	assert(id < f->capacity && s->place != FREE);
	if (s->place == SMALL)
		queue_del(&f->small, id);
	else if (s->place == MAIN)
		queue_del(&f->main, id);
	s->place = FREE;
}

/* The turn of main's oldest: it leaves its queue, and stays (at the young end, for one of its hits), is set aside, or
 * is to go: only then true. */
static bool turn_main(struct fifos *f, uint32_t id, policy_busy_fn busy, void *ctx)
{
	struct fifo_state *s = &f->states[id];

	queue_del(&f->main, id);
	if (s->freq) {
		s->freq--;
		queue_put(&f->main, id);
		return false;
	}
	if (busy(ctx, id)) {
		s->place = MAIN_ASIDE;
		return false;
	}
	return true;
}

/* The turn of small's oldest: it moves to main, is set aside, or is to go (true) and is remembered. */
static bool turn_small(struct fifos *f, uint32_t id, policy_busy_fn busy, void *ctx)
{
	struct fifo_state *s = &f->states[id];

	queue_del(&f->small, id);
	if (!f->by_recency && s->freq >= f->hits_to_main) {
		s->place = MAIN;
		s->freq = 0;
		queue_put(&f->main, id);
		return false;
	}
	if (busy(ctx, id)) {
		s->place = SMALL_ASIDE;
		return false;
	}
	ghost_remember(f, f->hashes[id]);
	return true;
}

/* Each round of the loop takes a hit from an id, moves it to main for its hits, or sets it aside: work that was paid
 * for by that hit or by that pin. */
uint32_t fifos_evict(struct fifos *f, policy_busy_fn busy, void *ctx, bool *ret_earned)
{
	while (f->small.count || f->main.count) {
		bool small = f->small.count >= f->small_target || !f->main.count;
		uint32_t id = small ? f->small.oldest : f->main.oldest;

		if (!(small ? turn_small : turn_main)(f, id, busy, ctx))
			continue;
		f->states[id].place = FREE;
		*ret_earned = f->states[id].earned;
		return id;
	}
	return POLICY_NONE;
}

void fifos_ready(struct fifos *f, uint32_t id)
{
	struct fifo_state *s = &f->states[id];

	assert(id < f->capacity && s->place != FREE);
	if (s->place == SMALL_ASIDE) {
		s->place = SMALL;
		queue_put_oldest(&f->small, id);
	} else if (s->place == MAIN_ASIDE) {
		s->place = MAIN;
		queue_put_oldest(&f->main, id);
	}
}
