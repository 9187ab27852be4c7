/* SPDX-License-Identifier: GPL-2.0-only */
/* xcopy.h - what is remembered of the copies a LUN was asked to do, for RECEIVE COPY RESULTS. */
#ifndef HB_TGT_XCOPY_H
#define HB_TGT_XCOPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define XCOPY_HISTORY 16
#define XCOPY_CSCDS_MAX 16		/* copy sources and destinations in one list */
#define XCOPY_SEGMENTS_MAX 256
#define XCOPY_LIST_MAX 8192		/* bytes of descriptors */
#define XCOPY_VPD_MAX 160

enum xcopy_state { XCOPY_NONE, XCOPY_RUNNING, XCOPY_DONE, XCOPY_FAILED };

struct xcopy_record {
	enum xcopy_state state;
	uint64_t nexus_id;
	uint32_t list_id;
	bool lid4;			/* asked for with a 4-byte list identifier */
	uint16_t segments;		/* processed */
	uint64_t bytes;			/* moved */
	uint8_t status;			/* SCSI status it ended with */
	uint8_t sense_len, sense[32];
};

struct xcopy_history {
	struct xcopy_record records[XCOPY_HISTORY];
	unsigned next;
};

struct lun;

/* The content of VPD page 8F (third-party copy). Returns its length; `room` is at least XCOPY_VPD_MAX. */
size_t xcopy_vpd(const struct lun *lun, uint8_t *p, size_t room);
/* The latest copy of this nexus with this list identifier, or NULL. */
struct xcopy_record *xcopy_find(struct lun *lun, uint64_t nexus_id, uint32_t list_id, bool lid4);

#endif
