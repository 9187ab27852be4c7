/* SPDX-License-Identifier: GPL-2.0-only */
/* proto.c - parses a request line, runs its verb, writes the answer line.
 *
 * A hostile line costs at most its own length: it is scanned for depth before the JSON parser, which recurses, sees it.
 */
#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "control/proto.h"

static const struct { int code; const char *name; } codes[] = {
	{EPERM, "EPERM"}, {ENOENT, "ENOENT"}, {EIO, "EIO"}, {ENOMEM, "ENOMEM"}, {EBUSY, "EBUSY"}, {EEXIST, "EEXIST"},
	{EXDEV, "EXDEV"}, {EINVAL, "EINVAL"}, {ENOSPC, "ENOSPC"}, {EROFS, "EROFS"}, {ERANGE, "ERANGE"},
	{EPROTO, "EPROTO"}, {EBADMSG, "EBADMSG"}, {EMSGSIZE, "EMSGSIZE"}, {EOPNOTSUPP, "EOPNOTSUPP"},
	{EPROTONOSUPPORT, "EPROTONOSUPPORT"}, {ETIMEDOUT, "ETIMEDOUT"}, {ENODATA, "ENODATA"}, {EAGAIN, "EAGAIN"},
	{EACCES, "EACCES"}, {ENODEV, "ENODEV"}, {E2BIG, "E2BIG"}, {EFBIG, "EFBIG"}, {ENAMETOOLONG, "ENAMETOOLONG"},
	{ENOTEMPTY, "ENOTEMPTY"},
};

const char *proto_code_name(int code)
{
	code = code < 0 ? -code : code;
	for (size_t i = 0; i < ARRAY_LEN(codes); i++)
		if (codes[i].code == code)
			return codes[i].name;
	return "EIO";
}

int proto_code_value(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(codes); i++)
		if (!strcmp(codes[i].name, name))
			return -codes[i].code;
	return -EIO;
}

/* ------------------------------------------------------------------ answers */
static const char no_memory[] =
	"{\"v\":1,\"id\":null,\"ok\":false,\"error\":{\"code\":\"ENOMEM\",\"text\":\"out of memory\"}}\n";

/* The line of `root`, with newline; freed with mem_free(). Into memory of the right size, because json_dumps() leaves
 * out a part and reports success when its own runs out.
 */
static char *line_of(const json_t *root, size_t *ret_len)
{
	size_t len = root ? json_dumpb(root, NULL, 0, JSON_COMPACT) : 0;
	char *line = len ? mem_alloc(len + 1) : NULL;

	if (line && json_dumpb(root, line, len, JSON_COMPACT) == len) {
		line[len] = '\n';
		*ret_len = len + 1;
		return line;
	}
	mem_free(line);
	return NULL;
}

/* Writes the answer of a finished call; takes id and result. */
static void send_answer(struct proto_call *waited, json_t *id, struct verb_call *verb, proto_answer_fn *answer,
			void *owner)
{
	json_t *root;
	char *line;
	size_t len;

	if (!id)
		id = json_null();
	if (verb->err.code)
		root = json_pack("{s:i, s:o, s:b, s:{s:s, s:o}}", "v", PROTO_VERSION, "id", id, "ok", 0, "error",
				 "code", proto_code_name(verb->err.code), "text", verb_text_json(verb->err.text));
	else
		root = json_pack("{s:i, s:o, s:b, s:o}", "v", PROTO_VERSION, "id", id, "ok", 1, "result",
				 verb->result);
	verb->result = NULL;
	line = line_of(root, &len);
	json_decref(root);
	if (line)
		answer(owner, waited, line, len);
	else
		answer(owner, waited, no_memory, sizeof(no_memory) - 1);
	mem_free(line);
}

void proto_refuse(int code, const char *text, proto_answer_fn *answer, void *owner)
{
	struct verb_call verb = {0};

	err_set(&verb.err, code, "%s", text);
	send_answer(NULL, NULL, &verb, answer, owner);
}

static void drop_answer(void *owner, struct proto_call *call, const char *line, size_t len)
{
	(void)owner;
	(void)call;
	(void)line;
	(void)len;
}

void proto_call_orphan(struct proto_call *call)
{
	call->answer = drop_answer;
	call->owner = NULL;
}

static void call_answered(struct verb_call *verb)
{
	struct proto_call *call = container_of(verb, struct proto_call, verb);

	send_answer(call, call->id, verb, call->answer, call->owner);
	mem_free(call);
}

void proto_call_fail(struct proto_call *call, const char *why)
{
	json_decref(call->verb.result);
	call->verb.result = NULL;
	err_set(&call->verb.err, -EIO, "%s", why);
	call_answered(&call->verb);
}

