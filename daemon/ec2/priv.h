/* SPDX-License-Identifier: GPL-2.0-only */
/* priv.h - what the files of the room share: a call, and the tables that an action is made of. */
#ifndef HB_EC2_PRIV_H
#define HB_EC2_PRIV_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "ec2/ec2.h"

#define GIB (1024ull * 1024 * 1024)
#define MIB (1024ull * 1024)

struct ec2_action;

/* One request under way. */
struct ec2_call {
	struct ebs *ebs;
	const struct ec2_request *request;
	const struct ec2_action *action;
	json_t *args; /* what the parameters say, by the names of their table; "dry_run" and "token" among them */
	json_t *filters; /* [{"name": …, "values": […]}], or NULL */
	json_t *answer; /* a tree of elements, by their names; NULL while there is none */
	const char *code; /* NULL: it has not failed */
	struct err err;
};

/* ---------------------------------------------------------------- errors.c */

/* EC2's codes that no verb has. */
#define EC2_DEPENDENCY "InvalidParameterDependency"
#define EC2_FILTER_LIMIT "FilterLimitExceeded"
#define EC2_MALFORMED_QUERY "MalformedQueryString"
#define EC2_MALFORMED_INSTANCE "InvalidInstanceID.Malformed"
#define EC2_MISSING_ACTION "MissingAction"
#define EC2_NO_VERSION "NoSuchVersion"
#define EC2_NO_MODIFICATION "InvalidVolumeModification.NotFound"
#define EC2_UNSUPPORTED "UnsupportedOperation"

