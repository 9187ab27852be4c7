/* SPDX-License-Identifier: GPL-2.0-only */
/* verbs_attr.c - the verb that sets a volume's attributes, and how they are told. Names are the same both ways. */
#include <errno.h>
#include <string.h>

#include "control/verbs.h"

static const char *const mode_names[HB_MODES] = {
	[HB_MODE_WRITE_BACK] = "write-back", [HB_MODE_WRITE_THROUGH] = "write-through",
	[HB_MODE_WRITE_AROUND] = "write-around", [HB_MODE_READ_ONLY] = "read-only", [HB_MODE_NONE] = "none"};

/* ------------------------------------------------------------------ telling */
static json_t *amount_json(uint32_t blk)
{
	if (blk == HB_ATTR_NEVER)
		return json_string("never");
	return blk ? json_integer((json_int_t)blk * BLK_BYTES) : json_string("default");
}

/* A range to the end has no length. */
static json_t *pins_json(const struct hb_volume_attr *a)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < a->npins; i++) {
		json_t *o = json_pack("{s:I}", "offset_bytes", (json_int_t)(a->pin[i].first_blk * BLK_BYTES));

		if (a->pin[i].nblk != HB_PIN_TO_END)
			verb_put(&o, "length_bytes", json_integer((json_int_t)(a->pin[i].nblk * BLK_BYTES)));
		verb_append(&list, o);
	}
	return list;
}

json_t *verb_attr_json(const struct hb_volume_attr *a)
{
	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:o, s:o, s:I, s:o}", "mode", mode_names[a->mode], "iops",
			 (json_int_t)a->iops, "bandwidth_bytes", (json_int_t)a->bandwidth, "burst_s",
			 (json_int_t)a->burst_s, "share", (json_int_t)a->share, "bypass", amount_json(a->bypass_blk),
			 "read_ahead", amount_json(a->read_ahead_blk), "cache_floor_bytes",
			 (json_int_t)MIB(a->cache_floor_mib), "pins", pins_json(a));
}

json_t *verb_floor_json(const struct hb_volume_info *info)
{
	if (!info->attr.cache_floor_mib)
		return json_null();
	return json_pack("{s:{s:I, s:I}, s:{s:I, s:I}}", "ram", "floor_bytes", (json_int_t)info->floor_ram_bytes,
			 "cached_bytes", (json_int_t)info->cached_ram_bytes, "ssd", "floor_bytes",
			 (json_int_t)info->floor_write_bytes, "cached_bytes", (json_int_t)info->cached_write_bytes);
}

json_t *verb_waits_json(const struct hb_volume_info *info)
{
	return json_pack("{s:I, s:I, s:I, s:I}", "limited", (json_int_t)info->waits.limited, "limited_ns",
			 (json_int_t)info->waits.limited_ns, "queued", (json_int_t)info->waits.queued, "queued_ns",
			 (json_int_t)info->waits.queued_ns);
}

/* ------------------------------------------------------------------ setting: true, or false with call->err set */
static bool read_mode(struct verb_call *call, const char *word, enum hb_mode *ret)
{
	for (int i = 0; i < HB_MODES; i++)
		if (!strcmp(word, mode_names[i])) {
			*ret = (enum hb_mode)i;
			return true;
		}
	verb_fail(call, -EINVAL, "volume-set: args.mode: expected write-back, write-through, write-around, read-only "
		  "or none, got \"%.80s\"", word);
	return false;
}

static bool read_amount(struct verb_call *call, const char *arg, const json_t *v, uint32_t *ret)
{
	const char *word = json_string_value(v);
	uint64_t bytes = (uint64_t)json_integer_value(v);

	if (word && !strcmp(word, "default")) {
		*ret = 0;
	} else if (word && !strcmp(word, "never")) {
		*ret = HB_ATTR_NEVER;
	} else if (word || !bytes || bytes % BLK_BYTES || bytes / BLK_BYTES >= HB_ATTR_NEVER) {
		verb_fail(call, -EINVAL, "volume-set: args.%s: expected a multiple of 4096 bytes below 16 TiB, "
			  "\"default\" or \"never\"", arg);
		return false;
	} else {
		*ret = (uint32_t)(bytes / BLK_BYTES);
	}
	return true;
}

/* Adds ranges to the pinned ones, or takes them out. */
static bool read_ranges(struct verb_call *call, const char *arg, struct hb_volume_attr *a, uint64_t size_bytes,
			int (*change)(struct hb_volume_attr *a, uint64_t first_blk, uint64_t nblk))
{
	const json_t *list = verb_arg_group(call, arg);

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *o = json_array_get(list, i), *len = json_object_get(o, "length_bytes");
		uint64_t off = (uint64_t)json_integer_value(json_object_get(o, "offset_bytes"));
		uint64_t n = (uint64_t)json_integer_value(len);
		int rc;

		if (off % BLK_BYTES || n % BLK_BYTES || (len && !n) || off >= size_bytes || n > size_bytes - off) {
			verb_fail(call, -EINVAL, "volume-set: args.%s[%zu]: expected a range within the volume's %llu "
				  "bytes, in multiples of 4096", arg, i, (unsigned long long)size_bytes);
			return false;
		}
		rc = change(a, off / BLK_BYTES, len ? n / BLK_BYTES : HB_PIN_TO_END);
		if (rc) {
			verb_fail(call, -EINVAL, "volume-set: args.%s[%zu]: at most %d ranges can be pinned", arg, i,
				  HB_PINS_MAX);
			return false;
		}
	}
	return true;
}

