/* SPDX-License-Identifier: GPL-2.0-only */
/* devices.c - what a VM has, as its hypervisor says; what this host has. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "agent/need.h"
#include "agent/priv.h"

#define VMS_MAX 4096

struct look {
	const char *device;
	bool found;
	struct captures c;
};

static void look_at(void *arg, const struct captures *c)
{
	struct look *l = arg;
	char of_number[16];
	const char *device = c->c[C_DEVICE];

	if (!*device && *c->c[C_VDEV] && value_device_of_vdev((uint32_t)strtoul(c->c[C_VDEV], NULL, 10), of_number))
		device = of_number;
	if (!l->found && !strcmp(device, l->device)) {
		l->found = true;
		l->c = *c;
	}
}

/* The same device by two names? */
static bool same_source(const char *a, const char *b)
{
	char x[PATH_MAX], y[PATH_MAX];

	if (!strcmp(a, b))
		return true;
	return !strncmp(a, "/dev/", 5) && !strncmp(b, "/dev/", 5) && realpath(a, x) && realpath(b, y) && !strcmp(x, y);
}

/* What is behind the disk that was found, if the delegate can tell. */
static int ask_source(struct work *w, struct look *l, struct err *err)
{
	const struct delegate *d = w->a->delegate;
	struct values v = { { NULL } };
	int e = 0;

	if (*l->c.c[C_SOURCE] || !d->ops[OP_SOURCE].given)
		return 0;
	values_copy(&v, &w->v);
	if (*l->c.c[C_BACKEND])
		e = values_set(&v, V_BACKEND, l->c.c[C_BACKEND], err);
	if (e == 0)
		e = perform(d, OP_SOURCE, &v, w->a->conf->programs, &l->c, err);
	values_free(&v);
	return e;
}

int find_device(struct work *w, const char *before, enum found *ret, struct err *err)
{
	const struct delegate *d = w->a->delegate;
	const char *const mode[2] = { d->mode[0], d->mode[1] };
	struct look l = { .device = w->v.v[V_DEVICE] };
	char *want = NULL;
	int e;

	*ret = FOUND_UNKNOWN;
	if (!d->ops[OP_DEVICES].given || !w->v.v[V_VM] || !w->v.v[V_DEVICE])
		return 0;
	e = perform_each(d, OP_DEVICES, &w->v, w->a->conf->programs, look_at, &l, err);
	if (e == 0 && l.found)
		e = ask_source(w, &l, err);
	if (e < 0)
		return e;
	if (!l.found) {
		*ret = FOUND_NOT;
		return 0;
	}
	/* Where nobody can tell what is behind it, it is ours if we were at it before. */
	if (!*l.c.c[C_SOURCE]) {
		*ret = *before && strncmp(before, "log", 3) != 0 ? FOUND_OURS : FOUND_OTHER;
		return 0;
	}
	e = template_expand(&d->source, TEMPLATE_FILE, &w->v, mode, &want, err);
	if (e == 0)
		*ret = same_source(l.c.c[C_SOURCE], want) ? FOUND_OURS : FOUND_OTHER;
	free(want);
	return e;
}

/* ------------------------------------------------------------------ VMs */

struct vms {
	json_t *list;
	json_t *by_name;
};

/* xl's six letters as a word; others' blanks go. */
static json_t *state_word(const char *s)
{
	static const struct { char letter; const char *word; } words[] = {
		{ 'd', "dying" }, { 'c', "crashed" }, { 's', "shut-off" }, { 'p', "paused" },
	};
	char text[CAPTURE_MAX];
	size_t n = 0;

	if (strlen(s) == 6 && strspn(s, "rbpscd-") == 6) {
		for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
			if (strchr(s, words[i].letter))
				return need(json_string(words[i].word));
		return need(json_string("running"));
	}
	for (; s[n]; n++)
		text[n] = s[n] == ' ' ? '-' : s[n] < ' ' || s[n] > '~' ? '?' : s[n];
	text[n] = '\0';
	return need(json_string(text));
}

static void put_number(json_t *vm, const char *key, const char *s, uint64_t factor)
{
	uint64_t n;

	if (!*s || strlen(s) > 15 || strspn(s, "0123456789") != strlen(s))
		return;
	n = strtoull(s, NULL, 10);
	if (n <= INT64_MAX / factor)
		json_object_set_new(vm, key, need(json_integer((json_int_t)(n * factor))));
}

