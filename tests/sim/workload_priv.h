/* SPDX-License-Identifier: GPL-2.0-only */
/* workload_priv.h - the workload's structs, shared by workload.c (requests), verbs.c and family.c (volumes). */
#ifndef TESTS_SIM_WORKLOAD_PRIV_H
#define TESTS_SIM_WORKLOAD_PRIV_H

#include "base/units.h"
#include "tests/sim/workload.h"

#define SLOTS 16
#define VOLS 96
#define REFUSED_MAX 30
#define LEN_MAX HB_ATOMIC_MAX
#define STREAM_LEN_MAX KIB(768) /* of a request that goes on with a stream: more than one piece of the engine's */
#define BUF_BYTES STREAM_LEN_MAX /* more than two of the others, as some ask for */
#define STREAMS 5

struct wvol {
	struct ovol *v; /* NULL: free */
	struct hb_volume *h;
	uint16_t *writers; /* by sector: requests that write it now */
	uint8_t *locked; /* by sector: nobody else may write it */
	uint64_t cap; /* sectors that there is room for */
	uint64_t shrunk; /* the last event at which it became smaller while in use */
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

/* Somebody who writes a volume from somewhere on. */
struct wstream {
	struct wvol *wv; /* NULL: nobody yet */
	const struct ovol *v; /* what it was then */
	uint64_t next; /* sector */
};

struct workload {
	struct world *w;
	struct wvol vol[VOLS];
	struct slot slot[SLOTS];
	unsigned out, refused; /* verbs refused one after the other */
	uint64_t next_id, next_name;
	uint64_t reserved; /* sectors at the beginning of each volume that are not ours to write */
	bool starved; /* memory runs out in the verb under way */
	unsigned long errors, answers;
	struct wstream stream[STREAMS];
	uint64_t ids[STREAM_LEN_MAX / ORACLE_SECTOR];
};
_Static_assert(BUF_BYTES >= 2 * LEN_MAX, "compare and write takes two buffers");

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
struct wvol *some_writable(struct workload *l); /* no snapshot */
struct wvol *wvol_of(struct workload *l, const struct ovol *v);
bool wvol_open(struct workload *l, struct ovol *v);
void wvol_size(struct wvol *wv);
void wvol_drop(struct wvol *wv);
/* verbs.c */
void some_verb(struct workload *l);
/* Sizes of all volumes together, and how many there are of each kind. */
uint64_t space_used(struct workload *l, unsigned *ret_volumes, unsigned *ret_snapshots);
bool verb_end(struct workload *l, const char *what, int rc, const struct err *err);
void verb_delete(struct workload *l, struct wvol *wv);
void verb_rename(struct workload *l, struct wvol *wv);
void verb_grow(struct workload *l, struct wvol *wv);
/* family.c */
void family_verb(struct workload *l);

#endif
