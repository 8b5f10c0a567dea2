/* First values of data nodes of a YAML application: found while it is read, stored once it is good. Private to manifest_yaml.c. */
#ifndef APP_MANIFEST_DEFAULTS_H
#define APP_MANIFEST_DEFAULTS_H

#include "app/yaml_form.h"
#include "bailiff/model.h"

/* The name, below storage, under which a data node's first value will be; NULL: it has none, or it is wrong. Notes it in the form. */
const char *form_read_default(const struct item *item, enum storage_type storage);
/* Puts all that were noted below the folder. */
must_check bool form_store_defaults(struct form *form, const char *storage_folder);

#endif
