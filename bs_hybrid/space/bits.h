/* SPDX-License-Identifier: GPL-2.0-only */
/* bits.h - a set of numbers below a fixed bound, with a search for the next member that takes a few steps whatever the
 * size: a bitmap under bitmaps of its non-zero words. Pure memory, within the room. */
#ifndef HB_SPACE_BITS_H
#define HB_SPACE_BITS_H

#include <stdbool.h>
#include <stdint.h>

#define BITS_NONE UINT32_MAX
#define BITS_LEVELS 6			/* 64^6 > 2^32 */

struct bits {
	uint32_t size;			/* members are below this */
	uint32_t count;			/* members */
	unsigned int levels;
	uint64_t *level[BITS_LEVELS];	/* level[0]: the set; a bit of level[i + 1] per word of level[i]: not zero */
	uint64_t table_bytes;
};

int bits_init(struct bits *b, uint32_t size);	/* empty. 0 or -ENOMEM (then nothing is to be undone) */
void bits_fini(struct bits *b);			/* all zero is fine */
void bits_fill(struct bits *b);			/* all below size become members */
void bits_add(struct bits *b, uint32_t n);	/* n must not be a member (asserted) */
void bits_del(struct bits *b, uint32_t n);	/* n must be a member (asserted) */
/* The first member at or after from; BITS_NONE if there is none. */
uint32_t bits_next(const struct bits *b, uint32_t from);

static inline bool bits_has(const struct bits *b, uint32_t n)
{
	return b->level[0][n / 64] >> (n % 64) & 1;
}

#endif
