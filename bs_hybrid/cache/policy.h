/* SPDX-License-Identifier: GPL-2.0-only */
/* policy.h - what to keep in RAM: pure memory behind one ops table, so that traces can be replayed through the very
 * code that runs. The policy only answers; the caller acts.
 *
 * The caller has `capacity` places, numbered from 0 (ids). A policy never allocates after new().
 */
#ifndef HB_CACHE_POLICY_H
#define HB_CACHE_POLICY_H

#include "base/units.h"

#define POLICY_NONE UINT32_MAX

struct policy;

/* Whether an id may not be taken now (its frame is pinned). */
typedef bool (*policy_busy_fn)(void *ctx, uint32_t id);

struct policy_ops {
	const char *name;
	/* All methods are required; none but create may fail; none is re-entered. */
	struct policy *(*create)(uint32_t capacity);		/* NULL when out of memory */
	void (*destroy)(struct policy *p);
	/* A key begins to live at a free id. */
	void (*insert)(struct policy *p, uint32_t id, uint64_t key);
	/* It was asked for again. */
	void (*hit)(struct policy *p, uint32_t id);
	/* It was invalidated: the id is free, the key is not remembered. */
	void (*remove)(struct policy *p, uint32_t id);
	/* Chooses a victim, frees its id and returns it; POLICY_NONE when all ids are busy (or there are none).
	 * *ret_earned: the key was asked for again while it lived here (or came back soon after it had left), so it is
	 * worth a place on the next level. An id found busy is set aside and not looked at again until ready(). */
	uint32_t (*evict)(struct policy *p, policy_busy_fn busy, void *ctx, bool *ret_earned);
	/* A living id may be taken again. No effect on one that was not set aside. */
	void (*ready)(struct policy *p, uint32_t id);
	uint64_t (*bytes)(const struct policy *p);		/* memory, ghosts included */
};

extern const struct policy_ops policy_tuned;
extern const struct policy_ops policy_s3fifo;
extern const struct policy_ops policy_lru;

#endif
