/* SPDX-License-Identifier: GPL-2.0-only */
/* tgt_ensure.c - makes a target as it should be, from whatever there is of it.
 *
 * Order: unbind who may not; the target; session parameters; LUN 1 and its attributes; accounts; bind who may. Crash
 * story: until the last step of a new target nobody can log in, so a half-made one shows nothing to anybody; each step
 * finds its own work, so the whole is done again. Of a live target all but accounts is changed by single requests that
 * leave sessions alone.
 */
#include <errno.h>
#include <gnutls/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "box/sock.h"
#include "box/tgt_priv.h"
#include "box/tgt_text.h"

#define VENDOR "HYBRID"
#define TID_TRIES 32
#define LUN_DISK 1
#define TYPE_OF_DISK 0
/* Hand-made targets begin at 1: tgt-admin takes the highest there is and one more. */
#define TID_LOW (1u << 20)
#define TID_HIGH (1u << 30)

static const struct {
	const char *key, *value;
} session_params[] = {
	{"MaxRecvDataSegmentLength", "262144"}, /* what a Data-Out may hold: fewer PDUs a write */
	{"InitialR2T", "No"}, /* writes up to FirstBurstLength need no turn of R2T */
	{"ImmediateData", "Yes"},
	{"FirstBurstLength", "262144"},
	{"MaxBurstLength", "1048576"},
};

/* What one tgt_ensure() works on. */
struct work {
	struct tgt *t;
	const struct tgt_target *want;
	int tid;
	json_t *show; /* all targets; NULL: not looked yet */
	const json_t *have; /* of show; NULL: the target is new */
	json_t *freed; /* users that were unbound from it */
	struct err *err;
};

/* ------------------------------------------------------------------ the target */
/* Why at random: of a login that has begun tgtd keeps the target's number only, and no end is set to it. An initiator
 * that stops after its CHAP and goes on when its target is gone would be in the next one that gets the number. */
static int draw_tid(void)
{
	uint32_t r = 0;

	if (gnutls_rnd(GNUTLS_RND_NONCE, &r, sizeof(r)))
		abort();
	return (int)(TID_LOW + r % (TID_HIGH - TID_LOW));
}

static int look(struct work *w)
{
	if (!w->show)
		w->show = tgt_look(w->t, NULL, w->err);
	return w->show ? 0 : w->err->code;
}

/* New (have stays NULL), or what there is. */
static int find_or_make(struct work *w)
{
	for (int i = 0; i < TID_TRIES; i++) {
		struct tgt_req req = {.mode = TGT_OF_TARGET, .op = TGT_NEW, .tid = draw_tid()};
		int rc = tgt_ask(w->t, &req, TGT_REQUEST_MS, NULL, w->err, "targetname=%s", w->want->iqn);

		if (rc == 0) {
			w->tid = req.tid;
			return 0;
		}
		if (rc != TGT_TARGET_EXISTS)
			return tgt_fail(rc, w->err, "making target %s", w->want->iqn);
		/* The name or the number? */
		if (look(w))
			return w->err->code;
		w->have = json_object_get(w->show, w->want->iqn);
		if (json_object_get(w->have, "damaged"))
			return err_set(w->err, -EBADMSG, "target %s: what tgtd says of it makes no sense; an initiator "
				       "that is logged in there may want it so", w->want->iqn);
		w->tid = (int)json_integer_value(json_object_get(w->have, "tid"));
		if (w->have)
			return 0;
		json_decref(w->show);
		w->show = NULL;
	}
	return err_set(w->err, -EEXIST, "target %s: no free number", w->want->iqn);
}

/* "KEY=VALUE" is a line of tgtd's answer. */
static bool has_param(const char *text, const char *key, const char *value)
{
	char line[128];
	const char *at;
	int n = snprintf(line, sizeof(line), "%s=%s\n", key, value);

	for (at = strstr(text, line); at; at = strstr(at + n, line))
		if (at == text || at[-1] == '\n')
			return true;
	return false;
}

