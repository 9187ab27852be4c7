/* SPDX-License-Identifier: GPL-2.0-only */
/* agent.c - from a verb's name to its answer; one verb at a time on an attachment; see agent.h. */
#include "agent/agent.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "agent/need.h"
#include "agent/priv.h"

#ifndef HB_VERSION
#define HB_VERSION "0"
#endif

/* ------------------------------------------------------------------ one verb at a time on an attachment */

struct held {
	struct held *next;
	const char *id;
};

struct locks {
	pthread_mutex_t lock;
	pthread_cond_t freed;
	struct held *held;
};

static bool is_held(const struct locks *l, const char *id)
{
	for (const struct held *h = l->held; h; h = h->next)
		if (!strcmp(h->id, id))
			return true;
	return false;
}

/* h lives on the stack of the verb. */
static void hold(struct locks *l, struct held *h, const char *id)
{
	pthread_mutex_lock(&l->lock);
	while (is_held(l, id))
		pthread_cond_wait(&l->freed, &l->lock);
	*h = (struct held){ l->held, id };
	l->held = h;
	pthread_mutex_unlock(&l->lock);
}

static void let_go(struct locks *l, struct held *h)
{
	struct held **at = &l->held;

	pthread_mutex_lock(&l->lock);
	while (*at != h)
		at = &(*at)->next;
	*at = h->next;
	pthread_cond_broadcast(&l->freed);
	pthread_mutex_unlock(&l->lock);
}

/* ------------------------------------------------------------------ what the host is */

/* The first line of a small file, or the rest of the line that begins with `after`. */
static void read_line(const char *path, const char *after, char *ret, size_t room)
{
	FILE *f = fopen(path, "re");
	char line[512];

	*ret = '\0';
	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\r\n")] = '\0';
		if (strncmp(line, after, strlen(after)) == 0) {
			snprintf(ret, room, "%s", line + strlen(after));
			break;
		}
	}
	if (f)
		fclose(f);
}

static void know_host(struct agent *a)
{
	char name[VALUE_MAX + 1];

	if (gethostname(a->host, sizeof(a->host) - 1) < 0)
		snprintf(a->host, sizeof(a->host), "unknown");
	read_line("/proc/sys/kernel/random/boot_id", "", a->boot, sizeof(a->boot));
	if (a->conf->initiator) {
		snprintf(a->initiator, sizeof(a->initiator), "%s", a->conf->initiator);
		return;
	}
	read_line("/etc/iscsi/initiatorname.iscsi", "InitiatorName=", name, sizeof(name));
	if (value_ok(V_INITIATOR, name))
		memcpy(a->initiator, name, sizeof(name));
}

int agent_new(const struct agent_conf *conf, struct agent **ret, struct err *err)
{
	struct agent *a = need_zalloc(sizeof(*a));
	int e;

	a->conf = conf;
	a->locks = need_zalloc(sizeof(*a->locks));
	pthread_mutex_init(&a->locks->lock, NULL);
	pthread_cond_init(&a->locks->freed, NULL);
	know_host(a);
	e = delegate_load(conf->delegate, &a->delegate, err);
	if (e == 0)
		e = state_open(conf->state, &a->state, err);
	if (e < 0)
		agent_free(a);
	else
		*ret = a;
	return e;
}

void agent_free(struct agent *a)
{
	if (!a)
		return;
	delegate_free(a->delegate);
	state_close(a->state);
	pthread_cond_destroy(&a->locks->freed);
	pthread_mutex_destroy(&a->locks->lock);
	free(a->locks);
	free(a);
}

/* ------------------------------------------------------------------ verbs */

static json_t *verb_ping(struct agent *a)
{
	return need(json_pack("{s:s, s:s, s:s, s:[s], s:s}", "version", HB_VERSION, "host", a->host, "initiator",
			      a->initiator, "delegates", a->delegate->name, "boot", a->boot));
}

static const struct {
	const char *name;
	json_t *(*fn)(struct work *w, struct err *err);
} on_attachment[] = {
	{ "login", verb_login }, { "logout", verb_logout }, { "rescan", verb_rescan }, { "attach", verb_attach },
	{ "detach", verb_detach },
};

static json_t *run_on_attachment(struct agent *a, json_t *(*fn)(struct work *w, struct err *err), const json_t *args,
				 struct err *err)
{
	const char *id = json_string_value(json_object_get(args, "attachment"));
	json_t *result = NULL;
	struct held held;
	struct work w;

	if (!id || !value_ok(V_ATTACHMENT, id)) {
		err_set(err, -EINVAL, "\"attachment\" is missing, or is no id");
		return NULL;
	}
	hold(a->locks, &held, id);
	if (work_begin(&w, a, id, args, err) == 0)
		result = fn(&w, err);
	work_end(&w);
	let_go(a->locks, &held);
	return result;
}

static json_t *run(struct agent *a, const char *verb, const json_t *args, struct err *err)
{
	if (!json_is_object(args)) {
		err_set(err, -EINVAL, "the arguments have to be an object");
		return NULL;
	}
	if (!strcmp(verb, "ping"))
		return verb_ping(a);
	if (!strcmp(verb, "list"))
		return verb_list(a, err);
	for (size_t i = 0; i < sizeof(on_attachment) / sizeof(*on_attachment); i++)
		if (!strcmp(on_attachment[i].name, verb))
			return run_on_attachment(a, on_attachment[i].fn, args, err);
	err_set(err, -ENOSYS, "there is no such verb");
	return NULL;
}

const char *agent_code(int code)
{
	const char *name = strerrorname_np(code < 0 ? -code : code);

	return name ? name : "EIO";
}

json_t *agent_verb(struct agent *a, const char *verb, const json_t *args)
{
	struct err err = ERR_INIT;
	json_t *result = run(a, verb, args, &err), *text;

	if (result)
		return need(json_pack("{s:b, s:o}", "ok", 1, "result", result));
	/* What programs say need not be UTF-8; last_line() leaves ASCII only, paths in errors may not be. */
	text = json_string(err.text) ?: need(json_string("an error whose text is not UTF-8"));
	return need(json_pack("{s:b, s:{s:s, s:o}}", "ok", 0, "error", "code", agent_code(err.code), "text", text));
}
