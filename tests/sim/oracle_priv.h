/* SPDX-License-Identifier: GPL-2.0-only */
/* oracle_priv.h - the oracle's structs: for oracle.c (sectors), history.c (volumes), verdict.c (after a crash). */
#ifndef TESTS_SIM_ORACLE_PRIV_H
#define TESTS_SIM_ORACLE_PRIV_H

#include "tests/sim/oracle.h"

/* An operation in doubt has twins: what it may have left in each snapshot that was made meanwhile. A twin never becomes
 * sure; it ended with the making of the snapshot. */
enum { OP_FAMILY = HB_OPS, OP_KINDS }; /* kinds beside enum hb_op: snapshots, reverts */

struct op {
	unsigned kind;
	uint64_t begin, end; /* events; end NO_EVENT: in flight */
	bool sure, durable, atomic;
	bool twin;
	op_t of; /* a twin: whose */
	op_t resolved; /* scratch. adopt: the sure twin of an unsure one; copying: its twin. 0: none */
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
	bool frozen; /* a snapshot */
	struct hb_volume_info known; /* what never changes of it; id 0: not told yet */
};

struct table_row {
	struct ovol *v;
	uint64_t size_bytes;
	char name[HB_NAME_MAX + 1];
	struct hb_volume_attr attr;
	struct ovol *same; /* a snapshot that it was the same as at event same_at; NULL: none is known */
	uint64_t same_at;
};

struct table {
	uint64_t begin, end; /* of the operation that made it; end NO_EVENT: not back yet */
	unsigned n;
	struct table_row *row;
	op_t op; /* a revert: what it wrote; all or nothing, like the list. 0: nothing */
	op_t twin, ntwins; /* the twins that were made for it */
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

extern const char *const oracle_kinds[OP_KINDS]; /* "write", ... */

void *need(void *p); /* aborts on NULL */
/* Version k of a sector replaces version j. */
static inline bool replaces(const struct op *k, const struct op *j)
{
	return k->sure && k->begin > j->end;
}
/* Version j is replaced by an operation that was answered before event `at`. */
bool replaced_before(const struct oracle *o, const struct sector *s, uint32_t j, uint64_t at);
op_t op_new(struct oracle *o, struct op op);
void sector_reset(struct sector *s, uint64_t id);
void sector_push(struct sector *s, struct ver v);
void sector_prune(const struct oracle *o, struct sector *s);
void sector_keep_only(struct sector *s, uint64_t id);
void vol_free(struct ovol *v);
void vol_forget_op(const struct oracle *o, struct ovol *v, op_t op);

/* history.c */
struct table *table_push(struct oracle *o); /* a new list that begins now, as the last one was */
void table_free(struct table *t);
void vol_resize(struct ovol *v, uint64_t size_bytes);

#endif
