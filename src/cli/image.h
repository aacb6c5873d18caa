/* image: `dunlin image`, the root file systems that environments are built on. */
#pragma once

/* Exit status as env_main. */
int image_main(int argc, char **argv);
