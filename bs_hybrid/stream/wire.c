/* SPDX-License-Identifier: GPL-2.0-only */
/* wire.c - header, frames and end of a stream: bytes <-> structs; see wire.h. */
#include "stream/wire.h"

#include <errno.h>
#include <string.h>

#include "base/bytes.h"
#include "base/crc32c.h"
#include "engine/engine.h"

#define FRAME_MAGIC 0x52465948u /* "HYFR" */

static const char header_magic[8] = "HYBRSTRM";

enum {
	H_VERSION = 8,
	H_CRC = 12,
	H_INCOMPAT = 16,
	H_BLOCK = 24,
	H_POOL = 32,
	H_CONTENT = 48,
	H_BASE = 64,
	H_SIZE = 80,
	H_CREATED = 88,
	H_DATA = 96,
	H_NAME = 104,
};

enum { F_CRC = 4, F_KIND = 8, F_STREAM = 12, F_NUMBER = 16, F_OFF = 24, F_LEN = 32, F_CHECK = 40 };

_Static_assert(WIRE_NAME_MAX == HB_NAME_MAX, "a name of a snapshot fits");
_Static_assert(H_NAME + WIRE_NAME_MAX + 1 <= WIRE_HEADER_BYTES, "the header's fields fit");

/* Of `len` bytes, with the four at `own` taken as zero. */
static uint32_t crc_without(const uint8_t *b, size_t own, size_t len)
{
	static const uint8_t zero[4];
	uint32_t crc = crc32c(0, b, own);

	crc = crc32c(crc, zero, 4);
	return crc32c(crc, b + own + 4, len - own - 4);
}

static bool zeros(const void *from, size_t len)
{
	const uint8_t *b = from;

	while (len && !*b)
		b++, len--;
	return !len;
}

bool wire_is_full(const struct wire_header *h)
{
	return zeros(h->base, 16);
}

/* ---------------------------------------------------------------- header */

uint32_t wire_put_header(const struct wire_header *h, void *to)
{
	uint8_t *b = to;
	uint32_t crc;

	memset(b, 0, WIRE_HEADER_BYTES);
	memcpy(b, header_magic, 8);
	put_le32(b + H_VERSION, WIRE_VERSION);
	put_le32(b + H_BLOCK, BLK_BYTES);
	memcpy(b + H_POOL, h->pool_uuid, 16);
	memcpy(b + H_CONTENT, h->content, 16);
	memcpy(b + H_BASE, h->base, 16);
	put_le64(b + H_SIZE, h->size_bytes);
	put_le64(b + H_CREATED, h->created_s);
	put_le64(b + H_DATA, h->data_bytes);
	memcpy(b + H_NAME, h->name, strnlen(h->name, WIRE_NAME_MAX));
	crc = crc_without(b, H_CRC, WIRE_HEADER_BYTES);
	put_le32(b + H_CRC, crc);
	return crc;
}

/* What is wrong with a header whose checksum is right; NULL: nothing. */
static const char *insane(const struct wire_header *h)
{
	if (zeros(h->content, 16))
		return "it names no content";
	if (!memcmp(h->content, h->base, 16))
		return "it starts from itself";
	if (!h->size_bytes || h->size_bytes % BLK_BYTES || h->size_bytes > HB_VOLUME_BYTES_MAX)
		return "no volume has that size";
	if (h->data_bytes % BLK_BYTES || h->data_bytes > h->size_bytes)
		return "it announces more data than the volume has";
	if (!hb_name_ok(h->name))
		return "the snapshot has no valid name";
	return NULL;
}

int wire_get_header(const void *from, struct wire_header *ret, uint32_t *ret_stream, struct err *err)
{
	const uint8_t *b = from;
	struct wire_header h;
	const char *why;

	if (memcmp(b, header_magic, 8))
		return err_set(err, -EBADMSG, "this is no stream of a snapshot");
	/* A later version may have its checksum elsewhere. */
	if (get_le32(b + H_VERSION) > WIRE_VERSION)
		return err_set(err, -EPROTONOSUPPORT, "the stream is of version %u, and this program knows %u",
			       get_le32(b + H_VERSION), WIRE_VERSION);
	if (get_le32(b + H_CRC) != crc_without(b, H_CRC, WIRE_HEADER_BYTES) || get_le32(b + H_VERSION) != WIRE_VERSION)
		return err_set(err, -EBADMSG, "the stream is damaged: bad checksum of its header");
	if (get_le64(b + H_INCOMPAT) || get_le32(b + H_BLOCK) != BLK_BYTES)
		return err_set(err, -EPROTONOSUPPORT, "the stream has features that this program does not know");
	memcpy(h.pool_uuid, b + H_POOL, 16);
	memcpy(h.content, b + H_CONTENT, 16);
	memcpy(h.base, b + H_BASE, 16);
	h.size_bytes = get_le64(b + H_SIZE);
	h.created_s = get_le64(b + H_CREATED);
	h.data_bytes = get_le64(b + H_DATA);
	memcpy(h.name, b + H_NAME, sizeof(h.name));
	h.name[WIRE_NAME_MAX] = '\0';
	why = insane(&h);
	if (why)
		return err_set(err, -EBADMSG, "the stream's header makes no sense: %s", why);
	*ret = h;
	*ret_stream = get_le32(b + H_CRC);
	return 0;
}

