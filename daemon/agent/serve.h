/* SPDX-License-Identifier: GPL-2.0-only */
/* serve.h - the agent's verbs over HTTPS, for the one manager whose key is known. */
#ifndef HB_AGENT_SERVE_H
#define HB_AGENT_SERVE_H

#include <stdint.h>

#include "agent/agent.h"

struct serve;

/* Listens, and answers from then on. conf has a manager_pin; both are borrowed. */
int serve_new(const struct agent_conf *conf, struct agent *a, struct serve **ret, struct err *err);
uint16_t serve_port(const struct serve *s);
/* Verbs under way end first; NULL is fine. */
void serve_free(struct serve *s);

#endif
