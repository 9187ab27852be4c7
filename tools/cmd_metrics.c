/* SPDX-License-Identifier: GPL-2.0-only */
/* cmd_metrics.c - hybrid-pool metrics: the numbers of pools in use for Prometheus, in its text format 0.0.4
 * (prometheus.io/docs/instrumenting/exposition_formats): on standard output, or in a file that is replaced as a whole.
 *
 * All samples of a metric have to stand together, whatever pool they are of: so each pool's numbers are walked once
 * for each metric, a family of samples after the other.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "live.h"

/* ------------------------------------------------------------------ samples */
struct looked {
	const char *name;	/* of the pool */
	json_t *stats;		/* NULL: it is not in use */
};

struct out {
	struct text_buf text;
	const struct looked *pools;
	size_t npools;
	const char *metric, *type, *help;	/* of the family; borrowed */
	bool begun;		/* it has a sample */
};

static void family(struct out *o, const char *metric, const char *type, const char *help)
{
	o->metric = metric;
	o->type = type;
	o->help = help;
	o->begun = false;
}

/* A family without samples is left out. */
static void begin_sample(struct out *o, const char *suffix)
{
	if (!o->begun)
		text_add(&o->text, "# HELP %s %s\n# TYPE %s %s\n", o->metric, o->help, o->metric, o->type);
	o->begun = true;
	text_add(&o->text, "%s%s", o->metric, suffix);
}

/* Label values: backslash, quotation mark and newline are escaped. */
static void add_value(struct out *o, const char *value)
{
	for (; *value; value++) {
		if (*value == '\n')
			text_add(&o->text, "\\n");
		else
			text_add(&o->text, "%s%c", *value == '\\' || *value == '"' ? "\\" : "", *value);
	}
}

/* `labels`: names and values by turns, NULL at the end. */
static void add_labels(struct out *o, const char *const *labels)
{
	text_add(&o->text, "{");
	for (; labels[0]; labels += 2) {
		text_add(&o->text, "%s=\"", labels[0]);
		add_value(o, labels[1]);
		text_add(&o->text, "\"%s", labels[2] ? "," : "");
	}
	text_add(&o->text, "} ");
}

#define LABELS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void sample(struct out *o, const char *const *labels, uint64_t value)
{
	begin_sample(o, "");
	add_labels(o, labels);
	text_add(&o->text, "%" PRIu64 "\n", value);
}

static void add_seconds(struct out *o, uint64_t ns)
{
	text_add(&o->text, "%llu.%09llu\n", ns / SEC_NS, ns % SEC_NS);
}

static void sample_seconds(struct out *o, const char *const *labels, uint64_t ns)
{
	begin_sample(o, "");
	add_labels(o, labels);
	add_seconds(o, ns);
}

/* Every `step` doublings of time a bucket: always the same ones, or rates over them make no sense. */
static void sample_hist(struct out *o, const char *const *labels, const json_t *latency, unsigned step)
{
	const char *with[16], le_name[] = "le";
	struct live_hist h;
	uint64_t below = 0;
	unsigned n = 0;
	char le[32];

	live_hist_read(latency, &h);
	while (labels[n] && n < ARRAY_LEN(with) - 3) {
		with[n] = labels[n];
		n++;
	}
	with[n] = le_name;
	with[n + 1] = le;
	with[n + 2] = NULL;
	for (unsigned i = 0; i < HB_HIST_BUCKETS - 1; i++) {
		uint64_t end = hb_hist_end_ns(i);

		below += h.n[i];
		if ((i + 1) % (4 * step))
			continue;
		snprintf(le, sizeof(le), "%llu.%06llu", end / SEC_NS, end % SEC_NS / 1000);
		begin_sample(o, "_bucket");
		add_labels(o, with);
		text_add(&o->text, "%" PRIu64 "\n", below);
	}
	snprintf(le, sizeof(le), "+Inf");
	begin_sample(o, "_bucket");
	add_labels(o, with);
	text_add(&o->text, "%" PRIu64 "\n", h.total);
	begin_sample(o, "_sum");
	add_labels(o, labels);
	add_seconds(o, h.sum_ns);
	begin_sample(o, "_count");
	add_labels(o, labels);
	text_add(&o->text, "%" PRIu64 "\n", h.total);
}

