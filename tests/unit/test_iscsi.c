/* SPDX-License-Identifier: GPL-2.0-only */
/* test_iscsi.c - the remote LUN against a private stock tgtd: opening, I/O against a model, CHAP, what is refused. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "dev/iscsi.h"
#include "dev_rig.h"
#include "suites.h"
#include "target_rig.h"

#define USER "hybrid"
#define SECRET "quite-secret-1"
#define TARGET_USER "target"
#define TARGET_SECRET "as-secret-as-2"
#define THIN "thin_provisioning=1"

static int try_open(const struct dev_iscsi_how *how, struct dev **ret, struct err *err)
{
	*err = ERR_INIT;
	*ret = NULL;
	return dev_iscsi_open(how, ret, err);
}

static void must_open(struct rig *r, const struct dev_iscsi_how *how)
{
	struct err err;

	rig_init(r);
	if (try_open(how, &r->dev, &err) < 0)
		printf("\n%s\n", err.text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r->dev);
}

/* It fails with that code, and the text has those words, and no secret. */
static void must_refuse(const struct dev_iscsi_how *how, int code, const char *words)
{
	struct dev *dev;
	struct err err;
	int r = try_open(how, &dev, &err);

	if (r != code || !strstr(err.text, words))
		printf("\n%d \"%s\", expected %d \"%s\"\n", r, err.text, code, words);
	CU_ASSERT_EQUAL(r, code);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, words));
	CU_ASSERT(!strstr(err.text, SECRET) && !strstr(err.text, TARGET_SECRET));
	dev_close(dev);
}

static void random_io(const char *lun_options, unsigned connections, bool digest, uint32_t unit)
{
	struct dev_iscsi_how how;
	struct target t;
	struct rig r;

	if (!target_there())
		return;
	target_begin(&t, SIZE_BYTES, lun_options, THIN);
	how = target_how(&t);
	how.connections = connections;
	how.header_digest = digest;
	must_open(&r, &how);
	CU_ASSERT_EQUAL(r.dev->geom.size_bytes, SIZE_BYTES);
	CU_ASSERT_EQUAL(r.dev->geom.logical_bytes, unit);
	CU_ASSERT_NOT_EQUAL(r.dev->geom.discard_bytes, 0);
	rig_random_io(&r, 150);
	CU_ASSERT_EQUAL(r.dev->orphans, 0);
	CU_ASSERT_STRING_EQUAL(dev_iscsi_trouble(r.dev), "");
	rig_free(&r);
	target_end(&t);
}

static void test_random_512(void)
{
	random_io("", 0, false, 512);
}

static void test_random_4096(void)
{
	random_io("--blocksize 4096", 1, false, 4096);
}

static void test_random_four_digests(void)
{
	random_io("", 4, true, 512);
}

static void test_edge_events(void)
{
	struct dev_iscsi_how how;
	struct target t;
	struct rig r;

	if (!target_there())
		return;
	target_begin(&t, SIZE_BYTES, "", THIN);
	how = target_how(&t);
	must_open(&r, &how);
	r.dev->edge_events = true;
	rig_random_io(&r, 100);
	rig_free(&r);
	target_end(&t);
}

/* ------------------------------------------------------------------ one I/O of many commands */

enum { BIG_PARTS = DEV_IOV_MAX, BIG_ODD = 129 * 512 };

static void big_done(struct dev_io *io)
{
	*(int *)io->owner += 1;
}

static void test_large_iovec(void)
{
	uint64_t len = (uint64_t)BIG_PARTS * BIG_ODD;
	unsigned char *out = malloc(len), *in = malloc(len);
	struct iovec iov[BIG_PARTS];
	struct dev_iscsi_how how;
	struct dev_io io;
	struct target t;
	struct rig r;
	int done = 0;

	if (!target_there())
		goto out;
	target_begin(&t, MIB(32), "", NULL);
	how = target_how(&t);
	how.connections = 3;
	must_open(&r, &how);
	for (uint64_t i = 0; i < len; i++) {
		out[i] = (unsigned char)(i * 7 + i / 512);
		in[i] = 0;
	}
	for (int pass = 0; pass < 2; pass++) {
		for (int i = 0; i < BIG_PARTS; i++)
			iov[i] = (struct iovec){ (pass ? in : out) + (uint64_t)i * BIG_ODD, BIG_ODD };
		io = (struct dev_io){ .op = pass ? DEV_READ : DEV_WRITE, .off_bytes = 512, .len_bytes = len, .iov = iov,
				      .niov = BIG_PARTS, .done = big_done, .owner = &done };
		dev_queue(r.dev, &io);
		CU_ASSERT_EQUAL(done, pass);
		rig_settle(&r);
		CU_ASSERT(done == pass + 1 && io.error == 0);
	}
	CU_ASSERT_EQUAL(memcmp(in, out, len), 0);
	CU_ASSERT_EQUAL(r.dev->stats.bytes[DEV_READ], len);
	rig_assert_silent(&r);
	rig_free(&r);
	target_end(&t);
out:
	free(in);
	free(out);
}

