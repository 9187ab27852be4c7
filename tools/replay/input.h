/* SPDX-License-Identifier: GPL-2.0-only */
/* input.h - the bytes of a trace file, unpacked, as lines or as records of a fixed size; and where an error is. */
#ifndef HB_REPLAY_INPUT_H
#define HB_REPLAY_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define INPUT_LINE_MAX 65536u

struct input;

/* "-" is standard input. A file packed by xz, gzip, zstd or bzip2 is unpacked by that program. */
int input_open(const char *path, struct input **ret, struct err *err);
/* Ends the unpacking program. NULL is fine. */
void input_close(struct input *in);
/* What comes next, without taking it: up to `want` bytes (at most 64 KiB), fewer only at the end. */
int input_peek(struct input *in, size_t want, const uint8_t **ret, size_t *ret_have, struct err *err);
/* Takes `size` bytes (at most 64 KiB), valid until the next call. 1, or 0 at the end; -EBADMSG when it is cut short. */
int input_record(struct input *in, size_t size, const uint8_t **ret, struct err *err);
/* Takes a line, without its end; valid until the next call. 1, or 0 at the end; -EBADMSG when it is no text. */
int input_line(struct input *in, char **ret, struct err *err);
/* Puts where we are, "FILE: line 7: " or "FILE: offset 64: ", before the text of an error; returns err->code. */
int input_blame(const struct input *in, struct err *err);
int input_blame_all(const struct input *in, struct err *err);	/* only "FILE: " */
/* How much of the file (packed as it is) was read; false when its size is not known. */
bool input_done(const struct input *in, uint64_t *ret_done, uint64_t *ret_total);
uint64_t input_offset(const struct input *in);	/* unpacked bytes taken so far */
/* Calls fn whenever more of the file was read. */
void input_on_read(struct input *in, void (*fn)(void *ctx, const struct input *in), void *ctx);

#endif
