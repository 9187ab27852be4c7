/* SPDX-License-Identifier: GPL-2.0-only */
/* rw.h - what all commands that read or write blocks have in common. */
#ifndef HB_TGT_RW_H
#define HB_TGT_RW_H

#include "tgt/work.h"

/* Is FUA set (CDBs of 6 bytes have none)? */
bool rw_fua(const uint8_t *cdb);
/* HB_FUA if this write must be durable before it is answered. */
uint32_t rw_write_flags(const struct lun *lun, const uint8_t *cdb);
/* GOOD if the range lies in the LUN (0 blocks: if lba does), else with sense. */
int rw_check_range(struct lun *lun, struct tgt_cmd *cmd, uint64_t lba, uint64_t blocks);
/* The CDB's range in bytes; GOOD, or refused with sense: outside, too long, or protection information asked for. */
int rw_check(struct lun *lun, struct tgt_cmd *cmd, uint64_t *ret_off, uint64_t *ret_len);
/* Of `len` bytes to be written, how many came, in whole blocks. */
uint64_t rw_whole_blocks(const struct lun *lun, const struct tgt_cmd *cmd, uint64_t len);

/* The range [work->info_base, work->end) in requests the engine takes: the first, and those after it. */
void rw_ask(struct work *work, enum hb_op op, uint32_t flags, void *buf);
bool rw_ask_more(struct work *work);	/* false: that was all */
bool rw_step(struct work *work);	/* a step of nothing else */

#endif