static void test_queue_full(void)
{
	enum { N = 700 };
	struct tio *many = calloc(N, sizeof(*many));
	unsigned char *buf = mem_alloc_aligned(BLK_BYTES);
	struct dev_iscsi_how how;
	struct target t;
	struct rig r;

	if (!target_there())
		goto out;
	target_begin(&t, SIZE_BYTES, "", NULL);
	how = target_how(&t);
	must_open(&r, &how);
	memset(buf, 7, BLK_BYTES);
	for (int i = 0; i < N; i++) {
		many[i].rig = &r;
		many[i].buf = buf;
		rig_start(&r, &many[i], DEV_WRITE, (uint64_t)i * BLK_BYTES, BLK_BYTES, 1);
	}
	CU_ASSERT_EQUAL(r.dev->inflight, N);
	dev_kick(r.dev);
	CU_ASSERT_EQUAL(r.done, 0);		/* never from kick */
	rig_settle(&r);
	for (int i = 0; i < N; i++)
		CU_ASSERT(many[i].dones == 1 && many[i].io.error == 0);
	rig_free(&r);
	target_end(&t);
out:
	mem_free(buf);
	free(many);
}

/* ------------------------------------------------------------------ refusals */

static void test_refused_io(void)
{
	struct dev_iscsi_how how;
	struct target t;
	struct rig r;

	if (!target_there())
		return;
	target_begin(&t, SIZE_BYTES, "", NULL);
	how = target_how(&t);
	how.read_only = true;
	must_open(&r, &how);
	CU_ASSERT_EQUAL(r.dev->geom.discard_bytes, 0);
	rig_start(&r, &r.ios[0], DEV_READ, SIZE_BYTES, BLK_BYTES, 1);
	rig_start(&r, &r.ios[1], DEV_READ, UINT64_MAX - BLK_BYTES + 1, BLK_BYTES, 1);
	rig_start(&r, &r.ios[2], DEV_WRITE, 0, BLK_BYTES, 1);
	rig_start(&r, &r.ios[3], DEV_DISCARD, 0, BLK_BYTES, 1);
	rig_start(&r, &r.ios[4], DEV_FLUSH, 0, 0, 1);
	rig_start(&r, &r.ios[5], DEV_READ, SIZE_BYTES - BLK_BYTES, BLK_BYTES, 1);
	CU_ASSERT_EQUAL(r.done, 0);
	rig_settle(&r);
	CU_ASSERT_EQUAL(r.ios[0].io.error, -EINVAL);
	CU_ASSERT_EQUAL(r.ios[1].io.error, -EINVAL);
	CU_ASSERT_EQUAL(r.ios[2].io.error, -EROFS);
	CU_ASSERT_EQUAL(r.ios[3].io.error, -EROFS);
	CU_ASSERT_EQUAL(r.ios[4].io.error, 0);
	CU_ASSERT_EQUAL(r.ios[5].io.error, 0);
	rig_assert_silent(&r);
	CU_ASSERT_EQUAL(dev_rescan(r.dev), 0);
	CU_ASSERT_EQUAL(r.dev->geom.size_bytes, SIZE_BYTES);
	rig_free(&r);
	target_end(&t);
}

static void test_bad_how(void)
{
	struct dev_iscsi_how good = { .portals = { "127.0.0.1:1" }, .target = TARGET_IQN,
				      .initiator = TARGET_INITIATOR };
	struct dev_iscsi_how how = good;

	how.portals[0] = NULL;
	must_refuse(&how, -EINVAL, "no portal");
	how = good, how.target = "";
	must_refuse(&how, -EINVAL, "target's name");
	how = good, how.initiator = "two words";
	must_refuse(&how, -EINVAL, "initiator's name");
	how = good, how.lun = 20000;
	must_refuse(&how, -EINVAL, "LUN 20000");
	how = good, how.connections = 9;
	must_refuse(&how, -EINVAL, "9 connections");
	how = good, how.user = USER;
	must_refuse(&how, -EINVAL, "CHAP");
	how = good, how.target_user = USER, how.target_secret = SECRET;
	must_refuse(&how, -EINVAL, "needs ours");
	how = good, how.portals[0] = ":3260";
	must_refuse(&how, -EINVAL, "expected \"host:port\"");
	how = good, how.open_ns = SEC_NS;
	must_refuse(&how, -ECONNREFUSED, "127.0.0.1:1: Connection refused");
}

