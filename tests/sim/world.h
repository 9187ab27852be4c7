/* SPDX-License-Identifier: GPL-2.0-only */
/* world.h - a simulated machine with one pool: clock, two disks, staging memory, and an oracle that knows what the pool
 * should hold. A world can be crashed for real, or looked at "as if it crashed now" by cloning (crash.c), which is
 * how one run yields thousands of crash worlds.
 */
#ifndef TESTS_SIM_WORLD_H
#define TESTS_SIM_WORLD_H

#include "base/rng.h"
#include "dev/sim.h"
#include "engine/engine.h"
#include "tests/sim/oracle.h"

/* A pool always has the first two; then come cache levels, and the second half of the write tier. */
enum { CAPACITY, WRITE_TIER, DISKS, LEVEL1 = DISKS, LEVEL2, MIRROR, DISKS_MAX };

/* What a world is made of; drawn from its seed by shape_draw(), then bent by the case. */
struct shape {
	unsigned levels; /* cache levels: disks LEVEL1 and on */
	bool mirrored; /* the write tier has a second half */
	uint64_t disk_bytes[DISKS_MAX]; /* of MIRROR 0: as the other half */
	uint32_t logical_bytes[DISKS_MAX];
	bool slow[DISKS_MAX]; /* as a spinning disk */
	uint32_t chunk_bytes, segment_bytes;
	uint64_t staging_bytes;
	uint64_t ram_bytes;
	uint32_t dirty_low_pct, dirty_high_pct, writeback_depth;
	uint64_t writeback_idle_ns;
	/* workload */
	unsigned volumes, depth; /* volumes at most; requests in flight at most */
	uint64_t volume_bytes; /* largest volume */
	uint64_t space_bytes; /* sum of all volumes at most */
	unsigned flush_pct, fua_pct, read_pct, verb_pct, big_pct;
	unsigned family_pct; /* of verbs: snapshots, clones, reverting and what belongs to it */
	unsigned relatives; /* snapshots and clones at most, beside `volumes` */
	unsigned group; /* members of a group at most; 0: as many as there are volumes */
	unsigned starve_pct; /* of family verbs: memory runs out in the middle */
	bool no_copy; /* nothing is shared: rewriting needs no space */
	unsigned growths; /* of the capacity device, at most */
	unsigned stream_pct; /* of requests: go on with one of some sequential streams of writes */
	uint32_t bypass_blk; /* most volumes let runs so long pass the write tier by; 0: the default */
};

/* When to look at crashes on the way, by clones. */
struct cuts {
	unsigned one_in; /* I/O events per cut; 0: never */
	unsigned death_pct; /* of them process deaths; the rest are power cuts */
	unsigned depth; /* cuts during recovery from cuts, so deep */
	unsigned inner_one_in; /* I/O events per cut while a clone recovers */
	unsigned twice_pct; /* power cut again right after recovery: the same must be found */
	unsigned use_pct; /* close after recovery, then look again */
	unsigned submit_one_in; /* requests per death right after one was submitted; 0: never */
	unsigned instant_one_in; /* calls into the engine per one with a death between two of its stores; 0: never */
	unsigned long most; /* crash worlds, in all; 0: no limit */
};

/* Staging memory: a memfd, so that clones see it copy-on-write. */
struct stage {
	int fd;
	uint8_t *mem;
	size_t bytes;
	bool shared; /* changes reach fd: cheap to clone */
};

enum { TOLERATE_IO = 1, TOLERATE_SPACE = 2, TOLERATE_MEDIUM = 4 };

struct world {
	uint64_t seed;
	struct shape shape;
	struct rng rng; /* of the world's course */
	struct rng cut_rng; /* of cuts: looking does not change the course */
	struct sim_clock clock;
	struct sim_disk *disk[DISKS_MAX]; /* NULL: the shape has none */
	int half_away; /* 0: none; 1, 2: this half of the write tier is not there at the next open */
	unsigned levels_away; /* bit i: LEVEL1 + i is not there at the next open */
	struct stage stage;
	uint8_t *old_stage; /* as it was some time ago; may be NULL */
	uint64_t boot_token;
	struct hb_env env;
	struct hb_pool *pool; /* NULL while closed */
	struct oracle *oracle; /* owned by the first world, borrowed by its clones */
	enum oracle_rule rule; /* what the crashes since the oracle was last sure allow */
	struct cuts cuts;
	struct world *parent; /* of a clone */
	unsigned depth;
	unsigned tolerate; /* errors of requests that are no failure */
	bool level_damaged; /* bits of cache levels were flipped: they may find wrong checksums */
	bool damaged; /* media were hurt: open may refuse, check may find; rule says how much may be lost */
	bool read_only; /* open so */
	bool verbose;
	unsigned long probes; /* of the first world: clones made, at all depths */
	unsigned long crash_worlds; /* verified reopens, clones included */
	uint64_t patience_ns; /* simulated time by which the present wait must end */
	uint64_t found_hash; /* of the last verification */
	bool (*look)(struct world *w, void *ctx); /* optional: a case's own, after each verification, of clones too */
	void *look_ctx;
	struct why why; /* the first failure */
};

struct shape shape_draw(uint64_t seed);
struct world *world_new(uint64_t seed, const struct shape *shape);
void world_free(struct world *w);

/* Formats the disks. 0 or -errno. */
int world_format(struct world *w, struct err *err);
/* Opens the pool; the disks' devices are closed again on failure. */
int world_open(struct world *w, struct err *err);
int world_close(struct world *w, struct err *err);
/* The same where it must succeed: false and w->why set if not. */
bool world_must_format(struct world *w);
bool world_must_open(struct world *w);

/* One turn of the owner's loop, and on to the next moment at which something happens (not beyond until_ns). False if
 * nothing will ever happen by itself. */
bool world_turn(struct world *w, uint64_t until_ns);
/* Allows the next wait so much simulated time; a wait that lasts longer is a failure that ends the run. */
void world_patience(struct world *w, uint64_t ns);
/* Submits and waits. The result is in req->error; returns the simulated time until the answer. */
uint64_t world_do(struct world *w, struct hb_req *req);
bool world_flush(struct world *w); /* the whole pool; the oracle is told */

/* Nothing that can be derived disagrees; false and w->why set if not. */
bool world_check(struct world *w);
/* Crashes this world: the pool is abandoned, the disks (and after a power cut the staging memory) suffer. */
void world_crash(struct world *w, enum sim_crash how);
/* Reads everything, asks the oracle, checks the pool. adopt: the oracle takes what was found as the present. */
bool world_verify(struct world *w, bool adopt);

/* crash.c: the same world after a crash at this moment, closed. The clone must be freed before w goes on. */
struct world *world_clone(struct world *w, enum sim_crash how);
/* Clones, reopens, verifies, frees; a failure is written to w->why. */
bool world_probe(struct world *w, enum sim_crash how);
/* A request was just submitted: perhaps the process dies right now. */
void world_submitted(struct world *w);
/* Begins to look at crashes at I/O events, as w->cuts says. */
void world_watch(struct world *w, const struct cuts *cuts);

/* instant.c: around a call into the engine: perhaps the process dies between two stores to staging memory. */
void instant_arm(struct world *w);
void instant_disarm(struct world *w);

/* stage.c */
void stage_new(struct stage *s, size_t bytes);
void stage_clone(struct stage *s, const struct stage *from);
void stage_drop(struct stage *s);
void stage_after_power_cut(struct world *w);
void stage_remember(struct world *w);

#endif
