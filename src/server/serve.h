/* serve: `dunlin serve`. */
#pragma once

/* argv[0] is the command's name.  Returns the exit status: 0 after a wanted stop, 1 when it could
 * not start or a part died, 2 for wrong words on the command line. */
int serve_main(int argc, char **argv);
