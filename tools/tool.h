/* SPDX-License-Identifier: GPL-2.0-only */
/* tool.h - what the files of hybrid-pool share: the command line, exit codes, the session with a pool, output. */
#ifndef HB_TOOLS_TOOL_H
#define HB_TOOLS_TOOL_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "conf/conf.h"

/* Exit codes; stable, in hybrid-pool(8). A check with findings exits EXIT_FINDINGS + the bits of their classes (1 for
 * space, 2 map, 4 index, 8 log, 16 data). */
enum tool_exit {
	EXIT_OK = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,			/* options, arguments or configuration make no sense */
	EXIT_NOT_FOUND = 3,
	EXIT_BUSY = 4,			/* exists already, or is in use */
	EXIT_DAMAGED = 5,		/* the pool cannot be opened: damaged, or not of this format */
	EXIT_FINDINGS = 32
};

/* Options beyond those that every command takes. */
enum {
	TAKES_FORCE = 1,
	TAKES_YES = 2,
	TAKES_DEEP = 4,
	TAKES_BYTES = 8,
	TAKES_GROUP = 16,
	TAKES_KEEP = 32,
	TAKES_IN_USE = 64,
	TAKES_USAGE = 128,
	TAKES_FROM = 256,
	TAKES_AS = 512,
	TAKES_RESUME = 1024,
	TAKES_AGAIN = 2048,
	TAKES_PROGRESS = 4096,
	TAKES_ATTR = 8192,
	TAKES_START = 1 << 14,
	TAKES_STOP = 1 << 15,
	TAKES_WAIT = 1 << 16,
	TAKES_RATE = 1 << 17,
	TAKES_WHAT = 1 << 18,
	TAKES_FILE = 1 << 20,		/* --output names a file */
	TAKES_BATCH = 1 << 21,		/* -b is --batch, not --bytes */
	TAKES_TIMES = 1 << 22		/* --delay, --count, --sort */
};

#define RANGES_MAX 32
struct tool_ranges {			/* of an option that may be repeated */
	unsigned n;
	const char *text[RANGES_MAX];
};

struct tool {
	const char *conf_path;		/* NULL: the default, which conf_load() knows */
	const char *pool;		/* NULL: the only one of the configuration */
	bool json;
	bool force, yes, deep, group, in_use, usage, resume, again, progress, start, stop, wait;
	const char *rate, *what;	/* NULL: not given */
	const char *from, *as;		/* NULL: not given */
	const char *keep;		/* NULL: not given */
	const char *output;		/* of --output, where it names a file; NULL: not given */
	const char *delay, *count, *sort;	/* NULL: not given */
	bool batch;
	const char *mode, *iops, *bandwidth, *burst, *share, *bypass, *read_ahead;	/* NULL: not given */
	const char *cache_floor;	/* the same */
	struct tool_ranges pin, unpin;
	bool bytes;			/* sizes in tables as exact numbers of bytes */
};

struct command {
	const char *name;		/* "show", or two words: "volume create" */
	int (*run)(struct tool *t, int argc, char **argv);	/* the operands; returns an exit code */
	int operands_min, operands_max;
	const char *operands;		/* for the usage line */
	unsigned takes;			/* TAKES_* */
	const char *help;		/* one line */
	const char *more;		/* further lines of --help, or NULL */
};

/* One table per file; each ends with a NULL name. */
extern const struct command pool_commands[], volume_commands[], lineage_commands[], tree_commands[], check_commands[],
	stats_commands[], dump_commands[], stream_commands[], attr_commands[], tier_commands[],
	metrics_commands[], top_commands[], heat_commands[], scrub_commands[];

