/* SPDX-License-Identifier: GPL-2.0-only */
/* chunks.h - reference counts and free space of the capacity device's chunks. Pure memory, derived from the map at
 * open, never stored.
 *
 * A chunk is free, taken (allocated, not yet in the map), referenced (by `refs` map entries), or in limbo: no longer
 * referenced, but the log record that freed it is not durable yet, or an older read from it is still in flight.
 * Only chunks_release() makes it free. (If a chunk were reused at once and power failed before the freeing record was
 * durable, its former owner would come back to find another volume's bytes.)
 */
#ifndef HB_SPACE_CHUNKS_H
#define HB_SPACE_CHUNKS_H

#include "base/units.h"

struct chunks;

/* Chunks first .. first+count-1 exist and are free. NULL when out of memory. */
struct chunks *chunks_new(chunk_t first, uint32_t count);
void chunks_free(struct chunks *c);
/* Makes room for `count` chunks in all, so that chunks_grow to as many cannot fail. 0 or -ENOMEM. */
int chunks_reserve(struct chunks *c, uint32_t count);
/* Chunks up to first+count-1 exist; the new ones are free. Reserved before. */
void chunks_grow(struct chunks *c, uint32_t count);

/* free -> taken. Prefers `near` itself if it is free (pass CHUNK_NONE for no wish), else the next free one after the
 * last allocation, so that what is written together lies together. CHUNK_NONE when none is free. */
chunk_t chunks_take(struct chunks *c, chunk_t near);
/* taken or limbo -> free. */
void chunks_release(struct chunks *c, chunk_t k);
/* taken -> 1, n -> n+1. While rebuilding at open also free -> 1 (chunks_ref does not care). */
void chunks_ref(struct chunks *c, chunk_t k);
/* n -> n-1; true when that was the last: the chunk is in limbo now, and the caller's to release in time. */
bool chunks_unref(struct chunks *c, chunk_t k);
uint32_t chunks_refs(const struct chunks *c, chunk_t k);
bool chunks_exists(const struct chunks *c, chunk_t k);	/* within first .. first+count-1 */

uint32_t chunks_total(const struct chunks *c);
uint32_t chunks_free_count(const struct chunks *c);
uint32_t chunks_limbo_count(const struct chunks *c);
uint64_t chunks_bytes(const struct chunks *c);

#endif
