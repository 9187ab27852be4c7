/* SPDX-License-Identifier: GPL-2.0-only */
/* host.h - one real pool: its devices as the configuration names them, locked, with staging memory, clock and log.
 *
 * Whoever opens a pool holds a lock on each of its devices until it closes: another process, or another open in this
 * process, is refused. The engine lives on the caller's thread: use host_pool_engine() with hb_pool_run().
 *
 * Errors are one sentence, with the configuration's file and line where it is about a tier. Codes: -EBUSY in use;
 * -EEXIST something is on the device already; -ENOENT a device is missing; -ENODATA, -EXDEV no pool's device or the
 * wrong one; -ENOSPC no room (for files, or staging memory), device too small; those of hb_pool_open().
 */
#ifndef HB_HOST_HOST_H
#define HB_HOST_HOST_H

#include <stdbool.h>

#include "conf/conf.h"
#include "engine/engine.h"

struct host_pool;

enum { HOST_READ_ONLY = 1 /* tools: recovers in memory, writes nothing anywhere */ };

/* Where this process wants log lines of all pools; NULL (the start): nowhere. Not while a pool is open. */
void host_log_to(void (*line)(void *ctx, enum hb_log_level level, const char *text), void *ctx);

/* Formats the devices of `conf`. Missing files are made when the tier has a size, and removed again on failure.
 * Refuses devices with anything recognisable on them (partitions, file systems, RAID, another pool) unless `force`,
 * and devices in use even then. */
int host_pool_create(const struct conf_pool *conf, bool force, struct err *err);

/* Opens; `conf` is not needed after that. A cache level that is missing, in use, or not this pool's is no error: the
 * log says it, and the pool opens without it. Opened read-only, a pool takes no cache level into use. */
int host_pool_open(const struct conf_pool *conf, unsigned flags, struct host_pool **ret, struct err *err);
struct hb_pool *host_pool_engine(struct host_pool *host);
/* Closes cleanly and frees, whatever is returned: 0 or hb_pool_close()'s error. */
int host_pool_close(struct host_pool *host, struct err *err);
/* Frees as a crash would; what was answered is recovered by the next open. */
void host_pool_abandon(struct host_pool *host);

/* ------------------------------------------------------------------ cache levels of an open pool */
/* A device or file becomes a cache level below all others; see hb_level_add(). A missing file is made (sparse) when
 * `size_bytes` is given, and removed again on failure. What holds anything is refused unless `force`, as at creation;
 * so is what is in use. *ret_known: the configuration that the pool was opened from names it already. The descriptors
 * of hb_pool_event_fds() have changed after this. */
int host_level_add(struct host_pool *host, const char *path, uint64_t size_bytes, bool force, unsigned *ret_level,
		   bool *ret_known, struct err *err);
/* See hb_level_remove(). The device is in use until host_pool_settle() after it was closed. *ret_known: as above. */
int host_level_remove(struct host_pool *host, unsigned level, bool *ret_known, struct err *err);
/* To be called when the descriptors of hb_pool_event_fds() have changed: devices that were closed may be used by
 * others again. */
void host_pool_settle(struct host_pool *host);
/* The device of the level of that number (as in hb_tier_stats), "" if there is none. Owner: the host. */
/* A blank device in the place of the half of a mirrored write tier that is out; it is made good in the background. */
int host_mirror_replace(struct host_pool *host, const char *path, bool force, struct err *err);
const char *host_level_name(const struct host_pool *host, unsigned level);
/* The n-th level (from 0) that the configuration names and that is not in use, NULL at the end. *ret_unused: because
 * the pool is open read-only; else it was left out. Owner: the host. */
const char *host_level_absent(const struct host_pool *host, unsigned n, bool *ret_unused);

#endif
