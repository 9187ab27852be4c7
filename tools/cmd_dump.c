/* SPDX-License-Identifier: GPL-2.0-only */
/* cmd_dump.c - hybrid-pool dump: what the devices say, decoded block by block with the format room's own functions.
 *
 * All but map read the devices as they are, with no lock, so that a damaged pool and one in use can be looked at.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dump.h"
#include "engine/engine.h"

/* ------------------------------------------------------------------ superblocks */
static const char *role_name(uint32_t role)
{
	return role == HB_ROLE_CAPACITY ? "capacity" : role == HB_ROLE_WRITE ? "ssd" :
	       role == HB_ROLE_CACHE ? "level" : "unknown";
}

static json_t *roots_json(const struct super *s)
{
	static const char *const names[TREE_COUNT] = {"volumes", "segments", "fragments", "superseded"};
	json_t *o = json_object();

	for (int i = 0; i < TREE_COUNT; i++)
		json_object_set_new(o, names[i], json_pack("{s:I, s:I, s:I}", "page", (json_int_t)s->roots[i].page,
							   "crc", (json_int_t)s->roots[i].crc,
							   "levels", (json_int_t)s->roots[i].levels));
	return o;
}

static void add_super(json_t *o, const struct super *s)
{
	json_object_set_new(o, "pool", json_string(s->name));
	json_object_set_new(o, "pool_uuid", verb_uuid_json(s->pool_uuid));
	json_object_set_new(o, "dev_uuid", verb_uuid_json(s->dev_uuid));
	json_object_set_new(o, "role", json_string(role_name(s->role)));
#define ADD(field) json_object_set_new(o, #field, json_integer((json_int_t)s->field))
	ADD(seq);
	ADD(index);
	ADD(ndevs);
	ADD(feat_incompat);
	ADD(feat_ro);
	ADD(feat_compat);
	ADD(chunk_blk);
	ADD(seg_blk);
	ADD(size_blk);
	ADD(created_s);
	ADD(meta_start_blk);
	ADD(meta_pages);
	ADD(meta_high);
	ADD(first_chunk);
	ADD(nchunks);
	ADD(nsegs);
	ADD(generation);
	ADD(ckpt_seq);
	ADD(log_unit_seq);
	ADD(log_seg);
	ADD(log_off);
	ADD(log_seg_seq);
	ADD(log_next_seg);
	ADD(next_volume_id);
#undef ADD
	json_object_set_new(o, "clean", json_boolean(s->flags & SUPER_CLEAN));
	json_object_set_new(o, "roots", roots_json(s));
}

static int each_copy(void *ctx, const struct dump_super *copy)
{
	json_t *list = ctx;
	json_t *o = json_pack("{s:o, s:s}", "device", verb_text_json(copy->path), "copy", copy->at_blk ? "B" : "A");

	if (copy->err.code)
		json_object_set_new(o, "error", verb_text_json(copy->err.text));
	else
		add_super(o, &copy->super);
	return json_array_append_new(list, o) ? -ENOMEM : 0;
}

static void print_object(struct out_table *table, const char *prefix, const json_t *o);

static void print_array(struct out_table *table, const char *name, const json_t *list)
{
	json_t *v;
	size_t i;

	json_array_foreach((json_t *)list, i, v)
		print_object(table, name, v);
}

