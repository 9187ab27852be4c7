/* SPDX-License-Identifier: GPL-2.0-only */
/* history.c - a test client that knows what every sector may hold.
 *
 * `run` keeps several sessions busy with writes, reads, flushes and (on demand) unmaps of random places and sizes and
 * enters each write in a ledger; it ends after a time, or when the target dies. `verify` reads everything back and
 * proves that each sector holds what was last acknowledged or what was sent after it, and no 4 KiB block is torn. After
 * --power-cut, it proves that no sector holds less than was flushed or written with FUA.
 *
 * Exit status: 0 all well, 1 wrong data or a command refused, 2 usage or no connection, 3 the target died (run).
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/client/client.h"
#include "tests/client/ledger.h"
#include "base/rng.h"

#define LUNS_MAX 16
#define SESSIONS_MAX 16
#define DEPTH_MAX 128
#define OP_SECTORS_MAX 128u		/* 64 KiB */
#define OPS_MAX (SESSIONS_MAX * DEPTH_MAX)

static struct {
	const char *ledger_path, *portal, *target;
	int luns[LUNS_MAX];
	unsigned nluns, sessions, depth;
	uint64_t seconds, seed, span_mib;
	bool unmap, no_flush, power_cut, reads;
} opt = {.sessions = 4, .depth = 16, .seconds = 10, .seed = 1, .span_mib = 64};

struct op {
	struct client_op io;
	unsigned lun;			/* its place in opt.luns and in the ledger */
	bool busy;
	uint64_t flush_mark;		/* for the ledger */
	uint8_t data[OP_SECTORS_MAX * SECTOR];
};

static struct client sessions[SESSIONS_MAX];
static struct op *ops;			/* sessions * depth */
static struct ledger ledger;
static uint8_t *in_flight;		/* by sector of the ledger: an op of ours is on its way there */
static struct rng rng;
static uint64_t refused, acked[4];	/* acked: by enum client_cmd */

/* ------------------------------------------------------------------ run */
static bool place_is_free(const struct op *op)
{
	return !memchr(&in_flight[op->lun * ledger.sectors + op->io.lba], 1, op->io.sectors);
}

static void occupy(const struct op *op, int yes)
{
	memset(&in_flight[op->lun * ledger.sectors + op->io.lba], yes, op->io.sectors);
}

static void run_done(struct client_op *io)
{
	struct op *op = (struct op *)io;

	op->busy = false;
	if (io->cmd != CMD_FLUSH)
		occupy(op, 0);
	if (io->error == -ENOTCONN)
		return;			/* the ledger keeps it as pending */
	if (io->error) {
		if (refused++ < 20)
			fprintf(stderr, "lun %d lba %llu, %u sectors: command %d refused: %s\n", io->lun,
				(unsigned long long)io->lba, io->sectors, (int)io->cmd, io->text);
		return;
	}
	acked[io->cmd]++;
	if (io->cmd == CMD_READ)
		ledger_check(&ledger, op->lun, io->lba, io->sectors, op->data, LEDGER_LIVE);
	else if (io->cmd == CMD_FLUSH)
		ledger_flushed(&ledger, op->lun, op->flush_mark);
	else
		ledger_done(&ledger, op->lun, io->lba, io->sectors, io->fua);
}

static uint32_t random_sectors(void)
{
	uint64_t dice = rng_below(&rng, 100);

	if (dice < 65)
		return 8;
	if (dice < 80)
		return 1;
	if (dice < 90)
		return OP_SECTORS_MAX;
	return 1 + (uint32_t)rng_below(&rng, OP_SECTORS_MAX);
}

/* Half of the ops go to a tenth of the LUN; most are aligned to their size. */
static uint64_t random_lba(uint32_t sectors)
{
	uint64_t span = rng_below(&rng, 2) ? ledger.sectors : ledger.sectors / 10 + OP_SECTORS_MAX;
	uint64_t lba;

	span = span > ledger.sectors ? ledger.sectors : span;
	lba = rng_below(&rng, span - sectors + 1);
	if (sectors % 8 == 0 && rng_below(&rng, 10))
		lba = lba / 8 * 8;
	return lba;
}

static enum client_cmd random_cmd(void)
{
	uint64_t dice = rng_below(&rng, 100);

	if (opt.reads)
		return CMD_READ;
	if (dice < 2 && !opt.no_flush)
		return CMD_FLUSH;
	if (dice < 17)
		return CMD_READ;
	return dice < 20 && opt.unmap ? CMD_UNMAP : CMD_WRITE;
}

