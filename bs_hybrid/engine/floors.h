/* SPDX-License-Identifier: GPL-2.0-only */
/* floors.h - room in the caches that is set aside for a volume. Part of pool.h.
 */
#ifndef HB_ENGINE_FLOORS_H
#define HB_ENGINE_FLOORS_H

#include "cache/owners.h"
#include "cache/ram.h"
#include "engine/engine.h"

struct floors {
	struct owners *own; /* NULL: no volume has any */
	struct link vols; /* that have a floor */
	struct floor_of {
		struct hb_volume *v; /* NULL: nobody's number */
		bool old; /* nobody's, but chunks still have it */
		uint32_t blk; /* of the write tier are set aside */
		uint64_t cached_blk; /* are there */
	} of[OWNERS_MAX + 1];
	bool changed; /* who has a floor, or how large */
	bool again; /* the walk has to be made again, some time */
	struct hb_volume *walk; /* whose map is being walked; NULL: over */
	uint64_t at, walk_ns; /* block of it; when to go on */
	chunk_t sweep; /* where looking for chunks of old numbers has got to */
};

void floors_init(struct hb_pool *p);
void floors_fini(struct hb_pool *p);
void floors_pump(struct hb_pool *p);
uint64_t floors_deadline(const struct hb_pool *p);
/* 0; -ENOSPC: v cannot have such a floor beside those of the others. */
int floors_check(const struct hb_volume *v, uint32_t mib, struct err *err);
/* v is new, or gone; or its floor, its mode or its map has changed. */
void floors_volume(struct hb_volume *v, bool gone);
/* Whether b's owner has no more of the write tier than is set aside for it. */
bool floors_keep(const struct hb_pool *p, pblk_t b);
bool floors_admit(struct hb_pool *p, pblk_t b); /* b leaves RAM: whether it is to go on, earned or not */
/* Whether the cleaner may append again all that floors keep, though it takes as much as it gives back. */
bool floors_at_ease(struct hb_pool *p);
/* Besides what is free, segments of the write tier will be when a record or a checkpoint is durable. */
bool floors_enough_coming(struct hb_pool *p);
/* A slot of the write tier holds b now (by 1), or no longer (by -1). */
void floors_count(struct hb_pool *p, pblk_t b, int by);
void floors_frame(struct hb_pool *p, struct frame *f, pblk_t b); /* f, in RAM, is b's */
void floors_mapped(struct hb_volume *v, pblk_t b); /* v's map has b now */
void floors_freed(struct hb_pool *p, chunk_t k);
void floors_shared(struct hb_volume *v); /* v's map got blocks of others */
void floors_info(const struct hb_volume *v, struct hb_volume_info *ret);
/* Whether the counts are what is there: the first owner (or 0) for whom they are not. For check.c. */
unsigned floors_miscounted(struct hb_pool *p);

#endif
