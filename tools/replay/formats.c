/* SPDX-License-Identifier: GPL-2.0-only */
/* formats.c - the table of formats, and which of them a file is. */
#include "formats.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/units.h"

/* Those that are surest of themselves first. */
const struct format formats[] = {
	{"blktrace", "blktrace's binary records, of all CPUs in one: blkparse -d FILE", blktrace_detect, blktrace_read},
	{"vscsi", "VMware's vscsiStats records, of 32 or 40 bytes", vscsi_detect, vscsi_read},
	{"fio", "fio's write_iolog, version 2 or 3", fio_detect, fio_read},
	{"lis", "text: start sector, sectors, two more numbers (the ARC paper's disks)", lis_detect, lis_read},
	{"lis-pages", "the same with 4 KiB pages in place of sectors (its OLTP); never guessed", NULL, lis_pages_read},
	{"csv", "comma-separated, see --csv; MSR Cambridge's, or names in the first line, are known", csv_detect,
	 csv_read},
	{0},
};

const struct format *format_named(const char *name, size_t length)
{
	for (const struct format *f = formats; f->name; f++)
		if (strlen(f->name) == length && !memcmp(f->name, name, length))
			return f;
	return NULL;
}

int format_add(struct input *in, struct trace *to, const struct request *r, struct err *err)
{
	uint64_t offset, bytes = 0;
	uint32_t volume = 0;
	int rc;

	if (__builtin_mul_overflow(r->at, r->at_unit, &offset) ||
	    __builtin_mul_overflow(r->length, r->length_unit, &bytes))
		rc = err_set(err, -ERANGE, "a request at %" PRIu64 ", of length %" PRIu64 ": no disk is so large",
			     r->at, r->length);
	else
		rc = trace_volume(to, r->volume, &volume, err);
	if (rc == 0)
		rc = trace_add(to, volume, offset, bytes, r->write, err);
	return rc ? input_blame(in, err) : 0;
}

static const struct format *guess(struct input *in, const struct format_options *options, struct err *err)
{
	const uint8_t *head;
	size_t have;

	if (input_peek(in, FORMAT_HEAD, &head, &have, err))
		return NULL;
	if (options->csv)
		return format_named("csv", 3);
	for (const struct format *f = formats; f->name; f++)
		if (f->detect && f->detect(head, have))
			return f;
	err_set(err, -EPROTONOSUPPORT, have ? "of no format that can be guessed: say --format" : "empty");
	input_blame_all(in, err);
	return NULL;
}

int format_read(const struct format *format, struct input *in, const struct format_options *options, struct trace *to,
		struct err *err)
{
	int rc;

	if (!format)
		format = guess(in, options, err);
	if (!format)
		return err->code;
	to->format = format->name;
	rc = format->read(in, options, to, err);
	if (rc)
		return rc;
	if (to->nrequests)
		return 0;
	err_set(err, -ENODATA, to->reads_only ? "has no reads" : "has no reads and no writes");
	return input_blame_all(in, err);
}
