/* SPDX-License-Identifier: GPL-2.0-only */
/* need.h - memory that the agent cannot go on without: none left ends the program.
 *
 * That is no worse than SIGKILL, which each verb survives (agent.h), and the agent asks for a few KiB at a time.
 */
#ifndef HB_AGENT_NEED_H
#define HB_AGENT_NEED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline void *need(void *p)
{
	if (!p) {
		fputs("hybrid-agent: out of memory\n", stderr);
		abort();
	}
	return p;
}

static inline void *need_zalloc(size_t bytes)
{
	return need(calloc(1, bytes ? bytes : 1));
}

static inline char *need_str(const char *s)
{
	return need(strdup(s));
}

static inline void *need_array(void *p, size_t n, size_t each)
{
	return need(reallocarray(p, n ? n : 1, each));
}

#endif
