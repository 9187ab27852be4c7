/* SPDX-License-Identifier: GPL-2.0-only */
/* pattern.h - regular expressions over lines of a program's output, with named groups: "^(?<name>[a-z]+) ".
 *
 * POSIX extended ones without back references and counted repetitions, and with few groups in groups, so that matching
 * takes time in proportion to the line, and compiling little memory; lines are looked at up to PATTERN_LINE_MAX bytes.
 */
#ifndef HB_AGENT_PATTERN_H
#define HB_AGENT_PATTERN_H

#include <regex.h>
#include <stdbool.h>

#include "base/err.h"

#define PATTERN_MAX 512
#define PATTERN_GROUPS 12
#define PATTERN_DEPTH 4
#define PATTERN_LINE_MAX 1024
#define CAPTURE_MAX 256

enum capture {
	C_DEVICE, C_VDEV, C_PATH, C_SOURCE, C_BACKEND,				/* disks */
	C_NAME, C_ID, C_UUID, C_STATE, C_VCPUS, C_MIB, C_KIB, C_BYTES,		/* VMs */
	CAPTURES
};

struct captures {
	char c[CAPTURES][CAPTURE_MAX]; /* "": not captured */
};

struct pattern {
	regex_t re;
	bool set;
	signed char group[PATTERN_GROUPS]; /* the capture of each group from 1, or -1 */
};

/* -EINVAL: not a pattern, or a group's name that is none; the sentence has no place. */
int pattern_parse(const char *text, struct pattern *ret, struct err *err);
void pattern_free(struct pattern *p);

/* Does any line match? Takes what the first one's groups matched into `into` (may be NULL), over what is there. */
bool pattern_find(const struct pattern *p, const char *text, struct captures *into);
/* Calls each() for every line that matches. */
void pattern_each(const struct pattern *p, const char *text, void (*each)(void *arg, const struct captures *c),
		  void *arg);

#endif
