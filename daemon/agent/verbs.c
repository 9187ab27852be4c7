/* SPDX-License-Identifier: GPL-2.0-only */
/* verbs.c - login, attach, detach, logout, rescan: each from whatever an earlier try left.
 *
 * Crash story. The entry's state is written, durably, before the host is touched:
 *
 *	(none) -> logging-in -> logged-in -> attaching -> attached -> detaching -> logged-in -> logging-out -> (none)
 *
 * Killed in a state that ends with "ing", nobody knows how far it came. The same verb again looks (is there a session,
 * a disk in that place with our source?) and does what is missing; the opposite verb undoes what is there. Written the
 * other way round - touch, then write - a disk could be in a VM that no entry knows of, and list would not show it.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "agent/need.h"
#include "agent/priv.h"

#define POLL_MS 200

/* Does a VM, or the host itself, have its disk, perhaps? */
static bool is_in_vm(const char *state)
{
	return !strcmp(state, "attaching") || !strcmp(state, "attached") || !strcmp(state, "detaching") ||
	       !strcmp(state, "busy");
}

/* ------------------------------------------------------------------ login */

static struct iscsi_conf iscsi_of(const struct agent *a)
{
	const struct agent_conf *c = a->conf;

	return (struct iscsi_conf){ c->iscsiadm, c->nodes, c->by_path, c->programs, c->wait_ms };
}

/* By the delegate's commands, at the first portal that lets us. */
static int login_commands(struct work *w, struct err *err)
{
	struct captures c;
	int e = 0;

	for (const char **p = w->portals; *p; p++) {
		memset(&c, 0, sizeof(c));
		*err = ERR_INIT;
		e = values_set(&w->v, V_PORTAL, *p, err);
		if (e == 0)
			e = perform(w->a->delegate, OP_LOGIN, &w->v, w->a->conf->programs, &c, err);
		if (e == 0)
			return *c.c[C_PATH] ? values_set(&w->v, V_PATH, c.c[C_PATH], err) : 0;
	}
	return e;
}

json_t *verb_login(struct work *w, struct err *err)
{
	const struct operation *op = &w->a->delegate->ops[OP_LOGIN];
	const struct iscsi_conf iscsi = iscsi_of(w->a);
	const char *before = work_state(w);
	int e = 0;

	if (!w->v.v[V_TARGET] || !w->portals[0])
		e = err_set(err, -EINVAL, "login needs \"target\" and \"portals\"");
	if (e == 0 && (!w->v.v[V_USER] != !w->v.v[V_SECRET] || !w->v.v[V_BACK_USER] != !w->v.v[V_BACK_SECRET]))
		e = err_set(err, -EINVAL, "a user and its secret belong together");
	if (e == 0 && w->v.v[V_BACK_USER] && !w->v.v[V_USER])
		e = err_set(err, -EINVAL, "\"back_user\" needs \"user\"");
	/* Also when the file says that it is logged in: the host may have been started anew since. */
	if (e == 0)
		e = work_save(w, is_in_vm(before) ? before : "logging-in", false, err);
	if (e == 0 && op->builtin == BUILTIN_OPEN_ISCSI)
		e = iscsi_login(&iscsi, w->portals, &w->v, err);
	else if (e == 0 && op->given)
		e = login_commands(w, err);
	if (e < 0)
		return NULL;
	json_object_set_new(w->entry, "logged_in", json_true());
	before = work_state(w);
	if (work_save(w, is_in_vm(before) ? before : "logged-in", false, err) < 0)
		return NULL;
	return need(w->v.v[V_PATH] ? json_pack("{s:s}", "path", w->v.v[V_PATH]) : json_pack("{s:n}", "path"));
}

static int logout(struct work *w, struct err *err)
{
	const struct operation *op = &w->a->delegate->ops[OP_LOGOUT];
	const struct iscsi_conf iscsi = iscsi_of(w->a);
	int e = 0;

	if (op->builtin == BUILTIN_OPEN_ISCSI)
		return iscsi_logout(&iscsi, w->portals, &w->v, err);
	for (const char **p = w->portals; *p && op->given && e == 0; p++) {
		e = values_set(&w->v, V_PORTAL, *p, err);
		if (e == 0)
			e = perform(w->a->delegate, OP_LOGOUT, &w->v, w->a->conf->programs, NULL, err);
	}
	return e;
}

