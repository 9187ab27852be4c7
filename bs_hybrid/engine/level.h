/* SPDX-License-Identifier: GPL-2.0-only */
/* level.h - a cache level: an SSD (or a remote LUN) below the write tier that holds clean blocks only.
 *
 * All that is in a level is also on the capacity device, so a level may fail, be pulled, come back, be replaced at any
 * time: it costs hits, never bytes. It is log-structured like the write tier: blocks are gathered in a segment's buffer
 * and written with one long write; the oldest segment is emptied, those of its blocks that were hit are appended again,
 * those that were asked for at all fall to the next level.
 *
 * Invariants
 * (L1) A block is in at most one of the write tier's index and the levels' indexes; a level has its newest version.
 * (L2) A segment is written once in a life, as a whole, and its slots are in the table only when it was written.
 * (L3) A segment is used again only after the table of a durable checkpoint no longer has it.
 * (L4) What was superseded while segments of some level are not loaded is remembered by block (p->touched), in
 *      memory and in every checkpoint until all are loaded: a slot of such a block is not entered.
 */
#ifndef HB_ENGINE_LEVEL_H
#define HB_ENGINE_LEVEL_H

#include "cache/index.h"
#include "engine/engine.h"
#include "engine/image.h"
#include "engine/loader.h"
#include "format/leveltab.h"
#include "format/super.h"
#include "space/segs.h"

#define LEVEL_BUFS 4u
#define LEVEL_SAVE_PAGES 64u /* of the table, in flight */
#define LEVEL_SEGS_MIN 8u
#define LEVEL_READ_ERRORS 64u /* one after the other: then the level is out */
#define LEVEL_TIMEOUT_NS (5 * SEC_NS)

enum level_state { LEVEL_NONE, LEVEL_ON, LEVEL_OUT };
enum level_save { SAVE_IDLE, SAVE_PAGES, SAVE_FLUSH1, SAVE_HEAD, SAVE_FLUSH2 };

struct level_buf {
	struct level *l;
	uint8_t *mem; /* a segment */
	segno_t seg; /* SEG_NONE: free */
	struct dev_io io;
	struct iovec iov;
};

struct level {
	struct hb_pool *pool;
	struct dev *dev;
	unsigned no; /* 1: the one below the write tier */
	enum level_state state;
	bool leaving; /* closed when nothing is in flight */
	struct super sb; /* its device's */
	uint64_t shift_blk; /* slot s lies at block s + shift_blk */
	struct idx *idx;
	struct segs segs;
	/* filling */
	struct level_buf bufs[LEVEL_BUFS];
	struct level_buf *cur;
	struct footer_slot footer[SEG_BLK_MAX];
	uint64_t next_seq;
	/* emptying */
	struct image image;
	segno_t seg;
	uint32_t at, moved;
	bool have_image;
	/* the table */
	uint32_t *page_crc; /* of both copies' pages, as they were written last or found */
	uint8_t *stale; /* by page: bit 0, 1: copy 0, 1 on the device is behind */
	enum level_save save;
	uint64_t save_seq, save_nonce;
	uint32_t save_page, save_writes;
	uint8_t *save_mem; /* LEVEL_SAVE_PAGES pages */
	struct dev_io save_io[LEVEL_SAVE_PAGES];
	struct iovec save_iov[LEVEL_SAVE_PAGES];
	uint32_t segs_since; /* opened since the last table */
	/* loading */
	uint8_t *load_table; /* the table as it was found; NULL: all is loaded */
	struct loader loader;
	uint64_t load_start_ns;
	/* numbers */
	uint32_t read_errors; /* one after the other */
	struct hb_tier_stats st; /* counters; the rest is filled in by level_stats */
};

struct hb_pool;

/* ---------------------------------------------------------------- level.c */
/* The level that holds b; NULL: none. */
struct level *level_find(struct hb_pool *p, pblk_t b, slot_t *ret);
/* The first one that takes blocks below number `no` (0: the write tier); NULL: none. */
struct level *level_below(struct hb_pool *p, unsigned no);
/* b's copies in all levels count no more; to be called for each new version of b, and when b is freed. */
void level_kill(struct hb_pool *p, pblk_t b);
void level_drop(struct level *l, slot_t s);
/* Enters b, whose bytes have checksum crc and are on the capacity device. False: not now (nobody waits for a cache). */
bool level_put(struct level *l, pblk_t b, const void *data, uint32_t crc, bool earned);
/* The bytes of a slot that is still in memory; else NULL. */
const uint8_t *level_in_memory(struct level *l, slot_t s);
static inline uint64_t level_off(const struct level *l, slot_t s)
{
	return (s.n + l->shift_blk) * BLK_BYTES;
}
/* A read of n blocks ended. */
void level_read_ended(struct level *l, uint32_t n, int error);
/* The level takes no part any more; said once. */
void level_out(struct level *l, const char *why);
bool level_pump(struct hb_pool *p); /* all of them: loading, emptying, saving */
bool level_drain(struct hb_pool *p);
void level_kick(struct hb_pool *p);
uint32_t level_inflight(const struct hb_pool *p);
/* What is in memory only is written, so that the last table has it. */
void level_close(struct hb_pool *p);
void level_stats(const struct level *l, struct hb_tier_stats *ret);

/* ---------------------------------------------------------------- level_table.c */
void level_changed(struct level *l, segno_t seg); /* its entry in the table is behind */
void level_save_begin(struct hb_pool *p, uint64_t ckpt_seq, uint64_t nonce);
bool level_save_pump(struct hb_pool *p); /* whether anything was done */
bool level_saving(const struct hb_pool *p);
/* Much has been entered that no table has. */
bool level_wants_table(const struct hb_pool *p);

/* ---------------------------------------------------------------- level_load.c */
/* Takes the devices in: each level is ON, with what it held (to be loaded in the background), or out, with a log line.
 * -ENOMEM. */
int level_open_all(struct hb_pool *p, struct dev *const devs[], uint32_t n);
int level_start(struct hb_pool *p, unsigned no, struct dev *dev, const struct super *sb);
void level_fini(struct level *l); /* memory and device */
bool level_leave(struct hb_pool *p);
int level_format(const struct hb_env *env, struct super *s, struct dev *level, uint32_t segment_bytes,
		 struct err *err); /* create.c */
bool level_load_pump(struct hb_pool *p);
/* A segment whose footer was not read yet. */
bool level_unloaded(const struct level *l, segno_t seg);
void level_load_entry(const struct level *l, segno_t seg, struct leveltab_entry *ret);
/* Remembers that b was superseded (L4). */
void level_touch(struct hb_pool *p, pblk_t b);
bool level_touched(const struct hb_pool *p, pblk_t b);

/* ---------------------------------------------------------------- level_check.c */
struct level_checker {
	void *ctx;
	void (*find)(void *ctx, enum hb_check_class c, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
};
/* Of all levels; deep: every slot is read and compared with the capacity device. Nothing may be in flight. 0 or
 * -ENOMEM. */
int level_check(struct hb_pool *p, struct level_checker *c, bool deep);

#endif