/* Chooses and sends one op; false when the session is dead. */
static bool start(struct client *session, struct op *op)
{
	op->io.cmd = random_cmd();
	op->io.fua = op->io.cmd == CMD_WRITE && rng_below(&rng, 20) == 0 && !opt.no_flush;
	op->io.buf = op->data;
	op->io.done = run_done;
	op->lun = (unsigned)rng_below(&rng, opt.nluns);
	op->io.lun = opt.luns[op->lun];
	do {
		op->io.sectors = random_sectors();
		op->io.lba = random_lba(op->io.sectors);
	} while (!place_is_free(op));
	if (op->io.cmd == CMD_WRITE || op->io.cmd == CMD_UNMAP)
		ledger_begin(&ledger, op->lun, op->io.lba, op->io.sectors, op->io.cmd == CMD_WRITE ? op->data : NULL);
	if (op->io.cmd != CMD_FLUSH)
		occupy(op, 1);
	op->flush_mark = ledger_flush(&ledger);
	op->busy = true;
	if (!client_send(session, &op->io))
		return true;
	op->busy = false;
	return false;
}

static bool fill_queues(void)
{
	for (unsigned i = 0; i < opt.sessions * opt.depth; i++) {
		if (!ops[i].busy && !start(&sessions[i % opt.sessions], &ops[i]))
			return false;
	}
	return true;
}

static bool drain(void)
{
	for (unsigned i = 0; i < opt.sessions; i++) {
		while (sessions[i].in_flight > 0) {
			if (!client_wait(sessions, opt.sessions, 1000))
				return false;
		}
	}
	return true;
}

static int run(void)
{
	uint64_t until = client_now_ns() + opt.seconds * 1000000000ull;
	bool alive = true;

	if (ledger_pending(&ledger)) {
		fprintf(stderr, "%s: writes are pending: verify first\n", opt.ledger_path);
		return 2;
	}
	while (alive && !refused && !ledger.bad && client_now_ns() < until)
		alive = fill_queues() && client_wait(sessions, opt.sessions, 1000);
	if (alive)
		alive = drain();
	for (unsigned i = 0; i < opt.sessions; i++)
		client_close(&sessions[i]);
	printf("run: %llu writes, %llu reads, %llu flushes, %llu unmaps answered; %s\n",
	       (unsigned long long)acked[CMD_WRITE], (unsigned long long)acked[CMD_READ],
	       (unsigned long long)acked[CMD_FLUSH], (unsigned long long)acked[CMD_UNMAP],
	       alive ? "all done" : "the target died");
	if (refused || ledger.bad)
		return 1;
	return alive ? 0 : 3;
}

/* ------------------------------------------------------------------ verify */
static void verify_done(struct client_op *io)
{
	struct op *op = (struct op *)io;

	op->busy = false;
	if (io->error) {
		refused++;
		fprintf(stderr, "lun %d lba %llu: read: %s\n", io->lun, (unsigned long long)io->lba,
			io->error == -ENOTCONN ? "connection lost" : io->text);
		return;
	}
	ledger_check(&ledger, op->lun, io->lba, io->sectors, op->data,
		     opt.power_cut ? LEDGER_POWER_CUT : LEDGER_KILLED);
}

static int verify(void)
{
	uint64_t lba = 0;
	unsigned lun = 0;
	bool alive = true;

	while (alive && !refused && lun < opt.nluns) {
		for (unsigned i = 0; alive && i < opt.sessions * opt.depth && lun < opt.nluns; i++) {
			struct op *op = &ops[i];

			if (op->busy)
				continue;
			op->lun = lun;
			op->io = (struct client_op){.cmd = CMD_READ,
						    .lun = opt.luns[lun],
						    .lba = lba,
						    .sectors = OP_SECTORS_MAX,
						    .buf = op->data,
						    .done = verify_done};
			op->busy = true;
			alive = !client_send(&sessions[i % opt.sessions], &op->io);
			lba += OP_SECTORS_MAX;
			if (lba >= ledger.sectors) {
				lba = 0;
				lun++;
			}
		}
		alive = alive && client_wait(sessions, opt.sessions, 1000);
	}
	alive = alive && drain();
	for (unsigned i = 0; i < opt.sessions; i++)
		client_close(&sessions[i]);
	printf("verify: %llu sectors; of those pending %llu hold the new value, %llu the old one; ",
	       (unsigned long long)(ledger.sectors * opt.nluns), (unsigned long long)ledger.settled_new,
	       (unsigned long long)ledger.settled_old);
	if (opt.power_cut)
		printf("%llu not flushed and lost; ", (unsigned long long)ledger.lost);
	printf("%llu wrong\n", (unsigned long long)ledger.bad);
	return alive && !refused && !ledger.bad ? 0 : 1;
}

