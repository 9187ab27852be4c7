/* SPDX-License-Identifier: GPL-2.0-only */
/* tgt_text.c - reads the texts of tgtd, line by line. Lines are indented by 4, 8, 12 or 16 spaces. */
#include "box/tgt_text.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TAB "    "

/* A line, without its end; p is NULL behind the last one. */
struct line {
	const char *p;
	size_t len;
	const char *next, *end;
};

static struct line line_at(const char *p, const char *end)
{
	struct line l = {.end = end};
	const char *nl;

	if (!p || p >= end)
		return l;
	nl = memchr(p, '\n', (size_t)(end - p));
	l.p = p;
	l.len = (size_t)((nl ? nl : end) - p);
	l.next = nl ? nl + 1 : end;
	return l;
}

static void line_next(struct line *l)
{
	*l = line_at(l->next, l->end);
}

static bool line_is(const struct line *l, const char *text)
{
	return l->p && l->len == strlen(text) && !memcmp(l->p, text, l->len);
}

/* What comes after `head`, *ret_len bytes; NULL: the line does not begin so. */
static const char *line_after(const struct line *l, const char *head, size_t *ret_len)
{
	size_t n = strlen(head);

	if (!l->p || l->len < n || memcmp(l->p, head, n))
		return NULL;
	*ret_len = l->len - n;
	return l->p + n;
}

/* Digits of p[len] only, up to max; what follows them at *ret_rest (NULL: nothing may). */
static bool number(const char *p, size_t len, uint64_t max, uint64_t *ret, size_t *ret_rest)
{
	uint64_t v = 0;
	size_t i;

	for (i = 0; i < len && p[i] >= '0' && p[i] <= '9'; i++) {
		if (v > (max - (uint64_t)(p[i] - '0')) / 10)
			return false;
		v = v * 10 + (uint64_t)(p[i] - '0');
	}
	*ret = v;
	if (ret_rest)
		*ret_rest = i;
	return i > 0 && (ret_rest || i == len);
}

/* A word: printable ASCII without a space. */
static bool is_word(const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (p[i] <= ' ' || p[i] > '~')
			return false;
	return len > 0;
}

/* "Target TID: NAME" after the indentation `head`. */
static bool target_line(const struct line *l, const char *head, uint64_t *ret_tid, const char **ret_name,
			size_t *ret_len)
{
	size_t len, rest;
	const char *p = line_after(l, head, &len);

	if (!p || !number(p, len, INT32_MAX, ret_tid, &rest) || len < rest + 2 || memcmp(p + rest, ": ", 2))
		return false;
	*ret_name = p + rest + 2;
	*ret_len = len - rest - 2;
	return is_word(*ret_name, *ret_len);
}

static int bad(struct err *err, const char *what)
{
	return err_set(err, -EBADMSG, "tgtd: its list of %s makes no sense", what);
}

/* ------------------------------------------------------------------ the simple lists */
json_t *tgt_text_targets(const char *text, struct err *err)
{
	struct line l = line_at(text, text + strlen(text));
	json_t *targets = json_object();

	if (!line_is(&l, "LLDs:"))
		goto damaged;
	for (line_next(&l); l.p; line_next(&l)) {
		const char *name;
		uint64_t tid;
		size_t len;

		if (target_line(&l, TAB TAB "Target ", &tid, &name, &len)) {
			if (json_object_getn(targets, name, len) ||
			    json_object_setn_new(targets, name, len, json_integer((json_int_t)tid)))
				goto damaged;
		} else if (!line_after(&l, TAB, &len) || line_after(&l, TAB TAB, &len)) {
			goto damaged;
		}
	}
	return targets;
damaged:
	json_decref(targets);
	bad(err, "targets");
	return NULL;
}

