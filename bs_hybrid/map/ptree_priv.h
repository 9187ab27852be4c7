/* SPDX-License-Identifier: GPL-2.0-only */
/* ptree_priv.h - what a node of a ptree looks like, for ptree.c (in memory) and ptree_disk.c (saving and loading). */
#ifndef HB_MAP_PTREE_PRIV_H
#define HB_MAP_PTREE_PRIV_H

#include "map/ptree.h"

#define PTREE_LEAF_BYTES 4096u

/* A node is dirty exactly while it has no page. An inner node has at least one child. */
struct pnode {
	uint32_t refs;			/* parents and roots that point here */
	uint32_t page, crc;		/* where it lies on disk; PTREE_NO_PAGE: changed since, or never written */
	uint16_t used;			/* children that are no holes */
	uint8_t level;			/* 0: a leaf */
	const struct ptree_env *env;	/* borrowed: trees of another env must not hold the node */
	uint64_t first;			/* number of the first leaf below: the same in every tree that holds the node */
	union {
		struct pnode *child[PTREE_FAN];
		_Alignas(16) unsigned char data[PTREE_LEAF_BYTES];
	};
};

static inline unsigned int ptree_index(uint64_t leaf, unsigned int level)
{
	return (leaf >> ((level - 1) * PTREE_FAN_SHIFT)) & (PTREE_FAN - 1);
}

/* Whether a tree of so many levels has a place for the leaf. */
static inline bool ptree_covers(unsigned int levels, uint64_t leaf)
{
	return leaf >> (levels * PTREE_FAN_SHIFT) == 0;
}

/* A new dirty node without holders: zeroed, or (blank) a leaf of undefined bytes. NULL when out of memory. */
struct pnode *pnode_new(struct ptree_env *env, unsigned int level, bool blank);
/* Frees this node's memory alone. */
void pnode_free(struct ptree_env *env, struct pnode *n);
/* Lets go of the node, and of what is below with its last reference; hooks and pages are not told. */
void pnode_forget(struct ptree_env *env, struct pnode *n);

#endif
