/* SPDX-License-Identifier: GPL-2.0-only */
/* seq.h - which sequential stream a request belongs to, among many that go on at once. Pure memory.
 *
 * Streams are found by where they are expected to go on: a hash of zones of 256 blocks, so a request looks into three
 * buckets. The longer a stream, the larger a gap (or step back) it may have: at depth 32 requests overtake each other.
 * When all are in use, the one asked for longest ago makes room. */
#ifndef HB_CACHE_SEQ_H
#define HB_CACHE_SEQ_H

#include "base/units.h"

struct seq {
	uint64_t space;
	uint64_t next;			/* the block behind the furthest request */
	uint64_t len_blk;		/* 0: this one is not in use */
	/* The caller's, 0 in a new stream. */
	uint64_t cold_blk;		/* stream.c */
	uint64_t slow_blk;		/* engine/bypass.c */
	uint32_t alone;
	uint16_t chain, older, younger;	/* seq.c's */
};

struct seqs;

/* So many streams, 1 .. 1024, are followed at once; 0: 128. NULL when out of memory, or for more. */
struct seqs *seqs_new(uint32_t count);
void seqs_free(struct seqs *s);
uint64_t seqs_bytes(const struct seqs *s);
/* The stream that a request for count (> 0) blocks belongs to, with the request in it; a new one if there was none.
 * Valid until the next call. */
struct seq *seqs_follow(struct seqs *s, uint64_t space, uint64_t blk, uint32_t count, bool *ret_new);

#endif