/* One object as lines of names and values; objects in it, and in lists in it, with dotted names. */
static void print_object(struct out_table *table, const char *prefix, const json_t *o)
{
	const char *key;
	char name[128];
	json_t *v;

	json_object_foreach((json_t *)o, key, v) {
		snprintf(name, sizeof(name), "%s%s%s", prefix, prefix[0] ? "." : "", key);
		if (json_is_object(v))
			print_object(table, name, v);
		else if (json_is_string(v))
			out_fact(table, name, "%s", json_string_value(v));
		else if (json_is_boolean(v))
			out_fact(table, name, "%s", json_is_true(v) ? "yes" : "no");
		else if (json_is_array(v))
			print_array(table, name, v);
		else
			out_fact(table, name, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
	}
}

static int print_list(const struct tool *t, const char *name, json_t *list)
{
	json_t *root, *v;
	int rc = EXIT_OK;
	size_t i;

	if (t->json) {
		root = json_pack("{s:o}", name, list);
		rc = out_json(root);
		json_decref(root);
		return rc;
	}
	json_array_foreach(list, i, v) {
		struct out_table *table = out_facts_new();

		if (i)
			putchar('\n');
		print_object(table, "", v);
		rc |= out_table_end(table);
	}
	json_decref(list);
	return rc;
}

static int dump_superblocks(struct tool *t, int argc, char **argv)
{
	struct err err = ERR_INIT;
	json_t *list = json_array();
	struct dump *d;

	(void)argc;
	(void)argv;
	if (dump_open(t, &d, &err)) {
		json_decref(list);
		return tool_fail(&err);
	}
	dump_supers(d, each_copy, list);
	dump_close(d);
	return print_list(t, "superblocks", list);
}

/* ------------------------------------------------------------------ segments */
static int each_segment(void *ctx, const struct dump_segment *s)
{
	json_t *o = json_pack("{s:i, s:i, s:i}", "segment", (int)s->seg, "units", (int)s->units,
			      "blocks", (int)s->blocks);
	bool now = s->units && s->footer_seq == s->first.seg_seq;

	if (s->units) {
		json_object_set_new(o, "seg_seq", json_integer((json_int_t)s->first.seg_seq));
		json_object_set_new(o, "generation", json_integer((json_int_t)s->first.generation));
		json_object_set_new(o, "first_unit", json_integer((json_int_t)s->first.unit_seq));
		json_object_set_new(o, "last_unit", json_integer((json_int_t)s->last.unit_seq));
		json_object_set_new(o, "next_segment", json_integer((json_int_t)s->last.next_seg));
	}
	json_object_set_new(o, "footer", json_string(!s->footer_seq ? "none" : now ? "valid" : "old"));
	return json_array_append_new(ctx, o) ? -ENOMEM : 0;
}

static void number(char to[24], const json_t *o, const char *key)
{
	snprintf(to, 24, get_any(o, key) ? "%" PRIu64 : "-", get_uint(o, key));
}

static int segment_table(const json_t *list)
{
	static const char *const columns[] = {">SEGMENT", ">SEQ", ">UNITS", ">BLOCKS", ">FIRST", ">LAST", ">NEXT",
					      "FOOTER", NULL};
	static const char *const keys[] = {"segment", "seg_seq", "units", "blocks", "first_unit", "last_unit",
					   "next_segment"};
	struct out_table *table = out_table_new(columns);
	char text[7][24];
	json_t *o;
	size_t i;

	json_array_foreach((json_t *)list, i, o) {
		const char *cells[8];

		for (int k = 0; k < 7; k++) {
			number(text[k], o, keys[k]);
			cells[k] = text[k];
		}
		cells[7] = get_text(o, "footer");
		out_table_row(table, cells);
	}
	return out_table_end(table);
}

static int dump_segments(struct tool *t, int argc, char **argv)
{
	struct err err = ERR_INIT;
	json_t *list = json_array();
	struct dump *d;
	int rc;

	(void)argc;
	(void)argv;
	if (dump_open(t, &d, &err) == 0) {
		dump_each_segment(d, each_segment, list, &err);
		dump_close(d);
	}
	if (err.code) {
		json_decref(list);
		return tool_fail(&err);
	}
	if (t->json)
		return print_list(t, "segments", list);
	rc = segment_table(list);
	json_decref(list);
	return rc;
}

/* ------------------------------------------------------------------ log */
static const char *record_name(enum rec_type type)
{
	static const char *const names[REC_TYPES] = {
		[REC_DATA] = "data", [REC_UNMAP] = "unmap", [REC_SEG_FREE] = "seg-free",
		[REC_VOL_CREATE] = "vol-create", [REC_VOL_DELETE] = "vol-delete", [REC_VOL_TRIM] = "vol-trim",
		[REC_VOL_GONE] = "vol-gone", [REC_VOL_RENAME] = "vol-rename", [REC_VOL_SIZE] = "vol-size",
		[REC_SHARE] = "share", [REC_VOL_SNAP] = "vol-snap", [REC_VOL_REVERT] = "vol-revert",
		[REC_VOL_ATTR] = "vol-attr", [REC_CHUNKS] = "chunks"};

	return type < REC_TYPES && names[type] ? names[type] : "unknown";
}

static json_t *record_json(const struct rec *r)
{
	json_t *o = json_pack("{s:s, s:i}", "type", record_name(r->type), "flags", (int)r->flags);
	struct hb_volume_attr attr;

#define ADD(field) \
	do { \
		if (r->field) \
			json_object_set_new(o, #field, json_integer((json_int_t)r->field)); \
	} while (0)
	ADD(vol);
	ADD(vblk);
	ADD(pblk);
	ADD(count);
	ADD(crc);
	ADD(seg);
	ADD(seg_seq);
	ADD(src_vol);
	ADD(src_vblk);
	ADD(size_blk);
#undef ADD
	if (r->name[0])
		json_object_set_new(o, "name", verb_text_json(r->name));
	if (r->attr)
		json_object_set_new(o, "attributes", volattr_decode(&attr, r->attr) ? json_string("damaged") :
				    verb_attr_json(&attr));
	return o;
}

static void print_attributes(const json_t *attr)
{
	char *text = json_dumps(attr, JSON_COMPACT | JSON_ENCODE_ANY);

	printf(" attributes=%s", text ? text : "?");
	free(text);
}

static void print_record(const json_t *rec)
{
	const char *key;
	json_t *v;

	printf("    %-10s", get_text(rec, "type"));
	json_object_foreach((json_t *)rec, key, v) {
		if (json_is_integer(v) && (json_integer_value(v) || strcmp(key, "flags")))
			printf(" %s=%" JSON_INTEGER_FORMAT, key, json_integer_value(v));
		else if (!strcmp(key, "name"))
			printf(" name=%s", json_string_value(v));
		else if (!strcmp(key, "attributes"))
			print_attributes(v);
	}
	putchar('\n');
}

struct log_out {
	const struct tool *tool;
	json_t *units;			/* JSON only; the table is printed as it comes */
};

static int each_unit(void *ctx, const struct unit_head *h, const struct rec *recs, unsigned nrec)
{
	struct log_out *out = ctx;
	json_t *list = json_array(), *unit;

	for (unsigned i = 0; i < nrec; i++)
		json_array_append_new(list, record_json(&recs[i]));
	if (out->tool->json) {
		unit = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:i, s:o}", "segment", (json_int_t)h->seg,
				 "offset", (json_int_t)h->off, "seg_seq", (json_int_t)h->seg_seq,
				 "unit", (json_int_t)h->unit_seq, "durable", (json_int_t)h->durable_seq,
				 "generation", (json_int_t)h->generation, "next_segment", (json_int_t)h->next_seg,
				 "blocks", (int)h->nblk, "records", list);
		return json_array_append_new(out->units, unit) ? -ENOMEM : 0;
	}
	printf("unit %" PRIu64 ": segment %u offset %u life %" PRIu64 ", durable up to %" PRIu64 ", generation %" PRIu64
	       ", next %u, %u blocks, %u records\n", h->unit_seq, h->seg, h->off, h->seg_seq, h->durable_seq,
	       h->generation, h->next_seg, h->nblk, nrec);
	for (unsigned i = 0; i < nrec; i++)
		print_record(json_array_get(list, i));
	json_decref(list);
	return 0;
}

