/* SPDX-License-Identifier: GPL-2.0-only */
/* target.c - what tgtd should have, computed from the catalogue; and made so.
 *
 * A volume has a target while it has an attachment in any state, or is exported by hand. The target lets in the
 * initiators of all of them, each with the accounts of its own. Secrets leave their seal here only, for one request.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "verbs/priv.h"

#define LOGINS_MAX 64u /* attachments and exports of one volume */

struct want {
	json_t *volume; /* row, or NULL */
	json_t *logins; /* array of {"initiator", "user", "secret", "back_user", "back_secret", "id"}, sealed */
	bool read_only;
};

struct reading {
	const char *id;
	struct want *want;
};

/* The state in which its target should be there. */
static int read_want(struct store_tx *tx, void *arg, struct err *err)
{
	struct reading *r = arg;
	json_t *rows, *by_id, *row;
	size_t i;

	r->want->logins = json_array();
	r->want->volume = store_get(tx, T_VOLUME, r->id, err);
	if (!r->want->volume)
		return err->code;
	rows = json_pack("[O]", r->want->volume);
	by_id = store_belonging(tx, T_ATTACHMENT, rows, err);
	json_decref(rows);
	if (!by_id)
		return err->code;
	r->want->read_only = json_array_size(json_object_get(by_id, r->id)) > 0;
	json_array_foreach(json_object_get(by_id, r->id), i, row)
	{
		json_array_append(r->want->logins, row);
		r->want->read_only &= text_of(row, "mode") && !strcmp(text_of(row, "mode"), "ro");
	}
	json_decref(by_id);
	json_array_foreach(json_object_get(r->want->volume, "exported"), i, row)
	{
		json_array_append(r->want->logins, row);
		r->want->read_only = false;
	}
	return 0;
}

char *target_name(const struct ebs *e, const char *volume_id)
{
	char *name = NULL;

	return asprintf(&name, "%s:%s", e->conf.prefix, volume_id) < 0 ? NULL : name;
}

struct opened {
	const char *initiators[LOGINS_MAX];
	struct tgt_account accounts[LOGINS_MAX + 1];
	char *secrets[LOGINS_MAX + 1];
	unsigned ninitiators, naccounts;
};

static int add_account(struct ebs *e, struct opened *o, const json_t *login, const char *user, const char *secret,
		       bool outgoing, struct err *err)
{
	char **plain = &o->secrets[o->naccounts];
	int rc;

	if (!text_of(login, user))
		return 0;
	rc = seal_unwrap(e->seal, text_of(login, "id"), text_of(login, secret), plain, err);
	if (!rc)
		o->accounts[o->naccounts++] = (struct tgt_account){text_of(login, user), *plain, outgoing};
	return rc;
}

/* tgt has one outgoing account a target: the first login's, which all logins of a volume share (attach.c). */
static int unseal(struct ebs *e, const struct want *w, struct opened *o, struct err *err)
{
	json_t *login;
	size_t i;
	int rc = 0;

	if (json_array_size(w->logins) > LOGINS_MAX)
		return err_set(err, -E2BIG, "more than %u logins of one volume", LOGINS_MAX);
	json_array_foreach(w->logins, i, login)
	{
		if (text_of(login, "initiator"))
			o->initiators[o->ninitiators++] = text_of(login, "initiator");
		rc = rc ? rc : add_account(e, o, login, "user", "secret", false, err);
		if (!i)
			rc = rc ? rc : add_account(e, o, login, "back_user", "back_secret", true, err);
	}
	return rc;
}

static int ensure(struct ebs *e, const struct want *w, const char *iqn, bool force, struct err *err)
{
	struct opened o = {.ninitiators = 0};
	char *path = NULL, serial[EBS_ID_MAX] = "";
	int rc = unseal(e, w, &o, err);
	const char *id = text_of(w->volume, "id");

	/* EC2 guests find their volumes by this serial: the id without its dash, 20 characters. */
	snprintf(serial, sizeof(serial), "vol%.17s", id + strlen("vol-"));
	if (!rc && asprintf(&path, "%s/%s", text_of(w->volume, "pool"), text_of(w->volume, "pool_name")) < 0)
		rc = err_set(err, -ENOMEM, "out of memory");
	if (!rc) {
		struct tgt_target t = {.iqn = iqn,
				       .store = path,
				       .serial = serial,
				       .read_only = w->read_only,
				       .initiators = o.initiators,
				       .ninitiators = o.ninitiators,
				       .accounts = o.accounts,
				       .naccounts = o.naccounts};

		rc = tgt_ensure(e->tgt, &t, err);
		/* Who was shut out and still is logged in would go on writing what others have now. */
		if (!rc && force)
			rc = tgt_end_others(e->tgt, iqn, o.initiators, o.ninitiators, err);
	}
	for (unsigned i = 0; i < o.naccounts; i++)
		seal_forget(o.secrets[i]);
	free(path);
	return rc;
}

