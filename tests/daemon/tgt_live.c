/* SPDX-License-Identifier: GPL-2.0-only */
/* tgt_live.c - box/tgt.h against a real tgtd with our module: what is made can be logged in to by whom it was made for,
 * and by nobody else; half-made targets are completed; hand-made ones are left alone.
 *
 *   tgt_live SOCKET PORTAL CONF POOL   (tests/daemon/tgtd starts it; volumes v0 and v1 are there)
 *   tgt_live SOCKET PORTAL CONF POOL speed N
 */
#include <errno.h>
#include <inttypes.h>
#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/rng.h"
#include "box/sock.h"
#include "box/tgt_priv.h"

#define PREFIX "iqn.2026-01.org.hybrid.box:"
#define HOST "iqn.2026-01.example:host1"
#define OTHER "iqn.2026-01.example:host2"
#define SECRET "comma,and=some:%s{}|~!\"'#\\" /* 26 bytes of what a secret may hold */
#define BACK "another-secret-1"

/* libiscsi forgets the task of a synchronous command whose connection ends. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libiscsi.so";
}

static unsigned passed, failed;
static const char *portal, *conf, *pool;
static char stores[2][128];
static struct tgt *t;
static struct err err;

static void check(bool ok, const char *what)
{
	passed += ok;
	failed += !ok;
	printf("%s  %s%s%s\n", ok ? "ok    " : "FAILED", what, !ok && err.code ? ": " : "", !ok ? err.text : "");
	err = ERR_INIT;
}

/* ------------------------------------------------------------------ logging in */
struct who {
	const char *name, *user, *secret, *back_user, *back_secret, *alias;
};

static const struct who right = {HOST, "att-1", SECRET, "tgt-1", BACK, NULL};

static struct iscsi_context *try_login(const char *iqn, const struct who *who)
{
	struct iscsi_context *c = iscsi_create_context(who->name);

	iscsi_set_targetname(c, iqn);
	iscsi_set_session_type(c, ISCSI_SESSION_NORMAL);
	iscsi_set_noautoreconnect(c, 1);
	iscsi_set_timeout(c, 10);
	if (who->alias)
		iscsi_set_alias(c, who->alias);
	if (who->user)
		iscsi_set_initiator_username_pwd(c, who->user, who->secret);
	if (who->back_user)
		iscsi_set_target_username_pwd(c, who->back_user, who->back_secret);
	if (iscsi_connect_sync(c, portal) == 0 && iscsi_login_sync(c) == 0)
		return c;
	iscsi_destroy_context(c);
	return NULL;
}

static void log_out(struct iscsi_context *c)
{
	if (!c)
		return;
	iscsi_logout_sync(c);
	iscsi_destroy_context(c);
}

static bool may_in(const char *iqn, const struct who *who)
{
	struct iscsi_context *c = try_login(iqn, who);

	log_out(c);
	return c != NULL;
}

/* The disk answers through this session; unit attentions are taken first. */
static bool works(struct iscsi_context *c)
{
	for (int i = 0; c && i < 5; i++) {
		struct scsi_task *task = iscsi_readcapacity16_sync(c, 1);
		bool good = task && task->status == SCSI_STATUS_GOOD;

		if (task)
			scsi_free_scsi_task(task);
		if (good)
			return true;
	}
	return false;
}

static bool inquiry_has(struct iscsi_context *c, const char *vendor, const char *product, const char *serial)
{
	struct scsi_task *std = iscsi_inquiry_sync(c, 1, 0, 0, 255), *sn = iscsi_inquiry_sync(c, 1, 1, 0x80, 255);
	struct scsi_inquiry_standard *inq = std ? scsi_datain_unmarshall(std) : NULL;
	struct scsi_inquiry_unit_serial_number *usn = sn ? scsi_datain_unmarshall(sn) : NULL;
	bool ok = inq && usn && !strncmp(inq->vendor_identification, vendor, strlen(vendor)) &&
		  !strncmp(inq->product_identification, product, strlen(product)) && strstr(usn->usn, serial);

	if (std)
		scsi_free_scsi_task(std);
	if (sn)
		scsi_free_scsi_task(sn);
	return ok;
}

