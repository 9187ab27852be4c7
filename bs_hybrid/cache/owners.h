/* SPDX-License-Identifier: GPL-2.0-only */
/* owners.h - whose a chunk is, for those few volumes that have room set aside for them in the caches: a byte a chunk.
 *
 * Pure memory, and only for stretches of the pool in which some chunk is somebody's: 4 KiB for 4096 chunks, which is
 * 256 MiB of the pool; a sixteenth of a byte a block, or less.
 */
#ifndef HB_CACHE_OWNERS_H
#define HB_CACHE_OWNERS_H

#include "base/units.h"

#define OWNERS_MAX 255u /* they are numbered from 1 on; 0: nobody */

struct owners;

struct owners *owners_new(void); /* NULL when out of memory */
void owners_free(struct owners *o);
uint8_t owners_get(const struct owners *o, chunk_t k);
/* 0 or -ENOMEM; never fails for nobody (0). */
int owners_set(struct owners *o, chunk_t k, uint8_t no);
/* The first chunk of `no` (not 0) at or after *from, which it moves to where it has got to: looks at so many bytes of
 * the table, about. 1: found, it is *from; 0: none up to there; -ENOENT: none any more. */
int owners_next(const struct owners *o, uint8_t no, chunk_t *from, uint32_t bytes);
uint64_t owners_bytes(const struct owners *o); /* memory */

#endif