/* ------------------------------------------------------------------ requests */
/* Deepest nesting of brackets outside strings. */
static unsigned nesting(const char *line, size_t len)
{
	unsigned depth = 0, deepest = 0;
	bool quoted = false;

	for (size_t i = 0; i < len; i++) {
		if (quoted && line[i] == '\\')
			i++;
		else if (line[i] == '"')
			quoted = !quoted;
		else if (!quoted && (line[i] == '{' || line[i] == '['))
			depth++;
		else if (!quoted && (line[i] == '}' || line[i] == ']') && depth)
			depth--;
		deepest = MAX(deepest, depth);
	}
	return deepest;
}

static json_t *parse(const char *line, size_t len, struct err *err)
{
	json_error_t at;
	json_t *root;

	if (len > PROTO_LINE_MAX) {
		err_set(err, -EMSGSIZE, "the line is longer than %d bytes", PROTO_LINE_MAX);
		return NULL;
	}
	if (nesting(line, len) > PROTO_DEPTH_MAX) {
		err_set(err, -EPROTO, "nested deeper than %d", PROTO_DEPTH_MAX);
		return NULL;
	}
	root = json_loadb(line, len, JSON_REJECT_DUPLICATES, &at);
	if (!root) {
		if (json_error_code(&at) == json_error_out_of_memory)
			err_set(err, -ENOMEM, "out of memory");
		else
			err_set(err, -EPROTO, "not a line of JSON: %s (at byte %d)", at.text, at.position);
		return NULL;
	}
	if (json_is_object(root))
		return root;
	err_set(err, -EPROTO, "expected an object {\"v\":%d, \"id\":..., \"verb\":..., ...}", PROTO_VERSION);
	json_decref(root);
	return NULL;
}

static int check_id(const json_t *id, struct err *err)
{
	if (!id || json_is_null(id) || json_is_integer(id))
		return 0;
	if (json_is_string(id) && json_string_length(id) <= PROTO_ID_MAX)
		return 0;
	return err_set(err, -EPROTO, "id: expected an integer, a string of at most %d bytes, or null", PROTO_ID_MAX);
}

static int check_version(const json_t *v, struct err *err)
{
	if (!json_is_integer(v))
		return err_set(err, -EPROTO, "v: expected the protocol's version, the integer %d", PROTO_VERSION);
	if (json_integer_value(v) != PROTO_VERSION)
		return err_set(err, -EPROTONOSUPPORT, "v: protocol version %lld is not known, this is version %d",
			       (long long)json_integer_value(v), PROTO_VERSION);
	return 0;
}

/* Everything of the request's shape but the version and the id. */
static int check_keys(json_t *root, struct err *err)
{
	static const char *const known[] = {"v", "id", "verb", "pool", "args"};
	const json_t *pool = json_object_get(root, "pool");
	const char *key;
	json_t *value;
	size_t i;

	json_object_foreach(root, key, value) {
		for (i = 0; i < ARRAY_LEN(known); i++)
			if (!strcmp(known[i], key))
				break;
		if (i == ARRAY_LEN(known))
			return err_set(err, -EPROTO, "\"%.80s\" is not known: expected v, id, verb, pool, args", key);
	}
	if (!json_is_string(json_object_get(root, "verb")))
		return err_set(err, -EPROTO, "verb: expected a string");
	if (pool && !json_is_string(pool))
		return err_set(err, -EPROTO, "pool: expected a string");
	return 0;
}

/* Reads the shape of the request. *ret_id is set (owned) as soon as the id is known to be one. */
static int check_request(json_t *root, json_t **ret_id, struct err *err)
{
	json_t *id = json_object_get(root, "id");

	if (check_id(id, err))
		return err->code;
	*ret_id = json_incref(id);
	if (check_version(json_object_get(root, "v"), err))
		return err->code;
	return check_keys(root, err);
}

int proto_handle_line(const struct verb_host *host, const char *line, size_t len, proto_answer_fn *answer, void *owner,
		      struct proto_call **ret)
{
	struct proto_call *call = mem_zalloc(sizeof(*call));
	json_t *root;
	bool done = true;

	if (!call) {
		answer(owner, NULL, no_memory, sizeof(no_memory) - 1);
		return 0;
	}
	call->answer = answer;
	call->owner = owner;
	call->verb.host = host;
	call->verb.answered = call_answered;
	root = parse(line, len, &call->verb.err);
	if (root && check_request(root, &call->id, &call->verb.err) == 0)
		done = verb_run(&call->verb, json_string_value(json_object_get(root, "verb")),
				json_string_value(json_object_get(root, "pool")), json_object_get(root, "args"));
	json_decref(root);
	if (!done) {
		*ret = call;
		return 1;
	}
	send_answer(NULL, call->id, &call->verb, answer, owner);
	mem_free(call);
	return 0;
}
