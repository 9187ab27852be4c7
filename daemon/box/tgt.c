/* SPDX-License-Identifier: GPL-2.0-only */
/* tgt.c - what tgtd has, and how a target is taken down. (tgt_ensure.c makes one.) */
#include "box/tgt.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "box/sock.h"
#include "box/tgt_priv.h"
#include "box/tgt_text.h"

#define LOOKS 3 /* between two answers somebody may have changed something */

int tgt_new(const char *path, struct tgt **ret, struct err *err)
{
	struct tgt *t = calloc(1, sizeof(*t));

	if (t) {
		t->path = strdup(path);
		t->patience_ms = UINT32_MAX;
		t->digests = json_object();
	}
	if (!t || !t->path || !t->digests || gnutls_rnd(GNUTLS_RND_KEY, t->key, sizeof(t->key))) {
		if (t) {
			json_decref(t->digests);
			free(t->path);
		}
		free(t);
		return err_set(err, -ENOMEM, "out of memory");
	}
	pthread_mutex_init(&t->lock, NULL);
	*ret = t;
	return 0;
}

void tgt_free(struct tgt *t)
{
	if (!t)
		return;
	pthread_mutex_destroy(&t->lock);
	json_decref(t->digests);
	free(t->path);
	explicit_bzero(t->key, sizeof(t->key));
	free(t);
}

/* ------------------------------------------------------------------ looking */
/* One list, read by `read`; NULL with err. */
static json_t *list(struct tgt *t, uint32_t mode, uint32_t op, json_t *(*read)(const char *, struct err *),
		    struct err *err)
{
	struct tgt_req req = {.mode = mode, .op = op, .tid = -1};
	json_t *found = NULL;
	char *text = NULL;

	if (!tgt_fail(tgt_ask(t, &req, TGT_REQUEST_MS, &text, err, NULL), err, "looking"))
		found = read(text, err);
	free(text);
	return found;
}

static json_t *look_once(struct tgt *t, const char *prefix, unsigned *ret_damaged, struct err *err)
{
	struct tgt_req req = {.mode = TGT_OF_TARGET, .op = TGT_SHOW, .tid = -1};
	json_t *targets = list(t, TGT_OF_DRIVERS, TGT_SHOW, tgt_text_targets, err), *show = NULL, *known;
	unsigned sessions = 0;
	char *text = NULL;

	if (!targets)
		return NULL;
	if (!tgt_fail(tgt_ask(t, &req, TGT_REQUEST_MS, &text, err, NULL), err, "looking at targets"))
		show = tgt_text_show(text, targets, prefix, ret_damaged, &sessions, err);
	free(text);
	json_decref(targets);
	if (!show || !sessions)
		return show;
	/* Asked for after "show": a session that is not in it has ended, or never was. */
	known = list(t, TGT_OF_SYSTEM, TGT_STATS, tgt_text_sessions, err);
	if (known)
		tgt_text_confirm(show, known);
	else
		json_decref(show);
	json_decref(known);
	return known ? show : NULL;
}

json_t *tgt_look(struct tgt *t, const char *prefix, struct err *err)
{
	unsigned damaged = 0;
	json_t *show = look_once(t, prefix, &damaged, err);

	/* A target that came between two answers damages its neighbour for once. */
	for (int i = 1; i < LOOKS && show && damaged; i++) {
		json_decref(show);
		show = look_once(t, prefix, &damaged, err);
	}
	return show;
}

json_t *tgt_show(struct tgt *t, const char *prefix, struct err *err)
{
	json_t *show;

	pthread_mutex_lock(&t->lock);
	show = tgt_look(t, prefix, err);
	pthread_mutex_unlock(&t->lock);
	return show;
}

int tgt_find(struct tgt *t, const char *iqn, int *ret_tid, struct err *err)
{
	json_t *targets = list(t, TGT_OF_DRIVERS, TGT_SHOW, tgt_text_targets, err);
	const json_t *tid = json_object_get(targets, iqn);
	int found = targets ? tid != NULL : err->code;

	if (tid)
		*ret_tid = (int)json_integer_value(tid);
	json_decref(targets);
	return found;
}

/* ------------------------------------------------------------------ small changes */
int tgt_bind(struct tgt *t, int tid, const char *initiator, bool bind, struct err *err)
{
	struct tgt_req req = {.mode = TGT_OF_TARGET, .op = bind ? TGT_BIND : TGT_UNBIND, .tid = tid};
	size_t n = strlen(TGT_BY_ADDRESS);
	bool address = !strncmp(initiator, TGT_BY_ADDRESS, n);
	int rc = tgt_ask(t, &req, TGT_REQUEST_MS, NULL, err, address ? "initiator-address=%s" : "initiator-name=%s",
			 address ? initiator + n : initiator);

	if (rc == (bind ? TGT_BOUND : TGT_NOT_BOUND))
		return 0;
	return tgt_fail(rc, err, "%s %.223s", bind ? "binding" : "unbinding", initiator);
}

