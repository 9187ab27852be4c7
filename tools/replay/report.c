/* SPDX-License-Identifier: GPL-2.0-only */
/* report.c - what was found out, as tables, as JSON and as CSV. */
#include "study.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "base/units.h"
#include "tools/tool.h"

/* ------------------------------------------------------------------ tables */
static const char *mark(const struct contender *c)
{
	return c->standard ? " *" : c->product ? " +" : "";
}

/* A table whose columns are the sizes. */
static struct out_table *table_by_size(const struct options *o, const char *what, bool mean)
{
	const char *columns[SIZES_MAX + 3] = {what};
	char heads[SIZES_MAX][32];
	unsigned n = 0;

	for (; n < o->nsizes; n++) {
		snprintf(heads[n], sizeof(heads[n]), ">%s", o->sizes[n].text);
		columns[n + 1] = heads[n];
	}
	if (mean)
		columns[++n] = ">MEAN";
	return out_table_new(columns);
}

static void show_facts(const struct study *s)
{
	const struct trace *t = s->trace;
	char human[16];

	out_human((uint64_t)t->nunique * BLK_BYTES, human);
	printf("%s (%s): %" PRIu64 " requests (%.0f %% writes), %" PRIu64 " blocks of 4 KiB, %" PRIu32
	       " different ones (%s)\n", t->name, t->format, t->nrequests,
	       100 * (double)t->nwrites / (double)t->nrequests, t->naccesses, t->nunique, human);
}

static void sizes_row(const struct options *o, const struct study *s, struct out_table *table)
{
	const char *cells[SIZES_MAX + 2] = {"(cache size)"};
	char human[SIZES_MAX][16];

	for (unsigned i = 0; i < o->nsizes; i++) {
		out_human((uint64_t)size_blocks(&o->sizes[i], s->trace) * BLK_BYTES, human[i]);
		cells[i + 1] = human[i];
	}
	cells[o->nsizes + 1] = "";
	out_table_row(table, cells);
}

static int show_misses(const struct options *o, const struct study *s)
{
	struct out_table *table = table_by_size(o, "MISS RATIO", true);

	sizes_row(o, s, table);
	for (unsigned p = 0; p < o->npolicies; p++) {
		char name[48], text[SIZES_MAX + 1][16];
		const char *cells[SIZES_MAX + 2] = {name};
		double sum = 0;

		snprintf(name, sizeof(name), "%s%s", o->policies[p]->title, mark(o->policies[p]));
		for (unsigned i = 0; i < o->nsizes; i++) {
			double m = miss_ratio(&s->jobs[p * o->nsizes + i].result);

			snprintf(text[i], sizeof(text[i]), "%.4f", m);
			cells[i + 1] = text[i];
			sum += m;
		}
		snprintf(text[o->nsizes], sizeof(text[0]), "%.4f", sum / o->nsizes);
		cells[o->nsizes + 1] = text[o->nsizes];
		out_table_row(table, cells);
	}
	return out_table_end(table);
}

static int show_hdd(const struct options *o, const struct study *s)
{
	struct out_table *table = table_by_size(o, "HDD READS", false);

	for (unsigned p = 0; p < o->npolicies; p++) {
		char name[48], text[SIZES_MAX][48];
		const char *cells[SIZES_MAX + 1] = {name};

		snprintf(name, sizeof(name), "%s%s", o->policies[p]->title, mark(o->policies[p]));
		for (unsigned i = 0; i < o->nsizes; i++) {
			const struct result *r = &s->jobs[p * o->nsizes + i].result;

			snprintf(text[i], sizeof(text[i]), "%" PRIu64 " (%" PRIu64 ")", r->hdd_reads, r->hdd_blocks);
			cells[i + 1] = text[i];
		}
		out_table_row(table, cells);
	}
	return out_table_end(table);
}

