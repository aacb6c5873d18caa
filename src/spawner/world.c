/* world: puts layers, a skeleton of ours and the usual fixtures on top of each other.
 *
 * Runs in the spawner's worker, as root, before anybody lives in the nest.  The layers are hostile:
 * every mount point lies in the skeleton, which is the uppermost, and is opened without following
 * links (R32); nothing in a layer is read here.
 *
 * Below the stage directory: l<layer> the tree of a finished layer, shared by nests; t<n> the file
 * system of nest n's target; k<n> its skeleton, i<n>_<i> and u<n> what its overlay is made of, all
 * gone once it is mounted; n<n> the tree itself. */
#include "spawner/world.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "enter/stage.h"
#include "spawner/idmap.h"
#include "spawner/layer.h"
#include "spawner/loop.h"
#include "spawner/spawner.h"

#define OVERLAY_OPTIONS 512
#define TEXT_MAX        4096 /* bytes of a file in /etc */
/* What a run sees was written with redirects; nothing else of overlay's is needed to read it. */
#define RUN_OPTIONS "redirect_dir=follow"
/* volatile: a target counts only once it is sealed, so no sync of a script need wait for the disk.
 */
#define BUILD_OPTIONS "redirect_dir=on,metacopy=off,index=off,volatile"

static void layer_dir(uint64_t layer, char out[static WORLD_NAME])
{
    snprintf(out, WORLD_NAME, "l%" PRIu64, layer);
}

static void nest_dir(char letter, uint32_t n, char out[static WORLD_NAME])
{
    snprintf(out, WORLD_NAME, "%c%u", letter, n);
}

static void lower_dir(uint32_t n, uint32_t i, char out[static WORLD_NAME])
{
    snprintf(out, WORLD_NAME, "i%u_%u", n, i);
}

void world_target_dir(uint32_t n, char out[static WORLD_NAME])
{
    nest_dir('t', n, out);
}

static int make_dir(const char *dir, struct err *e)
{
    return mkdir(dir, 0755) < 0 ? err_set(e, ERR_INTERNAL, errno, "mkdir %s", dir) : 0;
}

/* Its directory is there exactly while a layer is mounted. */
static int mount_layers(const struct spawner *s, const struct spawn_nest *make, struct err *e)
{
    char dir[WORLD_NAME];

    for (uint32_t i = 0; i < make->nlayers; i++) {
        layer_dir(make->layers[i], dir);
        if (access(dir, F_OK) == 0)
            continue;
        if (make_dir(dir, e) < 0)
            return -1;
        if (layer_mount(&s->config, make->layers[i], dir, e) < 0) {
            loop_unmount(dir);
            return -1;
        }
    }
    return 0;
}

/* A copy of the mount on `from` with the nest's ids, on the new directory `to`. */
static int mount_mapped(int userns, const char *from, const char *to, struct err *e)
{
    _cleanup_fd_ int tree = idmap_clone(userns, from, e);

    if (tree < 0 || make_dir(to, e) < 0)
        return -1;
    if (move_mount(tree, "", AT_FDCWD, to, MOVE_MOUNT_F_EMPTY_PATH) < 0)
        return err_set(e, ERR_INTERNAL, errno, "mount %s", to);
    return 0;
}

/* Where a script can be root, the layers are seen with its nest's ids. */
static int map_layers(const struct spawn_nest *make, uint32_t n, int userns, struct err *e)
{
    char from[WORLD_NAME], to[WORLD_NAME];

    for (uint32_t i = 0; i < make->nlayers; i++) {
        layer_dir(make->layers[i], from);
        lower_dir(n, i, to);
        if (mount_mapped(userns, from, to, e) < 0)
            return -1;
    }
    if (make->kind != SPAWN_NEST_BUILD)
        return 0;
    world_target_dir(n, from);
    nest_dir('u', n, to);
    return mount_mapped(userns, from, to, e);
}

static void copy_file(const char *path, char out[static TEXT_MAX])
{
    _cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, out, TEXT_MAX - 1);

    out[n < 0 ? 0 : n] = '\0';
}

/* Who is in the host's network finds its way as the host does. */
static void fill_texts(const struct spawner *s, const struct spawn_nest *make,
                       char resolv[static TEXT_MAX], char hosts[static TEXT_MAX])
{
    stage_resolver_text(&s->config, resolv, TEXT_MAX);
    snprintf(hosts, TEXT_MAX, "%s", STAGE_HOSTS);
    if (make->network != SPAWN_NETWORK_HOST)
        return;
    copy_file("/etc/resolv.conf", resolv);
    copy_file("/etc/hosts", hosts);
}

static int make_skeleton(const struct spawner *s, uint32_t n, struct err *e)
{
    const struct spawn_nest *make = &s->nests[n].make;
    char dir[WORLD_NAME], resolv[TEXT_MAX], hosts[TEXT_MAX];
    uint32_t owner = make->kind == SPAWN_NEST_RUN ? 0 : SPAWN_UID_NEST + n * SPAWN_UID_COUNT;
    struct stage_skeleton skeleton = {.dir = dir,
                                      .kind = make->kind,
                                      .owner = owner,
                                      .work_dir = s->config.work_dir,
                                      .resolv = resolv,
                                      .hosts = hosts};

    nest_dir('k', n, dir);
    fill_texts(s, make, resolv, hosts);
    return make_dir(dir, e) < 0 ? -1 : stage_make_skeleton(&skeleton, e);
}

