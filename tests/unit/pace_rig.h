/* SPDX-License-Identifier: GPL-2.0-only */
/* pace_rig.h - a pool over a modelled disk in virtual time, with writers who never stop and readers who come by
 * chance: what write-back is worth, and what it costs those who read. Shared by the unit tests `pace` and the bench of
 * that name.
 *
 * The write tier is a disk of the same kind 500 times as fast (60000 I/Os a second). Each writer thinks WRITER_NS
 * between an answer and its next write: without that, time would stand still while the tier has room.
 */
#ifndef HB_TESTS_UNIT_PACE_RIG_H
#define HB_TESTS_UNIT_PACE_RIG_H

#include "base/rng.h"
#include "dev/hdd.h"
#include "engine/engine.h"

#define WRITERS_MAX 64u
#define READERS_MAX 512u
#define WRITER_NS 100000u

struct pace_shape {
	struct hdd_model model; /* of the capacity device; in virtual time whatever it says */
	uint64_t disk_bytes, tier_bytes, volume_bytes;
	uint32_t depth; /* hb_open.writeback_depth */
	uint64_t idle_ns; /* hb_open.writeback_idle_ns; 0: never */
	uint64_t seed;
};

struct pace_rig;

struct pace_op {
	struct hb_req req;
	struct pace_rig *rig;
	uint8_t *buf;
	uint64_t ready_ns; /* a writer's next write */
	uint64_t begin_ns;
	bool busy;
	bool reads;
	bool missed;
};

/* What one stretch of time was like. */
struct pace_result {
	double seconds, writes_s, reads_s;
	double read_p50_ms, read_p99_ms, read_max_ms; /* of reads from the capacity device */
	double write_p50_ms, write_p99_ms, write_max_ms;
	uint64_t written_back; /* blocks */
	uint64_t disk_writes, disk_seeks, flushes; /* seeks: of writes */
	double disk_busy; /* of its time */
	double full_min, full_max; /* dirty blocks by slots of the tier */
	double free_min; /* free segments */
	uint64_t errors;
};

struct pace_rig {
	struct pace_shape shape;
	struct hb_env env;
	uint64_t now_ns;
	struct rng rng;
	struct dev *disk, *tier; /* the pool's */
	struct hb_pool *pool;
	struct hb_volume *vol;
	void *staging;
	/* the load */
	struct pace_op writer[WRITERS_MAX], reader[READERS_MAX];
	uint32_t nwriters;
	uint64_t read_every_ns; /* mean; 0: none */
	uint64_t next_read_ns;
	uint64_t writes, errors;
	uint32_t *read_us, *write_us; /* latencies */
	uint64_t nread_us, nwrite_us;
	void (*every_s)(struct pace_rig *rig); /* may be NULL */
};

/* Random writes to the bare device: how many a second. */
double pace_bare(const struct pace_shape *shape, uint32_t depth, uint64_t n);

struct pace_rig *pace_new(const struct pace_shape *shape);
void pace_free(struct pace_rig *rig);
/* Writes the whole volume once, `bytes` at a time, in order or at random, as fast as it goes. */
void pace_fill(struct pace_rig *rig, uint32_t bytes, bool random);
/* One client writes blocks first .. first + nblk - 1 in order, `each` bytes at a time, `depth` (1 .. WRITERS_MAX) of
 * them in flight; with whatever else pace_run() left going. Until all is answered. */
struct pace_stream {
	double seconds;
	uint64_t tier_bytes; /* written to the write tier meanwhile */
	uint64_t past_bytes; /* past it */
	uint64_t others; /* writes of others */
	double read_p50_ms, read_p99_ms; /* of others, from the capacity device */
};
struct pace_stream pace_stream(struct pace_rig *rig, uint64_t first, uint64_t nblk, uint32_t each, uint32_t depth);
void pace_super(struct pace_rig *rig, void *block); /* superblock A of the disk, as it is now */
/* Runs so long the volume may be on their way past the write tier (as hb_volume_attr.bypass_blk). */
void pace_bypass(struct pace_rig *rig, uint32_t blk);
/* All that is dirty to the disk, as the tools do it. Returns how many stretches of neighbours that were. */
void pace_settle(struct pace_rig *rig);
/* That load for so long. Twice with the same load goes on where it was. */
struct pace_result pace_run(struct pace_rig *rig, uint32_t writers, uint32_t reads_s, uint64_t ns);

#endif