int tgt_forget_user(struct tgt *t, const char *user, struct err *err)
{
	struct tgt_req req = {.mode = TGT_OF_ACCOUNT, .op = TGT_DELETE};
	int rc = tgt_ask(t, &req, TGT_REQUEST_MS, NULL, err, "user=%s", user);

	json_object_del(t->digests, user);
	return tgt_fail(rc == TGT_NO_USER ? 0 : rc, err, "deleting account %.223s", user);
}

static bool has_user(const json_t *target, const char *user)
{
	const char *outgoing = json_string_value(json_object_get(target, "outgoing"));
	const json_t *one;
	size_t i;

	json_array_foreach(json_object_get(target, "accounts"), i, one) {
		if (!strcmp(json_string_value(one), user))
			return true;
	}
	return outgoing && !strcmp(outgoing, user);
}

const char *tgt_owner(const json_t *show, const char *user, const char *but)
{
	const char *iqn;
	json_t *target;

	json_object_foreach((json_t *)(uintptr_t)show, iqn, target) {
		if ((!but || strcmp(iqn, but)) && has_user(target, user))
			return iqn;
	}
	return NULL;
}

/* A target that is damaged may have any account. */
static bool all_readable(const json_t *show)
{
	const char *iqn;
	json_t *target;

	json_object_foreach((json_t *)(uintptr_t)show, iqn, target) {
		if (json_object_get(target, "damaged"))
			return false;
	}
	return true;
}

/* ------------------------------------------------------------------ taking down */
struct kick {
	struct tgt *t;
	int tid;
	const json_t *only; /* {"SID": true}; NULL: all */
};

static void end_connection(void *ctx, unsigned sid, unsigned cid)
{
	struct kick *k = ctx;
	struct tgt_req req = {.mode = TGT_OF_CONNECTION, .op = TGT_DELETE, .tid = k->tid, .sid = sid, .cid = cid};
	struct err ignored = ERR_INIT;
	char key[16];

	snprintf(key, sizeof(key), "%u", sid);
	if (k->only && !json_object_get(k->only, key))
		return;
	/* Gone already, or invented: either is fine. Whether it helped is seen by whether the target can be deleted. */
	tgt_ask(k->t, &req, TGT_REQUEST_MS, NULL, &ignored, NULL);
}

static int end_sessions(struct tgt *t, int tid, const json_t *only, struct err *err)
{
	struct tgt_req req = {.mode = TGT_OF_CONNECTION, .op = TGT_SHOW, .tid = tid};
	struct kick k = {t, tid, only};
	char *text = NULL;
	int rc = tgt_ask(t, &req, TGT_REQUEST_MS, &text, err, NULL);

	if (rc == 0)
		tgt_text_connections(text, end_connection, &k);
	free(text);
	return rc == TGT_NO_TARGET ? 0 : tgt_fail(rc, err, "looking at connections");
}

static int unbind_all(struct tgt *t, const json_t *target, int tid, struct err *err)
{
	const json_t *one;
	size_t i;

	json_array_foreach(json_object_get(target, "initiators"), i, one) {
		if (tgt_bind(t, tid, json_string_value(one), false, err))
			return err->code == -EAGAIN ? 0 : err->code;
	}
	return 0;
}

/* Remembers the accounts of a target, and which of them are others' as well. */
static json_t *own_users(const json_t *show, const char *iqn)
{
	const json_t *target = json_object_get(show, iqn), *one, *outgoing = json_object_get(target, "outgoing");
	json_t *users = json_array();
	size_t i;

	json_array_foreach(json_object_get(target, "accounts"), i, one) {
		if (!tgt_owner(show, json_string_value(one), iqn))
			json_array_append(users, (json_t *)(uintptr_t)one);
	}
	if (json_is_string(outgoing) && !tgt_owner(show, json_string_value(outgoing), iqn))
		json_array_append(users, (json_t *)(uintptr_t)outgoing);
	if (!all_readable(show))
		json_array_clear(users); /* rather leave some than break a target that has one: tgt_sweep() */
	return users;
}

/* What is wanted of a target, once: -EAGAIN while it has not come about. */
struct wanted {
	const char *iqn;
	bool force;
	const char *const *initiators;
	unsigned n;
};

typedef int once_fn(struct tgt *t, const struct wanted *w, struct err *err);

/* One attempt. 0: done; -EAGAIN: commands are in flight, or sessions on their way out.
 *
 * Without force it is one request, which tgtd does wholly or refuses: nobody is cut off by a removal that is refused.
 * The target goes before its accounts, since without accounts it would ask for no secret. Killed between: accounts
 * that no target has remain; they open nothing, tgt_ensure() takes them over, tgt_sweep() deletes them. */