int target_sync(struct ebs *e, const char *volume_id, bool force, struct err *err)
{
	struct want w = {0};
	struct reading r = {volume_id, &w};
	char *iqn = target_name(e, volume_id);
	int rc = 0;

	pthread_mutex_lock(&e->target_lock);
	if (e->tgt)
		rc = iqn ? store_read(e->store, read_want, &r, err) : err_set(err, -ENOMEM, "out of memory");
	if (!rc && e->tgt && w.volume && json_array_size(w.logins)) {
		rc = ensure(e, &w, iqn, force, err);
		/* One that is logged in can make its target unreadable (box/tgt.h): it must not stay by that. Others
		 * log in again. */
		if (rc == -EBADMSG && force) {
			*err = ERR_INIT;
			rc = tgt_remove(e->tgt, iqn, true, err);
			rc = rc ? rc : ensure(e, &w, iqn, force, err);
		}
	} else if (!rc && e->tgt) {
		rc = tgt_remove(e->tgt, iqn, force, err);
	}
	pthread_mutex_unlock(&e->target_lock);
	json_decref(w.volume);
	json_decref(w.logins);
	free(iqn);
	return rc;
}

/* ---------------------------------------------------------------- all of them */

/* Of each volume: is its target to be there? */
static int read_wanted_ids(struct store_tx *tx, void *arg, struct err *err)
{
	json_t *ids = arg, *row, *rows;
	struct store_query attached = {.table = T_ATTACHMENT};
	struct store_query exported = {.table = T_VOLUME}; /* a JSON column cannot be filtered by */
	size_t i;

	rows = store_find(tx, &attached, NULL, err);
	if (!rows)
		return err->code;
	json_array_foreach(rows, i, row) json_object_set_new(ids, text_of(row, "volume_id"), json_true());
	json_decref(rows);
	rows = store_find(tx, &exported, NULL, err);
	if (!rows)
		return err->code;
	json_array_foreach(rows, i, row)
	{
		bool wanted = json_array_size(json_object_get(row, "exported")) ||
			      json_object_get(ids, text_of(row, "id"));

		json_object_set_new(ids, text_of(row, "id"), json_boolean(wanted));
	}
	json_decref(rows);
	return 0;
}

/* Ours that nobody wants, as an undone saga of an earlier life may have left. Those of volumes that the catalogue does
 * not know stay: if it was lost, the disks of VMs that run must not go with it. */
static unsigned remove_unwanted(struct ebs *e, const json_t *wanted, const json_t *there)
{
	size_t n = strlen(e->conf.prefix) + 1;
	unsigned failed = 0;
	const char *iqn;
	json_t *v;

	json_object_foreach((json_t *)(uintptr_t)there, iqn, v)
	{
		struct err err = ERR_INIT;

		if (strlen(iqn) <= n || iqn[n - 1] != ':' || !json_is_false(json_object_get(wanted, iqn + n)))
			continue;
		failed += target_sync(e, iqn + n, true, &err) != 0;
	}
	return failed;
}

int target_sync_all(struct ebs *e, unsigned *ret_failed, struct err *err)
{
	json_t *ids = json_object(), *there, *v;
	struct err own = ERR_INIT;
	const char *id;
	int rc = e->tgt ? store_read(e->store, read_wanted_ids, ids, err) : 0;

	*ret_failed = 0;
	if (!rc && e->tgt) {
		json_object_foreach(ids, id, v)
		{
			struct err one = ERR_INIT;
			int failed = json_is_true(v) ? target_sync(e, id, false, &one) : 0;

			*ret_failed += failed != 0;
			if (failed == -ECONNREFUSED) {
				rc = err_set(err, failed, "%s", one.text);
				break;
			}
		}
		there = rc ? NULL : tgt_show(e->tgt, e->conf.prefix, err);
		if (there)
			*ret_failed += remove_unwanted(e, ids, there);
		json_decref(there);
		/* Those by which we read and write ourselves (box/disk.h). */
		*ret_failed += !rc && disks_sync(e->disks, &own) != 0;
	}
	json_decref(ids);
	return rc;
}