json_t *verb_logout(struct work *w, struct err *err)
{
	bool force = work_flag(w->args, "force") || work_flag(w->entry, "forced");
	int e = 0;

	if (is_in_vm(work_state(w))) {
		err_set(err, -EBUSY, "%s of %s has it: detach comes first", w->v.v[V_DEVICE] ?: "a disk",
			w->v.v[V_VM] ?: "a VM");
		return NULL;
	}
	if (!w->v.v[V_TARGET])		/* never was here, or is gone */
		return work_remove(w, err) < 0 ? NULL : need(json_object());
	if (!force && w->v.v[V_PATH])
		e = host_busy(w->v.v[V_PATH], err);
	if (e == 0)
		e = work_save(w, "logging-out", false, err);
	if (e == 0)
		e = logout(w, err);
	if (e == 0)
		e = work_remove(w, err);
	return e < 0 ? NULL : need(json_object());
}

json_t *verb_rescan(struct work *w, struct err *err)
{
	const struct operation *op = &w->a->delegate->ops[OP_RESCAN];
	const struct iscsi_conf iscsi = iscsi_of(w->a);
	int e = 0;

	if (!w->entry)
		e = err_set(err, -ENOENT, "there is no %s", w->id);
	else if (op->builtin == BUILTIN_OPEN_ISCSI)
		e = iscsi_rescan(&iscsi, &w->v, err);
	else if (op->given)
		e = perform(w->a->delegate, OP_RESCAN, &w->v, w->a->conf->programs, NULL, err);
	return e < 0 ? NULL : need(json_object());
}

/* ------------------------------------------------------------------ attach */

/* Do the arguments say the same place in a VM as the entry, if that says one? */
static int check_place(const struct work *w, int code, struct err *err)
{
	const char *vm = json_string_value(json_object_get(w->entry, "vm"));
	const char *device = json_string_value(json_object_get(w->entry, "device"));

	if ((!vm || !strcmp(vm, w->v.v[V_VM])) && (!device || !strcmp(device, w->v.v[V_DEVICE])))
		return 0;	/* values are the entry's where the arguments say nothing */
	return err_set(err, code, "it is %s of %s", device ? device : "a disk", vm ? vm : "this host");
}

/* The command failed, or may have: what is true now? */
static int attach_failed(struct work *w, int e, struct err *err)
{
	struct err why = ERR_INIT;
	enum found found;

	if (find_device(w, "attaching", &found, &why) < 0)
		return e;	/* cannot be known: it stays "attaching" */
	if (found == FOUND_OURS)
		return 0;
	/* Timed out, and nobody can tell: it may be there. */
	if (found == FOUND_UNKNOWN && e == -ETIMEDOUT)
		return e;
	if (work_save_detached(w, &why) < 0)
		err_wrap(err, "%s; and", why.text);
	return e;
}

static int attach(struct work *w, struct err *err)
{
	const struct operation *op = &w->a->delegate->ops[OP_ATTACH];
	struct captures c;
	struct err why = ERR_INIT;
	int e = 0;

	memset(&c, 0, sizeof(c));
	if (op->given && w->v.v[V_VM])
		e = perform(w->a->delegate, OP_ATTACH, &w->v, w->a->conf->programs, &c, &why);
	if (e < 0) {
		e = attach_failed(w, e, &why);
		return e < 0 ? err_set(err, e, "%s", why.text) : 0;
	}
	return *c.c[C_DEVICE] ? values_set(&w->v, V_DEVICE, c.c[C_DEVICE], err) : 0;
}

