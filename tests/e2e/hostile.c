/* SPDX-License-Identifier: GPL-2.0-only */
/* hostile.c - a hostile initiator: commands made of nonsense, at a LUN of its own, while another initiator works.
 *
 *   hostile [--seed=N] [--rounds=N] [--depth=N] PORTAL TARGET LUN VICTIM-LUN
 *
 * Every PDU is well-formed; what is in it is not: CDBs with random bits, addresses past the end and past 2^55, lengths
 * that lie (of the transfer, of parameter lists, of descriptors), the wrong direction, no buffer at all. Expected:
 * - the target answers every command, and lives;
 * - no Data-In carries what the victim has written to another LUN (freed memory of the target would);
 * - the victim's data is as it was.
 *
 * Exit: 0 fine; 1 something of this is not so; 3 the target is gone.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>

#include "base/bytes.h"
#include "base/rng.h"
#include "base/units.h"
#include "tests/client/client.h"

#define SECRET 0x5ec2e75ec2e75ec1ull
#define SECRET_SECTORS 256u
#define DEPTH_MAX 32
#define DATA_MAX KIB(256)
#define LIMIT_MS 20000

static struct rng rng;
static const char *portal, *target;
static int lun;
static unsigned depth = 8;
static uint64_t answered, refused, leaks;

struct shot {
	struct scsi_task *task;
	uint8_t out[DATA_MAX];
	uint8_t in[DATA_MAX];		/* all that came, also with an error (libiscsi shows only the sense then) */
	bool busy;
};

static struct shot shots[DEPTH_MAX];

static uint64_t pick(uint64_t n)
{
	return rng_below(&rng, n);
}

/* ------------------------------------------------------------------ nonsense */
static const struct {
	uint8_t opcode, len;
	uint8_t sas[8], nsas;
	uint8_t lba_at, lba_len, count_at, count_len;
} kinds[] = {
	{ 0x00, 6, {0}, 0, 0, 0, 0, 0 }, { 0x03, 6, {0}, 0, 0, 0, 4, 1 }, { 0x08, 6, {0}, 0, 1, 3, 4, 1 },
	{ 0x0a, 6, {0}, 0, 1, 3, 4, 1 }, { 0x12, 6, {0}, 0, 0, 0, 3, 2 }, { 0x15, 6, {0}, 0, 0, 0, 4, 1 },
	{ 0x16, 6, {0}, 0, 0, 0, 0, 0 }, { 0x17, 6, {0}, 0, 0, 0, 0, 0 }, { 0x1a, 6, {0}, 0, 0, 0, 4, 1 },
	{ 0x1b, 6, {0}, 0, 0, 0, 0, 0 }, { 0x1d, 6, {0}, 0, 0, 0, 3, 2 }, { 0x1e, 6, {0}, 0, 0, 0, 0, 0 },
	{ 0x25, 10, {0}, 0, 2, 4, 0, 0 }, { 0x28, 10, {0}, 0, 2, 4, 7, 2 }, { 0x2a, 10, {0}, 0, 2, 4, 7, 2 },
	{ 0x2e, 10, {0}, 0, 2, 4, 7, 2 }, { 0x2f, 10, {0}, 0, 2, 4, 7, 2 }, { 0x34, 10, {0}, 0, 2, 4, 7, 2 },
	{ 0x35, 10, {0}, 0, 2, 4, 7, 2 }, { 0x37, 10, {0}, 0, 0, 0, 7, 2 }, { 0x41, 10, {0}, 0, 2, 4, 7, 2 },
	{ 0x42, 10, {0}, 0, 0, 0, 7, 2 }, { 0x48, 10, { 1, 2, 3, 0x1f }, 4, 0, 0, 7, 2 },
	{ 0x55, 10, {0}, 0, 0, 0, 7, 2 }, { 0x5a, 10, {0}, 0, 0, 0, 7, 2 },
	{ 0x5e, 10, { 0, 1, 2, 3, 4 }, 5, 0, 0, 7, 2 }, { 0x5f, 10, { 0, 1, 2, 3, 4, 5, 6, 7 }, 8, 0, 0, 5, 4 },
	{ 0x83, 16, { 0, 1, 0x1c }, 3, 0, 0, 10, 4 }, { 0x84, 16, { 0, 1, 3, 4, 5 }, 5, 0, 0, 10, 4 },
	{ 0x88, 16, {0}, 0, 2, 8, 10, 4 }, { 0x89, 16, {0}, 0, 2, 8, 13, 1 }, { 0x8a, 16, {0}, 0, 2, 8, 10, 4 },
	{ 0x8b, 16, {0}, 0, 2, 8, 10, 4 }, { 0x8e, 16, {0}, 0, 2, 8, 10, 4 }, { 0x8f, 16, {0}, 0, 2, 8, 10, 4 },
	{ 0x90, 16, {0}, 0, 2, 8, 10, 4 }, { 0x91, 16, {0}, 0, 2, 8, 10, 4 }, { 0x93, 16, {0}, 0, 2, 8, 10, 4 },
	{ 0x9c, 16, {0}, 0, 2, 8, 12, 2 }, { 0x9e, 16, { 0x10, 0x12, 0x13 }, 3, 2, 8, 10, 4 },
	{ 0xa0, 12, {0}, 0, 0, 0, 6, 4 }, { 0xa3, 12, { 0x0c, 0x0d, 0x0e }, 3, 0, 0, 6, 4 },
	{ 0xa8, 12, {0}, 0, 2, 4, 6, 4 }, { 0xaa, 12, {0}, 0, 2, 4, 6, 4 }, { 0xae, 12, {0}, 0, 2, 4, 6, 4 },
	{ 0xaf, 12, {0}, 0, 2, 4, 6, 4 }, { 0xb7, 12, {0}, 0, 2, 4, 6, 4 },
};