static int mount_overlay(const struct spawn_nest *make, uint32_t n, struct err *e)
{
    unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOATIME;
    char options[OVERLAY_OPTIONS], dir[WORLD_NAME];
    size_t len;

    nest_dir('k', n, dir);
    len = (size_t)snprintf(options, sizeof options, "lowerdir=%s", dir);
    for (uint32_t i = 0; i < make->nlayers; i++) {
        if (make->kind == SPAWN_NEST_RUN)
            layer_dir(make->layers[i], dir);
        else
            lower_dir(n, i, dir);
        len += (size_t)snprintf(options + len, sizeof options - len, ":%s", dir);
    }
    if (make->kind == SPAWN_NEST_BUILD)
        snprintf(options + len, sizeof options - len, ",upperdir=u%u/root,workdir=u%u/work,%s", n,
                 n, BUILD_OPTIONS);
    else
        snprintf(options + len, sizeof options - len, ",%s", RUN_OPTIONS);
    if (make->kind != SPAWN_NEST_BUILD)
        flags |= MS_RDONLY;
    nest_dir('n', n, dir);
    if (mount("dunlin", dir, "overlay", flags, options) < 0)
        return err_set(e, ERR_INTERNAL, errno, "overlay of %u layers", make->nlayers);
    return 0;
}

/* The skeleton and the overlay.  For a build both belong to the nest's root: overlay works in its
 * mounter's name, and only somebody with ids in the mapped mounts can write there. */
static int assemble(const struct spawner *s, uint32_t n, struct err *e)
{
    const struct spawn_nest *make = &s->nests[n].make;
    int r;

    if (make->kind != SPAWN_NEST_RUN && idmap_act_as_nest(n, e) < 0)
        return -1;
    r = make_skeleton(s, n, e);
    if (r == 0)
        r = mount_overlay(make, n, e);
    idmap_act_as_host();
    return r;
}

static int attach_tool_data(const struct spawner *s, uint32_t n, int userns, int root,
                            struct err *e)
{
    const struct spawn_nest *make = &s->nests[n].make;
    _cleanup_fd_ int image = -1;
    _cleanup_fd_ int input = -1;
    char target[WORLD_NAME];

    world_target_dir(n, target);
    image = idmap_clone(userns, target, e);
    if (image < 0 || stage_attach(image, root, "image", e) < 0)
        return -1;
    if (make->input == 0)
        return 0;
    input = layer_open_input(&s->config, make->input, e);
    return input < 0 ? -1 : stage_bind(input, root, "input", e);
}

/* What every nest has besides its files. */
static int add_fixtures(const struct spawner *s, uint32_t n, int userns, struct err *e)
{
    _cleanup_fd_ int root = -1;
    _cleanup_fd_ int runtime = open(s->config.runtime, O_PATH | O_DIRECTORY | O_CLOEXEC);
    char dir[WORLD_NAME];

    nest_dir('n', n, dir);
    root = open(dir, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (root < 0 || runtime < 0)
        return err_set(e, ERR_INTERNAL, errno, "open %s", root < 0 ? dir : s->config.runtime);
    if (stage_make_dev(root, e) < 0 || stage_bind(runtime, root, &STAGE_RUNTIME[1], e) < 0)
        return -1;
    return s->nests[n].make.kind == SPAWN_NEST_TOOL ? attach_tool_data(s, n, userns, root, e) : 0;
}

/* The overlay has its own hold on what it is made of. */
static void remove_parts(uint32_t n)
{
    char dir[WORLD_NAME];

    for (uint32_t i = 0; i < SPAWN_LAYERS; i++) {
        lower_dir(n, i, dir);
        loop_unmount(dir);
    }
    nest_dir('u', n, dir);
    loop_unmount(dir);
    nest_dir('k', n, dir);
    loop_unmount(dir);
}

int world_make(const struct spawner *s, uint32_t n, bool *ret_target, struct err *e)
{
    const struct spawn_nest *make = &s->nests[n].make;
    _cleanup_fd_ int userns = -1;
    char dir[WORLD_NAME], target[WORLD_NAME];

    *ret_target = false;
    nest_dir('n', n, dir);
    world_target_dir(n, target);
    if (mount_layers(s, make, e) < 0 || make_dir(dir, e) < 0)
        return -1;
    if (make->target != 0) {
        if (make_dir(target, e) < 0 ||
            layer_create(&s->config, make->target, make->target_mb, target, e) < 0)
            return -1;
        *ret_target = true;
    }
    if (make->kind != SPAWN_NEST_RUN &&
        ((userns = idmap_open(n, e)) < 0 || map_layers(make, n, userns, e) < 0))
        return -1;
    if (assemble(s, n, e) < 0 || add_fixtures(s, n, userns, e) < 0)
        return -1;
    remove_parts(n);
    return 0;
}

bool world_uses_layer(const struct spawner *s, uint64_t layer, uint32_t except)
{
    for (uint32_t n = 1; n < LIMIT_NESTS; n++) {
        const struct spawn_nest *make = &s->nests[n].make;

        if (n == except || s->nests[n].state == NEST_FREE)
            continue;
        for (uint32_t i = 0; i < make->nlayers; i++) {
            if (make->layers[i] == layer)
                return true;
        }
        if (make->target == layer)
            return true;
    }
    return false;
}

void world_remove(const struct spawner *s, uint32_t n)
{
    const struct spawn_nest *make = &s->nests[n].make;
    char dir[WORLD_NAME];

    nest_dir('n', n, dir);
    loop_unmount(dir);
    remove_parts(n);
    for (uint32_t i = 0; i < make->nlayers; i++) {
        layer_dir(make->layers[i], dir);
        if (!world_uses_layer(s, make->layers[i], n))
            loop_unmount(dir);
    }
}
