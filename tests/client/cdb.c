/* SPDX-License-Identifier: GPL-2.0-only */
/* cdb.c - see cdb.h. */
#include "tests/client/cdb.h"

#include <iscsi/iscsi.h>
#include <iscsi/scsi-lowlevel.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

struct scsi_task *cdb_send(struct client *c, int lun, const uint8_t *cdb, size_t cdb_len, const struct iscsi_data *out,
			   int in_len)
{
	struct scsi_task *task = calloc(1, sizeof(*task));

	if (!task)
		abort();
	memcpy(task->cdb, cdb, cdb_len);
	task->cdb_size = (int)cdb_len;
	task->xfer_dir = out ? SCSI_XFER_WRITE : in_len ? SCSI_XFER_READ : SCSI_XFER_NONE;
	task->expxferlen = out ? (int)out->size : in_len;
	if (iscsi_scsi_command_sync(c->iscsi, lun, task, (struct iscsi_data *)(uintptr_t)out))
		return task;
	scsi_free_scsi_task(task);
	return NULL;
}

bool cdb_read(struct client *c, int lun, uint64_t lba, uint32_t sectors, void *buf)
{
	uint8_t cdb[16] = {0x88};
	int len = (int)(sectors * SECTOR);
	struct scsi_task *task;
	bool good;

	put_be64(cdb + 2, lba);
	put_be32(cdb + 10, sectors);
	task = cdb_send(c, lun, cdb, sizeof(cdb), NULL, len);
	good = task && task->status == SCSI_STATUS_GOOD && task->datain.size == len;
	if (good)
		memcpy(buf, task->datain.data, (size_t)len);
	if (task)
		scsi_free_scsi_task(task);
	return good;
}

bool cdb_ready(struct client *c, int lun)
{
	static const uint8_t cdb[6];

	for (int i = 0; i < 300; i++) {
		struct scsi_task *task = cdb_send(c, lun, cdb, sizeof(cdb), NULL, 0);
		int status = task ? task->status : -1;

		if (task)
			scsi_free_scsi_task(task);
		if (status != SCSI_STATUS_CHECK_CONDITION)
			return status == SCSI_STATUS_GOOD;
	}
	return false;
}

const char *cdb_sense_text(int sense)
{
	static char text[16];

	snprintf(text, sizeof(text), "%02x/%02x/%02x", (unsigned)(sense >> 16 & 0xff), (unsigned)(sense >> 8 & 0xff),
		 (unsigned)(sense & 0xff));
	return text;
}

void cdb_print(const struct scsi_task *task)
{
	if (task->status == SCSI_STATUS_GOOD) {
		printf(task->datain.size ? "good " : "good");
		for (int i = 0; i < task->datain.size; i++)
			printf("%02x", task->datain.data[i]);
	} else if (task->status == SCSI_STATUS_CHECK_CONDITION) {
		printf("%s", cdb_sense_text((int)task->sense.key << 16 | task->sense.ascq));
	} else if (task->status == SCSI_STATUS_RESERVATION_CONFLICT) {
		printf("conflict");
	} else {
		printf("status %d", task->status);
	}
}

size_t cdb_from_hex(const char *hex, uint8_t *to, size_t room)
{
	size_t n;

	for (n = 0; n < room && hex[0] && hex[1] && sscanf(hex, "%2hhx", to + n) == 1; n++)
		hex += 2;
	return n;
}
