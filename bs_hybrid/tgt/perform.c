/* SPDX-License-Identifier: GPL-2.0-only */
/* perform.c - before tgtd looks at a command of our LUN: the lengths are made true, and no old memory can travel.
 *
 * tgtd allocates the data buffers by the length the initiator expects, does not clear them, and sends `transfer_len`
 * bytes of the in buffer with whatever status the command gets. It answers many things itself, before a handler runs
 * (a pending unit attention, a bad control byte, a LUN that is not there), with transfer_len as it was: another
 * request's data would travel. So whenever a command may not reach a handler of ours, its in buffer is cleared here.
 * For reads and writes on a quiet LUN, which is nearly always, that is three comparisons.
 */
#include <string.h>

#include "tgt/handlers.h"
#include "tgt/pr.h"

/* Beyond this tgtd's own arithmetic on lengths overflows and the buffer is not what the length says. */
#define LENGTH_MAX (INT32_MAX - 4096)

/* The C library takes what is larger than this from the kernel, as zeros (M_MMAP_THRESHOLD never grows beyond 32 MiB).
 * Touching it all would let one initiator use up the machine's memory. */
#define HEAP_MAX (33u << 20)

static void make_true(struct tgt_data *data)
{
	if (data->buffer && data->length <= LENGTH_MAX)
		return;
	data->length = 0;
	data->transfer_len = 0;
	data->resid = 0;
}

static uint8_t control_byte(const struct tgt_cmd *cmd)
{
	static const uint8_t last[8] = { 5, 9, 9, 0, 15, 11, 0, 0 };
	unsigned group = cmd->cdb[0] >> 5;

	return last[group] ? cmd->cdb[last[group]] : 0xff;
}

/* True if the command goes straight to our handler, which takes care of the in buffer itself. */
static bool goes_straight(const struct tgt_cmd *cmd)
{
	const struct tgt_lu *lu = cmd->lu;

	return cmd->dev_id == lu->lun && cmd->itl && list_empty(&cmd->itl->unit_attentions) &&
	       cmd->attribute == TGT_TAG_SIMPLE && !lu->queue.state && !control_byte(cmd);
}

int perform_cmd(int tid, struct tgt_cmd *cmd)
{
	make_true(&cmd->in);
	make_true(&cmd->out);
	if (cmd->in.length && cmd->in.length <= HEAP_MAX && !goes_straight(cmd))
		memset(cmd_in_buf(cmd), 0, cmd->in.length);
	if (!list_empty(&cmd->lu->registrations))
		pr_take_over(lun_of(cmd->lu), cmd->nexus);
	return target_cmd_perform(tid, cmd);
}
