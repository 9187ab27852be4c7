/* SPDX-License-Identifier: GPL-2.0-only */
/* query.h - the form encoding of a request, as a tree. Pure: no catalogue, no clock.
 *
 * "Filter.1.Name=size&Filter.1.Value.1=8" becomes {"Filter": {"1": {"Name": "size", "Value": {"1": "8"}}}}. Every leaf
 * is a string of UTF-8 without zero bytes.
 */
#ifndef HB_EC2_QUERY_H
#define HB_EC2_QUERY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define QUERY_PAIRS_MAX 8192
#define QUERY_NAME_MAX 255 /* bytes */
#define QUERY_VALUE_MAX 16384 /* bytes, decoded */
#define QUERY_DEPTH_MAX 8 /* parts of a name */

/* Adds the pairs of `form` (len bytes) to a tree. -EINVAL: it is no form; a bound is passed; a name comes twice (also
 * in an earlier form), or is both a value and a part of other names. The tree is then not to be used. url: '+' is a
 * plus, as its signature has it (sigv4/canon.c), not a blank: else one signature would be good for two requests. */
int query_parse(json_t *tree, const char *form, size_t len, bool url, struct err *err);
/* What "NAME.1", "NAME.2", … have, in this order; new array. "": an empty one. NULL and err: it is no such list:
 * numbers begin at 1, have no gaps and no zeros before them; `name` is for the sentence. */
json_t *query_list(const json_t *node, const char *name, struct err *err);

#endif
