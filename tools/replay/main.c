/* SPDX-License-Identifier: GPL-2.0-only */
/* main.c - hybrid-replay: runs Hybrid's own cache policies, and others to compare with, over traces of block I/O. */
#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/units.h"
#include "study.h"
#include "tools/tool.h"

#define DEFAULT_SIZES "1%,5%,10%,20%,40%"
#define JOBS_MAX 1024u

enum { OPT_LIS_PAGES = 256, OPT_CSV, OPT_EVENTS, OPT_READS_ONLY, OPT_NO_WRITE_ALLOCATE, OPT_READ_AHEAD, OPT_ADVISE,
       OPT_NO_ADVICE, OPT_JSON, OPT_CSV_OUT, OPT_PLOT, OPT_VERSION };

static const struct option long_options[] = {
	{"format", required_argument, NULL, 'f'},
	{"lis-pages", no_argument, NULL, OPT_LIS_PAGES},
	{"csv", required_argument, NULL, OPT_CSV},
	{"events", required_argument, NULL, OPT_EVENTS},
	{"sizes", required_argument, NULL, 's'},
	{"policies", required_argument, NULL, 'p'},
	{"reads-only", no_argument, NULL, OPT_READS_ONLY},
	{"no-write-allocate", no_argument, NULL, OPT_NO_WRITE_ALLOCATE},
	{"read-ahead", optional_argument, NULL, OPT_READ_AHEAD},
	{"advise", required_argument, NULL, OPT_ADVISE},
	{"no-advice", no_argument, NULL, OPT_NO_ADVICE},
	{"json", no_argument, NULL, OPT_JSON},
	{"csv-out", required_argument, NULL, OPT_CSV_OUT},
	{"plot", required_argument, NULL, OPT_PLOT},
	{"jobs", required_argument, NULL, 'j'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, OPT_VERSION},
	{NULL, 0, NULL, 0},
};

/* ------------------------------------------------------------------ words */
static int usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static int usage(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fprintf(stderr, "hybrid-replay: ");
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, "\nTry 'hybrid-replay --help'.\n");
	va_end(ap);
	return EXIT_USAGE;
}

static int fail(const struct err *err)
{
	fprintf(stderr, "hybrid-replay: %s\n", err->text);
	return EXIT_FAILED;
}

static void help(void)
{
	printf("Usage: hybrid-replay [OPTION...] [FORMAT:]TRACE...\n\n"
	       "Runs Hybrid's own cache policies, and others to compare with, over traces of block I/O,\n"
	       "and shows what part of the accesses misses a cache of each size. A trace may be packed by\n"
	       "xz, gzip, zstd or bzip2; - is standard input.\n\n"
	       "Reading:\n"
	       "  -f, --format FORMAT      of traces that do not say it themselves; without it, it is guessed\n"
	       "      --lis-pages          --format lis-pages\n"
	       "      --csv COLUMNS        op=N,offset=N,size=N,volume=N,unit=BYTES: a column's number or name;\n"
	       "                           or msr, systor, alibaba, tencent, spc\n"
	       "      --events Q|D         of blktrace: requests as queued (default) or as issued\n"
	       "Replaying:\n"
	       "  -s, --sizes LIST         of the cache: 10%% of the different blocks, or 4GiB\n"
	       "                           (%s)\n"
	       "  -p, --policies LIST      which, of those below (all)\n"
	       "      --reads-only         leave out writes\n"
	       "      --no-write-allocate  a write of a block that is not cached passes by\n"
	       "      --read-ahead[=NAME]  fetch more than was asked for, see below (alone: %s)\n"
	       "  -j, --jobs N             so many processes (as many as there are CPUs)\n"
	       "Output:\n"
	       "      --json               one JSON document instead of tables\n"
	       "      --csv-out FILE       results also as CSV\n"
	       "      --plot FILE.svg      also a picture of the curves\n"
	       "      --advise POLICY      by whose curve a size is advised (%s)\n"
	       "      --no-advice          no such advice\n"
	       "  -h, --help               this text\n"
	       "      --version            the version\n\nFormats:\n", DEFAULT_SIZES, read_ahead_streams.name,
	       contender_standard()->name);
	for (const struct format *f = formats; f->name; f++)
		printf("  %-10s %s\n", f->name, f->help);
	printf("Policies:\n");
	for (const struct contender *const *c = contenders; *c; c++)
		printf("  %-10s %s%s\n", (*c)->name, (*c)->title, (*c)->standard ? ": Hybrid's, its own code"
		       : (*c)->product ? ": in Hybrid, its own code" : (*c)->wants_future ? ": the optimum" : "");
	printf("Read-ahead:\n");
	for (const struct read_ahead *const *r = read_aheads; *r; r++)
		printf("  %-10s %s\n", (*r)->name, (*r)->help);
	printf("\nExit status: 0 done, 1 failed, 2 wrong usage.\n");
}