/* What read-ahead is worth, to plain LRU and to the policy itself: of one trace, or the mean of several. */
static int show_ratios(const struct options *o, const struct study *studies, unsigned n)
{
	struct out_table *table = table_by_size(o, "READ-AHEAD", true);

	for (unsigned row = 0; row < 2 * o->npolicies; row++) {
		const struct contender *c = o->policies[row / 2];
		char name[64], text[SIZES_MAX + 1][40];
		const char *cells[SIZES_MAX + 2] = {name};

		if (row % 2 && c->product == &policy_lru)
			continue;		/* the same */
		snprintf(name, sizeof(name), "%s%s / %s", c->title, mark(c), row % 2 ? "itself" : "LRU");
		for (unsigned i = 0; i <= o->nsizes; i++) {
			struct ratios r = ratios_mean(o, studies, n, row / 2, i,
						      row % 2 ? ratios_to_alone : ratios_to_lru);

			snprintf(text[i], sizeof(text[i]), "%.3f %.3f %.3f", r.operations, r.blocks, r.time);
			cells[i + 1] = text[i];
		}
		out_table_row(table, cells);
	}
	return out_table_end(table);
}

/* A policy's mean miss ratio at one size (or all, with size == nsizes) over all traces. */
static double mean(const struct options *o, const struct study *studies, unsigned n, unsigned policy, unsigned size)
{
	double sum = 0;
	unsigned count = 0;

	for (unsigned s = 0; s < n; s++)
		for (unsigned i = 0; i < o->nsizes; i++)
			if (size == i || size == o->nsizes) {
				sum += miss_ratio(&studies[s].jobs[policy * o->nsizes + i].result);
				count++;
			}
	return sum / count;
}

static int show_means(const struct options *o, const struct study *studies, unsigned n)
{
	struct out_table *table = table_by_size(o, "MEAN MISS RATIO", true);

	int rc;

	printf("all %u traces\n", n);
	for (unsigned p = 0; p < o->npolicies; p++) {
		char name[48], text[SIZES_MAX + 1][16];
		const char *cells[SIZES_MAX + 2] = {name};

		snprintf(name, sizeof(name), "%s%s", o->policies[p]->title, mark(o->policies[p]));
		for (unsigned i = 0; i <= o->nsizes; i++) {
			snprintf(text[i], sizeof(text[i]), "%.4f", mean(o, studies, n, p, i));
			cells[i + 1] = text[i];
		}
		out_table_row(table, cells);
	}
	rc = out_table_end(table);
	return rc == EXIT_OK && o->replay.read_ahead->create ? show_ratios(o, studies, n) : rc;
}

static void show_marks(const struct options *o)
{
	bool standard = false, product = false;

	for (unsigned p = 0; p < o->npolicies; p++) {
		standard = standard || o->policies[p]->standard;
		product = product || (o->policies[p]->product && !o->policies[p]->standard);
	}
	printf("HDD reads: operations (blocks of 4 KiB).");
	if (o->replay.read_ahead->create)
		printf(" Read-ahead: operations, blocks and time of the HDD, as parts of those without it of LRU, "
		       "and of the same policy.");
	if (standard)
		printf(" *: Hybrid's policy, its own code.");
	if (product)
		printf(" +: another in Hybrid, its own code.");
	putchar('\n');
}

int report_tables(const struct options *o, const struct study *studies, unsigned n)
{
	char advice[512];
	int rc = EXIT_OK;

	for (unsigned i = 0; i < n && rc == EXIT_OK; i++) {
		show_facts(&studies[i]);
		rc = show_misses(o, &studies[i]);
		if (rc == EXIT_OK)
			rc = show_hdd(o, &studies[i]);
		if (rc == EXIT_OK && o->replay.read_ahead->create)
			rc = show_ratios(o, &studies[i], 1);
		putchar('\n');
	}
	if (n > 1 && rc == EXIT_OK) {
		rc = show_means(o, studies, n);
		putchar('\n');
	}
	for (unsigned i = 0; i < n && o->advise; i++) {
		advice_text(&studies[i], advice, sizeof(advice));
		puts(advice);
	}
	show_marks(o);
	return rc;
}

/* ------------------------------------------------------------------ JSON */
static json_t *json_ratios(struct ratios r)
{
	return json_pack("{s:f, s:f, s:f}", "hdd_reads", r.operations, "hdd_read_bytes", r.blocks,
			 "hdd_read_seconds", r.time);
}

