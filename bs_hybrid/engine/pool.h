/* SPDX-License-Identifier: GPL-2.0-only */
/* pool.h - the inside of a pool: what the files of this room share.
 *
 * Invariants that cross files (asserts cite them)
 * (P1) A superblock never names a log position, or a change of the map, that is not durable in the log.
 * (P2) A block is written to the capacity device only after the unit that holds it is durable.
 * (P3) A block becomes clean only after the capacity device was flushed behind its write.
 * (P4) A chunk is used again only after the record that freed it is durable and no older read of it is in flight.
 * (P5) A segment is used again only after its SEG_FREE record is durable, nobody reads from it, and replay of the
 *      last durable checkpoint does not begin in or before it.
 * (P6) The index names the newest version of a block; a cached frame holds it; a fetch that began before a newer
 *      version was written is poisoned and never admitted.
 */
#ifndef HB_ENGINE_POOL_H
#define HB_ENGINE_POOL_H

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/bug.h"
#include "base/crc32c.h"
#include "base/mem.h"
#include "base/ptrset.h"
#include "base/rng.h"
#include "base/text.h"
#include "cache/dirty.h"
#include "cache/index.h"
#include "cache/ram.h"
#include "engine/engine.h"
#include "format/segment.h"
#include "format/stage.h"
#include "format/super.h"
#include "format/unit.h"
#include "map/map.h"
#include "space/chunks.h"
#include "space/pages.h"
#include "space/segs.h"

/* ---------------------------------------------------------------- limits of one pool */
#define UNIT_IOS 48u /* unit writes in flight */
#define OWN_IOS 12u /* of them for the log's own work and for verbs: the largest group takes 8 units */
#define FETCHES 1024u /* blocks being read */
#define WAITERS 4096u /* (request, block) pairs that wait for one */
#define READ_IOS 256u /* device reads in flight */
#define READ_IO_BLK 64u /* blocks of one device read */
#define UNIT_AGE_NS (20 * MSEC_NS) /* an open unit is written after this long */
/* Free segments that must be there to open one more (one is then chosen as the next): for users' writes, for the log's
 * own work, while a pool is being opened. Opening after a crash takes two free ones, and gives back those it finds
 * empty only with its checkpoint: so a running pool always leaves two, besides the one chosen as the next. */
#define FREE_SEGS_USER 4u
#define FREE_SEGS_OWN 3u
#define FREE_SEGS_OPEN 1u
#define WB_BATCH_BLK 4096u /* blocks between two flushes of the capacity device */
#define WB_RUN_BLK 256u /* blocks of one write to it */
#define CKPT_PAGES_SOFT 1024u /* dirty pages that start a checkpoint */
#define SHARE_STEP_CHUNKS 256u /* most chunks of one REC_SHARE */
#define STUCK_NS (25 * SEC_NS) /* a write that found no room for so long fails */

struct volrec;

struct hb_volume {
	struct link by_id; /* in pool->vol_hash */
	struct link deleting; /* in pool->deleting */
	struct hb_pool *pool;
	uint32_t id, flags; /* VOLREC_* */
	char name[HB_NAME_MAX + 1];
	uint8_t uuid[16];
	uint64_t size_blk, created_s;
	uint32_t parent_id, family_id;
	uint8_t content[16]; /* of a snapshot; else zeros */
	struct ptree map;
	uint64_t mapped_blk;
	uint32_t opens, inflight;
	bool changed; /* its record, since the last checkpoint */
	struct page_ptr saved_root;
	uint8_t saved_levels;
};
#define VOL_HASH 1024u

/* A staging buffer and the segment in it. */
struct seg_buf {
	struct link free; /* on log.bufs_free when its segment is wholly written */
	uint8_t *mem;
	segno_t seg; /* SEG_NONE: nothing */
	uint32_t writes; /* in flight */
	bool sealed;
	uint32_t no;
};

struct unit_io {
	struct dev_io io;
	struct iovec iov;
	struct link link; /* log.ios_free, or log.inflight in order of seq */
	struct hb_pool *pool;
	struct seg_buf *buf;
	uint64_t seq; /* 0: a footer */
	bool done;
	uint8_t tries;
};

