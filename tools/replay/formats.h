/* SPDX-License-Identifier: GPL-2.0-only */
/* formats.h - the formats of traces: how each is known, and how its records become requests. */
#ifndef HB_REPLAY_FORMATS_H
#define HB_REPLAY_FORMATS_H

#include <stddef.h>

#include "input.h"
#include "trace.h"

#define FORMAT_HEAD 65536u		/* at most so many bytes are looked at to know a format */

struct format_options {
	const char *csv;		/* columns, or a preset's name; NULL: by the first line */
	char event;			/* of blktrace: 'Q' queued or 'D' issued */
};

struct format {
	const char *name;
	const char *help;		/* one line */
	/* Whether a file with this beginning is likely of this format; NULL: never guessed. */
	bool (*detect)(const uint8_t *head, size_t size);
	/* Reads all. An error's text says where. */
	int (*read)(struct input *in, const struct format_options *options, struct trace *to, struct err *err);
};

extern const struct format formats[];	/* ends with a NULL name */

/* NULL: no such. */
const struct format *format_named(const char *name, size_t length);
/* format NULL: by its beginning. */
int format_read(const struct format *format, struct input *in, const struct format_options *options, struct trace *to,
		struct err *err);

/* ------------------------------------------------------------------ for the formats */
/* What a record says, in its own units. */
struct request {
	uint64_t volume;		/* a number, or the hash of a name */
	uint64_t at, length;
	uint32_t at_unit, length_unit;	/* bytes */
	bool write;
};
/* Adds it; what is wrong with it is blamed on where `in` is. */
int format_add(struct input *in, struct trace *to, const struct request *r, struct err *err);

bool vscsi_detect(const uint8_t *head, size_t size);
bool blktrace_detect(const uint8_t *head, size_t size);
bool fio_detect(const uint8_t *head, size_t size);
bool lis_detect(const uint8_t *head, size_t size);
bool csv_detect(const uint8_t *head, size_t size);
int vscsi_read(struct input *in, const struct format_options *options, struct trace *to, struct err *err);
int blktrace_read(struct input *in, const struct format_options *options, struct trace *to, struct err *err);
int fio_read(struct input *in, const struct format_options *options, struct trace *to, struct err *err);
int lis_read(struct input *in, const struct format_options *options, struct trace *to, struct err *err);
int lis_pages_read(struct input *in, const struct format_options *options, struct trace *to, struct err *err);
int csv_read(struct input *in, const struct format_options *options, struct trace *to, struct err *err);
/* Whether --csv makes sense; -EINVAL. */
int csv_check(const char *columns, struct err *err);

/* ------------------------------------------------------------------ for text formats: fields.c */
#define FIELDS_MAX 64
/* Cuts a line at each `separator`, or at runs of blanks when that is ' '; fields lose blanks and double quotes around
 * them. Returns how many; those behind FIELDS_MAX are dropped. */
unsigned fields_cut(char *line, char separator, char *ret[FIELDS_MAX]);
/* A whole decimal number; false when it is none, or too large. */
bool field_number(const char *field, uint64_t *ret);
/* Blank, or a comment that begins with '#'. */
bool line_is_empty(const char *line);
/* The n-th line (from 0) of the head, whole, copied without its end; false when it is not there. */
bool head_line(const uint8_t *head, size_t size, unsigned n, char *to, size_t room);

#endif