/* They apply to logins from now on. */
static int set_params(struct work *w)
{
	struct tgt_req req = {.mode = TGT_OF_TARGET, .op = TGT_SHOW, .tid = w->tid};
	char *text = NULL;
	int rc = 0;

	if (w->have)
		rc = tgt_fail(tgt_ask(w->t, &req, TGT_REQUEST_MS, &text, w->err, NULL), w->err,
			      "looking at parameters");
	req.op = TGT_UPDATE;
	for (size_t i = 0; i < ARRAY_LEN(session_params) && !rc; i++) {
		const char *key = session_params[i].key, *value = session_params[i].value;

		if (!text || !has_param(text, key, value))
			rc = tgt_fail(tgt_ask(w->t, &req, TGT_REQUEST_MS, NULL, w->err, "%s=%s", key, value), w->err,
				      "setting %s", key);
	}
	free(text);
	return rc;
}

/* ------------------------------------------------------------------ the disk */
/* tgtd has one answer for all that may be wrong. */
static int why_no_lun(struct work *w)
{
	struct tgt_req req = {.mode = TGT_OF_SYSTEM, .op = TGT_SHOW, .tid = -1};
	char *text = NULL;
	int rc = tgt_fail(tgt_ask(w->t, &req, TGT_REQUEST_MS, &text, w->err, NULL), w->err,
			  "looking at backing stores");

	if (!rc && !tgt_text_has_store(text, "hybrid"))
		rc = err_set(w->err, -ENOSYS, "tgtd has no backing store \"hybrid\": its module is not loaded");
	else if (!rc)
		rc = err_set(w->err, -ENOENT, "volume %s cannot be opened by tgtd: it is not there, or in use, or its "
			     "pool does not open (its log says why)", w->want->store);
	free(text);
	return rc;
}

static int make_lun(struct work *w)
{
	struct tgt_req req = {.mode = TGT_OF_LUN, .op = TGT_NEW, .tid = w->tid, .lun = LUN_DISK,
			      .device_type = TYPE_OF_DISK};
	const char *conf = w->want->conf;
	int rc = tgt_ask(w->t, &req, TGT_OPEN_MS, NULL, w->err, "path=%s,bstype=hybrid%s%s", w->want->store,
			 conf ? ",bsopts=conf=" : "", conf ? conf : "");

	return rc == TGT_REFUSED ? why_no_lun(w) : tgt_fail(rc, w->err, "making the disk of %s", w->want->iqn);
}

/* Who is logged in would find another disk under the same name; so it is refused then. */
static int remove_lun(struct work *w)
{
	struct tgt_req req = {.mode = TGT_OF_LUN, .op = TGT_DELETE, .tid = w->tid, .lun = LUN_DISK};
	uint64_t deadline_ms = sock_now_ms() + TGT_REQUEST_MS;
	int rc;

	if (json_array_size(json_object_get(w->have, "sessions")))
		return err_set(w->err, -EBUSY, "target %s has another disk than %s, and somebody is logged in",
			       w->want->iqn, w->want->store);
	do
		rc = tgt_ask(w->t, &req, TGT_OPEN_MS, NULL, w->err, NULL);
	while (rc == TGT_LUN_ACTIVE && sock_now_ms() < deadline_ms);
	return rc == TGT_NO_LUN ? 0 : tgt_fail(rc, w->err, "removing the other disk of %s", w->want->iqn);
}

static int set_lun(struct work *w)
{
	struct tgt_req req = {.mode = TGT_OF_LUN, .op = TGT_UPDATE, .tid = w->tid, .lun = LUN_DISK};
	const struct tgt_target *want = w->want;
	int rc = tgt_ask(w->t, &req, TGT_REQUEST_MS, NULL, w->err,
			 "vendor_id=" VENDOR ",product_id=%s,readonly=%d%s%s", want->product ? want->product : "VOLUME",
			 want->read_only, want->serial ? ",scsi_sn=" : "", want->serial ? want->serial : "");

	return tgt_fail(rc, w->err, "setting attributes of %s", want->iqn);
}

static int ensure_lun(struct work *w)
{
	const json_t *online = json_object_get(w->have, "online"); /* null: there is no LUN 1 */
	const char *store = json_string_value(json_object_get(w->have, "store"));
	int rc = 0;

	if (!w->have || json_is_null(online))
		rc = make_lun(w);
	else if (!store || strcmp(store, w->want->store))
		rc = remove_lun(w) ? w->err->code : make_lun(w);
	return rc ? rc : set_lun(w);
}