/* ------------------------------------------------------------------ errors */
/* Prints "hybrid-pool: TEXT" and returns the exit code for err->code. */
int tool_fail(const struct err *err);
int tool_usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int tool_exit_of(int code);
/* Asks on the terminal; true at once with --yes. Without a terminal: false, and says that --yes is wanted. */
bool tool_confirm(const struct tool *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* ------------------------------------------------------------------ sessions: session.c */
/* A pool to talk to: opened here, or served by another process. */
struct session;
enum session_want {
	SESSION_READ,		/* looking only: a closed pool is opened read-only */
	SESSION_WRITE,
	SESSION_CLOSED,		/* looking only, and the pool must not be open elsewhere */
	SESSION_SERVED		/* looking only, through the socket: a closed pool is not opened (-ENODEV) */
};
int session_open(const struct tool *t, enum session_want want, struct session **ret, struct err *err);
/* Runs a verb; takes args (NULL: none). On success *ret_result is the caller's. */
int session_call(struct session *s, const char *verb, json_t *args, json_t **ret_result, struct err *err);
/* Closes the pool if it was opened here. NULL is fine. */
int session_close(struct session *s, struct err *err);
/* For progress on a terminal: called now and then during long verbs of a pool opened here. */
void session_progress(struct session *s, void (*progress)(void *ctx, uint64_t done, uint64_t total), void *ctx);
/* Lets a pool opened here go on for a while, or waits so long for the one that serves it. */
void session_turn(struct session *s, unsigned ms);
/* The pool opened here, or NULL when another process serves it. */
struct hb_pool *session_pool(struct session *s);
/* Opens a session, runs one verb, closes. What most commands do. */
int session_once(const struct tool *t, enum session_want want, const char *verb, json_t *args, json_t **ret_result,
		 struct err *err);

/* What volume-list says of all volumes, however many answers that takes: an owned array; NULL with err set. */
json_t *session_volumes(struct session *s, struct err *err);
/* What volume-usage says of one volume when it is complete. On success *ret_result is the caller's. */
int session_usage(struct session *s, const char *name, json_t **ret_result, struct err *err);

/* Formats the pool's devices (t->force: over anything); its name goes to ret_name. */
int session_create_pool(const struct tool *t, char ret_name[64], struct err *err);
/* Calls each() for the name of every pool of the configuration, until it returns other than 0. */
int session_each_pool(const struct tool *t, int (*each)(void *ctx, const char *name), void *ctx, struct err *err);
/* Loads the configuration and chooses the pool; free with conf_free(). */
int tool_conf(const struct tool *t, struct conf **ret, const struct conf_pool **ret_pool, struct err *err);
/* "10GiB" in bytes; size.c. */
int tool_size(const char *text, uint64_t *ret, struct err *err);

/* ------------------------------------------------------------------ output: out.c */
/* "1.5GiB"; exact multiples without fraction. */
void out_human(uint64_t bytes, char to[16]);
/* "1.5GiB (1610612736)"; with --bytes only the number. */
void out_size(const struct tool *t, uint64_t bytes, char to[48]);
/* "1.5GiB", for a column; with --bytes only the number. */
void out_cell(const struct tool *t, uint64_t bytes, char to[48]);
void out_time(uint64_t seconds, char to[32]);		/* "2024-01-31 12:00:00" UTC */
void out_duration(uint64_t ns, char to[16]);		/* "12.5us" */
/* Prints JSON, one document. */
int out_json(const json_t *result);

/* A table on stdout by libsmartcols. Columns beginning with '>' are right-aligned; one beginning with '*' shows which
 * row is below which. */
struct out_table;
struct out_row;
struct out_table *out_table_new(const char *const *columns);
/* The next row: as many strings as there are columns; copied. */
void out_table_row(struct out_table *table, const char *const *cells);
/* The same, below another row (NULL: at the top). The row returned is the table's. */
struct out_row *out_table_row_below(struct out_table *table, const char *const *cells, struct out_row *parent);
/* Prints and frees. */
int out_table_end(struct out_table *table);
/* A table of two columns without heading: name and value. */
struct out_table *out_facts_new(void);
void out_fact(struct out_table *table, const char *name, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The attributes of a volume, and how long its requests waited; `v`: what volume-show answers. cmd_attr.c. */
void out_attributes(const struct tool *t, struct out_table *table, const json_t *v);

/* Reading answers: absent or wrong types give 0, "" or false. `path` is dotted: "space.free_bytes". */
uint64_t get_uint(const json_t *o, const char *path);
const char *get_text(const json_t *o, const char *path);
bool get_bool(const json_t *o, const char *path);
const json_t *get_any(const json_t *o, const char *path);

/* ------------------------------------------------------------------ the other end: client.c */
/* Sends a line to the control socket and reads the answer's. *ret is owned, without newline. */
int client_connect(const char *path, int *ret_fd, struct err *err);
int client_ask(int fd, const char *line, char **ret, struct err *err);

#endif
