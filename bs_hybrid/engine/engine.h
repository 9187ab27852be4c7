/* SPDX-License-Identifier: GPL-2.0-only */
/* engine.h - the engine's face: pools, volumes, requests. All that the rooms above (host, control, tgt) and the
 * simulator may use of it.
 *
 * One pool belongs to one thread. The engine sees no clock, no thread and no libc I/O: devices, time and randomness
 * are given at open. Work happens in hb_submit() and in hb_pool_run(), which the owner calls once a turn of its loop
 * and again when the time it returned has come or a device's descriptor is readable.
 *
 * What is promised (docs/ARCHITECTURE.md says how):
 * (1) A write that was answered survives the death of the process, as long as the staging memory does.
 * (2) A write that was answered with HB_FUA, or before a HB_FLUSH that was answered, survives a power cut.
 * (3) 4 KiB aligned blocks are atomic; a write with HB_ATOMIC of at most HB_ATOMIC_MAX is atomic as a whole.
 * (4) After a crash, the surviving writes are a prefix of all writes to the pool, in the order they were answered.
 * (5) A block never written reads as zeros.
 */
#ifndef HB_ENGINE_ENGINE_H
#define HB_ENGINE_ENGINE_H

#include "base/err.h"
#include "base/list.h"
#include "base/units.h"
#include "dev/dev.h"
#include "format/volattr.h"

struct hb_pool;
struct hb_volume;

/* ------------------------------------------------------------------ limits */
#define HB_NAME_MAX 63 /* of pools and volumes, bytes: [A-Za-z0-9][A-Za-z0-9._-]* */
#define HB_DEVS_MAX 8
#define HB_LEVELS_MAX 4 /* cache levels below the write tier */
#define HB_VOLUMES_MAX 65536
#define HB_VOLUME_BYTES_MAX (1ull << 50)
#define HB_ATOMIC_MAX KIB(128) /* HB_ATOMIC writes and HB_COMPARE_WRITE */
#define HB_REQ_MAX MIB(16) /* one request's data (unmap and prefetch excepted) */

/* True if `s` may name a pool or a volume. */
bool hb_name_ok(const char *s);

/* ------------------------------------------------------------------ environment */
enum hb_log_level { HB_LOG_DEBUG, HB_LOG_INFO, HB_LOG_WARN, HB_LOG_ERROR };

struct hb_env {
	void *ctx;
	uint64_t (*now_ns)(void *ctx); /* monotonic */
	uint64_t (*wall_s)(void *ctx); /* seconds since 1970, for creation times */
	uint64_t (*random)(void *ctx); /* 64 random bits: pool and volume ids */
	void (*log)(void *ctx, enum hb_log_level level, const char *text);
	/* Blocks until a device of this pool may have something to drain, or `until_ns`. Used only inside
	 * hb_pool_create, hb_pool_open, hb_pool_close and hb_volume_close, which return when their work is done. */
	void (*wait)(void *ctx, uint64_t until_ns);
};

/* ------------------------------------------------------------------ pools */
enum hb_role { HB_ROLE_CAPACITY = 1, HB_ROLE_WRITE = 2, HB_ROLE_CACHE = 3 };

struct hb_create {
	const char *name;
	uint32_t chunk_bytes; /* 65536 or 131072; 0: default (65536) */
	uint32_t segment_bytes; /* 64 blocks .. 512 blocks, power of two; 0: by the size of the write tier */
	bool any_size; /* tests: allow devices below the sizes of docs/FORMAT.md */
};

/* Formats. The devices stay the caller's. Nothing is checked about what was there before: that is the host's work. */
/* `mirror`: the second device of the write tier, or NULL. */
int hb_pool_create(const struct hb_env *env, const struct hb_create *how, struct dev *capacity, struct dev *write_tier,
		   struct dev *mirror, struct err *err);

/* Formats a cache level for the pool whose capacity device (not open, or open for reading) that is. */
int hb_level_create(const struct hb_env *env, struct dev *capacity, struct dev *level, const struct hb_create *how,
		    struct err *err);

/* What a device's superblock says, without opening the pool. -ENODATA: no pool's device. -EBADMSG: damaged (both
 * copies). */
