/* SPDX-License-Identifier: GPL-2.0-only */
/* pr_out.c - PERSISTENT RESERVE OUT: registering, reserving, releasing, clearing, preempting, moving.
 *
 * Unit attentions go to registered nexuses only, and never to the one that asked:
 * RESERVATIONS RELEASED   when a reservation of a registrants type ends by release or by its holder's unregistering
 * RESERVATIONS PREEMPTED  to all others when everything is cleared
 * REGISTRATIONS PREEMPTED to those whose registration was preempted
 */
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "tgt/handlers.h"
#include "tgt/pr.h"

#define LIST_LEN 24
#define REGISTRATIONS_MAX 1024	/* per LUN; every new initiator port name may leave one behind */

struct ask {			/* what is asked for */
	uint64_t key, sa_key;
	uint8_t scope, type;
	struct tgt_registration *reg;	/* of the nexus that asks, or NULL */
};

static bool registrants_type(unsigned type)
{
	return type >= PR_WRITE_EXCLUSIVE_REGISTRANTS;
}

static bool type_ok(unsigned type)
{
	return type == PR_WRITE_EXCLUSIVE || type == PR_EXCLUSIVE_ACCESS ||
	       (type >= PR_WRITE_EXCLUSIVE_REGISTRANTS && type <= PR_EXCLUSIVE_ACCESS_ALL);
}

/* A unit attention to all registered nexuses but one. */
static void tell_others(struct tgt_lu *lu, const struct tgt_registration *but, enum scsi_asc asc)
{
	list_each(l, &lu->registrations) {
		const struct tgt_registration *reg = list_entry(l, struct tgt_registration, siblings);

		if (reg != but)
			ua_sense_add_it_nexus(reg->nexus_id, lu, (uint16_t)asc);
	}
}

static void set_holder(struct tgt_lu *lu, struct tgt_registration *reg, uint8_t scope, uint8_t type)
{
	reg->scope = scope;
	reg->type = type;
	lu->pr_holder = reg;
}

static void forget(struct tgt_registration *reg)
{
	list_del(&reg->siblings);
	free(container_of(reg, struct pr_registration, reg));
}

static unsigned count(const struct tgt_lu *lu)
{
	unsigned n = 0;

	list_each(l, &lu->registrations)
		n++;
	return n;
}

/* The reservation ends or passes on when its holder's registration goes. */
static void unregister(struct tgt_lu *lu, struct tgt_registration *reg)
{
	uint8_t scope = reg->scope, type = reg->type;
	bool held = lu->pr_holder == reg;

	forget(reg);
	if (!held)
		return;
	lu->pr_holder = NULL;
	if (pr_is_all_registrants(type) && pr_first(lu))
		set_holder(lu, pr_first(lu), scope, type);
	else if (registrants_type(type))
		tell_others(lu, NULL, ASC_RESERVATIONS_RELEASED);
}

static int pr_register(struct tgt_lu *lu, struct tgt_cmd *cmd, const struct ask *ask, bool ignore_key)
{
	struct pr_registration *ours;

	if (ask->reg) {
		if (!ignore_key && ask->reg->key != ask->key)
			return cmd_status(cmd, SCSI_RESERVATION_CONFLICT);
		if (ask->sa_key)
			ask->reg->key = ask->sa_key;
		else
			unregister(lu, ask->reg);
	} else {
		if (!ignore_key && ask->key)
			return cmd_status(cmd, SCSI_RESERVATION_CONFLICT);
		if (!ask->sa_key)
			return SCSI_GOOD;
		/* tgtd calls free() when it destroys the LUN. */
		ours = count(lu) < REGISTRATIONS_MAX ? calloc(1, sizeof(*ours)) : NULL;
		if (!ours)
			return cmd_sense(cmd, KEY_ILLEGAL_REQUEST, ASC_INSUFFICIENT_REGISTRATIONS);
		ours->reg.key = ask->sa_key;
		ours->reg.nexus_id = cmd->nexus->id;
		ours->reg.ctime = cmd->nexus->ctime;
		ours->transport_id_len = pr_transport_id(cmd->target->tid, cmd->nexus->id, ours->transport_id);
		list_push(&lu->registrations, &ours->reg.siblings);
	}
	lu->pr_generation++;
	return SCSI_GOOD;
}