static json_t *json_result(const struct options *o, const struct study *s, unsigned policy, unsigned size)
{
	const struct contender *c = o->policies[policy];
	const struct job *job = &s->jobs[policy * o->nsizes + size];
	const struct result *r = &job->result;
	json_t *j = json_pack("{s:s, s:b, s:b, s:s, s:I, s:I, s:I, s:f, s:I, s:I, s:f, s:I, s:I, s:I, s:f, s:I}",
			      "policy", c->name, "product", c->product != NULL, "default", c->standard,
			      "size", o->sizes[size].text, "size_bytes", (json_int_t)job->capacity * BLK_BYTES,
			      "accesses", (json_int_t)r->accesses, "misses", (json_int_t)r->misses,
			      "miss_ratio", miss_ratio(r),
			      "read_accesses", (json_int_t)r->reads, "read_misses", (json_int_t)r->read_misses,
			      "read_hit_ratio", read_hit_ratio(r),
			      "hdd_reads", (json_int_t)r->hdd_reads,
			      "hdd_read_bytes", (json_int_t)r->hdd_blocks * BLK_BYTES,
			      "hdd_seeks", (json_int_t)r->hdd_seeks,
			      "hdd_read_seconds", hdd_time(r),
			      "policy_memory_bytes", (json_int_t)r->bytes);

	if (!j || !s->alone)
		return j;
	json_object_set_new(j, "ahead_bytes", json_integer((json_int_t)r->ahead * BLK_BYTES));
	json_object_set_new(j, "ahead_used_bytes", json_integer((json_int_t)r->ahead_used * BLK_BYTES));
	json_object_set_new(j, "to_lru", json_ratios(ratios_to_lru(o, s, policy, size)));
	json_object_set_new(j, "to_itself", json_ratios(ratios_to_alone(o, s, policy, size)));
	return j;
}

static json_t *json_advice(const struct study *s)
{
	const struct advice *a = &s->advice;
	json_t *curve = json_array();
	char text[512];

	for (unsigned i = 0; i < a->npoints; i++)
		json_array_append_new(curve, json_pack("{s:I, s:f}",
			"size_bytes", (json_int_t)a->curve[i].capacity * BLK_BYTES,
			"read_hit_ratio", read_hit_ratio(&a->curve[i].result)));
	advice_text(s, text, sizeof(text));
	return json_pack("{s:s, s:s, s:I, s:f, s:I, s:f, s:f, s:o}",
			 "policy", a->contender->name, "text", text,
			 "knee_bytes", (json_int_t)a->knee_bytes, "knee_read_hit_ratio", a->knee,
			 "enough_bytes", (json_int_t)a->enough_bytes, "enough_read_hit_ratio", a->enough,
			 "best_read_hit_ratio", a->best, "curve", curve);
}

static json_t *json_study(const struct options *o, const struct study *s)
{
	const struct trace *t = s->trace;
	json_t *results = json_array(), *j;

	for (unsigned i = 0; i < o->npolicies * o->nsizes; i++)
		json_array_append_new(results, json_result(o, s, i / o->nsizes, i % o->nsizes));
	j = json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:o}",
		      "trace", t->name, "file", t->path, "format", t->format,
		      "requests", (json_int_t)t->nrequests, "write_requests", (json_int_t)t->nwrites,
		      "ignored_records", (json_int_t)t->nignored,
		      "accesses", (json_int_t)t->naccesses, "read_accesses", (json_int_t)t->nreads,
		      "unique_blocks", (json_int_t)t->nunique, "results", results);
	if (j && s->advice.contender)
		json_object_set_new(j, "advice", json_advice(s));
	return j;
}

/* By policy, over all sizes and traces. */
static json_t *json_mean_ratios(const struct options *o, const struct study *studies, unsigned n)
{
	json_t *j = json_object();

	for (unsigned p = 0; p < o->npolicies; p++)
		json_object_set_new(j, o->policies[p]->name, json_pack("{s:o, s:o}",
			"to_lru", json_ratios(ratios_mean(o, studies, n, p, o->nsizes, ratios_to_lru)),
			"to_itself", json_ratios(ratios_mean(o, studies, n, p, o->nsizes, ratios_to_alone))));
	return j;
}