/* ------------------------------------------------------------------ accounts */
/* Of the secret and whose it is: what is known of another target's account says nothing here. */
static void digest(const struct work *w, const struct tgt_account *a, char hex[65])
{
	unsigned char sum[32];
	gnutls_hmac_hd_t h;

	if (gnutls_hmac_init(&h, GNUTLS_MAC_SHA256, w->t->key, sizeof(w->t->key)) ||
	    gnutls_hmac(h, w->want->iqn, strlen(w->want->iqn) + 1) || gnutls_hmac(h, a->secret, strlen(a->secret)))
		abort();
	gnutls_hmac_deinit(h, sum);
	for (size_t i = 0; i < sizeof(sum); i++)
		snprintf(hex + 2 * i, 3, "%02x", sum[i]);
}

/* tgtd has it, for this target and with this very secret, as far as we know. */
static bool is_known(const struct work *w, const struct tgt_account *a)
{
	const char *known = json_string_value(json_object_get(w->t->digests, a->user));
	char hex[65];

	digest(w, a, hex);
	return known && !strcmp(known, hex);
}

static const struct tgt_account *wanted(const struct work *w, const char *user)
{
	for (unsigned i = 0; user && i < w->want->naccounts; i++)
		if (!strcmp(w->want->accounts[i].user, user))
			return &w->want->accounts[i];
	return NULL;
}

/* It may stay as it is: wanted in this role, with the secret it has. */
static bool fits(const struct work *w, const char *user, bool outgoing)
{
	const struct tgt_account *a = wanted(w, user);

	return a && a->outgoing == outgoing && is_known(w, a);
}

static int ctl(struct work *w, const char *user, bool outgoing, bool bind)
{
	struct tgt_req req = {.mode = TGT_OF_ACCOUNT, .op = bind ? TGT_BIND : TGT_UNBIND, .tid = w->tid,
			      .direction = outgoing ? TGT_OUTGOING : TGT_INCOMING};
	int rc = tgt_ask(w->t, &req, TGT_REQUEST_MS, NULL, w->err, "user=%s", user);

	return tgt_fail(rc, w->err, "%s account %.223s", bind ? "binding" : "unbinding", user);
}

/* Makes the account, which this target does not have, with its secret. One that is there already is left from a
 * removal or a creation that was killed: its secret is unknown. Deleting it while another target has it would make a
 * hole there. */
static int make_user(struct work *w, const struct tgt_account *a)
{
	struct tgt_req req = {.mode = TGT_OF_ACCOUNT, .op = TGT_NEW};
	const char *owner;
	char hex[65];
	int rc = tgt_ask(w->t, &req, TGT_REQUEST_MS, NULL, w->err, "user=%s,password=%s", a->user, a->secret);

	if (rc == TGT_USER_EXISTS) {
		if (look(w))
			return w->err->code;
		owner = tgt_owner(w->show, a->user, w->want->iqn);
		if (owner)
			return err_set(w->err, -EEXIST, "account %.223s belongs to target %s", a->user, owner);
		if (tgt_forget_user(w->t, a->user, w->err))
			return w->err->code;
		rc = tgt_ask(w->t, &req, TGT_REQUEST_MS, NULL, w->err, "user=%s,password=%s", a->user, a->secret);
	}
	if (rc)
		return tgt_fail(rc, w->err, "making account %.223s", a->user);
	digest(w, a, hex);
	json_object_set_new(w->t->digests, a->user, json_string(hex));
	return 0;
}

static int add_account(struct work *w, const struct tgt_account *a)
{
	if (!is_known(w, a) && make_user(w, a))
		return w->err->code;
	if (!ctl(w, a->user, a->outgoing, true))
		return 0;
	/* What we knew is wrong: somebody else deleted it. The next attempt will make it. */
	json_object_del(w->t->digests, a->user);
	return w->err->code;
}

/* How many of the target's incoming accounts, from the first on, can stay. */
static size_t keep(const struct work *w, const json_t *users)
{
	size_t n = 0;

	while (n < json_array_size(users) && fits(w, json_string_value(json_array_get(users, n)), false))
		n++;
	return n;
}

