/* SPDX-License-Identifier: GPL-2.0-only */
/* top.h - a live view of pools, tiers and volumes, whoever asks for the numbers. */
#ifndef HB_TOOLS_TOP_H
#define HB_TOOLS_TOP_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"

struct top_sorting;

struct top {				/* zeroed, but for the first lines */
	const char *title;		/* "hybrid-pool top" */
	/* What happened in `seconds`, since it was called last: an array, the caller's, of what rates_json() gives, or
	 * of {"name", "state"} of a pool that says nothing. NULL: it is time to end. */
	json_t *(*look)(void *ctx, double seconds);
	void *ctx;
	bool batch;			/* views follow each other, as plain text */
	bool json;			/* each view is a document in a line; with batch only */
	double delay_s;			/* between two looks */
	unsigned long count;		/* views still to come; 0: no end */
	const struct top_sorting *by;
	double before_s;
	json_t *view;			/* the last one */
};

struct top_option { const char *name, *value; };	/* value NULL: not given */

/* Sets delay_s (2), count and by; -EINVAL with a sentence. */
int top_set(struct top *t, const struct top_option *delay, const struct top_option *count, const char *sort,
	    struct err *err);
/* Shows views until it is told to end; EXIT_OK, EXIT_FAILED, or -ENOTTY: without batch a terminal is wanted. */
int top_run(struct top *t);

#endif
