/* SPDX-License-Identifier: GPL-2.0-only */
/* ops_table.c - the SCSI commands of our LUNs. What is not here does not exist. */
#include "base/units.h"
#include "tgt/ops.h"

#define M OP_MEDIUM
#define W (OP_MEDIUM | OP_WRITES)
#define T (OP_MEDIUM | OP_WRITES | OP_THIN)
#define R6 OP_RESERVED_OK
#define SAN OP_SANITIZE_OK
#define ANY (OP_RESERVED_OK | OP_SANITIZE_OK)

/* From byte 2 on: addresses, lengths, page codes, list identifiers. */
#define FF2 0xff, 0xff
#define FF4 FF2, FF2
#define FF8 FF4, FF4
#define SHAPE(len, ...) { len, { 0, 0, __VA_ARGS__ } }
static const struct op_shape
	none_6 = SHAPE(6, 0), list_6 = SHAPE(6, 0, 0, 0xff), range_6 = SHAPE(6, 0xff, 0xff, 0xff),
	start_6 = SHAPE(6, 0, 0x0f, 0xf7), diagnostic_6 = SHAPE(6, 0, FF2), prevent_6 = SHAPE(6, 0, 0, 0x03),
	range_10 = SHAPE(10, FF4, 0, FF2), list_10 = SHAPE(10, 0, 0, 0, 0, 0, FF2),
	capacity_10 = SHAPE(10, FF4, 0, 0, 0x01), defects_10 = SHAPE(10, 0x1f, 0, 0, 0, 0, FF2),
	page_10 = SHAPE(10, FF2, 0, 0, 0, FF2), pr_out_10 = SHAPE(10, 0xff, 0, 0, FF4),
	range_12 = SHAPE(12, FF8), list_12 = SHAPE(12, 0, 0, 0, 0, FF4), luns_12 = SHAPE(12, 0xff, 0, 0, 0, FF4),
	opcodes_12 = SHAPE(12, 0x87, 0xff, FF2, FF4),
	range_16 = SHAPE(16, FF8, FF4), list_16 = SHAPE(16, 0, 0, 0, 0, 0, 0, 0, 0, FF4),
	compare_16 = SHAPE(16, FF8, 0, 0, 0, 0xff), lid1_16 = SHAPE(16, 0xff, 0, 0, 0, 0, 0, 0, 0, FF4),
	lid4_16 = SHAPE(16, FF4, 0, 0, 0, 0, FF4);