json_t *tgt_text_accounts(const char *text, struct err *err)
{
	struct line l = line_at(text, text + strlen(text));
	json_t *users = json_array();

	if (l.p && !line_is(&l, "Account list:"))
		goto damaged;
	for (line_next(&l); l.p; line_next(&l)) {
		size_t len;
		const char *user = line_after(&l, TAB, &len);

		if (!user)
			goto damaged;
		json_array_append_new(users, json_stringn(user, len)); /* what is not UTF-8 is not ours */
	}
	return users;
damaged:
	json_decref(users);
	bad(err, "accounts");
	return NULL;
}

/* "  1   0   7 ...": numbers with spaces before them. */
static bool three_numbers(const struct line *l, uint64_t n[3])
{
	const char *p = l->p;
	size_t len = l->len;

	for (int i = 0; i < 3; i++) {
		size_t rest;

		while (len && *p == ' ')
			p++, len--;
		if (!number(p, len, INT64_MAX, &n[i], &rest) || rest == len || p[rest] != ' ')
			return false;
		p += rest;
		len -= rest;
	}
	return true;
}

json_t *tgt_text_sessions(const char *text, struct err *err)
{
	struct line l = line_at(text, text + strlen(text));
	json_t *known = json_object();
	size_t len;

	if (!line_after(&l, "tgt lun sid ", &len))
		goto damaged;
	for (line_next(&l); l.p; line_next(&l)) {
		char key[48];
		uint64_t n[3];

		if (!three_numbers(&l, n))
			goto damaged;
		snprintf(key, sizeof(key), "%" PRIu64 "/%" PRIu64, n[0], n[2]);
		json_object_set_new(known, key, json_true());
	}
	return known;
damaged:
	json_decref(known);
	bad(err, "sessions");
	return NULL;
}

void tgt_text_connections(const char *text, void (*fn)(void *ctx, unsigned sid, unsigned cid), void *ctx)
{
	struct line l = line_at(text, text + strlen(text));
	uint64_t sid = 0, cid;
	bool in = false;

	for (; l.p; line_next(&l)) {
		size_t len;
		const char *p = line_after(&l, "Session: ", &len);

		if (p)
			in = number(p, len, UINT32_MAX, &sid, NULL);
		p = line_after(&l, TAB "Connection: ", &len);
		if (p && in && number(p, len, UINT32_MAX, &cid, NULL))
			fn(ctx, (unsigned)sid, (unsigned)cid);
	}
}

bool tgt_text_has_store(const char *text, const char *name)
{
	struct line l = line_at(text, text + strlen(text));
	size_t len, n = strlen(name);

	while (l.p && !line_is(&l, "Backing stores:"))
		line_next(&l);
	for (line_next(&l); l.p; line_next(&l)) {
		const char *p = line_after(&l, TAB, &len);

		if (!p)
			return false;
		if (len >= n && !memcmp(p, name, n) && (len == n || p[n] == ' '))
			return true;
	}
	return false;
}

/* ------------------------------------------------------------------ one target */
/* Nexuses: sid, and what its initiator says of itself, as a line. The last two lines are missing in no answer of tgtd,
 * unless an alias has pushed them out. */
static bool read_session(struct line *l, const char *sid_text, size_t sid_len, json_t *sessions)
{
	static const char separator[] = " alias: ";
	const char *name, *address, *end = NULL;
	size_t len, address_len;
	uint64_t sid, cid;
	json_t *session;

	if (!number(sid_text, sid_len, INT64_MAX, &sid, NULL))
		return false;
	line_next(l);
	name = line_after(l, TAB TAB TAB "Initiator: ", &len);
	if (name)
		end = memmem(name, len, separator, sizeof(separator) - 1);
	if (!end || !is_word(name, (size_t)(end - name)))
		return false;
	session = json_pack("{s:I, s:s%, s:[]}", "sid", (json_int_t)sid, "initiator", name, (size_t)(end - name),
			    "addresses");
	json_array_append_new(sessions, session);
	line_next(l);
	name = line_after(l, TAB TAB TAB "Connection: ", &len);
	if (!name || !number(name, len, UINT32_MAX, &cid, NULL))
		return false;
	line_next(l);
	name = line_after(l, TAB TAB TAB TAB, &len);
	if (!name)
		return false;
	address = line_after(l, TAB TAB TAB TAB "IP Address: ", &address_len);
	if (address && !is_word(address, address_len))
		return false;
	if (address)
		json_array_append_new(json_object_get(session, "addresses"), json_stringn(address, address_len));
	line_next(l);
	return true;
}

