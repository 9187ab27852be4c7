/* SPDX-License-Identifier: GPL-2.0-only */
/* attr.c - the attributes of a volume are set: checked, logged as a whole, applied. What they mean is elsewhere: the
 * ceilings in qos.c, the share in turns.c, the mode in through.c, pins in pins.c, the floor in floors.c.
 */
#include "engine/pool.h"
#include "format/volrec.h"

int attr_apply(struct hb_volume *v, const void *encoded)
{
	struct hb_volume_attr a;
	enum hb_mode old = v->attr.mode;
	int rc = volattr_decode(&a, encoded);

	if (rc)
		return rc;
	v->attr = a;
	limits_init(v);
	through_mode(v, old);
	pins_volume(v, false);
	floors_volume(v, false);
	return 0;
}

/* The set of pins that these make. */
static int merge_pins(const struct hb_volume *v, const struct hb_volume_attr *from, struct hb_volume_attr *to,
		      struct err *err)
{
	to->npins = 0;
	for (uint32_t i = 0; i < MIN(from->npins, HB_PINS_MAX); i++) {
		const struct hb_pin *p = &from->pin[i];

		if (!p->nblk || p->first_blk >= v->size_blk ||
		    (p->nblk != HB_PIN_TO_END && p->nblk > v->size_blk - p->first_blk))
			return err_set(err, -EINVAL, "pins: the range of %llu blocks from block %llu on is not within "
				       "'%s', which has %llu", (unsigned long long)p->nblk,
				       (unsigned long long)p->first_blk, v->name, (unsigned long long)v->size_blk);
		volattr_pin(to, p->first_blk, p->nblk);
	}
	if (from->npins > HB_PINS_MAX)
		return err_set(err, -EINVAL, "pins: at most %d ranges can be pinned, not %u", HB_PINS_MAX, from->npins);
	return 0;
}

static int limits_check(const struct hb_volume_attr *a, struct err *err)
{
	if (a->mode >= HB_MODES)
		return err_set(err, -EINVAL, "there is no mode %d", (int)a->mode);
	if (a->iops && a->iops < HB_IOPS_MIN)
		return err_set(err, -EINVAL, "a ceiling of %u I/Os a second is too low: expected %u or more, or 0 for "
			       "none",
			       a->iops, HB_IOPS_MIN);
	if (a->bandwidth && a->bandwidth < HB_BANDWIDTH_MIN)
		return err_set(err, -EINVAL, "a ceiling of %llu bytes a second is too low: expected 1 MiB or more, "
			       "or 0 for none", (unsigned long long)a->bandwidth);
	if (a->bandwidth > INT64_MAX)
		return err_set(err, -EINVAL, "a ceiling of %llu bytes a second is too high",
			       (unsigned long long)a->bandwidth);
	if (a->burst_s > HB_BURST_MAX)
		return err_set(err, -EINVAL, "a burst of %u seconds is too long: expected at most %u", a->burst_s,
			       HB_BURST_MAX);
	if (!a->share || a->share > HB_SHARE_MAX)
		return err_set(err, -EINVAL, "%u is no share: expected 1 to %u", a->share, HB_SHARE_MAX);
	return 0;
}

int hb_volume_set(struct hb_pool *p, const char *name, const struct hb_volume_attr *attr, uint32_t which,
		  struct err *err)
{
	struct rec r = {.type = REC_VOL_ATTR};
	uint8_t encoded[VOLATTR_BYTES];
	struct hb_volume_attr a;
	struct hb_volume *v;
	int rc = vol_find(p, name, &v, err);

	if (rc)
		return rc;
	if (v->flags & VOLREC_SNAPSHOT && which & ~(uint32_t)HB_ATTR_OF_SNAPSHOTS)
		return err_set(err, -EINVAL, "'%s' is a snapshot, which has ceilings, a share, a cache floor "
			       "and pins, and nothing else", name);
	a = v->attr;
	a.mode = which & HB_ATTR_MODE ? attr->mode : a.mode;
	a.iops = which & HB_ATTR_IOPS ? attr->iops : a.iops;
	a.bandwidth = which & HB_ATTR_BANDWIDTH ? attr->bandwidth : a.bandwidth;
	a.burst_s = which & HB_ATTR_BURST ? attr->burst_s : a.burst_s;
	a.share = which & HB_ATTR_SHARE ? attr->share : a.share;
	a.bypass_blk = which & HB_ATTR_BYPASS ? attr->bypass_blk : a.bypass_blk;
	a.read_ahead_blk = which & HB_ATTR_READ_AHEAD ? attr->read_ahead_blk : a.read_ahead_blk;
	a.cache_floor_mib = which & HB_ATTR_FLOOR ? attr->cache_floor_mib : a.cache_floor_mib;
	rc = limits_check(&a, err);
	if (!rc && a.cache_floor_mib > v->attr.cache_floor_mib)
		rc = floors_check(v, a.cache_floor_mib, err);
	if (!rc && which & HB_ATTR_PINS)
		rc = merge_pins(v, attr, &a, err);
	if (rc)
		return rc;
	volattr_encode(&a, encoded);
	r.vol = v->id;
	r.attr = encoded;
	return vol_commit(p, &r, err);
}