/* ------------------------------------------------------------------ targets */
static struct tgt_target target(const char *iqn, const char *const *initiators, unsigned n,
				const struct tgt_account *accounts, unsigned naccounts)
{
	return (struct tgt_target){.iqn = iqn,
				   .store = stores[0],
				   .conf = conf,
				   .serial = "vol01234567890abcdef",
				   .product = "gp3",
				   .initiators = initiators,
				   .ninitiators = n,
				   .accounts = accounts,
				   .naccounts = naccounts};
}

static const char *const just_host[] = {HOST};
static const char *const both_hosts[] = {OTHER, HOST};
static const struct tgt_account pair[] = {{"att-1", SECRET, false}, {"tgt-1", BACK, true}};
static const struct tgt_account three[] = {
	{"att-2", "secret-of-host-2", false}, {"att-1", SECRET, false}, {"tgt-1", BACK, true}};

static const json_t *entry(json_t *show, const char *iqn)
{
	return json_object_get(show, iqn);
}

static bool ensure(const struct tgt_target *want)
{
	return tgt_ensure(t, want, &err) == 0;
}

static bool is_as(const char *iqn, unsigned initiators, unsigned accounts, unsigned sessions)
{
	json_t *show = tgt_show(t, PREFIX, &err);
	const json_t *e = entry(show, iqn);
	bool ok = e && json_array_size(json_object_get(e, "initiators")) == initiators &&
		  json_array_size(json_object_get(e, "accounts")) == accounts &&
		  json_array_size(json_object_get(e, "sessions")) == sessions &&
		  !strcmp(json_string_value(json_object_get(e, "store")), stores[0]) &&
		  json_is_true(json_object_get(e, "online"));

	if (!ok) {
		char *text = json_dumps(show ? show : json_null(), JSON_INDENT(1));

		printf("%s\n", text);
		free(text);
	}
	json_decref(show);
	return ok;
}

static void test_login(const char *iqn)
{
	const struct who wrong_secret = {HOST, "att-1", "not-the-secret-at-all", "tgt-1", BACK, NULL};
	const struct who wrong_back = {HOST, "att-1", SECRET, "tgt-1", "not-the-secret-at-all", NULL};
	const struct who wrong_name = {OTHER, "att-1", SECRET, "tgt-1", BACK, NULL};
	const struct who no_chap = {HOST, NULL, NULL, NULL, NULL, NULL};
	struct tgt_target want = target(iqn, just_host, 1, pair, 2);
	struct iscsi_context *c;

	check(ensure(&want), "a target is made");
	check(is_as(iqn, 1, 1, 0), "it is shown with one initiator and one account");
	check(ensure(&want) && is_as(iqn, 1, 1, 0), "making it again changes nothing");
	c = try_login(iqn, &right);
	check(c != NULL, "login with CHAP both ways");
	check(works(c), "the disk answers");
	check(c && inquiry_has(c, "HYBRID", "gp3", "vol01234567890abcdef"), "vendor, product and serial number");
	check(is_as(iqn, 1, 1, 1), "the session is shown");
	log_out(c);
	check(!may_in(iqn, &wrong_secret), "no login with a wrong secret");
	check(!may_in(iqn, &wrong_back), "no login where the target's secret is another");
	check(!may_in(iqn, &wrong_name), "no login from another initiator");
	check(!may_in(iqn, &no_chap), "no login without CHAP");
}

