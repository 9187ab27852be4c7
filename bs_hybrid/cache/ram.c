/* SPDX-License-Identifier: GPL-2.0-only */
/* ram.c - the RAM tier: frames, a hash over the cached ones, a list of the free ones. Everything takes a few steps.
 *
 * Invariants
 * (1) A frame is on the free list, or cached (on its hash chain and known to the policy), or taken (neither; by pins),
 *     or leaked (neither, for ever).
 * (2) A frame outside the cache and the free list has a pin.
 * (3) A block is in one cached frame at most.
 * (4) A guarded frame is cached, has an owner, is in that one's queue, and its id is free for the policy.
 */
#include "cache/ram.h"

#include "cache/guard.h"

#include "base/mem.h"
#include "base/rng.h"

#include <assert.h>
#include <errno.h>

#define NO_FRAME UINT32_MAX
#define FRAMES_MIN 64u
#define GUARD_MOST 256u		/* frames that come under guard for one that is to be taken */
#define GUARD_LOOKS 16u		/* frames looked at for one that was not used */

struct ram {
	struct frame *frames;
	uint32_t *heads;		/* hash chains, as many as frames; follow the frames in the same memory */
	char *data;			/* frame i's block is at i * BLK_BYTES */
	const struct policy_ops *ops;
	struct policy *policy;		/* owner */
	uint32_t count;
	uint32_t free;			/* the list, through frame.next */
	uint64_t cached, leaked;
	struct guard *guard;		/* NULL: no floor was ever set */
};

_Static_assert(sizeof(struct frame) == 16, "a frame's bookkeeping is a quarter of a cache line");

static uint64_t table_bytes(const struct ram *r)
{
	return (uint64_t)r->count * (sizeof(*r->frames) + sizeof(*r->heads));
}

static uint32_t id_of(const struct ram *r, const struct frame *f)
{
	assert(f >= r->frames && f < r->frames + r->count);
	return (uint32_t)(f - r->frames);
}

static uint32_t *head_of(const struct ram *r, pblk_t p)
{
	return &r->heads[(hash64(p.n) >> 32) * r->count >> 32];
}

static void put_free(struct ram *r, struct frame *f)
{
	f->next = r->free;
	r->free = id_of(r, f);
}

static void all_free(struct ram *r)
{
	r->free = NO_FRAME;
	for (uint32_t i = r->count; i--;) {
		r->heads[i] = NO_FRAME;
		put_free(r, &r->frames[i]);
	}
}

struct ram *ram_new(uint64_t size_bytes, const struct policy_ops *policy)
{
	uint64_t count = MIN(size_bytes / BLK_BYTES, (uint64_t)NO_FRAME - 1);
	struct ram *r;

	if (count < FRAMES_MIN)
		return NULL;
	r = mem_zalloc(sizeof(*r));
	if (!r)
		return NULL;
	r->count = (uint32_t)count;
	r->ops = policy;
	r->data = mem_map(count * BLK_BYTES);
	if (!r->data)
		goto free_struct;
	r->frames = mem_map(table_bytes(r));
	if (!r->frames)
		goto free_data;
	r->heads = (uint32_t *)(r->frames + count);
	r->policy = policy->create(r->count);
	if (!r->policy)
		goto free_tables;
	all_free(r);
	return r;

free_tables:
	mem_unmap(r->frames, table_bytes(r));
free_data:
	mem_unmap(r->data, count * BLK_BYTES);
free_struct:
	mem_free(r);
	return NULL;
}

void ram_free(struct ram *r)
{
	if (!r)
		return;
	r->ops->destroy(r->policy);
	guard_free(r->guard);
	mem_unmap(r->frames, table_bytes(r));
	if (!r->leaked)			/* else a device may still write into it */
		mem_unmap(r->data, (uint64_t)r->count * BLK_BYTES);
	mem_free(r);
}

struct frame *ram_find(struct ram *r, pblk_t p)
{
	uint32_t id = *head_of(r, p);