const struct op ops_table[] = {
	{ 0x00, NO_SA, 0, PR_FREE, stock_test_unit, &none_6, 0 },
	{ 0x03, NO_SA, ANY, PR_FREE, stock_request_sense, &list_6, 0x01 },
	{ 0x04, NO_SA, W, PR_WRITES, sanitize_format, &none_6, 0xff },
	{ 0x08, NO_SA, M, PR_READS, rw_read, &range_6, 0x1f },
	{ 0x0a, NO_SA, W, PR_WRITES, rw_write, &range_6, 0x1f },
	{ 0x12, NO_SA, ANY, PR_FREE, vpd_inquiry, &range_6, 0x03 },
	{ 0x15, NO_SA, 0, PR_WRITES, mode_select, &list_6, 0x11 },
	{ 0x16, NO_SA, 0, PR_FREE, reserve_6, &none_6, 0x1f },
	{ 0x17, NO_SA, R6, PR_FREE, release_6, &none_6, 0 },
	{ 0x1a, NO_SA, 0, PR_WRITES, mode_sense, &range_6, 0x08 },
	{ 0x1b, NO_SA, 0, PR_FREE, stock_start_stop, &start_6, 0x01 },
	{ 0x1d, NO_SA, 0, PR_WRITES, stock_send_diagnostic, &diagnostic_6, 0xff },
	{ 0x1e, NO_SA, 0, PR_FREE, stock_prevent_allow, &prevent_6, 0 },
	{ 0x25, NO_SA, M | SAN, PR_FREE, capacity_read_10, &capacity_10, 0 },
	{ 0x28, NO_SA, M, PR_READS, rw_read, &range_10, 0xf8 },
	{ 0x2a, NO_SA, W, PR_WRITES, rw_write, &range_10, 0xf8 },
	{ 0x2e, NO_SA, W, PR_WRITES, rw_write_verify, &range_10, 0xf6 },
	{ 0x2f, NO_SA, M, PR_READS, rw_verify, &range_10, 0xf6 },
	{ 0x34, NO_SA, M, PR_READS, rw_prefetch, &range_10, 0x02 },
	{ 0x35, NO_SA, M, PR_WRITES, rw_sync_cache, &range_10, 0x02 },
	{ 0x37, NO_SA, M, PR_READS, capacity_defects_10, &defects_10, 0 },
	{ 0x41, NO_SA, W, PR_WRITES, same_write_10, &range_10, 0xff },
	{ 0x42, NO_SA, T, PR_WRITES, unmap_unmap, &list_10, 0x01 },
	{ 0x48, SA_SANITIZE_OVERWRITE, W | SAN, PR_WRITES, sanitize_overwrite, &list_10, 0xe0 },
	{ 0x48, SA_SANITIZE_BLOCK_ERASE, W | SAN, PR_WRITES, sanitize_block_erase, &list_10, 0xe0 },
	{ 0x48, SA_SANITIZE_EXIT_FAILURE, M | SAN, PR_WRITES, sanitize_exit_failure, &list_10, 0xe0 },
	{ 0x55, NO_SA, 0, PR_WRITES, mode_select, &list_10, 0x11 },
	{ 0x5a, NO_SA, 0, PR_WRITES, mode_sense, &page_10, 0x08 },
	{ 0x5e, SA_PR_READ_KEYS, 0, PR_FREE, pr_in_keys, &list_10, 0 },
	{ 0x5e, SA_PR_READ_RESERVATION, 0, PR_FREE, pr_in_reservation, &list_10, 0 },
	{ 0x5e, SA_PR_REPORT_CAPABILITIES, 0, PR_FREE, pr_in_capabilities, &list_10, 0 },
	{ 0x5e, SA_PR_READ_FULL_STATUS, 0, PR_FREE, pr_in_full_status, &list_10, 0 },
	{ 0x5f, SA_PR_REGISTER, 0, PR_FREE, pr_out, &pr_out_10, 0 },
	{ 0x5f, SA_PR_RESERVE, 0, PR_FREE, pr_out, &pr_out_10, 0 },
	{ 0x5f, SA_PR_RELEASE, 0, PR_FREE, pr_out, &pr_out_10, 0 },
	{ 0x5f, SA_PR_CLEAR, 0, PR_FREE, pr_out, &pr_out_10, 0 },
	{ 0x5f, SA_PR_PREEMPT, 0, PR_FREE, pr_out, &pr_out_10, 0 },
	{ 0x5f, SA_PR_REGISTER_IGNORE, 0, PR_FREE, pr_out, &pr_out_10, 0 },
	{ 0x5f, SA_PR_REGISTER_AND_MOVE, 0, PR_FREE, pr_out, &pr_out_10, 0 },
	{ 0x83, SA_XCOPY_LID1, M, PR_WRITES, xcopy_lid1, &list_16, 0 },
	{ 0x83, SA_XCOPY_LID4, M, PR_WRITES, xcopy_lid4, &list_16, 0 },
	{ 0x84, SA_RCR_COPY_STATUS, 0, PR_READS, xcopy_status, &lid1_16, 0 },
	{ 0x84, SA_RCR_RECEIVE_DATA, 0, PR_READS, xcopy_receive_data, &lid1_16, 0 },
	{ 0x84, SA_RCR_OPERATING_PARAMETERS, 0, PR_READS, xcopy_parameters, &list_16, 0 },
	{ 0x84, SA_RCR_FAILED_SEGMENT, 0, PR_READS, xcopy_failed_segment, &lid1_16, 0 },
	{ 0x84, SA_RCR_COPY_STATUS_LID4, 0, PR_READS, xcopy_status_lid4, &lid4_16, 0 },
	{ 0x88, NO_SA, M, PR_READS, rw_read, &range_16, 0xf8 },
	{ 0x89, NO_SA, W, PR_WRITES, caw_compare_and_write, &compare_16, 0xf8 },
	{ 0x8a, NO_SA, W, PR_WRITES, rw_write, &range_16, 0xf8 },
	{ 0x8b, NO_SA, W, PR_WRITES, rw_orwrite, &range_16, 0xf8 },
	{ 0x8e, NO_SA, W, PR_WRITES, rw_write_verify, &range_16, 0xf6 },
	{ 0x8f, NO_SA, M, PR_READS, rw_verify, &range_16, 0xf6 },
	{ 0x90, NO_SA, M, PR_READS, rw_prefetch, &range_16, 0x02 },
	{ 0x91, NO_SA, M, PR_WRITES, rw_sync_cache, &range_16, 0x02 },
	{ 0x93, NO_SA, W, PR_WRITES, same_write_16, &range_16, 0xff },
	{ 0x9c, NO_SA, W, PR_WRITES, watomic_write, &range_16, 0xf8 },
	{ 0x9e, SA_READ_CAPACITY_16, M | SAN, PR_FREE, capacity_read_16, &list_16, 0 },
	{ 0x9e, SA_GET_LBA_STATUS, M, PR_READS, lba_get_status, &range_16, 0 },
	{ 0xa0, NO_SA, ANY, PR_FREE, stock_report_luns, &luns_12, 0 },
	{ 0xa3, SA_REPORT_OPCODES, ANY, PR_FREE, ops_report_opcodes, &opcodes_12, 0 },
	{ 0xa3, SA_REPORT_TMFS, ANY, PR_FREE, ops_report_tmfs, &list_12, 0 },
	{ 0xa8, NO_SA, M, PR_READS, rw_read, &range_12, 0xf8 },
	{ 0xaa, NO_SA, W, PR_WRITES, rw_write, &range_12, 0xf8 },
	{ 0xae, NO_SA, W, PR_WRITES, rw_write_verify, &range_12, 0xf6 },
	{ 0xaf, NO_SA, M, PR_READS, rw_verify, &range_12, 0xf6 },
	{ 0xb7, NO_SA, M, PR_READS, capacity_defects_12, &range_12, 0x1f },
};

const unsigned ops_count = ARRAY_LEN(ops_table);
