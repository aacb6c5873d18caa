/* client_command: runs one of a table of commands that ask a server.  In dunlin-client, as whoever
 * calls it. */
#include "cli/client_command.h"

#include <stdio.h>

#include "cli/client.h"
#include "cli/client_options.h"
#include "cli/words.h"

int client_command_main(const struct client_program *p, int argc, char **argv)
{
    struct client_options o;
    struct err e = {0};
    struct client *c;
    int status;

    if (client_options_parse(&o, p->commands, argc, argv, &e) < 0) {
        fprintf(stderr, "dunlin %s: %s (dunlin %s --help)\n", p->name, e.text, p->name);
        return 2;
    }
    if (o.help || o.command == NULL) {
        fputs(WORDS(p->help_english, p->help_chinese), stdout);
        return 0;
    }
    c = client_create(o.url, o.key, &e);
    if (c == NULL) {
        fprintf(stderr, "dunlin %s: %s\n", p->name, e.text);
        return 2;
    }
    status = o.command->run(c, &o);
    client_destroy(c);
    return fflush(stdout) == 0 || status != 0 ? status : 1;
}
