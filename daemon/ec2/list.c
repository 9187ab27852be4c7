/* SPDX-License-Identifier: GPL-2.0-only */
/* list.c - describing: by ids, or page by page through filters.
 *
 * A page of MaxResults items is filled from as many of the verb's pages as it takes, each of as many rows as are still
 * wanted: so the verb's cursor always stands right behind the last item, and is the client's NextToken as it is.
 */
#include <string.h>

#include "ec2/priv.h"

static bool in_words(struct ec2_call *x, const struct ec2_list *l)
{
	const char *other = ec2_given(x, "limit") ? "MaxResults" : ec2_given(x, "cursor") ? "NextToken" : NULL;

	if (l->ids && ec2_given(x, l->ids) && other)
		return ec2_fail(x, ebs_code_text(EBS_INVALID_COMBINATION),
				"The parameter %s cannot be used together with ids", other);
	return true;
}

/* Appends what of these rows is to be answered. */
static void collect(struct ec2_call *x, const struct ec2_list *l, const json_t *rows, bool named, json_t *items)
{
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		enum ec2_keep keep = l->keep ? l->keep(x, row) : KEEP;
		json_t *item;

		if (named && keep == KEEP_MISSING)
			ec2_fail(x, ebs_code_text(l->missing), "The %s '%s' does not exist.",
				 l->missing == EBS_NO_VOLUME ? "volume" : "snapshot", ec2_text(row, "id"));
		if (keep != KEEP)
			continue;
		item = l->item ? l->item(x, row) : ec2_shape(x, l->shape, row);
		if (ec2_filters_match(x, l->filters, l->tags, item))
			json_array_append_new(items, item);
		else
			json_decref(item);
	}
}

static json_t *named(struct ec2_call *x, const struct ec2_list *l)
{
	json_t *items = json_array();
	json_t *said = ec2_verb(x, l->verb, json_pack("{s:O}", l->ids, ec2_given(x, l->ids)));

	collect(x, l, json_object_get(said, l->rows), true, items);
	json_decref(said);
	return items;
}

/* ret_cursor: new reference, or NULL: that was all. */
static json_t *paged(struct ec2_call *x, const struct ec2_list *l, json_t **ret_cursor)
{
	json_t *items = json_array(), *cursor = json_incref(ec2_given(x, "cursor"));
	json_t *filters = ec2_filters_column(x, l->filters, !l->tags_made);
	uint64_t limit = ec2_number(x->args, "limit");

	if (l->only[0])
		json_object_set_new(filters, l->only[0], json_string(l->only[1]));
	do {
		uint64_t more = limit ? limit - json_array_size(items) : EBS_PAGE_MAX;
		json_t *said = ec2_verb(x, l->verb,
					json_pack("{s:O, s:I, s:O*}", "filters", filters, "limit",
						  (json_int_t)(more < EBS_PAGE_MAX ? more : EBS_PAGE_MAX), "cursor",
						  cursor));

		collect(x, l, json_object_get(said, l->rows), false, items);
		json_decref(cursor);
		cursor = json_incref(json_object_get(said, "cursor"));
		json_decref(said);
	} while (!x->code && cursor && (!limit || json_array_size(items) < limit));
	json_decref(filters);
	*ret_cursor = cursor;
	return items;
}

static void answer(struct ec2_call *x, const struct ec2_list *l, json_t *items, json_t *cursor)
{
	if (x->code)
		json_decref(items);
	else
		x->answer = json_pack("{s:o}", l->element, items);
	if (!x->code && cursor)
		json_object_set(x->answer, "nextToken", cursor);
	json_decref(cursor);
}

void ec2_list(struct ec2_call *x)
{
	const struct ec2_list *l = x->action->list;
	json_t *items, *cursor = NULL;

	if (!in_words(x, l) || !ec2_filters_check(x, l->filters, l->tags))
		return;
	items = l->ids && ec2_given(x, l->ids) ? named(x, l) : paged(x, l, &cursor);
	answer(x, l, items, cursor);
}

void ec2_list_rows(struct ec2_call *x, json_t *rows)
{
	const struct ec2_list *l = x->action->list;
	json_t *items = json_array();

	if (ec2_filters_check(x, l->filters, l->tags))
		collect(x, l, rows, false, items);
	answer(x, l, items, NULL);
	json_decref(rows);
}
