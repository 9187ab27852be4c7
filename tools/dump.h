/* SPDX-License-Identifier: GPL-2.0-only */
/* dump.h - reading a pool's devices raw, for `hybrid-pool dump`: dump.c reads and decodes, cmd_dump.c prints. */
#ifndef HB_TOOLS_DUMP_H
#define HB_TOOLS_DUMP_H

#include "control/verbs.h"
#include "format/segment.h"
#include "format/super.h"
#include "format/unit.h"
#include "format/volrec.h"
#include "tool.h"

struct dump;			/* the devices of one pool, open for reading */

struct dump_super {
	const char *path;
	uint64_t at_blk;
	struct err err;		/* code 0: super is valid */
	struct super super;
};

struct dump_segment {
	uint32_t seg;
	unsigned units, blocks;		/* valid units from its beginning on, and what they take with their heads */
	struct unit_head first, last;	/* of them */
	uint64_t footer_seq;		/* the life of the segment that its footer speaks of; 0: no valid footer */
};

int dump_open(const struct tool *t, struct dump **ret, struct err *err);
void dump_close(struct dump *d);
/* Each calls back for what it finds, in order of place, until the callback returns other than 0. */
void dump_supers(struct dump *d, int (*each)(void *ctx, const struct dump_super *copy), void *ctx);
int dump_each_segment(struct dump *d, int (*each)(void *ctx, const struct dump_segment *s), void *ctx, struct err *err);
/* The volume table of the last checkpoint: what the log changed since is not in it. */
int dump_each_volume(struct dump *d, int (*each)(void *ctx, const struct volrec *r), void *ctx, struct err *err);
/* seg 0: of all segments. */
int dump_each_unit(struct dump *d, uint32_t seg,
		   int (*each)(void *ctx, const struct unit_head *h, const struct rec *recs, unsigned nrec), void *ctx,
		   struct err *err);

#endif