static int dump_log(struct tool *t, int argc, char **argv)
{
	struct log_out out = {.tool = t, .units = json_array()};
	struct err err = ERR_INIT;
	struct dump *d;
	char *end = NULL;
	unsigned long seg = argc ? strtoul(argv[0], &end, 10) : 0;

	if (argc && (!seg || *end || argv[0][0] == '-' || seg > UINT32_MAX)) {
		json_decref(out.units);
		return tool_usage("dump log %s: expected the number of a segment, from 1", argv[0]);
	}
	if (dump_open(t, &d, &err) == 0) {
		dump_each_unit(d, (uint32_t)seg, each_unit, &out, &err);
		dump_close(d);
	}
	if (err.code) {
		json_decref(out.units);
		return tool_fail(&err);
	}
	if (t->json)
		return print_list(t, "units", out.units);
	json_decref(out.units);
	return EXIT_OK;
}

/* ------------------------------------------------------------------ volumes */
static int each_volume(void *ctx, const struct volrec *r)
{
	json_t *o = json_pack("{s:I, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I}", "id", (json_int_t)r->id, "name",
			      verb_text_json(r->name), "uuid", verb_uuid_json(r->uuid), "flags", (json_int_t)r->flags,
			      "size_blk", (json_int_t)r->size_blk, "created_s", (json_int_t)r->created_s, "parent",
			      (json_int_t)r->parent_id, "root_page", (json_int_t)r->root_page, "root_levels",
			      (json_int_t)r->root_levels);

	json_object_set_new(o, "attributes", verb_attr_json(&r->attr));
	return json_array_append_new(ctx, o) ? -ENOMEM : 0;
}

