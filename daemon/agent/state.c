/* SPDX-License-Identifier: GPL-2.0-only */
/* state.c - what the agent has attached, in a file; see state.h. */
#include "agent/state.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "agent/file.h"
#include "agent/need.h"
#include "agent/values.h"

struct state {
	pthread_mutex_t lock;
	char path[PATH_MAX], temp[PATH_MAX];
	json_t *attachments;
	int lock_fd;
};

/* ------------------------------------------------------------------ reading */

static int read_version(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	uint32_t n;

	(void)out;
	return read_count(r, key, v, at, 1, 1, &n);
}

static int read_entries(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	struct at member = { .up = at };
	const char *id;
	json_t *entry;

	if (!json_is_object(v))
		return bad(r, at, "\"%s\" has to be an object", key);
	json_object_foreach(v, id, entry) {
		if (!value_ok(V_ATTACHMENT, id) || !json_is_string(json_object_get(entry, "state")))
			return bad_key(r, &member, "\"%s\" is no attachment", shown(id));
		member.nth++;
	}
	*(json_t **)out = json_incref(v);
	return 0;
}

static const struct field fields[] = {
	{ "v", true, read_version }, { "attachments", true, read_entries }, { NULL, false, NULL },
};

static int load(struct state *s, struct err *err)
{
	struct err why = ERR_INIT;
	char *text = NULL;
	size_t len;
	int e = file_text(s->path, &text, &len, &why);

	if (e == -ENOENT) {
		s->attachments = need(json_object());
		return 0;
	}
	if (e < 0)
		return err_set(err, e, "%s", why.text);
	e = file_object(text, len, s->path, "the agent's state", fields, &s->attachments, err);
	free(text);
	return e;
}

int state_open(const char *path, struct state **ret, struct err *err)
{
	struct state *s = need_zalloc(sizeof(*s));
	char lock[PATH_MAX];
	int e = 0;

	pthread_mutex_init(&s->lock, NULL);
	s->lock_fd = -1;
	if (snprintf(s->path, sizeof(s->path), "%s", path) + 8 > PATH_MAX)
		e = err_set(err, -ENAMETOOLONG, "%.80s...: too long", path);
	snprintf(lock, sizeof(lock), "%.*s.lock", PATH_MAX - 8, path);
	snprintf(s->temp, sizeof(s->temp), "%.*s.new", PATH_MAX - 8, path);
	if (e == 0)
		s->lock_fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (e == 0 && s->lock_fd < 0)
		e = err_set(err, -errno, "%s: %s", lock, strerror(errno));
	if (e == 0 && flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0)
		e = err_set(err, -EBUSY, "%s: another agent has it", lock);
	if (e == 0) {
		unlink(s->temp);	/* of a life that was ended while it wrote */
		e = load(s, err);
	}
	if (e < 0)
		state_close(s);
	else
		*ret = s;
	return e;
}

void state_close(struct state *s)
{
	if (!s)
		return;
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	json_decref(s->attachments);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

/* ------------------------------------------------------------------ changing */

static int save(struct state *s, json_t *attachments, struct err *err)
{
	json_t *doc = need(json_pack("{s:i, s:O}", "v", 1, "attachments", attachments));
	char *text = need(json_dumps(doc, JSON_INDENT(1) | JSON_SORT_KEYS));
	int e = file_replace(s->path, s->temp, text, strlen(text), err);

	free(text);
	json_decref(doc);
	return e;
}

static bool same(const json_t *a, const json_t *b, const char *key)
{
	const char *x = json_string_value(json_object_get(a, key)), *y = json_string_value(json_object_get(b, key));

	return x && y && !strcmp(x, y);
}

/* Who has this place in a VM. */
static const char *taken_by(json_t *attachments, const char *but, const json_t *entry)
{
	const char *id;
	json_t *other;

	json_object_foreach(attachments, id, other) {
		if (strcmp(id, but) != 0 && same(other, entry, "vm") && same(other, entry, "device"))
			return id;
	}
	return NULL;
}

int state_put(struct state *s, const char *attachment, const json_t *entry, bool device_taken, struct err *err)
{
	const char *who;
	json_t *next;
	int e = 0;

	pthread_mutex_lock(&s->lock);
	who = device_taken ? taken_by(s->attachments, attachment, entry) : NULL;
	if (who)
		e = err_set(err, -EEXIST, "%s of %s is taken by %s",
			    json_string_value(json_object_get(entry, "device")),
			    json_string_value(json_object_get(entry, "vm")), who);
	if (e == 0 && (entry || json_object_get(s->attachments, attachment))) {
		/* A changed copy takes the old one's place when it is on the disk. */
		next = need(json_copy(s->attachments));
		if (entry)
			json_object_set_new(next, attachment, need(json_deep_copy(entry)));
		else
			json_object_del(next, attachment);
		e = save(s, next, err);
		json_decref(e < 0 ? next : s->attachments);
		s->attachments = e < 0 ? s->attachments : next;
	}
	pthread_mutex_unlock(&s->lock);
	return e;
}

json_t *state_get(struct state *s, const char *attachment)
{
	json_t *entry;

	pthread_mutex_lock(&s->lock);
	entry = json_object_get(s->attachments, attachment);
	entry = entry ? need(json_deep_copy(entry)) : NULL;
	pthread_mutex_unlock(&s->lock);
	return entry;
}

json_t *state_all(struct state *s)
{
	json_t *all;

	pthread_mutex_lock(&s->lock);
	all = need(json_deep_copy(s->attachments));
	pthread_mutex_unlock(&s->lock);
	return all;
}
