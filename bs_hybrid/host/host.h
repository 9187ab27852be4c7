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

/* Opens; `conf` is not needed after that. */
int host_pool_open(const struct conf_pool *conf, unsigned flags, struct host_pool **ret, struct err *err);
struct hb_pool *host_pool_engine(struct host_pool *host);
/* Closes cleanly and frees, whatever is returned: 0 or hb_pool_close()'s error. */
int host_pool_close(struct host_pool *host, struct err *err);
/* Frees as a crash would; what was answered is recovered by the next open. */
void host_pool_abandon(struct host_pool *host);

#endif
