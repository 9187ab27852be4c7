/* SPDX-License-Identifier: GPL-2.0-only */
/* fuzz_proto.c - any bytes as lines of the control protocol, on an open pool: each line gets one answer of the right
 * shape, and the pool stays consistent.
 */
#include "ram_pool.h"

#include "control/proto.h"

#define FRESH_AFTER 500		/* inputs, then a new pool: an input finds nearly the same pool whenever it is run */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct ram_pool ram;
static unsigned inputs;

static void must(bool holds)
{
	if (!holds)
		abort();
}

static struct hb_pool *find_pool(void *ctx, const char *name)
{
	struct ram_pool *r = ctx;

	return strcmp(name, hb_pool_name(r->pool)) ? NULL : r->pool;
}

static struct hb_pool *next_pool(void *ctx, struct hb_pool *after)
{
	struct ram_pool *r = ctx;

	return after ? NULL : r->pool;
}

struct answer {
	bool done;
};

static void answered(void *owner, struct proto_call *call, const char *line, size_t len)
{
	struct answer *a = owner;
	json_t *root = json_loadb(line, len - 1, JSON_REJECT_DUPLICATES, NULL);
	json_t *error = json_object_get(root, "error");

	(void)call;
	must(!a->done);
	must(len > 1 && line[len - 1] == '\n' && !memchr(line, '\n', len - 1));
	must(json_object_size(root) == 4 && json_integer_value(json_object_get(root, "v")) == PROTO_VERSION);
	must(json_object_get(root, "id") != NULL);
	if (json_is_true(json_object_get(root, "ok")))
		must(json_is_object(json_object_get(root, "result")));
	else
		must(json_string_length(json_object_get(error, "code")) &&
		     json_string_length(json_object_get(error, "text")));
	json_decref(root);
	a->done = true;
}

static void run_line(const struct verb_host *host, const char *line, size_t len)
{
	struct answer a = {0};
	struct proto_call *call;

	if (proto_handle_line(host, line, len, answered, &a, &call)) {
		must(!a.done);
		ram_pool_run(&ram, &a.done);
	}
	must(a.done);
}

static void delete_volumes(void)
{
	char cursor[HB_NAME_MAX + 1] = "";
	struct hb_volume_info info;
	struct err err = ERR_INIT;

	while (hb_volume_next(ram.pool, cursor, &info))
		(void)hb_volume_delete(ram.pool, info.name, &err);	/* a full log may refuse it */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct verb_host host = {.ctx = &ram, .find = find_pool, .next = next_pool,
				       .may_wait = size && (data[0] & 1)};
	const char *text = (const char *)data, *end = text + size;

	if (inputs++ % FRESH_AFTER == 0) {
		if (ram.pool)
			ram_pool_close(&ram);
		ram_pool_open(&ram);
	}
	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		const char *stop = newline ? newline : end;

		run_line(&host, text, (size_t)(stop - text));
		text = stop + 1;
	}
	must(hb_pool_check(ram.pool, false, NULL, NULL, NULL) <= 0);
	delete_volumes();
	return 0;
}
