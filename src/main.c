/* The program: a table of subcommands, defined in src/app. */
#include "app/commands.h"

int main(int argc, char **argv)
{
    return commands_run(argc, argv);
}
