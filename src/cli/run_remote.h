/* run_remote: `dunlin run --url`, one run on a server. */
#pragma once

/* The exit status, as cli_run's. */
int run_remote_main(int argc, char **argv);
