/* Applications in bailiff's own form: YAML, for tasks in any language. Blocking; main thread.
 *
 *   application: {version: "1", workers: 4}                      # both optional
 *   data_nodes:
 *     readings: {storage_type: csv, scope: GLOBAL, default_path: readings.csv}
 *     clean: {storage_type: json, validity_period: 24h, default_data: {rows: []}}
 *     report: {storage_type: csv, path: /srv/report.csv, properties: {has_header: true}}
 *   tasks:
 *     tidy: {command: [./tidy.sh, --fast], inputs: [readings], outputs: [clean], timeout: 5m, environment: {LANG: C}}
 *     print: {function: module.name, inputs: [clean], outputs: [report], skippable: true}
 *   scenarios:
 *     daily: {tasks: [tidy, print], frequency: DAILY, additional_data_nodes: [], sequences: {all: [tidy, print]}}
 *
 * Paths are relative to the file. default_data is a data node's first value (json only: other kinds need their own writer),
 * default_path a file to copy it from, which lies in the application's folder and is readable by everybody. What is read here becomes the same JSON that the runner makes of a Taipy application, and one validator judges both. */
#ifndef APP_MANIFEST_YAML_H
#define APP_MANIFEST_YAML_H

#include "app/problems.h"
#include "bailiff/model.h"

bool manifest_yaml_named(const char *path); /* .yaml or .yml */

/* Reads an application. `problems` is made here, the caller's to end. First values are stored as storage_folder/defaults/…, under
 * names that follow from their content; NULL: nothing is written. same_user: users' code runs as the server's own user, so that files
 * which only this one can read are no secret from it. */
must_check bool manifest_yaml_read(const char *path, const char *storage_folder, bool same_user,
                                   struct problems *problems, struct manifest **ret_manifest);

#endif
