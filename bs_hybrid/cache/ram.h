/* SPDX-License-Identifier: GPL-2.0-only */
/* ram.h - the RAM tier: frames of one block each, found by pool block, kept by a policy. Pure memory.
 *
 * A frame is free, or in use outside the cache (being read into, by its pins), or cached (found by its block; may be
 * pinned too). All device reads go into frames, never into an initiator's buffer: a device that answers after its
 * time limit then writes into a frame that was given up for good (ram_leak), not into somebody else's command.
 * What a cached frame holds is always the newest version of its block: writers call ram_find and update or remove it.
 * Owners may have floors: as many frames each as are not taken from it for others (guard.h).
 */
#ifndef HB_CACHE_RAM_H
#define HB_CACHE_RAM_H

#include "base/units.h"
#include "cache/policy.h"

struct frame {
	pblk_t pblk;		/* valid while cached */
	uint32_t next;		/* hash chain: frame id, or UINT32_MAX */
	uint16_t pins;
	bool cached : 1;
	bool earned : 1;		/* of frames handed out by ram_take: see there; guarded: asked for again */
	bool ahead : 1;		/* the engine's: nobody has asked for it yet */
	bool aside : 1;		/* the policy found it pinned and waits to hear that it no longer is */
	bool guarded : 1;	/* the policy does not know it: guard.h */
	bool used : 1;		/* while guarded: asked for since its last turn */
	uint8_t owner;		/* for whom room is set aside; 0: nobody. See ram_own */
};

struct ram;

/* size_bytes is rounded down to whole frames; at least 64 frames are needed (-EINVAL is NULL with errno-free meaning:
 * returns NULL when out of memory or too small). */
struct ram *ram_new(uint64_t size_bytes, const struct policy_ops *policy);
void ram_free(struct ram *r);

/* The cached frame of p, or NULL. Does not count as a hit. */
struct frame *ram_find(struct ram *r, pblk_t p);
/* As idx_prefetch, for ram_find. */
void ram_prefetch(const struct ram *r, pblk_t p, int step);
void ram_hit(struct ram *r, struct frame *f);
void *ram_data(struct ram *r, struct frame *f);		/* 4096 bytes, 4096-aligned */

/* A frame out of the cache with one pin, for reading into. If a cached frame had to be evicted for it, *ret_victim
 * is that block (n == 0: none) and *ret_earned whether it is worth a place on the next level; the frame still holds
 * the victim's bytes at this moment, so the caller can copy them on. NULL when all frames are pinned. */
struct frame *ram_take(struct ram *r, pblk_t *ret_victim, bool *ret_earned);
/* Publishes a taken frame as p's; p must not be cached (asserted). The pin stays. */
void ram_insert(struct ram *r, struct frame *f, pblk_t p);
/* Takes a cached frame out of the cache; it becomes free when its last pin goes. */
void ram_remove(struct ram *r, struct frame *f);
void ram_pin(struct frame *f);
/* The last unpin of a frame that is not cached frees it. */
void ram_unpin(struct ram *r, struct frame *f);
/* Gives up a taken frame for ever (a device may still write into it). */
void ram_leak(struct ram *r, struct frame *f);

/* Sets the floor of an owner (1 .. OWNERS_MAX), in frames; all floors together must leave half of the frames. Frames
 * that are there move when they are owned (again). 0 or -ENOMEM. */
int ram_floor(struct ram *r, uint8_t owner, uint32_t frames);
/* A cached frame is that owner's (0: nobody's) from now on, and as its floor is now. Until then, after ram_insert, it
 * is nobody's. */
void ram_own(struct ram *r, struct frame *f, uint8_t owner);
uint64_t ram_owned(const struct ram *r, uint8_t owner);	/* cached frames of that owner, not 0 */

uint64_t ram_frames(const struct ram *r);	/* all */
uint64_t ram_cached(const struct ram *r);
uint64_t ram_leaked(const struct ram *r);
uint64_t ram_bytes(const struct ram *r);	/* bookkeeping memory, without the frames themselves */

#endif
