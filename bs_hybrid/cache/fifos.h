/* SPDX-License-Identifier: GPL-2.0-only */
/* fifos.h - two FIFO queues and a ghost, of a shape that may be changed at any time: what the policies are made of.
 * Within the room.
 *
 * After J. Yang, Y. Zhang, Z. Qiu, Y. Yue, K. V. Rashmi: "FIFO queues are all you need for cache eviction", SOSP 2023.
 * A new key begins in the small queue. What is asked for again there moves to main when its turn comes; the rest
 * leaves, and only its fingerprint is remembered. A key that comes back while remembered goes to main at once. In
 * main, a key's turn costs it one of its (at most three) hits; without any it leaves. A hit thus changes a few bits
 * and no queue.
 */
#ifndef HB_CACHE_FIFOS_H
#define HB_CACHE_FIFOS_H

#include "cache/policy.h"
#include "cache/queue.h"

#define SHAPE_ONE 1000u			/* the capacity, in the units of a shape */

struct shape {
	uint16_t small;			/* places of the small queue; 1 .. SHAPE_ONE */
	uint16_t ghost;			/* keys remembered; 0 .. the ghost_max of fifos_make() */
	uint16_t burst;			/* a hit in the small queue before so many keys followed does not count */
	uint16_t hits_to_main;		/* 1 .. 3 */
	bool by_recency;		/* nothing moves to main; a hit makes a key the youngest of the small queue */
};

struct fifo_state {
	uint16_t place : 3;		/* enum place of fifos.c */
	uint16_t freq : 2;
	uint16_t earned : 1;		/* was hit, or came back out of the ghost */
	uint16_t marked : 1;		/* the owner's */
	uint16_t born : 9;		/* ticks of `entered` */
};

struct ghost {
	uint16_t print;
	uint16_t when;			/* 0: nothing here */
};

/* Counts keys in ticks of several, so that few bits can tell how many came since. */
struct fifo_clock {
	uint32_t tick_keys;
	uint32_t keys;			/* of the tick that runs */
	uint32_t now;
};

struct fifos {
	uint32_t capacity;
	uint32_t small_target;
	uint32_t hits_to_main;
	bool by_recency;
	uint32_t burst_ticks;		/* of `entered` */
	uint32_t ghost_sets;
	uint32_t ghost_ticks;		/* of `left`: entries no older than this count */
	struct fifo_clock entered;	/* keys that began in the small queue */
	struct fifo_clock left;		/* keys remembered */
	struct queue small, main;
	struct ghost *ghosts;
	struct queue_link *links;	/* by id; the tables follow each other in one piece of memory */
	uint32_t *hashes;		/* by id */
	struct fifo_state *states;	/* by id */
};

/* Bytes of zeroed memory that fifos_make needs (a multiple of 64). */
uint64_t fifos_memory(uint32_t capacity, uint16_t ghost_max);
/* `memory` is borrowed, 64-byte aligned. A shape must follow before anything else. */
void fifos_make(struct fifos *f, void *memory, uint32_t capacity, uint16_t ghost_max);
void fifos_shape(struct fifos *f, const struct shape *shape);

/* As in struct policy_ops; `hash` is one of the key, all bits alike. */
void fifos_insert(struct fifos *f, uint32_t id, uint32_t hash);
void fifos_remove(struct fifos *f, uint32_t id);
uint32_t fifos_evict(struct fifos *f, policy_busy_fn busy, void *ctx, bool *ret_earned);
void fifos_ready(struct fifos *f, uint32_t id);
void fifos_hit(struct fifos *f, uint32_t id);

#endif