struct hb_dev_label {
	uint8_t pool_uuid[16];
	char pool_name[HB_NAME_MAX + 1];
	enum hb_role role;
	uint32_t index; /* which device of the pool */
	uint64_t size_bytes; /* as formatted */
	bool clean; /* capacity only: closed cleanly */
	uint8_t dev_uuid[16];
};
int hb_dev_probe(const struct hb_env *env, struct dev *dev, struct hb_dev_label *ret, struct err *err);

/* How much staging memory a pool wants (enough for the largest segments); the host provides it as a shared mapping
 * that outlives the process (tmpfs) but not a power cut. 4 KiB aligned. Three segments and 4 KiB are the least. */
uint64_t hb_staging_bytes(void);

/* Makes one device of the two a mirrored write tier lies on, for hb_open.write_tier: looks which of them count (see
 * engine/halves.c). A half that is NULL, or no device of this pool, is missing; one that is stale is made good once the
 * pool is open. On success the result owns the halves; on error they stay the caller's. -EXDEV: none counts, or the
 * pool is not mirrored. */
int hb_mirror_open(const struct hb_env *env, struct dev *capacity, struct dev *const half[2], struct dev **ret,
		   struct err *err);

struct hb_open {
	struct dev *capacity; /* owned by the pool from success on: closed by it */
	struct dev *write_tier;
	/* Cache levels, fastest first. One that is not this pool's, or cannot be read, is left out with a log line. */
	struct dev *levels[HB_LEVELS_MAX];
	uint32_t nlevels;
	void *staging; /* borrowed until close */
	uint64_t staging_bytes; /* its size; 0: hb_staging_bytes() */
	uint64_t boot_token; /* differs after every boot of the machine: tells stale staging memory */
	uint64_t ram_bytes; /* of the RAM tier; at least 4 MiB */
	bool read_only; /* tools: recover in memory only, write nothing */
	bool any_size; /* tests: allow less RAM, 512 KiB at least */
	/* Tuning; 0: default. */
	uint32_t dirty_low_pct,
		dirty_high_pct; /* of the write tier: write-back begins, writers are slowed to its pace */
	uint64_t writeback_idle_ns; /* dirty blocks are written back after this long without need */
	uint32_t writeback_depth; /* runs in flight on the capacity device */
};

/* Opens, recovering after a crash. The log line says what was replayed. On error the devices stay the caller's.
 * Errors: -ENODATA (no pool), -EBADMSG (damaged, text says what), -EPROTONOSUPPORT (newer format, text names the
 * feature), -EXDEV (devices of different pools or wrong role), -ENOMEM, -EIO. */
int hb_pool_open(const struct hb_env *env, const struct hb_open *how, struct hb_pool **ret, struct err *err);
/* Everything to the log, checkpoint, clean mark; then frees. All requests must be done and volumes closed. 0 or the
 * first error (the pool is freed all the same; a failed close is like a crash: recovered at the next open). */
int hb_pool_close(struct hb_pool *pool, struct err *err);
/* Frees without writing, like a crash (simulator, exit after a device failed). Requests still waiting are dropped. */
void hb_pool_abandon(struct hb_pool *pool);

/* One turn: drain devices, run what became ready, kick devices. Returns when to call again at the latest
 * (env.now_ns's clock; UINT64_MAX: only a device or a submit changes anything). */
uint64_t hb_pool_run(struct hb_pool *pool);
/* Whether requests that were answered at once have left something for hb_pool_run to do before the time it returned. */
bool hb_pool_due(const struct hb_pool *pool);
/* Requests that were submitted and not answered yet. */
unsigned hb_pool_requests(const struct hb_pool *pool);
/* Descriptors to watch for reading (each means: call hb_pool_run). Returns how many; at most HB_DEVS_MAX. */
int hb_pool_event_fds(const struct hb_pool *pool, int fds[HB_DEVS_MAX]);
/* Whether they are watched edge-triggered (EPOLLET), which saves a system call for each completion; at first not. */
void hb_pool_edge_events(struct hb_pool *pool, bool edge);

/* Takes into use what the capacity device has grown by, while requests go on. Returns 0 when that has begun (it is done
 * when hb_pool_growing says no more; the space counts then, and survives), 1: the device is no larger than before. */
int hb_pool_grow(struct hb_pool *pool, struct err *err);
bool hb_pool_growing(const struct hb_pool *pool);

