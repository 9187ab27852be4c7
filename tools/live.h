/* SPDX-License-Identifier: GPL-2.0-only */
/* live.h - watching pools in use: their numbers, rates between two looks, histograms, the terminal. */
#ifndef HB_TOOLS_LIVE_H
#define HB_TOOLS_LIVE_H

#include "engine/engine.h"
#include "tool.h"

/* ------------------------------------------------------------------ numbers: live.c */
/* What the stats verb says, with all volumes, however many answers that takes. On success *ret is the caller's. */
int live_stats(struct session *s, json_t **ret, struct err *err);

/* Pools to watch: those that are named; without (n == 0) that of --pool, or all of the configuration. */
struct live_pool {
	char name[HB_NAME_MAX + 1];
	struct session *session;	/* NULL: not connected now */
};
struct live_pools {
	struct live_pool *v;
	size_t n;
};
int live_pools_new(const struct tool *t, char *const names[], size_t n, struct live_pools *ret, struct err *err);
void live_pools_free(struct live_pools *p);
/* The pool's numbers, owned, connecting when it must; NULL: it is not in use now (err says why). */
json_t *live_look(const struct tool *t, struct live_pool *p, struct err *err);

/* ------------------------------------------------------------------ histograms: hist.c */
/* A latency histogram as the stats verb has it. */
struct live_hist {
	uint64_t n[HB_HIST_BUCKETS], total, sum_ns;
};
void live_hist_read(const json_t *latency, struct live_hist *ret);
/* What came between two looks. A pool that was opened anew meanwhile began at zero. */
void live_hist_since(struct live_hist *now, const struct live_hist *before);
/* The end of the bucket that holds the given part, ns; 0: nothing is in it. */
uint64_t live_hist_percentile(const struct live_hist *h, unsigned permille);

/* ------------------------------------------------------------------ rates: rates.c */
/* What happened in `seconds` between two answers of live_stats, as one object; `before` NULL: since the pool was
 * opened is not known, so all rates are 0. */
json_t *rates_json(const json_t *now, const json_t *before, double seconds);

/* Text that grows, for a whole screen or a file; term.c. */
struct text_buf {
	char *text;		/* ends with a zero byte; owned */
	size_t len, room;
};
void text_add(struct text_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* ------------------------------------------------------------------ terminal: term.c */
/* Takes over the terminal: another screen, no echo, no cursor. It is given back at term_end(), at exit(), and when a
 * signal ends the process. -ENOTTY. */
int term_begin(void);
void term_end(void);
void term_size(unsigned *ret_columns, unsigned *ret_lines);
/* Waits for a key for so long: the key; 0: time is over; -1: the terminal is gone; -2: its size has changed, or the
 * process was stopped and goes on. */
int term_key(int timeout_ms);
void term_draw(const struct text_buf *b);

#endif
