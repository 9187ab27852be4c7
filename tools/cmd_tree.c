/* SPDX-License-Identifier: GPL-2.0-only */
/* cmd_tree.c - hybrid-pool tree: volumes, snapshots and clones, each below what it was made from. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

/* What is made deeper begins at the top again: nobody reads a table so wide, and readers of JSON have such limits. */
#define DEPTH_MAX 100u

/* One volume, in order of families and then of age, so that each comes after what it was made from. */
struct node {
	json_t *v;		/* borrowed from the list; has "children" where JSON is wanted */
	uint64_t id, parent_id, family_id;
	struct node *parent;	/* NULL: none, or it is gone */
	unsigned depth;
	struct out_row *row;
};

static int compare(const void *a, const void *b)
{
	const struct node *x = a, *y = b;

	if (x->family_id != y->family_id)
		return x->family_id < y->family_id ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

/* The nodes, owned; NULL: out of memory. */
static struct node *make_nodes(const json_t *volumes, size_t n)
{
	struct node *nodes = calloc(n + 1, sizeof(*nodes)), key;

	for (size_t i = 0; nodes && i < n; i++) {
		json_t *v = json_array_get(volumes, i);

		nodes[i] = (struct node){.v = v, .id = get_uint(v, "id"), .parent_id = get_uint(v, "parent_id"),
					 .family_id = get_uint(v, "family_id")};
	}
	if (!nodes)
		return NULL;
	qsort(nodes, n, sizeof(*nodes), compare);
	for (size_t i = 0; i < n; i++) {
		key = (struct node){.id = nodes[i].parent_id, .family_id = nodes[i].family_id};
		nodes[i].parent = bsearch(&key, nodes, i, sizeof(*nodes), compare);
		if (nodes[i].parent && nodes[i].parent->depth + 1 < DEPTH_MAX)
			nodes[i].depth = nodes[i].parent->depth + 1;
		else
			nodes[i].parent = NULL;
	}
	return nodes;
}

static const char *kind(const json_t *v)
{
	if (get_bool(v, "snapshot"))
		return "snapshot";
	return get_uint(v, "parent_id") ? "clone" : "volume";
}

/* Adds what each has alone and what it shares; one that is deleted meanwhile has neither. */
static int add_usage(struct session *s, const json_t *volumes, struct err *err)
{
	json_t *v, *u;
	size_t i;

	json_array_foreach((json_t *)volumes, i, v) {
		*err = ERR_INIT;
		if (session_usage(s, get_text(v, "name"), &u, err) == 0) {
			json_object_set(v, "exclusive_bytes", json_object_get(u, "exclusive_bytes"));
			json_object_set(v, "shared_bytes", json_object_get(u, "shared_bytes"));
			json_decref(u);
		} else if (err->code != -ENOENT) {
			return err->code;
		}
	}
	*err = ERR_INIT;
	return 0;
}

static int print_json(struct node *nodes, size_t n)
{
	json_t *roots = json_array(), *root;
	int rc;

	for (size_t i = 0; i < n; i++) {
		struct node *x = &nodes[i];

		json_object_set_new(x->v, "kind", json_string(kind(x->v)));
		json_object_set_new(x->v, "children", json_array());
		json_array_append(x->parent ? json_object_get(x->parent->v, "children") : roots, x->v);
	}
	root = json_pack("{s:o}", "volumes", roots);
	rc = out_json(root);
	json_decref(root);
	return rc;
}

static void cell(const struct tool *t, const json_t *v, const char *key, char to[48])
{
	if (get_any(v, key))
		out_cell(t, get_uint(v, key), to);
	else
		snprintf(to, 48, "-");
}

static int print_table(const struct tool *t, struct node *nodes, size_t n)
{
	static const char *const plain[] = {"*NAME", "KIND", ">SIZE", ">MAPPED", "CREATED", NULL};
	static const char *const full[] = {"*NAME", "KIND", ">SIZE", ">MAPPED", ">EXCLUSIVE", ">SHARED", "CREATED",
					   NULL};
	struct out_table *table = out_table_new(t->usage ? full : plain);
	char size[48], mapped[48], exclusive[48], shared[48], created[32];

	for (size_t i = 0; i < n; i++) {
		const json_t *v = nodes[i].v;
		const char *cells[] = {get_text(v, "name"), kind(v), size, mapped, t->usage ? exclusive : created,
				       shared, created};

		cell(t, v, "size_bytes", size);
		cell(t, v, "mapped_bytes", mapped);
		cell(t, v, "exclusive_bytes", exclusive);
		cell(t, v, "shared_bytes", shared);
		out_time(get_uint(v, "created_s"), created);
		nodes[i].row = out_table_row_below(table, cells, nodes[i].parent ? nodes[i].parent->row : NULL);
	}
	return out_table_end(table);
}

static int tree(struct tool *t, int argc, char **argv)
{
	struct err err = ERR_INIT, close_err = ERR_INIT;
	struct node *nodes;
	struct session *s;
	json_t *volumes;
	int rc;

	(void)argc;
	(void)argv;
	if (session_open(t, SESSION_READ, &s, &err))
		return tool_fail(&err);
	volumes = session_volumes(s, &err);
	if (volumes && t->usage)
		add_usage(s, volumes, &err);
	session_close(s, &close_err);
	nodes = err.code ? NULL : make_nodes(volumes, json_array_size(volumes));
	if (!nodes && !err.code)
		err_set(&err, -ENOMEM, "out of memory");
	if (err.code)
		rc = tool_fail(&err);
	else if (t->json)
		rc = print_json(nodes, json_array_size(volumes));
	else
		rc = print_table(t, nodes, json_array_size(volumes));
	free(nodes);
	json_decref(volumes);
	return rc;
}

const struct command tree_commands[] = {
	{"tree", tree, 0, 0, "", TAKES_USAGE | TAKES_BYTES, "show volumes, snapshots and clones as a lineage",
	 "Each stands below what it was made from; what was made from something that is deleted stands at the top.\n"
	 "Relatives stand together, the older before the younger, and after 100 levels the next is at the top again.\n"
	 "JSON has them nested, as \"children\".\n"},
	{0},
};