/* ------------------------------------------------------------------ the command line */
static bool read_percent(const char *word, double *ret)
{
	char *end;

	if (strspn(word, "0123456789.") + 1 != strlen(word))
		return false;
	*ret = strtod(word, &end);
	return end != word && !strcmp(end, "%") && *ret > 0 && *ret <= 100;
}

static int read_size(struct size *size, const char *word)
{
	struct err err = ERR_INIT;

	*size = (struct size){0};
	if (strlen(word) >= sizeof(size->text))
		return usage("--sizes %s: too long", word);
	text_fmt(size->text, sizeof(size->text), "%s", word);
	if (strchr(word, '%') && !read_percent(word, &size->percent))
		return usage("--sizes %s: expected more than 0%%, up to 100%%", word);
	if (size->percent > 0)
		return EXIT_OK;
	if (tool_size(word, &size->bytes, &err))
		return usage("--sizes: %s", err.text);
	if (size->bytes < BLK_BYTES || size->bytes / BLK_BYTES >= POLICY_NONE / 2)
		return usage("--sizes %s: expected 4KiB to 8TiB", word);
	return EXIT_OK;
}

/* Calls one() for each word of a list between commas, until it returns other than 0. */
static int each_word(struct options *o, const char *list, int (*one)(struct options *o, const char *word))
{
	char *copy = strdup(list), *at = copy, *word;
	int rc = copy ? EXIT_OK : EXIT_FAILED;

	while (rc == EXIT_OK && (word = strsep(&at, ",")))
		rc = one(o, word);
	free(copy);
	return rc;
}

static int add_size(struct options *o, const char *word)
{
	if (o->nsizes == SIZES_MAX)
		return usage("--sizes: at most %d", SIZES_MAX);
	return read_size(&o->sizes[o->nsizes++], word);
}

static int add_policy(struct options *o, const char *word)
{
	const struct contender *c = contender_named(word, strlen(word));

	if (!c)
		return usage("--policies: no policy is named '%s'", word);
	for (unsigned i = 0; i < o->npolicies; i++)
		if (o->policies[i] == c)
			return usage("--policies: %s is there twice", word);
	o->policies[o->npolicies++] = c;	/* each once, so there is room */
	return EXIT_OK;
}

static int read_format(struct options *o, const char *name)
{
	o->format = format_named(name, strlen(name));
	return o->format ? EXIT_OK : usage("--format: no format is named '%s'", name);
}

static int read_csv_columns(struct options *o, const char *columns)
{
	struct err err = ERR_INIT;

	o->read.csv = columns;
	return csv_check(columns, &err) ? usage("%s", err.text) : EXIT_OK;
}

static int read_events(struct options *o, const char *word)
{
	if (strcmp(word, "Q") && strcmp(word, "D"))
		return usage("--events %s: expected Q or D", word);
	o->read.event = *word;
	return EXIT_OK;
}

static int read_ahead_name(struct options *o, const char *name)
{
	o->replay.read_ahead = name ? read_ahead_named(name) : &read_ahead_streams;
	return o->replay.read_ahead ? EXIT_OK : usage("--read-ahead: none is named '%s'", name);
}

static int read_advise(struct options *o, const char *name)
{
	o->advise = contender_named(name, strlen(name));
	return o->advise ? EXIT_OK : usage("--advise: no policy is named '%s'", name);
}

static int read_jobs(struct options *o, const char *word)
{
	uint64_t n;

	if (!field_number(word, &n) || !n || n > JOBS_MAX)
		return usage("--jobs %s: expected 1 to %u", word, JOBS_MAX);
	o->processes = (unsigned)n;
	return EXIT_OK;
}

