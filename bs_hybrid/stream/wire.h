/* SPDX-License-Identifier: GPL-2.0-only */
/* wire.h - the bytes of a stream: header, frames, end; encoded and decoded, without I/O. docs/FORMAT.md draws them.
 *
 * A stream is a header, then frames in ascending order of their offsets, then the end. The head of a data frame is
 * followed by its bytes. Each part carries its own checksum; each frame names the stream it belongs to (by the header's
 * checksum) and its number, so a frame of another stream, or one too many or too few, is found at once; the end has a
 * checksum over those of all frames.
 */
#ifndef HB_STREAM_WIRE_H
#define HB_STREAM_WIRE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/units.h"

#define WIRE_VERSION 1u
#define WIRE_HEADER_BYTES 256u
#define WIRE_FRAME_BYTES 48u
#define WIRE_DATA_MAX MIB(1) /* bytes of one data frame */
#define WIRE_NAME_MAX 63

struct wire_header {
	uint8_t pool_uuid[16]; /* of the pool that was exported from; for people only */
	uint8_t content[16]; /* of the snapshot */
	uint8_t base[16]; /* content of the snapshot that the stream starts from; zeros: from nothing */
	char name[WIRE_NAME_MAX + 1]; /* of the snapshot, where it was exported */
	uint64_t size_bytes; /* of the snapshot */
	uint64_t created_s; /* seconds since 1970 */
	uint64_t data_bytes; /* sum over the data frames to come */
};

enum wire_kind { WIRE_DATA = 1, WIRE_HOLE, WIRE_END };

struct wire_frame {
	enum wire_kind kind;
	uint64_t off_bytes, len_bytes; /* WIRE_END: sum over the data frames, and 0 */
	uint32_t check; /* WIRE_DATA: CRC-32C of the bytes that follow; WIRE_END: over all frames; else 0 */
};

/* What both ends keep from frame to frame. Starts as {.stream = the header's checksum}. */
struct wire_run {
	uint32_t stream;
	uint32_t chain; /* checksum over the checksums of the frames so far */
	uint64_t frames; /* so far: the number of the next one */
	uint64_t pos_bytes; /* where the last frame ended */
	uint64_t data_bytes; /* sum over the data frames so far */
};

bool wire_is_full(const struct wire_header *h);

/* Writes WIRE_HEADER_BYTES; returns the checksum, which names the stream in its frames. */
uint32_t wire_put_header(const struct wire_header *h, void *to);
/* Reads WIRE_HEADER_BYTES, and says whether all of it makes sense. 0, -EBADMSG (no stream, damaged), or
 * -EPROTONOSUPPORT (of a newer program). */
int wire_get_header(const void *from, struct wire_header *ret, uint32_t *ret_stream, struct err *err);

/* The checksum that a data frame carries of its bytes. */
uint32_t wire_data_check(const void *data, size_t len);

/* Writes the WIRE_FRAME_BYTES of a frame's head, and counts it. For WIRE_END only the kind is looked at. */
void wire_put_frame(struct wire_run *run, const struct wire_frame *f, void *to);
/* Reads a frame's head: its checksum, its stream, its number, that it comes behind the last one and within the size; of
 * the end, whether all came. Counts it. 0 or -EBADMSG. */
int wire_get_frame(struct wire_run *run, const struct wire_header *h, const void *from, struct wire_frame *ret,
		   struct err *err);

#endif