/* The next pool that is in use; NULL: the first, and at the end. */
static const struct looked *used(const struct out *o, const struct looked *p)
{
	for (p = p ? p + 1 : o->pools; p < o->pools + o->npools; p++)
		if (p->stats)
			return p;
	return NULL;
}

/* ------------------------------------------------------------------ tables of plain numbers */
enum unit { PLAIN, SECONDS, BLOCKS, FLAG };	/* SECONDS: the answer has ns; BLOCKS: blocks, given out as bytes */

struct row {
	const char *metric, *type, *help, *path;
	enum unit unit;
};

static void put(struct out *o, const char *const *labels, const json_t *from, const struct row *r)
{
	const json_t *v = get_any(from, r->path);

	if (!v)
		return;
	if (r->unit == SECONDS)
		sample_seconds(o, labels, (uint64_t)json_integer_value(v));
	else if (r->unit == FLAG)
		sample(o, labels, json_is_true(v));
	else
		sample(o, labels, (uint64_t)json_integer_value(v) * (r->unit == BLOCKS ? BLK_BYTES : 1));
}

static const struct row pool_rows[] = {
	{"hybrid_pool_failed", "gauge", "1 if the pool takes no more writes.", "health.failed", FLAG},
	{"hybrid_pool_read_only", "gauge", "1 if the pool is open for reading only.", "health.read_only", FLAG},
	{"hybrid_pool_capacity_bytes", "gauge", "Space for data.", "space.capacity_bytes", PLAIN},
	{"hybrid_pool_free_bytes", "gauge", "Of it, free.", "space.free_bytes", PLAIN},
	{"hybrid_pool_limbo_bytes", "gauge", "Of it, freed and soon free.", "space.limbo_bytes", PLAIN},
	{"hybrid_pool_metadata_bytes", "gauge", "Space for maps of volumes.", "space.meta_pages", BLOCKS},
	{"hybrid_pool_metadata_free_bytes", "gauge", "Of it, free.", "space.meta_free_pages", BLOCKS},
	{"hybrid_pool_log_bytes", "gauge", "Space of the log on the write tier.", "space.log_bytes", PLAIN},
	{"hybrid_pool_log_free_bytes", "gauge", "Of it, free.", "space.log_free_bytes", PLAIN},
	{"hybrid_pool_recovery_seconds", "gauge", "How long opening the pool took.", "recovery.recovery_ns", SECONDS},
	{"hybrid_pool_throttled_requests_total", "counter", "Writes slowed to the pace of write-back.",
	 "work.throttled", PLAIN},
	{"hybrid_pool_throttled_seconds_total", "counter", "How long they waited.", "work.throttled_ns", SECONDS},
	{"hybrid_log_units_total", "counter", "Units written to the log.", "work.units", PLAIN},
	{"hybrid_log_written_bytes_total", "counter", "Their bytes.", "work.unit_blocks", BLOCKS},
	{"hybrid_log_flushes_total", "counter", "Flushes of the write tier for the log.", "work.flushes", PLAIN},
	{"hybrid_checkpoints_total", "counter", "Checkpoints of the maps.", "work.checkpoints", PLAIN},
	{"hybrid_writeback_bytes_total", "counter", "Dirty data written to the capacity device.",
	 "write_back.blocks", BLOCKS},
	{"hybrid_writeback_runs_total", "counter", "Writes that it took.", "write_back.runs", PLAIN},
	{"hybrid_writeback_flushes_total", "counter", "Flushes of the capacity device.", "write_back.flushes", PLAIN},
	{"hybrid_writeback_lag_seconds", "gauge", "Age of the oldest dirty data.", "write_back.lag_ns", SECONDS},
	{"hybrid_ssd_written_bytes_total", "counter", "Bytes written to the write tier and the cache levels.",
	 "endurance.ssd_written_bytes", PLAIN},
	{"hybrid_initiator_written_bytes_total", "counter", "Bytes written by initiators.",
	 "endurance.initiator_written_bytes", PLAIN},
	{"hybrid_read_missed_bytes_total", "counter", "Bytes that reads had to get from the capacity device.",
	 "endurance.read_missed_bytes", PLAIN},
	{0},
};