static void put(uint8_t *p, unsigned len, uint64_t v)
{
	for (unsigned i = 0; i < len; i++)
		p[i] = (uint8_t)(v >> (8 * (len - 1 - i)));
}

/* Numbers that have hurt somebody before. */
static uint64_t nasty(void)
{
	static const uint64_t bad[] = { 0, 1, 7, 8, 255, 256, 257, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xfffffffc,
		0xffffffff, 1ull << 32, 1ull << 55, (1ull << 55) - 1, 1ull << 63, UINT64_MAX, UINT64_MAX - 7 };

	switch (pick(4)) {
	case 0:
		return bad[pick(ARRAY_LEN(bad))];
	case 1:
		return pick(64);
	case 2:
		return pick(1u << 20);
	default:
		return rng_next(&rng) >> pick(64);
	}
}

/* A parameter list: random bytes, and where the command has a structure, mostly that structure. */
static void fill(uint8_t *p, size_t len, uint8_t opcode)
{
	for (size_t i = 0; i < len; i++)
		p[i] = pick(3) ? 0 : (uint8_t)rng_next(&rng);
	if (len < 64 || !pick(4))
		return;
	switch (opcode) {
	case 0x42:
		put_be16(p + 2, (uint16_t)(pick(3) ? 16 * pick(300) : nasty()));
		for (size_t at = 8; at + 16 <= MIN(len, 4096u); at += 16) {
			put_be64(p + at, nasty());
			put_be32(p + at + 8, (uint32_t)nasty());
		}
		break;
	case 0x83:
		put_be16(p + 2, (uint16_t)(pick(2) ? 32 * pick(20) : nasty()));
		put_be32(p + 8, (uint32_t)(pick(2) ? 28 * pick(300) : nasty()));
		p[16] = 0xe4;
		p[20] = 1;
		p[21] = 3;
		p[23] = (uint8_t)nasty();
		break;
	case 0x15:
	case 0x55:
		p[opcode == 0x15 ? 3 : 7] = (uint8_t)(8 * pick(3));
		p[opcode == 0x15 ? 4 : 8] = pick(2) ? 0x08 : 0x0a;
		p[opcode == 0x15 ? 5 : 9] = pick(2) ? 18 : (uint8_t)nasty();
		break;
	case 0x5f:
		put_be64(p, pick(3));
		put_be64(p + 8, pick(3));
		p[20] = 0;
		break;
	case 0x48:
		p[0] = (uint8_t)(1 + pick(3));
		put_be16(p + 2, (uint16_t)(pick(2) ? pick(520) : nasty()));
		break;
	}
}

static struct scsi_task *aim(struct shot *shot, struct iscsi_data *ret_data)
{
	struct scsi_task *task = calloc(1, sizeof(*task));
	unsigned k = (unsigned)pick(ARRAY_LEN(kinds));
	uint64_t count = nasty(), expect;
	uint8_t *cdb;

