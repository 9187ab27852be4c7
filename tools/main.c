/* SPDX-License-Identifier: GPL-2.0-only */
/* main.c - hybrid-pool: makes, shows, checks and changes pools and their volumes, closed or in use. */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "control/proto.h"
#include "tool.h"

static const struct command *const tables[] = {
	pool_commands, tier_commands, volume_commands, attr_commands, lineage_commands, tree_commands, stream_commands,
	check_commands, scrub_commands, stats_commands, metrics_commands, top_commands, heat_commands, dump_commands,
};

enum { OPT_HELP = 256, OPT_VERSION, OPT_FORCE, OPT_DEEP, OPT_GROUP, OPT_KEEP, OPT_IN_USE, OPT_USAGE, OPT_FROM, OPT_AS,
       OPT_RESUME, OPT_AGAIN, OPT_PROGRESS, OPT_MODE, OPT_IOPS, OPT_BANDWIDTH, OPT_BURST, OPT_SHARE, OPT_BYPASS,
       OPT_READ_AHEAD, OPT_CACHE_FLOOR, OPT_PIN, OPT_UNPIN, OPT_BATCH, OPT_SORT,
       OPT_START, OPT_STOP, OPT_WAIT, OPT_RATE, OPT_WHAT };

/* The options that only some commands take, as their help has them; text: where in struct tool the argument goes. */
#define TEXT(field) offsetof(struct tool, field)
static const struct { unsigned takes; int opt; const char *name, *help; size_t text; } extras[] = {
	{TAKES_FORCE, OPT_FORCE, "force", "      --force           do what is refused without, see above\n", 0},
	{TAKES_YES, 'y', "yes", "  -y, --yes             do not ask\n", 0},
	{TAKES_DEEP, OPT_DEEP, "deep", "      --deep            also read everything back and compare checksums\n", 0},
	{TAKES_GROUP, OPT_GROUP, "group", "      --group           several volumes at one instant, all or none\n", 0},
	{TAKES_KEEP, OPT_KEEP, "keep",
	 "      --keep NAME       the name for the snapshot of the state before\n", TEXT(keep)},
	{TAKES_IN_USE, OPT_IN_USE, "in-use", "      --in-use          also while the volume is open\n", 0},
	{TAKES_USAGE, OPT_USAGE, "usage", "      --usage           also what each has alone, and what it shares\n", 0},
	{TAKES_FROM, OPT_FROM, "from", "      --from SNAPSHOT   only what differs from this one\n", TEXT(from)},
	{TAKES_AS, OPT_AS, "as", "      --as NAME         the new snapshot's name\n", TEXT(as)},
	{TAKES_RESUME, OPT_RESUME, "resume", "      --resume          go on from what an unfinished import left\n", 0},
	{TAKES_AGAIN, OPT_AGAIN, "again", "      --again           also if its content is there already\n", 0},
	{TAKES_PROGRESS, OPT_PROGRESS, "progress", "      --progress        say how far it is, terminal or not\n", 0},
	{TAKES_ATTR, OPT_MODE, "mode",
	 "      --mode MODE       write-back, write-through, write-around, read-only or none\n", TEXT(mode)},
	{TAKES_ATTR, OPT_IOPS, "iops", "      --iops N          ceiling of I/Os a second\n", TEXT(iops)},
	{TAKES_ATTR, OPT_BANDWIDTH, "bandwidth",
	 "      --bandwidth SIZE  ceiling of bytes a second\n", TEXT(bandwidth)},
	{TAKES_ATTR, OPT_BURST, "burst", "      --burst SECONDS   what is saved up of the ceilings\n", TEXT(burst)},
	{TAKES_ATTR, OPT_SHARE, "share", "      --share N         weight where volumes compete\n", TEXT(share)},
	{TAKES_ATTR, OPT_BYPASS, "bypass",
	 "      --bypass SIZE     sequential runs so long pass the cache by; or never, default\n", TEXT(bypass)},
	{TAKES_ATTR, OPT_READ_AHEAD, "read-ahead",
	 "      --read-ahead SIZE at most so much is read ahead; or never, default\n", TEXT(read_ahead)},
	{TAKES_ATTR, OPT_CACHE_FLOOR, "cache-floor",
	 "      --cache-floor SIZE  so much of the caches is not taken from it; also 10%, or 0\n", TEXT(cache_floor)},
	{TAKES_ATTR, OPT_PIN, "pin", "      --pin RANGE       keep it cached\n", 0},
	{TAKES_ATTR, OPT_UNPIN, "unpin", "      --unpin RANGE     no longer\n", 0},
	{TAKES_START, OPT_START, "start", "      --start           begin a scrub\n", 0},
	{TAKES_STOP, OPT_STOP, "stop", "      --stop            end the scrub that is under way\n", 0},
	{TAKES_WAIT, OPT_WAIT, "wait", "      --wait            until it has ended, showing how far it is\n", 0},
	{TAKES_RATE, OPT_RATE, "rate",
	 "      --rate SIZE       so much of a device a second (20MiB); 0: no limit\n", TEXT(rate)},
	{TAKES_WHAT, OPT_WHAT, "what", "      --what PART       fast (default), capacity or all\n", TEXT(what)},
	{TAKES_BYTES, 'b', "bytes", "  -b, --bytes           sizes as exact numbers of bytes\n", 0},
	{TAKES_TIMES, 'd', "delay", "  -d, --delay SECONDS   time between two views (2)\n", TEXT(delay)},
	{TAKES_TIMES, 'n', "count", "  -n, --count COUNT     so many views, then end\n", TEXT(count)},
	{TAKES_TIMES, OPT_SORT, "sort",
	 "      --sort KEY        volumes by name, iops, read, write, hit or latency\n", TEXT(sort)},
	{TAKES_BATCH, OPT_BATCH, "batch", "  -b, --batch           one view below the other, for files and pipes\n", 0},
};

