/* SPDX-License-Identifier: GPL-2.0-only */
/* explain.c - what volume-explain and volume-heat answer, as text. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/heat.h"
#include "tools/volume/cli.h"

static const char *size(const struct cli *c, const json_t *o, const char *path, char to[48])
{
	const struct tool t = {.bytes = c->bytes};

	out_cell(&t, get_uint(o, path), to);
	return to;
}

static const char *duration(const json_t *o, const char *path, char to[16])
{
	out_duration(get_uint(o, path), to);
	return to;
}

static double number(const json_t *o, const char *path)
{
	return json_number_value(get_any(o, path));
}

/* "web1 (vol-...)"; without a name the id alone. */
static void put_label(const json_t *v, char *to, size_t room)
{
	const char *name = get_text(v, "name"), *id = get_text(v, "id");

	snprintf(to, room, *name ? "%s (%s)" : "%s%s", *name ? name : id, *name ? id : "");
}

/* ---------------------------------------------------------------- sections */

static void show_findings(const json_t *v)
{
	json_t *f;
	size_t i;

	puts("\nFindings");
	json_array_foreach((json_t *)get_any(v, "findings"), i, f)
		printf("  %s: %s\n", get_text(f, "severity"), get_text(f, "text"));
}

static void show_space(const struct cli *c, const json_t *v)
{
	char a[48], b[48];
	json_t *place;
	const char *name;

	printf("\nSpace\n  size %s, mapped %s", size(c, v, "size_bytes", a), size(c, v, "mapped_bytes", b));
	if (get_any(v, "exclusive_bytes"))
		printf("; of that %s its own, %s shared with snapshots and clones", size(c, v, "exclusive_bytes", a),
		       size(c, v, "shared_bytes", b));
	putchar('\n');
	json_object_foreach((json_t *)get_any(v, "places"), name, place)
		printf("  %-9s %10s  %5.1f %%\n", name, size(c, place, "bytes", a), number(place, "percent"));
	if (get_uint(v, "sampled_one_in") > 1)
		printf("  (one chunk in %" PRIu64 " was looked at)\n", get_uint(v, "sampled_one_in"));
	printf("  dirty     %10s%s\n", size(c, v, "dirty.bytes", a),
	       get_bool(v, "dirty.lost_if_ssd_dies") ? "  (lost if the SSD dies: it is not mirrored)" :
	       get_bool(v, "dirty.mirrored")         ? "  (mirrored)" : "");
}

static void show_latency(const json_t *v, const char *path, const char *what)
{
	const json_t *l = get_any(v, path);
	char half[16], most[16];

	if (!get_uint(l, "count"))
		return;
	printf("  %-8s %" PRIu64 ", half within %s, 99 %% within %s\n", what, get_uint(l, "count"),
	       duration(l, "p50_ns", half), duration(l, "p99_ns", most));
}

static void show_requests(const struct cli *c, const json_t *v)
{
	const json_t *percent = get_any(v, "reads_from.percent");
	char a[48], b[48], t[16];
	const char *place;
	json_t *n;

	printf("\nRequests since the pool was opened\n  mode %s", get_text(v, "mode"));
	if (get_uint(v, "ceilings.iops"))
		printf(", at most %" PRIu64 " a second", get_uint(v, "ceilings.iops"));
	if (get_uint(v, "ceilings.bandwidth_bytes_s"))
		printf(", at most %s a second", size(c, v, "ceilings.bandwidth_bytes_s", a));
	printf("\n  read %s, written %s\n", size(c, v, "requests.read.bytes", a),
	       size(c, v, "requests.write.bytes", b));
	show_latency(v, "latency.read", "reads");
	show_latency(v, "latency.write", "writes");
	show_latency(v, "latency.flush_of_pool", "flushes");
	if (json_object_size(percent)) {
		fputs("  reads from", stdout);
		json_object_foreach((json_t *)percent, place, n) if (json_number_value(n) > 0)
			printf("  %s %.1f %%", place, json_number_value(n));
		putchar('\n');
	}
	if (get_uint(v, "waits.limited"))
		printf("  %" PRIu64 " waited for its ceilings, %s in all\n", get_uint(v, "waits.limited"),
		       duration(v, "waits.limited_ns", t));
	if (get_uint(v, "waits.queued"))
		printf("  %" PRIu64 " waited for their turn, %s in all\n", get_uint(v, "waits.queued"),
		       duration(v, "waits.queued_ns", t));
}

