/* SPDX-License-Identifier: GPL-2.0-only */
/* attach.c - attachments: a volume in a VM of a host that runs hybrid-agent.
 *
 * Attach: the row ("attaching") with its secrets, the target lets the host in, the host logs in, the VM gets the disk.
 * Detach: the VM gives it back (or is busy: then nothing has happened), the host logs out, the row goes, the target no
 * longer lets the host in.
 *
 * Crash stories
 * - We die between a step and its record: the agent's verbs and the target are idempotent, by the attachment's id.
 * - We die when the guest has let go and the journal does not say so: the detach is undone, the guest gets it back.
 * - The host dies while an attachment is being undone, or is detached by force: its agent is not waited for. The target
 *   shuts it out, so nothing it still does reaches the volume; when its agent comes back, what it has and the catalogue
 *   does not know is taken down (watch.c).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "verbs/priv.h"

#define SECRET_CHARS 24 /* 142 bits; RFC 7143 asks for 96 */
#define ATTACH_MS 180000

/* ---------------------------------------------------------------- the catalogue's side */

json_t *attachments_of(struct store_tx *tx, const char *column, const char *id, struct err *err)
{
	struct store_filter f = {.column = column, .values = &id, .nvalues = 1};
	struct store_query q = {.table = T_ATTACHMENT, .filters = &f, .nfilters = 1};

	return store_find(tx, &q, NULL, err);
}

static int seal_into(struct ebs *e, json_t *row, const char *column, const char *about, const char *secret)
{
	char *sealed = seal_wrap(e->seal, about, secret);

	if (!sealed)
		return -ENOMEM;
	json_object_set_new(row, column, json_string(sealed));
	free(sealed);
	return 0;
}

/* The volume's own secret, by which its target proves itself: tgt has one a target, so all logins share it. */
static int back_secret(struct ebs *e, const json_t *others, char to[SECRET_CHARS + 1], struct err *err)
{
	const json_t *first = json_array_get(others, 0);
	char *plain;
	int rc;

	if (!first) {
		seal_random(to, SECRET_CHARS);
		return 0;
	}
	rc = seal_unwrap(e->seal, text_of(first, "id"), text_of(first, "back_secret"), &plain, err);
	if (rc)
		return rc;
	snprintf(to, SECRET_CHARS + 1, "%s", plain);
	seal_forget(plain);
	return 0;
}

int login_secrets(struct ebs *e, json_t *row, const char *volume_id, const json_t *others, struct err *err)
{
	const char *id = text_of(row, "id");
	char secret[SECRET_CHARS + 1], back[SECRET_CHARS + 1];
	int rc = back_secret(e, others, back, err);

	if (rc)
		return rc;
	seal_random(secret, SECRET_CHARS);
	json_object_set_new(row, "user", json_string(id));
	json_object_set_new(row, "back_user", json_string(volume_id));
	rc = seal_into(e, row, "secret", id, secret);
	if (!rc)
		rc = seal_into(e, row, "back_secret", id, back);
	explicit_bzero(secret, sizeof(secret));
	explicit_bzero(back, sizeof(back));
	return rc ? err_set(err, rc, "out of memory") : 0;
}

static int set_volume_state(struct store_tx *tx, const char *id, const char *state, struct err *err)
{
	json_t *change = json_pack("{s:s}", "state", state);
	int rc = store_update(tx, T_VOLUME, id, change, err);

	json_decref(change);
	return rc;
}

static int may_attach(struct ebs_call *c, const json_t *volume, const json_t *others)
{
	const char *id = text_of(volume, "id"), *state = text_of(volume, "state");

	if (!strcmp(state, "in-use") && json_is_true(json_object_get(volume, "multi_attach")))
		return json_array_size(others) < 16 ? 0
						    : ebs_fail(c, EBS_ATTACHMENT_LIMIT, -EDQUOT,
							       "%s is attached to 16 VMs, more are not allowed", id);
	if (!strcmp(state, "in-use"))
		return ebs_fail(c, EBS_VOLUME_IN_USE, -EBUSY, "%s is already attached to an instance", id);
	if (strcmp(state, "available"))
		return ebs_fail(c, EBS_INCORRECT_STATE, -EBUSY, "Volume '%s' is in the '%s' state.", id, state);
	/* Whatever the state says: two VMs must never write one disk. */
	if (json_array_size(others))
		return ebs_fail(c, EBS_VOLUME_IN_USE, -EBUSY, "%s is already attached to an instance", id);
	return 0;
}