static int pr_reserve(struct tgt_lu *lu, struct tgt_cmd *cmd, const struct ask *ask)
{
	const struct tgt_registration *holder = lu->pr_holder;

	if (!type_ok(ask->type) || ask->scope)
		return cmd_bad_cdb(cmd);
	if (!holder)
		set_holder(lu, ask->reg, ask->scope, ask->type);
	else if (!pr_holds(lu, ask->reg) || holder->type != ask->type || holder->scope != ask->scope)
		return cmd_status(cmd, SCSI_RESERVATION_CONFLICT);
	return SCSI_GOOD;
}

static int pr_release(struct tgt_lu *lu, struct tgt_cmd *cmd, const struct ask *ask)
{
	struct tgt_registration *holder = lu->pr_holder;

	if (!holder || !pr_holds(lu, ask->reg))
		return SCSI_GOOD;
	if (holder->type != ask->type || holder->scope != ask->scope)
		return cmd_sense(cmd, KEY_ILLEGAL_REQUEST, ASC_INVALID_RELEASE);
	lu->pr_holder = NULL;
	holder->type = holder->scope = 0;
	if (registrants_type(ask->type))
		tell_others(lu, ask->reg, ASC_RESERVATIONS_RELEASED);
	return SCSI_GOOD;
}

static int pr_clear(struct tgt_lu *lu, const struct ask *ask)
{
	lu->pr_holder = NULL;
	tell_others(lu, ask->reg, ASC_RESERVATIONS_PREEMPTED);
	while (pr_first(lu))
		forget(pr_first(lu));
	lu->pr_generation++;
	return SCSI_GOOD;
}

/* Removes the others' registrations with this key (all of them, if `all`). Returns how many. */
static unsigned preempt_registrations(struct tgt_lu *lu, const struct ask *ask, bool all)
{
	unsigned n = 0;

	list_each_safe(l, tmp, &lu->registrations) {
		struct tgt_registration *reg = list_entry(l, struct tgt_registration, siblings);

		if (reg == ask->reg || (!all && reg->key != ask->sa_key))
			continue;
		ua_sense_add_it_nexus(reg->nexus_id, lu, ASC_REGISTRATIONS_PREEMPTED);
		if (lu->pr_holder == reg)
			lu->pr_holder = NULL;
		forget(reg);
		n++;
	}
	return n;
}

static bool key_exists(const struct tgt_lu *lu, uint64_t key)
{
	list_each(l, &lu->registrations)
		if (list_entry(l, struct tgt_registration, siblings)->key == key)
			return true;
	return false;
}

static int pr_preempt(struct tgt_lu *lu, struct tgt_cmd *cmd, const struct ask *ask)
{
	const struct tgt_registration *holder = lu->pr_holder;
	bool all = holder && pr_is_all_registrants(holder->type), take = false, other_type;
	uint8_t was = holder ? holder->type : 0;

	if (holder)
		take = all ? !ask->sa_key : holder->key == ask->sa_key;
	if (!ask->sa_key && !(all && take))
		return cmd_bad_parameter(cmd);
	if (ask->sa_key && !key_exists(lu, ask->sa_key))
		return cmd_status(cmd, SCSI_RESERVATION_CONFLICT);
	if (take && (!type_ok(ask->type) || ask->scope))
		return cmd_bad_cdb(cmd);
	other_type = take && was != ask->type;
	preempt_registrations(lu, ask, take && all);
	if (take) {
		if (lu->pr_holder)
			lu->pr_holder->type = lu->pr_holder->scope = 0;
		set_holder(lu, ask->reg, ask->scope, ask->type);
		if (other_type)
			tell_others(lu, ask->reg, ASC_RESERVATIONS_RELEASED);
	} else if (all && !lu->pr_holder && pr_first(lu)) {
		/* The one that stood for all registrants is gone; another stands for them. */
		set_holder(lu, pr_first(lu), 0, was);
	}
	lu->pr_generation++;
	return SCSI_GOOD;
}

/* ------------------------------------------------------------------ REGISTER AND MOVE */
static struct tgt_nexus *nexus_of(const struct tgt_cmd *cmd, const uint8_t *id, uint32_t len)
{
	uint8_t theirs[PR_TRANSPORT_ID_MAX];

