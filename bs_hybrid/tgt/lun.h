/* SPDX-License-Identifier: GPL-2.0-only */
/* lun.h - one of our logical units: a volume of a pool behind a LUN of a target.
 *
 * Made by the init of the backing store, opened and closed with its path, gone with its exit. All on tgtd's one thread.
 */
#ifndef HB_TGT_LUN_H
#define HB_TGT_LUN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "engine/engine.h"
#include "tgt/tgt_abi.h"
#include "tgt/xcopy.h"

#define LUN_TRANSFER_BLOCKS_MAX 65536	/* of one READ or WRITE */
#define LUN_UNMAP_DESCRIPTORS_MAX 256

struct sanitize;

struct lun {
	struct link link;		/* of all LUNs */
	struct tgt_lu *lu;
	char *conf_path;		/* from bsopts; NULL: the default */
	struct pool *pool;		/* NULL while closed, as vol */
	struct hb_volume *vol;
	bool frozen;			/* vol is a snapshot: nothing writes to it */
	bool closing;			/* inside the close of the backing store: nothing new is started */
	/* work.c's */
	struct link idle, slabs;
	uint32_t nworks, busy;
	uint32_t pins;			/* copies of other LUNs that read or write this one */
	/* xcopy's */
	struct xcopy_history copies;
	/* sanitize's: NULL, or what is running in the background */
	struct sanitize *sanitize;
	bool sanitize_failed, sanitize_may_exit;
	/* pr's: the last nexuses seen that have no registration to take over */
	uint64_t strangers[16];
};

extern struct tgt_bst lun_template;

/* The LUN of a logical unit that is ours. */
struct lun *lun_of(const struct tgt_lu *lu);
/* Is it one of ours? */
static inline bool lun_is_ours(const struct tgt_lu *lu)
{
	return lu->bst == &lun_template;
}

static inline uint64_t lun_blocks(const struct lun *lun)
{
	return lun->lu->size >> lun->lu->blk_shift;
}

/* True if [lba, lba + blocks) lies inside. */
static inline bool lun_has(const struct lun *lun, uint64_t lba, uint64_t blocks)
{
	return lba <= lun_blocks(lun) && blocks <= lun_blocks(lun) - lba;
}

/* Write-protected: a snapshot, or by tgtd's operator, or by an initiator (SWP in the control mode page). */
static inline bool lun_protected(const struct lun *lun)
{
	return lun->frozen || lun->lu->attrs.readonly || lun->lu->attrs.swp;
}

/* The current value of WCE in mode page 8; any initiator may have changed it. */
bool lun_write_cache(const struct lun *lun);
/* Takes over a volume that has another size now: lu->size, and a unit attention to every nexus. */
void lun_check_size(struct lun *lun);
void lun_check_sizes(void);
/* The volume of that name has other bytes now, and perhaps another size: every nexus of its LUNs is told by unit
 * attentions. */
void lun_reverted(const struct hb_pool *pool, const char *volume);
/* The open LUNs of this pool; pool NULL: of all. */
unsigned lun_count(const struct pool *pool);

#endif
