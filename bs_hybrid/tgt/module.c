/* SPDX-License-Identifier: GPL-2.0-only */
/* module.c - how the module comes into tgtd, and how it goes.
 *
 * Two ways in: tgtd opens every file of its backing-store folder and calls register_bs_module(); or the module is
 * preloaded, and its constructor runs before main. The first one counts. In a program that is not tgtd nothing
 * happens.
 *
 * A tgtd whose structs were never checked is refused: a wrong offset would write into its memory.
 * HYBRID_ANY_TGTD=1 in the environment takes the risk.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "tgt/lun.h"
#include "tgt/module.h"
#include "tgt/pools.h"

__attribute__((visibility("default"))) void register_bs_module(void);

static bool registered;

/* Every function that is used, so that nothing missing is found out in the middle of a command. */
static bool host_is_tgtd(void)
{
	return register_backingstore_template && get_backingstore_template && target_cmd_perform &&
	       target_cmd_io_done && ua_sense_add_it_nexus && ua_sense_add_other_it_nexus && spc_test_unit &&
	       spc_request_sense && spc_report_luns && spc_start_stop && spc_prevent_allow_media_removal &&
	       spc_send_diagnostics && lu_prevent_removal && tgt_event_add && tgt_event_modify && tgt_event_del &&
	       tgt_init_sched_event && tgt_add_sched_event && log_error && log_warning;
}

static bool host_is_known(void)
{
	const char *any = getenv("HYBRID_ANY_TGTD");
	char version[32];

	if (any && !strcmp(any, "1"))
		return true;
	if (version_of_host(version, sizeof(version))) {
		log_error("hybrid: not loaded: this tgtd does not tell its version (HYBRID_ANY_TGTD=1 overrides)\n");
		return false;
	}
	if (version_is_known(version))
		return true;
	log_error("hybrid: not loaded: never checked with tgtd %s (HYBRID_ANY_TGTD=1 overrides)\n", version);
	return false;
}

void register_bs_module(void)
{
	if (registered || !host_is_tgtd() || get_backingstore_template(lun_template.name) || !host_is_known())
		return;
	registered = true;
	register_backingstore_template(&lun_template);
	pools_open_at_start();
}

__attribute__((constructor)) static void loaded(void)
{
	register_bs_module();
}

__attribute__((destructor)) static void unloaded(void)
{
	if (registered)
		pools_close_all();
}
