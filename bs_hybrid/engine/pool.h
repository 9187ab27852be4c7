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
#include "cache/heat.h"
#include "cache/index.h"
#include "cache/ram.h"
#include "cache/shards.h"
#include "cache/stream.h"
#include "cache/seq.h"
#include "dev/mirror.h"
#include "engine/bypass.h"
#include "engine/engine.h"
#include "engine/floors.h"
#include "engine/image.h"
#include "engine/level.h"
#include "engine/loader.h"
#include "engine/qos.h"
#include "engine/scrub.h"
#include "engine/pace.h"
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
#define WB_BATCH_BLK 4096u /* most blocks between two flushes of the capacity device */
#define WB_AHEAD_BLK 1024u /* blocks in runs, being filled, waiting or in flight, before no further run begins */
#define WB_DEPTH 32u /* runs, unless the configuration says otherwise: as many as a drive sorts by itself */
#define WB_RUN_BLK 256u /* blocks of one write to it */
#define CKPT_PAGES_SOFT 1024u /* dirty pages that start a checkpoint */
#define SHARE_STEP_CHUNKS 256u /* most chunks of one REC_SHARE */
#define STUCK_NS (25 * SEC_NS) /* a request that its ceilings let through, and that found no room for so long, fails */

struct volrec;

/* What is seen of a volume's use. */
struct seen {
	struct shards curve;
	struct heat *heat;
	uint64_t size_blk; /* that heat is for */
};

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
	struct hb_volume_stats st;
	struct seen *seen; /* NULL: no request yet, or (unseen) no memory */
	bool unseen;
	bool changed; /* its record, since the last checkpoint */
	struct page_ptr saved_root;
	uint8_t saved_levels;
	struct hb_volume_attr attr;
	struct limits limits;
	struct flow reading, writing; /* in pool->read_turns.turns, pool->write_turns */
	uint32_t reads; /* device reads out that take turns */
	struct hb_volume_waits waits;
	struct link settling; /* in pool->through.settling: what is dirty from before its mode is being written back */
	uint64_t settle_at, settle_round; /* block reached; the round of write-back when it began */
	struct link pinning; /* in pool->pins.vols */
	uint64_t pinned_blk, pinned_cached_blk; /* mapped blocks in its pins; of them on a fast tier, as last counted */
	struct link flooring; /* in pool->floors.vols */
	uint8_t owner; /* its number there; 0: it has none (yet) */
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
	uint8_t from; /* FROM_ */
	uint8_t side; /* asked of this half of the write tier, since the other one has a bad copy */
	slot_t slot; /* where there; not of the capacity device */
	uint32_t crc;
	struct frame *f;
	struct waiter *waiters, **last;
	bool poisoned, killed; /* a newer version came; it was freed */
	bool ahead; /* nobody has asked for it yet */
	bool keep, own; /* somebody wants it cached; the loader of pins began it */
	struct hb_volume *reader; /* whose device read begins with it; NULL: nobody's, or it goes on with one */
};
/* Where a block is read from: cache level n is FROM_WRITE + n. */
enum { FROM_CAPACITY, FROM_WRITE, FROMS = FROM_WRITE + HB_LEVELS_MAX + 1 };
#define FETCH_HASH 1024u

struct read_io {
	struct dev_io io;
	struct read_io *next_free;
	struct hb_pool *pool;
	uint8_t from, side;
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
	struct read_io *gather[FROMS]; /* being filled */
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
	struct link line; /* writeback.line, until it is sent */
	bool filled;
	uint64_t begin_ns, cost_ns; /* of its write: sent at; expected to take */
	bool busy;
	bool gathering;
	bool late; /* a device missed its time limit and may still use mem */
	struct wb_block blk[WB_RUN_BLK];
	struct wb_read read[WB_RUN_BLK];
};

