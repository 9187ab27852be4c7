/* SPDX-License-Identifier: GPL-2.0-only */
/* load.h - a volume that is kept busy: so many requests are out on it, and what went through is counted. For stories in
 * which simulated time says who got how much. All that is written is zeros, which is what the oracle knows to be there.
 */
#ifndef TESTS_SIM_LOAD_H
#define TESTS_SIM_LOAD_H

#include "base/units.h"
#include "tests/sim/cases.h"
#include "tests/sim/oracle_priv.h"

#define LOAD_SLOTS_MAX 400
#define LOAD_IO_BYTES KIB(256) /* counts as one I/O */
#define LOAD_LEN_MAX KIB(512)

/* A volume, and requests on it of which a number are always out. */
struct load {
	struct world *w;
	struct ovol *v;
	struct hb_volume *h;
	enum hb_op op; /* HB_OPS: any */
	uint64_t len; /* 0: any */
	uint64_t places, at; /* where: each of so many places, in an order that jumps */
	bool random; /* each time any of them */
	unsigned times; /* a place is asked for so often, each time when that was answered; 0: once */
	uint64_t gap_ns, next_ns; /* so long from one request to the next, at least; when the next one is due */
	unsigned depth, out;
	uint64_t answers, ios, bytes, longest_ns;
	uint64_t waits; /* of struct hb_volume_waits, when counting began */
	struct hb_req req[LOAD_SLOTS_MAX];
	bool busy[LOAD_SLOTS_MAX];
	uint64_t place[LOAD_SLOTS_MAX];
	unsigned left[LOAD_SLOTS_MAX]; /* of times */
};

/* A new volume, which is open, with nothing out. w->why is set if that failed. */
struct load *load_new(struct story *s, const char *name, uint64_t size);
void load_free(struct load *d, bool close);
/* The pool was opened anew; nothing was out. */
void load_open(struct load *d);
/* All of its attributes; counting begins anew. */
void load_set(struct load *d, const struct hb_volume_attr *a);
/* Each block is on the capacity device, and so many that few are found anywhere else. */
void load_fill(struct load *d);
/* Keeps depth requests of each out for so long. */
void load_run(struct world *w, struct load *const *d, unsigned n, uint64_t ns);
/* Until nothing is out. */
void load_quiet(struct world *w, struct load *d);
void load_pass_time(struct world *w, uint64_t ns);

#endif
