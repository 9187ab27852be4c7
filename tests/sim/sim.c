/* SPDX-License-Identifier: GPL-2.0-only */
/* sim.c - the simulator's command line. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/cases.h"
#include "tests/sim/runner.h"

static const char usage[] =
	"usage: sim [--worlds N] [--seed S] [--jobs N] [--case NAME] [--runs N] [--seconds N] [--verbose] [--trace]\n"
	"           [--list] [--bugs] [--bug NAME]\n"
	"  --worlds N   until N crash worlds were verified (100000)\n"
	"  --seconds N  and not longer than this\n"
	"  --runs N     exactly N runs of each case, with seeds S, S+1, ...\n"
	"  --bugs       one deliberate bug after the other, each until it is caught\n";

enum { OPT_LIST = 1000, OPT_BUGS };

static const struct option options[] = {
	{"worlds", required_argument, NULL, 'w'},
	{"seed", required_argument, NULL, 's'},
	{"jobs", required_argument, NULL, 'j'},
	{"case", required_argument, NULL, 'c'},
	{"runs", required_argument, NULL, 'r'},
	{"seconds", required_argument, NULL, 't'},
	{"verbose", no_argument, NULL, 'v'},
	{"trace", no_argument, NULL, 'T'},
	{"list", no_argument, NULL, OPT_LIST},
	{"bugs", no_argument, NULL, OPT_BUGS},
	{"bug", required_argument, NULL, 'b'},
	{"help", no_argument, NULL, 'h'},
	{0},
};

static bool number(const char *s, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = strtoull(s, &end, 0);
	return !errno && end != s && !*end;
}

static bool known_case(const char *name)
{
	for (unsigned i = 0; i < sim_ncases; i++)
		if (!strcmp(sim_cases[i].name, name))
			return true;
	fprintf(stderr, "sim: no case is called %s (try --list)\n", name);
	return false;
}

static int list_cases(void)
{
	for (unsigned i = 0; i < sim_ncases; i++)
		printf("%-15s %s\n", sim_cases[i].name, sim_cases[i].what);
	return 0;
}

int main(int argc, char **argv)
{
	struct runner_opts o = {.seed = 1, .worlds = 100000, .jobs = 2};
	struct runner_result res;
	const char *bug = NULL;
	bool bugs = false;
	uint64_t n = 0;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (optarg && c != 'c' && c != 'b' && !number(optarg, &n)) {
			fprintf(stderr, "sim: %s is no number\n", optarg);
			return 2;
		}
		switch (c) {
		case 'w':
			o.worlds = n;
			break;
		case 's':
			o.seed = n;
			break;
		case 'j':
			o.jobs = n < 1 ? 1 : n > 64 ? 64 : (unsigned)n;
			break;
		case 'c':
			o.only = optarg;
			break;
		case 'r':
			o.runs = n;
			break;
		case 't':
			o.seconds = n;
			break;
		case 'v':
			o.verbose = true;
			break;
		case 'T':
			o.trace = true;
			break;
		case 'b':
			bug = optarg;
			bugs = true;
			break;
		case OPT_LIST:
			return list_cases();
		case OPT_BUGS:
			bugs = true;
			break;
		default:
			fputs(usage, stderr);
			return 2;
		}
	}
	if (o.only && !known_case(o.only))
		return 2;
	if (bugs)
		return bugs_run(&o, bug) ? 1 : 0;
	res = runner_run(&o);
	printf("%u passed, %u failed\n", res.passed, res.failed);
	return res.failed ? 1 : 0;
}
