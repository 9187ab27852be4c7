/* SPDX-License-Identifier: GPL-2.0-only */
/* guard.h - frames of the RAM tier that the policy may not choose, since room is set aside for their owners. Within the
 * room: ram.c uses it.
 *
 * Each owner has a queue of so many frames as its floor is. What enters RAM for it goes there while there is room, and
 * to the policy like anything else when not; a frame of its that the policy chooses takes the place of the queue's
 * oldest one that was not used since its last turn, and that one goes instead. So an owner never has fewer frames than
 * its floor as long as it has asked for that many blocks, whatever others do, and in that room it keeps those it uses:
 * second chance, one bit a frame. The rest of its frames competes with all others'.
 */
#ifndef HB_CACHE_GUARD_H
#define HB_CACHE_GUARD_H

#include "cache/owners.h"
#include "cache/queue.h"

struct guard_floor {
	uint32_t frames; /* the floor */
	uint32_t cached; /* frames of the owner, in the queue or not */
	struct queue queue;
};

struct guard {
	struct guard_floor of[OWNERS_MAX + 1]; /* by owner */
	uint32_t turn; /* the owner that gives one when nobody else can */
	uint64_t bytes;
	struct queue_link links[]; /* by frame */
};

/* For so many frames; all floors are 0. NULL when out of memory. */
struct guard *guard_new(uint32_t frames);
void guard_free(struct guard *g);

#endif
