/* SPDX-License-Identifier: GPL-2.0-only */
/* csv.c - traces of comma-separated columns: which column is what is given, or a name for it, or in the first line. */
#include "formats.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "base/units.h"

#define VOLUME_COLUMNS 4
#define NAME_MAX_BYTES 64

/* A column by its number (from 1) or by its name in the first line. */
struct column {
	char name[NAME_MAX_BYTES];	/* empty: by number */
	unsigned number;		/* 0: not given, or not found yet */
};

struct columns {
	struct column op, offset, size, volume[VOLUME_COLUMNS];
	unsigned volumes;
	uint32_t offset_unit, size_unit;
	char separator;
};

/* The columns of well-known collections. */
static const struct { const char *name, *columns; } presets[] = {
	/* MSR Cambridge: Timestamp,Hostname,DiskNumber,Type,Offset,Size,ResponseTime. D. Narayanan, A. Donnelly,
	 * A. Rowstron: "Write off-loading", FAST 2008. */
	{"msr", "volume=2,volume=3,op=4,offset=5,size=6"},
	/* SYSTOR '17: Timestamp,Response,IOType,LUN,Offset,Size. C. Lee et al.: "Understanding storage traffic
	 * characteristics on enterprise virtual desktop infrastructure". */
	{"systor", "op=3,volume=4,offset=5,size=6"},
	/* Alibaba: device_id,opcode,offset,length,timestamp. J. Li et al., IISWC 2020. */
	{"alibaba", "volume=1,op=2,offset=3,size=4"},
	/* Tencent: Timestamp,Offset,Size,IOType,VolumeID, in sectors. Y. Zhang et al.: "OSCA", ATC 2020. */
	{"tencent", "offset=2,size=3,op=4,volume=5,unit=512"},
	/* The Storage Performance Council's: ASU,LBA,Size,Opcode,Timestamp. */
	{"spc", "volume=1,offset=2,size=3,op=4,offset-unit=512"},
};

/* ------------------------------------------------------------------ which column is what */
static int set_unit(struct columns *c, const char *key, const char *value, struct err *err)
{
	uint64_t unit;

	if (!field_number(value, &unit) || !unit || unit > MIB(1))
		return err_set(err, -EINVAL, "--csv: %s=%s: expected bytes, 1 to 1048576", key, value);
	if (key[0] != 's')		/* unit or offset-unit */
		c->offset_unit = (uint32_t)unit;
	if (key[0] != 'o')
		c->size_unit = (uint32_t)unit;
	return 0;
}

static int set_separator(struct columns *c, const char *value, struct err *err)
{
	static const struct { const char *name; char is; } names[] = {
		{"comma", ','}, {"semicolon", ';'}, {"tab", '\t'}, {"blank", ' '}};

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (!strcmp(value, names[i].name)) {
			c->separator = names[i].is;
			return 0;
		}
	return err_set(err, -EINVAL, "--csv: sep=%s: expected comma, semicolon, tab or blank", value);
}

static int set_column(struct column *column, const char *key, const char *value, struct err *err)
{
	uint64_t number;

	*column = (struct column){0};
	if (!*value || strlen(value) >= NAME_MAX_BYTES)
		return err_set(err, -EINVAL, "--csv: %s=%s: expected a column's number or name", key, value);
	if (!field_number(value, &number)) {
		text_fmt(column->name, sizeof(column->name), "%s", value);
		return 0;
	}
	if (!number || number > FIELDS_MAX)
		return err_set(err, -EINVAL, "--csv: %s=%s: columns are 1 to %d", key, value, FIELDS_MAX);
	column->number = (unsigned)number;
	return 0;
}

static int set(struct columns *c, const char *key, const char *value, struct err *err)
{
	if (!strcmp(key, "unit") || !strcmp(key, "offset-unit") || !strcmp(key, "size-unit"))
		return set_unit(c, key, value, err);
	if (!strcmp(key, "sep"))
		return set_separator(c, value, err);
	if (!strcmp(key, "op"))
		return set_column(&c->op, key, value, err);
	if (!strcmp(key, "offset"))
		return set_column(&c->offset, key, value, err);
	if (!strcmp(key, "size"))
		return set_column(&c->size, key, value, err);
	if (!strcmp(key, "volume") && c->volumes < VOLUME_COLUMNS)
		return set_column(&c->volume[c->volumes++], key, value, err);
	return err_set(err, -EINVAL, "--csv: %s: expected op=, offset=, size=, volume=, unit=, offset-unit=, "
		       "size-unit= or sep=, or one of the names msr, systor, alibaba, tencent and spc", key);
}

