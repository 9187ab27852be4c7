/* SPDX-License-Identifier: GPL-2.0-only */
/* record.h - CHAP secrets in open-iscsi's node record, without iscsiadm's --value: that would show them in argv.
 *
 * A record is a text file of lines "key = value" (usr/idbm.c of open-iscsi 2.1.8: idbm_recinfo_config() reads them,
 * idbm_print() writes them), NODES/TARGET/ADDRESS,PORT,TPGT/INTERFACE with mode 0600; NODES is /etc/iscsi/nodes on
 * Debian 12, /var/lib/iscsi/nodes elsewhere. iscsiadm takes whatever stands in a folder of records for one, so the new
 * text is written beside NODES, and renamed.
 */
#ifndef HB_AGENT_RECORD_H
#define HB_AGENT_RECORD_H

#include "agent/values.h"

/* The text with CHAP set both ways from user, secret, back_user, back_secret (the last two may be missing). New string,
 * to be wiped. -EBADMSG: not a record. */
int record_edit(const char *text, const struct values *v, char **ret, struct err *err);

/* Edits the record of target and portal. dirs: where NODES may be, ends with NULL. -ENOENT: no record in any. */
int record_set_chap(const char *const *dirs, const struct values *v, struct err *err);
/* Takes away what record_set_chap() left when it was killed. */
void record_forget(const char *const *dirs, const struct values *v);

#endif