static void fill(json_t *vm, const struct captures *c)
{
	if (*c->c[C_ID])
		json_object_set_new(vm, "id", need(json_stringn(c->c[C_ID], strspn(c->c[C_ID], "0123456789"))));
	if (value_ok(V_UUID, c->c[C_UUID]))
		json_object_set_new(vm, "uuid", need(json_string(c->c[C_UUID])));
	if (*c->c[C_STATE])
		json_object_set_new(vm, "state", state_word(c->c[C_STATE]));
	put_number(vm, "vcpus", c->c[C_VCPUS], 1);
	put_number(vm, "memory_bytes", c->c[C_MIB], 1 << 20);
	put_number(vm, "memory_bytes", c->c[C_KIB], 1 << 10);
	put_number(vm, "memory_bytes", c->c[C_BYTES], 1);
}

/* One line about a VM; a name that cannot be one of ours could not be used in any verb either. */
static void add_vm(void *arg, const struct captures *c)
{
	struct vms *all = arg;
	json_t *vm;

	if (!value_ok(V_VM, c->c[C_NAME]) || json_array_size(all->list) >= VMS_MAX)
		return;
	vm = json_object_get(all->by_name, c->c[C_NAME]);
	if (!vm) {
		vm = need(json_pack("{s:s, s:n, s:n, s:s, s:n, s:n}", "name", c->c[C_NAME], "id", "uuid", "state",
				    "unknown", "vcpus", "memory_bytes"));
		json_array_append(all->list, vm);
		json_object_set_new(all->by_name, c->c[C_NAME], vm);
	}
	fill(vm, c);
}

static void show_line(void *vm, const struct captures *c)
{
	fill(vm, c);
}

static int list_vms(struct agent *a, struct vms *all, struct err *err)
{
	struct values v = { { NULL } };
	json_t *vm;
	size_t i;
	int e = perform_each(a->delegate, OP_LIST, &v, a->conf->programs, add_vm, all, err);

	if (e < 0 || !a->delegate->ops[OP_SHOW].given)
		return e;
	json_array_foreach(all->list, i, vm) {
		struct err gone = ERR_INIT;

		e = values_set(&v, V_VM, json_string_value(json_object_get(vm, "name")), &gone);
		/* One that ends meanwhile is no error: its line is there, as it was. */
		if (e == 0)
			perform_each(a->delegate, OP_SHOW, &v, a->conf->programs, show_line, vm, &gone);
	}
	values_free(&v);
	return 0;
}

/* ------------------------------------------------------------------ attachments */

/* "gone": it says that there is a disk or a login, but that is not so: the VM was shut down, somebody else took the
 * disk away, or the host was started anew. */
static int true_state(struct work *w, const char **ret, struct err *err)
{
	const char *boot = json_string_value(json_object_get(w->entry, "boot"));
	enum found found = FOUND_UNKNOWN;
	int e = find_device(w, work_state(w), &found, err);
	bool missing = found == FOUND_NOT || found == FOUND_OTHER;

	*ret = work_state(w);
	if (found == FOUND_UNKNOWN)
		missing = !boot || strcmp(boot, w->a->boot) != 0;
	if (e == 0 && missing && strcmp(*ret, "attaching") != 0 && strcmp(*ret, "logging-in") != 0)
		*ret = "gone";
	return e;
}

static int list_one(struct agent *a, const char *id, json_t *list, struct err *err)
{
	static const enum value_kind shown_kinds[] = { V_VM, V_DEVICE, V_PATH };
	json_t *none = need(json_object()), *row;
	const char *state = "";
	struct work w;
	int e = work_begin(&w, a, id, none, err);

	if (e == 0 && w.entry)
		e = true_state(&w, &state, err);
	if (e == 0 && w.entry) {
		row = need(json_pack("{s:s, s:s}", "attachment", id, "state", state));
		for (size_t i = 0; i < 3; i++) {
			const char *s = w.v.v[shown_kinds[i]];

			json_object_set_new(row, value_name(shown_kinds[i]), s ? need(json_string(s)) : json_null());
		}
		json_array_append_new(list, row);
	}
	work_end(&w);
	json_decref(none);
	return e;
}

json_t *verb_list(struct agent *a, struct err *err)
{
	struct vms all = { need(json_array()), need(json_object()) };
	json_t *attachments = need(json_array()), *state = state_all(a->state), *entry, *result = NULL;
	const char *id;
	int e = list_vms(a, &all, err);

	json_object_foreach(state, id, entry) {
		e = e < 0 ? e : list_one(a, id, attachments, err);
	}
	if (e == 0)
		result = need(json_pack("{s:O, s:O}", "vms", all.list, "attachments", attachments));
	json_decref(state);
	json_decref(attachments);
	json_decref(all.list);
	json_decref(all.by_name);
	return result;
}
