/* SPDX-License-Identifier: GPL-2.0-only */
/* conf.h - configuration files: JSON, strictly checked.
 *
 *	{
 *		"control": { "socket": "/run/hybrid/control.sock", "mode": "0600" },
 *		"pools": [ {
 *			"name": "main",
 *			"staging": "/dev/shm", "open": "start",
 *			"tiers": [
 *				{ "type": "ram", "size": "256MiB" },
 *				{ "type": "ssd", "path": "/dev/disk/by-id/..." },
 *				{ "type": "ssd", "path": "/dev/disk/by-id/..." },
 *				{ "type": "capacity", "path": "pool.hdd", "size": "2GiB" }
 *			],
 *			"chunk": "64KiB", "segment": "2MiB",
 *			"write_back": { "dirty_low": "20%", "dirty_high": "60%", "idle": "30s", "depth": 16 }
 *		} ]
 *	}
 *
 * Required: pools, name, tiers (fastest first: one ram; the ssd that is the write tier, and up to 4 more that are
 * cache levels; one capacity), the size of ram, the device of the others: "path"; or, of the write tier, "paths" of a
 * mirror's two halves; or, of a level or the capacity tier, "iscsi" for a remote LUN:
 *
 *	"iscsi": { "portal": "host:3260", "target": "iqn...", "lun": 1, "initiator": "iqn...", "connections": 2,
 *		   "user": "...", "secret_file": "...", "mutual_user": "...", "mutual_secret_file": "...",
 *		   "patience": "25s" }
 *
 * For trials a device may be as slow as a rotating disk (dev/hdd.h): "model": "hdd", or "model": { "type": "hdd",
 * "rpm": 7200, "rate": "180MB", "ahead": "1MiB", "write_cache": "0", "depth": 32, "age": "500ms", "scale": 0.1 }.
 * "rate" is the outermost one, a second; the innermost is half of it.
 *
 * What is wrong is told in one sentence "FILE:LINE: what is wrong, what was expected", and nothing is half-loaded.
 * Whether devices exist is not looked at here, only that none is named twice. Relative paths start at the file's
 * directory.
 */
#ifndef HB_CONF_CONF_H
#define HB_CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "dev/hdd.h"
#include "engine/engine.h"

#define CONF_DEFAULT_FILE "/etc/hybrid/hybrid.json"	/* unless the environment has HYBRID_CONF */
#define CONF_DEFAULT_SOCKET "/run/hybrid/control.sock"
#define CONF_DEFAULT_STAGING "/dev/shm"
#define CONF_FILE_BYTES_MAX (1u << 20)
#define CONF_POOLS_MAX 256
#define CONF_RAM_BYTES_MIN MIB(4)

enum conf_tier_type {
	CONF_RAM,
	CONF_SSD,			/* the write tier */
	CONF_CAPACITY,
	CONF_MIRROR,			/* the write tier's other half */
	CONF_LEVEL1,			/* cache levels, fastest first, without gaps */
	CONF_LEVEL2,
	CONF_LEVEL3,
	CONF_LEVEL4,
	CONF_TIER_TYPES
};
_Static_assert(CONF_TIER_TYPES - CONF_LEVEL1 == HB_LEVELS_MAX, "each level has a place");

/* A remote LUN; see dev/iscsi.h. Strings are NULL when not given. */
struct conf_iscsi {
	char *portal;			/* "host:port" */
	char *target, *initiator;
	char *user, *mutual_user;	/* CHAP */
	char *secret_file, *mutual_secret_file;		/* absolute; with their users */
	uint32_t lun, connections;	/* connections 0: the default */
	uint64_t patience_ns;		/* 0: the default */
};

/* A timing model over a device, for trials; see dev/hdd.h. */
struct conf_hdd {
	bool on;
	struct hdd_model model;
};

/* All of a pool's tiers have this; those with line 0 are not there. */
struct conf_tier {
	char *path;			/* absolute; NULL: ram, or a remote LUN */
	struct conf_iscsi *iscsi;	/* NULL: none */
	char *name;			/* of the device, for messages: the path, or "iscsi://..."; NULL: ram */
	struct conf_hdd hdd;
	uint64_t size_bytes;		/* multiple of 4 KiB; 0: not given (as large as the device is) */
	unsigned int line;		/* where in the file, for messages */
};

struct conf_pool {
	char name[HB_NAME_MAX + 1];
	const char *file;		/* borrowed from the conf: for messages */
	unsigned int line;
	char *staging;			/* directory, absolute */
	bool open_at_start;		/* by tgtd, before any LUN names it */
	struct conf_tier tiers[CONF_TIER_TYPES];
	/* 0: not given, the engine's default. */
	uint32_t chunk_bytes, segment_bytes;
	uint32_t dirty_low_pct, dirty_high_pct;		/* both or neither */
	uint64_t idle_ns;
	uint32_t depth;
};

struct conf {
	char *file;			/* as it was named */
	char *socket;			/* absolute */
	mode_t socket_mode;
	struct conf_pool *pools;	/* at least one */
	size_t npools;
};

/* Loads `file`; NULL: the default. Symbolic links are followed; all but a regular file of at most 1 MiB is refused.
 * Errors: -EINVAL (the sentence says where), -ENOENT and the like, -ENOMEM. */
int conf_load(const char *file, struct conf **ret, struct err *err);
/* The same from memory; `file` is for messages and for relative paths. */
int conf_parse(const char *text, size_t len, const char *file, struct conf **ret, struct err *err);
void conf_free(struct conf *conf);	/* NULL is fine */
/* NULL: no such pool. */
const struct conf_pool *conf_find_pool(const struct conf *conf, const char *name);
/* As in the file: "ram", "ssd" (levels, too), "capacity". */
const char *conf_tier_name(enum conf_tier_type type);

#endif