static int read_plot(struct options *o, const char *path)
{
	size_t n = strlen(path);

	if (n < 5 || strcmp(path + n - 4, ".svg"))
		return usage("--plot %s: only FILE.svg can be made", path);
	o->plot = path;
	return EXIT_OK;
}

static int read_option(struct options *o, int opt)
{
	switch (opt) {
	case 'f':
		return read_format(o, optarg);
	case OPT_LIS_PAGES:
		return read_format(o, "lis-pages");
	case OPT_CSV:
		return read_csv_columns(o, optarg);
	case OPT_EVENTS:
		return read_events(o, optarg);
	case 's':
		o->nsizes = 0;
		return each_word(o, optarg, add_size);
	case 'p':
		o->npolicies = 0;
		return each_word(o, optarg, add_policy);
	case OPT_READS_ONLY:
		o->reads_only = true;
		return EXIT_OK;
	case OPT_NO_WRITE_ALLOCATE:
		o->replay.no_write_allocate = true;
		return EXIT_OK;
	case OPT_READ_AHEAD:
		return read_ahead_name(o, optarg);
	case OPT_ADVISE:
		return read_advise(o, optarg);
	case OPT_NO_ADVICE:
		o->advise = NULL;
		return EXIT_OK;
	case OPT_JSON:
		o->json = true;
		return EXIT_OK;
	case OPT_CSV_OUT:
		o->csv_out = optarg;
		return EXIT_OK;
	case OPT_PLOT:
		return read_plot(o, optarg);
	case 'j':
		return read_jobs(o, optarg);
	default:
		fprintf(stderr, "Try 'hybrid-replay --help'.\n");	/* getopt has said what is wrong */
		return EXIT_USAGE;
	}
}

static void defaults(struct options *o)
{
	cpu_set_t cpus;

	*o = (struct options){.read.event = 'Q', .replay.read_ahead = read_aheads[0], .advise = contender_standard()};
	o->processes = sched_getaffinity(0, sizeof(cpus), &cpus) ? 1 : (unsigned)CPU_COUNT(&cpus);
	each_word(o, DEFAULT_SIZES, add_size);
	for (const struct contender *const *c = contenders; *c; c++)
		o->policies[o->npolicies++] = *c;
}

/* ------------------------------------------------------------------ one trace */
uint32_t size_blocks(const struct size *size, const struct trace *t)
{
	if (size->percent > 0)
		return MAX((uint32_t)(t->nunique * size->percent / 100), 1u);
	return (uint32_t)(size->bytes / BLK_BYTES);
}

double miss_ratio(const struct result *r)
{
	return r->accesses ? (double)r->misses / (double)r->accesses : 0;
}

double read_hit_ratio(const struct result *r)
{
	return r->reads ? 1 - (double)r->read_misses / (double)r->reads : 0;
}

/* "lis-pages:FILE" says what FILE is; "./lis:x" is a file. */
static const char *split_operand(const char *operand, const struct format **format)
{
	const char *colon = strchr(operand, ':');
	const struct format *f = colon ? format_named(operand, (size_t)(colon - operand)) : NULL;

	if (!f)
		return operand;
	*format = f;
	return colon + 1;
}

static void tell_reading(void *ctx, const struct input *in)
{
	uint64_t done, total;

	if (input_done(in, &done, &total))
		progress_tell(ctx, "reading", done, total, "bytes");
	else
		progress_tell(ctx, "reading", input_offset(in), 0, "bytes");
}

static int load(const struct options *o, const char *operand, struct trace **ret, struct err *err)
{
	const struct format *format = o->format;
	const char *path = split_operand(operand, &format);
	struct progress progress;
	struct input *in;
	int rc = input_open(path, &in, err);

	if (rc)
		return rc;
	*ret = trace_new(path, o->reads_only);
	if (*ret) {
		progress_begin(&progress, (*ret)->name);
		input_on_read(in, tell_reading, &progress);
		rc = format_read(format, in, &o->read, *ret, err);
		progress_end(&progress);
	} else {
		rc = err_set(err, -ENOMEM, "out of memory");
	}
	input_close(in);
	if (rc == 0 && (*ret)->maybe_pages)
		fprintf(stderr, "hybrid-replay: %s: every request is one sector long; if the list counts pages of "
			"4 KiB, say lis-pages:%s\n", path, path);
	return rc;
}

