/* SPDX-License-Identifier: GPL-2.0-only */
/* cmd_attr.c - hybrid-pool volume set: options become arguments of the verb; and how attributes are shown. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

/* ------------------------------------------------------------------ setting: 0, or err says what is wrong */
static int put_number(json_t *args, const char *key, const char *option, const char *text, struct err *err)
{
	char *end;
	unsigned long long n;

	if (!text)
		return 0;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || errno || n > UINT32_MAX)
		return err_set(err, -EINVAL, "--%s %.60s: expected a whole number", option, text);
	return json_object_set_new(args, key, json_integer((json_int_t)n)) ? err_set(err, -ENOMEM, "out of memory") : 0;
}

static int put_size(json_t *args, const char *key, const char *option, const char *text, bool words, struct err *err)
{
	uint64_t bytes = 0;
	json_t *v;

	if (!text)
		return 0;
	if (words && (!strcmp(text, "never") || !strcmp(text, "default")))
		v = json_string(text);
	else if (!words && !strcmp(text, "0"))
		v = json_integer(0);
	else if (tool_size(text, &bytes, err))
		return err_wrap(err, "--%s", option);
	else
		v = json_integer((json_int_t)bytes);
	return json_object_set_new(args, key, v) ? err_set(err, -ENOMEM, "out of memory") : 0;
}

/* A size, or "10%" of the write tier. */
static int put_floor(json_t *args, const char *text, struct err *err)
{
	size_t n = text ? strlen(text) : 0;
	char number[16];

	if (!n || text[n - 1] != '%' || n > sizeof(number))
		return put_size(args, "cache_floor_bytes", "cache-floor", text, false, err);
	memcpy(number, text, n - 1);
	number[n - 1] = 0;
	return put_number(args, "cache_floor_percent", "cache-floor", number, err);
}

/* "all", or "OFFSET+LENGTH". */
static json_t *range(const char *option, const char *text, struct err *err)
{
	const char *plus = strchr(text, '+');
	uint64_t off = 0, len = 0;
	char head[64];

	if (!strcmp(text, "all"))
		return json_pack("{s:i}", "offset_bytes", 0);
	if (!plus || (size_t)(plus - text) >= sizeof(head)) {
		err_set(err, -EINVAL, "--%s %.60s: expected all, or OFFSET+LENGTH as in 1GiB+64MiB", option, text);
		return NULL;
	}
	snprintf(head, sizeof(head), "%.*s", (int)(plus - text), text);
	if ((strcmp(head, "0") && tool_size(head, &off, err)) || tool_size(plus + 1, &len, err)) {
		err_wrap(err, "--%s", option);
		return NULL;
	}
	return json_pack("{s:I, s:I}", "offset_bytes", (json_int_t)off, "length_bytes", (json_int_t)len);
}

static int put_ranges(json_t *args, const char *option, const struct tool_ranges *r, struct err *err)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < r->n && !err->code; i++) {
		json_t *o = range(option, r->text[i], err);

		if (o)
			json_array_append_new(list, o);
	}
	if (err->code || !r->n) {
		json_decref(list);
		return err->code;
	}
	return json_object_set_new(args, option, list) ? err_set(err, -ENOMEM, "out of memory") : 0;
}

static json_t *set_args(const struct tool *t, const char *name, struct err *err)
{
	json_t *args = json_pack("{s:s}", "name", name);

	if (!args) {
		err_set(err, -EINVAL, "volume set: the name is no valid text");
		return NULL;
	}
	if (t->mode && json_object_set_new(args, "mode", json_string(t->mode)))
		err_set(err, -EINVAL, "--mode: expected a word");
	if (err->code || put_number(args, "iops", "iops", t->iops, err) ||
	    put_size(args, "bandwidth_bytes", "bandwidth", t->bandwidth, false, err) ||
	    put_number(args, "burst_s", "burst", t->burst, err) || put_number(args, "share", "share", t->share, err) ||
	    put_size(args, "bypass", "bypass", t->bypass, true, err) ||
	    put_size(args, "read_ahead", "read-ahead", t->read_ahead, true, err) ||
	    put_floor(args, t->cache_floor, err) || put_ranges(args, "pin", &t->pin, err) ||
	    put_ranges(args, "unpin", &t->unpin, err)) {
		json_decref(args);
		return NULL;
	}
	return args;
}

