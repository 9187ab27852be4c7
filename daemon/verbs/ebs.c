/* SPDX-License-Identifier: GPL-2.0-only */
/* ebs.c - the manager's state, and how a call goes to its verb. */
#include "verbs/ebs.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "verbs/priv.h"

uint64_t ebs_now_ms(void *ebs)
{
	struct timespec ts;

	(void)ebs;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

json_t *time_shown(const json_t *ms)
{
	char text[40];
	struct tm tm;
	time_t s;

	if (!json_is_integer(ms))
		return json_null();
	s = (time_t)(json_integer_value(ms) / 1000);
	gmtime_r(&s, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	return json_sprintf("%s.%03dZ", text, (int)(json_integer_value(ms) % 1000));
}

/* ---------------------------------------------------------------- errors */

/* Names are quoted up to some byte. What is cut in the middle of a character is no UTF-8: no JSON could be made of the
 * answer. */
static void whole_characters(char *text)
{
	json_t *all = json_string(text);

	for (char *p = text; !all && *p; p++)
		*p = *p & 0x80 ? '?' : *p;
	json_decref(all);
}

int ebs_fail(struct ebs_call *c, enum ebs_code code, int err_code, const char *fmt, ...)
{
	va_list ap;

	if (c->code)
		return c->err.code;
	c->code = ebs_code_text(code);
	c->err.code = err_code;
	va_start(ap, fmt);
	text_vfmt(c->err.text, sizeof(c->err.text), fmt, ap);
	va_end(ap);
	whole_characters(c->err.text);
	return err_code;
}

static enum ebs_code code_of(int error)
{
	switch (-error) {
	case ENOSPC:
	case EDQUOT:
		return EBS_NO_CAPACITY;
	case EBUSY:
		return EBS_BUSY;
	case ENOENT:
		return EBS_NO_RESOURCE;
	case EEXIST:
		return EBS_DUPLICATE;
	case EINVAL:
	case ERANGE:
		return EBS_INVALID_PARAMETER;
	case ECONNREFUSED:
	case EHOSTDOWN:
	case EHOSTUNREACH:
	case ETIMEDOUT:
	case EAGAIN:
	case EPIPE:
		return EBS_UNAVAILABLE;
	default:
		return EBS_INTERNAL;
	}
}

int ebs_fail_err(struct ebs_call *c, const struct err *err)
{
	struct err copy = *err;

	if (c->code)
		return c->err.code;
	return ebs_fail(c, code_of(copy.code), copy.code ? copy.code : -EIO, "%s", copy.text);
}

/* ---------------------------------------------------------------- a call */

void ebs_run(struct ebs *e, const char *verb, struct ebs_call *c)
{
	c->ebs = e;
	c->verb = ebs_find_verb(verb);
	if (!c->verb)
		ebs_fail(c, EBS_INVALID_ACTION, -ENOSYS, "The action %.60s is not valid for this web service.", verb);
	else if (rights_verb(c) && args_check(c))
		run_verb(c);
	rights_audit(c);
	if (!c->code && !c->result)
		c->result = json_object();
	if (c->code) {
		json_decref(c->result);
		c->result = NULL;
	}
}

void ebs_call_free(struct ebs_call *c)
{
	json_decref(c->result);
	free(c->repeated);
	free(c->refused);
}

/* ---------------------------------------------------------------- the manager */

static char *copied(const char *text)
{
	return text ? strdup(text) : NULL;
}

static int copy_conf(struct ebs_conf *to, const struct ebs_conf *from)
{
	char **portals = calloc(from->nportals + 1, sizeof(*portals));

	*to = *from;
	to->workers = from->workers ? from->workers : 8;
	to->block_tokens_s = from->block_tokens_s ? from->block_tokens_s : 7 * 86400;
	to->catalogue = copied(from->catalogue);
	to->seal_key = copied(from->seal_key);
	to->tls_key = copied(from->tls_key);
	to->tls_cert = copied(from->tls_cert);
	to->pool_socket = copied(from->pool_socket);
	to->tgt_socket = copied(from->tgt_socket);
	to->prefix = copied(from->prefix);
	to->zone = copied(from->zone);
	to->pool = copied(from->pool);
	for (unsigned i = 0; portals && i < from->nportals; i++)
		portals[i] = copied(from->portals[i]);
	to->portals = (const char *const *)portals;
	return portals ? 0 : -ENOMEM;
}

static void forget(const char *text)
{
	free((void *)(uintptr_t)text);
}

static void free_conf(struct ebs_conf *conf)
{
	const char *texts[] = {conf->catalogue, conf->seal_key, conf->tls_key, conf->tls_cert, conf->pool_socket,
			       conf->tgt_socket, conf->prefix, conf->zone, conf->pool};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		forget(texts[i]);
	for (unsigned i = 0; conf->portals && i < conf->nportals; i++)
		forget(conf->portals[i]);
	free((void *)(uintptr_t)conf->portals);
}

static int open_all(struct ebs *e, struct err *err)
{
	const struct ebs_conf *f = &e->conf;
	int rc = seal_open(f->seal_key, &e->seal, err);

	if (!rc)
		rc = identity_ensure(f->tls_key, f->tls_cert, "hybridd", e->pin, err);
	if (!rc)
		rc = agents_new(f->tls_key, f->tls_cert, &e->agents, err);
	if (!rc)
		rc = pools_new(f->pool_socket, &e->pools, err);
	if (!rc && f->tgt_socket)
		rc = tgt_new(f->tgt_socket, &e->tgt, err);
	if (!rc && e->tgt)
		rc = disks_new(&(struct disks_conf){.tgt = e->tgt,
						    .prefix = f->prefix,
						    .portals = f->portals,
						    .nportals = f->nportals},
			       &e->disks, err);
	if (!rc)
		rc = store_open(f->catalogue, &e->store, err);
	if (!rc)
		rc = sagas_new(e->store, ebs_saga_kinds, e, ebs_now_ms, f->workers, &e->sagas, err);
	if (!rc) {
		sagas_at_end(e->sagas, change_ended);
		rc = sagas_resume(e->sagas, err);
	}
	if (rc == -ENOTSUP) { /* of a newer program; it stays as it is, and locked, until that one is back */
		fprintf(stderr, "hybridd: %s\n", err->text);
		*err = ERR_INIT;
		rc = 0;
	}
	return rc ? rc : watch_start(e, err);
}

int ebs_new(const struct ebs_conf *conf, struct ebs **ret, struct err *err)
{
	struct ebs *e = calloc(1, sizeof(*e));
	int rc;

	if (!e)
		return err_set(err, -ENOMEM, "out of memory");
	pthread_mutex_init(&e->target_lock, NULL);
	pthread_mutex_init(&e->fill.lock, NULL);
	pthread_cond_init(&e->fill.ended, NULL);
	list_init(&e->fill.puts);
	rc = copy_conf(&e->conf, conf) ? err_set(err, -ENOMEM, "out of memory") : open_all(e, err);
	if (rc) {
		ebs_free(e);
		return rc;
	}
	*ret = e;
	return 0;
}

void ebs_free(struct ebs *e)
{
	if (!e)
		return;
	watch_stop(e);
	sagas_free(e->sagas);
	disks_free(e->disks);
	store_close(e->store);
	tgt_free(e->tgt);
	pools_free(e->pools);
	agents_free(e->agents);
	seal_close(e->seal);
	pthread_cond_destroy(&e->fill.ended);
	pthread_mutex_destroy(&e->fill.lock);
	pthread_mutex_destroy(&e->target_lock);
	free_conf(&e->conf);
	free(e);
}

struct sagas *ebs_sagas(struct ebs *e)
{
	return e->sagas;
}

const char *ebs_pin(const struct ebs *e)
{
	return e->pin;
}

const char *ebs_zone(const struct ebs *e)
{
	return e->conf.zone ? e->conf.zone : "";
}