static const char *mode_of(const struct ebs_call *c)
{
	return arg_text(c, "mode") ? arg_text(c, "mode") : "rw";
}

/* tgtd's disk is read-only for all that are logged in, or for none. Who was promised that a guest cannot write must not
 * be deceived by another's attachment. */
static int same_mode(struct ebs_call *c, const json_t *others)
{
	const char *mode = text_of(json_array_get(others, 0), "mode");

	if (!mode || !strcmp(mode, mode_of(c)))
		return 0;
	return ebs_fail(c, EBS_INVALID_COMBINATION, -EINVAL, "%s is attached %s: its attachments are all alike",
			arg_text(c, "volume"), !strcmp(mode, "ro") ? "read-only" : "for reading and writing");
}

/* Named, or the first that is free from xvdf on, as EC2 recommends. Plain hosts have none. */
static int choose_device(struct store_tx *tx, struct ebs_call *c, json_t *doc)
{
	const char *vm = text_of(doc, "vm_id"), *asked = text_of(doc, "device");
	struct err err = ERR_INIT;
	json_t *taken, *row;
	char device[] = "xvdf";
	size_t i;
	int rc = 0;

	if (!vm)
		return 0;
	taken = attachments_of(tx, "vm_id", vm, &err);
	if (!taken)
		return ebs_fail_err(c, &err);
	for (; !asked && device[3] <= 'z'; device[3]++) {
		bool used = false;

		json_array_foreach(taken, i, row)
			used |= text_of(row, "device") && !strcmp(text_of(row, "device"), device);
		if (!used)
			break;
	}
	json_array_foreach(taken, i, row) if (asked && text_of(row, "device") && !strcmp(text_of(row, "device"), asked))
		rc = ebs_fail(c, EBS_INVALID_PARAMETER, -EEXIST,
			      "Invalid value '%s' for unixDevice. Attachment point %s is already in use", asked, asked);
	if (!rc && !asked && device[3] > 'z')
		rc = ebs_fail(c, EBS_ATTACHMENT_LIMIT, -EDQUOT, "no device name is free in %s", vm);
	if (!rc && !asked)
		json_object_set_new(doc, "device", json_string(device));
	json_decref(taken);
	return rc;
}

static int insert_attachment(struct store_tx *tx, struct ebs_call *c, const json_t *doc, const json_t *others)
{
	struct err err = ERR_INIT;
	json_int_t now = (json_int_t)ebs_now_ms(c->ebs);
	json_t *row = json_pack(
		"{s:O, s:O, s:O, s:O*, s:O*, s:s, s:O*, s:s, s:I, s:I}", "id", json_object_get(doc, "attachment"),
		"volume_id", json_object_get(doc, "id"), "host_id", json_object_get(doc, "host_id"), "vm_id",
		json_object_get(doc, "vm_id"), "device", json_object_get(doc, "device"), "state", "attaching",
		"initiator", json_object_get(doc, "initiator"), "mode",
		mode_of(c), "created_ms", now, "deadline_ms", now + ATTACH_MS);
	int rc = row ? login_secrets(c->ebs, row, text_of(doc, "id"), others, &err)
		     : err_set(&err, -ENOMEM, "out of memory");

	if (!rc)
		rc = store_insert(tx, T_ATTACHMENT, row, &err);
	if (!rc)
		rc = set_volume_state(tx, text_of(doc, "id"), "in-use", &err);
	json_decref(row);
	return rc ? ebs_fail_err(c, &err) : 0;
}