static bool is_given(const struct column *c)
{
	return c->number || c->name[0];
}

static int parse(const char *text, struct columns *ret, struct err *err)
{
	char buf[512], *fields[FIELDS_MAX];
	unsigned n;

	*ret = (struct columns){.offset_unit = 1, .size_unit = 1, .separator = ','};
	for (size_t i = 0; i < ARRAY_LEN(presets); i++)
		if (!strcmp(text, presets[i].name))
			text = presets[i].columns;
	if (strlen(text) >= sizeof(buf))
		return err_set(err, -EINVAL, "--csv: too long");
	text_fmt(buf, sizeof(buf), "%s", text);
	n = fields_cut(buf, ',', fields);
	for (unsigned i = 0; i < n; i++) {
		char *value = strchr(fields[i], '=');

		if (value)
			*value++ = '\0';
		if (set(ret, fields[i], value ? value : "", err))
			return err->code;
	}
	if (!is_given(&ret->offset) || !is_given(&ret->size))
		return err_set(err, -EINVAL, "--csv: offset= and size= are needed");
	return 0;
}

int csv_check(const char *columns, struct err *err)
{
	struct columns c;

	return parse(columns, &c, err);
}

/* ------------------------------------------------------------------ the first line */
/* Names that tell by themselves what a column is; sizes and offsets in bytes. */
static const char *const op_names[] = {"op", "type", "iotype", "io_type", "opcode", "operation", "rw", NULL};
static const char *const offset_names[] = {"offset", "offset_bytes", NULL};
static const char *const size_names[] = {"size", "length", "size_bytes", "length_bytes", "bytes", NULL};
static const char *const volume_names[] = {"hostname", "disknumber", "disk", "lun", "device", "device_id", "volume",
					   "volumeid", "volume_id", NULL};

static bool one_of(const char *word, const char *const *words)
{
	while (*words && strcasecmp(word, *words))
		words++;
	return *words;
}

/* The columns by their names in the first line; false if offset or size is not among them. */
static bool from_names(struct columns *c, char **fields, unsigned n)
{
	*c = (struct columns){.offset_unit = 1, .size_unit = 1, .separator = ','};
	for (unsigned i = 0; i < n; i++) {
		struct column *to = one_of(fields[i], op_names) ? &c->op : one_of(fields[i], offset_names) ? &c->offset
			: one_of(fields[i], size_names) ? &c->size : NULL;

		if (!to && one_of(fields[i], volume_names) && c->volumes < VOLUME_COLUMNS)
			to = &c->volume[c->volumes++];
		if (to && !to->number)
			to->number = i + 1;
	}
	return c->offset.number && c->size.number;
}

/* MSR Cambridge's have no names, but an unmistakable form. */
static bool looks_like_msr(char **fields, unsigned n)
{
	uint64_t number;

	return n == 7 && field_number(fields[0], &number) && number > 1ull << 56 && field_number(fields[2], &number) &&
	       (!strcasecmp(fields[3], "read") || !strcasecmp(fields[3], "write")) &&
	       field_number(fields[4], &number) && field_number(fields[5], &number);
}

static bool guess(char *line, struct columns *ret, bool *ret_names)
{
	char *fields[FIELDS_MAX];
	unsigned n = fields_cut(line, ',', fields);

	*ret_names = !looks_like_msr(fields, n);
	if (*ret_names)
		return from_names(ret, fields, n);
	return parse("msr", ret, NULL) == 0;
}

bool csv_detect(const uint8_t *head, size_t size)
{
	struct columns c;
	char line[1024];
	bool names;

	return head_line(head, size, 0, line, sizeof(line)) && guess(line, &c, &names);
}

/* Finds a column by its name; false if there is none. */
static bool find(struct column *c, char **fields, unsigned n)
{
	for (unsigned i = 0; c->name[0] && !c->number && i < n; i++)
		if (!strcasecmp(fields[i], c->name))
			c->number = i + 1;
	return c->number || !c->name[0];
}