struct lun {
	const char *path, *type, *serial, *online, *readonly;
	size_t path_len, type_len, serial_len, online_len, readonly_len;
};

/* One LUN's lines; of LUN 1 they are kept. */
static bool read_lun(struct line *l, struct lun *lun)
{
	const struct {
		const char *key, **p;
		size_t *len;
	} keys[] = {
		{TAB TAB TAB "Backing store path: ", &lun->path, &lun->path_len},
		{TAB TAB TAB "Backing store type: ", &lun->type, &lun->type_len},
		{TAB TAB TAB "SCSI SN: ", &lun->serial, &lun->serial_len},
		{TAB TAB TAB "Online: ", &lun->online, &lun->online_len},
		{TAB TAB TAB "Readonly: ", &lun->readonly, &lun->readonly_len},
	};
	size_t len;

	for (line_next(l); line_after(l, TAB TAB TAB, &len) && l->p[12] != ' '; line_next(l)) {
		if (!memmem(l->p, l->len, ": ", 2))
			return false;
		for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
			const char *p = line_after(l, keys[i].key, &len);

			if (!p)
				continue;
			if (*keys[i].p)
				return false;
			*keys[i].p = p;
			*keys[i].len = len;
		}
	}
	return lun->path && lun->type && lun->online && lun->readonly;
}

static bool same(const char *p, size_t len, const char *text)
{
	return len == strlen(text) && !memcmp(p, text, len);
}

static bool read_luns(struct line *l, json_t *target)
{
	uint64_t last = 0, n;
	unsigned count = 0;
	const char *p;
	size_t len;

	for (;;) {
		struct lun lun = {0};

		p = line_after(l, TAB TAB "LUN: ", &len);
		if (!p)
			return count > 0;
		/* tgtd makes LUN 0 with the target, and gives them in order. */
		if (!number(p, len, INT64_MAX, &n, NULL) || (count ? n <= last : n != 0) || !read_lun(l, &lun))
			return false;
		count++;
		last = n;
		if (n != 1)
			continue;
		if (same(lun.type, lun.type_len, "hybrid") && !same(lun.path, lun.path_len, "None"))
			json_object_set_new(target, "store", json_stringn(lun.path, lun.path_len));
		if (lun.serial)
			json_object_set_new(target, "serial", json_stringn(lun.serial, lun.serial_len));
		json_object_set_new(target, "online", json_boolean(same(lun.online, lun.online_len, "Yes")));
		json_object_set_new(target, "read_only", json_boolean(same(lun.readonly, lun.readonly_len, "Yes")));
	}
}

static bool read_accounts(struct line *l, json_t *target)
{
	static const char mark[] = " (outgoing)";
	json_t *users = json_object_get(target, "accounts");
	size_t len, n = sizeof(mark) - 1;
	const char *p;

	for (; (p = line_after(l, TAB TAB, &len)); line_next(l)) {
		bool outgoing = len > n && !memcmp(p + len - n, mark, n);
		json_t *user;

		len -= outgoing ? n : 0;
		if (!len || *p == ' ' || !json_is_null(json_object_get(target, "outgoing")))
			return false;
		user = json_stringn(p, len);
		if (!user) /* not UTF-8 */
			return false;
		if (outgoing)
			json_object_set_new(target, "outgoing", user);
		else
			json_array_append_new(users, user);
	}
	return true;
}

