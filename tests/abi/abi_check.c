/* SPDX-License-Identifier: GPL-2.0-only */
/* abi_check.c - compiles the list of tgt_layout.h against tgt's real headers: it compiles, or we must not be loaded.
 *
 *   cc -std=gnu11 -fsyntax-only -I bs_hybrid -I TGT_SOURCE/usr tests/abi/abi_check.c
 */
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "list.h"
#undef offsetof
#define offsetof(type, member) __builtin_offsetof(type, member)

#include "tgtd.h"
#include "target.h"
#include "scsi.h"

#include "tgt/tgt_layout.h"

#define REAL_SIZE(theirs, ours, bytes) _Static_assert(sizeof(struct theirs) == (bytes), "size of struct " #theirs);
#define REAL_AT(theirs, ours, their_member, member, offset) \
	_Static_assert(offsetof(struct theirs, their_member) == (offset), "struct " #theirs "." #their_member);
#define REAL_VALUE(theirs, ours, number) _Static_assert((theirs) == (number), #theirs);

TGT_LAYOUT_SIZES(REAL_SIZE)
TGT_LAYOUT_LU(REAL_AT)
TGT_LAYOUT_ATTRS(REAL_AT)
TGT_LAYOUT_TEMPLATES(REAL_AT)
TGT_LAYOUT_CMD(REAL_AT)
TGT_LAYOUT_NEXUS(REAL_AT)
TGT_LAYOUT_VALUES(REAL_VALUE)
