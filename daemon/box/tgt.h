/* SPDX-License-Identifier: GPL-2.0-only */
/* tgt.h - tgtd's management socket: targets, disks, accounts, who may log in. Thread-safe: one request at a time.
 *
 * Facts about the protocol: tgt's usr/tgtadm.h, usr/mgmt.c, usr/target.c, usr/iscsi/ of 1.0.85 (a request is a fixed
 * struct and a string of comma-separated "key=value"; the answer a length and text). No secret is ever in an argv;
 * while somebody has switched tgtd's debug messages on, they are in its log.
 *
 * What the protocol can carry: a parameter ends at a comma, but for an initiator's name or address and a secret, which
 * are the rest of the request; of keys the first occurrence counts, so no value may hold another key's name. Of a
 * secret tgtd copies 256 bytes and forgets the zero if there are so many: 255 is the most. Thus secrets may hold any
 * printable ASCII byte but the space, a comma too; names and users no comma, equals sign or space.
 *
 * Who may ask: tgtd answers only its own user and group. Others find their connection closed (-ECONNREFUSED).
 *
 * Traps of tgtd that are avoided here
 * - Accounts of a target are an array with holes: unbinding one that is not the last makes "show" read past the count
 *   of those that are left, through NULL: tgtd dies, at once or when somebody looks. So accounts come and go at the
 *   end only. (A hand that unbinds accounts by tgtadm can still kill it.)
 * - A target without incoming accounts asks for no CHAP: initiators are unbound while the last account is exchanged.
 * - A target's number may be in the hand of an initiator that has stopped in the middle of its login: numbers are
 *   drawn at random and so never used twice, else it would wake up in the next target of that number.
 * - Deletion by force ends tgtd if a session has commands in flight: sessions are ended one by one, and waited for.
 * - An initiator says of itself what it likes (InitiatorAlias), in lines: "show" has it between its own lines. A
 *   target whose lines make no sense is reported as damaged, and no other is misread (box/tgt_text.h).
 */
#ifndef HB_BOX_TGT_H
#define HB_BOX_TGT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct tgt;

/* `socket`: path of the management socket (/var/run/tgtd/socket.0). */
int tgt_new(const char *socket, struct tgt **ret, struct err *err);
void tgt_free(struct tgt *t);

#define TGT_BY_ADDRESS "address:" /* "address:192.0.2.7", "address:[2001:db8::]/64", "address:ALL" */
#define TGT_SECRET_MIN 12
#define TGT_SECRET_MAX 255

/* A target as it should be. All borrowed. Names are printable ASCII without commas, equals signs and spaces, else
 * -EINVAL: nothing that is passed here can become another key of the request. */
struct tgt_target {
	const char *iqn; /* letters, digits, ':', '.', '-'; at most 223 */
	const char *store; /* "POOL/VOLUME" for the module "hybrid"; LUN 1 */
	const char *conf; /* the pools' configuration (absolute path), or NULL: the module's default */
	const char *serial; /* at most 20 bytes, or NULL: tgtd's own */
	const char *product; /* at most 16, or NULL: "VOLUME" */
	bool read_only;
	const char *const *initiators; /* names that may log in; addresses with TGT_BY_ADDRESS before them */
	unsigned ninitiators;
	struct tgt_account {
		const char *user, *secret; /* 12 to 255 bytes of secret (RFC 7143, 9.2.1: at least 96 bits) */
		bool outgoing; /* the target's own, by which it proves itself (mutual CHAP): at most one, not the same
				* secret as another's */
	} const *accounts;
	unsigned naccounts;
};

/* Makes it so, whatever of it there is: creates or completes the target, with session parameters that make tgt fast
 * (MaxRecvDataSegmentLength, FirstBurstLength, MaxBurstLength, InitialR2T; MaxXmitDataSegmentLength is what the
 * initiator declares, whatever is set: keep it at 64 KiB there). Binds initiators last, when everything else holds;
 * first of all unbinds those that are not named. Sessions stay as they are, also those of an initiator that is no
 * longer named.
 *
 * A secret cannot be read back, so accounts are made anew when they are not known to have it: when it has changed, and
 * once after each start of this program; meanwhile, for some milliseconds, logins fail.
 *
 * -ECONNREFUSED: no tgtd, or it died meanwhile. -ETIMEDOUT: it hangs. -ENOENT: the volume cannot be opened (tgtd does
 * not say why; its log does). -ENOSYS: no module. -EEXIST: a user is another target's. -EBUSY: LUN 1 is another store,
 * and somebody is logged in, or commands of it do not end. -EBADMSG: the target is damaged (tgt_show). -EAGAIN:
 * somebody else removed it meanwhile. After each error: call it again, or tgt_remove(). */
int tgt_ensure(struct tgt *t, const struct tgt_target *want, struct err *err);
/* Ends the sessions of initiators that are not named (tgt_ensure() has unbound them, and leaves them alone), and waits
 * until they have ended: -ETIMEDOUT. Names only, no addresses. Not there: 0. */
int tgt_end_others(struct tgt *t, const char *iqn, const char *const *initiators, unsigned n, struct err *err);
/* Takes it down: without force, at once and wholly, or not at all (-EBUSY: somebody is logged in). With force: unbinds,
 * ends sessions, waits for commands in flight (30 s at most, then -ETIMEDOUT; it remains unbound). Deletes its accounts
 * last. Not there: 0. */
int tgt_remove(struct tgt *t, const char *iqn, bool force, struct err *err);
/* Deletes accounts whose names begin with prefix (not empty) and that no target has: what a tgt_remove() that was
 * killed leaves. Returns how many, or a -errno. Not while another process may be within tgt_ensure() with such an
 * account. */
int tgt_sweep(struct tgt *t, const char *prefix, struct err *err);

/* What is there, for those whose name begins with prefix (NULL: all): {"IQN": {"tid", "store", "online", "read_only",
 * "serial", "initiators": [..], "accounts": [..], "outgoing", "sessions": [{"sid", "initiator", "addresses": [..]}]}}.
 * store, serial, online, read_only: of LUN 1, null without one; store is null as well if it is no "hybrid". initiators:
 * as in struct tgt_target. accounts: incoming ones; outgoing: a user or null. Only {"tid", "damaged": true}: what
 * tgtd says of it makes no sense, most likely because an initiator that is logged in there wants it so; tgt_remove()
 * by force still works. New reference. */
json_t *tgt_show(struct tgt *t, const char *prefix, struct err *err);

#endif
