/* SPDX-License-Identifier: GPL-2.0-only */
/* pr.c - persistent reservations: registrations and what they permit. */
#include "tgt/pr.h"

#include <stdio.h>
#include <string.h>

#include "base/units.h"

struct tgt_registration *pr_find(const struct tgt_lu *lu, const struct tgt_nexus *nexus)
{
	list_each(l, &lu->registrations) {
		struct tgt_registration *reg = list_entry(l, struct tgt_registration, siblings);

		if (reg->nexus_id == nexus->id && reg->ctime == nexus->ctime)
			return reg;
	}
	return NULL;
}

bool pr_holds(const struct tgt_lu *lu, const struct tgt_registration *reg)
{
	return lu->pr_holder && (lu->pr_holder == reg || pr_is_all_registrants(lu->pr_holder->type));
}

bool pr_conflict(const struct tgt_lu *lu, const struct tgt_nexus *nexus, enum pr_access access)
{
	const struct tgt_registration *reg;
	unsigned type;

	if (!lu->pr_holder || access == PR_FREE)
		return false;
	type = lu->pr_holder->type;
	if (access == PR_READS && (type == PR_WRITE_EXCLUSIVE || type == PR_WRITE_EXCLUSIVE_REGISTRANTS ||
				   type == PR_WRITE_EXCLUSIVE_ALL))
		return false;
	reg = pr_find(lu, nexus);
	if (!reg)
		return true;
	return (type == PR_WRITE_EXCLUSIVE || type == PR_EXCLUSIVE_ACCESS) && !pr_holds(lu, reg);
}

/* tgtd writes: 4 bytes of header, the initiator's name, a zero, ",i,0x", and the six bytes of the ISID as they are. The
 * standard wants the name, ",i,0x", and twelve hexadecimal digits. */
uint16_t pr_transport_id(int tid, uint64_t nexus_id, uint8_t ret[PR_TRANSPORT_ID_MAX])
{
	char theirs[PR_TRANSPORT_ID_MAX + 64];
	size_t name_len, len;
	const uint8_t *isid;
	int n;

	memset(theirs, 0, sizeof(theirs));
	n = iscsi_transportid ? iscsi_transportid(tid, nexus_id, theirs, sizeof(theirs) - 1) : 0;
	if (n < 4 || n > (int)sizeof(theirs) - 1)
		return 0;
	name_len = strnlen(theirs + 4, sizeof(theirs) - 4);
	len = ROUND_UP(4 + name_len + 5 + 12 + 1, 4u);
	if (!name_len || len > PR_TRANSPORT_ID_MAX || 4 + name_len + 1 + 5 + 6 > (size_t)n)
		return 0;
	isid = (const uint8_t *)theirs + 4 + name_len + 1 + 5;
	memset(ret, 0, PR_TRANSPORT_ID_MAX);
	ret[0] = 0x45;		/* an initiator port (name and ISID), iSCSI */
	put_be16(ret + 2, (uint16_t)(len - 4));
	snprintf((char *)ret + 4, PR_TRANSPORT_ID_MAX - 4, "%s,i,0x%02x%02x%02x%02x%02x%02x", theirs + 4, isid[0],
		 isid[1], isid[2], isid[3], isid[4], isid[5]);
	return (uint16_t)len;
}

void pr_take_over(struct lun *lun, const struct tgt_nexus *nexus)
{
	uint64_t mark = nexus->id ^ (uint64_t)nexus->ctime << 20;
	uint64_t *seen = &lun->strangers[nexus->id % ARRAY_LEN(lun->strangers)];
	uint8_t id[PR_TRANSPORT_ID_MAX];
	uint16_t len;

	if (*seen == mark || pr_find(lun->lu, nexus))
		return;
	*seen = mark;
	len = pr_transport_id(lun->lu->target->tid, nexus->id, id);
	if (!len)
		return;
	list_each(l, &lun->lu->registrations) {
		struct tgt_registration *reg = list_entry(l, struct tgt_registration, siblings);
		struct pr_registration *ours = container_of(reg, struct pr_registration, reg);

		if (ours->transport_id_len == len && !memcmp(ours->transport_id, id, len)) {
			reg->nexus_id = nexus->id;
			reg->ctime = nexus->ctime;
			return;
		}
	}
}
