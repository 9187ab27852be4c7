/* SPDX-License-Identifier: GPL-2.0-only */
/* cli.h - what the files of hybrid-volume share. Commands and options are made from the manager's table of verbs. */
#ifndef HB_TOOLS_VOLUME_CLI_H
#define HB_TOOLS_VOLUME_CLI_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "tools/tool.h"
#include "verbs/ebs.h"

#define CLI_SOCKET "/run/hybrid/hybridd.sock"

enum cli_output { OUTPUT_TABLE, OUTPUT_JSON, OUTPUT_TREE };

struct cli {
	const char *socket; /* of hybridd; HYBRIDD_SOCKET in the environment, --socket */
	const char *url; /* or this: HYBRID_URL, --url */
	const char *key_file, *ca, *pin; /* HYBRID_KEY_FILE, HYBRID_CA, HYBRID_PIN, and options; NULL: none */
	enum cli_output output;
	bool bytes; /* sizes as exact numbers */
	bool wait; /* to the very end, with progress */
	bool help;
	const struct ebs_verb *verb;
	json_t *args;
};

/* ---------------------------------------------------------------- parse.c */

/* "create" for volume-create, "snapshot create" for snapshot-create. */
void cli_command_name(const struct ebs_verb *v, char *to, size_t room);
/* "list" for "describe", as a command's last word; false: it has no other name. */
bool cli_alias_name(const struct ebs_verb *v, char *to, size_t room);
/* "size" for size_bytes. */
void cli_option_name(const struct ebs_arg *a, char *to, size_t room);
/* Is it given without its name? */
bool cli_positional(const struct ebs_verb *v, const struct ebs_arg *a);
/* Command line to c; 0, or -EINVAL with a sentence. */
int cli_parse(struct cli *c, int argc, char **argv, struct err *err);
/* All commands, or one's options, on stdout. */
void cli_help(const struct ebs_verb *v);
/* What may stand at this place, a line each: for the shell's completion. */
void cli_complete(int argc, char **argv);

/* ---------------------------------------------------------------- key.c */

struct cli_key {
	char id[129], secret[129];
};
/* -EPERM: others may read the file. */
int cli_read_key(const char *path, struct cli_key *ret, struct err *err);

/* ---------------------------------------------------------------- ask.c */

/* Calls the verb. 0 with *ret_result (new reference); else a -errno and *ret_code, EC2's code ("" if it was not the
 * manager who said so). */
int cli_ask(const struct cli *c, const char *verb, const json_t *args, json_t **ret_result, char ret_code[64],
	    struct err *err);

/* ---------------------------------------------------------------- show.c */

int cli_show(const struct cli *c, const json_t *result);
/* login.c: is it what volume-login answers? Then as lines for an initiator's shell. */
bool cli_is_login(const json_t *result);
int cli_show_login(const json_t *result);
/* explain.c: answers of volume-explain as text, of volume-heat as a map, or as JSON of that. */
int cli_show_explain(const struct cli *c, const json_t *v);
int cli_show_heat(const struct cli *c, const json_t *v);
/* The lineage: volumes, their snapshots, what began as them. */
int cli_tree(const struct cli *c, struct err *err);

/* ---------------------------------------------------------------- top.c */

/* A command that is not the manager's: it has a line of the same kind. */
extern const struct ebs_verb cli_top_verb;
/* Views until it is told to end; errors as cli_ask(). */
int cli_top(const struct cli *c, char ret_code[64], struct err *err);

#endif
