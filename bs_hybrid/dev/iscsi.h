/* SPDX-License-Identifier: GPL-2.0-only */
/* iscsi.h - a remote LUN as a device: one LUN of an iSCSI target, over several sessions, by libiscsi.
 *
 * A lost connection is waited for and made again, and what was under way is sent again; nobody above notices but the
 * time. An I/O fails with -EIO when it waited longer than `patience_ns`; the device goes on trying, and works again
 * when the target comes back. It becomes failed for good (invariant 3 of dev.h) when an I/O that the target has got is
 * not answered for dev->timeout_ns, or when another LUN answers in place of the one that was opened.
 *
 * Flush: a target that restarted may have lost writes which it had acknowledged but not flushed. A flush which cannot
 * know better is answered with -EIO, once (iscsi_part.c has the story, C). It does know better, and nothing fails, when
 * - nothing was written since the last flush, or the LUN has no volatile cache (WCE=0);
 * - one session lived through the others' outage, however short: two portals on two networks make that likely;
 * - the new session is not greeted with a unit attention 29/00 to 29/04;
 * - or the caller knows that target (`outlives`).
 * Else a drop of all sessions with unflushed writes costs this one flush, although a target that only lost the network
 * has lost nothing: stock tgt gives every new I_T nexus 29/00, that of a session which is reinstated with its old
 * ISID too (it destroys the nexus, and creates one), so the attention says nothing there; and iSCSI and SCSI have no
 * name for a run of the target. What the owner makes of it: write-back keeps the blocks in the log and writes them
 * again; a checkpoint that is under way fails the pool, for its pages are clean in memory; so does the write tier's
 * flush, unless it is mirrored: then the half goes out, and is made good when the pool is opened the next time, or
 * replaced. So: WCE=0 at the target, or two networks, or a mirror.
 * Two ways to know, not taken. A registration by PERSISTENT RESERVE OUT with APTPL=0 outlives the loss of a nexus and
 * dies with the target's power (SPC-4, persistent reservations): its key, found again, would prove one run. But a
 * registrant is let through by others' reservations, so whoever fences us off by preempting the key would be undone by
 * the next login; and where the target saves registrations (for another initiator's APTPL=1) the proof is false. Or
 * the bytes of unflushed writes are kept here, up to some MiB, and written again before the flush: right for every
 * target, one that did restart included. That costs a copy of every write, and an order between what is repeated and
 * what is under way that story A has to be told anew for.
 *
 * Precondition: no two writes or discards in flight overlap, nor does a read with one of them.
 */
#ifndef HB_DEV_ISCSI_H
#define HB_DEV_ISCSI_H

#include "dev/dev.h"

#define DEV_ISCSI_CONNECTIONS 2		/* default */
#define DEV_ISCSI_CONNECTIONS_MAX 8
#define DEV_ISCSI_PORTALS_MAX 8
#define DEV_ISCSI_PATIENCE_NS (25ull * 1000000000ull)	/* default: below the 30 s after which initiators give up */
#define DEV_ISCSI_IDENTITY_MAX 256

/* Borrowed for the call alone: strings are copied, secrets wiped from memory at close. No text that comes out of the
 * device (errors, log lines) has a secret in it. */
struct dev_iscsi_how {
	/* "host:port", "[ipv6]:port"; without a port 3260. All of one target portal group: they are tried in turn, and
	 * a session made anew through another portal must end the old one (RFC 7143, 6.3.5). NULL ends the list. */
	const char *portals[DEV_ISCSI_PORTALS_MAX];
	const char *target;		/* the target's iqn */
	const char *initiator;		/* our iqn */
	unsigned lun;			/* 0..16383 */
	unsigned connections;		/* sessions, 1..DEV_ISCSI_CONNECTIONS_MAX; 0: the default */
	/* CHAP (RFC 7143, 12.1). NULL: none. The secret needs a user; the target's need ours. */
	const char *user, *secret;
	const char *target_user, *target_secret;
	bool header_digest;		/* CRC32C over headers: required of the target */
	bool read_only;
	/* What the target has acknowledged outlives its process, as with our own store: a flush after an outage counts
	 * without a proof that it was one run. */
	bool outlives;
	uint64_t patience_ns;		/* 0: the default */
	uint64_t open_ns;		/* longest wait of dev_iscsi_open() for the target; 0: 20 s */
	const char *expect;		/* identity it must have (dev_iscsi_identity()); NULL: any */
	/* Told once per outage and its end, and why it failed. May be NULL. Never called after close. */
	void (*log)(void *ctx, const char *text);
	void *log_ctx;
};

/* Logs in, and looks at the LUN: a disk, ready, of blocks of 512 or 4096 bytes. Waits for that, in a bounded time
 * (names are resolved first, which the resolver bounds). Makes SIGPIPE ignored if its action was the default.
 * -EINVAL `how` makes no sense; -EACCES login refused; -ENXIO no such target or LUN; -ETIMEDOUT, -ECONNREFUSED and
 * such: not reached; -EXDEV another LUN than expected; -EROFS write-protected; -EOPNOTSUPP no such disk as we want. */
int dev_iscsi_open(const struct dev_iscsi_how *how, struct dev **ret, struct err *err);
/* Which LUN this is: "naa.6001405...", "eui.0025...", "t10.IET 00010001", with " serial ..." where it has one. Stays
 * the same through restarts of a decent target. Owner: the device. */
const char *dev_iscsi_identity(const struct dev *dev);
/* What is the matter now, or "" while all is well. Owner: the device; changes in dev_drain() only. */
const char *dev_iscsi_trouble(const struct dev *dev);

#endif
