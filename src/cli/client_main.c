/* dunlin-client: the commands of Dunlin that ask a server: env, image, session, run --url.
 *
 * Runs as whoever calls it.  It is a program of its own, executed by `dunlin`, because libcurl
 * brings thirty libraries with it that have no business in the process of the server. */
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/env.h"
#include "cli/image.h"
#include "cli/run_remote.h"
#include "cli/session.h"

/* argv[0] is the name of the command. */
int main(int argc, char **argv)
{
    /* For the width of characters. */
    setlocale(LC_CTYPE, "C.UTF-8");
    signal(SIGPIPE, SIG_IGN);
    if (argc > 0 && strcmp(argv[0], "env") == 0)
        return env_main(argc, argv);
    if (argc > 0 && strcmp(argv[0], "image") == 0)
        return image_main(argc, argv);
    if (argc > 0 && strcmp(argv[0], "session") == 0)
        return session_main(argc, argv);
    if (argc > 0 && strcmp(argv[0], "run") == 0)
        return run_remote_main(argc, argv);
    fputs("dunlin-client: is executed by `dunlin env`, image, session and run --url\n", stderr);
    return 2;
}
