/* SPDX-License-Identifier: GPL-2.0-only */
/* limits.h - what one command may ask for: told in VPD page B0, checked by the handlers. In logical blocks. */
#ifndef HB_TGT_LIMITS_H
#define HB_TGT_LIMITS_H

#include "base/units.h"
#include "tgt/lun.h"

static inline uint32_t limit_compare_write(const struct tgt_lu *lu)
{
	return (uint32_t)MIN(HB_ATOMIC_MAX >> lu->blk_shift, 255u);
}

/* Of one descriptor. */
static inline uint32_t limit_unmap(const struct tgt_lu *lu)
{
	(void)lu;
	return 1u << 20;
}

/* A command must end in bounded time, and cannot be aborted once it has begun. */
static inline uint64_t limit_write_same(const struct tgt_lu *lu)
{
	return GIB(4) >> lu->blk_shift;
}

#endif
