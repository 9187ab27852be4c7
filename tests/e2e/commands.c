/* SPDX-License-Identifier: GPL-2.0-only */
/* commands.c - what iscsi-test-cu does not ask: copies between LUNs and pools, reservations that outlive a session,
 * what READ FULL STATUS tells, unit attention on growth, sanitizing in the background, mode pages.
 *
 *   commands PORTAL TARGET LUN-A LUN-B LUN-OF-ANOTHER-POOL GROW-PROGRAM [ARGUMENT...]
 *
 * LUN-A and LUN-B are volumes of one pool, at least 16 MiB. The program makes LUN-A's volume larger. One line per
 * check; ends with the count.
 */
#include <poll.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>

#include "base/bytes.h"
#include "base/units.h"
#include "tests/client/client.h"

#define ONE "iqn.2024-01.org.hybrid:one"
#define TWO "iqn.2024-01.org.hybrid:two"
#define MIXED(key, asc) ((key) << 16 | (asc))

static const char *portal, *target;
static int a, b, other;
static unsigned passed, failed;

static void check(bool good, const char *fmt, ...)
{
	va_list ap;

	good ? passed++ : failed++;
	printf(good ? "ok      " : "FAILED  ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
}

/* ------------------------------------------------------------------ sending */
struct answer {
	int status;			/* SCSI status, or -1 */
	int sense;			/* MIXED(key, asc) of a CHECK CONDITION, or 0 */
	int len;
	uint8_t data[65536];
};

static struct answer ans;

static struct iscsi_context *log_in(const char *initiator, uint32_t isid)
{
	struct iscsi_context *iscsi = iscsi_create_context(initiator);

	if (!iscsi)
		abort();
	iscsi_set_isid_en(iscsi, 0x123456, (uint16_t)isid);
	iscsi_set_targetname(iscsi, target);
	iscsi_set_session_type(iscsi, ISCSI_SESSION_NORMAL);
	iscsi_set_noautoreconnect(iscsi, 1);
	iscsi_set_timeout(iscsi, 30);
	if (iscsi_full_connect_sync(iscsi, portal, a)) {
		fprintf(stderr, "no login: %s\n", iscsi_get_error(iscsi));
		exit(3);
	}
	return iscsi;
}

/* One command: `out` of out_len bytes goes there, or in_len bytes are expected. The answer is in `ans`. */
static int send_cdb(struct iscsi_context *iscsi, int lun, const uint8_t *cdb, int cdb_len, const void *out, int out_len,
		    int in_len)
{
	struct iscsi_data data = { .size = (size_t)out_len, .data = (unsigned char *)(uintptr_t)out };
	struct scsi_task *task = calloc(1, sizeof(*task));

	memset(&ans, 0, sizeof(ans));
	ans.status = -1;
	if (!task)
		abort();
	memcpy(task->cdb, cdb, (size_t)cdb_len);
	task->cdb_size = cdb_len;
	task->xfer_dir = out_len ? SCSI_XFER_WRITE : in_len ? SCSI_XFER_READ : SCSI_XFER_NONE;
	task->expxferlen = out_len ? out_len : in_len;
	if (iscsi_scsi_command_sync(iscsi, lun, task, out_len ? &data : NULL)) {
		ans.status = task->status;
		if (task->status == SCSI_STATUS_CHECK_CONDITION)
			ans.sense = MIXED((int)task->sense.key, task->sense.ascq);
		else if (task->datain.data && task->datain.size <= (int)sizeof(ans.data))
			memcpy(ans.data, task->datain.data, (size_t)(ans.len = task->datain.size));
	}
	scsi_free_scsi_task(task);
	return ans.status;
}

static void clear_attentions(struct iscsi_context *iscsi)
{
	static const uint8_t cdb[6];
	const int luns[] = { a, b, other };

	for (unsigned i = 0; i < ARRAY_LEN(luns); i++)
		for (int n = 0; n < 8; n++)
			if (send_cdb(iscsi, luns[i], cdb, 6, NULL, 0, 0) != SCSI_STATUS_CHECK_CONDITION)
				break;
}

static int rw(struct iscsi_context *iscsi, int lun, bool write, uint64_t lba, uint32_t blocks, uint8_t *data)
{
	uint8_t cdb[16] = { write ? 0x8a : 0x88 };

	put_be64(cdb + 2, lba);
	put_be32(cdb + 10, blocks);
	send_cdb(iscsi, lun, cdb, 16, write ? data : NULL, write ? (int)blocks * 512 : 0,
		 write ? 0 : (int)blocks * 512);
	if (!write && ans.status == SCSI_STATUS_GOOD)
		memcpy(data, ans.data, blocks * 512);
	return ans.status;
}

/* ------------------------------------------------------------------ copies */
static size_t put_cscd(struct iscsi_context *iscsi, int lun, uint8_t *p)
{
	static const uint8_t cdb[6] = { 0x12, 0x01, 0x83, 0, 0xff, 0 };

	memset(p, 0, 32);
	p[0] = 0xe4;
	send_cdb(iscsi, lun, cdb, 6, NULL, 0, 255);
	for (int at = 4; at + 4 <= ans.len; at += 4 + ans.data[at + 3]) {
		if ((ans.data[at + 1] & 0x3f) == 3) {
			memcpy(p + 4, ans.data + at, (size_t)ans.data[at + 3] + 4);
			break;
		}
	}
	put_be32(p + 28, 512);
	return 32;
}

static size_t put_segment(uint8_t *p, unsigned from, unsigned to, unsigned blocks, uint64_t from_lba, uint64_t to_lba)
{
	memset(p, 0, 28);
	p[0] = 0x02;
	put_be16(p + 2, 24);
	put_be16(p + 4, (uint16_t)from);
	put_be16(p + 6, (uint16_t)to);
	put_be16(p + 10, (uint16_t)blocks);
	put_be64(p + 12, from_lba);
	put_be64(p + 20, to_lba);
	return 28;
}

static int copy(struct iscsi_context *iscsi, bool lid4, uint32_t id, int from, int to, unsigned blocks,
		uint64_t from_lba, uint64_t to_lba)
{
	uint8_t list[256] = { 0 }, cdb[16] = { 0x83, lid4 };
	size_t n = lid4 ? 48 : 16;

	n += put_cscd(iscsi, from, list + n);
	n += put_cscd(iscsi, to, list + n);
	n += put_segment(list + n, 0, 1, blocks, from_lba, to_lba);
	if (lid4) {
		list[0] = 1;
		put_be16(list + 2, 0x20);
		list[16] = 0xff;
		put_be32(list + 20, id);
		put_be16(list + 42, 64);
		put_be16(list + 44, 28);
	} else {
		list[0] = (uint8_t)id;
		put_be16(list + 2, 64);
		put_be32(list + 8, 28);
	}
	put_be32(cdb + 10, (uint32_t)n);
	return send_cdb(iscsi, a, cdb, 16, list, (int)n, 0);
}

static int copy_results(struct iscsi_context *iscsi, unsigned sa, uint32_t id)
{
	uint8_t cdb[16] = { 0x84, (uint8_t)sa };

	if (sa == 5)
		put_be32(cdb + 2, id);
	else
		cdb[2] = (uint8_t)id;
	put_be32(cdb + 10, 512);
	return send_cdb(iscsi, a, cdb, 16, NULL, 0, 512);
}

static void copies(struct iscsi_context *iscsi, struct iscsi_context *two)
{
	static uint8_t data[64 * 512], back[64 * 512];
	static const uint8_t reserve[10] = { 0x16 }, release[10] = { 0x17 };
	const struct {
		int from, to;
		const char *what;
	} ways[] = { { a, a, "within a LUN" }, { a, b, "to another LUN" }, { b, a, "from another LUN" },
		{ a, other, "to another pool" }, { other, a, "from another pool" } };

	for (unsigned i = 0; i < ARRAY_LEN(ways); i++) {
		for (unsigned n = 0; n < sizeof(data); n++)
			data[n] = (uint8_t)(n * 7 + n / 512 + i);
		rw(iscsi, ways[i].from, true, 100, 64, data);
		check(copy(iscsi, i & 1, 7 + i, ways[i].from, ways[i].to, 64, 100, 4096 + 3) == SCSI_STATUS_GOOD &&
		      rw(iscsi, ways[i].to, false, 4096 + 3, 64, back) == SCSI_STATUS_GOOD &&
		      !memcmp(data, back, sizeof(data)), "EXTENDED COPY %s", ways[i].what);
	}
	copy_results(iscsi, 0, 7);
	check(ans.status == SCSI_STATUS_GOOD && get_be32(ans.data) == 8 && ans.data[4] == 1 &&
	      get_be16(ans.data + 5) == 1 && get_be32(ans.data + 8) == 64 * 512, "COPY STATUS of a good copy");
	copy_results(iscsi, 5, 8);
	check(ans.status == SCSI_STATUS_GOOD && ans.data[5] == 1 && get_be64(ans.data + 16) == 64 * 512,
	      "COPY STATUS (LID4) of a good copy");
	check(copy_results(two, 0, 7) == SCSI_STATUS_CHECK_CONDITION, "COPY STATUS is for who asked for the copy");
	check(send_cdb(two, b, reserve, 6, NULL, 0, 0) == SCSI_STATUS_GOOD &&
	      copy(iscsi, false, 9, a, b, 8, 0, 0) == SCSI_STATUS_CHECK_CONDITION && ans.sense >> 16 == 0x0a,
	      "EXTENDED COPY to a LUN that another nexus has reserved is aborted");
	send_cdb(two, b, release, 6, NULL, 0, 0);
	copy_results(iscsi, 4, 9);
	check(ans.status == SCSI_STATUS_GOOD && get_be32(ans.data) > 56 &&
	      ans.data[56] == SCSI_STATUS_CHECK_CONDITION && (ans.data[62] & 0x0f) == 0x0a, "FAILED SEGMENT DETAILS");
}

/* ------------------------------------------------------------------ persistent reservations */
static int pr_out(struct iscsi_context *iscsi, unsigned sa, unsigned type, uint64_t key, uint64_t sa_key)
{
	uint8_t cdb[10] = { 0x5f, (uint8_t)sa, (uint8_t)type }, list[24] = { 0 };

	put_be64(list, key);
	put_be64(list + 8, sa_key);
	put_be32(cdb + 5, sizeof(list));
	return send_cdb(iscsi, a, cdb, 10, list, sizeof(list), 0);
}

static int pr_in(struct iscsi_context *iscsi, unsigned sa)
{
	uint8_t cdb[10] = { 0x5e, (uint8_t)sa };

	put_be16(cdb + 7, 2048);
	return send_cdb(iscsi, a, cdb, 10, NULL, 0, 2048);
}

static int pr_move(struct iscsi_context *iscsi, uint64_t key, uint64_t sa_key, const uint8_t *id, unsigned id_len)
{
	uint8_t cdb[10] = { 0x5f, 7 }, list[24 + 256] = { 0 };

	put_be64(list, key);
	put_be64(list + 8, sa_key);
	put_be16(list + 18, 1);
	put_be32(list + 20, id_len);
	memcpy(list + 24, id, id_len);
	put_be32(cdb + 5, 24 + id_len);
	return send_cdb(iscsi, a, cdb, 10, list, (int)(24 + id_len), 0);
}

static void reservations(struct iscsi_context **one, struct iscsi_context *two)
{
	static uint8_t block[512];
	uint8_t id_two[256];
	unsigned len;

	pr_out(*one, 6, 0, 0, 0x11);
	check(pr_out(*one, 1, 1, 0x11, 0) == SCSI_STATUS_GOOD &&
	      rw(two, a, true, 0, 1, block) == SCSI_STATUS_RESERVATION_CONFLICT &&
	      rw(two, a, false, 0, 1, block) == SCSI_STATUS_GOOD, "WRITE EXCLUSIVE keeps another nexus from writing");
	iscsi_logout_sync(*one);
	iscsi_destroy_context(*one);
	*one = log_in(ONE, 1);
	clear_attentions(*one);
	check(rw(*one, a, true, 0, 1, block) == SCSI_STATUS_GOOD, "the holder holds after it has logged in again");
	check(rw(two, a, true, 0, 1, block) == SCSI_STATUS_RESERVATION_CONFLICT, "and keeps the other out");
	pr_out(two, 6, 0, 0, 0x22);
	pr_in(*one, 3);
	len = get_be32(ans.data + 8 + 20);
	check(ans.status == SCSI_STATUS_GOOD && get_be64(ans.data + 8) == 0x11 && ans.data[8 + 12] == 1 &&
	      ans.data[8 + 13] == 1 && !strcmp((char *)ans.data + 8 + 28, ONE ",i,0x401234560001") &&
	      get_be32(ans.data + 4) > 24 + len, "READ FULL STATUS names the holder: %s", ans.data + 8 + 28);
	memcpy(id_two, ans.data + 8 + 24 + len + 24, sizeof(id_two));
	len = get_be32(ans.data + 8 + 24 + len + 20);
	check(pr_move(*one, 0x11, 0x33, id_two, MIN(len, 256u)) == SCSI_STATUS_GOOD &&
	      rw(two, a, true, 0, 1, block) == SCSI_STATUS_GOOD &&
	      rw(*one, a, true, 0, 1, block) == SCSI_STATUS_RESERVATION_CONFLICT, "REGISTER AND MOVE");
	check(pr_out(*one, 4, 1, 0x11, 0x33) == SCSI_STATUS_GOOD &&
	      rw(two, a, true, 0, 1, block) == SCSI_STATUS_CHECK_CONDITION && ans.sense == MIXED(6, 0x2a05) &&
	      rw(two, a, true, 0, 1, block) == SCSI_STATUS_RESERVATION_CONFLICT,
	      "PREEMPT takes the reservation, with a unit attention for the other");
	check(pr_out(*one, 3, 0, 0x11, 0) == SCSI_STATUS_GOOD && rw(two, a, true, 0, 1, block) == SCSI_STATUS_GOOD,
	      "CLEAR");
	check(pr_move(*one, 0x11, 0x33, id_two, MIN(len, 256u)) != SCSI_STATUS_GOOD,
	      "REGISTER AND MOVE without a reservation is refused");
}

/* ------------------------------------------------------------------ the rest */
static bool run(char **argv)
{
	int status = -1;
	pid_t pid;

	return !posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) && waitpid(pid, &status, 0) == pid && !status;
}

