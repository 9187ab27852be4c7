/* SPDX-License-Identifier: GPL-2.0-only */
/* export.c - volumes for initiators without an agent: who may log in, and what they need to do so.
 *
 * An export is a login kept in the volume's row. Secrets are sealed there, and shown by volume-login only, to who may
 * do everything.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "verbs/priv.h"

/* RFC 7143, 4.2.7: what tgtd could take for something else is refused; it compares byte by byte. */
bool initiator_ok(const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:-_";

	return (!strncmp(name, "iqn.", 4) || !strncmp(name, "eui.", 4) || !strncmp(name, "naa.", 4)) &&
	       strlen(name) <= 223 && name[strspn(name, allowed)] == '\0';
}

/* Without this one; NULL: without any. */
static json_t *without(const json_t *exported, const char *initiator)
{
	json_t *left = json_array(), *one;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)exported, i,
			   one) if (initiator && strcmp(text_of(one, "initiator"), initiator))
		json_array_append(left, one);
	return left;
}

static int put_exported(struct store_tx *tx, const char *id, const json_t *exported, struct err *err)
{
	json_t *change = json_pack("{s:O}", "exported", exported);
	int rc = store_update(tx, T_VOLUME, id, change, err);

	json_decref(change);
	return rc;
}

static int export_begin(struct store_tx *tx, struct ebs_call *c, json_t *doc)
{
	json_t *row = find_row(tx, c, &kind_volume, text_of(doc, "id")), *exported = NULL, *one;
	struct err err = ERR_INIT;
	char id[EBS_ID_MAX];
	int rc = row ? 0 : -ENOENT;

	if (!rc && strcmp(text_of(row, "state"), "available"))
		rc = ebs_fail(c, EBS_INCORRECT_STATE, -EBUSY, "Volume '%s' is in the '%s' state.", text_of(doc, "id"),
			      text_of(row, "state"));
	if (!rc) {
		exported = without(json_object_get(row, "exported"), text_of(doc, "initiator"));
		ebs_new_id(id, "exp-");
		one = json_pack("{s:s, s:O}", "id", id, "initiator", json_object_get(doc, "initiator"));
		rc = login_secrets(c->ebs, one, text_of(doc, "id"), exported, &err);
		json_array_append_new(exported, one);
		json_object_set_new(doc, "before",
				    json_object_get(row, "exported") ? json_incref(json_object_get(row, "exported"))
								     : json_array());
		rc = rc ? rc : put_exported(tx, text_of(doc, "id"), exported, &err);
		if (rc)
			ebs_fail_err(c, &err);
	}
	json_decref(exported);
	json_decref(row);
	return rc;
}

void run_volume_export(struct ebs_call *c)
{
	char *id = find_id(c, &kind_volume, arg_text(c, "volume"));
	const char *locks[] = {id};
	struct change ch = {.saga = "volume-export",
			    .resource = id,
			    .locks = locks,
			    .nlocks = 1,
			    .begin = export_begin,
			    .kind = &kind_volume,
			    .show = volume_shown};

	if (!id)
		return;
	if (!initiator_ok(arg_text(c, "initiator")))
		ebs_fail(c, EBS_INVALID_PARAMETER, -EINVAL, "\"initiator\": expected an iSCSI name (iqn., eui., naa.)");
	else {
		ch.doc = json_pack("{s:s, s:s}", "id", id, "initiator", arg_text(c, "initiator"));
		change_run(c, &ch);
	}
	free(id);
}

static int sync_apply(struct saga *s, struct err *err)
{
	return target_sync(s->ctx, text_of(s->doc, "id"), true, err);
}

static int put_before(struct store_tx *tx, void *arg, struct err *err)
{
	const json_t *doc = arg;

	return put_exported(tx, text_of(doc, "id"), json_object_get(doc, "before"), err);
}

static int export_undo(struct saga *s, struct err *err)
{
	struct ebs *e = s->ctx;
	int rc = store_write(e->store, put_before, s->doc, err);

	return rc ? rc : target_sync(e, text_of(s->doc, "id"), true, err);
}

