/* SPDX-License-Identifier: GPL-2.0-only */
/* contender.h - the policies that are compared: the product's own, and others that know more or are only of interest.
 *
 * The product's run through their struct policy_ops, as in the product. The others are told more (which key a place is
 * wanted for, and when a key is used next), and never have to remove a key or to leave one alone.
 */
#ifndef HB_REPLAY_CONTENDER_H
#define HB_REPLAY_CONTENDER_H

#include "cache/policy.h"

/* An access. */
struct ask {
	uint64_t key;
	uint32_t next;			/* where in the trace this block is used next, or NEVER; only if wanted */
};

struct contender {
	const char *name;		/* as on the command line */
	const char *title;		/* as in tables and plots */
	const struct policy_ops *product;	/* the product's code; NULL: the functions below */
	bool standard;			/* what the product uses */
	bool wants_future;		/* struct ask has `next`; no read-ahead */
	void *(*create)(uint32_t capacity);	/* NULL when out of memory */
	void (*destroy)(void *p);
	void (*hit)(void *p, uint32_t id, const struct ask *ask);
	/* The cache is full and `ask` was not found: chooses a victim and frees its id. insert() follows, with the same
	 * ask. A copy that read-ahead brings comes by evict() and insert(), too. */
	uint32_t (*evict)(void *p, const struct ask *ask);
	void (*insert)(void *p, uint32_t id, const struct ask *ask);
	uint64_t (*bytes)(const void *p);
};

extern const struct contender *const contenders[];	/* ends with NULL; the product's come first */
extern const struct contender contender_s3exact, contender_arc, contender_tinylfu, contender_2q, contender_belady;

/* NULL: no such. */
const struct contender *contender_named(const char *name, size_t length);
/* What the product uses. */
const struct contender *contender_standard(void);

/* The same for both kinds. */
void *contender_create(const struct contender *c, uint32_t capacity);
void contender_destroy(const struct contender *c, void *p);
void contender_hit(const struct contender *c, void *p, uint32_t id, const struct ask *ask);
uint32_t contender_evict(const struct contender *c, void *p, const struct ask *ask);
void contender_insert(const struct contender *c, void *p, uint32_t id, const struct ask *ask);
uint64_t contender_bytes(const struct contender *c, const void *p);

#endif