int report_json(const struct options *o, const struct study *studies, unsigned n)
{
	json_t *traces = json_array(), *means = json_object(), *all;
	int rc;

	for (unsigned i = 0; i < n; i++)
		json_array_append_new(traces, json_study(o, &studies[i]));
	for (unsigned p = 0; p < o->npolicies; p++)
		json_object_set_new(means, o->policies[p]->name, json_real(mean(o, studies, n, p, o->nsizes)));
	all = json_pack("{s:s, s:i, s:s, s:o, s:o}", "program", "hybrid-replay " HB_VERSION, "block_bytes", BLK_BYTES,
			"read_ahead", o->replay.read_ahead->name, "traces", traces, "mean_miss_ratio", means);
	if (all && o->replay.read_ahead->create)
		json_object_set_new(all, "mean_read_ahead", json_mean_ratios(o, studies, n));
	if (!all) {			/* a file's name that is no UTF-8, say */
		fprintf(stderr, "hybrid-replay: the results cannot be said in JSON\n");
		return EXIT_FAILED;
	}
	rc = out_json(all);
	json_decref(all);
	return rc;
}

/* ------------------------------------------------------------------ CSV */
/* As CSV wants it: in quotes, quotes doubled. */
static void csv_text(FILE *f, const char *s)
{
	putc('"', f);
	for (; *s; s++)
		fputs(*s == '"' ? "\"\"" : (char[]){*s, '\0'}, f);
	putc('"', f);
}

static const char csv_ahead_heads[] =
	",ahead_bytes,ahead_used_bytes,lru_hdd_reads_ratio,lru_hdd_read_bytes_ratio,lru_hdd_read_seconds_ratio"
	",itself_hdd_reads_ratio,itself_hdd_read_bytes_ratio,itself_hdd_read_seconds_ratio";

static void csv_ahead(FILE *f, const struct options *o, const struct study *s, unsigned job)
{
	const struct result *r = &s->jobs[job].result;
	struct ratios lru = ratios_to_lru(o, s, job / o->nsizes, job % o->nsizes);
	struct ratios alone = ratios_to_alone(o, s, job / o->nsizes, job % o->nsizes);

	fprintf(f, ",%" PRIu64 ",%" PRIu64 ",%.6f,%.6f,%.6f,%.6f,%.6f,%.6f", r->ahead * BLK_BYTES,
		r->ahead_used * BLK_BYTES, lru.operations, lru.blocks, lru.time, alone.operations, alone.blocks,
		alone.time);
}

int report_csv(const struct options *o, const struct study *studies, unsigned n, const char *path)
{
	FILE *f = fopen(path, "we");
	bool bad = !f;

	if (f)
		fprintf(f, "trace,policy,size,size_bytes,accesses,misses,miss_ratio,read_accesses,read_misses,"
			"read_hit_ratio,hdd_reads,hdd_read_bytes,hdd_seeks,hdd_read_seconds,policy_memory_bytes%s\n",
			o->replay.read_ahead->create ? csv_ahead_heads : "");
	for (unsigned i = 0; f && i < n * o->npolicies * o->nsizes; i++) {
		const struct study *s = &studies[i / (o->npolicies * o->nsizes)];
		const struct job *job = &s->jobs[i % (o->npolicies * o->nsizes)];
		const struct result *r = &job->result;

		csv_text(f, s->trace->name);
		fprintf(f, ",%s,%s,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%.6f,%" PRIu64 ",%" PRIu64 ",%.6f,%" PRIu64
			",%" PRIu64 ",%" PRIu64 ",%.3f,%" PRIu64, job->contender->name, o->sizes[i % o->nsizes].text,
			(uint64_t)job->capacity * BLK_BYTES, r->accesses, r->misses, miss_ratio(r), r->reads,
			r->read_misses, read_hit_ratio(r), r->hdd_reads, r->hdd_blocks * BLK_BYTES,
			r->hdd_seeks, hdd_time(r), r->bytes);
		if (s->alone)
			csv_ahead(f, o, s, i % (o->npolicies * o->nsizes));
		putc('\n', f);
	}
	if (f) {
		bad = ferror(f) != 0;
		bad = fclose(f) != 0 || bad;
	}
	if (!bad)
		return EXIT_OK;
	fprintf(stderr, "hybrid-replay: %s: %s\n", path, strerror(errno));
	return EXIT_FAILED;
}
