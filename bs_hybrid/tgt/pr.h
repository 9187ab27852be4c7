/* SPDX-License-Identifier: GPL-2.0-only */
/* pr.h - persistent reservations: who is registered, who holds, who may do what.
 *
 * The registrations are kept in tgtd's own lists (it frees them with the LUN), but made, changed and looked at by us
 * alone. tgtd knows a nexus by a session number; we remember the initiator port's TransportID with each registration,
 * so that an initiator that logs in again finds its registration, as the standard wants.
 */
#ifndef HB_TGT_PR_H
#define HB_TGT_PR_H

#include "tgt/cmd.h"
#include "tgt/lun.h"

#define PR_TRANSPORT_ID_MAX 256		/* 4 bytes, an iSCSI name of at most 223, ",i,0x", 12 digits, zero, padding */

enum pr_type {
	PR_WRITE_EXCLUSIVE = 1,
	PR_EXCLUSIVE_ACCESS = 3,
	PR_WRITE_EXCLUSIVE_REGISTRANTS = 5,
	PR_EXCLUSIVE_ACCESS_REGISTRANTS = 6,
	PR_WRITE_EXCLUSIVE_ALL = 7,
	PR_EXCLUSIVE_ACCESS_ALL = 8,
};

/* What a command does, for reservations. */
enum pr_access { PR_FREE, PR_READS, PR_WRITES };

struct pr_registration {
	struct tgt_registration reg;	/* first: tgtd frees it */
	uint16_t transport_id_len;
	uint8_t transport_id[PR_TRANSPORT_ID_MAX];
};

static inline struct tgt_registration *pr_first(const struct tgt_lu *lu)
{
	if (list_empty(&lu->registrations))
		return NULL;
	return list_first(&lu->registrations, struct tgt_registration, siblings);
}

static inline bool pr_is_all_registrants(unsigned type)
{
	return type == PR_WRITE_EXCLUSIVE_ALL || type == PR_EXCLUSIVE_ACCESS_ALL;
}

/* The nexus's registration, or NULL. */
struct tgt_registration *pr_find(const struct tgt_lu *lu, const struct tgt_nexus *nexus);
/* Is this registration (not NULL) a holder of the reservation? */
bool pr_holds(const struct tgt_lu *lu, const struct tgt_registration *reg);
/* Would the reservation forbid such a command to this nexus? */
bool pr_conflict(const struct tgt_lu *lu, const struct tgt_nexus *nexus, enum pr_access access);
/* If this nexus is new and its initiator port has a registration from an earlier session, it is this nexus's now. */
void pr_take_over(struct lun *lun, const struct tgt_nexus *nexus);
/* The initiator port's TransportID as SPC-4 writes it. Returns its length (a multiple of 4), 0 if it cannot be had. */
uint16_t pr_transport_id(int tid, uint64_t nexus_id, uint8_t ret[PR_TRANSPORT_ID_MAX]);

#endif
