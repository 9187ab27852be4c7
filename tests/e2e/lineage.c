/* SPDX-License-Identifier: GPL-2.0-only */
/* lineage.c - a client for the script of the same name: it reads commands, one a line, and answers each with one line
 * that begins with "good" or says what was wrong. Sessions, and what it knows of the data, live as long as it does.
 *
 *   lineage PORTAL TARGET CONTROL-SOCKET SEED
 *
 *   portal PORTAL                            from now on (after a restart of the target)
 *   login S LUN...                           session S (0..7) anew; a new nexus's unit attentions are cleared
 *   ready S LUN                              takes all pending unit attentions
 *   cdb S LUN HEX [in=BYTES | out=HEX]       one command: "good HEX", "KK/AA/QQ" (sense), "conflict" or "status N"
 *   ctl JSON                                 to the control socket: "good RESULT" or "CODE TEXT"
 *   image NAME BLOCKS                        what a volume holds: zeros; 4 KiB blocks; or a known one gets longer
 *   same NAME FROM                           ... what another one holds
 *   write S LUN NAME FIRST COUNT             new data, 256 KiB at once; it stands in the image when answered GOOD
 *   unmap S LUN NAME FIRST COUNT
 *   check S LUN NAME                         reads everything
 *   storm S FIRST COUNT LUN=NAME...          reads the same blocks of all these LUNs at the same time
 *   during S LUN=NAME... -- JSON...          sends the requests one after the other, while all these LUNs are read
 *   load LUN NAME ANSWERS JSON               two sessions write; after so many answers the request is sent, amid writes
 *   photo S LUN                              is this what `load` froze?
 *   reverted S LUN NAME SNAPSHOT             did `load`, on NAME, revert to that; and is what was written then there?
 *   order WHEN PID LUN LUN LUN JSON          chains of writes that depend on each other, over three volumes, and the
 *                                            request amid them; SIGKILL to PID: WHEN is never, answered or asked
 *   prefix S LUN LUN LUN                     are these volumes, together, a moment of those chains?
 *   now                                      the next `prefix` is about all that was answered since
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>

#include "base/bytes.h"
#include "base/rng.h"
#include "base/units.h"
#include "tests/client/cdb.h"
#include "tests/client/chains.h"
#include "tests/client/client.h"
#include "tests/client/control.h"
#include "tests/client/image.h"

#define SESSIONS 8u
#define WORDS_MAX 512
#define OPS 128u
#define OP_BLOCKS 64u		/* 256 KiB */

static const char *target, *socket_path;
static char portal[64];
static struct client sessions[SESSIONS];
static struct control control;
static struct rng rng;

static bool say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	return true;
}

static unsigned number(const char *s)
{
	return (unsigned)client_number("number", s, 0, UINT32_MAX);
}

static unsigned session(const char *s)
{
	return (unsigned)client_number("session", s, 0, SESSIONS - 1);
}

/* ------------------------------------------------------------------ single commands */
static bool do_ready(int n, char **w)
{
	(void)n;
	return say(cdb_ready(&sessions[session(w[1])], (int)number(w[2])) ? "good" : "not ready");
}

static bool do_portal(int n, char **w)
{
	(void)n;
	snprintf(portal, sizeof(portal), "%s", w[1]);
	return say("good");
}

static bool do_login(int n, char **w)
{
	int luns[WORDS_MAX], nluns = 0;
	unsigned s = session(w[1]);
	char name[80];

	for (int i = 2; i < n; i++)
		luns[nluns++] = (int)number(w[i]);
	client_close(&sessions[s]);
	snprintf(name, sizeof(name), "iqn.2024-01.org.hybrid:lineage%u", s);
	if (client_open(&sessions[s], portal, target, name, luns, nluns))
		return say("no login");
	return say("good");
}

