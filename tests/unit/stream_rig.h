/* SPDX-License-Identifier: GPL-2.0-only */
/* stream_rig.h - what the tests of streams share: two pools on RAM devices, snapshots to send, streams in memory that
 * give and take as little as a test wants.
 */
#ifndef HB_TESTS_UNIT_STREAM_RIG_H
#define HB_TESTS_UNIT_STREAM_RIG_H

#include "../fuzz/ram_pool.h"
#include "base/bytes.h"
#include "stream/stream.h"
#include "stream/wire.h"

#define VOL_BYTES MIB(8)

extern struct ram_pool a, b;	/* streams go from a to b */

void pools_open(void);
/* Checks both, and closes them. */
void pools_close(void);

/* Runs a request to its end; returns its error. */
int request(struct ram_pool *r, struct hb_volume *vol, enum hb_op op, uint64_t off, uint64_t len, void *buf);
/* These must succeed. */
struct hb_volume *open_volume(struct ram_pool *r, const char *name);
void put(struct ram_pool *r, const char *name, uint64_t off, uint64_t len, uint64_t with);	/* 0: zeros */
void unmap(struct ram_pool *r, const char *name, uint64_t off, uint64_t len);
void snap(struct ram_pool *r, const char *source, const char *name, bool writable);
void drop(struct ram_pool *r, const char *name);
struct hb_volume_info info_of(struct ram_pool *r, const char *name);
/* A volume "v" of VOL_BYTES, and three snapshots of it that differ in every way: s1, s2, s3. */
void make_chain(struct ram_pool *r);
/* Both snapshots must have the same size, bytes, holes and identity. */
void same(const char *in_a, const char *in_b);
/* How many volumes of the pool are snapshots, and how many are not. */
void count_volumes(struct ram_pool *r, unsigned *snapshots, unsigned *others);
void b_has(unsigned snapshots, unsigned others);

/* A stream in memory. */
struct pipe {
	uint8_t *bytes;		/* malloc'd */
	size_t len, room, pos;
	size_t most;		/* given or taken at once; 0: all */
	bool stutters;		/* says -EAGAIN every other time */
	bool said_wait;
	int fails_with;		/* at its end, instead of the end */
	size_t full_at;		/* takes no more from there on: -EPIPE; 0: never */
};

int64_t pipe_write(void *ctx, const void *buf, size_t len);
int64_t pipe_read(void *ctx, void *buf, size_t len);

/* Both return the code, and the sentence in *err. A stream is read from its beginning. */
int try_export(struct ram_pool *r, const char *snapshot, const char *from, struct pipe *to, struct err *err);
enum { RESUME = 1, AGAIN = 2 };
int try_import(struct ram_pool *r, struct pipe *from, const char *name, unsigned flags, struct err *err);
/* Must succeed. The stream's bytes are malloc'd. */
struct pipe export(struct ram_pool *r, const char *snapshot, const char *from);
/* Into b. Must succeed. */
void import(struct pipe *from, const char *name, unsigned flags);
/* The import into b must end with this code, and with these words among others. */
void refused(struct pipe *from, const char *name, unsigned flags, int code, const char *words);

/* How long the frame at `at` is; where frame n begins; how many there are, the end being one. */
size_t frame_bytes(const struct pipe *p, size_t at);
size_t frame_at(const struct pipe *p, unsigned n);
unsigned frames_of(const struct pipe *p);

#endif
