/* SPDX-License-Identifier: GPL-2.0-only */
/* pr_in.c - PERSISTENT RESERVE IN. */
#include <string.h>

#include "base/mem.h"
#include "base/units.h"
#include "tgt/handlers.h"
#include "tgt/pr.h"

#define HEADER 8
#define STATUS_LEN 24		/* of one full status, before the TransportID */

static uint32_t alloc_len(const struct tgt_cmd *cmd)
{
	return get_be16(cmd->cdb + 7);
}

static unsigned count(const struct tgt_lu *lu)
{
	unsigned n = 0;

	list_each(l, &lu->registrations)
		n++;
	return n;
}

static int reply(struct lun *lun, struct tgt_cmd *cmd, uint8_t *data, size_t len)
{
	put_be32(data, lun->lu->pr_generation);
	put_be32(data + 4, (uint32_t)(len - HEADER));
	return cmd_reply(cmd, data, len, alloc_len(cmd));
}

int pr_in_keys(struct lun *lun, struct tgt_cmd *cmd)
{
	size_t len = HEADER + 8ul * count(lun->lu);
	uint8_t *data = mem_zalloc(len), *p;
	int status;

	if (!data)
		return cmd_status(cmd, SCSI_BUSY);
	p = data + HEADER;
	list_each(l, &lun->lu->registrations) {
		put_be64(p, list_entry(l, struct tgt_registration, siblings)->key);
		p += 8;
	}
	status = reply(lun, cmd, data, len);
	mem_free(data);
	return status;
}

int pr_in_reservation(struct lun *lun, struct tgt_cmd *cmd)
{
	const struct tgt_registration *holder = lun->lu->pr_holder;
	uint8_t data[HEADER + 16] = { 0 };

	if (!holder)
		return reply(lun, cmd, data, HEADER);
	put_be64(data + 8, pr_is_all_registrants(holder->type) ? 0 : holder->key);
	data[21] = (uint8_t)(holder->scope << 4 | holder->type);
	return reply(lun, cmd, data, sizeof(data));
}

/* No capability bit: reservations are lost with tgtd (no APTPL), one target port, no others' registrations. */
int pr_in_capabilities(struct lun *lun, struct tgt_cmd *cmd)
{
	uint8_t data[8] = { 0 };

	(void)lun;
	put_be16(data, sizeof(data));
	data[3] = 0x80;			/* the type mask is valid: */
	data[4] = 0x80 | 0x40 | 0x20 | 0x08 | 0x02;
	data[5] = 0x01;
	return cmd_reply(cmd, data, sizeof(data), alloc_len(cmd));
}

static size_t put_status(const struct tgt_lu *lu, const struct tgt_registration *reg, uint8_t *p)
{
	const struct pr_registration *ours = container_of(reg, struct pr_registration, reg);

	put_be64(p, reg->key);
	if (pr_holds(lu, reg)) {
		p[12] = 0x01;
		p[13] = (uint8_t)(lu->pr_holder->scope << 4 | lu->pr_holder->type);
	}
	put_be16(p + 18, 1);		/* relative target port */
	put_be32(p + 20, ours->transport_id_len);
	memcpy(p + STATUS_LEN, ours->transport_id, ours->transport_id_len);
	return STATUS_LEN + ours->transport_id_len;
}

int pr_in_full_status(struct lun *lun, struct tgt_cmd *cmd)
{
	uint8_t *data = mem_zalloc(HEADER + (size_t)count(lun->lu) * (STATUS_LEN + PR_TRANSPORT_ID_MAX));
	size_t len = HEADER;
	int status;

	if (!data)
		return cmd_status(cmd, SCSI_BUSY);
	list_each(l, &lun->lu->registrations)
		len += put_status(lun->lu, list_entry(l, struct tgt_registration, siblings), data + len);
	status = reply(lun, cmd, data, len);
	mem_free(data);
	return status;
}
