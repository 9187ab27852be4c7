/* SPDX-License-Identifier: GPL-2.0-only */
/* cdb.h - single SCSI commands of the test programs, answered before the call returns. */
#ifndef TEST_CDB_H
#define TEST_CDB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/client/client.h"

#define CDB_MAX 16

struct iscsi_data;
struct scsi_task;

/* Sends `out` (if not NULL), or expects in_len bytes. The answered task, to be freed by scsi_free_scsi_task(), or NULL:
 * the session is lost. Nothing else may be in flight in the session. */
struct scsi_task *cdb_send(struct client *c, int lun, const uint8_t *cdb, size_t cdb_len, const struct iscsi_data *out,
			   int in_len);
/* READ(16) of sectors of 512 bytes. False: not answered GOOD, with all of it. */
bool cdb_read(struct client *c, int lun, uint64_t lba, uint32_t sectors, void *buf);
/* TEST UNIT READY until no unit attention is pending. */
bool cdb_ready(struct client *c, int lun);
/* "06/28/00": sense key, additional sense code and qualifier, of (key << 16 | code and qualifier). Valid until the
 * next. */
const char *cdb_sense_text(int sense);
/* "good HEX" (the data that came), the sense as above, "conflict", or "status N". */
void cdb_print(const struct scsi_task *task);
/* Bytes written in hexadecimal digits; returns how many. */
size_t cdb_from_hex(const char *hex, uint8_t *to, size_t room);

#endif