static int attach_begin(struct store_tx *tx, struct ebs_call *c, json_t *doc)
{
	struct err err = ERR_INIT;
	json_t *volume = find_row(tx, c, &kind_volume, text_of(doc, "id"));
	json_t *others = volume ? attachments_of(tx, "volume_id", text_of(doc, "id"), &err) : NULL;
	int rc = volume ? others ? 0 : ebs_fail_err(c, &err) : -ENOENT;

	if (!rc)
		rc = may_attach(c, volume, others);
	if (!rc)
		rc = same_mode(c, others);
	if (!rc && json_array_size(json_object_get(volume, "exported")))
		rc = ebs_fail(c, EBS_VOLUME_IN_USE, -EBUSY, "Volume %s is exported", text_of(doc, "id"));
	if (!rc)
		rc = choose_device(tx, c, doc);
	if (!rc)
		rc = insert_attachment(tx, c, doc, others);
	json_decref(others);
	json_decref(volume);
	return rc;
}

/* ---------------------------------------------------------------- which host, which VM */

struct place {
	struct ebs_call *c;
	json_t *doc;
};

/* A host on which one's VM is said to be: if it is not there, the VM is not. */
static json_t *find_host(struct store_tx *tx, struct ebs_call *c, const struct kind *k, const char *text)
{
	json_t *host = find_any(tx, c, k, text);

	if (!host && c->code && !strcmp(c->code, ebs_code_text(k->missing))) {
		c->code = NULL;
		c->err = ERR_INIT;
		ebs_fail(c, EBS_NO_INSTANCE, -ENOENT, "The instance ID '%.100s' does not exist", arg_text(c, "vm"));
	}
	return host;
}

/* "vm" is an id, or a name on "host"; without "vm" the host itself gets the disk. */
static int read_place(struct store_tx *tx, void *arg, struct err *err)
{
	struct place *p = arg;
	struct ebs_call *c = p->c;
	json_t *vm = NULL, *host = NULL;
	const char *name = arg_text(c, "vm");

	/* Of a VM that is the caller's the host need not be; and that it is there is not told by its name. */
	if (arg_given(c, "host"))
		host = (name && c->only_tags ? find_host : find_row)(tx, c, &kind_host, arg_text(c, "host"));
	if (!c->code && name && host && !ebs_is_id(name, "i-")) {
		const char *host_id = text_of(host, "id");
		struct store_filter f[] = {{.column = "host_id", .values = &host_id, .nvalues = 1},
					   {.column = "name", .values = &name, .nvalues = 1}};
		struct store_query q = {.table = T_VM, .filters = f, .nfilters = 2};
		json_t *rows = store_find(tx, &q, NULL, err);

		vm = json_incref(json_array_get(rows, 0));
		json_decref(rows);
		if (vm && !rights_own(tx, c, vm)) {
			rights_refused(c, text_of(vm, "id"));
			json_decref(vm);
			vm = NULL;
		}
		if (!vm)
			ebs_fail(c, EBS_NO_INSTANCE, -ENOENT, "The instance ID '%.100s' does not exist", name);
	} else if (!c->code && name) {
		vm = find_row(tx, c, &kind_vm, name);
	}
	if (!c->code && vm && !host)
		host = find_any(tx, c, &kind_host, text_of(vm, "host_id"));
	if (!c->code && vm && strcmp(text_of(vm, "host_id"), text_of(host, "id")))
		ebs_fail(c, EBS_NO_INSTANCE, -ENOENT, "The instance ID '%.100s' does not exist on that host", name);
	if (!c->code && !host)
		ebs_fail(c, EBS_MISSING_PARAMETER, -EINVAL, "The request must contain the parameter host or vm.");
	if (!c->code) {
		static const char *const of_host[][2] = {
			{"host_id", "id"}, {"url", "url"}, {"pin", "pin"}, {"initiator", "initiator"}};

		for (size_t i = 0; i < sizeof(of_host) / sizeof(*of_host); i++)
			json_object_set(p->doc, of_host[i][0], json_object_get(host, of_host[i][1]));
		if (vm) {
			json_object_set(p->doc, "vm_id", json_object_get(vm, "id"));
			json_object_set(p->doc, "vm", json_object_get(vm, "name"));
		}
	}
	json_decref(vm);
	json_decref(host);
	return c->code ? c->err.code : 0;
}