static const struct row tier_rows[] = {
	{"hybrid_tier_size_bytes", "gauge", "What the tier can hold.", "size_bytes", PLAIN},
	{"hybrid_tier_used_bytes", "gauge", "What it holds.", "used_bytes", PLAIN},
	{"hybrid_tier_dirty_bytes", "gauge", "Of it, not yet on the capacity device.", "dirty_bytes", PLAIN},
	{"hybrid_tier_memory_bytes", "gauge", "Memory to keep account of it.", "memory_bytes", PLAIN},
	{"hybrid_tier_hit_bytes_total", "counter", "Reads that the tier answered, in whole blocks.", "hit_blocks",
	 BLOCKS},
	{"hybrid_tier_miss_bytes_total", "counter", "Reads that it could not answer, in whole blocks.", "miss_blocks",
	 BLOCKS},
	{"hybrid_tier_admitted_bytes_total", "counter", "Clean data that came into the tier.", "admitted_blocks",
	 BLOCKS},
	{"hybrid_tier_again_bytes_total", "counter", "Data that stayed by being written again.", "again_blocks",
	 BLOCKS},
	{"hybrid_tier_risen_bytes_total", "counter", "Data that went to a faster tier.", "risen_blocks", BLOCKS},
	{"hybrid_tier_fallen_bytes_total", "counter", "Data that went to a slower tier.", "fallen_blocks", BLOCKS},
	{"hybrid_tier_bypassed_bytes_total", "counter", "Data of long streams that passed the tier by.",
	 "bypassed_blocks", BLOCKS},
	{"hybrid_tier_bad_bytes_total", "counter", "Data whose checksum was wrong, or that could not be read.",
	 "bad_blocks", BLOCKS},
	{"hybrid_tier_emptied_segments_total", "counter", "Segments that were emptied.", "emptied_segments", PLAIN},
	{0},
};

static const struct row device_rows[] = {
	{"hybrid_device_size_bytes", "gauge", "Size of the device.", "size_bytes", PLAIN},
	{"hybrid_device_failed", "gauge", "1 if the device failed.", "failed", FLAG},
	{"hybrid_device_inflight", "gauge", "I/Os that are under way.", "inflight", PLAIN},
	{"hybrid_device_errors_total", "counter", "I/Os that failed.", "errors", PLAIN},
	{"hybrid_device_timeouts_total", "counter", "I/Os that were given up.", "timeouts", PLAIN},
	{0},
};

static const struct row device_op_rows[] = {
	{"hybrid_device_operations_total", "counter", "I/Os that were done.", "count", PLAIN},
	{"hybrid_device_bytes_total", "counter", "Their bytes.", "bytes", PLAIN},
	{"hybrid_device_busy_seconds_total", "counter",
	 "Sum of their times: its rate is the mean queue depth, divided by that of operations the mean latency.",
	 "busy_ns", SECONDS},
	{0},
};

static const struct row request_rows[] = {
	{"requests_total", "counter", "Requests of initiators that were answered.", "count", PLAIN},
	{"request_bytes_total", "counter", "Their bytes.", "bytes", PLAIN},
	{"request_errors_total", "counter", "Of them, answered with an error.", "errors", PLAIN},
	{0},
};

static const struct row volume_rows[] = {
	{"hybrid_volume_size_bytes", "gauge", "Size of the volume.", "size_bytes", PLAIN},
	{"hybrid_volume_mapped_bytes", "gauge", "Of it, mapped.", "mapped_bytes", PLAIN},
	{"hybrid_volume_opens", "gauge", "By how many LUNs it is open.", "opens", PLAIN},
	{0},
};