/* A blank device becomes a cache level below all others, while requests go on. It is the pool's from success on. Its
 * descriptor is among hb_pool_event_fds() then. -ENOSPC: there are HB_LEVELS_MAX already; -EINVAL: too small. */
int hb_level_add(struct hb_pool *pool, struct dev *dev, struct err *err);
/* The level of that number (as in hb_tier_stats) is emptied at once, and its device closed as soon as nothing of it is
 * in flight; it is no device of the pool any more. -ENOENT. */
int hb_level_remove(struct hb_pool *pool, unsigned level, struct err *err);

/* A mirrored write tier. The half that is out is replaced by a blank device, which is made good in the background; it
 * is the pool's from success on. -EBUSY: no half is out; -EINVAL: no mirror, or the device is too small. */
int hb_mirror_replace(struct hb_pool *pool, struct dev *dev, struct err *err);
enum hb_half_state { HB_HALF_IN, HB_HALF_OUT, HB_HALF_SYNCING };
struct hb_mirror_status {
	bool mirrored;
	bool recorded; /* that a half is out will be known at the next open, too */
	enum hb_half_state half[2];
	char name[2][256]; /* "": absent */
	uint64_t done_bytes, total_bytes; /* of making good, if one is SYNCING */
};
void hb_mirror_status(const struct hb_pool *pool, struct hb_mirror_status *ret);

/* What is at stake as the pool is set up: write-back without a mirror. False: nothing. `text`: 160 bytes do. */
bool hb_pool_warning(const struct hb_pool *pool, char *text, size_t size);

const char *hb_pool_name(const struct hb_pool *pool);
const uint8_t *hb_pool_uuid(const struct hb_pool *pool);

/* ------------------------------------------------------------------ volumes */
/* Since the pool was opened: requests that waited, and for how long. */
struct hb_volume_waits {
	uint64_t limited, limited_ns; /* for the volume's own ceilings */
	uint64_t queued, queued_ns; /* for its turn at the capacity device, or as a writer that is slowed down */
};

struct hb_volume_info {
	uint32_t id; /* within the pool, never reused */
	char name[HB_NAME_MAX + 1];
	uint8_t uuid[16]; /* for ever; NAA id and serial come from it */
	uint64_t size_bytes;
	uint64_t mapped_bytes; /* allocated blocks (kept by counting; exact) */
	uint64_t created_s; /* seconds since 1970 */
	uint32_t opens;
	bool deleting; /* space is still coming back */
	bool snapshot; /* frozen: reads only */
	uint32_t parent_id; /* what it was made from (perhaps gone meanwhile); 0: nothing. Always below `id` */
	uint32_t family_id; /* the id of its first ancestor, or its own: only within a family blocks are shared */
	uint8_t content[16]; /* snapshots: names these bytes for ever, in whatever pool; else zeros */
	struct hb_volume_attr attr;
	struct hb_volume_waits waits;
	bool settling; /* its mode was write-back, and what is dirty from then is being written back */
	/* Mapped bytes in its pins, and of them what a fast tier holds, both as last counted (a minute ago at most, if
	 * little is pinned). */
	uint64_t pinned_bytes, pinned_cached_bytes;
	/* Of a volume with a cache floor: what RAM and the write tier hold of it, and have set aside for it. Counted by
	 * chunks that it was found to have; one that several such volumes share is one's of them. */
	uint64_t floor_ram_bytes, floor_write_bytes, cached_ram_bytes, cached_write_bytes;
};

/* These take effect at once, go to the log, and survive a process crash when they return 0; follow with a HB_FLUSH
 * (hb_sync) before telling anybody that it happened. Errors: -EEXIST, -ENOENT, -EINVAL (name, size: multiple of 4 KiB),
 * -EBUSY (open), -ENOSPC (table or metadata full; or no room in the log at this moment), -EROFS. err says it in words.
 */
int hb_volume_create(struct hb_pool *pool, const char *name, uint64_t size_bytes, struct err *err);
/* Space comes back in the background. */
int hb_volume_delete(struct hb_pool *pool, const char *name, struct err *err);
int hb_volume_rename(struct hb_pool *pool, const char *name, const char *new_name, struct err *err);
int hb_volume_grow(struct hb_pool *pool, const char *name, uint64_t size_bytes, struct err *err);
/* Smaller, or the same. -ENOTEMPTY: something is mapped behind the new end; -EBUSY: open. */
int hb_volume_shrink(struct hb_pool *pool, const char *name, uint64_t size_bytes, struct err *err);

