/* SPDX-License-Identifier: GPL-2.0-only */
/* cursor.c - where a page ended: the order's value and the key of its last row, so that the next one begins behind it
 * whatever came or went meanwhile. Opaque to others: base64 (RFC 4648, 5; without padding) of a JSON array
 * [1, table, order or null, descending, value of order or null, key...].
 */
#include "store/inside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CURSOR_VERSION 1
#define HEAD 5 /* members before the key */

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static char *encode(const unsigned char *from, size_t n)
{
	char *text = malloc(n / 3 * 4 + 5), *to = text;

	for (size_t i = 0; text && i < n; i += 3) {
		size_t has = n - i < 3 ? n - i : 3;
		unsigned v = (unsigned)from[i] << 16 | (has > 1 ? (unsigned)from[i + 1] << 8 : 0) |
			     (has > 2 ? from[i + 2] : 0u);

		for (size_t k = 0; k <= has; k++)
			*to++ = digits[v >> (18 - 6 * k) & 63];
	}
	if (to)
		*to = 0;
	return text;
}

/* malloc'd; NULL: not base64. */
static char *decode(const char *from, size_t *ret_n)
{
	size_t len = strlen(from), n = 0;
	char *bytes = malloc(len + 1);
	unsigned v = 0;

	for (size_t i = 0; bytes && i < len; i++) {
		const char *digit = strchr(digits, from[i]);

		if (!digit) {
			free(bytes);
			return NULL;
		}
		v = v << 6 | (unsigned)(digit - digits);
		if (i % 4)
			bytes[n++] = (char)(v >> (6 - 2 * (i % 4)));
	}
	*ret_n = n;
	return bytes;
}

char *cursor_make(const struct table *t, const struct store_query *q, const json_t *row)
{
	json_t *value = q->order ? json_object_get(row, q->order) : NULL;
	json_t *place = json_pack("[i, s, s?, b, O?]", CURSOR_VERSION, t->name, q->order, q->descending, value);
	char *text, *made = NULL;

	for (unsigned i = 0; place && i < t->nkeys; i++)
		json_array_append(place, json_object_get(row, t->columns[i].name));
	text = place ? json_dumps(place, JSON_COMPACT) : NULL;
	if (text)
		made = encode((const unsigned char *)text, strlen(text));
	free(text);
	json_decref(place);
	return made;
}

static bool same_text(const json_t *a, const char *b)
{
	return b ? json_is_string(a) && !strcmp(json_string_value(a), b) : json_is_null(a);
}

static bool is_ours(const struct table *t, const struct store_query *q, const json_t *place)
{
	if (json_array_size(place) != HEAD + t->nkeys ||
	    json_integer_value(json_array_get(place, 0)) != CURSOR_VERSION ||
	    !same_text(json_array_get(place, 1), t->name) || !same_text(json_array_get(place, 2), q->order) ||
	    !json_is_boolean(json_array_get(place, 3)) ||
	    json_is_true(json_array_get(place, 3)) != q->descending)
		return false;
	if (q->order ? column_check(t, column_find(t, q->order), json_array_get(place, 4), NULL) != 0
		     : !json_is_null(json_array_get(place, 4)))
		return false;
	for (unsigned i = 0; i < t->nkeys; i++) {
		const json_t *part = json_array_get(place, HEAD + i);

		if (json_is_null(part) || column_check(t, &t->columns[i], part, NULL))
			return false;
	}
	return true;
}

static void put_key_behind(struct sql *sql, const char *sign, const json_t *place)
{
	for (unsigned i = 0; i < sql->table->nkeys; i++)
		fprintf(sql->f, "%st.\"%s\"", i ? ", " : "(", sql->table->columns[i].name);
	fprintf(sql->f, ") %s ", sign);
	for (unsigned i = 0; i < sql->table->nkeys; i++) {
		fputs(i ? ", " : "(", sql->f);
		sql_value(sql, json_incref(json_array_get(place, HEAD + i)));
	}
	fprintf(sql->f, ")");
}

int cursor_after(struct sql *sql, const struct store_query *q, struct err *err)
{
	size_t n = 0;
	char *bytes = decode(q->after, &n);
	json_t *place = bytes ? json_loadb(bytes, n, JSON_REJECT_DUPLICATES, NULL) : NULL, *value;
	const char *sign = q->descending ? "<" : ">";

	free(bytes);
	if (!is_ours(sql->table, q, place)) {
		json_decref(place);
		return err_set(err, -EINVAL, "the cursor is not one of this list's");
	}
	value = json_array_get(place, 4);
	fprintf(sql->f, " AND (");
	/* NULLs come first, and last where the order descends; nothing compares with them. */
	if (q->order && json_is_null(value)) {
		if (!q->descending)
			fprintf(sql->f, "t.\"%s\" IS NOT NULL OR ", q->order);
		else
			fprintf(sql->f, "t.\"%s\" IS NULL AND ", q->order);
	} else if (q->order) {
		fprintf(sql->f, "t.\"%s\" %s ", q->order, sign);
		sql_value(sql, json_incref(value));
		if (q->descending)
			fprintf(sql->f, " OR t.\"%s\" IS NULL", q->order);
		fprintf(sql->f, " OR t.\"%s\" = ", q->order);
		sql_value(sql, json_incref(value));
		fprintf(sql->f, " AND ");
	}
	put_key_behind(sql, sign, place);
	fprintf(sql->f, ")");
	json_decref(place);
	return 0;
}