/* ------------------------------------------------------------------ families */
static void put_pools(struct out *o)
{
	family(o, "hybrid_pool_up", "gauge", "1 if the pool is in use and answers.");
	for (size_t i = 0; i < o->npools; i++)
		sample(o, LABELS("pool", o->pools[i].name), o->pools[i].stats != NULL);
	family(o, "hybrid_pool_info", "gauge", "Always 1; what a pool is called for ever.");
	for (const struct looked *p = used(o, NULL); p; p = used(o, p))
		sample(o, LABELS("pool", p->name, "uuid", get_text(p->stats, "uuid")), 1);
	family(o, "hybrid_pool_trouble", "gauge", "1 if something is wrong with the pool; show says what.");
	for (const struct looked *p = used(o, NULL); p; p = used(o, p))
		sample(o, LABELS("pool", p->name), strcmp(get_text(p->stats, "health.state"), "ok") != 0);
	for (const struct row *r = pool_rows; r->metric; r++) {
		family(o, r->metric, r->type, r->help);
		for (const struct looked *p = used(o, NULL); p; p = used(o, p))
			put(o, LABELS("pool", p->name), p->stats, r);
	}
}

static void put_memory(struct out *o)
{
	static const char *const kinds[][2] = {{"mem_index", "index"}, {"mem_map", "map"}, {"mem_ram_meta", "ram"},
					       {"mem_other", "other"}};

	family(o, "hybrid_pool_memory_bytes", "gauge", "Memory of the pool beside the RAM tier itself.");
	for (const struct looked *p = used(o, NULL); p; p = used(o, p)) {
		const json_t *memory = get_any(p->stats, "memory");

		for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
			sample(o, LABELS("pool", p->name, "kind", kinds[i][1]), get_uint(memory, kinds[i][0]));
	}
}

/* The elements of a list, by the label that tells them apart. */
static void put_list(struct out *o, const char *list, const struct row *rows, const char *label, const char *key)
{
	const char *other = !strcmp(list, "devices") ? "device" : NULL;
	json_t *e;
	size_t i;

	for (; rows->metric; rows++) {
		family(o, rows->metric, rows->type, rows->help);
		for (const struct looked *p = used(o, NULL); p; p = used(o, p)) {
			json_array_foreach((json_t *)get_any(p->stats, list), i, e)
				put(o, LABELS("pool", p->name, label, get_text(e, key), other, get_text(e, "path")), e,
				    rows);
		}
	}
}

static void put_tiers(struct out *o)
{
	json_t *e;
	size_t i;

	family(o, "hybrid_tier_up", "gauge", "1 if the tier takes part.");
	for (const struct looked *p = used(o, NULL); p; p = used(o, p)) {
		json_array_foreach((json_t *)get_any(p->stats, "tiers"), i, e)
			sample(o, LABELS("pool", p->name, "tier", get_text(e, "tier")),
			       !strcmp(get_text(e, "state"), "on"));
	}
	put_list(o, "tiers", tier_rows, "tier", "tier");
}

static void put_devices(struct out *o)
{
	static const char *const ops[] = {"read", "write", "flush", "discard"};
	json_t *d;
	size_t i;

	put_list(o, "devices", device_rows, "tier", "tier");
	for (const struct row *r = device_op_rows; r->metric; r++) {
		family(o, r->metric, r->type, r->help);
		for (const struct looked *p = used(o, NULL); p; p = used(o, p)) {
			json_array_foreach((json_t *)get_any(p->stats, "devices"), i, d) {
				for (size_t k = 0; k < ARRAY_LEN(ops); k++)
					put(o, LABELS("pool", p->name, "tier", get_text(d, "tier"), "device",
						      get_text(d, "path"), "op", ops[k]), get_any(d, ops[k]), r);
			}
		}
	}
}