/* Attributes (format/volattr.h has them, with their ranges). A new volume has the defaults; a clone has all of its
 * source's but the cache floor; a snapshot has its source's mode, bypass and read-ahead, and the defaults for the rest;
 * a volume that is reverted keeps its own. */
enum hb_attr_bits {
	HB_ATTR_MODE = 1,
	HB_ATTR_IOPS = 2,
	HB_ATTR_BANDWIDTH = 4,
	HB_ATTR_BURST = 8,
	HB_ATTR_SHARE = 16,
	HB_ATTR_BYPASS = 32,
	HB_ATTR_READ_AHEAD = 64,
	HB_ATTR_PINS = 128, /* all of them: they replace those that were there */
	HB_ATTR_FLOOR = 256,
	HB_ATTR_ALL = 511,
	HB_ATTR_OF_SNAPSHOTS = HB_ATTR_IOPS | HB_ATTR_BANDWIDTH | HB_ATTR_BURST | HB_ATTR_SHARE | HB_ATTR_PINS |
			       HB_ATTR_FLOOR,
};
/* Sets those attributes that `which` names (enum hb_attr_bits) to what attr has, also while the volume is open;
 * requests that wait for a ceiling go on under the new one. Pins may come in any order and overlap: they are merged.
 * -EINVAL, nothing is changed: a value is out of its range, a pin is empty or ends behind the volume, a snapshot can
 * have no such attribute. -ENOSPC: the cache floors of all volumes would be more than half of the write tier, or more
 * than HB_FLOORS_MAX volumes would have one. Pins end where a volume is shrunk to. */
int hb_volume_set(struct hb_pool *pool, const char *name, const struct hb_volume_attr *attr, uint32_t which,
		  struct err *err);

/* Finds by name. Several opens are fine; each is closed once. Writes to a snapshot are answered with -EROFS. */
int hb_volume_open(struct hb_pool *pool, const char *name, struct hb_volume **ret, struct err *err);
/* Waits (env.wait) until the last request of this volume is done. */
void hb_volume_close(struct hb_volume *vol);
uint64_t hb_volume_size(const struct hb_volume *vol); /* bytes, now */
const uint8_t *hb_volume_uuid(const struct hb_volume *vol);
void hb_volume_info(const struct hb_volume *vol, struct hb_volume_info *ret);
struct hb_pool *hb_volume_pool(const struct hb_volume *vol);
/* In order of name; returns false at the end. `cursor` starts as "" and is advanced. */
bool hb_volume_next(struct hb_pool *pool, char cursor[HB_NAME_MAX + 1], struct hb_volume_info *ret);
/* One by name, or by id (also one that is being deleted); false: there is none. */
bool hb_volume_find(struct hb_pool *pool, const char *name, struct hb_volume_info *ret);
bool hb_volume_find_id(struct hb_pool *pool, uint32_t id, struct hb_volume_info *ret);

/* ------------------------------------------------------------------ snapshots, clones, groups
 * A snapshot or clone shares all blocks with its source, cached and dirty ones too, and takes effect between two
 * requests: what was answered is in it; of a request in flight each block is in it or not, an atomic one as a whole.
 * Nothing is flushed and nothing copied; the time does not depend on sizes. A group's members are of one instant, and
 * after a crash all of them are there or none. Any of a family may be deleted in any order. */
#define HB_GROUP_MAX 256

struct hb_snap {
	const char *source; /* a volume or a snapshot */
	const char *name; /* the new one's */
	bool writable; /* a clone; else a snapshot */
	const uint8_t *content; /* NULL: a new identity. Else: these bytes are known to be that content (an import) */
};

/* All n, or none with err set; the errors are those of hb_volume_create. Names within the group must differ. */
int hb_volume_snapshot(struct hb_pool *pool, const struct hb_snap *what, uint32_t n, struct err *err);

struct hb_revert {
	const char *volume;
	const char *snapshot; /* of the same family */
	const char *keep; /* the name of the new snapshot that holds the state before: reverting to it is undoing */
};