static bool has_names(const struct columns *c)
{
	bool names = c->op.name[0] || c->offset.name[0] || c->size.name[0];

	for (unsigned i = 0; i < c->volumes; i++)
		names = names || c->volume[i].name[0];
	return names;
}

static int find_all(struct columns *c, char **fields, unsigned n, struct err *err)
{
	struct column *all[3 + VOLUME_COLUMNS] = {&c->op, &c->offset, &c->size};

	for (unsigned i = 0; i < c->volumes; i++)
		all[3 + i] = &c->volume[i];
	for (unsigned i = 0; i < 3 + c->volumes; i++)
		if (!find(all[i], fields, n))
			return err_set(err, -EBADMSG, "no column is named \"%s\"", all[i]->name);
	return 0;
}

/* ------------------------------------------------------------------ the other lines */
/* 'r', 'w', 0 for what moves no data, or '?'. */
static char op_of(const char *s)
{
	static const char *const reads[] = {"r", "read", "0", "rs", "ra", "rm", "rsm", "rd", NULL};
	static const char *const writes[] = {"w", "write", "1", "ws", "wm", "wsm", "wfs", "fwfs", "wr", NULL};
	static const char *const others[] = {"d", "f", "t", "discard", "flush", "sync", "trim", "unmap", "", NULL};

	return one_of(s, reads) ? 'r' : one_of(s, writes) ? 'w' : one_of(s, others) ? 0 : '?';
}

static const char *field(char **fields, unsigned n, const struct column *c)
{
	return c->number && c->number <= n ? fields[c->number - 1] : "";
}

static int add_line(struct input *in, const struct columns *c, char **fields, unsigned n, struct trace *to,
		    struct err *err)
{
	struct request r = {.at_unit = c->offset_unit, .length_unit = c->size_unit};
	char op = !c->op.number ? 'r' : c->op.number > n ? '?' : op_of(field(fields, n, &c->op));

	if (op == '?')
		err_set(err, -EBADMSG, "operation \"%.40s\": expected read or write, R or W, 0 or 1",
			field(fields, n, &c->op));
	else if (!field_number(field(fields, n, &c->offset), &r.at))
		err_set(err, -EBADMSG, "offset \"%.40s\" in column %u: expected a whole number",
			field(fields, n, &c->offset), c->offset.number);
	else if (!field_number(field(fields, n, &c->size), &r.length))
		err_set(err, -EBADMSG, "size \"%.40s\" in column %u: expected a whole number",
			field(fields, n, &c->size), c->size.number);
	else if (op) {
		r.write = op == 'w';
		for (unsigned i = 0; i < c->volumes; i++)
			r.volume = trace_name_hash(r.volume, field(fields, n, &c->volume[i]));
		return format_add(in, to, &r, err);
	} else {
		to->nignored++;
		return 0;
	}
	return input_blame(in, err);
}

/* Of the first line: what it says of the columns, and whether it is no request. */
static int first_line(struct columns *c, const struct format_options *options, char *line, bool *ret_names,
		      struct err *err)
{
	char copy[INPUT_LINE_MAX + 1], *fields[FIELDS_MAX];
	uint64_t number;
	unsigned n;

	text_fmt(copy, sizeof(copy), "%s", line);
	if (!options->csv)
		return guess(copy, c, ret_names) ? 0 : err_set(err, -EBADMSG, "no known names of columns: say --csv");
	n = fields_cut(copy, c->separator, fields);
	*ret_names = has_names(c) || !field_number(field(fields, n, &c->offset), &number);
	return *ret_names ? find_all(c, fields, n, err) : 0;
}

int csv_read(struct input *in, const struct format_options *options, struct trace *to, struct err *err)
{
	struct columns c = {.separator = ','};
	bool first = true;
	char *line;
	int rc;

	if (options->csv && parse(options->csv, &c, err))
		return err->code;
	while ((rc = input_line(in, &line, err)) == 1) {
		char *fields[FIELDS_MAX];
		bool names = false;

		if (line_is_empty(line))
			continue;
		if (first && first_line(&c, options, line, &names, err))
			return input_blame(in, err);
		first = false;
		if (!names && add_line(in, &c, fields, fields_cut(line, c.separator, fields), to, err))
			return err->code;
	}
	return rc;
}