static int volume_set(struct tool *t, int argc, char **argv)
{
	struct err err = ERR_INIT;
	json_t *args = set_args(t, argv[0], &err), *result;
	struct out_table *table;
	int rc;

	(void)argc;
	if (!args || session_once(t, SESSION_WRITE, "volume-set", args, &result, &err))
		return tool_fail(&err);
	if (t->json) {
		rc = out_json(result);
	} else {
		printf("set volume %s\n", get_text(result, "name"));
		table = out_facts_new();
		out_attributes(t, table, result);
		rc = out_table_end(table);
	}
	json_decref(result);
	return rc;
}

/* ------------------------------------------------------------------ showing */
static void amount(const struct tool *t, struct out_table *table, const char *name, const json_t *v, const char *path)
{
	const json_t *a = get_any(v, path);
	char text[48];

	if (json_is_string(a)) {
		out_fact(table, name, "%s", json_string_value(a));
		return;
	}
	out_size(t, get_uint(v, path), text);
	out_fact(table, name, "%s", text);
}

static void show_ceilings(const struct tool *t, struct out_table *table, const json_t *v)
{
	uint64_t iops = get_uint(v, "attributes.iops"), bandwidth = get_uint(v, "attributes.bandwidth_bytes");
	char text[48];

	if (iops)
		out_fact(table, "ceiling", "%" PRIu64 " I/Os a second", iops);
	if (bandwidth) {
		out_size(t, bandwidth, text);
		out_fact(table, "ceiling", "%s a second", text);
	}
	if (iops || bandwidth)
		out_fact(table, "burst", "%" PRIu64 " s", get_uint(v, "attributes.burst_s"));
	else
		out_fact(table, "ceiling", "none");
}

static void show_floor(const struct tool *t, struct out_table *table, const json_t *v)
{
	static const char *const tiers[] = {"ram", "ssd"};
	const json_t *e;
	char text[48];

	if (!get_uint(v, "attributes.cache_floor_bytes")) {
		out_fact(table, "floor", "none");
		return;
	}
	out_size(t, get_uint(v, "attributes.cache_floor_bytes"), text);
	out_fact(table, "floor", "%s", text);
	for (size_t i = 0; i < ARRAY_LEN(tiers); i++) {
		char floor[48], cached[48];

		e = get_any(get_any(v, "floor"), tiers[i]);
		out_cell(t, get_uint(e, "floor_bytes"), floor);
		out_cell(t, get_uint(e, "cached_bytes"), cached);
		out_fact(table, "floor", "%s: %s cached, %s set aside", tiers[i], cached, floor);
	}
}

static void show_waits(struct out_table *table, const json_t *v, const char *name, const char *count, const char *ns)
{
	char text[16];

	if (!get_uint(v, count))
		return;
	out_duration(get_uint(v, ns) / get_uint(v, count), text);
	out_fact(table, name, "%" PRIu64 " requests, %s each", get_uint(v, count), text);
}

void out_attributes(const struct tool *t, struct out_table *table, const json_t *v)
{
	char off[48], len[48];
	json_t *pin;
	size_t i;

	out_fact(table, "mode", "%s", get_text(v, "attributes.mode"));
	show_ceilings(t, table, v);
	out_fact(table, "share", "%" PRIu64, get_uint(v, "attributes.share"));
	amount(t, table, "bypass", v, "attributes.bypass");
	amount(t, table, "readahead", v, "attributes.read_ahead");
	show_floor(t, table, v);
	json_array_foreach((json_t *)get_any(v, "attributes.pins"), i, pin) {
		out_cell(t, get_uint(pin, "offset_bytes"), off);
		out_cell(t, get_uint(pin, "length_bytes"), len);
		if (get_any(pin, "length_bytes"))
			out_fact(table, "pinned", "%s+%s", off, len);
		else
			out_fact(table, "pinned", get_uint(pin, "offset_bytes") ? "%s to the end" : "all", off);
	}
	show_waits(table, v, "limited", "waits.limited", "waits.limited_ns");
	show_waits(table, v, "queued", "waits.queued", "waits.queued_ns");
}

const struct command attr_commands[] = {
	{"volume set", volume_set, 1, 1, "NAME", TAKES_ATTR | TAKES_BYTES,
	 "set attributes of a volume, also while it is open",
	 "Ceilings: what goes beyond them waits. An I/O is one for each 256 KiB. 0: none. What an idle volume\n"
	 "saves up of them in --burst seconds may go through at once.\n"
	 "Where volumes compete, each gets of the device what its share is among theirs: 1 to 1000 (100).\n"
	 "--cache-floor: what others do not take away of the write tier, and the same part of RAM; of all\n"
	 "volumes together at most half.\n"
	 "A RANGE is all, or OFFSET+LENGTH as in 1GiB+64MiB; --pin and --unpin may be repeated, for at most 8\n"
	 "pinned ranges.\n"},
	{0},
};
