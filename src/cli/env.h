/* env: `dunlin env`, the environments of a server. */
#pragma once

/* Exit status: 0; 1 for any failure; 2 for wrong words on the command line; 130 when a person
 * would not wait. */
int env_main(int argc, char **argv);