static bool is_kept(const json_t *users, size_t kept, const char *user)
{
	for (size_t i = 0; i < kept; i++)
		if (!strcmp(json_string_value(json_array_get(users, i)), user))
			return true;
	return false;
}

static int unbind_user(struct work *w, const char *user, bool outgoing)
{
	if (ctl(w, user, outgoing, false))
		return w->err->code;
	json_array_append_new(w->freed, json_string(user));
	return 0;
}

/* From the last back to the first that cannot stay: see "Traps" in tgt.h. Killed at any point there is no hole. */
static int unbind_users(struct work *w, const json_t *users, size_t kept)
{
	const char *outgoing = json_string_value(json_object_get(w->have, "outgoing"));
	const json_t *one;
	size_t i;

	/* With no account left tgtd would ask nobody for a secret. They are bound again at the end. */
	if (!kept && json_array_size(users))
		json_array_foreach(json_object_get(w->have, "initiators"), i, one) {
			if (tgt_bind(w->t, w->tid, json_string_value(one), false, w->err))
				return w->err->code;
		}
	for (i = json_array_size(users); i-- > kept;)
		if (unbind_user(w, json_string_value(json_array_get(users, i)), false))
			return w->err->code;
	return outgoing && !fits(w, outgoing, true) ? unbind_user(w, outgoing, true) : 0;
}

/* What this target has no more goes, unless it is wanted as it is, or is another target's, too. */
static int drop_freed(struct work *w, const json_t *users, size_t kept)
{
	const json_t *one;
	size_t i;

	json_array_foreach(w->freed, i, one) {
		const char *user = json_string_value(one);
		const struct tgt_account *a = wanted(w, user);

		if ((a && is_known(w, a)) || is_kept(users, kept, user) || tgt_owner(w->show, user, w->want->iqn))
			continue;
		if (tgt_forget_user(w->t, user, w->err))
			return w->err->code;
	}
	return 0;
}

static int ensure_accounts(struct work *w)
{
	const json_t *users = json_object_get(w->have, "accounts");
	const char *outgoing = json_string_value(json_object_get(w->have, "outgoing"));
	size_t kept = keep(w, users);
	bool stays = outgoing && fits(w, outgoing, true);

	if (unbind_users(w, users, kept) || drop_freed(w, users, kept))
		return w->err->code;
	for (unsigned i = 0; i < w->want->naccounts; i++) {
		const struct tgt_account *a = &w->want->accounts[i];

		if (!(a->outgoing ? stays : is_kept(users, kept, a->user)) && add_account(w, a))
			return w->err->code;
	}
	return 0;
}

/* ------------------------------------------------------------------ initiators */
static bool may_log_in(const struct tgt_target *want, const char *initiator)
{
	for (unsigned i = 0; i < want->ninitiators; i++)
		if (!strcmp(want->initiators[i], initiator))
			return true;
	return false;
}

static int unbind_others(struct work *w)
{
	const json_t *one;
	size_t i;

	json_array_foreach(json_object_get(w->have, "initiators"), i, one) {
		if (!may_log_in(w->want, json_string_value(one)) &&
		    tgt_bind(w->t, w->tid, json_string_value(one), false, w->err))
			return w->err->code;
	}
	return 0;
}

static int bind_wanted(struct work *w)
{
	for (unsigned i = 0; i < w->want->ninitiators; i++)
		if (tgt_bind(w->t, w->tid, w->want->initiators[i], true, w->err))
			return w->err->code;
	return 0;
}

int tgt_ensure(struct tgt *t, const struct tgt_target *want, struct err *err)
{
	int (*const steps[])(struct work *) = {find_or_make, unbind_others, set_params,
					       ensure_lun, ensure_accounts, bind_wanted};
	struct err own = ERR_INIT;
	struct work w = {.t = t, .want = want, .freed = json_array(), .err = &own};
	int rc = w.freed ? tgt_check(want, &own) : err_set(&own, -ENOMEM, "out of memory");

	pthread_mutex_lock(&t->lock);
	for (size_t i = 0; i < ARRAY_LEN(steps) && !rc; i++)
		rc = steps[i](&w);
	pthread_mutex_unlock(&t->lock);
	json_decref(w.show);
	json_decref(w.freed);
	return rc ? err_set(err, rc, "%s", own.text) : 0;
}
