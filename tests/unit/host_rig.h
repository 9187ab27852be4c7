/* SPDX-License-Identifier: GPL-2.0-only */
/* host_rig.h - what the tests of real pools share: a directory with two files, a configuration, expected sentences. */
#ifndef HB_TESTS_UNIT_HOST_RIG_H
#define HB_TESTS_UNIT_HOST_RIG_H

#include <CUnit/CUnit.h>

#include "base/units.h"
#include "host/host.h"
#include "scratch.h"

#define SSD_BYTES MIB(64)
#define HDD_BYTES MIB(128)
#define NAMES(name) "{ \"pools\": [ { \"name\": \"" name "\", \"staging\": \"stage\", \"tiers\": [\n" \
		    "{ \"type\": \"ram\", \"size\": \"8MiB\" },\n"
#define FILES(name, ssd, hdd) NAMES(name) "{ \"type\": \"ssd\", \"path\": \"" ssd "\" },\n" \
					  "{ \"type\": \"capacity\", \"path\": \"" hdd "\" } ] } ] }"
#define TWO_FILES FILES("main", "ssd", "hdd")
#define NEW_FILES NAMES("main") "{ \"type\": \"ssd\", \"path\": \"ssd\", \"size\": \"64MiB\" },\n" \
				"{ \"type\": \"capacity\", \"path\": \"hdd\", \"size\": \"128MiB\" } ] } ] }"

/* A path in the test's directory; good until the next but three call. */
char *in_dir(const char *name);
/* A sparse file in it. */
void file_of(const char *name, uint64_t bytes);
/* A test begins in a new directory, which has a subdirectory "stage"; and ends. */
void begin(void);
void end(void);
/* A configuration that must be good; its file would be "c" in the directory. */
struct conf *conf_of(const char *text);
/* Each must return `code` and say `want`, in which "@" stands for the directory ("" on success). */
void create_says(const char *text, bool force, int code, const char *want);
void open_says(const char *text, unsigned flags, int code, const char *want);
/* Must succeed. */
struct host_pool *open_pool(const char *text, unsigned flags);
void close_pool(struct host_pool *h);
/* begin(), and a pool on two sparse files: TWO_FILES. */
void two_files(void);
/* How many staging files there are, and the path of one. */
int staging_files(char ret_path[128]);
/* Writes 8 times 256 KiB all over a volume of 16 MiB, made if it is not there; reads them back. */
void write_pattern(struct host_pool *h, const char *volume, unsigned int with);
void read_pattern(struct host_pool *h, const char *volume, unsigned int with);

#endif
