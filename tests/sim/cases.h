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

/* cases_bypass.c */
void case_bypass(struct run *r);
void case_bypass_faults(struct run *r);
void case_bypass_reuse(struct run *r);

/* cases_family.c, chain.c */
void case_lineage(struct run *r);
void case_trim(struct run *r);
void case_group(struct run *r);

/* cases_level.c */
void case_levels(struct run *r);
void case_level_faults(struct run *r);

/* cases_mirror.c */
void case_mirror(struct run *r);

/* cases_mode.c */
void case_modes(struct run *r);
void case_through_eio(struct run *r);
void case_pins(struct run *r);

/* cases_qos.c */
void case_ceiling(struct run *r);
void case_shares(struct run *r);
void case_writers(struct run *r);

/* cases_floor.c */
void case_floor(struct run *r);

/* cases_scrub.c */
void case_scrub(struct run *r);

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
