/* SPDX-License-Identifier: GPL-2.0-only */
/* pools.h - the open pools of this tgtd, by name.
 *
 * A pool is opened by the first LUN that names it, or when tgtd starts ("open": "start"), and stays open until tgtd
 * ends: caches stay warm and write-back goes on between two LUNs. At the end, pools without a LUN are closed cleanly;
 * the others are left as a crash would leave them, which loses nothing that was promised.
 */
#ifndef HB_TGT_POOLS_H
#define HB_TGT_POOLS_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/engine.h"

struct host_pool;

/* A descriptor of a device, and our duplicate of it, which tgtd watches. */
struct watch {
	int fd, dup;
};

struct pool {
	struct link link;
	struct host_pool *host;
	struct hb_pool *hb;
	char *conf_path;		/* the file it was opened from */
	/* loop.c's */
	struct watch watches[HB_DEVS_MAX];
	int nwatches;
	bool rewatch;			/* its descriptors have changed, or may have */
	bool unwatched;			/* not all of them could be watched */
	uint64_t deadline;		/* when hb_pool_run() wants to be called */
	bool touched;			/* to be run */
	bool urgent;			/* in this pass */
	unsigned fresh, seen;		/* commands since the last run, and at the end of the last pass */
};

/* The open pool of that name; opened now from this configuration file (NULL: the default one) if it is not. */
int pools_get(const char *conf_path, const char *name, struct pool **ret, struct err *err);
/* When tgtd is about to begin: the pools of the default configuration that want to be open from the start are opened in
 * its loop's first pass, and the control socket with them. One that cannot be is a line in the log; a LUN may try
 * again. Without that file nothing happens. */
void pools_open_at_start(void);
/* In no order; NULL: the first, and at the end. */
struct pool *pools_next(struct pool *after);
/* At exit. */
void pools_close_all(void);

#endif
