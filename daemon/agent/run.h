/* SPDX-License-Identifier: GPL-2.0-only */
/* run.h - one program, run without a shell: bounded in time and output, nothing of ours inherited. Thread-safe.
 *
 * The program is looked for in a fixed list of folders; its environment is PATH, LC_ALL=C and HOME=/; its folder is /,
 * its umask 077. Its standard input is /dev/null or the bytes given (in memory, never on a disk), its third descriptor
 * the file given, likewise ("/proc/self/fd/3"); there are no others. It leads a process group, which is killed when the
 * time is over.
 */
#ifndef HB_AGENT_RUN_H
#define HB_AGENT_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define RUN_OUTPUT_MAX 65536 /* bytes kept; what follows is read and dropped */
#define RUN_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define RUN_FILE "/proc/self/fd/3"

struct run {
	char *const *argv; /* ends with NULL; argv[0] is absolute, or a name without slashes */
	const char *path; /* folders; NULL: RUN_PATH */
	const char *input; /* NULL: /dev/null */
	const char *file; /* NULL: none */
	uint32_t timeout_ms;

	/* Answers. */
	int status; /* of exit(); 128 and its number for a signal */
	char *output; /* both its outputs as they came, terminated; no zero bytes; free() */
	size_t len;
	bool cut; /* there was more */
};

/* 0: it ended, see status. -ENOENT, -EACCES: no such program. -ETIMEDOUT: killed; output is what there was. */
int run_program(struct run *r, struct err *err);

#endif