static bool is_name(const char *p, size_t len)
{
	return len > 4 && (!memcmp(p, "iqn.", 4) || !memcmp(p, "eui.", 4) || !memcmp(p, "naa.", 4));
}

static bool read_bound(struct line *l, json_t *initiators)
{
	const char *p;
	size_t len;

	for (; (p = line_after(l, TAB TAB, &len)); line_next(l)) {
		char text[1024 + 16];

		if (!is_word(p, len) || len > 1024)
			return false;
		snprintf(text, sizeof(text), "%s%.*s", is_name(p, len) ? "" : "address:", (int)len, p);
		json_array_append_new(initiators, json_string(text));
	}
	return true;
}

/* The lines after "Target ...". Each part once, in order, and nothing behind them. */
static bool read_target(struct line *l, json_t *target)
{
	const char *p;
	size_t len;

	if (!line_is(l, TAB "System information:"))
		return false;
	for (line_next(l); line_after(l, TAB TAB, &len); line_next(l))
		;
	if (!line_is(l, TAB "I_T nexus information:"))
		return false;
	line_next(l);
	while ((p = line_after(l, TAB TAB "I_T nexus: ", &len)))
		if (!read_session(l, p, len, json_object_get(target, "sessions")))
			return false;
	if (!line_is(l, TAB "LUN information:"))
		return false;
	line_next(l);
	if (!read_luns(l, target))
		return false;
	if (line_is(l, TAB "Account information:")) { /* drivers without CHAP have none */
		line_next(l);
		if (!read_accounts(l, target))
			return false;
	}
	if (!line_is(l, TAB "ACL information:"))
		return false;
	line_next(l);
	return read_bound(l, json_object_get(target, "initiators")) && !l->p;
}

/* New reference. */
static json_t *make_target(int tid, const char *from, const char *end, bool *ret_damaged)
{
	json_t *target = json_pack("{s:i, s:n, s:n, s:n, s:n, s:[], s:[], s:n, s:[]}", "tid", tid, "store", "serial",
				   "online", "read_only", "initiators", "accounts", "outgoing", "sessions");
	struct line l = line_at(from, end);

	*ret_damaged = !from || !target || !read_target(&l, target);
	if (!*ret_damaged)
		return target;
	json_decref(target);
	return json_pack("{s:i, s:b}", "tid", tid, "damaged", 1);
}

/* ------------------------------------------------------------------ all targets */
struct entry {
	int tid;
	const char *name;
	unsigned found; /* lines that look like its first one */
	const char *at; /* of the last of them; after settle(): the true one, or NULL */
};

struct claim { /* a line that looks like an entry's first one */
	struct entry *entry;
	const char *at;
};

struct claims {
	struct entry *entries; /* by tid */
	size_t nentries;
	struct claim *claims; /* by place */
	size_t nclaims, cap;
};

static int by_tid(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return (x->tid > y->tid) - (x->tid < y->tid);
}

static bool take_entries(struct claims *c, const json_t *targets)
{
	const char *name;
	json_t *tid;

	c->entries = calloc(json_object_size(targets) + 1, sizeof(*c->entries));
	if (!c->entries)
		return false;
	json_object_foreach((json_t *)(uintptr_t)targets, name, tid)
		c->entries[c->nentries++] = (struct entry){.tid = (int)json_integer_value(tid), .name = name};
	qsort(c->entries, c->nentries, sizeof(*c->entries), by_tid);
	return true;
}

static bool add_claim(struct claims *c, struct entry *e, const char *at)
{
	if (c->nclaims == c->cap) {
		size_t cap = c->cap ? c->cap * 2 : 64;
		struct claim *more = realloc(c->claims, cap * sizeof(*more));

		if (!more)
			return false;
		c->claims = more;
		c->cap = cap;
	}
	c->claims[c->nclaims++] = (struct claim){e, at};
	e->found++;
	e->at = at;
	return true;
}