static void test_update(const char *iqn)
{
	const struct who second = {OTHER, "att-2", "secret-of-host-2", "tgt-1", BACK, NULL};
	const struct who second_new = {OTHER, "att-2", "a-new-secret-now", "tgt-1", BACK, NULL};
	struct tgt_account changed[3];
	struct tgt_target want;
	struct iscsi_context *c = try_login(iqn, &right);

	check(works(c), "a session to be left alone");
	want = target(iqn, both_hosts, 2, three, 3);
	check(ensure(&want) && is_as(iqn, 2, 2, 1), "another initiator and account");
	check(may_in(iqn, &second), "that one may log in");
	memcpy(changed, three, sizeof(three));
	changed[0].secret = "a-new-secret-now";
	want.accounts = changed;
	check(ensure(&want) && is_as(iqn, 2, 2, 1), "its secret is changed");
	check(!may_in(iqn, &second), "the old secret is worth nothing");
	check(may_in(iqn, &second_new), "the new one is");
	changed[1].user = "att-3";
	check(ensure(&want) && is_as(iqn, 2, 2, 1), "the first account is exchanged for another");
	want = target(iqn, just_host, 1, pair, 2);
	want.read_only = true;
	check(ensure(&want) && is_as(iqn, 1, 1, 1), "back to one initiator, read-only");
	check(!may_in(iqn, &second_new), "the other may not log in any more");
	check(works(c), "the session has seen nothing of it");
	want.read_only = false;
	check(ensure(&want), "writable again");
	want.store = stores[1];
	check(!ensure(&want) && err.code == -EBUSY, "another disk under a live session is refused");
	check(tgt_remove(t, iqn, false, &err) == -EBUSY, "removal is refused while somebody is logged in");
	check(works(c) && is_as(iqn, 1, 1, 1), "and changes nothing");
	check(tgt_remove(t, iqn, true, &err) == 0, "removal by force");
	check(!works(c), "the session is gone");
	if (c)
		iscsi_destroy_context(c);
	check(tgt_remove(t, iqn, true, &err) == 0, "removal of what is not there");
	check(tgt_sweep(t, "att-", &err) == 0 && tgt_sweep(t, "tgt-", &err) == 0, "no account is left");
	want = target(iqn, just_host, 1, pair, 2);
	check(ensure(&want) && may_in(iqn, &right), "made again");
	want.store = stores[1];
	check(ensure(&want), "with another disk, nobody being logged in");
	check(tgt_remove(t, iqn, false, &err) == 0, "removal without force");
}

/* ------------------------------------------------------------------ half-made ones */
static int raw(struct tgt_req req, const char *params)
{
	int rc = tgt_ask(t, &req, TGT_REQUEST_MS, NULL, &err, "%s", params);

	return rc;
}

/* The first n steps of another program that dies after them. */
static void half(int n, int tid, const char *iqn)
{
	char name[256], lun[512];
	struct {
		struct tgt_req req;
		const char *params;
	} steps[] = {
		{{.mode = TGT_OF_TARGET, .op = TGT_NEW, .tid = tid}, name},
		{{.mode = TGT_OF_TARGET, .op = TGT_UPDATE, .tid = tid}, "InitialR2T=No"},
		{{.mode = TGT_OF_LUN, .op = TGT_NEW, .tid = tid, .lun = 1}, lun},
		{{.mode = TGT_OF_ACCOUNT, .op = TGT_NEW}, "user=att-1,password=from-another-life"},
		{{.mode = TGT_OF_ACCOUNT, .op = TGT_BIND, .tid = tid}, "user=att-1"},
		{{.mode = TGT_OF_ACCOUNT, .op = TGT_NEW}, "user=tgt-1,password=from-another-life"},
		{{.mode = TGT_OF_ACCOUNT, .op = TGT_BIND, .tid = tid, .direction = 1}, "user=tgt-1"},
		{{.mode = TGT_OF_TARGET, .op = TGT_BIND, .tid = tid}, "initiator-name=" OTHER},
		{{.mode = TGT_OF_ACCOUNT, .op = TGT_NEW}, "user=att-9,password=from-another-life"},
		{{.mode = TGT_OF_ACCOUNT, .op = TGT_BIND, .tid = tid}, "user=att-9"},
		{{.mode = TGT_OF_TARGET, .op = TGT_BIND, .tid = tid}, "initiator-address=127.0.0.1"},
	};

	snprintf(name, sizeof(name), "targetname=%s", iqn);
	snprintf(lun, sizeof(lun), "path=%s,bstype=hybrid,bsopts=conf=%s", stores[n % 2], conf);
	for (int i = 0; i < n; i++)
		if (raw(steps[i].req, steps[i].params))
			check(false, steps[i].params);
}

