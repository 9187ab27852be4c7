/* SPDX-License-Identifier: GPL-2.0-only */
/* queue.h - queues of ids for the policies: doubly linked by numbers in one array, 8 bytes an id. Within the room.
 *
 * An id is on one queue at most; all queues of a policy share the array. New ids enter at the young end.
 */
#ifndef HB_CACHE_QUEUE_H
#define HB_CACHE_QUEUE_H

#include "cache/policy.h"

#include <assert.h>

struct queue_link {
	uint32_t older, younger;	/* POLICY_NONE at the ends */
};

struct queue {
	struct queue_link *links;	/* borrowed: by id */
	uint32_t oldest, youngest;	/* POLICY_NONE when empty */
	uint32_t count;
};

static inline struct queue queue_on(struct queue_link *links)
{
	return (struct queue){ .links = links, .oldest = POLICY_NONE, .youngest = POLICY_NONE };
}

/* Between two neighbours, either of which may be POLICY_NONE: the end. */
static inline void queue_between(struct queue *q, uint32_t id, uint32_t older, uint32_t younger)
{
	q->links[id] = (struct queue_link){ .older = older, .younger = younger };
	*(older == POLICY_NONE ? &q->oldest : &q->links[older].younger) = id;
	*(younger == POLICY_NONE ? &q->youngest : &q->links[younger].older) = id;
	q->count++;
}

static inline void queue_put(struct queue *q, uint32_t id)
{
	queue_between(q, id, q->youngest, POLICY_NONE);
}

/* At the old end: the next to go. */
static inline void queue_put_oldest(struct queue *q, uint32_t id)
{
	queue_between(q, id, POLICY_NONE, q->oldest);
}

static inline void queue_del(struct queue *q, uint32_t id)
{
	struct queue_link l = q->links[id];

	assert(q->count);
	*(l.older == POLICY_NONE ? &q->oldest : &q->links[l.older].younger) = l.younger;
	*(l.younger == POLICY_NONE ? &q->youngest : &q->links[l.younger].older) = l.older;
	q->count--;
}

#endif