/* Places of reads: {"read_ram": blocks, ...} of a pool, {"ram": blocks, ...} of a volume. */
static void put_pool_places(struct out *o)
{
	static const char *const places[][2] = {{"read_zero", "none"}, {"read_ram", "ram"},
						{"read_staging", "staging"}, {"read_ssd", "ssd"},
						{"read_levels", "cache"}, {"read_capacity", "capacity"}};

	family(o, "hybrid_pool_read_bytes_total", "counter", "Where reads were answered from, in whole blocks.");
	for (const struct looked *p = used(o, NULL); p; p = used(o, p)) {
		const json_t *blocks = get_any(p->stats, "reads_blocks");

		for (size_t i = 0; i < ARRAY_LEN(places); i++)
			sample(o, LABELS("pool", p->name, "tier", places[i][1]),
			       get_uint(blocks, places[i][0]) * BLK_BYTES);
	}
}

static void put_requests(struct out *o)
{
	char metric[64];
	const char *op;
	json_t *e;

	for (const struct row *r = request_rows; r->metric; r++) {
		snprintf(metric, sizeof(metric), "hybrid_pool_%s", r->metric);
		family(o, metric, r->type, r->help);
		for (const struct looked *p = used(o, NULL); p; p = used(o, p)) {
			json_object_foreach((json_t *)get_any(p->stats, "requests"), op, e)
				put(o, LABELS("pool", p->name, "op", op), e, r);
		}
	}
	family(o, "hybrid_pool_request_seconds", "histogram", "How long requests took.");
	for (const struct looked *p = used(o, NULL); p; p = used(o, p)) {
		json_object_foreach((json_t *)get_any(p->stats, "latency"), op, e)
			sample_hist(o, LABELS("pool", p->name, "op", op), e, 1);
	}
}

static void put_volume_requests(struct out *o)
{
	char metric[64];
	const char *op;
	json_t *v, *e;
	size_t i;

	for (const struct row *r = request_rows; r->metric; r++) {
		snprintf(metric, sizeof(metric), "hybrid_volume_%s", r->metric);
		family(o, metric, r->type, r->help);
		for (const struct looked *p = used(o, NULL); p; p = used(o, p)) {
			json_array_foreach((json_t *)get_any(p->stats, "volumes"), i, v)
				json_object_foreach((json_t *)get_any(v, "requests"), op, e)
					put(o, LABELS("pool", p->name, "volume", get_text(v, "name"), "op", op), e, r);
		}
	}
}

/* Of volumes that have a cache floor; of others nobody counts what is cached. */
static void put_floors(struct out *o)
{
	static const struct row rows[] = {
		{"hybrid_volume_cache_floor_bytes", "gauge", "Set aside for the volume.", "floor_bytes", PLAIN},
		{"hybrid_volume_cached_bytes", "gauge", "Of a volume with a cache floor, held there.", "cached_bytes",
		 PLAIN},
		{0},
	};
	const char *tier;
	json_t *v, *e;
	size_t i;

	for (const struct row *r = rows; r->metric; r++) {
		family(o, r->metric, r->type, r->help);
		for (const struct looked *p = used(o, NULL); p; p = used(o, p)) {
			json_array_foreach((json_t *)get_any(p->stats, "volumes"), i, v)
				json_object_foreach((json_t *)get_any(v, "floor"), tier, e)
					put(o, LABELS("pool", p->name, "volume", get_text(v, "name"), "tier", tier), e,
					    r);
		}
	}
}