static void test_half(void)
{
	const struct who other = {OTHER, "att-1", SECRET, "tgt-1", BACK, NULL};
	char what[64];

	for (int n = 0; n <= 11; n++) {
		struct tgt_target want = target(PREFIX "half", just_host, 1, pair, 2);
		struct tgt *former = t;

		snprintf(what, sizeof(what), "completed after %d steps", n);
		half(n, 77, want.iqn);
		/* Another life of ours: what was told is forgotten. */
		tgt_new(former->path, &t, &err);
		check(ensure(&want) && is_as(want.iqn, 1, 1, 0) && may_in(want.iqn, &right) &&
			      !may_in(want.iqn, &other),
		      what);
		check(tgt_remove(t, want.iqn, false, &err) == 0, "and removed");
		tgt_sweep(t, "att-9", &err); /* of a prefix that ends before it is bound */
		tgt_free(former);
	}
	/* Removals that died. */
	raw((struct tgt_req){.mode = TGT_OF_ACCOUNT, .op = TGT_NEW}, "user=att-7,password=from-another-life");
	raw((struct tgt_req){.mode = TGT_OF_ACCOUNT, .op = TGT_NEW}, "user=hand-7,password=from-another-life");
	check(tgt_sweep(t, "att-", &err) == 1, "an account that nobody has is swept away");
	check(tgt_sweep(t, "hand-7", &err) == 1, "another prefix is not");
}

/* Makes, changes and removes until it is killed. */
static void churn(const char *iqn)
{
	const char *path = t->path;

	for (unsigned i = 0;; i++) {
		struct tgt_target want = i % 2 ? target(iqn, just_host, 1, pair, 2)
					       : target(iqn, both_hosts, 2, three, 3);

		tgt_new(path, &t, &err); /* knows of no secret */
		err = ERR_INIT;
		if (tgt_ensure(t, &want, &err) || (i % 5 == 4 && tgt_remove(t, iqn, true, &err)))
			_exit(1);
	}
}

/* Killed at any moment: what it leaves harms nobody, and is completed. */
static void test_killed(unsigned rounds)
{
	struct tgt_target want = target(PREFIX "killed", just_host, 1, pair, 2);
	struct rng rng = {.s = (uint64_t)getpid()};
	unsigned bad = 0;

	for (unsigned i = 0; i < rounds && !bad; i++) {
		struct tgt *former = t;
		int status = 0;
		pid_t pid = fork();

		if (pid == 0)
			churn(want.iqn);
		usleep((unsigned)rng_below(&rng, 30000));
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		tgt_new(former->path, &t, &err);
		tgt_free(former);
		bad += !WIFSIGNALED(status) || !ensure(&want) || !is_as(want.iqn, 1, 1, 0) || !may_in(want.iqn, &right);
	}
	check(!bad, "killed at any moment, and completed");
	check(tgt_remove(t, want.iqn, true, &err) == 0, "and removed");
	tgt_sweep(t, "att-", &err);
	tgt_sweep(t, "tgt-", &err);
}

static void test_errors(void)
{
	struct tgt_target want = target(PREFIX "errors", just_host, 1, pair, 2);
	struct tgt_target second = target(PREFIX "second", just_host, 1, pair, 2);
	char store[160];

	snprintf(store, sizeof(store), "%s/no-such-volume", pool);
	want.store = store;
	check(!ensure(&want) && err.code == -ENOENT, "a volume that is not there");
	want.store = stores[0];
	check(ensure(&want), "completed when it is");
	second.store = stores[1];
	check(!ensure(&second) && err.code == -EEXIST, "accounts of another target are left to it");
	check(may_in(want.iqn, &right), "they still work there");
	check(tgt_remove(t, second.iqn, false, &err) == 0 && may_in(want.iqn, &right), "also when the second one goes");
	check(tgt_remove(t, want.iqn, false, &err) == 0, "removed");
	want.iqn = PREFIX "un_der";
	check(!ensure(&want) && err.code == -EINVAL, "a name that tgtd would refuse");
}