json_t *verb_attach(struct work *w, struct err *err)
{
	char before[32];
	enum found found = FOUND_UNKNOWN;
	bool same_boot = !strcmp(json_string_value(json_object_get(w->entry, "boot")) ?: "", w->a->boot);

	snprintf(before, sizeof(before), "%s", work_state(w));
	if (w->v.v[V_VM] ? !w->v.v[V_DEVICE] : !w->v.v[V_PATH]) {
		err_set(err, -EINVAL, w->v.v[V_VM] ? "attach needs \"device\"" :
			"without \"vm\" this host itself gets the disk, but has none: its delegate gives no path");
		return NULL;
	}
	if (is_in_vm(before) && check_place(w, -EEXIST, err) < 0)
		return NULL;
	json_object_del(w->entry, "forced");
	if (work_save(w, strcmp(before, "attached") ? "attaching" : before, true, err) < 0)
		return NULL;
	if (find_device(w, before, &found, err) == 0 && found == FOUND_OTHER)
		err_set(err, -EEXIST, "%s of %s is another disk", w->v.v[V_DEVICE], w->v.v[V_VM]);
	if (err->code) {
		/* Nothing was done yet; of an earlier try that may have been, nobody knows. */
		if (!is_in_vm(before) || found == FOUND_OTHER)
			work_save_detached(w, NULL);
		return NULL;
	}
	if (found == FOUND_NOT || (found == FOUND_UNKNOWN && (strcmp(before, "attached") != 0 || !same_boot))) {
		if (work_save(w, "attaching", true, err) < 0 || attach(w, err) < 0)
			return NULL;
	}
	if (work_save(w, "attached", true, err) < 0)
		return NULL;
	return need(w->v.v[V_DEVICE] ? json_pack("{s:s}", "device", w->v.v[V_DEVICE]) : json_object());
}

/* ------------------------------------------------------------------ detach */

static int ask_busy(struct work *w, struct err *err)
{
	const struct operation *op = &w->a->delegate->ops[OP_BUSY];

	if (op->builtin == BUILTIN_HOST || !w->v.v[V_VM])
		return w->v.v[V_PATH] ? host_busy(w->v.v[V_PATH], err) : 0;
	return op->given ? perform(w->a->delegate, OP_BUSY, &w->v, w->a->conf->programs, NULL, err) : 0;
}

/* A guest is asked, and lets go when it can: looked at until it has, or the time is over. */
static int wait_gone(struct work *w, enum found *found, struct err *err)
{
	const struct timespec pause = { 0, POLL_MS * 1000000L };
	int e;

	for (uint32_t ms = 0;; ms += POLL_MS) {
		e = find_device(w, "detaching", found, err);
		if (e < 0 || *found != FOUND_OURS || ms >= w->a->delegate->settle_ms)
			return e;
		nanosleep(&pause, NULL);
	}
}

/* 0: it is in no VM any more. */
static int take_out(struct work *w, bool force, struct err *err)
{
	const struct operation *forced = &w->a->delegate->ops[OP_DETACH_FORCE];
	struct err why = ERR_INIT;
	enum found found = FOUND_UNKNOWN;
	int e = find_device(w, "detaching", &found, err), done;

	if (e < 0 || found == FOUND_NOT || found == FOUND_OTHER)
		return e;
	if (!force && ask_busy(w, err) < 0)
		return err->code;
	if (!w->v.v[V_VM])
		return 0;	/* the host itself has it, with the login */
	done = perform(w->a->delegate, force && forced->given ? OP_DETACH_FORCE : OP_DETACH, &w->v,
		       w->a->conf->programs, NULL, &why);
	e = wait_gone(w, &found, err);
	if (e < 0)
		return e;
	if (found == FOUND_NOT || found == FOUND_OTHER || (found == FOUND_UNKNOWN && done == 0))
		return 0;
	/* Still there. A command that could not run at all says why; all else means that the guest holds it. */
	if (found == FOUND_UNKNOWN || done == -ENOENT || done == -EACCES || done == -EINVAL)
		return err_set(err, done, "%s", why.text);
	return err_set(err, -EBUSY, "%s does not let %s go%s%s", w->v.v[V_VM], w->v.v[V_DEVICE], done ? ": " : "",
		       why.text);
}

json_t *verb_detach(struct work *w, struct err *err)
{
	bool force = work_flag(w->args, "force");
	struct err why = ERR_INIT;
	int e;

	/* Not in the file: nothing to do, unless the manager says where it should be. */
	if (!is_in_vm(work_state(w)) && (!w->v.v[V_VM] || !w->v.v[V_DEVICE]))
		return need(json_object());
	if (check_place(w, -EINVAL, err) < 0)
		return NULL;
	if (force) {
		if (!w->entry)
			w->entry = need(json_object());
		json_object_set_new(w->entry, "forced", json_true());
	}
	if (work_save(w, "detaching", false, err) < 0)
		return NULL;
	e = take_out(w, force, err);
	if (e < 0) {
		/* Known to be there still; anything else leaves it open. */
		if (e == -EBUSY && work_save(w, "busy", false, &why) < 0)
			err_wrap(err, "%s; and", why.text);
		return NULL;
	}
	return work_save_detached(w, err) < 0 ? NULL : need(json_object());
}
