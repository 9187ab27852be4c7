/* SPDX-License-Identifier: GPL-2.0-only */
/* ram.c - the RAM tier: frames, a hash over the cached ones, a list of the free ones. Everything takes a few steps.
 *
 * Invariants
 * (1) A frame is on the free list, or cached (on its hash chain and known to the policy), or taken (neither; by pins),
 *     or leaked (neither, for ever).
 * (2) A frame outside the cache and the free list has a pin.
 * (3) A block is in one cached frame at most.
 */
#include "cache/ram.h"

#include "base/mem.h"
#include "base/rng.h"

#include <assert.h>

#define NO_FRAME UINT32_MAX
#define FRAMES_MIN 64u

struct ram {
	struct frame *frames;
	uint32_t *heads;		/* hash chains, as many as frames; follow the frames in the same memory */
	char *data;			/* frame i's block is at i * BLK_BYTES */
	const struct policy_ops *ops;
	struct policy *policy;		/* owner */
	uint32_t count;
	uint32_t free;			/* the list, through frame.next */
	uint64_t cached, leaked;
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
	r->cached--;
}

/* The policy's question before it chooses; remembers that ram_unpin owes it an answer. */
static bool frame_busy(void *ctx, uint32_t id)
{
	struct ram *r = ctx;
	struct frame *f = &r->frames[id];

	f->aside = f->pins > 0;
	return f->aside;
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
		uint32_t id = r->ops->evict(r->policy, frame_busy, r, &earned);

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
	*head = id_of(r, f);
	r->cached++;
	r->ops->insert(r->policy, id_of(r, f), p.n);
}

void ram_remove(struct ram *r, struct frame *f)
{
	assert(f->cached);
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
	return sizeof(*r) + table_bytes(r) + r->ops->bytes(r->policy);
}