	list_each(l, &cmd->target->nexuses) {
		struct tgt_nexus *nexus = list_entry(l, struct tgt_nexus, siblings);
		uint16_t n = pr_transport_id(cmd->target->tid, nexus->id, theirs);

		if (n && n <= len && !memcmp(theirs, id, n))
			return nexus;
	}
	return NULL;
}

static int pr_move(struct tgt_lu *lu, struct tgt_cmd *cmd, struct ask *ask, uint32_t len)
{
	const uint8_t *p = cmd_out_buf(cmd);
	struct tgt_registration *holder = lu->pr_holder, *to;
	uint8_t scope, type;
	struct tgt_nexus *nexus;
	struct ask there;
	int status;

	if (len < LIST_LEN || get_be32(p + 20) < 24 || get_be32(p + 20) > len - LIST_LEN || get_be32(p + 20) % 4)
		return cmd_sense(cmd, KEY_ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH);
	if (!holder || !pr_holds(lu, ask->reg) || pr_is_all_registrants(holder->type))
		return cmd_status(cmd, SCSI_RESERVATION_CONFLICT);
	nexus = nexus_of(cmd, p + LIST_LEN, get_be32(p + 20));
	/* The key must be one, APTPL is not there, the port must be ours and the nexus another. */
	if (!ask->sa_key || (p[17] & 0x01) || get_be16(p + 18) != 1 || !nexus || nexus == cmd->nexus)
		return cmd_bad_parameter(cmd);
	scope = holder->scope;
	type = holder->type;
	there = (struct ask){ .sa_key = ask->sa_key, .reg = pr_find(lu, nexus) };
	if (!there.reg) {
		struct tgt_nexus *self = cmd->nexus;

		cmd->nexus = nexus;
		status = pr_register(lu, cmd, &there, true);
		cmd->nexus = self;
		if (status != SCSI_GOOD)
			return status;
		lu->pr_generation--;	/* counted below */
	}
	to = pr_find(lu, nexus);
	to->key = ask->sa_key;
	holder->scope = holder->type = 0;
	set_holder(lu, to, scope, type);
	if (p[17] & 0x02)		/* UNREG */
		forget(ask->reg);
	lu->pr_generation++;
	return SCSI_GOOD;
}

/* ------------------------------------------------------------------ the command */
int pr_out(struct lun *lun, struct tgt_cmd *cmd)
{
	unsigned sa = cmd->cdb[1] & 0x1f;
	uint32_t len = get_be32(cmd->cdb + 5);
	const uint8_t *p = cmd_out_buf(cmd);
	struct tgt_lu *lu = lun->lu;
	struct ask ask;

	if (cmd->out.length < len || len < LIST_LEN || (sa != SA_PR_REGISTER_AND_MOVE && len != LIST_LEN))
		return cmd_sense(cmd, KEY_ILLEGAL_REQUEST, ASC_PARAMETER_LIST_LENGTH);
	/* SPEC_I_PT, ALL_TG_PT, APTPL: not there, as REPORT CAPABILITIES says. */
	if (sa != SA_PR_REGISTER_AND_MOVE && (p[20] & 0x0d))
		return cmd_bad_parameter(cmd);
	ask = (struct ask){ .key = get_be64(p), .sa_key = get_be64(p + 8), .scope = cmd->cdb[2] >> 4,
			    .type = cmd->cdb[2] & 0x0f, .reg = pr_find(lu, cmd->nexus) };
	if (sa == SA_PR_REGISTER || sa == SA_PR_REGISTER_IGNORE)
		return pr_register(lu, cmd, &ask, sa == SA_PR_REGISTER_IGNORE);
	if (!ask.reg || ask.reg->key != ask.key)
		return cmd_status(cmd, SCSI_RESERVATION_CONFLICT);
	switch (sa) {
	case SA_PR_RESERVE:
		return pr_reserve(lu, cmd, &ask);
	case SA_PR_RELEASE:
		return pr_release(lu, cmd, &ask);
	case SA_PR_CLEAR:
		return pr_clear(lu, &ask);
	case SA_PR_PREEMPT:
		return pr_preempt(lu, cmd, &ask);
	case SA_PR_REGISTER_AND_MOVE:
		return pr_move(lu, cmd, &ask, len);
	default:
		return cmd_bad_cdb(cmd);
	}
}