	while (id != NO_FRAME && r->frames[id].pblk.n != p.n)
		id = r->frames[id].next;
	return id == NO_FRAME ? NULL : &r->frames[id];
}

void ram_prefetch(const struct ram *r, pblk_t p, int step)
{
	const uint32_t *head = head_of(r, p);

	if (!step)
		__builtin_prefetch(head);
	else if (*head != NO_FRAME)
		__builtin_prefetch(&r->frames[*head]);
}

void ram_hit(struct ram *r, struct frame *f)
{
	assert(f->cached);
	if (f->guarded)
		f->used = f->earned = true;
	else
		r->ops->hit(r->policy, id_of(r, f));
}

void *ram_data(struct ram *r, struct frame *f)
{
	return r->data + (uint64_t)id_of(r, f) * BLK_BYTES;
}

/* Off its chain; the policy is told by the caller, or knows. */
static void leave_cache(struct ram *r, struct frame *f)
{
	uint32_t id = id_of(r, f), *link = head_of(r, f->pblk);

	while (*link != id) {
		assert(*link != NO_FRAME);
		link = &r->frames[*link].next;
	}
	*link = f->next;
	f->cached = false;
	f->aside = false;
	if (f->owner)
		r->guard->of[f->owner].cached--;
	f->owner = 0;
	r->cached--;
}

/* The policy does not know it any more. */
static void guard_enter(struct ram *r, struct frame *f, bool earned)
{
	f->guarded = true;
	f->used = f->aside = false;
	f->earned = earned;
	queue_put(&r->guard->of[f->owner].queue, id_of(r, f));
}

static void guard_leave(struct ram *r, struct frame *f)
{
	queue_del(&r->guard->of[f->owner].queue, id_of(r, f));
	f->guarded = false;
}

/* The oldest of a queue that was not used; what was gets another round. POLICY_NONE: not among the first so many. */
static uint32_t guard_oldest(struct ram *r, struct guard_floor *g, uint64_t looks)
{
	for (uint64_t i = 0; i < looks && g->queue.count; i++) {
		uint32_t id = g->queue.oldest;
		struct frame *f = &r->frames[id];

		if (!f->used && !f->pins) {
			guard_leave(r, f);
			return id;
		}
		f->used = false;
		queue_del(&g->queue, id);
		queue_put(&g->queue, id);
	}
	return POLICY_NONE;
}

/* All that the policy knows is pinned. */
static uint32_t guard_give(struct ram *r)
{
	for (uint32_t i = 0; r->guard && i <= OWNERS_MAX; i++) {
		struct guard_floor *g = &r->guard->of[r->guard->turn++ % (OWNERS_MAX + 1)];
		uint32_t id = guard_oldest(r, g, 2 * (uint64_t)g->queue.count);

		if (id != POLICY_NONE)
			return id;
	}
	return POLICY_NONE;
}

/* The policy's question before it chooses; remembers that ram_unpin owes it an answer. */
static bool frame_busy(void *ctx, uint32_t id)
{
	struct ram *r = ctx;
	struct frame *f = &r->frames[id];

	f->aside = f->pins > 0;
	return f->aside;
}

/* Which frame goes: the policy's choice, or what its owner can spare instead. Whoever has less than its floor loses
 * none - unless so many of its frames come one after the other that were not under guard yet, since the floor was
 * raised a moment ago, that finding another one would take long. */
static uint32_t choose(struct ram *r, bool *ret_earned)
{
	for (uint32_t i = 0;; i++) {
		uint32_t id = r->ops->evict(r->policy, frame_busy, r, ret_earned), other;
		struct guard_floor *g;
		struct frame *f;

		if (id == POLICY_NONE) {
			id = guard_give(r);
			*ret_earned = id != POLICY_NONE && r->frames[id].earned;
			return id;
		}
		f = &r->frames[id];
		g = f->owner ? &r->guard->of[f->owner] : NULL;
		if (!g || !g->frames)
			return id;
		if (g->queue.count < g->frames && i < GUARD_MOST) {
			guard_enter(r, f, *ret_earned);
			continue;
		}
		other = g->queue.count >= g->frames ? guard_oldest(r, g, GUARD_LOOKS) : POLICY_NONE;
		if (other == POLICY_NONE)
			return id;
		guard_enter(r, f, *ret_earned);
		*ret_earned = r->frames[other].earned;
		return other;
	}
}

