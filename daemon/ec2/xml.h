/* SPDX-License-Identifier: GPL-2.0-only */
/* xml.h - a tree of JSON as XML: objects are elements, arrays elements of <item>s. */
#ifndef HB_EC2_XML_H
#define HB_EC2_XML_H

#include <jansson.h>
#include <stdio.h>

/* As text of an element or an attribute. What XML 1.0 cannot hold (control characters) becomes U+FFFD. s: UTF-8. */
void xml_text(FILE *f, const char *s);
/* <name>…</name>, or <name/> where nothing is in it. Names of members are taken as they are: they are ours. A null is
 * nothing at all. */
void xml_element(FILE *f, const char *name, const json_t *value);
/* The elements of an object's members, without one around them. */
void xml_members(FILE *f, const json_t *object);

#endif