struct writeback {
	struct wb_run *runs;
	uint32_t depth, busy;
	uint32_t busy_blk; /* blocks of the busy runs */
	struct link line; /* runs that are being filled or wait to be sent, in pool order */
	struct pace pace;
	struct wb_block *batch; /* written, not yet flushed */
	uint32_t nbatch;
	uint32_t taken; /* blocks this round has gathered */
	pblk_t cursor; /* the elevator */
	pblk_t resume; /* of a round of urgent ones: where the elevator was */
	pblk_t *urgent; /* sorted: what the oldest segments hold */
	uint32_t nurgent, urgent_at;
	bool flushing, round_done;
	bool forced; /* hb_pool_writeback, close: all of it */
	bool urgent_round;
	struct dev_io flush_io;
	uint64_t last_activity_ns, backoff_until_ns, batch_start_ns;
	uint64_t blk_ns; /* moving mean: time to write one block back */
	uint64_t round; /* counts them; the present one's, or the last one's */
	bool through_round; /* it is for those that wait in through.c */
};

/* Who waits for the capacity device; see through.c. */
struct through {
	struct link waiters; /* requests, in order; pos: the block reached */
	struct link settling; /* volumes */
	bool ending; /* a round has ended: wb.batch is what it wrote, sorted */
};

struct pin_walk {
	struct hb_volume *v; /* NULL: over */
	uint32_t pin;
	uint64_t at, blk; /* block of the volume; mapped ones found in it so far */
};

/* What is pinned; see pins.c. */
struct pins {
	struct dirty *set; /* pool blocks; NULL: nothing is pinned */
	struct dirty *next; /* being filled */
	struct link vols; /* that have pins */
	bool changed; /* pins, volumes: it is to be filled anew, at once */
	bool live; /* the first loading since */
	bool said; /* that more is pinned than fits */
	struct pin_walk fill, load;
	uint64_t fill_ns, load_ns; /* when to go on */
	pblk_t at;
	uint64_t run; /* blocks from `at` on that the loader has not looked at */
	uint64_t missing, cached; /* in this pass; of the volume `counting` */
	struct hb_volume *counting;
	uint32_t loading; /* blocks being read for it */
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

/* Emptying the write tier's oldest segment. */
struct cleaner {
	segno_t seg; /* SEG_NONE: none is being emptied */
	uint32_t at; /* slot reached */
	uint32_t moved; /* of it: what was hit, and the like */
	uint32_t again; /* all that was appended again */
	bool at_ease; /* what is below a floor is appended again in any case */
	bool have_image; /* the image is this segment's */
	struct image image;
	uint64_t backoff_until_ns; /* a read failed: dirty blocks are write-back's for a while */
};

/* A superblock on its way, both copies, a flush after each. */
struct super_io {
	struct dev *dev;
	uint8_t side;
	const struct super *super;
	uint8_t *mem;
	uint32_t step; /* 0: idle */
	bool waiting; /* for an I/O */
	int error;
	struct dev_io io;
	struct iovec iov;
};

struct halves {
	bool mirrored;
	struct super sb[2]; /* of each half that counts */
	enum { HALVES_IDLE, HALVES_OLD, HALVES_NEW, HALVES_ROOT } state; /* what is being written */
	struct super next; /* the root, with the new membership */
	int lost; /* the half whose loss is being recorded, or -1 */
	int coming; /* the half that is being made good, or -1 */
	bool synced; /* it is; wants to be recorded */
	bool sync_wanted;
	bool stamped; /* a loss is recorded by halves_pump(); before: by halves_stamp() */
	struct super_io io;
	uint64_t rate_bytes_s;
};

/* When segments of the write tier were opened: of some, in order; and which of them may have dirty blocks. */
#define DIRTY_TIMES 64u
struct dirty_clock {
	uint64_t seq[DIRTY_TIMES], ns[DIRTY_TIMES];
	uint32_t n, every; /* those whose seq is a multiple of every are noted */
	segno_t at; /* all sealed before it are clean */
	uint64_t at_seq;
	uint64_t clean_ns; /* when nothing was dirty, as was seen last */
};

struct hb_pool {
	struct hb_env env;
	struct dev *cap, *wt;
	struct super sb; /* of the capacity device: the last durable root */
	struct super wt_sb;
	struct halves halves;
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
	struct through through;
	struct pins pins;
	struct floors floors;
	struct bypass bypass;
	struct ckpt ck;
	struct cleaner clean;
	struct scrub *scrub; /* NULL: none was ever started */
	struct streams *streams;
	const struct hb_req *ahead_last; /* the request that it was told of last; only compared */
	uint32_t nseen; /* volumes that are looked at */
	struct level levels[HB_LEVELS_MAX];
	uint32_t nlevels;
	struct ptree touched; /* bits by block: (L4) */
	bool touching, touch_failed;
	struct loader loader; /* of the write tier's segments that hold clean blocks only */
	bool loading;
	struct limbo_entry *limbo; /* a ring */
	uint32_t limbo_head, limbo_n, limbo_cap;