static const struct option options[] = {
	{"config", required_argument, NULL, 'c'},
	{"pool", required_argument, NULL, 'p'},
	{"output", required_argument, NULL, 'o'},
	{"bytes", no_argument, NULL, 'b'},
	{"batch", no_argument, NULL, OPT_BATCH},
	{"delay", required_argument, NULL, 'd'},
	{"count", required_argument, NULL, 'n'},
	{"sort", required_argument, NULL, OPT_SORT},
	{"yes", no_argument, NULL, 'y'},
	{"force", no_argument, NULL, OPT_FORCE},
	{"deep", no_argument, NULL, OPT_DEEP},
	{"group", no_argument, NULL, OPT_GROUP},
	{"keep", required_argument, NULL, OPT_KEEP},
	{"in-use", no_argument, NULL, OPT_IN_USE},
	{"usage", no_argument, NULL, OPT_USAGE},
	{"from", required_argument, NULL, OPT_FROM},
	{"as", required_argument, NULL, OPT_AS},
	{"resume", no_argument, NULL, OPT_RESUME},
	{"again", no_argument, NULL, OPT_AGAIN},
	{"progress", no_argument, NULL, OPT_PROGRESS},
	{"mode", required_argument, NULL, OPT_MODE},
	{"iops", required_argument, NULL, OPT_IOPS},
	{"bandwidth", required_argument, NULL, OPT_BANDWIDTH},
	{"burst", required_argument, NULL, OPT_BURST},
	{"share", required_argument, NULL, OPT_SHARE},
	{"bypass", required_argument, NULL, OPT_BYPASS},
	{"read-ahead", required_argument, NULL, OPT_READ_AHEAD},
	{"cache-floor", required_argument, NULL, OPT_CACHE_FLOOR},
	{"pin", required_argument, NULL, OPT_PIN},
	{"unpin", required_argument, NULL, OPT_UNPIN},
	{"start", no_argument, NULL, OPT_START},
	{"stop", no_argument, NULL, OPT_STOP},
	{"wait", no_argument, NULL, OPT_WAIT},
	{"rate", required_argument, NULL, OPT_RATE},
	{"what", required_argument, NULL, OPT_WHAT},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, OPT_VERSION},
	{NULL, 0, NULL, 0},
};

/* ------------------------------------------------------------------ errors */
int tool_exit_of(int code)
{
	switch (code < 0 ? -code : code) {
	case 0:
		return EXIT_OK;
	case EINVAL:
	case ENAMETOOLONG:
	case ERANGE:
		return EXIT_USAGE;
	case ENOENT:
	case ENODATA:
	case ENODEV:
		return EXIT_NOT_FOUND;
	case EEXIST:
	case EBUSY:
	case ENOTEMPTY:
	case EADDRINUSE:
		return EXIT_BUSY;
	case EBADMSG:
	case EPROTONOSUPPORT:
	case EXDEV:
		return EXIT_DAMAGED;
	default:
		return EXIT_FAILED;
	}
}

int tool_fail(const struct err *err)
{
	fprintf(stderr, "hybrid-pool: %s\n", err->text);
	return tool_exit_of(err->code);
}

