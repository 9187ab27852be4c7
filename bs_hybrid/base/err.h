/* SPDX-License-Identifier: GPL-2.0-only */
/* err.h - an error as a number and one sentence, wrapped outward: "open pool main: superblock B: bad checksum". */
#ifndef HB_BASE_ERR_H
#define HB_BASE_ERR_H

#define ERR_TEXT_MAX 512

struct err {
	int code; /* 0, or -errno of the innermost failure */
	char text[ERR_TEXT_MAX]; /* empty while code is 0 */
};

#define ERR_INIT ((struct err){0})

/* Sets code (a -errno) and text; returns code, so that `return err_set(e, -EINVAL, ...)` reads well. e may be NULL. */
int err_set(struct err *e, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Puts "words: " before the text; returns e->code. e may be NULL (returns -EIO). */
int err_wrap(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