/* ---------------------------------------------------------------- frames */

uint32_t wire_data_check(const void *data, size_t len)
{
	return crc32c(0, data, len);
}

static void count(struct wire_run *run, const struct wire_frame *f, const uint8_t *b)
{
	run->chain = crc32c(run->chain, b + F_CRC, 4);
	run->frames++;
	run->pos_bytes = f->off_bytes + f->len_bytes;
	run->data_bytes += f->kind == WIRE_DATA ? f->len_bytes : 0;
}

void wire_put_frame(struct wire_run *run, const struct wire_frame *f, void *to)
{
	bool end = f->kind == WIRE_END;
	uint8_t *b = to;

	memset(b, 0, WIRE_FRAME_BYTES);
	put_le32(b, FRAME_MAGIC);
	put_le32(b + F_KIND, f->kind);
	put_le32(b + F_STREAM, run->stream);
	put_le64(b + F_NUMBER, run->frames);
	put_le64(b + F_OFF, end ? run->data_bytes : f->off_bytes);
	put_le64(b + F_LEN, end ? 0 : f->len_bytes);
	put_le32(b + F_CHECK, end ? run->chain : f->check);
	put_le32(b + F_CRC, crc_without(b, F_CRC, WIRE_FRAME_BYTES));
	if (!end)
		count(run, f, b);
}

/* What is wrong with a whole frame that belongs here; NULL: nothing. */
static const char *misplaced(const struct wire_run *run, const struct wire_header *h, const struct wire_frame *f)
{
	if (f->kind == WIRE_END)
		return f->off_bytes != run->data_bytes || f->off_bytes != h->data_bytes || f->len_bytes ?
			       "it ends before all has come" :
		       f->check != run->chain ? "the checksum over all frames is wrong" :
						NULL;
	if (f->kind != WIRE_DATA && f->kind != WIRE_HOLE)
		return "a frame is of no known kind";
	if (!f->len_bytes || (f->off_bytes | f->len_bytes) % BLK_BYTES ||
	    (f->kind == WIRE_DATA && f->len_bytes > WIRE_DATA_MAX))
		return "a frame has no possible length";
	if (f->off_bytes < run->pos_bytes)
		return "the frames do not ascend";
	if (f->off_bytes > h->size_bytes || f->len_bytes > h->size_bytes - f->off_bytes)
		return "a frame lies behind the volume's end";
	if (f->kind == WIRE_DATA && f->len_bytes > h->data_bytes - run->data_bytes)
		return "more data came than was announced";
	return NULL;
}

int wire_get_frame(struct wire_run *run, const struct wire_header *h, const void *from, struct wire_frame *ret,
		   struct err *err)
{
	const uint8_t *b = from;
	const char *why;

	if (get_le32(b) != FRAME_MAGIC || get_le32(b + F_CRC) != crc_without(b, F_CRC, WIRE_FRAME_BYTES))
		return err_set(err, -EBADMSG, "the stream is damaged: bad checksum of frame %llu",
			       (unsigned long long)run->frames);
	if (get_le32(b + F_STREAM) != run->stream)
		return err_set(err, -EBADMSG, "the stream is damaged: frame %llu belongs to another stream",
			       (unsigned long long)run->frames);
	if (get_le64(b + F_NUMBER) != run->frames)
		return err_set(err, -EBADMSG, "the stream is damaged: frame %llu comes where %llu is due",
			       (unsigned long long)get_le64(b + F_NUMBER), (unsigned long long)run->frames);
	*ret = (struct wire_frame){.kind = (enum wire_kind)get_le32(b + F_KIND),
				   .off_bytes = get_le64(b + F_OFF),
				   .len_bytes = get_le64(b + F_LEN),
				   .check = get_le32(b + F_CHECK)};
	why = misplaced(run, h, ret);
	if (why)
		return err_set(err, -EBADMSG, "the stream is damaged at frame %llu: %s",
			       (unsigned long long)run->frames, why);
	if (ret->kind != WIRE_END)
		count(run, ret, b);
	return 0;
}