static int remove_once(struct tgt *t, const struct wanted *w, struct err *err)
{
	struct tgt_req req = {.mode = TGT_OF_TARGET, .op = TGT_DELETE};
	json_t *show, *users;
	const json_t *one;
	int rc = tgt_find(t, w->iqn, &req.tid, err);
	size_t i;

	if (rc <= 0)
		return rc;
	show = tgt_look(t, NULL, err);
	if (!show)
		return err->code;
	users = own_users(show, w->iqn);
	rc = w->force ? unbind_all(t, json_object_get(show, w->iqn), req.tid, err) : 0;
	if (!rc && w->force)
		rc = end_sessions(t, req.tid, NULL, err);
	if (!rc) {
		rc = tgt_ask(t, &req, TGT_OPEN_MS, NULL, err, NULL);
		if (rc == TGT_LUN_ACTIVE || (rc == TGT_TARGET_ACTIVE && w->force)) {
			tgt_fail(rc, err, "removing %s", w->iqn);
			rc = -EAGAIN;
		} else {
			rc = tgt_fail(rc == TGT_NO_TARGET ? 0 : rc, err, "removing %s", w->iqn);
		}
	}
	json_array_foreach(users, i, one) {
		if (!rc)
			rc = tgt_forget_user(t, json_string_value(one), err);
	}
	json_decref(users);
	json_decref(show);
	return rc;
}

/* Again and again, in bounded time; between two tries the lock is let go. */
static int until_done(struct tgt *t, once_fn *once, const struct wanted *w, struct err *err)
{
	uint64_t deadline_ms = sock_now_ms() + TGT_REMOVE_MS;
	struct err own = ERR_INIT;
	int rc = tgt_check_iqn(w->iqn, &own);

	while (!rc) {
		own = ERR_INIT;
		pthread_mutex_lock(&t->lock);
		rc = once(t, w, &own);
		pthread_mutex_unlock(&t->lock);
		if (rc != -EAGAIN)
			break;
		rc = sock_now_ms() < deadline_ms ? 0 : -ETIMEDOUT;
		if (!rc)
			poll(NULL, 0, TGT_PAUSE_MS); /* without the lock: others go on */
	}
	return rc ? err_set(err, rc, "%s", own.text) : 0;
}

int tgt_remove(struct tgt *t, const char *iqn, bool force, struct err *err)
{
	return until_done(t, remove_once, &(struct wanted){.iqn = iqn, .force = force}, err);
}

/* Sessions of others than these: {"SID": true}. */
static json_t *others_of(const json_t *target, const char *const *initiators, unsigned n)
{
	json_t *others = json_object(), *one;
	size_t i;

	json_array_foreach(json_object_get(target, "sessions"), i, one)
	{
		const char *who = json_string_value(json_object_get(one, "initiator"));
		bool may = false;
		char sid[16];

		for (unsigned k = 0; k < n; k++)
			may |= who && !strcmp(who, initiators[k]);
		snprintf(sid, sizeof(sid), "%u", (unsigned)json_integer_value(json_object_get(one, "sid")));
		if (!may)
			json_object_set_new(others, sid, json_true());
	}
	return others;
}

/* One attempt. 0: there are none. */
static int end_others_once(struct tgt *t, const struct wanted *w, struct err *err)
{
	int tid, rc = tgt_find(t, w->iqn, &tid, err);
	json_t *show, *others;

	if (rc <= 0)
		return rc;
	show = tgt_look(t, w->iqn, err);
	if (!show)
		return err->code;
	others = others_of(json_object_get(show, w->iqn), w->initiators, w->n);
	if (json_object_get(json_object_get(show, w->iqn), "damaged"))
		rc = err_set(err, -EBADMSG, "target %s: what tgtd says of it makes no sense", w->iqn);
	else if (json_object_size(others) && end_sessions(t, tid, others, err) < 0)
		rc = err->code;
	else if (json_object_size(others))
		rc = err_set(err, -EAGAIN, "target %s: sessions do not end", w->iqn);
	else
		rc = 0;
	json_decref(others);
	json_decref(show);
	return rc;
}

int tgt_end_others(struct tgt *t, const char *iqn, const char *const *initiators, unsigned n, struct err *err)
{
	return until_done(t, end_others_once, &(struct wanted){.iqn = iqn, .initiators = initiators, .n = n}, err);
}

int tgt_sweep(struct tgt *t, const char *prefix, struct err *err)
{
	json_t *users, *show = NULL;
	const json_t *one;
	int n = 0;
	size_t i;

	if (!*prefix)
		return err_set(err, -EINVAL, "a prefix is needed");
	pthread_mutex_lock(&t->lock);
	users = list(t, TGT_OF_ACCOUNT, TGT_SHOW, tgt_text_accounts, err);
	if (users)
		show = tgt_look(t, NULL, err);
	if (!show)
		n = err->code;
	else if (all_readable(show))
		json_array_foreach(users, i, one) {
			const char *user = json_string_value(one);

			if (n < 0 || strncmp(user, prefix, strlen(prefix)) || tgt_owner(show, user, NULL))
				continue;
			n = tgt_forget_user(t, user, err) ? err->code : n + 1;
		}
	pthread_mutex_unlock(&t->lock);
	json_decref(users);
	json_decref(show);
	return n;
}
