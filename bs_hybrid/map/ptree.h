/* SPDX-License-Identifier: GPL-2.0-only */
/* ptree.h - persistent radix trees of 4 KiB pages: the shape of all metadata. Pure memory.
 *
 * A tree maps leaf numbers to leaves of 4096 opaque bytes; inner nodes have 256 children. Nodes are reference counted
 * and may be shared by several trees (snapshots): changing a leaf first copies every shared node on its path.
 * A node that was ever written knows its page and the crc32c of its contents; the parent's page holds both for each
 * child, so the root's pair vouches for the whole tree. Changing a node forgets its page (given back through the env).
 *
 * Invariants
 * (1) A node with refs > 1 is never changed.
 * (2) A dirty node's ancestors are dirty, in every tree that holds it. (So a clean node has a clean subtree.)
 * (3) A node's page is given back exactly once: when the node is changed, or when its last reference goes.
 */
#ifndef HB_MAP_PTREE_H
#define HB_MAP_PTREE_H

#include "base/units.h"

#define PTREE_FAN_SHIFT 8
#define PTREE_FAN (1u << PTREE_FAN_SHIFT)
#define PTREE_LEVELS_MAX 5		/* 256^5 leaves */

/* Where a node lies on disk: its page and the crc32c of those 4096 bytes. */
struct page_ptr {
	uint32_t page;			/* PTREE_NO_PAGE: no node (a hole) */
	uint32_t crc;
};
#define PTREE_NO_PAGE UINT32_MAX

struct pnode;

/* What a forest of trees that share nodes and pages has in common. Borrowed by each call. The hooks are called in the
 * middle of a change and must not use trees of the same env. */
struct ptree_env {
	void *ctx;
	/* Required. A page is no longer used by any node. */
	void (*page_retire)(void *ctx, uint32_t page);
	/* Optional. `data` is a leaf that was copied because it was shared (refs of what it names go up). */
	void (*leaf_copied)(void *ctx, const void *data);
	/* Optional. A leaf's last reference went (refs of what it names go down). */
	void (*leaf_freed)(void *ctx, void *data);
	/* Counted here. */
	uint64_t nodes, leaves;		/* in memory: inner ones, leaves */
	uint64_t dirty;			/* of both together: what saving all trees of the env would write */
};

struct ptree {
	struct pnode *root;		/* NULL: all holes */
	uint8_t levels;			/* 0: the root is a leaf (leaf 0) */
};

/* The leaf's bytes for reading, or NULL for a hole. */
const void *ptree_get(const struct ptree *t, uint64_t leaf);
/* The leaf's bytes for changing: path made exclusive and dirty, hole filled with a zeroed leaf. NULL when out of
 * memory (the tree still holds what it held). `leaf` must be below 256^PTREE_LEVELS_MAX; the tree grows as needed. */
void *ptree_change(struct ptree_env *env, struct ptree *t, uint64_t leaf);
/* Whether this tree alone holds the leaf: no node of the path is shared. False for a hole. */
bool ptree_exclusive(const struct ptree *t, uint64_t leaf);
/* As ptree_get, but NULL also when another tree holds the leaf too: both answers in one walk. */
const void *ptree_get_exclusive(const struct ptree *t, uint64_t leaf);
/* The first leaf that is no hole at or after `from`; UINT64_MAX if none. */
uint64_t ptree_next(const struct ptree *t, uint64_t from);
/* Removes one leaf (a hole stays); nodes left empty go too. 0 or -ENOMEM (a shared path must be copied). */
int ptree_remove(struct ptree_env *env, struct ptree *t, uint64_t leaf);
/* The first part of the tree that can go in one piece, at a cost that does not depend on its size: the largest subtree
 * on the way to the first leaf that another tree holds too; or else that leaf. *ret_leaf: its first place; it has
 * 256^*ret_level of them. False: the tree is empty. */
bool ptree_first_part(const struct ptree *t, uint64_t *ret_leaf, unsigned int *ret_level);
/* As ptree_remove for the 256^level places from `leaf` (a multiple of that) on. */
int ptree_remove_part(struct ptree_env *env, struct ptree *t, uint64_t leaf, unsigned int level);
/* The first leaf at or after `from` that is not one and the same node in both trees; UINT64_MAX if none. */
uint64_t ptree_next_diff(const struct ptree *a, const struct ptree *b, uint64_t from);
/* The first leaf at or after `from` that this tree alone holds; UINT64_MAX if none. */
uint64_t ptree_next_exclusive(const struct ptree *t, uint64_t from);
/* *dst (must be empty) becomes a second holder of all of src's nodes. Costs nothing. */
void ptree_share(struct ptree *dst, const struct ptree *src);
/* Lets go of the whole tree at once. */
void ptree_clear(struct ptree_env *env, struct ptree *t);
/* Frees the memory only: no hook is called and no page is given back. For closing, and when opening fails. */
void ptree_forget(struct ptree_env *env, struct ptree *t);
/* Memory of all nodes of the env. */
uint64_t ptree_bytes(const struct ptree_env *env);
bool ptree_dirty(const struct ptree *t);
/* Where the root was saved, and what it holds there; PTREE_NO_PAGE: the tree is empty or dirty. */
struct page_ptr ptree_root(const struct ptree *t);
/* How many nodes ptree_save would write; counting stops at max. */
uint64_t ptree_dirty_count(const struct ptree *t, uint64_t max);

/* Writes every dirty node, children first: put() is given each page's bytes (valid during the call only) and its
 * crc32c and returns the page it chose, or PTREE_NO_PAGE when it cannot. The nodes become clean. *ret is the root's.
 * 0 or -ENOSPC (nodes not yet given to put stay dirty; calling again continues). */
int ptree_save(struct ptree_env *env, struct ptree *t,
	       uint32_t (*put)(void *ctx, const void *data, uint32_t crc), void *ctx, struct page_ptr *ret);

/* Reads a whole tree: get() fills 4096 bytes for a page (0 or -errno), called once per page. `seen` lets trees share
 * nodes: it is asked first and may return the node that was loaded for this page before (or NULL); `remember` is told
 * of each new node, after its children. Without them get() must refuse a page that was asked for before.
 * A page whose crc differs, an inner page without children, or a shared page that stands at another place than before
 * or in a tree of another env, is -EBADMSG, with ret_bad set. On error (also -ENOMEM, or get's) the tree is empty, no
 * hook was called, and nodes remembered during the call are gone: forget them. The tree's former contents are not
 * looked at. */
struct ptree_load {
	void *ctx;
	int (*get)(void *ctx, uint32_t page, void *data);
	struct pnode *(*seen)(void *ctx, uint32_t page);	/* optional, together with remember */
	void (*remember)(void *ctx, uint32_t page, struct pnode *node);
	uint32_t ret_bad;		/* the page at fault, with -EBADMSG; else PTREE_NO_PAGE */
};
int ptree_load(struct ptree_env *env, struct ptree *t, uint8_t levels, struct page_ptr root, struct ptree_load *how);

/* One node: its first leaf's number, and the bytes of a leaf (NULL for inner nodes). A node with refs > 1 is also met
 * through other trees, and so is all below it; `node` tells whether it is the same one. False: skip what is below. */
typedef bool ptree_visit(void *ctx, const struct pnode *node, uint8_t level, uint32_t page, uint32_t refs,
			 uint64_t leaf, const void *data);
/* Each node of the tree once, parents first, in order of leaves; for check and for marking pages. */
void ptree_walk(const struct ptree *t, ptree_visit *visit, void *ctx);

#endif