static void growth(struct iscsi_context *one, struct iscsi_context *two, char **program)
{
	static const uint8_t ready[6], capacity[16] = { 0x9e, 0x10, [13] = 32 };
	uint64_t before;
	int i;

	send_cdb(one, a, capacity, 16, NULL, 0, 32);
	before = get_be64(ans.data);
	check(run(program), "the volume grows");
	for (i = 0; i < 50 && send_cdb(one, a, ready, 6, NULL, 0, 0) == SCSI_STATUS_GOOD; i++)
		poll(NULL, 0, 100);
	check(ans.sense == MIXED(6, 0x2a09), "CAPACITY DATA HAS CHANGED for one initiator");
	check(send_cdb(two, a, ready, 6, NULL, 0, 0) == SCSI_STATUS_CHECK_CONDITION && ans.sense == MIXED(6, 0x2a09),
	      "and for the other");
	send_cdb(one, a, capacity, 16, NULL, 0, 32);
	check(get_be64(ans.data) > before, "READ CAPACITY tells the new size");
}

static void mode_pages(struct iscsi_context *one, struct iscsi_context *two)
{
	uint8_t sense[6] = { 0x1a, 0x08, 0x08, 0, 255, 0 }, select[6] = { 0x15, 0x10, 0, 0, 24, 0 }, list[24];
	static const uint8_t ready[6];

	send_cdb(one, a, sense, 6, NULL, 0, 255);
	check(ans.status == SCSI_STATUS_GOOD && ans.len == 24 && (ans.data[6] & 0x04),
	      "MODE SENSE: the write cache is on");
	memcpy(list, ans.data, sizeof(list));
	list[0] = list[2] = 0;
	list[6] &= (uint8_t)~0x04;
	check(send_cdb(one, a, select, 6, list, 24, 0) == SCSI_STATUS_GOOD &&
	      send_cdb(one, a, sense, 6, NULL, 0, 255) == SCSI_STATUS_GOOD && !(ans.data[6] & 0x04),
	      "MODE SELECT turns it off");
	check(send_cdb(two, a, ready, 6, NULL, 0, 0) == SCSI_STATUS_CHECK_CONDITION && ans.sense == MIXED(6, 0x2a01),
	      "MODE PARAMETERS CHANGED for the other initiator");
	list[6] |= 0x04;
	check(send_cdb(one, a, select, 6, list, 24, 0) == SCSI_STATUS_GOOD, "MODE SELECT turns it on");
	clear_attentions(two);
	list[10] ^= 0x55;
	check(send_cdb(one, a, select, 6, list, 24, 0) == SCSI_STATUS_CHECK_CONDITION && ans.sense == MIXED(5, 0x2600),
	      "MODE SELECT of what may not be changed is refused");
	check(send_cdb(one, a, sense, 6, NULL, 0, 0) == SCSI_STATUS_GOOD, "MODE SENSE without a buffer");
}

