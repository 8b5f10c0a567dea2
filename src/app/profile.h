/* Where a client's commands find the server and their token: named profiles in a file of the user's.
 *
 *     default: reader
 *     profiles:
 *       reader: {url: "https://bailiff.example.com", ca_file: ca.pem, token_file: reader.jwt}
 *
 * Relative paths are seen from the file's folder. The file and the tokens are their owner's alone, or they are refused. */
#ifndef APP_PROFILE_H
#define APP_PROFILE_H

#include "app/problems.h"

struct profile {
    const char *name, *url, *ca_file, *token_file; /* NULL: not given */
    const char *certificate, *key;                 /* for listeners that ask for a client's; both or none */
};

/* $BAILIFF_CLIENT, else $XDG_CONFIG_HOME/bailiff/client.yaml, else ~/.config/bailiff/client.yaml. NULL: there is no home either. */
const char *profile_path(struct arena *arena);

/* Reads the file, and finds the profile of this name (NULL: the default). False: the problems say why. All of the file is checked, so that
 * a mistake is seen before the profile that has it is used. */
must_check bool profile_load(const char *file, const char *name, struct arena *arena, struct profile *ret_profile,
                             struct problems *problems);

#endif