struct log {
	struct seg_buf bufs[STAGE_BUFS_MAX];
	uint32_t nbuf;
	struct link bufs_free;
	struct seg_buf *cur; /* of the open segment */
	segno_t next_seg;
	uint64_t next_seg_seq;
	/* the open unit */
	uint8_t *unit; /* its header block; NULL: none is open */
	uint32_t unit_off;
	uint16_t nrec, nblk, bytes;
	uint64_t unit_seq; /* of the open unit, or of the next to be opened */
	uint64_t unit_ns; /* when it was opened */
	struct footer_slot footer[SEG_BLK_MAX]; /* of the open segment */
	/* progress: durable_seq <= written_seq < unit_seq */
	uint64_t written_seq, durable_seq;
	uint64_t want_seq; /* somebody inside wants this durable */
	uint64_t flushing_seq;
	bool flushing;
	struct dev_io flush_io;
	struct unit_io ios[UNIT_IOS];
	struct link ios_free, inflight;
};

struct waiter {
	struct waiter *next;
	struct hb_req *req;
	uint8_t *dst; /* NULL: only wants the block in memory */
	uint16_t off, len; /* bytes of the block */
	bool pin; /* pin the frame for the request */
};

/* A block on its way from a device into a frame. */
struct fetch {
	struct link hash; /* pool->fetch_hash while it may be joined */
	struct fetch *next_free;
	pblk_t p;
	slot_t slot; /* where from; SLOT_NONE: the capacity device */
	uint32_t crc;
	struct frame *f;
	struct waiter *waiters, **last;
	bool poisoned;
	bool move; /* the cleaner wants to append it again */
};
#define FETCH_HASH 1024u

struct read_io {
	struct dev_io io;
	struct read_io *next_free;
	struct hb_pool *pool;
	uint64_t id; /* capacity reads: for (P4) */
	struct link order; /* capacity reads in flight, by id */
	uint32_t n;
	struct iovec iov[READ_IO_BLK];
	struct fetch *fetch[READ_IO_BLK];
};

struct reader {
	struct fetch *fetches, *fetch_free;
	uint32_t nfetch; /* under way */
	struct waiter *waiters, *waiter_free;
	struct read_io *ios, *io_free;
	uint32_t nio_free;
	struct read_io *gather[2]; /* being filled: [0] capacity, [1] write tier */
	struct link hash[FETCH_HASH];
	struct link cap_order; /* read_io in flight on the capacity device */
	uint64_t next_read_id;
};

struct limbo_entry {
	uint64_t unit_seq, read_id;
	chunk_t chunk;
};

struct wb_block {
	pblk_t p;
	slot_t slot;
	uint32_t crc;
};

struct wb_read {
	struct dev_io io;
	struct iovec iov;
	struct wb_run *run;
	uint32_t first, n; /* blocks of the run */
	uint8_t tries;
};

struct wb_run {
	struct dev_io io;
	struct iovec iov;
	struct hb_pool *pool;
	uint8_t *mem; /* WB_RUN_BLK blocks */
	uint32_t n, good; /* blocks; how many from the first on may be written */
	uint32_t reads; /* in flight */
	bool busy;
	bool gathering;
	bool late; /* a device missed its time limit and may still use mem */
	struct wb_block blk[WB_RUN_BLK];
	struct wb_read read[WB_RUN_BLK];
};

struct writeback {
	struct wb_run *runs;
	uint32_t depth, busy;
	struct wb_block *batch; /* written, not yet flushed */
	uint32_t nbatch;
	pblk_t cursor; /* the elevator */
	pblk_t *urgent; /* sorted: what the oldest segments hold */
	uint32_t nurgent, urgent_at;
	bool flushing, round_done;
	bool forced; /* hb_pool_writeback, close: all of it */
	struct dev_io flush_io;
	uint64_t last_activity_ns, backoff_until_ns, batch_start_ns;
	uint64_t blk_ns; /* moving mean: time to write one block back */
};

struct ckpt_block {
	struct ckpt_block *next;
	struct hb_pool *pool;
	uint32_t n, tries;
	uint32_t page[64];
	uint8_t *mem; /* 64 pages */
	struct iovec iov[64];
	struct dev_io io[64]; /* one per run of consecutive pages */
};

enum ckpt_state { CKPT_IDLE, CKPT_PAGES, CKPT_FLUSH1, CKPT_ROOT_A, CKPT_FLUSH_A, CKPT_ROOT_B, CKPT_FLUSH_B };