/* The volumes' bytes and sizes become the snapshots'. All n, or none. A volume that is open: -EBUSY, unless `in_use`
 * (its initiators must be told). -EINVAL: no snapshot, another family, a volume twice. */
int hb_volume_revert(struct hb_pool *pool, const struct hb_revert *what, uint32_t n, bool in_use, struct err *err);

/* What deleting would give back. Walked in steps, so that no loop waits: start with {0}, and call until it returns 1
 * (done); 0: not yet; -ENOENT: gone meanwhile. Exact if nothing changes between the steps. */
struct hb_usage {
	uint64_t next_leaf, exclusive_blk; /* the engine's */
	uint64_t mapped_bytes; /* as in hb_volume_info */
	uint64_t exclusive_bytes; /* in chunks that nothing else refers to: what deleting gives back, whole chunks */
	uint64_t shared_bytes; /* mapped blocks in chunks, or parts of the map, that others have, too */
};
int hb_volume_usage(struct hb_pool *pool, uint32_t id, struct hb_usage *u);

/* The first run at or after `off_bytes` in which snapshot `to` differs from snapshot `from` (id 0: from nothing), by
 * the map alone: no data is read, and a block that was written with what it held before counts. A run may be cut short
 * anywhere; the next one then follows directly. It ends at the end of `to`; what lies behind the end of `from` is new.
 * 1: found; 0: no more; -EAGAIN: none up to ret->off_bytes, go on from there (bounded work a call); -ENOENT; -EINVAL:
 * no snapshot, or not of one family. */
struct hb_diff_run {
	uint64_t off_bytes, len_bytes;
	bool mapped; /* in `to`; else it is zeros there */
};
int hb_volume_diff(struct hb_pool *pool, uint32_t from, uint32_t to, uint64_t off_bytes, struct hb_diff_run *ret);

/* The miss ratios that LRU caches of these sizes would have had on the volume's requests since the pool was opened
 * (older ones count less): an estimate from samples. 0; -ENOENT; -ENODATA: nothing was asked of it yet. */
int hb_volume_curve(struct hb_pool *pool, uint32_t id, const uint64_t *bytes, double *ret, uint32_t n);
/* Where it is read and written: blocks per bucket, each counting half after an hour. Returns how many buckets (at most
 * max, at most 1024), or -ENOENT, -ENODATA, -ENOMEM. */
struct hb_heat {
	float reads, writes;
};
int hb_volume_heat(struct hb_pool *pool, uint32_t id, struct hb_heat *ret, uint32_t max, uint64_t *ret_bucket_bytes);

/* Whether [off, off+*len) begins mapped; *len is cut to where that changes (4 KiB granularity; an unaligned head
 * counts with its block), scanning a bounded part of the volume at most. */
bool hb_volume_mapped(const struct hb_volume *vol, uint64_t off_bytes, uint64_t *len_bytes);

/* ------------------------------------------------------------------ requests */
enum hb_op {
	HB_READ, /* buf is filled: len_bytes */
	HB_WRITE, /* buf is written */
	HB_WRITE_SAME, /* buf (pattern_bytes: 512 or 4096, divides len) over the range; all zeros unmaps */
	HB_COMPARE, /* range against buf; -EILSEQ with error_off at the first difference */
	HB_COMPARE_WRITE, /* buf: len_bytes to compare, then len_bytes to write; atomic; at most HB_ATOMIC_MAX */
	HB_OR_WRITE, /* range |= buf */
	HB_UNMAP, /* range reads as zeros from now on; blocks wholly inside give their space back */
	HB_PREFETCH, /* warms: brings the range into RAM as far as it fits; buf NULL */
	HB_COPY, /* from src_vol at src_off_bytes; whole chunks are shared where offsets allow; buf NULL */
	HB_FLUSH, /* all writes answered so far are durable; off and len ignored */
	HB_OPS
};

enum { HB_FUA = 1, HB_ATOMIC = 2 };