/* A VM that is not known yet may have been started a moment ago. */
static bool find_place(struct ebs_call *c, json_t *doc)
{
	struct place p = {c, doc};
	struct err err = ERR_INIT;

	store_read(c->ebs->store, read_place, &p, &err);
	if (c->code && !strcmp(c->code, ebs_code_text(EBS_NO_INSTANCE)) && arg_given(c, "host") &&
	    !host_refresh(c->ebs, arg_text(c, "host"), NULL)) {
		c->code = NULL;
		c->err = ERR_INIT;
		store_read(c->ebs->store, read_place, &p, &err);
	}
	if (!c->code && err.code)
		ebs_fail_err(c, &err);
	return !c->code;
}

void run_volume_attach(struct ebs_call *c)
{
	char *id = find_id(c, &kind_volume, arg_text(c, "volume")), attachment[EBS_ID_MAX];
	const char *locks[] = {id};
	struct change ch = {.saga = "volume-attach",
			    .resource = id,
			    .locks = locks,
			    .nlocks = 1,
			    .begin = attach_begin,
			    .kind = &kind_volume,
			    .show = volume_shown};

	if (!id)
		return;
	ebs_new_id(attachment, "vol-att-");
	ch.doc = json_pack("{s:s, s:s, s:s?}", "id", id, "attachment", attachment, "device", arg_text(c, "device"));
	if (find_place(c, ch.doc))
		change_run(c, &ch);
	else
		json_decref(ch.doc);
	free(id);
}

/* ---------------------------------------------------------------- steps */

static int step_target(struct saga *s, struct err *err)
{
	return target_sync(s->ctx, text_of(s->doc, "id"), false, err);
}

/* Kept until its host has been seen without it: only what was here once is ever taken down there (host.c). */
static int keep_gone(struct store_tx *tx, const json_t *doc, struct err *err)
{
	json_t *id = json_sprintf(GONE "%s", text_of(doc, "attachment"));
	json_t *row = json_pack("{s:o, s:O*}", "id", id, "value", json_object_get(doc, "host_id"));
	int rc = row ? store_insert(tx, T_SETTING, row, err) : err_set(err, -ENOMEM, "out of memory");

	json_decref(row);
	if (rc != -EEXIST)
		return rc;
	*err = ERR_INIT;
	return 0;
}

static int drop_attachment(struct store_tx *tx, void *arg, struct err *err)
{
	const json_t *doc = arg;
	int rc = store_delete(tx, T_ATTACHMENT, text_of(doc, "attachment"), err);
	json_t *left;

	rc = rc ? rc : keep_gone(tx, doc, err);

	if (rc == -ENOENT) {
		*err = ERR_INIT;
		rc = 0;
	}
	left = rc ? NULL : attachments_of(tx, "volume_id", text_of(doc, "id"), err);
	if (!left)
		return rc ? rc : err->code;
	rc = json_array_size(left) ? 0 : set_volume_state(tx, text_of(doc, "id"), "available", err);
	json_decref(left);
	return rc;
}

static int undo_target(struct saga *s, struct err *err)
{
	struct ebs *e = s->ctx;
	int rc = store_write(e->store, drop_attachment, s->doc, err);

	return rc ? rc : target_sync(e, text_of(s->doc, "id"), true, err);
}

static json_t *ask_agent(struct saga *s, const char *verb, json_t *args, struct err *err)
{
	struct ebs *e = s->ctx;
	json_t *result;

	json_object_set(args, "attachment", json_object_get(s->doc, "attachment"));
	result = agent_call(e->agents, text_of(s->doc, "url"), text_of(s->doc, "pin"), verb, args, AGENT_CALL_MS, err);
	json_decref(args);
	return result;
}

