/* SPDX-License-Identifier: GPL-2.0-only */
/* block.h - the bytes of snapshots, in blocks of 512 KiB: which there are, reading them, and writing those of a
 * snapshot that is being filled (verb snapshot-start). For protocols that carry bytes; all else about snapshots is
 * verbs.
 *
 * Each call is made in a caller's name: what is not its own is not there for it. An error is in the call, as with
 * ebs_run(). Any thread; no lock is held while bytes move, but that one block is written by one at a time.
 */
#ifndef HB_VERBS_BLOCK_H
#define HB_VERBS_BLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "verbs/ebs.h"

#define BLOCK_BYTES 524288u
#define BLOCK_DIGEST 32 /* bytes of a SHA-256 */
#define BLOCK_INDEX_MAX ((1ull << 46) / BLOCK_BYTES)

struct block_snapshot {
	char id[40], pool[64], name[64]; /* as the pool calls it */
	uint64_t size_bytes;
	bool filling;
};

/* A snapshot by its id; c: who, rights, only_tags are set, all else is zero. write: blocks are to be put into it. 0, or
 * the call failed: it is not there, not the caller's, in another state. */
int block_find(struct ebs *e, struct ebs_call *c, const char *id, bool write, struct block_snapshot *ret);
/* Blocks, from index `first` on, in which `to` differs from `from`, or that may hold something else than zeros (NULL),
 * ascending, at most `room`. By the pool's maps: nothing is read. *ret_next: where to go on; UINT64_MAX: the end. 0,
 * or the call failed; -EINVAL: they are of different families. */
int block_list(struct ebs_call *c, const struct block_snapshot *from, const struct block_snapshot *to, uint64_t first,
	       uint32_t *indexes, unsigned room, unsigned *ret_n, uint64_t *ret_next);
/* All BLOCK_BYTES of one; what is beyond the end reads as zeros. 0, or the call failed. */
int block_read(struct ebs_call *c, const struct block_snapshot *s, uint64_t index, void *buf);
/* Writes BLOCK_BYTES, whose SHA-256 the caller has compared with digest. What lies beyond the end must be zeros. It may
 * come again, in any order. It is on disk when the snapshot is completed. 0, or the call failed. */
int block_write(struct ebs *e, struct ebs_call *c, const char *id, uint64_t index, const void *buf,
		const uint8_t digest[BLOCK_DIGEST]);
/* A proof that this text is ours, under the key of secrets at rest; about: what the proof is for. 0 or -ENOMEM. */
int block_proof(struct ebs *e, const char *about, const char *text, uint8_t to[32]);
uint32_t block_tokens_s(const struct ebs *e); /* how long such proofs are good, as configured */

#endif