int tool_usage(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fprintf(stderr, "hybrid-pool: ");
	vfprintf(stderr, fmt, ap);
	fprintf(stderr, "\nTry 'hybrid-pool --help'.\n");
	va_end(ap);
	return EXIT_USAGE;
}

bool tool_confirm(const struct tool *t, const char *fmt, ...)
{
	char line[16];
	va_list ap;

	if (t->yes)
		return true;
	if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)) {
		fprintf(stderr, "hybrid-pool: nobody is there to be asked: say --yes\n");
		return false;
	}
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, " Type yes to go on: ");
	return fgets(line, sizeof(line), stdin) && !strcmp(line, "yes\n");
}

/* ------------------------------------------------------------------ help */
static const char common_help[] =
	"Options of every command:\n"
	"  -c, --config FILE     configuration (" CONF_DEFAULT_FILE ")\n"
	"  -p, --pool NAME       which pool of it; may be left out when there is one\n"
	"  -o, --output FORMAT   table (default) or json\n"
	"  -h, --help            this text\n";

static void help_all(void)
{
	printf("Usage: hybrid-pool [OPTION...] COMMAND [OPTION...] [ARGUMENT...]\n\n"
	       "Makes, shows, checks and changes storage pools and their volumes. A closed pool is opened\n"
	       "here; one in use is asked through its control socket.\n\nCommands:\n");
	for (size_t i = 0; i < ARRAY_LEN(tables); i++)
		for (const struct command *c = tables[i]; c->name; c++)
			printf("  %-17s %-15s %s\n", c->name, c->operands, c->help);
	printf("\n%s      --version         version of the program and of the control protocol\n\n"
	       "'hybrid-pool COMMAND --help' says more. Exit status: 0 done, 1 failed, 2 wrong usage or\n"
	       "configuration, 3 not found, 4 exists or in use, 5 pool damaged, 32 and more: check found something.\n",
	       common_help);
}

static void help_one(const struct command *c)
{
	printf("Usage: hybrid-pool %s [OPTION...]%s%s\n\n%c%s.\n%s\n", c->name, c->operands[0] ? " " : "", c->operands,
	       toupper((unsigned char)c->help[0]), c->help + 1, c->more ? c->more : "");
	if (c->takes)
		printf("Options:\n");
	for (size_t i = 0; i < ARRAY_LEN(extras); i++)
		if (c->takes & extras[i].takes)
			printf("%s", extras[i].help);
	printf("%s", common_help);
}

/* ------------------------------------------------------------------ the command line */
struct line {
	struct tool tool;
	bool help, version;
	unsigned given;			/* TAKES_* */
	unsigned extra;			/* which of extras[], by bits */
};
_Static_assert(ARRAY_LEN(extras) <= 32, "a bit for each");

/* What --output and -b mean is the command's to say. */
static int settle(struct line *l, const struct command *c)
{
	const char *format = l->tool.output;
	bool word = format && (!strcmp(format, "json") || !strcmp(format, "table"));

	if (c->takes & TAKES_BATCH && l->given & TAKES_BYTES) {
		l->given = (l->given & ~(unsigned)TAKES_BYTES) | TAKES_BATCH;
		for (size_t i = 0; i < ARRAY_LEN(extras); i++)
			if (extras[i].takes & (TAKES_BYTES | TAKES_BATCH))
				l->extra ^= 1u << i;
	}
	l->tool.batch = l->given & TAKES_BATCH;
	if (c->takes & TAKES_FILE)
		return word ? tool_usage("%s: --output %s: expected the name of a file", c->name, format) : EXIT_OK;
	if (format && !word)
		return tool_usage("--output %s: expected table or json", format);
	l->tool.json = format && !strcmp(format, "json");
	return EXIT_OK;
}

static int read_range(struct tool_ranges *r, const char *name)
{
	if (r->n == RANGES_MAX)
		return tool_usage("--%s: at most %d of them", name, RANGES_MAX);
	r->text[r->n++] = optarg;
	return EXIT_OK;
}

