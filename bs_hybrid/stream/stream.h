/* SPDX-License-Identifier: GPL-2.0-only */
/* stream.h - a snapshot as a stream of bytes, whole or as what changed since another one; and back into a pool.
 *
 * Exporter and importer are state machines beside the engine: they have a few reads or writes in flight, hold at most
 * `depth` MiB, and never wait. Their owner calls ..._run() in its loop, after hb_pool_run(), and what it returns says
 * what to call it again for. The stream goes to a sink or comes from a source, which may be a pipe that takes or gives
 * less than was asked for, or nothing now.
 *
 * What is promised of an import:
 * (1) The new snapshot is there when the whole stream has come and was right, or not at all; also after a crash.
 * (2) It has the stream's content, byte by byte, holes as holes, so that a later stream may start from it.
 * (3) When STREAM_DONE was returned it survives a power cut.
 * Until then the data are in a volume named "import-" and the stream's content in hexadecimal digits, which nobody else
 * may change. It stays when an import ends early, for a later one to go on from; damage deletes it.
 *
 * One thread, the pool's. Nothing here may be called from within hb_pool_run().
 */
#ifndef HB_STREAM_STREAM_H
#define HB_STREAM_STREAM_H

#include "engine/engine.h"

/* Where the bytes go. Takes at most `len`; returns how many it took (1 or more), -EAGAIN: none now, or another -errno,
 * which ends the export. */
struct stream_sink {
	void *ctx;
	int64_t (*write)(void *ctx, const void *buf, size_t len);
};

/* Where they come from. Gives at most `len`; returns how many (1 or more), 0: there will be no more, -EAGAIN: none now,
 * or another -errno, which ends the import. */
struct stream_source {
	void *ctx;
	int64_t (*read)(void *ctx, void *buf, size_t len);
};

/* Optional (NULL: not wanted). Runs inside ..._run(), in bytes of data; `total` is known from the beginning. */
struct stream_progress {
	void *ctx;
	void (*tell)(void *ctx, uint64_t done, uint64_t total);
};

/* What ..._run() returns: STREAM_DONE or STREAM_FAILED alone, or when to call it again: any of the others. */
enum {
	STREAM_AGAIN = 1, /* soon, after a turn of the pool: it has work, and stopped only to let others have theirs */
	STREAM_PIPE = 2, /* when the sink takes, or the source gives, bytes again */
	STREAM_POOL = 4, /* when hb_pool_run() has answered requests, or has run once more when it wanted to */
	STREAM_DONE = 8,
	STREAM_FAILED = 16, /* ..._error() says why */
};

#define STREAM_DEPTH 16u /* default, and the most, of `depth` */

/* ------------------------------------------------------------------ export */
struct stream_export_how {
	struct hb_pool *pool; /* may be open read-only */
	const char *snapshot;
	const char *from; /* an older snapshot of its family; NULL: the whole */
	struct stream_sink sink;
	struct stream_progress progress;
	unsigned depth; /* reads in flight; 0: default */
};

struct stream_export;

/* Opens both snapshots, so that they stay while this lasts. `how` is not needed after that. Errors: -ENOENT; -EINVAL
 * (no snapshots, not of one family, or the same); -ENOMEM. */
int stream_export_new(const struct stream_export_how *how, struct stream_export **ret, struct err *err);
unsigned stream_export_run(struct stream_export *x);
/* Codes: those of the sink (-EPIPE), and of the engine: -EIO, -EBADMSG (a block is lost), -ENOMEM. */
const struct err *stream_export_error(const struct stream_export *x);
/* Bytes of data that went out. */
uint64_t stream_export_bytes(const struct stream_export *x);
/* At any time; waits (env.wait) for reads in flight. NULL is fine. */
void stream_export_free(struct stream_export *x);

/* ------------------------------------------------------------------ import */
struct stream_import_how {
	struct hb_pool *pool;
	const char *name; /* of the new snapshot; NULL: what it was called where it was exported */
	bool resume; /* go on from what an earlier import of the same stream left, if there is something */
	bool again; /* also if a snapshot with this content is there already */
	struct stream_source source; /* ends with the stream */
	struct stream_progress progress;
	unsigned depth; /* writes in flight; 0: default */
};

struct stream_import;

/* `how` is not needed after that; its name is copied. Errors: -EINVAL (the name), -ENOMEM. */
int stream_import_new(const struct stream_import_how *how, struct stream_import **ret, struct err *err);
unsigned stream_import_run(struct stream_import *x);
/* Codes: -EBADMSG damaged; -EPROTONOSUPPORT of a newer program; -EPIPE cut short; -EEXIST the content or the name is
 * there already; -ENOENT the snapshot it starts from is not there; -EBUSY being imported already; -EINVAL what is there
 * was not left by this stream; -ENOSPC, -EROFS, -EIO, -ENOMEM; those of the source. */
const struct err *stream_import_error(const struct stream_import *x);
uint64_t stream_import_bytes(const struct stream_import *x);
/* The new snapshot's name, once the header has come; "" before. */
const char *stream_import_name(const struct stream_import *x);
/* At any time; waits (env.wait) for requests in flight. What came so far stays. NULL is fine. */
void stream_import_free(struct stream_import *x);

#endif