static void test_wrong_place(void)
{
	struct dev_iscsi_how how;
	struct target t;
	struct rig r;

	if (!target_there())
		return;
	target_begin(&t, SIZE_BYTES, "", NULL);
	how = target_how(&t);
	how.target = TARGET_IQN "x";
	must_refuse(&how, -ENXIO, "not found");
	how = target_how(&t);
	how.lun = 3;
	must_refuse(&how, -ENXIO, "no such LUN");
	how.lun = 0;				/* tgt's controller */
	must_refuse(&how, -EOPNOTSUPP, "no disk");
	how = target_how(&t);
	how.expect = "naa.1";
	must_refuse(&how, -EXDEV, "expected naa.1");
	how.expect = NULL;
	how.portals[0] = "127.0.0.1:1";
	how.portals[1] = t.portal;		/* this one answers */
	must_open(&r, &how);
	CU_ASSERT(strstr(dev_iscsi_identity(r.dev), "serial") && strlen(dev_iscsi_identity(r.dev)) > 12);
	dev_close(r.dev);
	r.dev = NULL;
	rig_free(&r);
	target_end(&t);
}

static void test_write_protected(void)
{
	struct dev_iscsi_how how;
	struct target t;
	struct rig r;

	if (!target_there())
		return;
	target_begin(&t, SIZE_BYTES, "", "readonly=1");
	how = target_how(&t);
	must_refuse(&how, -EROFS, "write-protected");
	how.read_only = true;
	must_open(&r, &how);
	rig_free(&r);
	target_end(&t);
}

/* ------------------------------------------------------------------ CHAP */

static void test_chap(void)
{
	struct dev_iscsi_how how;
	struct target t;
	struct rig r;

	if (!target_there())
		return;
	target_begin(&t, SIZE_BYTES, "", NULL);
	how = target_how(&t);
	how.user = USER;
	how.secret = SECRET;
	how.target_user = TARGET_USER;
	how.target_secret = TARGET_SECRET;
	must_refuse(&how, -EACCES, "");		/* a target that does not authenticate itself is not trusted */
	CU_ASSERT_TRUE(target_adm(&t, "--op new --mode account --user " USER " --password " SECRET));
	CU_ASSERT_TRUE(target_adm(&t, "--op bind --mode account --tid 1 --user " USER));
	must_refuse(&how, -EACCES, "");
	how.target_user = how.target_secret = NULL;
	must_open(&r, &how);
	rig_random_io(&r, 20);
	rig_free(&r);
	how.secret = SECRET "x";
	must_refuse(&how, -EACCES, "uthentication");
	how.user = how.secret = NULL;
	must_refuse(&how, -EACCES, "");
	CU_ASSERT_TRUE(target_adm(&t, "--op new --mode account --user " TARGET_USER " --password " TARGET_SECRET));
	CU_ASSERT_TRUE(target_adm(&t, "--op bind --mode account --tid 1 --user " TARGET_USER " --outgoing"));
	how.user = USER;
	how.secret = SECRET;
	how.target_user = TARGET_USER;
	how.target_secret = TARGET_SECRET;
	must_open(&r, &how);
	rig_start(&r, &r.ios[0], DEV_WRITE, 0, BLK_BYTES, 1);
	rig_settle(&r);
	CU_ASSERT_EQUAL(r.ios[0].io.error, 0);
	rig_free(&r);
	how.target_secret = TARGET_SECRET "x";
	must_refuse(&how, -EACCES, "");
	target_end(&t);
}

static CU_TestInfo iscsi_tests[] = {
	{ "random_512", test_random_512 },
	{ "random_4096", test_random_4096 },
	{ "random_four_digests", test_random_four_digests },
	{ "edge_events", test_edge_events },
	{ "large_iovec", test_large_iovec },
	{ "queue_full", test_queue_full },
	{ "refused_io", test_refused_io },
	{ "bad_how", test_bad_how },
	{ "wrong_place", test_wrong_place },
	{ "write_protected", test_write_protected },
	{ "chap", test_chap },
	CU_TEST_INFO_NULL,
};

const struct hb_suite suite_iscsi = { "iscsi", iscsi_tests };