/* Of a step that must not keep a volume locked for ever, whatever the host says: enough. */
#define ENOUGH_TRIES 5

/* The host is gone, or will not be waited for: the target shuts it out. */
static int unless_gone(int rc, bool not_waited_for, struct err *err)
{
	bool gone = rc == -EHOSTDOWN || rc == -EHOSTUNREACH || rc == -ETIMEDOUT || rc == -ECONNREFUSED ||
		    rc == -EKEYREJECTED;

	if (!gone || !not_waited_for)
		return rc;
	*err = ERR_INIT;
	return 0;
}

/* A host that is there, but cannot do what it is asked (a VM that is no more, a damaged delegate): after some tries the
 * target shuts it out as well, and what it keeps is taken down when it can be (host.c). */
static int unless_enough(const struct saga *s, int rc, struct err *err)
{
	if (!rc || s->tries < ENOUGH_TRIES)
		return rc;
	*err = ERR_INIT;
	return 0;
}

struct secrets {
	struct ebs *e;
	const char *id;
	json_t *args;
};

static int unseal_into(struct secrets *s, const json_t *row, const char *column, struct err *err)
{
	char *plain;
	int rc = seal_unwrap(s->e->seal, s->id, text_of(row, column), &plain, err);

	if (!rc)
		json_object_set_new(s->args, column, json_string(plain));
	if (!rc)
		seal_forget(plain);
	return rc;
}

static int read_secrets(struct store_tx *tx, void *arg, struct err *err)
{
	struct secrets *s = arg;
	json_t *row = store_get(tx, T_ATTACHMENT, s->id, err);
	int rc = row ? 0 : err->code ? err->code : err_set(err, -ENOENT, "attachment %s is gone", s->id);

	if (!rc)
		rc = unseal_into(s, row, "secret", err);
	if (!rc)
		rc = unseal_into(s, row, "back_secret", err);
	if (!rc) {
		json_object_set(s->args, "user", json_object_get(row, "user"));
		json_object_set(s->args, "back_user", json_object_get(row, "back_user"));
		json_object_set(s->args, "mode", json_object_get(row, "mode"));
	}
	json_decref(row);
	return rc;
}

/* What a host needs to log in; new reference, or NULL. */
static json_t *login_args(struct saga *s, struct err *err)
{
	struct ebs *e = s->ctx;
	struct secrets secrets = {e, text_of(s->doc, "attachment"), json_object()};
	char *target = target_name(e, text_of(s->doc, "id"));
	json_t *portals = json_array();

	for (unsigned i = 0; i < e->conf.nportals; i++)
		json_array_append_new(portals, json_string(e->conf.portals[i]));
	json_object_set_new(secrets.args, "portals", portals);
	json_object_set_new(secrets.args, "target", json_string(target));
	json_object_set_new(secrets.args, "lun", json_integer(1));
	json_object_set(secrets.args, "volume", json_object_get(s->doc, "id"));
	free(target);
	if (!store_read(e->store, read_secrets, &secrets, err))
		return secrets.args;
	json_decref(secrets.args);
	return NULL;
}

static int step_login(struct saga *s, struct err *err)
{
	json_t *args = login_args(s, err), *result;

	if (!args)
		return err->code;
	result = ask_agent(s, "login", args, err);
	if (!result)
		return err->code;
	if (json_is_string(json_object_get(result, "path")))
		json_object_set(s->doc, "path", json_object_get(result, "path"));
	json_decref(result);
	return 0;
}

static int undo_login(struct saga *s, struct err *err)
{
	json_t *result = ask_agent(s, "logout", json_object(), err);

	json_decref(result);
	return result ? 0 : unless_enough(s, unless_gone(err->code, true, err), err);
}

static int step_attach(struct saga *s, struct err *err)
{
	json_t *args = login_args(s, err), *result;
	static const char *const wanted[] = {"vm", "device", "path"};

	if (!args)
		return err->code;
	for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++)
		if (json_is_string(json_object_get(s->doc, wanted[i])))
			json_object_set(args, wanted[i], json_object_get(s->doc, wanted[i]));
	result = ask_agent(s, "attach", args, err);
	if (!result)
		return err->code;
	if (json_is_string(json_object_get(result, "device")))
		json_object_set(s->doc, "device", json_object_get(result, "device"));
	json_decref(result);
	return 0;
}

