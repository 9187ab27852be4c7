/* SPDX-License-Identifier: GPL-2.0-only */
/* super.h - the superblock: what a device is, how the pool is laid out, and (capacity device) the checkpoint's root.
 *
 * Two copies, at blocks SUPER_A and SUPER_B, written one after the other with a flush in between; the valid one with
 * the higher `seq` wins. Little-endian; docs/FORMAT.md draws it.
 */
#ifndef HB_FORMAT_SUPER_H
#define HB_FORMAT_SUPER_H

#include "base/err.h"
#include "base/units.h"

#define SUPER_A 0u
#define SUPER_B 16u
#define SUPER_VERSION 2u
#define SUPER_DEVS 8
#define SUPER_NAME 64

/* Features a pool uses that this program does not know: an incompatible one refuses any open, a read-only one refuses
 * open for writing. `features` holds their names, comma-separated, so that an older program can say which it lacks. */
#define FEAT_CHUNK_RECORDS 1ull /* REC_CHUNKS in the log; set by each open for writing */
#define FEAT_INCOMPAT_KNOWN FEAT_CHUNK_RECORDS
#define FEAT_NAMES "chunk-records"
#define FEAT_RO_KNOWN 0ull
#define SUPER_FEATURES 256

enum { SUPER_CLEAN = 1 };

struct super_dev {
	uint8_t uuid[16];
	uint32_t role;
	uint64_t size_blk;
};

struct super_root {
	uint32_t page, crc, levels;
};

enum super_tree { TREE_VOLUMES, TREE_SEGMENTS, TREE_FRAGS, TREE_TOUCHED, TREE_COUNT };

struct super {
	uint64_t feat_incompat, feat_ro, feat_compat;
	char features[SUPER_FEATURES];
	uint64_t seq;
	uint8_t pool_uuid[16], dev_uuid[16];
	uint32_t role, index, ndevs;
	uint32_t chunk_blk, seg_blk;
	uint64_t size_blk;
	char name[SUPER_NAME];
	uint64_t created_s;
	uint64_t meta_start_blk;
	uint32_t meta_pages;
	uint32_t first_chunk, nchunks;
	uint32_t nsegs; /* segments 1 .. nsegs exist */
	struct super_dev devs[SUPER_DEVS];
	/* The checkpoint; on other devices than the capacity device only the generation counts. */
	uint64_t generation; /* how often the pool was opened for writing */
	uint32_t flags;
	uint64_t ckpt_seq;
	uint64_t mirror_epoch; /* raised each time a half of the write tier goes or comes; on all that count */
	uint32_t mirror_out; /* bit i: device 1 + i is stale, whatever it says of itself */
	uint64_t ckpt_nonce; /* random, with each checkpoint: tables of cache levels that belong to it have it too */
	uint64_t log_unit_seq; /* the first unit that replay wants */
	uint32_t log_seg, log_off; /* where it begins: segment, block in it */
	uint64_t log_seg_seq;
	uint32_t log_next_seg; /* the segment after log_seg, chosen already */
	struct super_root roots[TREE_COUNT];
	uint32_t next_volume_id;
	uint32_t meta_high; /* one past the highest page in use: what open reads */
};

/* Fills 4096 bytes for the copy at block `at`. */
void super_encode(const struct super *s, uint64_t at_blk, void *block);
/* 0; -ENODATA: no superblock of ours; -EBADMSG: ours but damaged; -EPROTONOSUPPORT: newer. err says which. */
int super_decode(struct super *ret, uint64_t at_blk, const void *block, struct err *err);

#endif
