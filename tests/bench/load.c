/* SPDX-License-Identifier: GPL-2.0-only */
/* load.c - a load generator on one iSCSI session: reads, writes, mixtures and write+flush pairs at a given depth.
 *
 * Prints one line: "ops N seconds S iops I mib_s M p50_us L p99_us L".
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/client/client.h"
#include "base/rng.h"

#define DEPTH_MAX 256
#define LATENCIES 1000000u		/* by microsecond; the last takes all above */

enum kind { KIND_READ, KIND_WRITE, KIND_PAIR, KIND_MIXED, KINDS };

static const char *const kind_names[KINDS] = {"read", "write", "pair", "mixed"};

static struct {
	enum kind kind;
	uint32_t kib;
	unsigned depth;
	bool sequential, once;
	unsigned hot_pct; /* 95 % of accesses go to so much of the places, all over the volume; 0: evenly */
	uint64_t span_mib, seconds, seed;
	int lun;
} opt = {.kib = 4, .depth = 1, .span_mib = 64, .seconds = 5, .seed = 1};

struct op {
	struct client_op io;
	uint64_t begin_ns;
	bool again;			/* the second half of a pair comes next */
};

static struct client session;
static struct op ops[DEPTH_MAX];
static uint32_t latencies[LATENCIES];
static uint64_t count, next_place, places, until_ns;
static bool refused;
static struct rng rng;

static bool start(struct op *op);

/* The hot places are scattered by a multiplication that maps the places onto themselves. */
static uint64_t random_place(void)
{
	bool hot = opt.hot_pct && rng_below(&rng, 100) < 95;
	uint64_t n = rng_below(&rng, hot ? places * opt.hot_pct / 100 : places);

	return opt.hot_pct ? (uint64_t)((unsigned __int128)n * 2654435761u % places) : n;
}

static void answered(struct client_op *io)
{
	struct op *op = (struct op *)io;
	uint64_t now = client_now_ns(), us = (now - op->begin_ns) / 1000;

	if (io->error) {
		if (io->error != -ENOTCONN)
			fprintf(stderr, "lba %llu: %s\n", (unsigned long long)io->lba, io->text);
		refused = true;
		return;
	}
	if (op->again) {
		op->again = false;
		io->cmd = CMD_FLUSH;
		refused |= client_send(&session, io) != 0;
		return;
	}
	count++;
	latencies[us < LATENCIES ? us : LATENCIES - 1]++;
	if (now < until_ns || opt.once)
		start(op);
}

/* False: nothing more to do. */
static bool start(struct op *op)
{
	uint64_t place;

	if (opt.once && next_place == places)
		return false;
	place = opt.sequential || opt.once ? next_place++ % places : random_place();
	op->io.cmd = opt.kind == KIND_READ || (opt.kind == KIND_MIXED && rng_below(&rng, 10) < 7) ? CMD_READ
												  : CMD_WRITE;
	op->io.lun = opt.lun;
	op->io.sectors = opt.kib * 2;
	op->io.lba = place * op->io.sectors;
	op->io.done = answered;
	op->again = opt.kind == KIND_PAIR;
	if (op->io.cmd == CMD_WRITE)
		memcpy(op->io.buf, &(uint64_t){rng_next(&rng)}, sizeof(uint64_t));
	op->begin_ns = client_now_ns();
	if (client_send(&session, &op->io))
		refused = true;
	return !refused;
}

static bool make_buffers(void)
{
	for (unsigned i = 0; i < opt.depth; i++) {
		uint64_t *words = malloc(opt.kib * 1024);

		if (!words)
			return false;
		for (uint32_t w = 0; w < opt.kib * 128; w++)
			words[w] = rng_next(&rng);
		ops[i].io.buf = words;
	}
	return true;
}

