/* SPDX-License-Identifier: GPL-2.0-only */
/* control.h - the control socket of the test programs: one request at a time, its answer waited for or looked for. */
#ifndef TEST_CONTROL_H
#define TEST_CONTROL_H

#include <stdbool.h>

#define CONTROL_LINE_MAX 262144

struct control {
	int fd;
	unsigned len;
	char line[CONTROL_LINE_MAX];	/* the answer, without its newline */
};

/* Connects and sends one request line (its newline is added). 0, or -1 with a line on stderr. */
int control_send(struct control *c, const char *path, const char *request);
/* True when the answer is there, in c->line, or the connection is lost and c->line says so; the socket is closed then.
 * wait: not before. */
bool control_answered(struct control *c, bool wait);
/* The answer in short: "good RESULT", or "CODE TEXT". Valid until the next. */
const char *control_text(const struct control *c);

#endif