static bool find_claims(struct claims *c, const char *text, const char *end)
{
	for (struct line l = line_at(text, end); l.p; line_next(&l)) {
		struct entry key, *e;
		const char *name;
		uint64_t tid;
		size_t len;

		if (!target_line(&l, "Target ", &tid, &name, &len))
			continue;
		key.tid = (int)tid;
		e = bsearch(&key, c->entries, c->nentries, sizeof(*c->entries), by_tid);
		if (e && strlen(e->name) == len && !memcmp(e->name, name, len) && !add_claim(c, e, l.p))
			return false;
	}
	return true;
}

/* Of several lines that look like an entry's, the one between its neighbours counts, if that is one. */
static const char *choose(const struct claims *c, size_t i, const char *low, const char *high)
{
	const char *at = NULL;

	for (size_t k = i + 1; k < c->nentries; k++)
		if (c->entries[k].found == 1) {
			high = c->entries[k].at;
			break;
		}
	for (size_t k = 0; k < c->nclaims; k++) {
		if (c->claims[k].entry != &c->entries[i] || c->claims[k].at <= low || c->claims[k].at >= high)
			continue;
		if (at)
			return NULL;
		at = c->claims[k].at;
	}
	return at;
}

static void settle(struct claims *c, const char *text, const char *end)
{
	const char *low = text - 1;

	for (size_t i = 0; i < c->nentries; i++) {
		struct entry *e = &c->entries[i];

		if (e->found > 1)
			e->at = choose(c, i, low, end);
		if (e->at && e->at <= low)
			e->at = NULL;
		if (e->at)
			low = e->at;
	}
}

/* Where the target's text ends; NULL: nobody knows, for of the next one it is not known where it begins. */
static const char *end_of(const struct claims *c, size_t i, const char *end)
{
	for (size_t k = i + 1; k < c->nentries; k++)
		if (c->entries[k].found)
			return c->entries[k].at;
	return end;
}

static const char *after_line(const char *at, const char *end)
{
	return at ? line_at(at, end).next : NULL;
}

json_t *tgt_text_show(const char *text, const json_t *targets, const char *prefix, unsigned *ret_damaged,
		      unsigned *ret_sessions, struct err *err)
{
	const char *end = text + strlen(text);
	json_t *show = json_object();
	struct claims c = {0};

	*ret_damaged = *ret_sessions = 0;
	if (!show || !take_entries(&c, targets) || !find_claims(&c, text, end)) {
		err_set(err, -ENOMEM, "out of memory");
		json_decref(show);
		show = NULL;
		goto out;
	}
	settle(&c, text, end);
	for (size_t i = 0; i < c.nentries; i++) {
		const struct entry *e = &c.entries[i];
		const char *stop = end_of(&c, i, end);
		bool damaged;
		json_t *target;

		if (prefix && strncmp(e->name, prefix, strlen(prefix)))
			continue;
		if (!e->found) {
			++*ret_damaged;
			continue;
		}
		target = make_target(e->tid, stop ? after_line(e->at, end) : NULL, stop, &damaged);
		*ret_damaged += damaged;
		*ret_sessions += (unsigned)json_array_size(json_object_get(target, "sessions"));
		json_object_set_new(show, e->name, target);
	}
out:
	free(c.claims);
	free(c.entries);
	return show;
}

void tgt_text_confirm(json_t *show, const json_t *known)
{
	const char *name;
	json_t *target;

	json_object_foreach(show, name, target) {
		json_t *sessions = json_object_get(target, "sessions");

		for (size_t i = json_array_size(sessions); i-- > 0;) {
			char key[48];

			snprintf(key, sizeof(key), "%lld/%lld",
				 (long long)json_integer_value(json_object_get(target, "tid")),
				 (long long)json_integer_value(json_object_get(json_array_get(sessions, i), "sid")));
			if (!json_object_get(known, key))
				json_array_remove(sessions, i);
		}
	}
}