static int detach_now(struct saga *s, bool force, struct err *err)
{
	json_t *result = ask_agent(s, "detach", json_pack("{s:b}", "force", force), err);

	json_decref(result);
	return result ? 0 : unless_gone(err->code, force, err);
}

static int undo_attach(struct saga *s, struct err *err)
{
	return unless_enough(s, detach_now(s, true, err), err);
}

static int attach_settle(struct store_tx *tx, struct saga *s, struct err *err)
{
	json_t *change = json_pack("{s:s, s:n, s:O*, s:O*}", "state", "attached", "deadline_ms", "device",
				   json_object_get(s->doc, "device"), "path", json_object_get(s->doc, "path"));
	int rc = store_update(tx, T_ATTACHMENT, text_of(s->doc, "attachment"), change, err);

	json_decref(change);
	return rc;
}

const struct saga_step volume_attach_steps[] = {
	{"target", step_target, NULL, undo_target, NULL},
	{"login", step_login, NULL, undo_login, NULL},
	{"attach", step_attach, attach_settle, undo_attach, NULL},
};

/* ---------------------------------------------------------------- detach */

/* vm: an id, or a name. A name on one host only may be another's on the next, so it is not looked for among all VMs but
 * among those that have the volume. */
static bool is_of_vm(struct store_tx *tx, const json_t *attachment, const char *vm)
{
	const char *id = text_of(attachment, "vm_id");
	struct err err = ERR_INIT;
	json_t *row;
	bool is;

	if (!id || ebs_is_id(vm, "i-"))
		return id && !strcmp(id, vm);
	row = store_get(tx, T_VM, id, &err);
	is = text_of(row, "name") && !strcmp(text_of(row, "name"), vm);
	json_decref(row);
	return is;
}

/* The attachment that is meant: of that VM or host, or the only one. */
static json_t *which(struct store_tx *tx, struct ebs_call *c, const char *volume_id)
{
	struct err err = ERR_INIT;
	json_t *rows = attachments_of(tx, "volume_id", volume_id, &err), *row, *found = NULL;
	json_t *vm = NULL;
	size_t i, n = 0;

	json_array_foreach(rows, i, row)
	{
		bool meant = !arg_given(c, "vm") || is_of_vm(tx, row, arg_text(c, "vm"));

		if (meant && arg_given(c, "device"))
			meant = text_of(row, "device") && !strcmp(text_of(row, "device"), arg_text(c, "device"));
		if (meant && arg_given(c, "attachment"))
			meant = !strcmp(text_of(row, "id"), arg_text(c, "attachment"));
		if (meant && ++n == 1)
			found = json_incref(row);
	}
	if (!c->code && !json_array_size(rows))
		ebs_fail(c, EBS_INCORRECT_STATE, -ENOENT, "Volume '%s' is in the 'available' state.", volume_id);
	else if (!c->code && !n)
		ebs_fail(c, EBS_NO_ATTACHMENT, -ENOENT, "Volume '%s' is not attached there", volume_id);
	else if (!c->code && n > 1)
		ebs_fail(c, EBS_AMBIGUOUS, -ENOTUNIQ, "Volume '%s' is attached %zu times: say from which VM", volume_id,
			 n);
	/* Is it there for this caller? */
	if (!c->code && found && arg_given(c, "vm"))
		vm = find_row(tx, c, &kind_vm, text_of(found, "vm_id"));
	if (c->code) {
		json_decref(found);
		found = NULL;
	}
	json_decref(vm);
	json_decref(rows);
	return found;
}