static bool do_cdb(int n, char **w)
{
	static uint8_t bytes[65536];
	struct iscsi_data out = {.data = bytes};
	uint8_t cdb[16];
	size_t cdb_len = cdb_from_hex(w[3], cdb, sizeof(cdb));
	struct scsi_task *task;
	int in = 0;

	if (n > 4 && !strncmp(w[4], "in=", 3))
		in = (int)number(w[4] + 3);
	else if (n > 4 && !strncmp(w[4], "out=", 4))
		out.size = cdb_from_hex(w[4] + 4, bytes, sizeof(bytes));
	task = cdb_send(&sessions[session(w[1])], (int)number(w[2]), cdb, cdb_len, out.size ? &out : NULL, in);
	if (!task)
		return say("connection lost");
	cdb_print(task);
	scsi_free_scsi_task(task);
	return say("");
}

static bool do_ctl(int n, char **w)
{
	(void)n;
	if (control_send(&control, socket_path, w[1]))
		return say("no control socket");
	control_answered(&control, true);
	return say("%s", control_text(&control));
}

/* ------------------------------------------------------------------ data in flight */
struct op {
	struct client_op io;
	bool busy;
	const struct image *image;
	uint32_t first, count, tag;
	uint8_t data[OP_BLOCKS * IMAGE_BLOCK] __attribute__((aligned(16)));
};

static struct op *ops;
static char trouble[200];		/* the first thing that was wrong */
static uint64_t answered;

static void wrong(const char *fmt, ...)
{
	va_list ap;

	if (trouble[0])
		return;
	va_start(ap, fmt);
	vsnprintf(trouble, sizeof(trouble), fmt, ap);
	va_end(ap);
}

static void failed(const struct client_op *io)
{
	if (io->error == -ENOTCONN)
		wrong("connection lost");
	else if (io->sense)
		wrong("%s", cdb_sense_text(io->sense));
	else
		wrong("%s", io->text);
}

static struct op *idle_op(void)
{
	for (unsigned i = 0; i < OPS; i++)
		if (!ops[i].busy)
			return &ops[i];
	return NULL;
}

static void send_op(struct op *op, unsigned s, enum client_cmd cmd, int lun, void (*done)(struct client_op *io))
{
	op->io = (struct client_op){.cmd = cmd, .lun = lun, .lba = (uint64_t)op->first * IMAGE_SECTORS,
				    .sectors = op->count * IMAGE_SECTORS, .buf = op->data, .done = done};
	op->busy = true;
	if (client_send(&sessions[s], &op->io)) {
		op->busy = false;
		wrong("connection lost");
	}
}

/* Until nothing is in flight in the sessions [from, to). */
static void drain(unsigned from, unsigned to)
{
	for (unsigned s = from; s < to; s++)
		while (sessions[s].in_flight && !sessions[s].dead)
			client_wait(&sessions[s], 1, 1000);
}

static void read_done(struct client_op *io)
{
	struct op *op = (struct op *)io;

	op->busy = false;
	answered++;
	if (io->error)
		failed(io);
	for (uint32_t i = 0; i < op->count && !io->error; i++) {
		uint32_t place = op->first + i;

		if (!image_holds(op->data + i * IMAGE_BLOCK, place, op->image->tags[place]))
			wrong("lun %d, block %u: found tag %d instead of %u of %s", io->lun, place,
			      (int)image_tag_of(op->data + i * IMAGE_BLOCK, place), op->image->tags[place],
			      op->image->name);
	}
}

/* Waits for a free op, which is the caller's until it is sent. NULL: the connection is lost. */
static struct op *wait_op(unsigned s)
{
	struct op *op;

	while (!(op = idle_op()) && client_wait(&sessions[s], 1, 1000))
		;
	if (!op)
		wrong("connection lost");
	return op;
}

static void read_range(unsigned s, int lun, const struct image *im, uint32_t first, uint32_t count)
{
	while (count && !trouble[0]) {
		struct op *op = wait_op(s);

		if (!op)
			return;
		op->image = im;
		op->first = first;
		op->count = MIN(count, OP_BLOCKS);
		first += op->count;
		count -= op->count;
		send_op(op, s, CMD_READ, lun, read_done);
	}
}

