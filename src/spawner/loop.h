/* loop: image files mounted through loop devices. */
#pragma once

#include "base/err.h"

/* What an image is mounted for. */
enum loop_use {
    LOOP_LAYER,     /* read-only */
    LOOP_TARGET,    /* a layer in the making: worthless after a crash */
    LOOP_WORKSPACE, /* must outlive any crash, and is mounted at most once */
};

/* Mounts the ext4 image `file` on `dir`, without set-uid programs and devices.  The loop device
 * goes away by itself with the last mount of it, also when everybody dies.  ENOENT: no such image;
 * EAGAIN: a workspace that is still mounted somewhere. */
int loop_mount(const char *file, const char *dir, enum loop_use use, struct err *e);

/* Takes everything down that is mounted on `dir`, and the directory. */
void loop_unmount(const char *dir);
