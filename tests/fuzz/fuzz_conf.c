/* SPDX-License-Identifier: GPL-2.0-only */
/* fuzz_conf.c - any bytes as a configuration file: read wholly, or refused with one sentence; never half. */
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

/* A path or a remote LUN. */
static void check_device(const struct conf_tier *t)
{
	if (!t->line) {
		must(!t->path && !t->iscsi && !t->name);
		return;
	}
	must(t->name && !t->path != !t->iscsi);
	must(!t->path || t->path[0] == '/');
	must(!t->iscsi || (t->iscsi->portal && t->iscsi->target && t->iscsi->initiator && !t->size_bytes));
	must(!t->iscsi || !t->iscsi->user == !t->iscsi->secret_file);
	must(!t->hdd.on || hdd_model_check(&t->hdd.model, NULL) == 0);
}

static void check_pool(const struct conf *conf, const struct conf_pool *p)
{
	must(hb_name_ok(p->name));
	must(conf_find_pool(conf, p->name) == p);
	must(p->staging && p->staging[0] == '/');
	must(!p->tiers[CONF_RAM].path && p->tiers[CONF_RAM].size_bytes >= CONF_RAM_BYTES_MIN);
	must(p->tiers[CONF_SSD].line && p->tiers[CONF_CAPACITY].line);
	must(p->tiers[CONF_SSD].path);
	for (int i = CONF_SSD; i < CONF_TIER_TYPES; i++) {
		must(i <= CONF_LEVEL1 || !p->tiers[i].line || p->tiers[i - 1].line);	/* levels have no gaps */
		check_device(&p->tiers[i]);
		for (int k = CONF_SSD; k < i; k++)
			must(!p->tiers[i].line || !p->tiers[k].line || strcmp(p->tiers[i].name, p->tiers[k].name) != 0);
	}
	must(!p->dirty_low_pct == !p->dirty_high_pct);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf *conf = NULL;
	struct err err = ERR_INIT;
	int rc = conf_parse((const char *)data, size, "/hybrid.json", &conf, &err);

	if (rc) {
		must(rc < 0 && err.code == rc && !conf);
		must(err.text[0] && strlen(err.text) < sizeof(err.text));
		must(!strncmp(err.text, "/hybrid.json:", 13));
		return 0;
	}
	must(conf && err.code == 0 && conf->npools > 0 && conf->socket && conf->socket[0] == '/');
	for (size_t i = 0; i < conf->npools; i++)
		check_pool(conf, &conf->pools[i]);
	conf_free(conf);
	return 0;
}