static bool verdict(const char *fmt, ...)
{
	va_list ap;

	if (trouble[0]) {
		say("%s", trouble);
		trouble[0] = '\0';
		return true;
	}
	printf("good ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	return true;
}

/* ------------------------------------------------------------------ images */
static bool do_image(int n, char **w)
{
	(void)n;
	image_resize(image_get(w[1]), number(w[2]));
	return say("good");
}

static bool do_same(int n, char **w)
{
	(void)n;
	image_copy(image_get(w[1]), image_get(w[2]));
	return say("good");
}

/* One after the other, so that after an error nothing behind it is written. */
static void change_done(struct client_op *io)
{
	struct op *op = (struct op *)io;
	struct image *im = image_get(op->image->name);

	op->busy = false;
	if (io->error)
		failed(io);
	for (uint32_t i = 0; i < op->count && !io->error; i++)
		im->tags[op->first + i] = op->tag;
}

/* What a refused write has done of its blocks, and what not: either is right. */
static void settle_done(struct client_op *io)
{
	struct op *op = (struct op *)io;
	struct image *im = image_get(op->image->name);

	op->busy = false;
	for (uint32_t i = 0; i < op->count && !io->error; i++)
		if (image_holds(op->data + i * IMAGE_BLOCK, op->first + i, op->tag))
			im->tags[op->first + i] = op->tag;
}

static bool change(char **w, bool write)
{
	unsigned s = session(w[1]);
	int lun = (int)number(w[2]);
	uint32_t first = number(w[4]), end = first + number(w[5]), was = first;

	if (!cdb_ready(&sessions[s], lun))
		wrong("not ready");
	while (first < end && !trouble[0]) {
		struct op *op = wait_op(s);

		if (!op)
			break;
		op->image = image_get(w[3]);
		op->first = first;
		op->count = MIN(end - first, OP_BLOCKS);
		op->tag = write ? image_new_tag() : 0;
		for (uint32_t i = 0; i < op->count; i++)
			image_fill(op->data + i * IMAGE_BLOCK, first + i, op->tag);
		send_op(op, s, write ? CMD_WRITE : CMD_UNMAP, lun, change_done);
		drain(s, s + 1);
		if (op->io.error && !sessions[s].dead) {
			send_op(op, s, CMD_READ, lun, settle_done);
			drain(s, s + 1);
			break;
		}
		first += op->count;
	}
	return verdict("%u blocks", first - was);
}

static bool do_write(int n, char **w)
{
	(void)n;
	return change(w, true);
}

static bool do_unmap(int n, char **w)
{
	(void)n;
	return change(w, false);
}

static bool do_check(int n, char **w)
{
	const struct image *im = image_get(w[3]);
	unsigned s = session(w[1]);
	int lun = (int)number(w[2]);

	(void)n;
	if (!cdb_ready(&sessions[s], lun))
		wrong("not ready");
	if (!trouble[0] && client_capacity(&sessions[s], lun) != (uint64_t)im->blocks * IMAGE_SECTORS)
		wrong("another capacity than %s", im->name);
	read_range(s, lun, im, 0, im->blocks);
	drain(s, s + 1);
	return verdict("%u blocks", im->blocks);
}

/* "LUN=NAME" words up to the end or "--"; returns how many. */
static unsigned parse_luns(unsigned s, int n, char **w, int *luns, const struct image **images)
{
	int i;

	for (i = 0; i < n && strcmp(w[i], "--"); i++) {
		char *name = strchr(w[i], '=');

		if (!name)
			exit(2);
		*name = '\0';
		luns[i] = (int)number(w[i]);
		images[i] = image_get(name + 1);
		if (!cdb_ready(&sessions[s], luns[i]))
			wrong("lun %d is not ready", luns[i]);
	}
	return (unsigned)i;
}

static bool do_storm(int n, char **w)
{
	const struct image *images[WORDS_MAX];
	uint32_t first = number(w[2]), count = number(w[3]);
	unsigned s = session(w[1]), nluns;
	int luns[WORDS_MAX];

	nluns = parse_luns(s, n - 4, w + 4, luns, images);
	for (uint32_t at = 0; at < count; at += OP_BLOCKS)
		for (unsigned i = 0; i < nluns; i++)
			read_range(s, luns[i], images[i], first + at, MIN(count - at, OP_BLOCKS));
	drain(s, s + 1);
	return verdict("%u blocks of %u LUNs", count, nluns);
}

/* Random reads of these LUNs, until `more` are answered and, with a request, its answer has come. */
static void read_on(unsigned s, unsigned nluns, const int *luns, const struct image **images, uint64_t more, bool asked)
{
	uint64_t until = answered + more;
	bool waits = asked;

	while (!trouble[0] && (waits || answered < until)) {
		for (struct op *op; sessions[s].in_flight < 16 && (op = idle_op());) {
			unsigned i = (unsigned)rng_below(&rng, nluns);

			op->count = 1 + (uint32_t)rng_below(&rng, 16);
			op->image = images[i];
			op->first = (uint32_t)rng_below(&rng, images[i]->blocks - op->count + 1);
			send_op(op, s, CMD_READ, luns[i], read_done);
		}
		if (!client_wait(&sessions[s], 1, 1000))
			wrong("connection lost");
		if (waits && control_answered(&control, false))
			waits = false;
	}
}

static bool do_during(int n, char **w)
{
	const struct image *images[WORDS_MAX];
	int luns[WORDS_MAX], i;
	unsigned s = session(w[1]), nluns;

	nluns = parse_luns(s, n - 2, w + 2, luns, images);
	answered = 0;
	for (i = 2 + (int)nluns + 1; i < n && !trouble[0]; i++) {
		read_on(s, nluns, luns, images, 50, false);
		if (control_send(&control, socket_path, w[i]))
			wrong("no control socket");
		else
			read_on(s, nluns, luns, images, 0, true);
		if (!trouble[0] && strncmp(control_text(&control), "good", 4))
			wrong("%s: %s", w[i], control_text(&control));
	}
	read_on(s, nluns, luns, images, 200, false);
	drain(s, s + 1);
	return verdict("%" PRIu64 " reads", answered);
}

/* ------------------------------------------------------------------ a snapshot amid writes */
static struct {
	struct image low, high;		/* the tags a block of the snapshot lies between */
	struct image sent;		/* the last tag sent to each block */
	uint8_t *busy;			/* a write is on its way there */
} taken;

static unsigned attentions;
static int last_attention;

/* What is answered with a unit attention was not done. */
static void load_done(struct client_op *io)
{
	struct op *op = (struct op *)io;

	memset(taken.busy + op->first, 0, op->count);
	answered++;
	if (io->sense >> 16 == SCSI_SENSE_UNIT_ATTENTION) {
		attentions++;
		last_attention = io->sense;
		op->busy = false;
		return;
	}
	change_done(io);
}

static void load_send(unsigned s, int lun, const struct image *im, struct op *op)
{
	op->image = im;
	op->tag = image_new_tag();
	do {
		op->count = 1 + (uint32_t)rng_below(&rng, 8);
		op->first = (uint32_t)rng_below(&rng, im->blocks - op->count + 1);
	} while (memchr(taken.busy + op->first, 1, op->count));
	for (uint32_t i = 0; i < op->count; i++) {
		image_fill(op->data + i * IMAGE_BLOCK, op->first + i, op->tag);
		taken.sent.tags[op->first + i] = op->tag;
	}
	memset(taken.busy + op->first, 1, op->count);
	send_op(op, s, CMD_WRITE, lun, load_done);
}

/* Two sessions write until `more` are answered and, with a request, its answer has come. */
static void load_on(int lun, const struct image *im, uint64_t more, bool asked)
{
	uint64_t until = answered + more;
	bool waits = asked;

	while (!trouble[0] && (waits || answered < until)) {
		for (unsigned s = 0; s < 2; s++)
			for (struct op *op; sessions[s].in_flight < 24 && (op = idle_op());)
				load_send(s, lun, im, op);
		if (!client_wait(sessions, 2, 1000))
			wrong("connection lost");
		if (waits && control_answered(&control, false))
			waits = false;
	}
}

static bool do_load(int n, char **w)
{
	int lun = (int)number(w[1]);
	const struct image *im = image_get(w[2]);
	uint32_t open = 0;

	(void)n;
	image_copy(&taken.sent, im);
	free(taken.busy);
	taken.busy = calloc(im->blocks, 1);
	if (!taken.busy)
		abort();
	if (!cdb_ready(&sessions[0], lun) || !cdb_ready(&sessions[1], lun))
		wrong("not ready");
	answered = attentions = 0;
	load_on(lun, im, number(w[3]), false);
	image_copy(&taken.low, im);
	if (!trouble[0] && control_send(&control, socket_path, w[4]))
		wrong("no control socket");
	else
		load_on(lun, im, 0, true);
	image_copy(&taken.high, &taken.sent);
	if (!trouble[0] && strncmp(control_text(&control), "good", 4))
		wrong("%s", control_text(&control));
	load_on(lun, im, number(w[3]), false);
	drain(0, 2);
	for (uint32_t i = 0; i < im->blocks; i++)
		open += taken.low.tags[i] != taken.high.tags[i];
	if (!open)
		wrong("nothing was in flight");
	return verdict("%" PRIu64 " writes, %u blocks on their way, %u unit attentions %s", answered, open, attentions,
		       attentions ? cdb_sense_text(last_attention) : "");
}

static unsigned photo_new;
static const struct image *reverted_to;

static void photo_done(struct client_op *io)
{
	struct op *op = (struct op *)io;

	op->busy = false;
	if (io->error)
		failed(io);
	for (uint32_t i = 0; i < op->count && !io->error; i++) {
		uint32_t place = op->first + i, tag = image_tag_of(op->data + i * IMAGE_BLOCK, place);

		if (tag < taken.low.tags[place] || tag > taken.high.tags[place])
			wrong("block %u: found tag %d, answered before the snapshot %u, sent before its answer %u",
			      place, (int)tag, taken.low.tags[place], taken.high.tags[place]);
		photo_new += tag != taken.low.tags[place];
	}
}

/* Writes to a block come one after the other: the last one is there, or it was answered before the revert. */
static void reverted_done(struct client_op *io)
{
	struct op *op = (struct op *)io;
	struct image *im = image_get(op->image->name);

	op->busy = false;
	if (io->error)
		failed(io);
	for (uint32_t i = 0; i < op->count && !io->error; i++) {
		uint32_t place = op->first + i, tag = image_tag_of(op->data + i * IMAGE_BLOCK, place);
		uint32_t last = im->tags[place], old = reverted_to->tags[place];

		if (!(tag == last && last > taken.low.tags[place]) && !(tag == old && last <= taken.high.tags[place]))
			wrong("block %u: found tag %d, written last %u, to be reverted to %u", place, (int)tag, last,
			      old);
		photo_new += tag == last;
		im->tags[place] = tag;
	}
}

/* Also `reverted`. */
static bool do_photo(int n, char **w)
{
	unsigned s = session(w[1]);
	int lun = (int)number(w[2]);

	reverted_to = n > 4 ? image_get(w[4]) : NULL;
	photo_new = 0;
	if (!cdb_ready(&sessions[s], lun))
		wrong("not ready");
	for (uint32_t at = 0; at < taken.low.blocks && !trouble[0]; at += OP_BLOCKS) {
		struct op *op = wait_op(s);

		if (!op)
			break;
		op->first = at;
		op->count = MIN(taken.low.blocks - at, OP_BLOCKS);
		op->image = reverted_to ? image_get(w[3]) : NULL;
		send_op(op, s, CMD_READ, lun, reverted_to ? reverted_done : photo_done);
	}
	drain(s, s + 1);
	return verdict("%u blocks, %u of what was written meanwhile", taken.low.blocks, photo_new);
}

/* ------------------------------------------------------------------ chains */
static bool do_order(int n, char **w)
{
	struct chains_run run = {.sessions = sessions, .nsessions = 4, .socket = socket_path, .request = w[6],
				 .control = &control, .pid = (pid_t)number(w[2])};
	const char *why;

	if (n > 6 && strcmp(w[1], "never"))
		run.kill = strcmp(w[1], "asked") ? CHAINS_KILL_ANSWERED : CHAINS_KILL_ASKED;
	for (unsigned i = 0; i < CHAIN_VOLUMES; i++) {
		run.luns[i] = (int)number(w[3 + i]);
		for (unsigned s = 0; s < run.nsessions; s++)
			if (!cdb_ready(&sessions[s], run.luns[i]))
				wrong("not ready");
	}
	why = trouble[0] ? trouble : chains_run(&run);
	if (why)
		wrong("%s", why);
	else if (run.kill != CHAINS_KILL_ASKED && strncmp(control_text(&control), "good", 4))
		wrong("%s", control_text(&control));
	return verdict("done");
}

static bool do_now(int n, char **w)
{
	(void)n;
	(void)w;
	chains_now();
	return say("good");
}

static bool do_prefix(int n, char **w)
{
	static uint8_t data[CHAIN_VOLUMES][CHAINS_BYTES];
	static const uint8_t *const volumes[CHAIN_VOLUMES] = {data[0], data[1], data[2]};
	unsigned s = session(w[1]);
	uint64_t found = 0;

	(void)n;
	for (unsigned v = 0; v < CHAIN_VOLUMES; v++) {
		int lun = (int)number(w[2 + v]);

		if (!cdb_ready(&sessions[s], lun))
			wrong("lun %d is not ready", lun);
		for (uint32_t at = 0; at < CHAINS_BYTES && !trouble[0]; at += sizeof(ops->data))
			if (!cdb_read(&sessions[s], lun, at / SECTOR, sizeof(ops->data) / SECTOR, data[v] + at))
				wrong("lun %d: read failed", lun);
	}
	if (!trouble[0]) {
		const char *why = chains_check(volumes, &found);

		if (why)
			wrong("%s", why);
	}
	return verdict("%" PRIu64 " writes", found);
}

/* ------------------------------------------------------------------ commands */
static const struct {
	const char *name;
	int least;			/* words, with the name */
	bool (*run)(int n, char **w);
} commands[] = {
	{"portal", 2, do_portal}, {"login", 3, do_login}, {"ready", 3, do_ready}, {"cdb", 4, do_cdb},
	{"ctl", 2, do_ctl}, {"image", 3, do_image}, {"same", 3, do_same}, {"write", 6, do_write},
	{"unmap", 6, do_unmap}, {"check", 4, do_check}, {"storm", 5, do_storm}, {"during", 5, do_during},
	{"load", 5, do_load}, {"photo", 3, do_photo}, {"reverted", 5, do_photo}, {"order", 7, do_order},
	{"now", 1, do_now}, {"prefix", 5, do_prefix},
};

static bool run_line(char *line)
{
	char *words[WORDS_MAX], *save = NULL;
	int n = 0;

	for (char *w = strtok_r(line, " \n", &save); w && n < WORDS_MAX; w = strtok_r(NULL, " \n", &save))
		words[n++] = w;
	for (size_t i = 0; n && i < ARRAY_LEN(commands); i++)
		if (!strcmp(words[0], commands[i].name) && n >= commands[i].least)
			return commands[i].run(n, words);
	return say("no such command");
}

int main(int argc, char **argv)
{
	char *line = NULL;
	size_t room = 0;

	if (argc != 5)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	snprintf(portal, sizeof(portal), "%s", argv[1]);
	target = argv[2];
	socket_path = argv[3];
	rng.s = client_number("SEED", argv[4], 0, UINT64_MAX);
	ops = calloc(OPS, sizeof(*ops));
	if (!ops)
		abort();
	while (getline(&line, &room, stdin) > 0)
		run_line(line);
	for (unsigned s = 0; s < SESSIONS; s++)
		client_close(&sessions[s]);
	return 0;
}
