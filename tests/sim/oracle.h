/* SPDX-License-Identifier: GPL-2.0-only */
/* oracle.h - what every sector of every volume may hold, now and after a crash.
 *
 * A sector's content is one 64-bit value, its id: 8-byte word i of the sector is the id rotated left by i bits. Zeros
 * are id 0, and the OR of two sectors is the OR of their ids. Ids are unique per write and sector, so data in a wrong
 * place, or of a wrong time, has no alibi.
 *
 * Time is counted in events. An operation begins at an event and ends at one; between the two, and for ever if it
 * failed, each 4 KiB block it touches is either done or not (all of an atomic one's blocks together). It is `sure`
 * once it ended well. Version k of a sector *replaces* version j if k's operation began after j's ended and k is sure.
 *
 * A snapshot or clone is a volume that begins with what its source could hold at that event: what was answered is in
 * it, and of each operation in doubt each 4 KiB block (an atomic one's together) is in it or not, which never changes
 * again in a snapshot. Reverting is an atomic operation that writes the whole volume. All of a group belong to one
 * change of the list of volumes.
 *
 * After the death of the process the world must look as at its last event. After a power cut there must be one event T,
 * not before the last flush that was answered began, at which *all* sectors and the list of volumes could have looked
 * like this: operations that ended before T are there, those that began after T are not. (So survivors are a prefix of
 * all writes in the order of their answers.) In any case what was answered as durable is there.
 */
#ifndef TESTS_SIM_ORACLE_H
#define TESTS_SIM_ORACLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/engine.h"

#define ORACLE_SECTOR 512u
#define NO_EVENT UINT64_MAX

struct oracle;
typedef uint32_t op_t; /* an operation's number; 0: the beginning of the world */

struct why {
	char text[600]; /* "" while all is well */
};
void why_set(struct why *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* ------------------------------------------------------------------ sectors as values */
void sector_fill(void *sector, uint64_t id);
/* False: no id makes this sector (torn, or not ours). */
bool sector_id(const void *sector, uint64_t *ret);

/* ------------------------------------------------------------------ history */
uint64_t oracle_now(const struct oracle *o); /* the last event */
struct oracle *oracle_new(void);
void oracle_free(struct oracle *o);
uint64_t oracle_event(struct oracle *o); /* a new event; returns its number */

/* Volumes. Operations on them are begun before the call into the engine and ended after it. */
struct ovol;
struct ovol *oracle_vol_create(struct oracle *o, const char *name, uint64_t size_bytes);
void oracle_vol_delete(struct oracle *o, struct ovol *v);
void oracle_vol_rename(struct oracle *o, struct ovol *v, const char *name);
void oracle_vol_resize(struct oracle *o, struct ovol *v, uint64_t size_bytes); /* grow or shrink */
void oracle_vol_set(struct oracle *o, struct ovol *v, const struct hb_volume_attr *attr);
const struct hb_volume_attr *oracle_attr(const struct oracle *o, const struct ovol *v); /* now */

struct osnap {
	struct ovol *source;
	const char *name;
	bool writable;
	struct ovol *made; /* out; freed if it never happened */
};
void oracle_vol_snapshot(struct oracle *o, struct osnap *what, unsigned n);
struct orevert {
	struct ovol *v, *snapshot;
	const char *keep;
	struct ovol *kept; /* out; freed if it never happened */
};
void oracle_vol_revert(struct oracle *o, struct orevert *what, unsigned n);
/* The last begun operation on volumes has come back; !ok: it never happened. */
void oracle_vol_end(struct oracle *o, bool ok);
/* The n-th volume that exists now, or NULL. */
struct ovol *oracle_vol(const struct oracle *o, unsigned n);
/* What the engine says of a new volume: id, uuid, parent, family and content stay what they are. */
void oracle_vol_known(struct ovol *v, const struct hb_volume_info *info);
const char *ovol_name(const struct ovol *v);
bool ovol_frozen(const struct ovol *v); /* a snapshot */
uint32_t ovol_id(const struct ovol *v); /* 0: not told yet */
uint32_t ovol_family(const struct ovol *v);
uint64_t ovol_size(const struct ovol *v);
uint64_t ovol_sectors(const struct ovol *v);

/* Writes: begin, say what each sector becomes, end. */
/* Requests that began before `event` have all been answered: what was replaced by then no read can find. */
void oracle_horizon(struct oracle *o, uint64_t event);
op_t oracle_begin(struct oracle *o, enum hb_op kind, bool atomic);
void oracle_write(struct oracle *o, op_t op, struct ovol *v, uint64_t sector, const uint64_t *ids, uint64_t n);
enum op_end { OP_DONE, OP_DURABLE, OP_FAILED /* perhaps in part */, OP_NEVER /* certainly not */ };
void oracle_end(struct oracle *o, op_t op, enum op_end how);
/* A flush that began at event `since` was answered well. */
void oracle_flushed(struct oracle *o, uint64_t since);

/* The one thing a sector can hold now; false if that is uncertain (something is in flight, or failed). */
bool oracle_certain(const struct oracle *o, const struct ovol *v, uint64_t sector, uint64_t *ret_id);
/* Data that was read by a request that began at event `since` and is answered now. */
bool oracle_read(const struct oracle *o, const struct ovol *v, uint64_t sector, const void *data, uint64_t n,
		 uint64_t since, struct why *why);

/* A snapshot was read well: it holds this for ever. */
void oracle_pin(const struct oracle *o, struct ovol *v, uint64_t sector, const void *data, uint64_t n);

/* A sector of snapshot b against the same one of snapshot a (NULL, or behind a's end: nothing). SAME_BLOCK: nobody
 * wrote it in between. */
enum likeness { SAME_BLOCK, MAY_DIFFER, DIFFERENT };
enum likeness oracle_compare(const struct oracle *o, const struct ovol *a, const struct ovol *b, uint64_t sector);
bool oracle_may_hold(const struct oracle *o, const struct ovol *v, uint64_t sector, uint64_t id);

/* ------------------------------------------------------------------ after a crash */
enum oracle_rule {
	AFTER_DEATH, /* all that was answered */
	AFTER_POWER_CUT, /* a prefix that contains all that is durable */
	/* Damaged media. The end of the log may be cut off, while some of what it held was (or was being) written back
	 * already: each sector is judged alone, and may be unreadable. */
	AFTER_BIT_FLIP, /* one bit: nothing older than what later durable writes vouch for */
	AFTER_DAMAGE, /* anything that it ever held */
};
struct verdict;

struct verdict *verdict_begin(struct oracle *o, enum oracle_rule rule);
/* All volumes found, by name, each with its size. Returns the oracle's idea of the n-th, by *ret[n]. */
bool verdict_volumes(struct verdict *x, const struct hb_volume_info *found, unsigned n, struct ovol **ret,
		     struct why *why);
/* What was found in a volume. */
bool verdict_data(struct verdict *x, struct ovol *v, uint64_t sector, const void *data, uint64_t n, struct why *why);
/* After all data: one event T for all, atomic operations whole. */
bool verdict_settle(struct verdict *x, struct why *why);
/* What was found in the n-th volume that was read, and how many sectors; NULL: no more. */
const uint64_t *verdict_found(const struct verdict *x, unsigned n, struct ovol **ret_v, uint64_t *ret_sectors);
/* A hash over all that was found. */
uint64_t verdict_hash(const struct verdict *x);
/* Makes what was found the history's present: the world goes on from here. After a power cut it is durable. */
void verdict_adopt(struct verdict *x);
void verdict_free(struct verdict *x);

#endif
