/* SPDX-License-Identifier: GPL-2.0-only */
/* conf.c - the configuration file as a whole; see conf.h. */
#include "conf/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/units.h"
#include "conf/read.h"

#define DEPTH_MAX 128
#define SEGMENT_BYTES_MIN (64 * BLK_BYTES)
#define SEGMENT_BYTES_MAX (512 * BLK_BYTES)

/* ------------------------------------------------------------------ write_back */

static int wb_low(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	return read_percent(r, key, v, at, &((struct conf_pool *)out)->dirty_low_pct);
}

static int wb_high(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	return read_percent(r, key, v, at, &((struct conf_pool *)out)->dirty_high_pct);
}

static int wb_idle(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	return read_duration(r, key, v, at, &((struct conf_pool *)out)->idle_ns);
}

static int wb_depth(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	return read_count(r, key, v, at, 1, DEPTH_MAX, &((struct conf_pool *)out)->depth);
}

static const struct field write_back_fields[] = {
	{ "dirty_low", false, wb_low }, { "dirty_high", false, wb_high }, { "idle", false, wb_idle },
	{ "depth", false, wb_depth }, { NULL, false, NULL },
};

static int pool_write_back(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	struct conf_pool *pool = out;
	int e = read_object(r, v, at, "\"write_back\"", write_back_fields, pool);

	(void)key;
	if (e < 0)
		return e;
	if (!pool->dirty_low_pct != !pool->dirty_high_pct)
		return bad(r, at, "\"%s\" is given alone, expected \"dirty_low\" and \"dirty_high\" together",
			   pool->dirty_low_pct ? "dirty_low" : "dirty_high");
	if (pool->dirty_low_pct && pool->dirty_low_pct >= pool->dirty_high_pct)
		return bad(r, at, "\"dirty_low\" is %u%% and \"dirty_high\" is %u%%, expected the lower one lower",
			   pool->dirty_low_pct, pool->dirty_high_pct);
	return 0;
}

/* ------------------------------------------------------------------ a pool */

static int pool_name(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	struct conf_pool *pool = out;
	int e = read_name(r, key, v, at, pool->name);

	for (const struct conf_pool *p = r->conf->pools; e == 0 && p < pool; p++) {
		if (strcmp(p->name, pool->name) == 0)
			e = bad(r, at, "a second pool \"%s\" (the first is on line %u), expected another name", p->name,
				p->line);
	}
	return e;
}

static int pool_staging(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	return read_path(r, key, v, at, &((struct conf_pool *)out)->staging);
}

static int pool_chunk(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	struct conf_pool *pool = out;
	uint64_t bytes;
	int e = read_size(r, key, v, at, &bytes);

	if (e == 0 && bytes != KIB(64) && bytes != KIB(128))
		e = bad(r, at, "\"%s\" is \"%s\", expected \"64KiB\" or \"128KiB\"", key, shown(json_string_value(v)));
	if (e == 0)
		pool->chunk_bytes = (uint32_t)bytes;
	return e;
}

static int pool_segment(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	struct conf_pool *pool = out;
	uint64_t bytes;
	int e = read_size(r, key, v, at, &bytes);

	if (e == 0 && (bytes < SEGMENT_BYTES_MIN || bytes > SEGMENT_BYTES_MAX || (bytes & (bytes - 1))))
		e = bad(r, at, "\"%s\" is \"%s\", expected \"256KiB\", \"512KiB\", \"1MiB\" or \"2MiB\"", key,
			shown(json_string_value(v)));
	if (e == 0)
		pool->segment_bytes = (uint32_t)bytes;
	return e;
}

static int pool_open(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	const char *when;
	int e = read_string(r, key, v, at, &when);

	if (e < 0)
		return e;
	if (strcmp(when, "start") && strcmp(when, "first-lun"))
		return bad(r, at, "\"%s\" is \"%s\", expected \"start\" or \"first-lun\"", key, shown(when));
	((struct conf_pool *)out)->open_at_start = !strcmp(when, "start");
	return 0;
}

static const struct field pool_fields[] = {
	{ "name", true, pool_name }, { "open", false, pool_open }, { "staging", false, pool_staging },
	{ "tiers", true, read_tiers },
	{ "chunk", false, pool_chunk }, { "segment", false, pool_segment }, { "write_back", false, pool_write_back },
	{ NULL, false, NULL },
};

