/* SPDX-License-Identifier: GPL-2.0-only */
/* text.c - traces of lines with blanks between: ARC's lists and fio's logs. */
#include "formats.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/units.h"

/* ------------------------------------------------------------------ lis: the lists of the ARC paper */
/* "start count ignored number": N. Megiddo, D. Modha, "ARC: a self-tuning, low overhead replacement cache", FAST 2003.
 * Disks' lists count in sectors, those of databases in pages: nothing in them says which. */
bool lis_detect(const uint8_t *head, size_t size)
{
	char line[256], *fields[FIELDS_MAX];
	uint64_t number;
	unsigned n;

	if (!head_line(head, size, 0, line, sizeof(line)))
		return false;
	n = fields_cut(line, ' ', fields);
	for (unsigned i = 0; i < n; i++)
		if (!field_number(fields[i], &number))
			return false;
	return n == 4;
}

static int read_units(struct input *in, uint32_t unit, struct trace *to, uint64_t *ret_longest, struct err *err)
{
	char *line, *fields[FIELDS_MAX];
	int rc;

	*ret_longest = 0;
	while ((rc = input_line(in, &line, err)) == 1) {
		struct request r = {.at_unit = unit, .length_unit = unit};
		unsigned n;

		if (line_is_empty(line))
			continue;
		n = fields_cut(line, ' ', fields);
		if (n < 2 || !field_number(fields[0], &r.at) || !field_number(fields[1], &r.length)) {
			err_set(err, -EBADMSG, "expected numbers: start, count and two more");
			return input_blame(in, err);
		}
		if (format_add(in, to, &r, err))
			return err->code;
		*ret_longest = MAX(*ret_longest, r.length);
	}
	return rc;
}

int lis_read(struct input *in, const struct format_options *options, struct trace *to, struct err *err)
{
	uint64_t longest;
	int rc = read_units(in, SECTOR_BYTES, to, &longest, err);

	(void)options;
	to->maybe_pages = longest == 1;
	return rc;
}

int lis_pages_read(struct input *in, const struct format_options *options, struct trace *to, struct err *err)
{
	uint64_t longest;

	(void)options;
	return read_units(in, BLK_BYTES, to, &longest, err);
}

/* ------------------------------------------------------------------ fio: what write_iolog wrote */
/* Version 2: "file action [offset length]"; version 3: the same, after a time. fio(1), "Trace file format". */
static unsigned iolog_version(const char *line)
{
	unsigned version;
	int end = 0;

	if (sscanf(line, "fio version %1u iolog%n", &version, &end) != 1 || !end || line[end])
		return 0;
	return version;
}

bool fio_detect(const uint8_t *head, size_t size)
{
	char line[256];

	return head_line(head, size, 0, line, sizeof(line)) && iolog_version(line);
}

static bool is_one_of(const char *word, const char *const *words)
{
	while (*words && strcmp(word, *words))
		words++;
	return *words;
}

/* One action: `fields` begin with the file's name. */
static int fio_action(struct input *in, char **fields, unsigned n, struct trace *to, struct err *err)
{
	static const char *const others[] = {"add", "open", "close", "wait", "sync", "datasync", "trim", NULL};
	struct request r = {.at_unit = 1, .length_unit = 1};

	if (n >= 2 && is_one_of(fields[1], others)) {
		to->nignored++;
		return 0;
	}
	if (n != 4 || (strcmp(fields[1], "read") && strcmp(fields[1], "write")) || !field_number(fields[2], &r.at) ||
	    !field_number(fields[3], &r.length)) {
		err_set(err, -EBADMSG, "expected a file, an action, and for read and write offset and length");
		return input_blame(in, err);
	}
	r.volume = trace_name_hash(0, fields[0]);
	r.write = !strcmp(fields[1], "write");
	return format_add(in, to, &r, err);
}

int fio_read(struct input *in, const struct format_options *options, struct trace *to, struct err *err)
{
	char *line, *fields[FIELDS_MAX];
	unsigned version = 0;
	int rc = input_line(in, &line, err);

	(void)options;
	if (rc == 1)
		version = iolog_version(line);
	if (rc == 1 && version != 2 && version != 3) {
		err_set(err, -EPROTONOSUPPORT, "expected \"fio version 2 iolog\" or \"fio version 3 iolog\"");
		return input_blame(in, err);
	}
	while (rc == 1 && (rc = input_line(in, &line, err)) == 1) {
		unsigned n, skip = version == 3;
		uint64_t when;

		if (line_is_empty(line))
			continue;
		n = fields_cut(line, ' ', fields);
		if (n <= skip || (skip && !field_number(fields[0], &when))) {
			err_set(err, -EBADMSG, "expected a time, a file and an action");
			return input_blame(in, err);
		}
		if (fio_action(in, fields + skip, n - skip, to, err))
			return err->code;
	}
	return rc;
}