static unsigned percentile_us(unsigned permille)
{
	uint64_t seen = 0;

	for (unsigned us = 0; us < LATENCIES; us++) {
		seen += latencies[us];
		if (seen * 1000 >= count * permille)
			return us;
	}
	return LATENCIES;
}

static int run(void)
{
	uint64_t begin = client_now_ns(), capacity = client_capacity(&session, opt.lun);
	double seconds;

	if (capacity < opt.span_mib * 2048) {
		fprintf(stderr, "the LUN is smaller than --span\n");
		return 2;
	}
	places = opt.span_mib * 1024 / opt.kib;
	until_ns = begin + opt.seconds * 1000000000ull;
	for (unsigned i = 0; i < opt.depth; i++) {
		if (!start(&ops[i]))
			break;
	}
	while (!refused && session.in_flight > 0) {
		if (!client_wait(&session, 1, 1000))
			refused = true;
	}
	seconds = (double)(client_now_ns() - begin) / 1e9;
	printf("ops %llu seconds %.3f iops %.0f mib_s %.1f p50_us %u p99_us %u\n", (unsigned long long)count, seconds,
	       (double)count / seconds, (double)count * opt.kib / 1024 / seconds, percentile_us(500),
	       percentile_us(990));
	return refused ? 1 : 0;
}

static void usage(void)
{
	fputs("usage: load [OPTION]... read|write|pair|mixed ADDRESS:PORT TARGET LUN\n"
	      "  --kib=N   size of each (4)            --depth=N    commands in flight (1)\n"
	      "  --span=MIB of the LUN from 0 on (64)  --seconds=N  (5)\n"
	      "  --seq     one place after the other   --once       each place once, in order; no time limit\n"
	      "  --hot=PCT  95 % of the places are among so many\n"
	      "  --seed=N  of the random places        pair: a write, then SYNCHRONIZE CACHE; mixed: 70 % reads\n",
	      stderr);
	exit(2);
}

static void parse_options(int argc, char **argv)
{
	static const struct option longs[] = {
		{"kib", required_argument, NULL, 'k'},
		{"depth", required_argument, NULL, 'd'},
		{"span", required_argument, NULL, 'm'},
		{"seconds", required_argument, NULL, 's'},
		{"seed", required_argument, NULL, 'r'},
		{"seq", no_argument, NULL, 'q'},
		{"once", no_argument, NULL, 'o'},
		{"hot", required_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int o;

	while ((o = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (o) {
		case 'k': opt.kib = (uint32_t)client_number("--kib", optarg, 1, 1024); break;
		case 'd': opt.depth = (unsigned)client_number("--depth", optarg, 1, DEPTH_MAX); break;
		case 'm': opt.span_mib = client_number("--span", optarg, 1, 1 << 20); break;
		case 's': opt.seconds = client_number("--seconds", optarg, 1, 100000); break;
		case 'r': opt.seed = client_number("--seed", optarg, 0, UINT64_MAX); break;
		case 'q': opt.sequential = true; break;
		case 'o': opt.once = true; break;
		case 'h': opt.hot_pct = (unsigned)client_number("--hot", optarg, 1, 100); break;
		default: usage();
		}
	}
}

int main(int argc, char **argv)
{
	int status = 2;

	parse_options(argc, argv);
	if (argc - optind != 4)
		usage();
	for (opt.kind = 0; opt.kind < KINDS; opt.kind++) {
		if (!strcmp(argv[optind], kind_names[opt.kind]))
			break;
	}
	if (opt.kind == KINDS)
		usage();
	opt.lun = (int)client_number("LUN", argv[optind + 3], 0, 255);
	rng.s = opt.seed;
	if (!client_open(&session, argv[optind + 1], argv[optind + 2], "iqn.2024-01.org.hybrid:load", &opt.lun, 1)) {
		if (make_buffers())
			status = run();
		client_close(&session);
	}
	for (unsigned i = 0; i < opt.depth; i++)
		free(ops[i].io.buf);
	return status;
}
