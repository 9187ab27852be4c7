/* SPDX-License-Identifier: GPL-2.0-only */
/* work.c - what a verb knows of its attachment: the state file's entry under the arguments. */
#include <errno.h>
#include <string.h>

#include "agent/need.h"
#include "agent/priv.h"

static const enum value_kind known[] = {
	V_VM, V_DEVICE, V_PATH, V_MODE, V_VOLUME, V_TARGET, V_PORTAL, V_LUN, V_SERIAL, V_INITIATOR, V_USER, V_BACK_USER,
	V_SECRET, V_BACK_SECRET,
};

static int set_one(struct values *v, enum value_kind kind, const json_t *value, struct err *err)
{
	char number[32];

	if (!value || json_is_null(value))
		return 0;
	if (kind == V_LUN && json_is_integer(value)) {
		snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		return values_set(v, kind, number, err);
	}
	if (!json_is_string(value))
		return err_set(err, -EINVAL, "\"%s\" has to be a string", value_name(kind));
	/* EC2 says "/dev/sdf". */
	if (kind == V_DEVICE && !strncmp(json_string_value(value), "/dev/", 5))
		return values_set(v, kind, json_string_value(value) + 5, err);
	return values_set(v, kind, json_string_value(value), err);
}

static int set_all(struct work *w, const json_t *from, struct err *err)
{
	int e = 0;

	for (size_t i = 0; i < sizeof(known) / sizeof(*known) && e == 0; i++)
		e = set_one(&w->v, known[i], json_object_get(from, value_name(known[i])), err);
	return e;
}

/* Borrowed from `from`. */
static int set_portals(struct work *w, const json_t *from, struct err *err)
{
	const json_t *list = json_object_get(from, "portals");
	size_t n = json_array_size(list);

	if (!list || json_is_null(list))
		return 0;
	if (!json_is_array(list) || !n || n > ISCSI_PORTALS_MAX)
		return err_set(err, -EINVAL, "\"portals\" has to be an array of 1 to %d", ISCSI_PORTALS_MAX);
	for (size_t i = 0; i < n; i++) {
		const char *s = json_string_value(json_array_get(list, i));

		if (!s || !value_ok(V_PORTAL, s))
			return err_set(err, -EINVAL, "\"portals\" has what is no ADDRESS:PORT");
		w->portals[i] = s;
	}
	w->portals[n] = NULL;
	return 0;
}

/* "vol-0123456789abcdef0" is too long for a serial by one: what EC2's own disks say is without the hyphen. */
static void default_serial(struct work *w)
{
	char serial[21];
	size_t n = 0;

	for (const char *s = w->v.v[V_VOLUME]; s && *s && n < 20; s++)
		if (*s != '-')
			serial[n++] = *s;
	serial[n] = '\0';
	if (n && !w->v.v[V_SERIAL])
		values_set(&w->v, V_SERIAL, serial, NULL);
}

int work_begin(struct work *w, struct agent *a, const char *id, const json_t *args, struct err *err)
{
	int e;

	*w = (struct work){ .a = a, .id = id, .args = args, .entry = state_get(a->state, id) };
	e = values_set(&w->v, V_ATTACHMENT, id, err);
	if (e == 0 && *a->initiator)
		e = values_set(&w->v, V_INITIATOR, a->initiator, err);
	if (e == 0 && w->entry) {
		e = set_all(w, w->entry, err);
		e = e < 0 ? e : set_portals(w, w->entry, err);
		if (e < 0)
			err_wrap(err, "the agent's state");
	}
	e = e < 0 ? e : set_all(w, args, err);
	e = e < 0 ? e : set_portals(w, args, err);
	if (e == 0 && !w->v.v[V_MODE])
		e = values_set(&w->v, V_MODE, "rw", err);
	if (e == 0 && !w->v.v[V_LUN])
		e = values_set(&w->v, V_LUN, "1", err);
	if (e == 0 && !w->v.v[V_PORTAL] && w->portals[0])
		e = values_set(&w->v, V_PORTAL, w->portals[0], err);
	default_serial(w);
	return e;
}

void work_end(struct work *w)
{
	json_decref(w->entry);
	values_free(&w->v);
}

const char *work_state(const struct work *w)
{
	const char *s = json_string_value(json_object_get(w->entry, "state"));

	return s ? s : "";
}

bool work_flag(const json_t *from, const char *key)
{
	return json_is_true(json_object_get(from, key));
}

static void put_portals(struct work *w, json_t *entry)
{
	json_t *list = need(json_array());

	for (const char **p = w->portals; *p; p++)
		json_array_append_new(list, need(json_string(*p)));
	if (json_array_size(list))
		json_object_set(entry, "portals", list);
	json_decref(list);
}

int work_save(struct work *w, const char *state, bool take, struct err *err)
{
	static const char *const flags[] = { "logged_in", "forced" };
	json_t *entry = need(json_object()), *old = w->entry;
	int e;

	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		const char *s = w->v.v[known[i]];

		if (s && !value_secret(known[i]))
			json_object_set_new(entry, value_name(known[i]), need(json_string(s)));
	}
	put_portals(w, entry);
	for (size_t i = 0; i < 2; i++)
		if (work_flag(old, flags[i]))
			json_object_set_new(entry, flags[i], json_true());
	json_object_set_new(entry, "state", need(json_string(state)));
	json_object_set_new(entry, "boot", need(json_string(w->a->boot)));
	if (old && json_equal(old, entry)) {	/* nothing new for the disk */
		json_decref(entry);
		return 0;
	}
	e = state_put(w->a->state, w->id, entry, take, err);
	if (e < 0) {
		json_decref(entry);
		return e;
	}
	/* The portals' texts may be the old entry's. */
	w->entry = entry;
	set_portals(w, entry, NULL);
	json_decref(old);
	return 0;
}

int work_save_detached(struct work *w, struct err *err)
{
	static const enum value_kind of_vm[] = { V_VM, V_DEVICE, V_MODE };

	if (!work_flag(w->entry, "logged_in"))
		return work_remove(w, err);
	for (size_t i = 0; i < 3; i++) {
		free(w->v.v[of_vm[i]]);
		w->v.v[of_vm[i]] = NULL;
	}
	return work_save(w, "logged-in", false, err);
}

int work_remove(struct work *w, struct err *err)
{
	return state_put(w->a->state, w->id, NULL, false, err);
}
