/* SPDX-License-Identifier: GPL-2.0-only */
/* tgt_text.h - what tgtd says of itself, read strictly. No I/O here.
 *
 * "show target" holds, in the midst of tgtd's own lines, up to 1023 bytes which an initiator chose (its alias, and its
 * name where addresses are bound). They can imitate lines of tgtd. Therefore:
 *
 * Invariants
 * (1) Which targets there are comes from another answer ("show lld"), in which no initiator has a say. A line that
 *     begins a target counts only if it is one of these; tgtd gives them in the order of their numbers, each once.
 * (2) A target is what lies between its line and the next one's; each of its parts is there once, in order. Else it is
 *     damaged. Where a line is there twice and order does not tell which is tgtd's, both neighbours are.
 * (3) So nothing false is read of a target by what an initiator of another one says. It can damage what is said of its
 *     own target and of targets beside those whose names it knows. The sessions it could invent for its own target do
 *     not appear in the third answer ("stats"), which is made of numbers.
 */
#ifndef HB_BOX_TGT_TEXT_H
#define HB_BOX_TGT_TEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* {"IQN": tid} of "show lld"; NULL: -EBADMSG or -ENOMEM. */
json_t *tgt_text_targets(const char *text, struct err *err);
/* Array of users of "show account". */
json_t *tgt_text_accounts(const char *text, struct err *err);
/* {"TID/SID": true} of "stats": sessions, each at least once by LUN 0. */
json_t *tgt_text_sessions(const char *text, struct err *err);
/* "show target": as tgt_show() in tgt.h says, for names that begin with prefix (NULL: all). targets: of
 * tgt_text_targets(). *ret_damaged: how many are; *ret_sessions: sessions in all. One that is not there any more is
 * left out, and counts as damaged. */
json_t *tgt_text_show(const char *text, const json_t *targets, const char *prefix, unsigned *ret_damaged,
		      unsigned *ret_sessions, struct err *err);
/* Takes away sessions that are not in `known`. */
void tgt_text_confirm(json_t *show, const json_t *known);
/* Runs fn for each line of "show connection" that names one. The numbers may be false: use them in requests that name
 * the target as well. */
void tgt_text_connections(const char *text, void (*fn)(void *ctx, unsigned sid, unsigned cid), void *ctx);
/* Whether "show system" names this backing store. */
bool tgt_text_has_store(const char *text, const char *name);

#endif