	if (!task)
		abort();
	cdb = task->cdb;
	task->cdb_size = pick(40) ? kinds[k].len : 16;
	cdb[0] = pick(60) ? kinds[k].opcode : (uint8_t)rng_next(&rng);
	for (int i = 1; i < task->cdb_size; i++)
		cdb[i] = pick(5) ? 0 : (uint8_t)rng_next(&rng);
	if (kinds[k].nsas && pick(10))
		cdb[1] = (uint8_t)((cdb[1] & 0xe0) | kinds[k].sas[pick(kinds[k].nsas)]);
	if (kinds[k].lba_len)
		put(cdb + kinds[k].lba_at, kinds[k].lba_len, nasty());
	if (kinds[k].count_len)
		put(cdb + kinds[k].count_at, kinds[k].count_len, count);
	if (pick(20))
		cdb[task->cdb_size - 1] = 0;
	/* What is expected to move: what the CDB says, in bytes or blocks; a little else; anything. */
	expect = pick(3) ? count * (pick(2) ? 512 : 1) : nasty();
	if (!pick(4))
		expect += pick(7);
	task->xfer_dir = pick(8) ? (pick(2) ? SCSI_XFER_READ : SCSI_XFER_WRITE) : SCSI_XFER_NONE;
	if (task->xfer_dir == SCSI_XFER_NONE)
		expect = 0;
	if (expect > DATA_MAX)
		expect = pick(DATA_MAX);
	task->expxferlen = (int)expect;
	memset(ret_data, 0, sizeof(*ret_data));
	if (task->xfer_dir == SCSI_XFER_WRITE) {
		fill(shot->out, expect, cdb[0]);
		ret_data->data = shot->out;
		ret_data->size = expect;
	}
	if (task->xfer_dir == SCSI_XFER_READ && expect) {
		memset(shot->in, 0, expect);
		if (scsi_task_add_data_in_buffer(task, (int)expect, shot->in))
			abort();
	}
	return task;
}

/* ------------------------------------------------------------------ shooting */
static void look_for_secret(const struct shot *shot)
{
	uint64_t secret = SECRET;

	if (shot->task->xfer_dir != SCSI_XFER_READ)
		return;
	for (int i = 0; i + 8 <= shot->task->expxferlen; i++) {
		if (shot->in[i] == (uint8_t)SECRET && !memcmp(shot->in + i, &secret, 8)) {
			leaks++;
			printf("LEAK: opcode %02x, status %d: another initiator's data, at byte %d of %d\n",
			       shot->task->cdb[0], shot->task->status, i, shot->task->expxferlen);
			return;
		}
	}
}

static void hit(struct iscsi_context *iscsi, int status, void *command_data, void *private_data)
{
	struct shot *shot = private_data;

	(void)iscsi;
	(void)command_data;
	shot->busy = false;
	if (status == SCSI_STATUS_CANCELLED || status == SCSI_STATUS_ERROR)
		return;
	answered++;
	refused += status != SCSI_STATUS_GOOD;
	look_for_secret(shot);
}

static struct iscsi_context *log_in(const char *initiator, int to)
{
	struct iscsi_context *iscsi = iscsi_create_context(initiator);

	if (!iscsi)
		abort();
	iscsi_set_targetname(iscsi, target);
	iscsi_set_session_type(iscsi, ISCSI_SESSION_NORMAL);
	iscsi_set_header_digest(iscsi, ISCSI_HEADER_DIGEST_NONE);
	iscsi_set_noautoreconnect(iscsi, 1);
	iscsi_set_timeout(iscsi, LIMIT_MS / 1000);
	if (iscsi_full_connect_sync(iscsi, portal, to)) {
		printf("no login: %s\n", iscsi_get_error(iscsi));
		iscsi_destroy_context(iscsi);
		return NULL;
	}
	return iscsi;
}

static void collect(struct shot *shot)
{
	if (shot->task && !shot->busy) {
		scsi_free_scsi_task(shot->task);
		shot->task = NULL;
	}
}

/* A volley of commands in flight at once. False: the session is broken. */
static bool volley(struct iscsi_context *iscsi)
{
	uint64_t until = client_now_ns() + LIMIT_MS * MSEC_NS;
	unsigned n = 1 + (unsigned)pick(depth), left;

	for (unsigned i = 0; i < n; i++) {
		struct iscsi_data data;

		shots[i].task = aim(&shots[i], &data);
		shots[i].busy = true;
		if (iscsi_scsi_command_async(iscsi, lun, shots[i].task, hit, data.size ? &data : NULL, &shots[i])) {
			shots[i].busy = false;
			collect(&shots[i]);
		}
	}
	do {
		struct pollfd pfd = { .fd = iscsi_get_fd(iscsi), .events = (short)iscsi_which_events(iscsi) };

		if (poll(&pfd, 1, 1000) < 0 || iscsi_service(iscsi, pfd.revents) < 0)
			return false;
		left = 0;
		for (unsigned i = 0; i < n; i++) {
			collect(&shots[i]);
			left += shots[i].busy;
		}
	} while (left && client_now_ns() < until);
	if (left)
		printf("%u commands without an answer for %d s\n", left, LIMIT_MS / 1000);
	return !left;
}