struct frame *ram_take(struct ram *r, pblk_t *ret_victim, bool *ret_earned)
{
	pblk_t victim = {0};
	bool earned = false;
	struct frame *f;

	if (r->free != NO_FRAME) {
		f = &r->frames[r->free];
		r->free = f->next;
	} else {
		uint32_t id = choose(r, &earned);

		if (id == POLICY_NONE)
			return NULL;
		f = &r->frames[id];
		victim = f->pblk;
		leave_cache(r, f);
	}
	assert(!f->pins && !f->cached);
	f->pins = 1;
	f->earned = earned;
	*ret_victim = victim;
	*ret_earned = earned;
	return f;
}

void ram_insert(struct ram *r, struct frame *f, pblk_t p)
{
	uint32_t *head = head_of(r, p);

	assert(f->pins && !f->cached);
	assert(!ram_find(r, p));	/* (3) */
	f->pblk = p;
	f->next = *head;
	f->cached = true;
	f->ahead = false;
	*head = id_of(r, f);
	r->cached++;
	r->ops->insert(r->policy, id_of(r, f), p.n);
}

void ram_remove(struct ram *r, struct frame *f)
{
	assert(f->cached);
	if (f->guarded)
		guard_leave(r, f);
	else
		r->ops->remove(r->policy, id_of(r, f));
	leave_cache(r, f);
	if (!f->pins)
		put_free(r, f);
}

void ram_pin(struct frame *f)
{
	assert(f->pins < UINT16_MAX && (f->cached || f->pins));
	f->pins++;
}

void ram_unpin(struct ram *r, struct frame *f)
{
	assert(f->pins);
	if (--f->pins)
		return;
	if (!f->cached) {
		put_free(r, f);
	} else if (f->aside) {
		f->aside = false;
		r->ops->ready(r->policy, id_of(r, f));
	}
}

void ram_leak(struct ram *r, struct frame *f)
{
	assert(f->pins && !f->cached);
	r->leaked++;			/* its pins are never given back */
}

int ram_floor(struct ram *r, uint8_t owner, uint32_t frames)
{
	if (!r->guard && frames)
		r->guard = guard_new(r->count);
	if (!r->guard)
		return frames ? -ENOMEM : 0;
	r->guard->of[owner].frames = frames;
	return 0;
}

void ram_own(struct ram *r, struct frame *f, uint8_t owner)
{
	struct guard_floor *g = r->guard ? &r->guard->of[owner] : NULL;
	bool other = f->owner != owner;

	assert(f->cached);
	if (!g)
		return;
	if (f->guarded && (other || g->queue.count > g->frames)) {
		guard_leave(r, f);
		r->ops->insert(r->policy, id_of(r, f), f->pblk.n);
	}
	if (other) {
		if (f->owner)
			r->guard->of[f->owner].cached--;
		f->owner = owner;
		g->cached += owner != 0;
	}
	if (owner && !f->guarded && g->queue.count < g->frames) {
		r->ops->remove(r->policy, id_of(r, f));
		guard_enter(r, f, false);
	}
}

uint64_t ram_owned(const struct ram *r, uint8_t owner)
{
	return r->guard ? r->guard->of[owner].cached : 0;
}

uint64_t ram_frames(const struct ram *r)
{
	return r->count;
}

uint64_t ram_cached(const struct ram *r)
{
	return r->cached;
}

uint64_t ram_leaked(const struct ram *r)
{
	return r->leaked;
}

uint64_t ram_bytes(const struct ram *r)
{
	return sizeof(*r) + table_bytes(r) + r->ops->bytes(r->policy) + (r->guard ? r->guard->bytes : 0);
}
