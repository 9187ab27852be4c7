/* SPDX-License-Identifier: GPL-2.0-only */
/* handlers.h - the SCSI commands of our LUNs: one handler each, listed in the table of ops.c.
 *
 * A handler is called when reservations, the medium and write protection allow the command (the table says what it
 * needs), and returns a SCSI status; see cmd.h and work.h. It trusts no length: neither the CDB's, nor a parameter
 * list's, nor the buffer's.
 */
#ifndef HB_TGT_HANDLERS_H
#define HB_TGT_HANDLERS_H

#include "tgt/cmd.h"
#include "tgt/lun.h"

typedef int handler_fn(struct lun *lun, struct tgt_cmd *cmd);

/* ops.c: finds the handler and checks what may forbid it. tgtd calls it for every opcode. */
int ops_dispatch(int host, struct tgt_cmd *cmd);
handler_fn ops_report_opcodes, ops_report_tmfs;
/* perform.c: what tgtd calls for every command of our LUN, before its own checks. */
int perform_cmd(int tid, struct tgt_cmd *cmd);

handler_fn rw_read, rw_write, rw_orwrite, rw_prefetch, rw_sync_cache;	/* rw.c */
handler_fn rw_write_verify, rw_verify;					/* verify.c */
handler_fn same_write_10, same_write_16;				/* same.c */
handler_fn unmap_unmap;							/* unmap.c */
handler_fn caw_compare_and_write;					/* caw.c */
handler_fn watomic_write;						/* watomic.c */
handler_fn lba_get_status;						/* lbastatus.c */
handler_fn capacity_read_10, capacity_read_16, capacity_defects_10, capacity_defects_12;	/* capacity.c */
handler_fn sanitize_overwrite, sanitize_block_erase, sanitize_exit_failure, sanitize_format;	/* sanitize.c */
handler_fn xcopy_lid1, xcopy_lid4;					/* xcopy.c */
handler_fn xcopy_status, xcopy_status_lid4, xcopy_receive_data;		/* xcopy_results.c */
handler_fn xcopy_parameters, xcopy_failed_segment;
handler_fn vpd_inquiry;							/* vpd.c */
handler_fn mode_sense, mode_select;					/* mode.c */
handler_fn reserve_6, release_6;					/* reserve.c */
handler_fn pr_in_keys, pr_in_reservation, pr_in_capabilities, pr_in_full_status;	/* pr_in.c */
handler_fn pr_out;							/* pr_out.c */
handler_fn stock_test_unit, stock_request_sense, stock_report_luns, stock_start_stop, stock_prevent_allow,
	stock_send_diagnostic;						/* stock.c: tgtd's own */

/* sanitize.c: something for REQUEST SENSE to tell? Then it is answered. */
bool sanitize_request_sense(struct lun *lun, struct tgt_cmd *cmd, int *status);

#endif
