/* SPDX-License-Identifier: GPL-2.0-only */
/* key.c - API keys: made, listed, revoked; and what others need to verify a proof by one.
 *
 * A secret is drawn here, sealed under the key's id in its row, and shown by the answer of key-create alone: it is in
 * no argument, so neither in the audit log nor in a token's row. So a repeated key-create is answered as the first one
 * was, but without the secret: who lost that answer revokes the key and makes another.
 *
 * A key that was revoked keeps its row, without its secret, as long as the audit log goes back, and its name is not
 * given again in that time: what is written there means one key.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "verbs/priv.h"

#define ID_PREFIX "AKIA"
#define ID_RANDOM 16
#define SECRET_CHARS 40 /* letters and digits: 238 bits */
#define BASE32 "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
#define USED_EACH_MS 3600000u /* so old may used_ms be: not every request is a commit */

const struct kind kind_key = {T_KEY, ID_PREFIX, "key", EBS_NO_KEY, NULL};

bool key_is_id(const char *text)
{
	size_t n = strlen(ID_PREFIX);

	return !strncmp(text, ID_PREFIX, n) && strlen(text) == n + ID_RANDOM && strspn(text + n, BASE32) == ID_RANDOM;
}

static void new_id(char to[EBS_ID_MAX])
{
	size_t n = strlen(ID_PREFIX);
	uint8_t bytes[ID_RANDOM];

	while (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		;
	memcpy(to, ID_PREFIX, n);
	for (unsigned i = 0; i < ID_RANDOM; i++)
		to[n + i] = BASE32[bytes[i] & 31];
	to[n + ID_RANDOM] = '\0';
}

static json_t *key_shown(struct store_tx *tx, const json_t *row, const json_t *tags, struct err *err)
{
	const json_t *rights = json_object_get(row, "rights"), *revoked = json_object_get(row, "revoked_ms");
	json_t *k = json_pack("{s:O, s:O, s:O*, s:O*, s:s, s:o}", "id", json_object_get(row, "id"), "name",
			      json_object_get(row, "name"), "rights", json_object_get(rights, "rights"), "tags",
			      json_object_get(rights, "tags"), "state", json_is_integer(revoked) ? "revoked" : "active",
			      "created", time_shown(json_object_get(row, "created_ms")));

	(void)tx;
	(void)tags;
	(void)err;
	if (json_is_integer(json_object_get(row, "used_ms")))
		json_object_set_new(k, "used", time_shown(json_object_get(row, "used_ms")));
	if (json_is_integer(revoked))
		json_object_set_new(k, "revoked", time_shown(revoked));
	return k;
}

void run_key_describe(struct ebs_call *c)
{
	find_list(c, &kind_key, "keys", key_shown);
}

/* ---------------------------------------------------------------- create */

static int create_begin(struct store_tx *tx, struct ebs_call *c, json_t *doc)
{
	struct err err = ERR_INIT;
	int rc = store_insert(tx, T_KEY, doc, &err);

	if (rc == -EEXIST)
		return ebs_fail(c, EBS_DUPLICATE, rc, "a key named '%.100s' exists, or was revoked: names mean one key",
				arg_text(c, "name"));
	return rc ? ebs_fail_err(c, &err) : 0;
}

static bool rights_make_sense(struct ebs_call *c)
{
	const json_t *tags = arg_json(c, "tags");

	if (key_is_id(arg_text(c, "name")))
		ebs_fail(c, EBS_INVALID_PARAMETER, -EINVAL, "\"name\": expected none that looks like a key's id");
	else if (tags && strcmp(arg_text(c, "rights"), "operator"))
		ebs_fail(c, EBS_INVALID_COMBINATION, -EINVAL, "\"tags\" go with the rights of an operator only");
	else if (tags && (!json_object_size(tags) || json_object_size(tags) > EBS_KEY_TAGS_MAX))
		ebs_fail(c, EBS_INVALID_PARAMETER, -EINVAL, "\"tags\": expected 1 to %d of them", EBS_KEY_TAGS_MAX);
	return !c->code;
}

void run_key_create(struct ebs_call *c)
{
	char id[EBS_ID_MAX], secret[SECRET_CHARS + 1], *sealed;
	struct change ch = {.resource = id, .begin = create_begin, .kind = &kind_key, .show = key_shown};

	if (!rights_make_sense(c))
		return;
	new_id(id);
	seal_random(secret, SECRET_CHARS);
	sealed = seal_wrap(c->ebs->seal, id, secret);
	ch.doc = json_pack("{s:s, s:O, s:s, s:{s:O, s:O*}, s:I}", "id", id, "name", arg_json(c, "name"), "secret",
			   sealed ? sealed : "", "rights", "rights", arg_json(c, "rights"), "tags", arg_json(c, "tags"),
			   "created_ms", (json_int_t)ebs_now_ms(c->ebs));
	if (sealed && ch.doc) {
		change_run(c, &ch);
		if (c->result && !c->dry_ok && !c->repeated)
			json_object_set_new(c->result, "secret", json_string(secret));
	} else {
		ebs_fail(c, EBS_INTERNAL, -ENOMEM, "out of memory");
		json_decref(ch.doc);
	}
	explicit_bzero(secret, sizeof(secret));
	free(sealed);
}

/* ---------------------------------------------------------------- revoke */

static int revoke_begin(struct store_tx *tx, struct ebs_call *c, json_t *doc)
{
	json_t *row = find_row(tx, c, &kind_key, text_of(doc, "id"));
	json_t *change = json_pack("{s:I, s:n}", "revoked_ms", (json_int_t)ebs_now_ms(c->ebs), "secret");
	struct err err = ERR_INIT;
	int rc = row ? 0 : -ENOENT;

	/* Again: nothing changes, least of all since when. */
	if (!rc && !json_is_integer(json_object_get(row, "revoked_ms")))
		rc = store_update(tx, T_KEY, text_of(doc, "id"), change, &err);
	if (err.code)
		ebs_fail_err(c, &err);
	json_decref(change);
	json_decref(row);
	return rc;
}

void run_key_revoke(struct ebs_call *c)
{
	char *id = find_id(c, &kind_key, arg_text(c, "key"));
	struct change ch = {.resource = id, .begin = revoke_begin, .kind = &kind_key, .show = key_shown};

	if (!id)
		return;
	ch.doc = json_pack("{s:s}", "id", id);
	change_run(c, &ch);
	free(id);
}

/* ---------------------------------------------------------------- to verify by */

struct wanted {
	const char *id;
	json_t *row;
};

static int read_key(struct store_tx *tx, void *arg, struct err *err)
{
	struct wanted *w = arg;

	w->row = store_get(tx, T_KEY, w->id, err);
	return w->row ? 0 : err->code ? err->code : -ENOENT;
}

/* What is not known gives no rights. */
static bool read_rights(const json_t *rights, struct ebs_key *k)
{
	static const struct {
		const char *word;
		enum ebs_rights rights;
	} words[] = {{"admin", EBS_MAY_ALL}, {"operator", EBS_MAY_OPERATE}, {"read-only", EBS_MAY_READ}};
	const char *word = text_of(rights, "rights");

	for (size_t i = 0; word && i < sizeof(words) / sizeof(*words); i++) {
		if (strcmp(words[i].word, word))
			continue;
		k->rights = words[i].rights;
		k->only_tags = json_incref(json_object_get(rights, "tags"));
		return !k->only_tags || json_is_object(k->only_tags);
	}
	return false;
}

static int fill(struct ebs *e, const char *id, const json_t *row, struct ebs_key *k, struct err *err)
{
	int rc;

	if (!text_of(row, "secret") || json_is_integer(json_object_get(row, "revoked_ms")))
		return err_set(err, -ENOENT, "key %s was revoked", id);
	if (!read_rights(json_object_get(row, "rights"), k))
		return err_set(err, -EBADMSG, "key %s has rights that are not known", id);
	if (asprintf(&k->who, "key %s %s", id, text_of(row, "name")) < 0)
		k->who = NULL;
	k->used_ms = (uint64_t)number_of(row, "used_ms");
	rc = seal_unwrap(e->seal, id, text_of(row, "secret"), &k->secret, err);
	return rc ? rc : k->who ? 0 : err_set(err, -ENOMEM, "out of memory");
}

int ebs_key_open(struct ebs *e, const char *id, struct ebs_key *ret, struct err *err)
{
	struct wanted w = {id, NULL};
	struct ebs_key k = {0};
	int rc = key_is_id(id) ? store_read(e->store, read_key, &w, err) : -ENOENT;

	rc = rc ? rc : fill(e, id, w.row, &k, err);
	json_decref(w.row);
	if (rc)
		ebs_key_close(&k);
	else
		*ret = k;
	return rc;
}

static int write_used(struct store_tx *tx, void *arg, struct err *err)
{
	json_t *change = json_pack("{s:I}", "used_ms", (json_int_t)ebs_now_ms(NULL));
	int rc = store_update(tx, T_KEY, arg, change, err);

	json_decref(change);
	return rc;
}

void ebs_key_used(struct ebs *e, const char *id, const struct ebs_key *k)
{
	struct err err = ERR_INIT;

	if (ebs_now_ms(e) - k->used_ms >= USED_EACH_MS)
		store_write(e->store, write_used, (void *)(uintptr_t)id, &err);
}

void ebs_key_close(struct ebs_key *k)
{
	seal_forget(k->secret);
	free(k->who);
	json_decref(k->only_tags);
	memset(k, 0, sizeof(*k));
}
