/* SPDX-License-Identifier: GPL-2.0-only */
/* volattr.h - the attributes of a volume, as the engine's face has them, and as 160 bytes in its record and in the log.
 *
 * In bytes, zeros are the defaults, so that records of volumes that never had any say the same.
 */
#ifndef HB_FORMAT_VOLATTR_H
#define HB_FORMAT_VOLATTR_H

#include "base/units.h"

#define HB_PINS_MAX 8 /* ranges */
#define HB_PIN_TO_END UINT64_MAX /* as a count: to the end of the volume, wherever that will be */
#define HB_ATTR_NEVER UINT32_MAX /* as bypass_blk, read_ahead_blk; 0 is the pool's default */
#define HB_SHARE_DEFAULT 100u
#define HB_SHARE_MAX 1000u
/* The least ceilings: with less, a short queue would wait for longer than an initiator does. */
#define HB_IOPS_MIN 10u
#define HB_BANDWIDTH_MIN MIB(1)
#define HB_BURST_MAX 3600u
#define HB_FLOORS_MAX 255u /* volumes of a pool with a cache_floor_mib */
#define VOLATTR_BYTES 160u

/* What the caches do with a volume. */
enum hb_mode {
	HB_MODE_WRITE_BACK,
	HB_MODE_WRITE_THROUGH,
	HB_MODE_WRITE_AROUND,
	HB_MODE_READ_ONLY,
	HB_MODE_NONE,
	HB_MODES
};

/* A range that stays cached. */
struct hb_pin {
	uint64_t first_blk, nblk; /* blocks of the volume; nblk may be HB_PIN_TO_END */
};

struct hb_volume_attr {
	enum hb_mode mode;
	uint32_t iops; /* ceiling, I/Os a second, HB_IOPS_MIN or more; 0: none. See qos.c for what counts as one */
	uint64_t bandwidth; /* ceiling, bytes a second, HB_BANDWIDTH_MIN or more; 0: none */
	uint32_t burst_s; /* so many seconds of its ceilings a volume saves up while idle; 0 .. HB_BURST_MAX */
	uint32_t share; /* weight where volumes compete, 1 .. HB_SHARE_MAX */
	uint32_t bypass_blk; /* a sequential run so long passes the caches by; HB_ATTR_NEVER; 0: the pool's default */
	uint32_t read_ahead_blk; /* at most; HB_ATTR_NEVER: none; 0: the pool's default */
	uint32_t cache_floor_mib; /* of the write tier, and that part of RAM, is not taken from it; 0: nothing */
	uint32_t npins;
	struct hb_pin pin[HB_PINS_MAX]; /* in order; no two overlap or touch */
};

void volattr_default(struct hb_volume_attr *a);
void volattr_encode(const struct hb_volume_attr *a, void *to);
/* 0, or -EBADMSG. */
int volattr_decode(struct hb_volume_attr *ret, const void *from);
/* Whether they say the same. */
bool volattr_same(const struct hb_volume_attr *a, const struct hb_volume_attr *b);
/* Adds a range to those that are pinned, or takes it out. 0; -EINVAL: it is empty, or ends beyond 2^64 blocks; -ENOSPC:
 * there would be more than HB_PINS_MAX, and nothing is changed. */
int volattr_pin(struct hb_volume_attr *a, uint64_t first_blk, uint64_t nblk);
int volattr_unpin(struct hb_volume_attr *a, uint64_t first_blk, uint64_t nblk);
/* The volume ends there now. */
void volattr_clip(struct hb_volume_attr *a, uint64_t size_blk);
/* What a snapshot, or a clone, has of its source's: a clone all but the floor, which is room in the caches that is
 * there once; a snapshot how its data are cached, not the pins, and nothing of what its source may take of the pool. */
void volattr_inherit(struct hb_volume_attr *to, const struct hb_volume_attr *from, bool snapshot);

#endif