static int read_pool(struct reader *r, json_t *v, const struct at *at, struct conf_pool *pool)
{
	int e;

	pool->file = r->conf->file;
	pool->line = conf_line(r->text, r->len, at, false);
	e = read_object(r, v, at, "a pool", pool_fields, pool);
	if (e < 0 || pool->staging)
		return e;
	pool->staging = mem_strdup(CONF_DEFAULT_STAGING);
	return pool->staging ? 0 : err_set(r->err, -ENOMEM, "%s: out of memory", r->file);
}

/* ------------------------------------------------------------------ the file */

static int top_pools(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	struct at element = { .up = at };
	struct conf *conf = out;
	int e;

	if (!json_is_array(v) || json_array_size(v) == 0)
		return bad(r, at, "\"%s\" is %s, expected an array of at least one pool", key,
			   json_is_array(v) ? "empty" : "no array");
	if (json_array_size(v) > CONF_POOLS_MAX)
		return bad(r, at, "\"%s\" has %zu pools, expected at most %d", key, json_array_size(v), CONF_POOLS_MAX);
	conf->pools = mem_calloc(json_array_size(v), sizeof(*conf->pools));
	if (!conf->pools)
		return err_set(r->err, -ENOMEM, "%s: out of memory", r->file);
	for (; element.nth < json_array_size(v); element.nth++) {
		conf->npools = element.nth + 1;
		e = read_pool(r, json_array_get(v, element.nth), &element, &conf->pools[element.nth]);
		if (e < 0)
			return e;
	}
	return 0;
}

static int control_socket(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	struct conf *conf = out;
	const size_t max = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;
	int e = read_path(r, key, v, at, &conf->socket);

	if (e == 0 && strlen(conf->socket) > max)
		e = bad(r, at, "\"%s\" has %zu bytes, expected a path of at most %zu", key, strlen(conf->socket), max);
	return e;
}

static int control_mode(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	return read_mode(r, key, v, at, &((struct conf *)out)->socket_mode);
}

static const struct field control_fields[] = {
	{ "socket", false, control_socket }, { "mode", false, control_mode }, { NULL, false, NULL },
};

static int top_control(struct reader *r, const char *key, json_t *v, const struct at *at, void *out)
{
	(void)key;
	return read_object(r, v, at, "\"control\"", control_fields, out);
}

static const struct field top_fields[] = {
	{ "control", false, top_control }, { "pools", true, top_pools }, { NULL, false, NULL },
};

static int tell_syntax(struct reader *r, const json_error_t *je)
{
	int line = je->line > 0 ? je->line : 1;
	const char *name = strstr(je->text, "near '\"");
	size_t n = name ? strcspn(name + 7, "\"") : 0;

	if (json_error_code(je) == json_error_duplicate_key && name)
		return err_set(r->err, -EINVAL, "%s:%d: key \"%.*s\" is given twice in one object, expected once",
			       r->file, line, (int)MIN(n, 60u), name + 7);
	return err_set(r->err, -EINVAL, "%s:%d: not valid JSON: %s", r->file, line, shown(je->text));
}

/* The parser stops at a zero byte inside some values and takes it for nothing inside others. */
static int tell_zero_byte(struct reader *r, const char *zero)
{
	int line = 1;

	for (const char *at = r->text; at < zero; at++)
		line += *at == '\n';
	return err_set(r->err, -EINVAL, "%s:%d: not valid JSON: a zero byte, expected text", r->file, line);
}

/* The absolute path of the directory that `file` is in, as it is written; need not exist. Owned; "" is the root. */
static char *directory_of(const char *file)
{
	const char *slash = strrchr(file, '/');
	size_t own = slash ? (size_t)(slash - file) : 0;
	char *cwd = *file == '/' ? NULL : getcwd(NULL, 0);
	size_t up = cwd ? strlen(cwd) : 0;
	char *dir = *file == '/' || cwd ? mem_alloc(up + own + 2) : NULL;

	if (dir)
		snprintf(dir, up + own + 2, "%s%s%.*s", cwd ? cwd : "", cwd && own ? "/" : "", (int)own, file);
	free(cwd);
	return dir;
}

