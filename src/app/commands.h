/* The program's face: subcommands by a table, their options, their help. */
#ifndef APP_COMMANDS_H
#define APP_COMMANDS_H

#include <stdio.h>

/* Runs the subcommand that the arguments name; returns the exit status. */
int commands_run(int argc, char **argv);
/* The same, printing elsewhere: for tests. */
int commands_run_to(int argc, char **argv, FILE *out, FILE *err);

#endif