static int read_option(struct line *l, int opt)
{
	for (size_t i = 0; i < ARRAY_LEN(extras); i++)
		if (extras[i].opt == opt) {
			l->given |= extras[i].takes;
			l->extra |= 1u << i;
			if (extras[i].text)
				memcpy((char *)&l->tool + extras[i].text, &optarg, sizeof(optarg));
			if (opt == OPT_PIN || opt == OPT_UNPIN)
				return read_range(opt == OPT_PIN ? &l->tool.pin : &l->tool.unpin, extras[i].name);
			return EXIT_OK;
		}
	switch (opt) {
	case 'c':
		l->tool.conf_path = optarg;
		return EXIT_OK;
	case 'p':
		l->tool.pool = optarg;
		return EXIT_OK;
	case 'o':
		l->tool.output = optarg;
		return EXIT_OK;
	case 'h':
		l->help = true;
		return EXIT_OK;
	case OPT_VERSION:
		l->version = true;
		return EXIT_OK;
	default:
		fprintf(stderr, "Try 'hybrid-pool --help'.\n");	/* getopt has said what is wrong */
		return EXIT_USAGE;
	}
}

/* Options may stand anywhere; what is left are the command and its operands. */
static int read_line(struct line *l, int argc, char **argv)
{
	int opt, rc = EXIT_OK;

	while (rc == EXIT_OK && (opt = getopt_long(argc, argv, "c:p:o:d:n:byh", options, NULL)) != -1)
		rc = read_option(l, opt);
	l->tool.force = l->given & TAKES_FORCE;
	l->tool.yes = l->given & TAKES_YES;
	l->tool.deep = l->given & TAKES_DEEP;
	l->tool.bytes = l->given & TAKES_BYTES;
	l->tool.group = l->given & TAKES_GROUP;
	l->tool.in_use = l->given & TAKES_IN_USE;
	l->tool.usage = l->given & TAKES_USAGE;
	l->tool.resume = l->given & TAKES_RESUME;
	l->tool.again = l->given & TAKES_AGAIN;
	l->tool.progress = l->given & TAKES_PROGRESS;
	l->tool.start = l->given & TAKES_START;
	l->tool.stop = l->given & TAKES_STOP;
	l->tool.wait = l->given & TAKES_WAIT;
	return rc;
}

/* How many of the words name this command: 0 (not it), 1 or 2. */
static int match(const struct command *c, int argc, char **argv)
{
	const char *space = strchr(c->name, ' ');
	size_t first = space ? (size_t)(space - c->name) : strlen(c->name);

	if (argc < 1 || strlen(argv[0]) != first || memcmp(argv[0], c->name, first))
		return 0;
	if (!space)
		return 1;
	return argc >= 2 && !strcmp(argv[1], space + 1) ? 2 : 0;
}

static const struct command *find_command(int argc, char **argv, int *words)
{
	for (size_t i = 0; i < ARRAY_LEN(tables); i++)
		for (const struct command *c = tables[i]; c->name; c++) {
			*words = match(c, argc, argv);
			if (*words)
				return c;
		}
	return NULL;
}

static int run_command(struct line *l, int argc, char **argv)
{
	int words;
	const struct command *c = find_command(argc, argv, &words);

	if (!c)
		return tool_usage("no command is named '%s%s%s'", argv[0], argc > 1 ? " " : "",
				  argc > 1 ? argv[1] : "");
	if (l->help) {
		help_one(c);
		return EXIT_OK;
	}
	if (settle(l, c) != EXIT_OK)
		return EXIT_USAGE;
	for (size_t i = 0; i < ARRAY_LEN(extras); i++)
		if (l->extra & 1u << i && !(c->takes & extras[i].takes))
			return tool_usage("%s: takes no --%s", c->name, extras[i].name);
	argc -= words;
	argv += words;
	/* Of a group the command counts them itself. */
	if (!l->tool.group && (argc < c->operands_min || argc > c->operands_max))
		return tool_usage("%s: expected %s, got %d argument%s", c->name,
				  c->operands_max ? c->operands : "no arguments", argc, argc == 1 ? "" : "s");
	return c->run(&l->tool, argc, argv);
}

int main(int argc, char **argv)
{
	static char name[] = "hybrid-pool";
	struct line l = {0};
	int rc;

	setlocale(LC_ALL, "");
	argv[0] = name;			/* what getopt says begins as our own words do */
	rc = read_line(&l, argc, argv);
	if (rc != EXIT_OK)
		return rc;
	if (l.version) {
		printf("hybrid-pool %s, control protocol %d\n", HB_VERSION, PROTO_VERSION);
		return EXIT_OK;
	}
	if (optind == argc && !l.help)
		return tool_usage("expected a command");
	if (optind == argc)
		help_all();
	else
		rc = run_command(&l, argc - optind, argv + optind);
	if (fflush(stdout) || ferror(stdout)) {
		fprintf(stderr, "hybrid-pool: standard output: %s\n", strerror(errno));
		return rc ? rc : EXIT_FAILED;
	}
	return rc;
}
