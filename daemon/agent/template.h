/* SPDX-License-Identifier: GPL-2.0-only */
/* template.h - texts with places for values: "phy:{path}"; "{{" and "}}" are braces.
 *
 * Invariant: what is expanded are the template's own bytes and values that passed their type's check again, escaped
 * where the text is XML; nothing in a value is ever looked at as a template, and nothing becomes two.
 */
#ifndef HB_AGENT_TEMPLATE_H
#define HB_AGENT_TEMPLATE_H

#include <stdbool.h>

#include "agent/values.h"

struct template {
	struct piece {
		char *text; /* literal; NULL: the value */
		enum value_kind kind;
	} * pieces;
	unsigned n;
};

enum template_use {
	TEMPLATE_ARGV,	/* no secrets; an element that begins with a value that begins with '-' is refused */
	TEMPLATE_STDIN,
	TEMPLATE_FILE,	/* no secrets */
	TEMPLATE_XML,	/* as a file; '<', '>', '&' and quotes in values are escaped */
};

/* -EINVAL: a brace that is none, no such value, or one that must not stand there; the sentence has no place. */
int template_parse(const char *text, enum template_use use, struct template *ret, struct err *err);
void template_free(struct template *t);
bool template_has(const struct template *t, enum value_kind kind);

/* New string (free()). mode: how this delegate says rw and ro, literally. -EINVAL: a value is not given, or refused. */
int template_expand(const struct template *t, enum template_use use, const struct values *v, const char *const mode[2],
		    char **ret, struct err *err);

#endif
