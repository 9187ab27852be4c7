/* SPDX-License-Identifier: GPL-2.0-only */
/* bypass.h - long sequential writes that go past the write tier, straight to the capacity device (bypass.c). Part of
 * pool.h. */
#ifndef HB_ENGINE_BYPASS_H
#define HB_ENGINE_BYPASS_H

#include "base/units.h"
#include "dev/dev.h"
#include "format/volattr.h"

struct hb_pool;
struct hb_req;
struct seqs;

#define BYPASS_PIECES 32u /* 16 MiB: the longest request */
#define BYPASS_PIECE_BLK 128u /* a piece of a request; the most that one REC_CHUNKS maps */
#define BYPASS_CHUNKS (BYPASS_PIECE_BLK / 16u)

/* A part of a request, copied out of its buffer. The chunks that follow one another are one write. */
struct bypass_piece {
	struct bypass_piece *next; /* of the request, or free */
	struct link line; /* bypass.line, until it is sent */
	struct hb_req *req;
	uint8_t *mem; /* BYPASS_PIECE_BLK blocks; NULL: not had yet, or left to a device that is late */
	uint64_t vblk; /* where it begins in the volume */
	uint32_t nchunks, mapped; /* the first so many have become the volume's */
	uint32_t writes; /* in flight */
	chunk_t chunk[BYPASS_CHUNKS];
	struct iovec iov[BYPASS_CHUNKS];
	struct dev_io io[BYPASS_CHUNKS]; /* by the first chunk of each write */
};

struct bypass {
	struct seqs *seqs; /* streams of writes, by volume */
	struct bypass_piece *pieces, *free;
	uint32_t nfree;
	uint32_t taken; /* chunks that are neither free nor in any map yet */
	struct link waiters; /* requests, for free pieces */
	struct link line; /* pieces to be sent */
	uint32_t flight_blk; /* sent and not ended */
	struct link unflushed; /* requests that are written, in the order in which they ended */
	uint64_t flushes; /* begun so far */
	uint64_t lost; /* flushes of the device that failed, whoever asked for them */
	bool flushing;
	struct dev_io flush_io;
};

int bypass_init(struct hb_pool *p); /* 0 or -ENOMEM */
void bypass_fini(struct hb_pool *p);
uint64_t bypass_bytes(const struct hb_pool *p);
/* Of a plain write: true: what is not within past_from .. past_to is to be written the ordinary way. False: the
 * request waits. */
bool bypass_step(struct hb_req *r);
/* Gives back what the request holds. Nothing of it is in flight. */
void bypass_drop(struct hb_req *r);
bool bypass_pump(struct hb_pool *p);
/* A flush of the capacity device failed: what was written before it may be lost, whatever later ones say. */
void bypass_flush_lost(struct hb_pool *p);
/* The same, said by write-back or by us: to all whom it concerns (writeback.c). */
void cap_flush_failed(struct hb_pool *p, int error);

#endif
