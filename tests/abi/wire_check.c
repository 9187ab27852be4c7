/* SPDX-License-Identifier: GPL-2.0-only */
/* wire_check.c - compiles the list of daemon/box/tgt_wire.h against tgt's real header.
 *
 *   cc -std=gnu11 -fsyntax-only -I daemon -I TGT_SOURCE/usr tests/abi/wire_check.c
 */
#include <stddef.h>
#include <stdint.h>

#include "tgtadm.h"

#define TGT_WIRE_REAL
#include "box/tgt_wire.h"

#define REAL_SIZE(theirs, ours, bytes) _Static_assert(sizeof(struct theirs) == (bytes), "size of struct " #theirs);
#define REAL_AT(theirs, ours, their_member, member, offset) \
	_Static_assert(offsetof(struct theirs, their_member) == (offset), "struct " #theirs "." #their_member);
#define REAL_VALUE(theirs, ours, number, words) _Static_assert((theirs) == (number), #theirs);

TGT_WIRE_SIZES(REAL_SIZE)
TGT_WIRE_MEMBERS(REAL_AT)
TGT_WIRE_NUMBERS(REAL_VALUE)
TGT_WIRE_ERRORS(REAL_VALUE)
