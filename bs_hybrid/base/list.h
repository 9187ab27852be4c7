/* SPDX-License-Identifier: GPL-2.0-only */
/* list.h - doubly linked lists of embedded links. A link that is on no list points at itself or is all zero. */
#ifndef HB_BASE_LIST_H
#define HB_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct link {
	struct link *next, *prev;
};

#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

static inline void list_init(struct link *head)
{
	head->next = head->prev = head;
}

static inline bool list_empty(const struct link *head)
{
	return head->next == head;
}

static inline bool link_on_list(const struct link *l)
{
	return l->next && l->next != l;
}

static inline void link_between(struct link *l, struct link *prev, struct link *next)
{
	l->prev = prev;
	l->next = next;
	prev->next = l;
	next->prev = l;
}

static inline void list_push(struct link *head, struct link *l)
{
	link_between(l, head->prev, head);
}

static inline void list_push_front(struct link *head, struct link *l)
{
	link_between(l, head, head->next);
}

static inline void list_del(struct link *l)
{
	l->prev->next = l->next;
	l->next->prev = l->prev;
	l->next = l->prev = NULL;
}

/* The first link, taken off the list; NULL when the list is empty. */
static inline struct link *list_pop(struct link *head)
{
	struct link *l = head->next;

	if (l == head)
		return NULL;
	list_del(l);
	return l;
}

/* Moves all of `from` to the end of `to`; `from` is left empty. */
static inline void list_splice(struct link *to, struct link *from)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	list_init(from);
}

#define list_entry(ptr, type, member) container_of(ptr, type, member)
#define list_first(head, type, member) container_of((head)->next, type, member)
#define list_each(pos, head) for (struct link *pos = (head)->next; pos != (head); pos = pos->next)
/* As list_each; the current link may be taken off the list. */
#define list_each_safe(pos, tmp, head) \
	for (struct link *pos = (head)->next, *tmp = pos->next; pos != (head); pos = tmp, tmp = pos->next)

#endif