/* One policy at all sizes; returns how many jobs those are. */
static unsigned add_jobs(const struct options *o, const struct study *s, const struct contender *c, bool alone,
			 struct job *jobs)
{
	for (unsigned i = 0; i < o->nsizes; i++)
		jobs[i] = (struct job){
			.contender = c,
			.capacity = size_blocks(&o->sizes[i], s->trace),
			.alone = alone,
		};
	return o->nsizes;
}

/* All replays of a trace: policies x sizes; with read-ahead also without it; and those of the advice. */
static int run(const struct options *o, struct study *s, struct err *err)
{
	unsigned n = 0, ncurve = 0;
	int rc;

	s->jobs = calloc((2 * o->npolicies + 1) * o->nsizes + CURVE_MAX, sizeof(*s->jobs));
	if (!s->jobs)
		return err_set(err, -ENOMEM, "out of memory");
	for (unsigned p = 0; p < o->npolicies; p++)
		n += add_jobs(o, s, o->policies[p], false, s->jobs + n);
	if (o->replay.read_ahead->create) {
		s->alone = s->jobs + n;
		for (unsigned p = 0; p < o->npolicies; p++) {
			if (o->policies[p]->product == &policy_lru)
				s->lru = s->jobs + n;
			n += add_jobs(o, s, o->policies[p], true, s->jobs + n);
		}
		if (!s->lru) {
			s->lru = s->jobs + n;
			n += add_jobs(o, s, contender_named("lru", 3), true, s->lru);
		}
	}
	if (o->advise) {
		s->advice = (struct advice){.contender = o->advise, .curve = s->jobs + n};
		advice_sizes(&s->advice, s->trace);
		ncurve = s->advice.npoints;
	}
	rc = jobs_run(s->trace, s->jobs, n + ncurve, o->processes, &o->replay, err);
	if (rc == 0 && o->advise)
		advice_draw(&s->advice);
	return rc;
}

static int study(const struct options *o, const char *operand, struct study *s)
{
	struct err err = ERR_INIT;

	if (load(o, operand, &s->trace, &err) || run(o, s, &err))
		return fail(&err);
	trace_forget(s->trace);
	return EXIT_OK;
}

/* ------------------------------------------------------------------ all */
static int report(const struct options *o, const struct study *studies, unsigned n)
{
	int rc = o->json ? report_json(o, studies, n) : report_tables(o, studies, n);

	if (rc == EXIT_OK && o->csv_out)
		rc = report_csv(o, studies, n, o->csv_out);
	if (rc == EXIT_OK && o->plot)
		rc = plot_svg(o, studies, n, o->plot);
	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "hybrid-replay: standard output: %s\n", strerror(errno));
		return rc ? rc : EXIT_FAILED;
	}
	return rc;
}

static int study_all(const struct options *o, unsigned n, char **operands)
{
	struct study *studies = calloc(n, sizeof(*studies));
	int rc = studies ? EXIT_OK : EXIT_FAILED;

	for (unsigned i = 0; i < n && rc == EXIT_OK; i++)
		rc = study(o, operands[i], &studies[i]);
	if (rc == EXIT_OK)
		rc = report(o, studies, n);
	for (unsigned i = 0; i < n && studies; i++) {
		trace_free(studies[i].trace);
		free(studies[i].jobs);
	}
	free(studies);
	return rc;
}

int main(int argc, char **argv)
{
	static char name[] = "hybrid-replay";
	struct options o;
	int opt, rc = EXIT_OK;

	setlocale(LC_CTYPE, "");	/* numbers keep their points */
	argv[0] = name;			/* what getopt says begins as our own words do */
	defaults(&o);
	while (rc == EXIT_OK && (opt = getopt_long(argc, argv, "f:s:p:j:h", long_options, NULL)) != -1) {
		if (opt == 'h') {
			help();
			return EXIT_OK;
		}
		if (opt == OPT_VERSION) {
			printf("hybrid-replay %s\n", HB_VERSION);
			return EXIT_OK;
		}
		rc = read_option(&o, opt);
	}
	if (rc == EXIT_OK && optind == argc)
		rc = usage("expected a trace");
	return rc ? rc : study_all(&o, (unsigned)(argc - optind), argv + optind);
}