/* For the way back. */
static void keep_vm_name(struct store_tx *tx, json_t *doc, const json_t *attachment)
{
	struct err err = ERR_INIT;
	json_t *vm = text_of(attachment, "vm_id") ? store_get(tx, T_VM, text_of(attachment, "vm_id"), &err) : NULL;

	if (vm)
		json_object_set(doc, "vm", json_object_get(vm, "name"));
	json_decref(vm);
}

static int detach_begin(struct store_tx *tx, struct ebs_call *c, json_t *doc)
{
	json_t *row = which(tx, c, text_of(doc, "id")), *host = NULL, *change;
	struct err err = ERR_INIT;
	int rc = row ? 0 : c->err.code;

	if (!rc) {
		host = store_get(tx, T_HOST, text_of(row, "host_id"), &err);
		json_object_set(doc, "attachment", json_object_get(row, "id"));
		json_object_set(doc, "host_id", json_object_get(row, "host_id"));
		json_object_set(doc, "device", json_object_get(row, "device"));
		json_object_set(doc, "path", json_object_get(row, "path"));
		keep_vm_name(tx, doc, row);
		json_object_set(doc, "url", json_object_get(host, "url"));
		json_object_set(doc, "pin", json_object_get(host, "pin"));
		change = json_pack("{s:s, s:I}", "state", "detaching", "deadline_ms",
				   (json_int_t)ebs_now_ms(c->ebs) + ATTACH_MS);
		rc = store_update(tx, T_ATTACHMENT, text_of(row, "id"), change, &err);
		json_decref(change);
		if (rc)
			ebs_fail_err(c, &err);
	}
	json_decref(host);
	json_decref(row);
	return rc;
}

void run_volume_detach(struct ebs_call *c)
{
	char *id = find_id(c, &kind_volume, arg_text(c, "volume"));
	const char *locks[] = {id};
	struct change ch = {.saga = "volume-detach",
			    .resource = id,
			    .locks = locks,
			    .nlocks = 1,
			    .begin = detach_begin,
			    .kind = &kind_volume,
			    .show = volume_shown};

	if (!id)
		return;
	ch.doc = json_pack("{s:s, s:b}", "id", id, "force", arg_bool(c, "force"));
	change_run(c, &ch);
	free(id);
}

static int step_detach(struct saga *s, struct err *err)
{
	bool force = json_is_true(json_object_get(s->doc, "force"));
	int rc = detach_now(s, force, err);

	if (rc && force && rc != -EAGAIN) { /* it has been tried; the target shuts it out */
		*err = ERR_INIT;
		return 0;
	}
	return rc == -EBUSY ? err_set(err, -EBUSY, "the guest still uses volume %s; unmount it there, or use force",
				      text_of(s->doc, "id"))
			    : rc;
}

/* The guest may have let go, and we died: it gets its disk back. A host that is gone is not waited for; nor is one that
 * cannot give it back (its VM is no more): the attachment stays in the catalogue, so nobody else gets the disk until it
 * is detached by force. */
static int undo_detach(struct saga *s, struct err *err)
{
	return unless_enough(s, unless_gone(step_attach(s, err), true, err), err);
}

/* "busy" is EC2's word for it: the guest was asked and has not let go. */
static int detach_undone(struct store_tx *tx, struct saga *s, struct err *err)
{
	json_t *change = json_pack("{s:s, s:n}", "state", "attached", "deadline_ms");
	int rc = store_update(tx, T_ATTACHMENT, text_of(s->doc, "attachment"), change, err);

	json_decref(change);
	return rc;
}

static int step_logout(struct saga *s, struct err *err)
{
	return undo_login(s, err);
}

static int detach_settle(struct store_tx *tx, struct saga *s, struct err *err)
{
	return drop_attachment(tx, s->doc, err);
}

static int step_shut_out(struct saga *s, struct err *err)
{
	return target_sync(s->ctx, text_of(s->doc, "id"), true, err);
}

const struct saga_step volume_detach_steps[] = {
	{"detach", step_detach, NULL, undo_detach, detach_undone},
	{"logout", step_logout, detach_settle, NULL, NULL},
	{"target", step_shut_out, NULL, NULL, NULL},
};