const struct saga_step volume_export_steps[] = {
	{"target", sync_apply, NULL, export_undo, NULL},
};

/* ---------------------------------------------------------------- no longer */

static int unexport_begin(struct store_tx *tx, struct ebs_call *c, json_t *doc)
{
	json_t *row = find_row(tx, c, &kind_volume, text_of(doc, "id"));

	if (!row)
		return -ENOENT;
	json_decref(row);
	return 0;
}

void run_volume_unexport(struct ebs_call *c)
{
	char *id = find_id(c, &kind_volume, arg_text(c, "volume"));
	const char *locks[] = {id};
	struct change ch = {.saga = "volume-unexport",
			    .resource = id,
			    .locks = locks,
			    .nlocks = 1,
			    .begin = unexport_begin,
			    .kind = &kind_volume,
			    .show = volume_shown};

	if (!id)
		return;
	ch.doc = json_pack("{s:s, s:s*}", "id", id, "initiator", arg_text(c, "initiator"));
	change_run(c, &ch);
	free(id);
}

/* Together with the record that the pivot is passed: killed before it, nothing has changed and nothing is to be taken
 * back; after it, tgtd follows. */
static int unexport_settle(struct store_tx *tx, struct saga *s, struct err *err)
{
	json_t *row = store_get(tx, T_VOLUME, text_of(s->doc, "id"), err), *left;
	int rc;

	if (!row)
		return err->code ? err->code : err_set(err, -ENOENT, "volume %s is gone", text_of(s->doc, "id"));
	left = without(json_object_get(row, "exported"), text_of(s->doc, "initiator"));
	rc = put_exported(tx, text_of(s->doc, "id"), left, err);
	json_decref(left);
	json_decref(row);
	return rc;
}

const struct saga_step volume_unexport_steps[] = {
	{"decide", NULL, unexport_settle, NULL, NULL},
	{"target", sync_apply, NULL, NULL, NULL},
};

/* ---------------------------------------------------------------- what an initiator needs */

struct showing {
	struct ebs_call *c;
	const char *id;
};

static json_t *unsealed(struct ebs *e, const json_t *login, struct err *err)
{
	json_t *shown = json_object();
	static const char *const sealed[] = {"secret", "back_secret"};
	char *plain;

	json_object_set(shown, "initiator", json_object_get(login, "initiator"));
	json_object_set(shown, "user", json_object_get(login, "user"));
	json_object_set(shown, "back_user", json_object_get(login, "back_user"));
	for (int i = 0; i < 2; i++) {
		if (seal_unwrap(e->seal, text_of(login, "id"), text_of(login, sealed[i]), &plain, err)) {
			json_decref(shown);
			return NULL;
		}
		json_object_set_new(shown, sealed[i], json_string(plain));
		seal_forget(plain);
	}
	return shown;
}

static int show_logins(struct store_tx *tx, void *arg, struct err *err)
{
	struct showing *s = arg;
	struct ebs *e = s->c->ebs;
	json_t *row = store_get(tx, T_VOLUME, s->id, err), *logins = json_array(), *portals = json_array(), *one;
	char *target = target_name(e, s->id);
	int rc = row ? 0 : -ENOENT;
	size_t i;

	json_array_foreach(json_object_get(row, "exported"), i, one)
	{
		json_t *shown = unsealed(e, one, err);

		if (shown)
			json_array_append_new(logins, shown);
		else
			rc = err->code;
	}
	for (unsigned k = 0; k < e->conf.nportals; k++)
		json_array_append_new(portals, json_string(e->conf.portals[k]));
	s->c->result = json_pack("{s:s, s:s, s:i, s:o, s:o}", "volume", s->id, "target", target ? target : "", "lun", 1,
				 "portals", portals, "logins", logins);
	free(target);
	json_decref(row);
	return rc;
}

void run_volume_login(struct ebs_call *c)
{
	char *id = find_id(c, &kind_volume, arg_text(c, "volume"));
	struct showing s = {c, id};
	struct err err = ERR_INIT;

	if (id && store_read(c->ebs->store, show_logins, &s, &err) && !c->code)
		ebs_fail_err(c, &err);
	free(id);
}
