/* SPDX-License-Identifier: GPL-2.0-only */
/* binary.c - traces of binary records: vscsi and blktrace. */
#include "formats.h"

#include <byteswap.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/blktrace_api.h>
#include <string.h>

#include "base/bytes.h"
#include "base/units.h"

/* ------------------------------------------------------------------ vscsi: little-endian records */
/* Where a record of each version has what; after the traces of C. Waldspurger, N. Park, A. Garthwaite, I. Ahmad:
 * "Efficient MRC construction with SHARDS", FAST 2015. Version 1: u32 serial, u32 bytes, u32 segments, u16 opcode,
 * u16 version, u64 LBA, u64 time. Version 2: u16 opcode, u16 version, u32 serial, u32 bytes, u32 segments, u64 LBA,
 * u64 time, u64 response time. The upper byte of the version field is 1 or 2. */
static const struct vscsi { size_t size, opcode, version, bytes, lba; } vscsi_layouts[] = {
	{32, 12, 14, 4, 16},
	{40, 0, 2, 8, 16},
};

static bool vscsi_fits(const uint8_t *record, unsigned version)
{
	return get_le16(record + vscsi_layouts[version - 1].version) >> 8 == version;
}

/* The version of the first records, all that are there up to four; 0: neither. */
static unsigned vscsi_version(const uint8_t *head, size_t size)
{
	for (unsigned v = 1; v <= ARRAY_LEN(vscsi_layouts); v++) {
		size_t each = vscsi_layouts[v - 1].size, n = MIN(size / each, 4u), i = 0;

		while (i < n && vscsi_fits(head + i * each, v))
			i++;
		if (n && i == n)
			return v;
	}
	return 0;
}

bool vscsi_detect(const uint8_t *head, size_t size)
{
	return vscsi_version(head, size) && memchr(head, '\0', MIN(size, 128u));
}

static int vscsi_request(struct input *in, const struct vscsi *l, const uint8_t *record, struct trace *to,
			 struct err *err)
{
	uint16_t opcode = get_le16(record + l->opcode);
	struct request r = {.at_unit = SECTOR_BYTES, .length_unit = 1};

	switch (opcode & 0xff) {
	case 0x08: case 0x28: case 0xa8: case 0x88:	/* READ(6), (10), (12), (16) */
		break;
	case 0x0a: case 0x2a: case 0xaa: case 0x8a:	/* WRITE(6), (10), (12), (16) */
	case 0x2e: case 0xae: case 0x8e:		/* WRITE AND VERIFY(10), (12), (16) */
		r.write = true;
		break;
	default:
		to->nignored++;
		return 0;
	}
	r.at = get_le64(record + l->lba);
	r.length = get_le32(record + l->bytes);
	return format_add(in, to, &r, err);
}

int vscsi_read(struct input *in, const struct format_options *options, struct trace *to, struct err *err)
{
	const struct vscsi *layout;
	const uint8_t *record;
	unsigned version;
	size_t have;
	int rc = input_peek(in, 160, &record, &have, err);

	(void)options;
	if (rc || !have)
		return rc;
	version = vscsi_version(record, have);
	if (!version) {
		err_set(err, -EBADMSG, "no record of vscsi, version 1 or 2");
		return input_blame(in, err);
	}
	layout = &vscsi_layouts[version - 1];
	while ((rc = input_record(in, layout->size, &record, err)) == 1) {
		if (!vscsi_fits(record, version)) {
			err_set(err, -EBADMSG, "a record of version %#x, expected %#x",
				get_le16(record + layout->version), version << 8);
			return input_blame(in, err);
		}
		rc = vscsi_request(in, layout, record, to, err);
		if (rc)
			return rc;
	}
	return rc;
}

/* ------------------------------------------------------------------ blktrace: struct blk_io_trace */
#define BLKTRACE_MAGIC (BLK_IO_TRACE_MAGIC | BLK_IO_TRACE_VERSION)

bool blktrace_detect(const uint8_t *head, size_t size)
{
	uint32_t magic;

	if (size < sizeof(magic))
		return false;
	memcpy(&magic, head, sizeof(magic));
	return (magic & 0xffffff00) == BLK_IO_TRACE_MAGIC || (bswap_32(magic) & 0xffffff00) == BLK_IO_TRACE_MAGIC;
}

static int blktrace_check(struct input *in, const struct blk_io_trace *t, struct err *err)
{
	if (t->magic == BLKTRACE_MAGIC)
		return 0;
	if (bswap_32(t->magic) == BLKTRACE_MAGIC)
		err_set(err, -EPROTONOSUPPORT, "written on a machine of the other byte order");
	else if ((t->magic & 0xffffff00) == BLK_IO_TRACE_MAGIC)
		err_set(err, -EPROTONOSUPPORT, "blktrace's version %u, expected %u", t->magic & 0xff,
			BLK_IO_TRACE_VERSION);
	else
		err_set(err, -EBADMSG, "no record of blktrace");
	return input_blame(in, err);
}

/* 'Q', 'D', or 0 for what is no read or write on its way. */
static char blktrace_event(const struct blk_io_trace *t)
{
	uint32_t what = t->action >> BLK_TC_SHIFT, act = t->action & 0xffff & ~__BLK_TA_CGROUP;

	if (what & (BLK_TC_NOTIFY | BLK_TC_DISCARD | BLK_TC_PC | BLK_TC_DRV_DATA) ||
	    !(what & (BLK_TC_READ | BLK_TC_WRITE)) || !t->bytes)
		return 0;
	return act == __BLK_TA_QUEUE ? 'Q' : act == __BLK_TA_ISSUE ? 'D' : 0;
}

static int blktrace_request(struct input *in, const struct blk_io_trace *t, struct trace *to, struct err *err)
{
	return format_add(in, to, &(struct request){
		.volume = t->device,
		.at = t->sector,
		.at_unit = SECTOR_BYTES,
		.length = t->bytes,
		.length_unit = 1,
		.write = t->action >> BLK_TC_SHIFT & BLK_TC_WRITE,
	}, err);
}

/* A request is queued once and issued once (merged with others, perhaps): only one of both must count. */
int blktrace_read(struct input *in, const struct format_options *options, struct trace *to, struct err *err)
{
	uint64_t others = 0;
	const uint8_t *record;
	int rc;

	while ((rc = input_record(in, sizeof(struct blk_io_trace), &record, err)) == 1) {
		struct blk_io_trace t;
		char event;

		memcpy(&t, record, sizeof(t));
		if (blktrace_check(in, &t, err))
			return err->code;
		event = blktrace_event(&t);
		others += event && event != options->event;
		if (event == options->event && blktrace_request(in, &t, to, err))
			return err->code;
		if (!t.pdu_len)
			continue;
		rc = input_record(in, t.pdu_len, &record, err);
		if (rc == 0) {
			err_set(err, -EBADMSG, "cut short");
			return input_blame(in, err);
		}
		if (rc < 0)
			return rc;
	}
	if (rc == 0 && !to->nrequests && others) {
		err_set(err, -ENODATA, "has no %c events: say --events %c", options->event,
			options->event == 'Q' ? 'D' : 'Q');
		return input_blame_all(in, err);
	}
	return rc;
}