struct ckpt {
	enum ckpt_state state;
	struct ckpt_block *blocks;
	uint32_t writes; /* in flight */
	int error, flush_error;
	uint32_t tries;
	bool late; /* a device missed its time limit and may still use memory of ours */
	bool nomem; /* what kept it from being whole was memory, not pages */
	bool no_root; /* memory ran out: write the pages, try the rest again */
	bool wanted;
	struct super next;
	uint64_t target_seq;
	uint8_t *root_mem;
	struct iovec iov;
	struct dev_io io;
	uint64_t last_ns;
	uint32_t segs_since; /* segments opened since the last one began */
	uint64_t grow_blk; /* the next one says that the capacity device has so many blocks; 0: as before */
	uint64_t retry_ns;
};

struct hb_pool {
	struct hb_env env;
	struct dev *cap, *wt;
	struct super sb; /* of the capacity device: the last durable root */
	struct super wt_sb;
	uint8_t *stage;
	uint64_t stage_bytes;
	uint32_t stage_nbuf; /* buffers that the staging memory had when it was last used: replay looks at them */
	uint64_t boot_token;
	bool read_only, failed, closing, maps_ready, was_clean, replaying;
	char trouble[160];

	struct mapset maps;
	struct ptree vol_tree, seg_tree;
	struct chunks *chunks;
	struct pages *pages;
	struct segs segs;
	struct idx *idx;
	struct dirty *dirty;
	struct ram *ram;
	uint64_t ram_size;

	struct link vol_hash[VOL_HASH];
	struct hb_volume **by_name; /* sorted; deleted ones are not in it */
	uint32_t nnames, names_cap;
	uint32_t nvolumes; /* those whose space comes back included */
	uint32_t next_volume_id;
	struct link deleting; /* volumes whose space comes back */

	struct log log;
	struct reader rd;
	struct writeback wb;
	struct ckpt ck;
	struct {
		segno_t seg; /* being emptied */
		uint32_t at; /* slot reached */
		uint32_t moving; /* fetches for it in flight */
		uint32_t moved;
		uint64_t backoff_until_ns; /* a read failed: dirty blocks are write-back's for a while */
	} clean;
	struct limbo_entry *limbo; /* a ring */
	uint32_t limbo_head, limbo_n, limbo_cap;

	struct link ready; /* requests to be stepped */
	struct link finished; /* whose done() is due */
	struct link log_waiters; /* no room in the log */
	struct link space_waiters; /* no free chunk, some in limbo */
	struct link starved; /* no fetch, waiter or frame */
	struct link flush_waiters; /* by seq */
	struct link throttled;
	uint64_t throttle_until_ns; /* when the next write may pass */
	uint32_t dirty_low, dirty_high; /* blocks */
	uint64_t idle_ns;
	uint32_t inflight; /* requests */
	bool running;
	bool due; /* something was begun that hb_pool_run must go on with, or set a time for */

	uint8_t *scratch; /* one block */
	struct hb_stats st; /* counters only; the rest is filled in by hb_pool_stats */
	uint64_t cap_errors_logged;
	uint32_t full_pct; /* the last mark said */
};