/* The first failure counts. Returns false, so that `return ec2_fail(…)` reads well. code: static. */
bool ec2_fail(struct ec2_call *x, const char *code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
unsigned ec2_status(const char *code); /* of HTTP */
/* Fails as the verb did, in EC2's words. */
void ec2_fail_verb(struct ec2_call *x, const struct ebs_call *c);

/* ---------------------------------------------------------------- call.c */

/* Runs a verb in the caller's name. args: reference is taken. Its result, a new reference; NULL: x has failed (also
 * with DryRunOperation, if args say "dry_run" and all was well). */
json_t *ec2_verb(struct ec2_call *x, const char *verb, json_t *args);
/* The row of a "volume", "snapshot" or "vm", as its describing verb shows it; new reference. NULL: x has failed. What
 * is in the recycle bin is not there. */
json_t *ec2_row(struct ec2_call *x, const char *kind, const char *id);
/* The region that this box's zone is in: "eu-west-1a" is in "eu-west-1", "box" in "box". */
void ec2_region(const struct ec2_call *x, char to[65]);
bool ec2_in_bin(const json_t *row);

static inline const char *ec2_text(const json_t *o, const char *member)
{
	return json_string_value(json_object_get(o, member));
}

static inline uint64_t ec2_number(const json_t *o, const char *member)
{
	return (uint64_t)json_integer_value(json_object_get(o, member));
}

/* An argument of the call; NULL, 0, false: not given. */
static inline const char *ec2_arg(const struct ec2_call *x, const char *name)
{
	return ec2_text(x->args, name);
}

static inline json_t *ec2_given(const struct ec2_call *x, const char *name)
{
	return json_object_get(x->args, name);
}

/* ---------------------------------------------------------------- params.c: parameters to arguments */

enum ec2_type {
	P_TEXT, /* a text */
	P_WORD, /* one of words, "a|b" */
	P_VOLUME, P_SNAPSHOT, P_INSTANCE, /* an id of that form */
	P_NUMBER, /* min to max */
	P_GIB, P_MIB, /* a number of these, as bytes */
	P_BOOL,
	P_LIST = 32, /* NAME.N, each of the type before it: an array */
	P_TAG_SPECS = 64, /* TagSpecification.N of the resource type in words: an object of tags */
	P_TAGS, /* Tag.N.Key, .Value: an object of tags */
	P_TAG_KEYS, /* the same; those without a value are null */
	P_FILTERS, /* Filter.N: into the call's filters */
	P_ANYTHING, /* known, and of no consequence here */
	P_NOT_HERE, /* known, and refused: words says why. With a bool "false" it is let pass */
};

struct ec2_param {
	const char *name; /* "InstanceSpecification.InstanceId" */
	unsigned type; /* enum ec2_type */
	const char *arg; /* the argument's name; of P_ANYTHING and P_NOT_HERE: none */
	bool required;
	uint64_t min, max; /* 0: the type's own */
	const char *words;
};

#define PARAMS_END \
	{ \
		NULL, 0, NULL, false, 0, 0, NULL \
	}

/* Makes x->args and x->filters of the request's tree. false: x has failed. */
bool ec2_params(struct ec2_call *x, json_t *tree);

/* ---------------------------------------------------------------- shape.c: rows to elements */

enum ec2_field_type {
	F_SAME, /* text, number or bool, as it is; nothing if it is not there */
	F_TEXT, /* a text; empty if it is not there */
	F_GIB, /* bytes, rounded up */
	F_BOOL, /* false if it is not there */
	F_TAGS, /* {"KEY": "VALUE"}: a set of tags, empty if it is not there */
	F_SET, /* an array: a set of items of the shape `of` */
	F_INSIDE, /* an element with the shape `of`, over the same row */
	F_CONST, /* `from` itself */
	F_FALSE, F_EMPTY, /* the same always; an empty set */
	F_OWNER, F_ZONE, F_REGION, /* this box's */
	F_MADE, /* what `make` says (new reference; NULL: nothing) */
};

struct ec2_field {
	const char *name; /* the element */
	enum ec2_field_type type;
	const char *from; /* the row's member */
	const struct ec2_field *of;
	json_t *(*make)(const struct ec2_call *x, const json_t *row);
};

#define FIELDS_END \
	{ \
		NULL, F_SAME, NULL, NULL, NULL \
	}

/* The elements of a row; new reference. */
json_t *ec2_shape(const struct ec2_call *x, const struct ec2_field *shape, const json_t *row);
/* "xvdf" -> "/dev/xvdf", from the row's "device"; a row's "progress_pct" -> "100%". */
json_t *ec2_make_device(const struct ec2_call *x, const json_t *row);
json_t *ec2_make_progress(const struct ec2_call *x, const json_t *row);

/* ---------------------------------------------------------------- filters.c */

struct ec2_filter {
	const char *name; /* "network-interface.*": all of them */
	const char *path; /* in an item's elements: "attachmentSet.device"; NULL: nothing here has it */
	const char *column; /* what the verb calls it, if it is the same text there; NULL: it is looked for here */
};

#define FILTERS_END \
	{ \
		NULL, NULL, NULL \
	}

/* Every filter of the call is in the table, or is a tag's, if there are tags. false: x has failed. */
bool ec2_filters_check(struct ec2_call *x, const struct ec2_filter *table, const char *tags_path);
/* Does the item fulfil all? tags_path: where its tags are; NULL: it has none. */
bool ec2_filters_match(const struct ec2_call *x, const struct ec2_filter *table, const char *tags_path,
		       const json_t *item);
/* Those that the verb can see to itself: its argument "filters"; new reference. tags: those of tags as well. */
json_t *ec2_filters_column(const struct ec2_call *x, const struct ec2_filter *table, bool tags);
/* '*' any characters, '?' one, '\' takes the meaning of the next away. */
bool ec2_glob(const char *pattern, const char *text);

/* ---------------------------------------------------------------- list.c: describing */

enum ec2_keep { KEEP_NOT, KEEP, KEEP_MISSING /* named by its id, it does not exist */ };

struct ec2_list {
	const char *verb; /* "volume-describe" */
	const char *rows; /* in its answer: "volumes" */
	const char *ids; /* its argument; NULL: it takes none. Also the call's argument */
	const char *element; /* "volumeSet" */
	const struct ec2_field *shape; /* of an item, or: */
	json_t *(*item)(const struct ec2_call *x, const json_t *row); /* new reference */
	const struct ec2_filter *filters;
	const char *tags; /* path of tags in an item; NULL: none */
	bool tags_made; /* not all of them are the catalogue's */
	const char *only[2]; /* a column and its value: these rows only; or NULL */
	/* NULL: all. */
	enum ec2_keep (*keep)(const struct ec2_call *x, const json_t *row);
	enum ebs_code missing; /* for what is named and not kept */
};

void ec2_list(struct ec2_call *x);
/* Rows that the request did not ask the catalogue for: filters, and into the answer. rows: reference is taken. */
void ec2_list_rows(struct ec2_call *x, json_t *rows);

/* ---------------------------------------------------------------- actions */

struct ec2_action {
	const char *name;
	const struct ec2_param *params;
	/* One of: a list; a verb whose result is answered; a function that answers or fails. */
	const struct ec2_list *list;
	const char *verb;
	void (*run)(struct ec2_call *x);
	const struct ec2_field *shape; /* of the verb's result; NULL: <return>true</return> */
	const char *busy; /* the code when something else has the resource; NULL: IncorrectState */
};

/* Ends with a NULL name. */
extern const struct ec2_action ec2_volume_actions[], ec2_snapshot_actions[], ec2_instance_actions[], ec2_kept_actions[],
	ec2_other_actions[];
const struct ec2_action *ec2_find_action(const char *name);

/* "true": what a void action answers. */
void ec2_answer_true(struct ec2_call *x);
/* Sets the answer to the row in that shape. */
void ec2_answer_row(struct ec2_call *x, const struct ec2_field *shape, const json_t *row);

#define PARAM_PAGES {"MaxResults", P_NUMBER, "limit", false, 1, 0, NULL}, \
	{"NextToken", P_TEXT, "cursor", false, 1, 0, NULL}
#define PARAM_FILTERS {"Filter", P_FILTERS, NULL, false, 0, 0, NULL}

extern const struct ec2_field ec2_volume_shape[], ec2_snapshot_shape[];
enum ec2_keep ec2_keep_living(const struct ec2_call *x, const json_t *row); /* not what is in the bin */

#endif
