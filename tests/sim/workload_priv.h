/* SPDX-License-Identifier: GPL-2.0-only */
/* workload_priv.h - the workload's structs, shared by workload.c (requests) and verbs.c (volumes). */
#ifndef TESTS_SIM_WORKLOAD_PRIV_H
#define TESTS_SIM_WORKLOAD_PRIV_H

#include "base/units.h"
#include "tests/sim/workload.h"

#define SLOTS 16
#define VOLS 8
#define REFUSED_MAX 30
#define BUF_BYTES (2 * HB_ATOMIC_MAX)
#define LEN_MAX HB_ATOMIC_MAX

struct wvol {
	struct ovol *v; /* NULL: free */
	struct hb_volume *h;
	uint16_t *writers; /* by sector: requests that write it now */
	uint8_t *locked; /* by sector: nobody else may write it */
	unsigned users;
};

struct slot {
	struct hb_req req;
	struct workload *l;
	bool busy, locks;
	struct wvol *wv, *src;
	uint64_t sector, n, src_sector;
	uint64_t since;
	op_t op;
	int want_error; /* -EILSEQ where the comparison must fail */
	uint64_t want_off;
	uint8_t *buf;
};

struct workload {
	struct world *w;
	struct wvol vol[VOLS];
	struct slot slot[SLOTS];
	unsigned out, refused; /* verbs refused one after the other */
	uint64_t next_id, next_name;
	unsigned long errors, answers;
	uint64_t ids[LEN_MAX / ORACLE_SECTOR];
};

static inline uint64_t below(struct workload *l, uint64_t n)
{
	return rng_below(&l->w->rng, n);
}

static inline bool pct(struct workload *l, unsigned p)
{
	return below(l, 100) < p;
}

/* workload.c */
struct wvol *some_volume(struct workload *l); /* NULL: there is none */
bool wvol_open(struct workload *l, struct ovol *v);
void wvol_size(struct wvol *wv, uint64_t had);
void wvol_drop(struct wvol *wv);
/* verbs.c */
void some_verb(struct workload *l);

#endif