static bool given(const struct verb_call *call, const char *arg)
{
	return json_object_get(call->args, arg) != NULL;
}

static uint32_t read_number(const struct verb_call *call, const char *arg, uint32_t bit, uint32_t *which)
{
	if (given(call, arg))
		*which |= bit;
	return (uint32_t)verb_arg_uint(call, arg, 0);
}

/* In bytes, or as a part of what the write tier is now. */
static bool read_floor(struct verb_call *call, uint32_t *ret, uint32_t *which)
{
	uint64_t bytes = verb_arg_uint(call, "cache_floor_bytes", 0);
	uint64_t pct = verb_arg_uint(call, "cache_floor_percent", 0);
	bool by_bytes = given(call, "cache_floor_bytes"), by_pct = given(call, "cache_floor_percent");
	struct hb_stats st;

	if (!by_bytes && !by_pct)
		return true;
	if (by_bytes && by_pct) {
		verb_fail(call, -EINVAL, "volume-set: args.cache_floor_percent: not together with cache_floor_bytes");
		return false;
	}
	if (pct > 50) {
		verb_fail(call, -EINVAL, "volume-set: args.cache_floor_percent: expected 50 at most, and 0 for none");
		return false;
	}
	if (bytes % MIB(1) || bytes / MIB(1) > UINT32_MAX) {
		verb_fail(call, -EINVAL, "volume-set: args.cache_floor_bytes: expected whole MiB (multiples of 1048576 "
			  "bytes), or 0 for none");
		return false;
	}
	hb_pool_stats(call->pool, &st);
	*ret = (uint32_t)((by_pct ? st.log_bytes / 100 * pct : bytes) / MIB(1));
	if (by_pct && pct && !*ret)
		*ret = 1;
	*which |= HB_ATTR_FLOOR;
	return true;
}

static bool read_attr(struct verb_call *call, const struct hb_volume_info *info, struct hb_volume_attr *a,
		      uint32_t *which)
{
	*a = info->attr;
	a->iops = read_number(call, "iops", HB_ATTR_IOPS, which);
	a->burst_s = read_number(call, "burst_s", HB_ATTR_BURST, which);
	a->share = read_number(call, "share", HB_ATTR_SHARE, which);
	if (given(call, "bandwidth_bytes"))
		*which |= HB_ATTR_BANDWIDTH;
	a->bandwidth = verb_arg_uint(call, "bandwidth_bytes", 0);
	if (given(call, "mode")) {
		*which |= HB_ATTR_MODE;
		if (!read_mode(call, verb_arg_name(call, "mode"), &a->mode))
			return false;
	}
	if (given(call, "bypass")) {
		*which |= HB_ATTR_BYPASS;
		if (!read_amount(call, "bypass", json_object_get(call->args, "bypass"), &a->bypass_blk))
			return false;
	}
	if (given(call, "read_ahead")) {
		*which |= HB_ATTR_READ_AHEAD;
		if (!read_amount(call, "read_ahead", json_object_get(call->args, "read_ahead"), &a->read_ahead_blk))
			return false;
	}
	if (!read_floor(call, &a->cache_floor_mib, which))
		return false;
	if (given(call, "pin") || given(call, "unpin"))
		*which |= HB_ATTR_PINS;
	/* What is no longer pinned makes room first. */
	return read_ranges(call, "unpin", a, info->size_bytes, volattr_unpin) &&
	       read_ranges(call, "pin", a, info->size_bytes, volattr_pin);
}

bool verb_volume_set(struct verb_call *call)
{
	const char *name = verb_arg_name(call, "name");
	struct hb_volume_info info;
	struct hb_volume_attr a;
	uint32_t which = 0;
	char warning[160];
	json_t *v;

	if (!hb_volume_find(call->pool, name, &info))
		return verb_fail(call, -ENOENT, "no volume '%s' in pool %s", name, hb_pool_name(call->pool));
	if (!read_attr(call, &info, &a, &which))
		return true;
	if (!which)
		return verb_fail(call, -EINVAL, "volume-set: nothing is to be set");
	if (hb_volume_set(call->pool, name, &a, which, &call->err))
		return true;
	v = verb_volume_json(call, name);
	if (v && which & HB_ATTR_MODE && a.mode == HB_MODE_WRITE_BACK &&
	    hb_pool_warning(call->pool, warning, sizeof(warning)))
		verb_put(&v, "warning", json_string(warning));
	return v ? verb_done_durable(call, v) : true;
}
