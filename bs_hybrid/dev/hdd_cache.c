/* SPDX-License-Identifier: GPL-2.0-only */
/* hdd_cache.c - the modelled drive's write cache: which ranges wait to be destaged. A sorted array: insertion moves
 * memory, which is cheap beside the milliseconds that are modelled.
 */
#include <string.h>

#include "base/units.h"
#include "dev/hdd_model.h"

/* The first extent that ends at `off` or later; n: none. */
static uint32_t first_ending(const struct hdd_drive *d, uint64_t off)
{
	uint32_t low = 0, high = d->cache.n;

	while (low < high) {
		uint32_t mid = (low + high) / 2;
		const struct hdd_extent *e = &d->cache.extents[mid];

		if (e->off + e->len < off)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* Puts `n` extents (0 or 1) in the place of `old` ones from `at` on. */
static void replace(struct hdd_drive *d, uint32_t at, uint32_t old, uint32_t n)
{
	struct hdd_extent *e = d->cache.extents + at;

	memmove(e + n, e + old, (d->cache.n - at - old) * sizeof(*e));
	d->cache.n += n - old;
}

bool hdd_cache_add(struct hdd_drive *d, uint64_t off, uint64_t len)
{
	uint32_t at = first_ending(d, off), old = 0;
	uint64_t end = off + len;

	if (d->cache.bytes + d->cache.destaging + len > d->model.write_cache_bytes)
		return false;
	while (at + old < d->cache.n && d->cache.extents[at + old].off <= end)
		old++;
	if (!old && d->cache.n == d->cache.max)
		return false;
	for (uint32_t i = at; i < at + old; i++) {
		const struct hdd_extent *e = &d->cache.extents[i];

		d->cache.bytes -= e->len;
		end = MAX(end, e->off + e->len);
		off = MIN(off, e->off);
	}
	replace(d, at, old, 1);
	d->cache.extents[at] = (struct hdd_extent){off, end - off};
	d->cache.bytes += end - off;
	return true;
}

bool hdd_cache_take(struct hdd_drive *d, struct hdd_extent *ret)
{
	uint32_t at = first_ending(d, d->cache.sweep_off + 1);
	struct hdd_extent *e;

	if (!d->cache.n)
		return false;
	if (at == d->cache.n)
		at = 0;
	e = &d->cache.extents[at];
	*ret = (struct hdd_extent){e->off, MIN(e->len, HDD_DESTAGE_BYTES)};
	e->off += ret->len;
	e->len -= ret->len;
	if (!e->len)
		replace(d, at, 1, 0);
	d->cache.bytes -= ret->len;
	d->cache.destaging = ret->len;
	d->cache.sweep_off = ret->off + ret->len;
	return true;
}
