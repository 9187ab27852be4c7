/* SPDX-License-Identifier: GPL-2.0-only */
/* shape.c - rows as the verbs show them, to elements as EC2 has them, by tables. */
#include <string.h>

#include "ec2/priv.h"

static json_t *tag_set(const json_t *tags)
{
	json_t *set = json_array(), *value;
	const char *key;

	json_object_foreach((json_t *)(uintptr_t)tags, key, value)
		json_array_append_new(set, json_pack("{s:s, s:O}", "key", key, "value", value));
	return set;
}

static json_t *item_set(const struct ec2_call *x, const struct ec2_field *of, const json_t *rows)
{
	json_t *set = json_array(), *row;
	size_t i;

	json_array_foreach(rows, i, row) json_array_append_new(set, ec2_shape(x, of, row));
	return set;
}

static json_t *region(const struct ec2_call *x)
{
	char name[65];

	ec2_region(x, name);
	return json_string(name);
}

static json_t *field(const struct ec2_call *x, const struct ec2_field *f, const json_t *row)
{
	json_t *v = f->from ? json_object_get(row, f->from) : NULL;

	switch (f->type) {
	case F_SAME:
		return json_is_null(v) ? NULL : json_incref(v);
	case F_TEXT:
		return json_is_string(v) ? json_incref(v) : json_string("");
	case F_GIB:
		return json_integer((json_int_t)(((uint64_t)json_integer_value(v) + GIB - 1) / GIB));
	case F_BOOL:
		return json_boolean(json_is_true(v));
	case F_TAGS:
		return tag_set(v);
	case F_SET:
		return item_set(x, f->of, v);
	case F_INSIDE:
		return ec2_shape(x, f->of, row);
	case F_CONST:
		return json_string(f->from);
	case F_FALSE:
		return json_false();
	case F_EMPTY:
		return json_array();
	case F_OWNER:
		return json_string(EC2_OWNER);
	case F_ZONE:
		return json_string(ebs_zone(x->ebs));
	case F_REGION:
		return region(x);
	case F_MADE:
		return f->make(x, row);
	}
	return NULL;
}

json_t *ec2_shape(const struct ec2_call *x, const struct ec2_field *shape, const json_t *row)
{
	json_t *made = json_object();

	for (const struct ec2_field *f = shape; f->name; f++) {
		json_t *v = field(x, f, row);

		if (v)
			json_object_set_new(made, f->name, v);
	}
	return made;
}

json_t *ec2_make_device(const struct ec2_call *x, const json_t *row)
{
	const char *device = ec2_text(row, "device");

	(void)x;
	if (!device)
		return json_string("");
	return *device == '/' ? json_string(device) : json_sprintf("/dev/%s", device);
}

json_t *ec2_make_progress(const struct ec2_call *x, const json_t *row)
{
	(void)x;
	return json_sprintf("%d%%", (int)ec2_number(row, "progress_pct"));
}
