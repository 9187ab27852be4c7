/* SPDX-License-Identifier: GPL-2.0-only */
/* front.h - which protocol a request speaks: EC2's at "/", the EBS direct APIs at "/snapshots",
 * the JSON API elsewhere. */
#ifndef HB_HYBRIDD_FRONT_H
#define HB_HYBRIDD_FRONT_H

#include "http/http.h"

/* For http_handler.handle; ctx: the struct ebs. Answers the request. */
void front_handle(void *ebs, struct http_request *r);

#endif