	struct link ready; /* requests to be stepped */
	struct link finished; /* whose done() is due */
	struct link log_waiters; /* no room in the log */
	struct link space_waiters; /* no free chunk, some in limbo */
	struct link starved; /* no fetch, waiter or frame */
	struct link flush_waiters; /* by seq */
	struct link limited; /* volumes with requests that wait for their ceilings */
	uint64_t limited_until_ns; /* the first one's time */
	struct read_turns read_turns;
	struct turns write_turns; /* writers that are slowed down */
	uint64_t throttle_until_ns; /* when the next write may pass */
	uint32_t dirty_low, dirty_high; /* blocks */
	uint64_t idle_ns;
	uint32_t inflight; /* requests */
	bool running;
	bool due; /* something was begun that hb_pool_run must go on with, or set a time for */

	uint8_t *scratch; /* one block */
	struct hb_stats st; /* counters only; the rest is filled in by hb_pool_stats */
	struct dirty_clock dirty_clock;
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
/* The same at one half of a mirror (1, 2), or at any (0). */
int sync_io_at(const struct hb_env *env, struct dev *dev, uint8_t side, enum dev_op op, uint64_t blk, void *buf,
	       uint32_t nblk);
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
void blk_supersede(struct hb_pool *p, pblk_t b, bool changed); /* `changed`: its bytes did (L4) */
void blk_set_state(struct hb_pool *p, slot_t s, enum slot_state st);
/* A newer version of b comes: fetches under way are not to be admitted. */
void blk_poison(struct hb_pool *p, pblk_t b, bool killed);
/* Whether anything faster than the capacity device has b. */
bool blk_cached(struct hb_pool *p, pblk_t b);
/* b's newest bytes, if they are in memory: a frame, or staging. NULL: not in memory. */
const uint8_t *blk_in_memory(struct hb_pool *p, pblk_t b);
/* Changes of the map with all their consequences; used by requests and by replay alike. 0 or -ENOMEM. */
int blk_map(struct hb_pool *p, struct hb_volume *v, vblk_t vb, pblk_t b);
int blk_unmap(struct hb_pool *p, struct hb_volume *v, vblk_t vb, uint64_t count);
int blk_share(struct hb_pool *p, struct hb_volume *v, vblk_t vb, struct hb_volume *src, vblk_t svb, uint64_t count);
/* Whole chunks of v become pool chunks that follow one another. Returns how many blocks did; less: no memory. */
uint32_t blk_chunks(struct hb_pool *p, struct hb_volume *v, vblk_t vb, pblk_t b, uint32_t count);
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
/* The same for nobody, on the account of req's volume; false: not now. */
bool fetch_ahead(struct hb_pool *p, struct hb_req *req, pblk_t b);
bool fetch_under_way(struct hb_pool *p, pblk_t b);
/* Brings b into RAM, for nobody in particular. False: no resources now. */
bool fetch_own(struct hb_pool *p, pblk_t b);
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

/* ---------------------------------------------------------------- ahead.c, seen.c */
int ahead_init(struct hb_pool *p);
void ahead_request(struct hb_req *r);
/* Blocks to read, besides, directly before and directly behind the missing run that begins at blk. */
struct ahead_plan {
	uint32_t before, after;
};
/* blk, at b, is missing; `run` blocks of the request follow one another from there on. Sets r->planned behind what is
 * missing of them. */
struct ahead_plan ahead_miss(struct hb_req *r, uint64_t blk, pblk_t b, uint64_t run);
void ahead_fetch(struct hb_req *r, pblk_t b, uint64_t n);
void ahead_used(struct hb_pool *p); /* somebody asks for a block that was fetched ahead */
void seen_request(struct hb_req *r, bool is_write);
void seen_free(struct hb_volume *v);

/* ---------------------------------------------------------------- throttle.c */
/* True: this write of n blocks may go on now. False: the request waits. */
bool throttle_pass(struct hb_req *r, uint64_t nblk);
uint64_t throttle_pump(struct hb_pool *p); /* returns when to come again */
uint32_t throttle_full(const struct hb_pool *p); /* how full the write tier is, of 1024: 768 is the balance */

#include "engine/modes.h"

/* ---------------------------------------------------------------- writeback.c, clean.c, checkpoint.c, volume.c */
int wb_init(struct hb_pool *p, uint32_t depth);
void wb_fini(struct hb_pool *p);
bool wb_pump(struct hb_pool *p);
uint64_t wb_deadline(const struct hb_pool *p);
/* The slot of b if it may be written back now (P2). */
slot_t wb_eligible(struct hb_pool *p, pblk_t b);
/* The block cannot be had: it is lost, unless it was superseded meanwhile. */
void wb_lose(struct hb_pool *p, const struct wb_block *b, const char *why);
uint32_t wb_written(const struct hb_pool *p); /* blocks that want nothing but a flush any more */
bool wb_holds(const struct hb_pool *p, chunk_t k); /* a write to some of its blocks is under way, or waits */
void wb_flush_lost(struct hb_pool *p); /* somebody else's flush of the capacity device failed */
bool clean_pump(struct hb_pool *p);
int clean_init(struct hb_pool *p);
/* The block in slot s goes to the head of the log in the state it is in; its bytes do not lie in staging. False: no
 * room. */
bool append_again(struct hb_pool *p, slot_t s, const void *data);
void clean_fini(struct hb_pool *p);
/* Free segments are so few that write-back must empty the oldest one, which the cleaner cannot. */
bool clean_urgent(struct hb_pool *p);
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
/* Into memory, then into the log; 0, or err says why not. */
int vol_commit(struct hb_pool *p, const struct rec *r, struct err *err);
int attr_apply(struct hb_volume *v, const void *encoded); /* attr.c; 0 or -EBADMSG */
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
/* Segments with nothing but clean blocks are left for load_pump, unless the pool is opened for reading only. */
int load_segments(struct hb_pool *p, struct err *err);
bool load_pump(struct hb_pool *p);
void load_fini(struct hb_pool *p);
/* While slots 0 .. n-1 of a footer are entered, at slot i: where the next ones will go in x comes into the processor's
 * cache. */
void load_ahead(const struct hb_pool *p, const struct idx *x, const struct footer_slot *slots, uint32_t i, uint32_t n);
/* Applies the log from the checkpoint on. `staged`: staging memory is this pool's and counts. */
int replay(struct hb_pool *p, bool staged, struct err *err);
/* The newest valid superblock. *ret_mend: the copy (0: A, 1: B) that is older or damaged, or -1. */
int super_read(const struct hb_env *env, struct dev *dev, struct super *ret, int *ret_mend, struct err *err);
/* Makes that copy equal to s, durably; `side`: at this half of a mirror, or 0. */
int super_mend(const struct hb_env *env, struct dev *dev, uint8_t side, const struct super *s, int which);

/* ---------------------------------------------------------------- halves.c: a write tier on two devices */
/* Reads what the halves say of themselves, and writes it with p->sb's generation and membership. 0 or -errno. */
int halves_read(struct hb_pool *p, struct err *err);
int halves_stamp(struct hb_pool *p, struct err *err);
void halves_start(struct hb_pool *p); /* requests begin: losses are recorded from now on, stale halves made good */
bool halves_pump(struct hb_pool *p);
bool halves_busy(const struct hb_pool *p); /* a superblock of the capacity device is being written */
void halves_close(struct hb_pool *p);
void halves_fini(struct hb_pool *p);
/* Writes a slot anew at one half, whose copy is bad. */
void half_repair(struct hb_pool *p, slot_t s, uint8_t side, const void *data);

#endif
