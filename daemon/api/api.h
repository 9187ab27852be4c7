/* SPDX-License-Identifier: GPL-2.0-only */
/* api.h - the JSON API: POST /v1/VERB with a JSON object of arguments.
 *
 * Answers: 200 {"ok": true, "result": {...}}; else the code's HTTP status and {"ok": false, "error": {"code": "...",
 * "text": "..."}}. GET /v1/openapi.json describes all of it, GET /healthz says "ok".
 *
 * Who asks: auth.h. A request by a key is signed as AWS has it (Signature Version 4), for the service "hybrid".
 */
#ifndef HB_API_H
#define HB_API_H

#include <jansson.h>

#include "base/err.h"
#include "http/http.h"
#include "verbs/ebs.h"

/* For http_handler.handle; ctx: the struct ebs. Answers the request. */
void api_handle(void *ebs, struct http_request *r);
/* OpenAPI 3.0, made from the table of verbs; new reference. */
json_t *api_openapi(void);

#endif