static void put_volumes(struct out *o)
{
	const char *key;
	json_t *v, *e;
	size_t i;

	put_list(o, "volumes", volume_rows, "volume", "name");
	put_volume_requests(o);
	put_floors(o);
	family(o, "hybrid_volume_read_bytes_total", "counter", "Where reads were answered from, in whole blocks.");
	for (const struct looked *p = used(o, NULL); p; p = used(o, p)) {
		json_array_foreach((json_t *)get_any(p->stats, "volumes"), i, v)
			json_object_foreach((json_t *)get_any(v, "read_blocks"), key, e)
				sample(o, LABELS("pool", p->name, "volume", get_text(v, "name"), "tier",
						 strcmp(key, "unmapped") ? key : "none"),
				       (uint64_t)json_integer_value(e) * BLK_BYTES);
	}
	family(o, "hybrid_volume_request_seconds", "histogram", "How long requests took.");
	for (const struct looked *p = used(o, NULL); p; p = used(o, p)) {
		json_array_foreach((json_t *)get_any(p->stats, "volumes"), i, v)
			json_object_foreach((json_t *)get_any(v, "latency"), key, e)
				sample_hist(o, LABELS("pool", p->name, "volume", get_text(v, "name"), "op", key), e, 2);
	}
}

/* ------------------------------------------------------------------ where it goes */
/* The file has the old text or the new one, whoever reads it and whenever the power fails: written beside it, under a
 * name that node_exporter's textfile collector does not read, and renamed. */
static int replace(const char *path, const struct text_buf *b, struct err *err)
{
	size_t room = strlen(path) + 16, done = 0;
	char *temp = malloc(room);
	int fd;

	if (!temp)
		return err_set(err, -ENOMEM, "out of memory");
	snprintf(temp, room, "%s.new-XXXXXX", path);
	fd = mkstemp(temp);
	if (fd < 0)
		err_set(err, -errno, "%s: %s", path, strerror(errno));
	while (fd >= 0 && !err->code && done < b->len) {
		ssize_t n = write(fd, b->text + done, b->len - done);

		if (n < 0 && errno != EINTR)
			err_set(err, -errno, "%s: %s", path, strerror(errno));
		done += n > 0 ? (size_t)n : 0;
	}
	if (fd >= 0 && !err->code && (fchmod(fd, 0644) || fsync(fd) || rename(temp, path)))
		err_set(err, -errno, "%s: %s", path, strerror(errno));
	if (fd >= 0)
		close(fd);
	if (fd >= 0 && err->code)
		unlink(temp);
	free(temp);
	return err->code;
}

static void put_all(struct out *o)
{
	put_pools(o);
	put_memory(o);
	put_requests(o);
	put_pool_places(o);
	put_tiers(o);
	put_devices(o);
	put_volumes(o);
}

static int metrics(struct tool *t, int argc, char **argv)
{
	struct err err = ERR_INIT, why = ERR_INIT;
	struct out o = {.npools = 0};
	struct live_pools pools;
	struct looked *looked;

	if (live_pools_new(t, argv, (size_t)argc, &pools, &err))
		return tool_fail(&err);
	looked = calloc(pools.n + 1, sizeof(*looked));
	for (size_t i = 0; looked && i < pools.n; i++)
		looked[i] = (struct looked){pools.v[i].name, live_look(t, &pools.v[i], &why)};
	o.pools = looked;
	o.npools = looked ? pools.n : 0;
	if (looked)
		put_all(&o);
	else
		err_set(&err, -ENOMEM, "out of memory");
	if (!err.code && t->output && strcmp(t->output, "-"))
		replace(t->output, &o.text, &err);
	else if (!err.code)
		fputs(o.text.text, stdout);
	for (size_t i = 0; looked && i < pools.n; i++)
		json_decref(looked[i].stats);
	free(looked);
	free(o.text.text);
	live_pools_free(&pools);
	return err.code ? tool_fail(&err) : EXIT_OK;
}

const struct command metrics_commands[] = {
	{"metrics", metrics, 0, 64, "[POOL...]", TAKES_FILE, "print the numbers of pools in use for Prometheus",
	 "Of all pools of the configuration without POOL. A pool that is not in use is not opened: it is told of by\n"
	 "hybrid_pool_up 0. --output FILE writes them there, at once and as a whole (for node_exporter's textfile\n"
	 "collector, which reads files that end with .prom).\n"},
	{0},
};