/* What a sane initiator would do to get its LUN back, now and then. */
static void tidy_up(struct iscsi_context *iscsi)
{
	struct scsi_task *task;

	iscsi_task_mgmt_lun_reset_sync(iscsi, (uint32_t)lun);
	for (uint64_t i = pick(4); i > 0; i--) {
		task = iscsi_testunitready_sync(iscsi, lun);
		if (task)
			scsi_free_scsi_task(task);
	}
}

/* ------------------------------------------------------------------ the victim */
static bool victim_writes(struct iscsi_context *iscsi, int to)
{
	static uint64_t data[SECRET_SECTORS * SECTOR / 8];
	struct scsi_task *task;
	bool good;

	for (unsigned i = 0; i < ARRAY_LEN(data); i++)
		data[i] = SECRET;
	task = iscsi_write16_sync(iscsi, to, 0, (unsigned char *)data, sizeof(data), SECTOR, 0, 0, 0, 0, 0);
	good = task && task->status == SCSI_STATUS_GOOD;
	if (task)
		scsi_free_scsi_task(task);
	return good;
}

static bool victim_reads(struct iscsi_context *iscsi, int to)
{
	struct scsi_task *task = iscsi_read16_sync(iscsi, to, 0, SECRET_SECTORS * SECTOR, SECTOR, 0, 0, 0, 0, 0);
	uint64_t secret = SECRET;
	bool good = task && task->status == SCSI_STATUS_GOOD && task->datain.size == (int)(SECRET_SECTORS * SECTOR);

	for (int i = 0; good && i < task->datain.size; i += 8)
		good = !memcmp(task->datain.data + i, &secret, 8);
	if (task)
		scsi_free_scsi_task(task);
	return good;
}

/* ------------------------------------------------------------------ */
static int run(uint64_t rounds, int victim_lun)
{
	struct iscsi_context *victim = log_in("iqn.2024-01.org.hybrid:victim", victim_lun), *iscsi = NULL;
	uint64_t broken = 0;

	if (!victim)
		return 3;
	for (int i = 0; i < 4 && !victim_writes(victim, victim_lun); i++)
		;
	for (uint64_t i = 0; i < rounds && !leaks; i++) {
		if (!iscsi)
			iscsi = log_in("iqn.2024-01.org.hybrid:hostile", lun);
		if (!iscsi)
			return 3;
		if (!volley(iscsi)) {
			broken++;
			iscsi_destroy_context(iscsi);
			iscsi = NULL;
			for (unsigned s = 0; s < DEPTH_MAX; s++) {
				shots[s].busy = false;
				collect(&shots[s]);
			}
		} else if (!pick(32)) {
			tidy_up(iscsi);
		}
		if (i % 16 == 0 && !(victim_reads(victim, victim_lun) && victim_writes(victim, victim_lun))) {
			printf("round %llu: the victim's data is not as it was, or it gets no answer\n",
			       (unsigned long long)i);
			return 1;
		}
	}
	printf("%llu commands answered, %llu of them refused; %llu sessions broken; %llu leaks\n",
	       (unsigned long long)answered, (unsigned long long)refused, (unsigned long long)broken,
	       (unsigned long long)leaks);
	if (iscsi)
		iscsi_destroy_context(iscsi);
	iscsi_destroy_context(victim);
	return leaks || broken ? 1 : 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "seed", required_argument, NULL, 's' },
		{ "rounds", required_argument, NULL, 'r' }, { "depth", required_argument, NULL, 'd' }, { 0 } };
	uint64_t seed = 1, rounds = 2000;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (c == 's')
			seed = client_number("--seed", optarg, 0, UINT64_MAX);
		else if (c == 'r')
			rounds = client_number("--rounds", optarg, 1, UINT64_MAX);
		else if (c == 'd')
			depth = (unsigned)client_number("--depth", optarg, 1, DEPTH_MAX);
		else
			return 2;
	}
	if (argc - optind != 4) {
		fprintf(stderr, "usage: hostile [--seed=N] [--rounds=N] [--depth=N] PORTAL TARGET LUN VICTIM-LUN\n");
		return 2;
	}
	portal = argv[optind];
	target = argv[optind + 1];
	lun = (int)client_number("LUN", argv[optind + 2], 0, 255);
	rng.s = seed;
	printf("seed %llu\n", (unsigned long long)seed);
	return run(rounds, (int)client_number("VICTIM-LUN", argv[optind + 3], 0, 255));
}