static void show_users(const json_t *v)
{
	json_t *o;
	size_t i;

	puts("\nWho has it");
	json_array_foreach((json_t *)get_any(v, "attachments"), i, o)
		printf("  %s as %s, %s\n", *get_text(o, "vm_id") ? get_text(o, "vm_id") : get_text(o, "host_id"),
		       get_text(o, "device"), get_text(o, "state"));
	json_array_foreach((json_t *)get_any(v, "initiators"), i, o)
		printf("  exported to %s\n", json_string_value(o));
	json_array_foreach((json_t *)get_any(v, "sessions"), i, o)
		printf("  logged in: %s\n", get_text(o, "initiator"));
	if (!json_array_size(get_any(v, "attachments")) && !json_array_size(get_any(v, "initiators")))
		puts("  nobody");
}

static void show_snapshots(const struct cli *c, const json_t *v)
{
	char a[48];
	json_t *s;
	size_t i;

	if (!json_array_size(get_any(v, "snapshots")))
		return;
	puts("\nSnapshots that keep its old blocks");
	json_array_foreach((json_t *)get_any(v, "snapshots"), i, s)
	{
		char label[320];

		put_label(s, label, sizeof(label));
		printf("  %s, %s", label, get_text(s, "created"));
		if (get_any(s, "exclusive_bytes"))
			printf(", %s that only it keeps", size(c, s, "exclusive_bytes", a));
		putchar('\n');
	}
}

static void show_pool(const struct cli *c, const json_t *v)
{
	const json_t *p = get_any(v, "pool_state");
	char a[48], b[48];
	json_t *t;
	size_t i;

	printf("\nPool %s: %s\n  %s of %s free, %s dirty\n", get_text(p, "name"), get_text(p, "health.state"),
	       size(c, p, "free_bytes", a), size(c, p, "capacity_bytes", b), size(c, p, "dirty_bytes", (char[48]){0}));
	json_array_foreach((json_t *)get_any(p, "tiers"), i, t)
		printf("  %-9s %-8s %s\n", get_text(t, "tier"), get_text(t, "state"), get_text(t, "path"));
	printf("  last scrub: %s, %" PRIu64 " blocks lost\n",
	       *get_text(p, "scrub.state") ? get_text(p, "scrub.state") : "not known",
	       get_uint(p, "scrub.lost_blocks") + get_uint(p, "scrub.unreadable_blocks"));
}

int cli_show_explain(const struct cli *c, const json_t *v)
{
	char label[320];

	put_label(v, label, sizeof(label));
	printf("volume %s, %s, %s\n", label, get_text(v, "type"), get_text(v, "state"));
	show_findings(v);
	if (get_any(v, "pool_state")) {
		show_space(c, v);
		show_requests(c, v);
	}
	show_users(v);
	show_snapshots(c, v);
	if (get_any(v, "pool_state"))
		show_pool(c, v);
	return ferror(stdout) ? EXIT_FAILED : EXIT_OK;
}

/* ---------------------------------------------------------------- heat */

int cli_show_heat(const struct cli *c, const json_t *v)
{
	struct heat_map *m = calloc(1, sizeof(*m));
	int rc = EXIT_OK;
	json_t *o;

	if (!m)
		return EXIT_FAILED;
	put_label(v, m->name, sizeof(m->name));
	heat_add(m, v);
	heat_add_counts(m, get_any(v, "heat"));
	if (c->output == OUTPUT_JSON) {
		o = json_pack("{s:O*, s:O*}", "name", get_any(v, "name"), "id", get_any(v, "id"));
		heat_put(m, o);
		rc = out_json(o);
		json_decref(o);
	} else {
		heat_print(m);
	}
	free(m);
	return rc;
}