/* An initiator that tells lies about itself. */
static void test_liar(void)
{
	const struct who simple = {HOST,
				   "att-1",
				   SECRET,
				   "tgt-1",
				   BACK,
				   "x\n            Connection: 0\n                IP Address: 192.0.2.9\n"
				   "        I_T nexus: 4711\n            Initiator: iqn.2026-01.evil:x alias: y"};
	const struct who worse = {HOST, "att-1", SECRET,
				  "tgt-1", BACK, "x\nTarget 5: " PREFIX "zz\n    System information:"};
	struct tgt_target a = target(PREFIX "liar", just_host, 1, pair, 2);
	struct tgt_target b = target(PREFIX "zz", just_host, 1, NULL, 0);
	struct iscsi_context *c;
	json_t *show;

	b.store = stores[1];
	check(ensure(&a) && ensure(&b), "two targets");
	c = try_login(a.iqn, &simple);
	check(c && is_as(a.iqn, 1, 1, 1), "a session that is invented is not shown");
	log_out(c);
	c = try_login(a.iqn, &worse);
	show = tgt_show(t, PREFIX, &err);
	check(c && show && json_object_get(entry(show, a.iqn), "damaged"), "lines that are invented damage its target");
	check(show && !strcmp(json_string_value(json_object_get(entry(show, b.iqn), "store")), stores[1]),
	      "and no other one");
	json_decref(show);
	check(!ensure(&a) && err.code == -EBADMSG, "it cannot be changed");
	check(tgt_remove(t, a.iqn, false, &err) == -EBUSY, "nor removed");
	check(tgt_remove(t, a.iqn, true, &err) == 0, "but by force");
	if (c)
		iscsi_destroy_context(c);
	check(tgt_remove(t, b.iqn, true, &err) == 0, "the other as well");
	tgt_sweep(t, "att-", &err);
	tgt_sweep(t, "tgt-", &err);
}

/* ------------------------------------------------------------------ how fast */
static void test_speed(unsigned n)
{
	uint64_t begin = sock_now_ms(), ms;
	json_t *show;

	for (int round = 0; round < 3; round++) {
		begin = sock_now_ms();
		for (unsigned i = 0; i < n && !err.code; i++) {
			char iqn[128], user[64], back[64];
			struct tgt_account accounts[2] = {{user, SECRET, false}, {back, BACK, true}};
			struct tgt_target want = target(iqn, just_host, 1, accounts, 2);

			snprintf(iqn, sizeof(iqn), PREFIX "vol-%017u", i);
			snprintf(user, sizeof(user), "att-%u", i);
			snprintf(back, sizeof(back), "tgt-%u", i);
			if (round < 2)
				tgt_ensure(t, &want, &err);
			else
				tgt_remove(t, iqn, false, &err);
		}
		ms = sock_now_ms() - begin;
		printf("%s %u targets: %" PRIu64 " ms, %.0f a second\n",
		       round == 0   ? "make"
		       : round == 1 ? "look over"
				    : "remove",
		       n, ms, 1000.0 * n / (double)(ms + !ms));
		if (round == 2)
			continue;
		begin = sock_now_ms();
		show = tgt_show(t, NULL, &err);
		printf("show %zu targets: %" PRIu64 " ms\n", json_object_size(show), sock_now_ms() - begin);
		json_decref(show);
	}
	check(!err.code, "all of it");
}

int main(int argc, char **argv)
{
	const char *iqn = PREFIX "vol-0123456789abcdef0";

	if (argc < 5 || tgt_new(argv[1], &t, &err)) {
		fprintf(stderr, "usage: %s SOCKET PORTAL CONF POOL [speed N]\n", argv[0]);
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	portal = argv[2], conf = argv[3], pool = argv[4];
	for (int i = 0; i < 2; i++)
		snprintf(stores[i], sizeof(stores[i]), "%s/v%d", pool, i);
	if (argc == 7) {
		test_speed((unsigned)strtoul(argv[6], NULL, 10));
	} else {
		struct tgt_req hand = {.mode = TGT_OF_TARGET, .op = TGT_NEW, .tid = 1};
		json_t *before, *after;

		raw(hand, "targetname=iqn.2026-01.example:by-hand");
		hand.op = TGT_BIND;
		raw(hand, "initiator-address=ALL");
		before = tgt_show(t, "iqn.2026-01.example", &err);
		test_login(iqn);
		test_update(iqn);
		test_half();
		test_killed(100);
		test_errors();
		test_liar();
		after = tgt_show(t, NULL, &err);
		check(json_object_size(before) == 1 && json_equal(before, after),
		      "a target that was made by hand is as it was");
		json_decref(before);
		json_decref(after);
	}
	tgt_free(t);
	printf("%u passed, %u failed\n", passed, failed);
	return failed || !passed;
}