/* ---------------------------------------------------------------- util.c */
void pool_log(const struct hb_pool *p, enum hb_log_level lv, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static inline uint64_t pool_now(const struct hb_pool *p)
{
	return p->env.now_ns(p->env.ctx);
}
/* No more writes: what is in the log stays there for the next open. Said once. */
void pool_fail(struct hb_pool *p, const char *why);
void new_uuid(const struct hb_env *env, uint8_t uuid[16]);
/* One I/O, waited for, through memory of its own: offset and length in blocks. */
int sync_io(const struct hb_env *env, struct dev *dev, enum dev_op op, uint64_t blk, void *buf, uint32_t nblk);
static inline chunk_t chunk_of(const struct hb_pool *p, pblk_t b)
{
	return (chunk_t){(uint32_t)(b.n / p->sb.chunk_blk)};
}
/* Whether a number from a disk names a block of some chunk. */
bool pblk_ok(const struct hb_pool *p, uint64_t n);
bool all_zero(const void *buf, size_t len);
extern const uint8_t zero_block[BLK_BYTES];

/* ---------------------------------------------------------------- stats.c */
void space_watch(struct hb_pool *p); /* says when the pool becomes full; cheap, to be called now and then */

/* ---------------------------------------------------------------- blocks.c: index, segments and dirty set together */
void blk_put(struct hb_pool *p, slot_t s, pblk_t b, uint32_t crc, enum slot_state st);
void blk_drop(struct hb_pool *p, slot_t s);
/* The slot that holds b, if any, is superseded: as blk_drop, but b stays in the dirty set. */
void blk_supersede(struct hb_pool *p, pblk_t b);
void blk_set_state(struct hb_pool *p, slot_t s, enum slot_state st);
/* A newer version of b comes: fetches under way are not to be admitted. */
void blk_poison(struct hb_pool *p, pblk_t b);
/* b's newest bytes, if they are in memory: a frame, or staging. NULL: not in memory. */
const uint8_t *blk_in_memory(struct hb_pool *p, pblk_t b);
/* Changes of the map with all their consequences; used by requests and by replay alike. 0 or -ENOMEM. */
int blk_map(struct hb_pool *p, struct hb_volume *v, vblk_t vb, pblk_t b);
int blk_unmap(struct hb_pool *p, struct hb_volume *v, vblk_t vb, uint64_t count);
int blk_share(struct hb_pool *p, struct hb_volume *v, vblk_t vb, struct hb_volume *src, vblk_t svb, uint64_t count);
/* mapset's callback, and the ring of limbo. */
void limbo_add(void *pool, chunk_t k);
void limbo_pump(struct hb_pool *p);

/* ---------------------------------------------------------------- log.c, logio.c */
int log_init(struct hb_pool *p);
/* Makes the open unit able to take ndata blocks and `bytes` of other records, all in one unit. False: not now (the
 * caller waits on log_waiters). `own`: the log's own work, which may use the reserve. */
bool log_room(struct hb_pool *p, uint32_t ndata, uint32_t bytes, bool own);
/* These need log_room before. */
slot_t log_data(struct hb_pool *p, const struct rec *r, const void *data, uint32_t *ret_crc);
void log_rec(struct hb_pool *p, const struct rec *r);
/* What was appended since the last publish becomes part of the unit, all at once (atomic requests append many). */
void log_publish(struct hb_pool *p);
/* The unit that holds what was appended last. */
static inline uint64_t log_last(const struct hb_pool *p)
{
	return p->log.unit && p->log.nrec ? p->log.unit_seq : p->log.unit_seq - 1;
}
/* Writes the open unit. False: not now. */
bool log_close_unit(struct hb_pool *p);
/* Starts a new segment. False: fewer than min_free are free, or no buffer is. */
bool log_open_segment(struct hb_pool *p, uint32_t min_free);
/* Asks for everything up to seq to become durable. */
void log_want(struct hb_pool *p, uint64_t seq);
bool log_pump(struct hb_pool *p);
void log_write(struct hb_pool *p, struct seg_buf *b, uint32_t off, uint32_t nblk, uint64_t seq);

/* ---------------------------------------------------------------- fetch.c */
int reader_init(struct hb_pool *p);
void reader_fini(struct hb_pool *p);
/* Brings b into memory for req: dst (may be NULL) gets len bytes from off. The caller looked in memory before.
 * 1: under way (req->waiting was raised); 0: no resources now (wait on `starved`). */
int fetch_start(struct hb_pool *p, struct hb_req *req, pblk_t b, uint8_t *dst, uint16_t off, uint16_t len, bool pin);
/* For the cleaner: read b from slot and append it again. False: no resources now. */
bool fetch_move(struct hb_pool *p, pblk_t b, slot_t s);
/* Queues the reads gathered so far. */
void fetch_flush(struct hb_pool *p);

/* ---------------------------------------------------------------- req.c and the steps */
enum step { STEP_DONE, STEP_WAIT };
void req_wake(struct hb_req *r); /* off whatever list, onto ready */
void req_wait(struct hb_req *r, struct link *list);
void req_wake_all(struct link *list);
enum step step_read(struct hb_req *r);
enum step step_write(struct hb_req *r);
enum step step_atomic(struct hb_req *r);
enum step step_compare(struct hb_req *r);
enum step step_unmap(struct hb_req *r);
enum step step_prefetch(struct hb_req *r);
enum step step_copy(struct hb_req *r);
/* The bytes of a volume's block: 1: *ret is valid until anything else is done; 0: under way or no resources (the
 * request waits); or -errno. */
int need_block(struct hb_req *r, struct hb_volume *v, vblk_t vb, const uint8_t **ret, bool pin);
/* Writes one whole block (data must not lie in staging). 0; -EAGAIN: the request waits on a list; else failed. */
int put_block(struct hb_req *r, struct hb_volume *v, vblk_t vb, const void *data);
/* Its two halves, for atomic requests. */
int put_target(struct hb_req *r, struct hb_volume *v, vblk_t vb, pblk_t *ret, chunk_t *taken);
int put_commit(struct hb_pool *p, struct hb_volume *v, vblk_t vb, pblk_t b, const void *data);
void req_unpin(struct hb_req *r);
static inline int req_fail(struct hb_req *r, int error, uint64_t at)
{
	if (!r->error) {
		r->error = error;
		r->error_off = at;
	}
	return error;
}

/* ---------------------------------------------------------------- throttle.c */
/* True: this write of n blocks may go on now. False: the request waits. */
bool throttle_pass(struct hb_req *r, uint64_t nblk);
uint64_t throttle_pump(struct hb_pool *p); /* returns when to come again */

/* ---------------------------------------------------------------- writeback.c, clean.c, checkpoint.c, volume.c */
int wb_init(struct hb_pool *p, uint32_t depth);
void wb_fini(struct hb_pool *p);
bool wb_pump(struct hb_pool *p);
uint64_t wb_deadline(const struct hb_pool *p);
bool clean_pump(struct hb_pool *p);
void clean_moved(struct hb_pool *p, struct fetch *f, bool ok);
bool clean_urgent(const struct hb_pool *p); /* so few that write-back must empty the oldest ones */
uint32_t clean_low(const struct hb_pool *p); /* free segments below which cleaning begins */
void ckpt_fini(struct hb_pool *p);
bool ckpt_pump(struct hb_pool *p);
/* Whether the next checkpoint will find pages for all that is dirty, `spare` more, and what it changes itself. Without
 * this check a tenant who writes one block here and there can fill the metadata area, and no root could ever be written
 * again. */
bool meta_room(struct hb_pool *p, uint32_t spare);
/* No room: asks for a checkpoint. Whether one may give some (the caller waits on log_waiters). */
bool meta_wait(struct hb_pool *p);
#define META_SPARE_WRITE 48u /* new blocks leave so many pages for unmaps and deletes, which bring space back */
#define META_SPARE_UNMAP 12u /* copies of shared paths */
/* Pages of fragment records that dropping the references of one leaf of a map may change, besides. */
uint32_t meta_frag_spare(const struct hb_pool *p);
/* A whole checkpoint, waited for: at open, close. `flags`: SUPER_*. */
int ckpt_sync(struct hb_pool *p, uint32_t flags);
void vol_fini(struct hb_pool *p);
struct hb_volume *vol_by_id(struct hb_pool *p, uint32_t id);
struct hb_volume *vol_by_name(struct hb_pool *p, const char *name);
int vol_enter(struct hb_pool *p, const struct volrec *r, struct hb_volume **ret);
/* A volume whose space is back, or that must not be. */
void vol_forget(struct hb_pool *p, struct hb_volume *v);
/* Record -> state; used by verbs and by replay alike. 0, -ENOMEM, or -EBADMSG (replay: makes no sense). */
int vol_apply(struct hb_pool *p, const struct rec *r);
/* -ENOENT, with err set, if there is none of that name. */
int vol_find(struct hb_pool *p, const char *name, struct hb_volume **ret, struct err *err);
int vol_name_check(const char *name, struct err *err);
bool vol_pump(struct hb_pool *p); /* space of deleted volumes comes back */
int vol_save_all(struct hb_pool *p, uint32_t (*put)(void *ctx, const void *data, uint32_t crc), void *ctx);

/* ---------------------------------------------------------------- lineage.c */
/* Record -> state. The same errors as vol_apply's. */
int lineage_apply(struct hb_pool *p, const struct rec *r);
/* For replay, to be called with every record: keeps those of a group back until its end has come. */
struct rec_group {
	struct rec *rec; /* freed by who made the group */
	uint32_t n;
};
int lineage_replay(struct hb_pool *p, struct rec_group *g, const struct rec *r);

/* ---------------------------------------------------------------- load.c, replay.c */
int load_trees(struct hb_pool *p, struct err *err);
int load_segments(struct hb_pool *p, struct err *err);
/* Applies the log from the checkpoint on. `staged`: staging memory is this pool's and counts. */
int replay(struct hb_pool *p, bool staged, struct err *err);
/* The newest valid superblock. *ret_mend: the copy (0: A, 1: B) that is older or damaged, or -1. */
int super_read(const struct hb_env *env, struct dev *dev, struct super *ret, int *ret_mend, struct err *err);
/* Makes that copy equal to s, durably. */
int super_mend(const struct hb_env *env, struct dev *dev, const struct super *s, int which);

#endif
