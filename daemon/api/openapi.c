/* SPDX-License-Identifier: GPL-2.0-only */
/* openapi.c - the description of the JSON API (OpenAPI 3.0.3), made from the table of verbs, so that it cannot say
 * anything else than the code does. */
#include <string.h>

#include "api/api.h"

static json_t *words_schema(const char *words)
{
	json_t *list = json_array();

	while (*words) {
		size_t n = strcspn(words, "|");

		json_array_append_new(list, json_stringn(words, n));
		words += words[n] ? n + 1 : n;
	}
	return json_pack("{s:s, s:o}", "type", "string", "enum", list);
}

static json_t *schema_of(const struct ebs_arg *a)
{
	switch (a->type) {
	case EBS_NUMBER:
		return json_pack("{s:s, s:I, s:I*}", "type", "integer", "minimum", (json_int_t)a->min, "maximum",
				 (json_int_t)(a->max ? a->max : INT64_MAX));
	case EBS_BOOL:
		return json_pack("{s:s}", "type", "boolean");
	case EBS_WORD:
		return words_schema(a->words);
	case EBS_TAGS:
		return json_pack("{s:s, s:{s:s}, s:i}", "type", "object", "additionalProperties", "type", "string",
				 "maxProperties", EBS_TAGS_MAX);
	case EBS_TEXTS:
		return json_pack("{s:s, s:{s:s}}", "type", "array", "items", "type", "string");
	case EBS_FILTERS:
		return json_pack("{s:s, s:{s:s, s:{s:s}}}", "type", "object", "additionalProperties", "type", "array",
				 "items", "type", "string");
	case EBS_ID:
		return json_pack("{s:s, s:s}", "type", "string", "x-hybrid-kind", a->words);
	case EBS_TEXT:
		break;
	}
	return json_pack("{s:s, s:I, s:I}", "type", "string", "minLength", (json_int_t)a->min, "maxLength",
			 (json_int_t)(a->max ? a->max : 255));
}

static json_t *body_of(const struct ebs_verb *v)
{
	json_t *properties = json_object(), *required = json_array(), *schema;

	for (const struct ebs_arg *a = v->args; a->name; a++) {
		json_t *one = schema_of(a);

		json_object_set_new(one, "description", json_string(a->help));
		json_object_set_new(properties, a->name, one);
		if (a->required)
			json_array_append_new(required, json_string(a->name));
	}
	if (v->flags & EBS_CHANGES) {
		json_object_set_new(properties, "token",
				    json_pack("{s:s, s:i}", "type", "string", "maxLength", EBS_TOKEN_MAX));
		json_object_set_new(properties, "dry_run", json_pack("{s:s}", "type", "boolean"));
		json_object_set_new(properties, "wait_ms", json_pack("{s:s, s:i}", "type", "integer", "minimum", 0));
	}
	schema = json_pack("{s:s, s:o, s:b}", "type", "object", "properties", properties, "additionalProperties", 0);
	if (json_array_size(required))
		json_object_set(schema, "required", required);
	json_decref(required);
	return json_pack("{s:b, s:{s:{s:o}}}", "required", json_object_get(schema, "required") != NULL, "content",
			 "application/json", "schema", schema);
}

static json_t *operation_of(const struct ebs_verb *v)
{
	return json_pack("{s:s, s:s, s:o, s:{s:{s:s}, s:{s:s}}}", "operationId", v->name, "summary", v->help,
			 "requestBody", body_of(v), "responses", "200", "$ref", "#/components/responses/ok", "default",
			 "$ref", "#/components/responses/error");
}

static json_t *error_codes(void)
{
	json_t *list = json_array();

	for (int i = 1; i < EBS_CODE_COUNT; i++)
		json_array_append_new(list, json_string(ebs_code_text((enum ebs_code)i)));
	return list;
}

static json_t *components(void)
{
	json_t *ok = json_pack("{s:s, s:{s:{s:s}, s:{s:s}}}", "type", "object", "properties", "ok", "type", "boolean",
			       "result", "type", "object");
	json_t *error = json_pack("{s:s, s:{s:{s:s}, s:{s:s, s:{s:{s:s, s:o}, s:{s:s}}}}}", "type", "object",
				  "properties", "ok", "type", "boolean", "error", "type", "object", "properties",
				  "code", "type", "string", "enum", error_codes(), "text", "type", "string");
	json_t *sign = json_pack("{s:s, s:s, s:s, s:s}", "type", "apiKey", "in", "header", "name", "Authorization",
				 "description", "AWS Signature Version 4 by an API key, for the service \"hybrid\"");

	return json_pack("{s:{s:o}, s:{s:{s:s, s:{s:{s:o}}}, s:{s:s, s:{s:{s:o}}}}}", "securitySchemes", "sigv4", sign,
			 "responses", "ok", "description", "done", "content", "application/json", "schema", ok,
			 "error", "description", "refused or failed", "content", "application/json", "schema", error);
}

json_t *api_openapi(void)
{
	json_t *paths = json_object();

	for (const struct ebs_verb *v = ebs_verbs(); v->name; v++) {
		json_t *key = json_sprintf("/v1/%s", v->name);

		json_object_set_new(paths, json_string_value(key), json_pack("{s:o}", "post", operation_of(v)));
		json_decref(key);
	}
	/* Signed, or, on the Unix socket as root, not. */
	return json_pack("{s:s, s:[{s:[]}, {}], s:{s:s, s:s, s:{s:s}}, s:o, s:o}", "openapi", "3.0.3",
			 "security", "sigv4", "info", "title", "Hybrid: volumes, snapshots, attachments", "version",
			 HB_VERSION, "license", "name", "GPL-2.0-only", "paths", paths, "components", components());
}
