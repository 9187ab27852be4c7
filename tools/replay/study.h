/* SPDX-License-Identifier: GPL-2.0-only */
/* study.h - what the files of hybrid-replay share: the command line, and what was found out about each trace. */
#ifndef HB_REPLAY_STUDY_H
#define HB_REPLAY_STUDY_H

#include "formats.h"
#include "jobs.h"

#define SIZES_MAX 64
#define POLICIES_MAX 16

/* A size of the cache. */
struct size {
	char text[24];			/* as given */
	double percent;			/* of the unique blocks; 0: bytes */
	uint64_t bytes;
};

struct options {
	const struct format *format;	/* NULL: to be guessed */
	struct format_options read;
	struct replay_options replay;
	struct size sizes[SIZES_MAX];
	unsigned nsizes;
	const struct contender *policies[POLICIES_MAX];
	unsigned npolicies;
	const struct contender *advise;	/* NULL: no advice */
	bool reads_only;
	bool json;
	const char *csv_out, *plot;	/* NULL: none */
	unsigned processes;
};

/* From the curve of reads that one policy serves, by size. All zeros: there is none. */
struct advice {
	const struct contender *contender;	/* NULL: not asked for */
	struct job *curve;		/* the study's: by size, ascending, to that which holds everything */
	unsigned npoints;
	uint64_t knee_bytes, enough_bytes;	/* 0: nothing would be served */
	double knee, enough, best;	/* shares of the reads that are served */
};

struct study {
	struct trace *trace;		/* owned; after its replays only the facts */
	struct job *jobs;		/* owned: policies x sizes, by policy; behind them those of the following */
	/* With read-ahead, what to compare with: the same without, and plain LRU by size; else NULL. */
	struct job *alone, *lru;
	struct advice advice;
};

/* Blocks: at least 1. */
uint32_t size_blocks(const struct size *size, const struct trace *t);
double miss_ratio(const struct result *r);
double read_hit_ratio(const struct result *r);	/* 0 without reads */

/* ------------------------------------------------------------------ ratios.c: what read-ahead is worth */
/* A modelled HDD of 7,200 rpm, 110 random reads of 4 KiB a second: 4.9 ms for a seek and 4.17 ms for half a turn. */
#define HDD_SEEK_S (0.0049 + 60.0 / 7200 / 2)
#define HDD_BYTES_S 180e6

/* What the HDD has to do, as parts of what it would have to do in another replay. */
struct ratios {
	double operations, blocks, time;
};

/* How long the HDD reads, in seconds: a seek for each operation that does not begin where the last ended. */
double hdd_time(const struct result *r);
/* A job of the study's, with read-ahead, to plain LRU without it, and to the same policy without it. */
struct ratios ratios_to_lru(const struct options *o, const struct study *s, unsigned policy, unsigned size);
struct ratios ratios_to_alone(const struct options *o, const struct study *s, unsigned policy, unsigned size);
/* The mean over n studies, of one size, or of all with size == o->nsizes. */
typedef struct ratios (*ratios_fn)(const struct options *o, const struct study *s, unsigned policy, unsigned size);
struct ratios ratios_mean(const struct options *o, const struct study *studies, unsigned n, unsigned policy,
			  unsigned size, ratios_fn of);

/* ------------------------------------------------------------------ advice.c */
/* How many sizes a curve has at most. */
#define CURVE_MAX 33
/* The sizes of the curve, into a->curve (room for CURVE_MAX), which the caller then runs; then what it says. */
void advice_sizes(struct advice *a, const struct trace *t);
void advice_draw(struct advice *a);
/* One sentence. */
void advice_text(const struct study *s, char *to, size_t room);

/* ------------------------------------------------------------------ report.c, plot.c */
/* Exit codes. */
int report_tables(const struct options *o, const struct study *studies, unsigned n);
int report_json(const struct options *o, const struct study *studies, unsigned n);
int report_csv(const struct options *o, const struct study *studies, unsigned n, const char *path);
int plot_svg(const struct options *o, const struct study *studies, unsigned n, const char *path);

#endif