/* ------------------------------------------------------------------ arguments */
static void usage(void)
{
	fputs("usage: history [OPTION]... run|verify LEDGER ADDRESS:PORT TARGET LUN...\n"
	      "  --sessions=N  iSCSI sessions (4)      --depth=N    commands in flight on each (16)\n"
	      "  --seconds=N   how long run lasts (10) --span=MIB   how much of each LUN is used (64)\n"
	      "  --seed=N      of the random choices   --unmap      unmaps, too\n"
	      "  --no-flush    neither flushes nor FUA --reads      nothing but reads\n"
	      "  --power-cut   verify: what was not flushed may be gone\n",
	      stderr);
	exit(2);
}

static void parse_options(int argc, char **argv)
{
	static const struct option longs[] = {
		{"sessions", required_argument, NULL, 'c'}, {"depth", required_argument, NULL, 'd'},
		{"seconds", required_argument, NULL, 's'},  {"span", required_argument, NULL, 'm'},
		{"seed", required_argument, NULL, 'r'},	    {"unmap", no_argument, NULL, 'u'},
		{"no-flush", no_argument, NULL, 'n'},	    {"power-cut", no_argument, NULL, 'p'},
		{"reads", no_argument, NULL, 'R'},
		{NULL, 0, NULL, 0},
	};
	int o;

	while ((o = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (o) {
		case 'c': opt.sessions = (unsigned)client_number("--sessions", optarg, 1, SESSIONS_MAX); break;
		case 'd': opt.depth = (unsigned)client_number("--depth", optarg, 1, DEPTH_MAX); break;
		case 's': opt.seconds = client_number("--seconds", optarg, 1, 1000000); break;
		case 'm': opt.span_mib = client_number("--span", optarg, 1, 4096); break;
		case 'r': opt.seed = client_number("--seed", optarg, 0, UINT64_MAX); break;
		case 'u': opt.unmap = true; break;
		case 'n': opt.no_flush = true; break;
		case 'p': opt.power_cut = true; break;
		case 'R': opt.reads = true; break;
		default: usage();
		}
	}
}

static bool connect_all(void)
{
	char name[80];

	for (unsigned i = 0; i < opt.sessions; i++) {
		snprintf(name, sizeof(name), "iqn.2024-01.org.hybrid:history%u", i);
		if (client_open(&sessions[i], opt.portal, opt.target, name, opt.luns, (int)opt.nluns))
			return false;
	}
	for (unsigned i = 0; i < opt.nluns; i++) {
		if (client_capacity(&sessions[0], opt.luns[i]) < opt.span_mib * 2048) {
			fprintf(stderr, "LUN %d is smaller than --span\n", opt.luns[i]);
			return false;
		}
	}
	return true;
}

int main(int argc, char **argv)
{
	int status = 2;
	char *verb;

	setvbuf(stdout, NULL, _IOLBF, 0);
	parse_options(argc, argv);
	if (argc - optind < 5 || argc - optind > 4 + LUNS_MAX)
		usage();
	verb = argv[optind];
	opt.ledger_path = argv[optind + 1];
	opt.portal = argv[optind + 2];
	opt.target = argv[optind + 3];
	for (int i = optind + 4; i < argc; i++)
		opt.luns[opt.nluns++] = (int)client_number("LUN", argv[i], 0, 255);

	if (opt.sessions * opt.depth * OP_SECTORS_MAX * 2 > opt.span_mib * 2048) {
		fprintf(stderr, "--span is too small for so many commands in flight\n");
		return 2;
	}
	if (ledger_open(&ledger, opt.ledger_path, opt.nluns, opt.span_mib * 2048))
		return 2;
	ops = calloc(opt.sessions * opt.depth, sizeof(*ops));
	in_flight = calloc(opt.nluns, ledger.sectors);
	rng.s = opt.seed;
	if (ops && in_flight && connect_all()) {
		if (!strcmp(verb, "run"))
			status = run();
		else if (!strcmp(verb, "verify"))
			status = verify();
		else
			usage();
	}
	free(ops);
	free(in_flight);
	ledger_close(&ledger);
	return status;
}