static int dump_volumes(struct tool *t, int argc, char **argv)
{
	struct err err = ERR_INIT;
	json_t *list = json_array();
	struct dump *d;

	(void)argc;
	(void)argv;
	if (dump_open(t, &d, &err) == 0) {
		dump_each_volume(d, each_volume, list, &err);
		dump_close(d);
	}
	if (err.code) {
		json_decref(list);
		return tool_fail(&err);
	}
	return print_list(t, "volumes", list);
}

/* ------------------------------------------------------------------ map of a volume */
static int print_map(const struct tool *t, struct hb_volume *vol)
{
	static const char *const columns[] = {">OFFSET", ">LENGTH", "STATE", NULL};
	struct out_table *table = t->json ? NULL : out_table_new(columns);
	json_t *list = json_array();
	uint64_t size = hb_volume_size(vol), len;

	for (uint64_t off = 0; off < size; off += len) {
		char from[24], count[48];
		const char *cells[] = {from, count, "mapped"};

		len = size - off;
		if (!hb_volume_mapped(vol, off, &len))
			cells[2] = "hole";
		snprintf(from, sizeof(from), "%" PRIu64, off);
		out_size(t, len, count);
		if (table)
			out_table_row(table, cells);
		else
			json_array_append_new(list, json_pack("{s:I, s:I, s:b}", "offset_bytes", (json_int_t)off,
							      "length_bytes", (json_int_t)len, "mapped",
							      cells[2][0] == 'm'));
	}
	if (!table)
		return print_list(t, "ranges", list);
	json_decref(list);
	return out_table_end(table);
}

static int dump_map(struct tool *t, int argc, char **argv)
{
	struct err err = ERR_INIT, close_err = ERR_INIT;
	struct hb_volume *vol;
	struct session *s;
	int rc = EXIT_OK;

	(void)argc;
	if (session_open(t, SESSION_CLOSED, &s, &err))
		return tool_fail(&err);
	if (hb_volume_open(session_pool(s), argv[0], &vol, &err) == 0) {
		rc = print_map(t, vol);
		hb_volume_close(vol);
	}
	session_close(s, &close_err);
	return err.code ? tool_fail(&err) : rc;
}

const struct command dump_commands[] = {
	{"dump superblocks", dump_superblocks, 0, 0, "", 0, "both copies of each device's superblock", NULL},
	{"dump segments", dump_segments, 0, 0, "", 0, "what each segment of the log holds", NULL},
	{"dump log", dump_log, 0, 1, "[SEGMENT]", 0, "the units of the log with their records",
	 "The devices are read as they are, without a lock: of a pool in use the last units may look torn, and what\n"
	 "rests in staging memory is not seen.\n"},
	{"dump volumes", dump_volumes, 0, 0, "", 0, "the volume table of the last checkpoint", NULL},
	{"dump map", dump_map, 1, 1, "VOLUME", TAKES_BYTES, "which ranges of a volume are mapped (pool closed)", NULL},
	{0},
};