struct hb_req {
	/* The caller's. Offsets and lengths: multiples of 512, within the volume (else -EINVAL, error_off). */
	enum hb_op op;
	uint32_t flags;
	struct hb_volume *vol;
	uint64_t off_bytes, len_bytes;
	void *buf; /* borrowed until done; any alignment */
	uint32_t pattern_bytes;
	struct hb_volume *src_vol;
	uint64_t src_off_bytes;
	void (*done)(struct hb_req *req); /* from hb_pool_run only, never from hb_submit */
	void *owner;
	/* Result. 0, or: -EIO (device), -EBADMSG (checksum; medium error), both with error_off; -ENOSPC (pool full),
	 * -EILSEQ (miscompare), -EINVAL, -ENOMEM, -EROFS, -ETIMEDOUT. */
	int error;
	uint64_t error_off; /* byte offset in the volume where it went wrong */
	/* The engine's. */
	struct link link;
	struct hb_pool *pool;
	uint64_t pos, seq, start_ns;
	uint64_t planned; /* reads: block up to which reading ahead was thought about */
	bool bypass; /* what it reads need not stay in the caches */
	uint64_t ready_ns; /* its volume's ceilings let it through */
	uint64_t wait_ns; /* since when it waits for its turn */
	uint64_t run_next; /* the block that goes on with the device read that it began last */
	uint32_t run_blk; /* blocks of that so far */
	uint32_t waiting; /* fetches this request waits for; or writes of bypass.c's */
	struct bypass_piece *pieces; /* what is on its way past the write tier */
	uint64_t past_from, past_to; /* whole chunks, blocks of the volume: those before past_to have gone that way */
	uint64_t past_flush, past_lost; /* the flush it waits for; the count of failed ones when it began */
	uint8_t past; /* how far it is (bypass.c) */
	bool past_failed;
	uint64_t round; /* of write-back, when it began to wait for that (through.c) */
	uint8_t state;
	bool turn, turned_away; /* it may begin a device read; it has to wait for that (turns.c) */
	bool paid; /* its writes were admitted by the throttle */
	struct frame **pinned; /* blocks held in memory until all are there (atomic requests) */
	uint16_t npinned;
};

/* Takes the request. True: it is finished, result in req->error, done() will not be called. False: done() will be
 * called later, in bounded time. Never calls done() itself. */
bool hb_submit(struct hb_req *req);
/* A flush of the whole pool: req needs done, owner; vol may be NULL if pool is given. */
bool hb_sync(struct hb_pool *pool, struct hb_req *req);

/* ------------------------------------------------------------------ looking at it */
#define HB_HIST_BUCKETS 96 /* log-linear, 4 per doubling, first bucket below 1 us; the last from 29 s on */
#define HB_VOL_HIST_BUCKETS 48 /* of a volume: each is two of those */
/* Where bucket i ends, ns; the last has no end: 0. */
uint64_t hb_hist_end_ns(unsigned bucket);

/* Where a block of a volume is, or was read from: the fastest of the places that have it. */
enum hb_place {
	HB_PLACE_ZERO, /* nowhere: not mapped, reads as zeros */
	HB_PLACE_RAM,
	HB_PLACE_STAGING, /* in the write tier's memory, on its way there */
	HB_PLACE_WRITE,
	HB_PLACE_LEVEL1, /* cache level n: HB_PLACE_LEVEL1 + n - 1 */
	HB_PLACE_CAPACITY = HB_PLACE_LEVEL1 + HB_LEVELS_MAX,
	HB_PLACES
};

/* A pool that has used so much of its capacity, or of its metadata area, says so in the log, once each time it gets
 * there (it has left a mark when it is two per cent below). */
#define HB_FULL_PCTS {80, 90, 95, 100}

enum hb_tier_state { HB_TIER_NONE, HB_TIER_ON, HB_TIER_OUT };

/* One cache level. Counts are since open. */
struct hb_tier_stats {
	char name[256];
	unsigned level; /* 1: below the write tier */
	enum hb_tier_state state;
	uint64_t bytes, used_bytes, memory_bytes;
	uint32_t loading_pct; /* 100: all that it held is known */
	uint64_t hit_blocks, read_blocks, bad_blocks, errors; /* bad: checksum; healed from the capacity device */
	uint64_t miss_blocks; /* looked for in vain by reads, while it was on */
	/* Came from RAM or fell from above; stayed on by being appended again; went a level down; went a level up. */
	uint64_t admitted_blocks, again_blocks, fallen_blocks, risen_blocks;
	uint64_t written_bytes, emptied_segments;
};

