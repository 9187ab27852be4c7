/* SPDX-License-Identifier: GPL-2.0-only */
/* ops.h - the table of the SCSI commands of our LUNs: what each needs, who does it, which bits of its CDB count. */
#ifndef HB_TGT_OPS_H
#define HB_TGT_OPS_H

#include "tgt/handlers.h"
#include "tgt/pr.h"

#define OPS_MAX 80
#define OPS_CDB_MAX 16
#define NO_SA (-1)

enum op_flags {
	OP_MEDIUM = 1,		/* needs an open volume that is online */
	OP_WRITES = 2,		/* refused when the LUN is write-protected */
	OP_RESERVED_OK = 4,	/* allowed although another nexus holds RESERVE(6) */
	OP_SANITIZE_OK = 8,	/* allowed while the LUN is being sanitized, or when that has failed */
	OP_THIN = 16,		/* there only when the LUN is thin-provisioned */
};

/* How a CDB is made: its length, and which bits of its bytes from 2 on are looked at. */
struct op_shape {
	uint8_t len;
	uint8_t usage[OPS_CDB_MAX];
};

struct op {
	uint8_t opcode;
	int16_t sa;		/* service action, or NO_SA */
	uint8_t flags;
	uint8_t access;		/* enum pr_access */
	handler_fn *handler;
	const struct op_shape *shape;
	uint8_t byte1;		/* which bits of byte 1 are looked at, besides the service action */
};

/* Ordered by opcode, then by service action. */
extern const struct op ops_table[];
extern const unsigned ops_count;

#endif
