/* SPDX-License-Identifier: GPL-2.0-only */
/* read.h - inside of the room: where a JSON value stands in the file, and how one is read strictly. For
 * this room, and for the manager's files. */
#ifndef HB_CONF_READ_H
#define HB_CONF_READ_H

#include <jansson.h>

#include "conf/conf.h"

/* A value's place, from the inside out: the n-th member or element of the value above; `up` NULL: the whole text. */
struct at {
	const struct at *up;
	size_t nth;
};

struct reader {
	const char *file;
	const char *text;		/* valid JSON */
	size_t len;
	char *dir;			/* absolute: where relative paths start */
	struct conf *conf;		/* being filled */
	struct err *err;
};

/* The line (from 1) on which the value at `at` begins, or with `key` the name of that member. */
unsigned int conf_line(const char *text, size_t len, const struct at *at, bool key);

/* Sets "FILE:LINE: ..." and returns -EINVAL. */
int bad(struct reader *r, const struct at *at, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* As bad(), at the member's name. */
int bad_key(struct reader *r, const struct at *at, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* One key of an object. `read` stores into `out`, what read_object() was given. */
struct field {
	const char *key;
	bool required;
	int (*read)(struct reader *r, const char *key, json_t *v, const struct at *at, void *out);
};

/* Reads all members of an object by the table; `what` names it in messages: "a pool". The table ends with key NULL. */
int read_object(struct reader *r, json_t *v, const struct at *at, const char *what, const struct field *fields,
		void *out);

/* Each checks the type and the range, and tells what was expected. */
int read_string(struct reader *r, const char *key, json_t *v, const struct at *at, const char **ret);
int read_name(struct reader *r, const char *key, json_t *v, const struct at *at, char ret[HB_NAME_MAX + 1]);
int read_path(struct reader *r, const char *key, json_t *v, const struct at *at, char **ret);
int read_size(struct reader *r, const char *key, json_t *v, const struct at *at, uint64_t *ret);
int read_percent(struct reader *r, const char *key, json_t *v, const struct at *at, uint32_t *ret);
int read_duration(struct reader *r, const char *key, json_t *v, const struct at *at, uint64_t *ret_ns);
/* A whole number from `least` to `most`. */
int read_count(struct reader *r, const char *key, json_t *v, const struct at *at, uint32_t least, uint32_t most,
	       uint32_t *ret);
/* A string that is not empty; owned. */
int read_text(struct reader *r, const char *key, json_t *v, const struct at *at, char **ret);
int read_mode(struct reader *r, const char *key, json_t *v, const struct at *at, mode_t *ret);

/* A copy fit for a message: at most 60 bytes, control characters replaced. Good until the next but three call. */
const char *shown(const char *s);

/* tiers.c */
int read_tiers(struct reader *r, const char *key, json_t *v, const struct at *at, void *pool);
/* "the ssd tier", "cache level 1" */
const char *tier_words(enum conf_tier_type type);

/* tier.c */
/* One object of the array: its device, or RAM. `mirror` gets the other half, if there is one. */
int read_tier(struct reader *r, json_t *v, const struct at *at, enum conf_tier_type type, struct conf_tier *tier,
	      struct conf_tier *mirror);
void free_tier(struct conf_tier *tier);

/* differ.c */
/* No device and no file twice, in one pool or in two. */
int check_devices_differ(struct reader *r);

#endif
