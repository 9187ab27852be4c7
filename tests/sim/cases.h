/* SPDX-License-Identifier: GPL-2.0-only */
/* cases.h - what the simulator tries: each case is one kind of story, told with a seed. */
#ifndef TESTS_SIM_CASES_H
#define TESTS_SIM_CASES_H

#include "tests/sim/world.h"

struct run {
	uint64_t seed;
	bool verbose;
	/* results */
	unsigned long crash_worlds;
	uint64_t trace;
	struct why why; /* "": passed */
};

struct sim_case {
	const char *name;
	const char *what;
	unsigned weight; /* how often, compared with the others */
	void (*run)(struct run *r);
};

extern const struct sim_case sim_cases[];
extern const unsigned sim_ncases;

/* cases_family.c, chain.c */
void case_lineage(struct run *r);
void case_trim(struct run *r);
void case_group(struct run *r);

/* cases_fault.c */
void case_eio(struct run *r);
void case_stuck(struct run *r);
void case_no_room(struct run *r);
void case_full_pool(struct run *r);
void case_full_log(struct run *r);
void case_flips(struct run *r);
void case_lying(struct run *r);
void case_malloc(struct run *r);
void case_read_only(struct run *r);
void case_create_cut(struct run *r);

/* A world with a pool, opened, and its workload; NULL with r->why set if that failed. */
struct story {
	struct run *r;
	struct world *w;
	struct workload *l;
};
bool story_begin(struct story *s, struct run *r, const struct shape *shape);
/* Takes the results over and frees. */
void story_end(struct story *s);
/* A crash of the world itself, recovery, verification; the oracle goes on from what was found. */
bool story_crash(struct story *s, enum sim_crash how);
/* Closes or dies, and opens again without looking: nothing is in RAM now, reads go to the devices. */
bool story_cool(struct story *s);

#endif
