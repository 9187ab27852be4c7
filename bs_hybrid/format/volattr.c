/* SPDX-License-Identifier: GPL-2.0-only */
/* volattr.c - attributes of a volume: bytes <-> struct hb_volume_attr, and sets of pinned ranges. */
#include "format/volattr.h"

#include <errno.h>

#include "base/bytes.h"

enum {
	O_MODE = 0,
	O_NPINS = 1,
	O_SHARE = 2, /* 0: the default */
	O_IOPS = 4,
	O_BANDWIDTH = 8,
	O_BURST = 16,
	O_BYPASS = 20,
	O_READ_AHEAD = 24,
	O_FLOOR = 28,
	O_PINS = 32,
	PIN_BYTES = 16,
};
#define VOLUME_BLK_MAX (1ull << 38)

_Static_assert(O_PINS + HB_PINS_MAX * PIN_BYTES == VOLATTR_BYTES, "all pins have a place");

void volattr_default(struct hb_volume_attr *a)
{
	*a = (struct hb_volume_attr){.share = HB_SHARE_DEFAULT};
}

void volattr_encode(const struct hb_volume_attr *a, void *to)
{
	uint8_t *b = to;

	memset(b, 0, VOLATTR_BYTES);
	b[O_MODE] = (uint8_t)a->mode;
	b[O_NPINS] = (uint8_t)a->npins;
	put_le16(b + O_SHARE, (uint16_t)(a->share == HB_SHARE_DEFAULT ? 0 : a->share));
	put_le32(b + O_IOPS, a->iops);
	put_le64(b + O_BANDWIDTH, a->bandwidth);
	put_le32(b + O_BURST, a->burst_s);
	put_le32(b + O_BYPASS, a->bypass_blk);
	put_le32(b + O_READ_AHEAD, a->read_ahead_blk);
	put_le32(b + O_FLOOR, a->cache_floor_mib);
	for (uint32_t i = 0; i < a->npins; i++) {
		put_le64(b + O_PINS + i * PIN_BYTES, a->pin[i].first_blk);
		put_le64(b + O_PINS + i * PIN_BYTES + 8, a->pin[i].nblk);
	}
}

/* One past its last block; UINT64_MAX: to the end. */
static uint64_t end_of(uint64_t first, uint64_t n)
{
	return n == HB_PIN_TO_END ? UINT64_MAX : first + n;
}

int volattr_decode(struct hb_volume_attr *ret, const void *from)
{
	const uint8_t *b = from;
	uint64_t end = 0;

	memset(ret, 0, sizeof(*ret));
	if (b[O_MODE] >= HB_MODES || b[O_NPINS] > HB_PINS_MAX)
		return -EBADMSG;
	ret->mode = b[O_MODE];
	ret->share = get_le16(b + O_SHARE) ? get_le16(b + O_SHARE) : HB_SHARE_DEFAULT;
	ret->iops = get_le32(b + O_IOPS);
	ret->bandwidth = get_le64(b + O_BANDWIDTH);
	ret->burst_s = get_le32(b + O_BURST);
	ret->bypass_blk = get_le32(b + O_BYPASS);
	ret->read_ahead_blk = get_le32(b + O_READ_AHEAD);
	ret->cache_floor_mib = get_le32(b + O_FLOOR);
	ret->npins = b[O_NPINS];
	for (uint32_t i = 0; i < ret->npins; i++) {
		struct hb_pin *p = &ret->pin[i];

		p->first_blk = get_le64(b + O_PINS + i * PIN_BYTES);
		p->nblk = get_le64(b + O_PINS + i * PIN_BYTES + 8);
		if (!p->nblk || (i && p->first_blk <= end) || end == UINT64_MAX || p->first_blk >= VOLUME_BLK_MAX ||
		    (p->nblk != HB_PIN_TO_END && p->nblk > VOLUME_BLK_MAX - p->first_blk))
			return -EBADMSG;
		end = end_of(p->first_blk, p->nblk);
	}
	if (ret->share > HB_SHARE_MAX || (ret->iops && ret->iops < HB_IOPS_MIN) || ret->burst_s > HB_BURST_MAX ||
	    (ret->bandwidth && ret->bandwidth < HB_BANDWIDTH_MIN) || ret->bandwidth > INT64_MAX)
		return -EBADMSG;
	return 0;
}

bool volattr_same(const struct hb_volume_attr *a, const struct hb_volume_attr *b)
{
	uint8_t x[VOLATTR_BYTES], y[VOLATTR_BYTES];

	volattr_encode(a, x);
	volattr_encode(b, y);
	return !memcmp(x, y, VOLATTR_BYTES);
}

/* ---------------------------------------------------------------- pins */

struct pins {
	uint32_t n;
	struct hb_pin pin[2 * HB_PINS_MAX + 1];
};

static void emit(struct pins *s, uint64_t first, uint64_t end)
{
	if (first < end)
		s->pin[s->n++] = (struct hb_pin){first, end == UINT64_MAX ? HB_PIN_TO_END : end - first};
}

static int take_over(struct hb_volume_attr *a, const struct pins *s)
{
	if (s->n > HB_PINS_MAX)
		return -ENOSPC;
	memset(a->pin, 0, sizeof(a->pin));
	memcpy(a->pin, s->pin, s->n * sizeof(s->pin[0]));
	a->npins = s->n;
	return 0;
}

static bool sane(uint64_t first, uint64_t n)
{
	return n && (n == HB_PIN_TO_END || n < UINT64_MAX - first);
}

int volattr_pin(struct hb_volume_attr *a, uint64_t first, uint64_t n)
{
	uint64_t end = end_of(first, n);
	struct pins s = {0};
	bool placed = false;

	if (!sane(first, n))
		return -EINVAL;
	for (uint32_t i = 0; i < a->npins; i++) {
		uint64_t from = a->pin[i].first_blk, to = end_of(from, a->pin[i].nblk);

		if (to < first) {
			emit(&s, from, to);
		} else if (from > end) {
			if (!placed)
				emit(&s, first, end);
			placed = true;
			emit(&s, from, to);
		} else { /* they touch: one range of both */
			first = MIN(first, from);
			end = MAX(end, to);
		}
	}
	if (!placed)
		emit(&s, first, end);
	return take_over(a, &s);
}

int volattr_unpin(struct hb_volume_attr *a, uint64_t first, uint64_t n)
{
	uint64_t end = end_of(first, n);
	struct pins s = {0};

	if (!sane(first, n))
		return -EINVAL;
	for (uint32_t i = 0; i < a->npins; i++) {
		uint64_t from = a->pin[i].first_blk, to = end_of(from, a->pin[i].nblk);

		emit(&s, from, MIN(to, first));
		emit(&s, MAX(from, end), to);
	}
	return take_over(a, &s);
}

void volattr_clip(struct hb_volume_attr *a, uint64_t size_blk)
{
	struct pins s = {0};

	for (uint32_t i = 0; i < a->npins; i++) {
		uint64_t from = a->pin[i].first_blk, to = end_of(from, a->pin[i].nblk);

		if (from < size_blk)
			emit(&s, from, to == UINT64_MAX ? to : MIN(to, size_blk));
	}
	take_over(a, &s);
}

void volattr_inherit(struct hb_volume_attr *to, const struct hb_volume_attr *from, bool snapshot)
{
	struct hb_volume_attr a = *from;

	a.cache_floor_mib = 0;
	if (snapshot) {
		volattr_default(&a);
		a.mode = from->mode;
		a.bypass_blk = from->bypass_blk;
		a.read_ahead_blk = from->read_ahead_blk;
	}
	*to = a;
}
