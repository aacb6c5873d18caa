/* session: `dunlin session`, sandboxes of a server that stay. */
#pragma once

/* The exit status: of exec, run and shell that of what was run (128 + S when signal S ended it, 124
 * at its deadline), otherwise 0 done, 1 failed, 2 wrong words, 130 interrupted. */
int session_main(int argc, char **argv);
