/* SPDX-License-Identifier: GPL-2.0-only */
/* file.h - JSON files of the agent, strictly read, and files that are there wholly or not at all. */
#ifndef HB_AGENT_FILE_H
#define HB_AGENT_FILE_H

#include <jansson.h>

#include "conf/read.h"

/* A whole regular file of at most 1 MiB, terminated; free(). */
int file_text(const char *path, char **ret, size_t *ret_len, struct err *err);

/* Reads one object by a table (conf/read.h). `text` is what the file has. */
int file_object(const char *text, size_t len, const char *file, const char *what, const struct field *fields,
		void *out, struct err *err);

/* Puts `text` in the place of `path`, mode 0600, durably: written as `temp` (on the same file system), synced, renamed,
 * its folder synced. Killed before the rename: the old file is there, and a `temp` that the next call overwrites. */
int file_replace(const char *path, const char *temp, const char *text, size_t len, struct err *err);

/* For tests: called before each step on a disk. */
extern void (*file_step)(const char *what);

#endif