struct hb_stats {
	struct hb_tier_stats levels[HB_LEVELS_MAX];
	uint32_t nlevels;
	/* space */
	uint64_t capacity_bytes, free_bytes, limbo_bytes; /* chunks of the capacity device */
	uint32_t full_pct; /* 0, or how full the pool is said to be: 80, 90, 95, 100 (see HB_FULL_PCTS) */
	uint32_t volumes, deleting; /* snapshots included; whose space is still coming back */
	uint64_t log_bytes, log_free_bytes; /* write tier, by segments */
	uint64_t dirty_bytes, clean_bytes; /* live slots of the write tier */
	uint32_t loading_pct; /* of its clean segments, what is known again since open; 100: all */
	uint64_t ram_bytes, ram_used_bytes;
	uint64_t meta_pages, meta_free_pages;
	/* where reads were answered from, in 4 KiB blocks */
	uint64_t fallen_blocks, filled_blocks; /* write tier to the first cache level; into RAM */
	uint64_t read_ahead, ahead_used; /* fetched unasked; of these, asked for later */
	uint64_t bypassed_blocks; /* reads of long streams, not kept */
	uint64_t past_blocks; /* writes of long streams, past the write tier */
	uint64_t read_zero, read_ram, read_staging, read_ssd, read_levels, read_capacity;
	/* requests, by op */
	uint64_t reqs[HB_OPS], req_bytes[HB_OPS], req_errors[HB_OPS];
	uint64_t lat_read[HB_HIST_BUCKETS], lat_write[HB_HIST_BUCKETS], lat_flush[HB_HIST_BUCKETS];
	uint64_t lat_read_ns, lat_write_ns, lat_flush_ns; /* their sums */
	/* How far write-back is behind: age of the oldest segment with dirty blocks (since open; one part in 32 more at
	 * most), or the time since nothing was dirty when these numbers were asked for, if that is less. 0: nothing is
	 * dirty, or the pool is open for reading only. */
	uint64_t wb_lag_ns;
	/* log and write-back */
	uint64_t units, unit_blocks, flushes, checkpoints, segments_cleaned, blocks_moved;
	uint64_t wb_blocks, wb_runs, wb_flushes, admitted_blocks, checksum_errors, throttled, throttled_ns;
	uint64_t limited, limited_ns, queued, queued_ns; /* as in struct hb_volume_waits; queued: reads only */
	uint64_t healed_blocks; /* a bad copy was written anew from the other half */
	/* last recovery */
	uint64_t replayed_units, replayed_blocks, staged_units, recovery_ns;
	bool was_clean;
	/* health */
	bool failed, read_only; /* failed: writes answer -EIO */
	char trouble[160]; /* "" when healthy */
	/* memory */
	uint64_t mem_index, mem_map, mem_ram_meta, mem_other;
};
void hb_pool_stats(struct hb_pool *pool, struct hb_stats *ret);
struct dev *hb_pool_dev(struct hb_pool *pool, enum hb_role role);
/* Of the i-th entry of hb_stats.levels; NULL: it has none. */
const struct dev *hb_pool_level_dev(const struct hb_pool *pool, unsigned i);

/* What a volume's initiators asked for, since the pool was opened. */
enum hb_ask { HB_ASK_READ, HB_ASK_WRITE, HB_ASK_UNMAP, HB_ASK_FLUSH, HB_ASK_OTHER, HB_ASKS }; /* copy is a write */
struct hb_volume_stats {
	uint64_t reqs[HB_ASKS], bytes[HB_ASKS], errors[HB_ASKS];
	uint64_t read_blocks[HB_PLACES]; /* where reads were answered from, in 4 KiB blocks */
	uint64_t lat_read[HB_VOL_HIST_BUCKETS], lat_write[HB_VOL_HIST_BUCKETS]; /* write: without unmaps */
	uint64_t lat_read_ns, lat_write_ns;
};
/* False: there is none of that id. */
bool hb_volume_stats(struct hb_pool *pool, uint32_t id, struct hb_volume_stats *ret);

/* A map of a volume: how many of its blocks are where, by buckets of equal size. Walked in steps of bounded work, and
 * sampled when the volume is large: of every `every` chunks one is looked at. So counts are of the blocks looked at;
 * shares are what they tell. */