static void sanitizing(struct iscsi_context *one)
{
	static const uint8_t erase[10] = { 0x48, 0x82 }, ready[6], status[16] = { 0x9e, 0x12, [13] = 64 };
	static uint8_t data[64 * 512], zero[64 * 512];
	int i;

	memset(data, 0xa5, sizeof(data));
	rw(one, b, true, 0, 64, data);
	send_cdb(one, b, status, 16, NULL, 0, 64);
	check(ans.len >= 24 && (ans.data[20] & 0x0f) == 0 && get_be32(ans.data + 16) >= 64, "GET LBA STATUS: mapped");
	check(send_cdb(one, b, erase, 10, NULL, 0, 0) == SCSI_STATUS_GOOD, "SANITIZE BLOCK ERASE, in the background");
	for (i = 0; i < 100 && send_cdb(one, b, ready, 6, NULL, 0, 0) != SCSI_STATUS_GOOD; i++)
		poll(NULL, 0, 100);
	check(rw(one, b, false, 0, 64, data) == SCSI_STATUS_GOOD && !memcmp(data, zero, sizeof(data)),
	      "everything is zero");
	send_cdb(one, b, status, 16, NULL, 0, 64);
	check(ans.len >= 24 && (ans.data[20] & 0x0f) == 1 && get_be32(ans.data + 16) > 64,
	      "GET LBA STATUS: deallocated");
}

int main(int argc, char **argv)
{
	struct iscsi_context *one, *two;

	if (argc < 7) {
		fprintf(stderr, "usage: commands PORTAL TARGET LUN-A LUN-B LUN-OF-ANOTHER-POOL GROW-PROGRAM...\n");
		return 2;
	}
	portal = argv[1];
	target = argv[2];
	a = (int)client_number("LUN-A", argv[3], 0, 255);
	b = (int)client_number("LUN-B", argv[4], 0, 255);
	other = (int)client_number("LUN-OF-ANOTHER-POOL", argv[5], 0, 255);
	one = log_in(ONE, 1);
	two = log_in(TWO, 2);
	clear_attentions(one);
	clear_attentions(two);
	copies(one, two);
	reservations(&one, two);
	clear_attentions(one);
	clear_attentions(two);
	growth(one, two, argv + 6);
	mode_pages(one, two);
	sanitizing(one);
	iscsi_destroy_context(one);
	iscsi_destroy_context(two);
	printf("%u passed, %u failed\n", passed, failed);
	return failed ? 1 : 0;
}