static int read_all(struct reader *r, json_t *json)
{
	struct at top = { NULL, 0 };
	int e = read_object(r, json, &top, "the configuration", top_fields, r->conf);

	if (e == 0 && !r->conf->socket) {
		r->conf->socket = mem_strdup(CONF_DEFAULT_SOCKET);
		if (!r->conf->socket)
			e = err_set(r->err, -ENOMEM, "%s: out of memory", r->file);
	}
	return e < 0 ? e : check_devices_differ(r);
}

int conf_parse(const char *text, size_t len, const char *file, struct conf **ret, struct err *err)
{
	struct reader r = { .file = file, .text = text, .len = len, .err = err };
	struct conf *conf = mem_zalloc(sizeof(*conf));
	json_error_t je;
	json_t *json = NULL;
	int e;

	r.conf = conf;
	r.dir = directory_of(file);
	if (conf) {
		conf->file = mem_strdup(file);
		conf->socket_mode = 0600;
	}
	if (!conf || !conf->file || !r.dir) {
		e = err_set(err, -ENOMEM, "%s: out of memory", file);
	} else if (memchr(text, 0, len)) {
		e = tell_zero_byte(&r, memchr(text, 0, len));
	} else {
		json = json_loadb(text, len, JSON_REJECT_DUPLICATES, &je);
		e = json ? read_all(&r, json) : tell_syntax(&r, &je);
	}
	json_decref(json);
	mem_free(r.dir);
	if (e < 0)
		conf_free(conf);
	else
		*ret = conf;
	return e;
}

/* The whole file, which is small. */
static int read_file(const char *file, char **ret, size_t *ret_len, struct err *err)
{
	/* Not blocking: a FIFO would wait for a writer. */
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	size_t len = 0;
	struct stat st;
	ssize_t n = 1;
	char *text;

	if (fd < 0)
		return err_set(err, -errno, "%s: %s", file, strerror(errno));
	text = mem_alloc(CONF_FILE_BYTES_MAX + 1);
	if (!text || fstat(fd, &st) < 0) {
		err_set(err, text ? -errno : -ENOMEM, "%s: %s", file, text ? strerror(errno) : "out of memory");
	} else if (!S_ISREG(st.st_mode)) {
		err_set(err, -EINVAL, "%s: is no regular file", file);
	} else {
		while (len <= CONF_FILE_BYTES_MAX && (n = read(fd, text + len, CONF_FILE_BYTES_MAX + 1 - len)) > 0)
			len += (size_t)n;
		if (n < 0)
			err_set(err, -errno, "%s: %s", file, strerror(errno));
		else if (len > CONF_FILE_BYTES_MAX)
			err_set(err, -EFBIG, "%s: is larger than 1 MiB, expected a configuration file", file);
	}
	close(fd);
	if (err->code) {
		mem_free(text);
		return err->code;
	}
	*ret = text;
	*ret_len = len;
	return 0;
}

int conf_load(const char *file, struct conf **ret, struct err *err)
{
	const char *from_env = secure_getenv("HYBRID_CONF");
	struct err own = ERR_INIT;
	char *text = NULL;
	size_t len = 0;
	int e;

	if (!file)
		file = from_env && *from_env ? from_env : CONF_DEFAULT_FILE;
	e = read_file(file, &text, &len, &own);
	if (e < 0)
		return err_set(err, e, "%s", own.text);
	e = conf_parse(text, len, file, ret, err);
	mem_free(text);
	return e;
}

static void free_pool(struct conf_pool *pool)
{
	mem_free(pool->staging);
	for (int i = 0; i < CONF_TIER_TYPES; i++)
		free_tier(&pool->tiers[i]);
}

void conf_free(struct conf *conf)
{
	if (!conf)
		return;
	for (size_t i = 0; i < conf->npools; i++)
		free_pool(&conf->pools[i]);
	mem_free(conf->pools);
	mem_free(conf->socket);
	mem_free(conf->file);
	mem_free(conf);
}

const struct conf_pool *conf_find_pool(const struct conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->npools; i++) {
		if (strcmp(conf->pools[i].name, name) == 0)
			return &conf->pools[i];
	}
	return NULL;
}
