/* SPDX-License-Identifier: GPL-2.0-only */
/* oracle_priv.h - the oracle's structs, shared by oracle.c (history) and verdict.c (after a crash). */
#ifndef TESTS_SIM_ORACLE_PRIV_H
#define TESTS_SIM_ORACLE_PRIV_H

#include "tests/sim/oracle.h"

struct op {
	enum hb_op kind;
	uint64_t begin, end; /* events; end NO_EVENT: in flight */
	bool sure, durable, atomic;
	op_t resolved; /* adopt: the sure twin of an unsure one, 0: none */
};

struct ver {
	op_t op;
	uint64_t id;
};

struct sector {
	uint32_t n, cap; /* n >= 1 */
	struct ver *v; /* in the order in which the operations began */
};

struct ovol {
	struct ovol *next; /* all that ever were, in this oracle */
	char name[HB_NAME_MAX + 1]; /* now */
	uint64_t size_bytes, nsectors; /* now; nsectors never shrinks */
	struct sector *s;
	op_t born;
};

struct table_row {
	struct ovol *v;
	uint64_t size_bytes;
	char name[HB_NAME_MAX + 1];
};

struct table {
	uint64_t begin, end; /* of the operation that made it; end NO_EVENT: not back yet */
	unsigned n;
	struct table_row *row;
};

struct oracle {
	uint64_t event, flushed; /* the present; begin of the last good flush */
	uint64_t vouched; /* begin of the last good flush that something written and flushed later speaks of */
	uint64_t anchor_begin, anchor_end; /* a good flush that waits to be spoken of */
	uint64_t wrote_after; /* end of the first write that began after anchor_end; 0: none */
	uint64_t horizon; /* no request is out that began before */
	struct op *op;
	op_t nop, cap_op;
	struct ovol *vols;
	struct table *table;
	unsigned ntable, cap_table;
	bool keep_all; /* never forget a version (worlds whose media are damaged) */
};

void *need(void *p); /* aborts on NULL */
/* Version k of a sector replaces version j. */
static inline bool replaces(const struct op *k, const struct op *j)
{
	return k->sure && k->begin > j->end;
}
void sector_reset(struct sector *s, uint64_t id);
void table_free(struct table *t);
void vol_resize(struct ovol *v, uint64_t size_bytes, op_t base);

#endif