struct hb_places_plan {
	uint64_t bucket_bytes; /* a multiple of every chunks */
	uint32_t every; /* 1: all chunks */
};
struct hb_places {
	uint64_t blocks[HB_PLACES]; /* staging counts as the write tier */
	uint64_t dirty; /* of them, not on the capacity device yet; also those in RAM, too */
};
#define HB_PLACES_BUCKETS_MAX 1024u
/* A plan with at most that many buckets (1 .. HB_PLACES_BUCKETS_MAX) that looks at about 4 GiB at most. -ENOENT. */
int hb_volume_places_plan(struct hb_pool *pool, uint32_t id, uint32_t buckets, struct hb_places_plan *ret);
/* Adds to ret[i], which is bucket i, from *off_bytes on (0 at first), which it moves. 1: done; 0: call again; -ENOENT;
 * -EINVAL: the plan or the offset is none. The volume's end is where it is now, at most `buckets` buckets. */
int hb_volume_places(struct hb_pool *pool, uint32_t id, const struct hb_places_plan *plan, uint64_t *off_bytes,
		     struct hb_places *ret, uint32_t buckets);

/* Proves that all derived state agrees, and (deep) reads back pages, footers and every live slot's checksum.
 * Reports each finding: class is one of HB_CHECK_*. Returns the number of findings, or -errno. */
enum hb_check_class { HB_CHECK_SPACE = 1, HB_CHECK_MAP = 2, HB_CHECK_INDEX = 4, HB_CHECK_LOG = 8, HB_CHECK_DATA = 16 };
int hb_pool_check(struct hb_pool *pool, bool deep, void (*report)(void *ctx, enum hb_check_class c, const char *text),
		  void (*progress)(void *ctx, uint64_t done, uint64_t total), void *ctx);
/* Writes all dirty blocks back, as far as possible, and waits (tools, tests). 0 or -errno. */
int hb_pool_writeback(struct hb_pool *pool);

/* ------------------------------------------------------------------ scrubbing
 * In the background every block of the fast tiers is read and its checksum compared, and of the capacity device, which
 * has no checksums, every chunk in use is read. What is bad is healed from another copy where there is one. A scrub
 * ends with the pool's closing and does not go on after the next open: it is begun again from the start. */
enum hb_scrub_what { HB_SCRUB_FAST = 1, HB_SCRUB_CAPACITY = 2, HB_SCRUB_ALL = 3 };
enum hb_scrub_state {
	HB_SCRUB_NEVER, /* since open */
	HB_SCRUB_RUNNING,
	HB_SCRUB_STOPPING, /* as soon as the read under way has ended */
	HB_SCRUB_STOPPED, /* before its end: hb_scrub_stop, or the pool failed */
	HB_SCRUB_DONE
};
#define HB_SCRUB_RATE_BYTES_S MIB(20) /* what to ask for when nobody says otherwise */
#define HB_SCRUB_LISTED 100u /* unreadable blocks that are listed; all are counted */

struct hb_scrub {
	enum hb_scrub_what what;
	uint64_t rate_bytes_s; /* of each device, at most; 0: as fast as it goes */
};

struct hb_scrub_status {
	enum hb_scrub_state state;
	struct hb_scrub how;
	unsigned tier; /* where it is: 0 the write tier; n cache level n; HB_LEVELS_MAX + 1 the capacity device */
	uint64_t done_bytes, total_bytes; /* total: by what there is at this moment */
	uint64_t skipped_bytes; /* of done_bytes: a device did not answer, or failed */
	/* Blocks: bad in any way; of these healed, lost (write tier), unreadable (capacity device, and no copy). */
	uint64_t found_blocks, healed_blocks, lost_blocks, unreadable_blocks;
	uint64_t unreadable[HB_SCRUB_LISTED]; /* blocks of the capacity device */
	uint64_t started_s, finished_s; /* seconds since 1970; finished: 0 while it is not over */
	uint64_t eta_s; /* seconds to go; UINT64_MAX: not known */
};

/* Begins at the first block. -EBUSY: one is under way; -EINVAL; -EROFS, -EIO: the pool takes no changes; -ENOMEM. */
int hb_scrub_start(struct hb_pool *pool, const struct hb_scrub *how, struct err *err);
void hb_scrub_stop(struct hb_pool *pool); /* nothing happens where none is under way */
void hb_scrub_status(const struct hb_pool *pool, struct hb_scrub_status *ret);

#endif
