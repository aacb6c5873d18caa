/* sources: src/init/file_path.c src/init/file_read.c src/init/file_search.c src/init/file_tar.c
 * src/init/file_tar_write.c src/init/file_tree.c src/init/file_walk.c src/init/file_write.c
 * src/wire/session_file.c src/base/fd.c src/base/err.c src/base/str.c src/base/buf.c */
/* share: 8 */
/* Fuzzes the calls on files of a session's init, root over what a client's programs own, in a real
 * file system: whatever is asked, and whatever links, pipes and names are made in between, nothing
 * outside of the workspace is read or changed, no set-user-ID appears, no call waits, and
 * everything can be removed.
 *
 * The input is a list of steps: a byte for the call, or for what a program does, and what it needs.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <unistd.h>

#include "init/file_internal.h"
/* Included, because a process makes one call only and keeps the state of it. */
#include "../src/init/file_tar_read.c"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

/* Code that a fuzzer learns nothing from. */
#ifdef __clang__
#define UNSEEN __attribute__((no_sanitize("coverage")))
#else
#define UNSEEN
#endif

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NAME_LEN = 40, SECRET_LEN = 16, FDS_SEEN = 64, OWNER = 1000, ARCHIVE_MAX = 64 << 10 };

struct input {
    const uint8_t *data;
    size_t len;
};

static char folder[] = "/tmp/dunlin-fuzz.XXXXXX";
static unsigned char secret[SECRET_LEN];
static int root = -1, outside = -1;
static bool was_open[FDS_SEEN];
static struct call call;
static struct input given; /* what the server sends with the call */
static char archive[ARCHIVE_MAX];

static uint8_t take_byte(struct input *in)
{
    if (in->len == 0)
        return 0;
    in->len--;
    return *in->data++;
}

/* A name: often one of a few, so that calls meet each other's. */
static void take_name(struct input *in, char out[static NAME_LEN])
{
    static const char *const usual[] = {"a",
                                        "b",
                                        "d",
                                        "d/e",
                                        "d/a",
                                        "l",
                                        "l/a",
                                        "d/l",
                                        "",
                                        "..",
                                        "../outside/secret",
                                        "/workspace/a",
                                        "l/secret"};
    uint8_t choice = take_byte(in);
    size_t n = choice % NAME_LEN;

    if (choice >= 0x80) {
        snprintf(out, NAME_LEN, "%s", usual[choice % (sizeof usual / sizeof usual[0])]);
        return;
    }
    n = n < in->len ? n : in->len;
    memcpy(out, in->data, n);
    out[n] = '\0';
    in->data += n;
    in->len -= n;
}

/* -- what file.c does in a process of its own -------------------------------------------------- */

/* Byte by byte, so that the secret does not become a word of a dictionary. */
UNSEEN static bool has_secret(const char *data, size_t len)
{
    for (size_t i = 0; i + SECRET_LEN <= len; i++) {
        size_t n = 0;

        while (n < SECRET_LEN && (unsigned char)data[i + n] == secret[n])
            n++;
        if (n == SECRET_LEN)
            return true;
    }
    return false;
}

void call_frame(struct call *c, enum file_frame type, const void *fixed, const char *text,
                size_t len)
{
    CHECK(file_fixed_size(type) > 0 && !has_secret(text, len));
    if (type == FILE_INFO)
        CHECK((((const struct file_info *)fixed)->mode & 06000) == 0);
}

void call_info(struct call *c, const struct stat *st, const char *name, const char *target)
{
    CHECK(!has_secret(name, strlen(name)) && (st->st_mode & 06000) == 0);
    if (S_ISREG(st->st_mode))
        CHECK(st->st_uid == OWNER && st->st_gid == OWNER);
}

void call_flush(struct call *c)
{
}

void call_send(struct call *c, const void *data, size_t len)
{
    CHECK(!has_secret(data, len));
}

void call_undo(struct call *c, bool remove)
{
    const struct place *at = c->unfinished;

    c->unfinished = NULL;
    if (at != NULL && remove)
        walk_remove(c, at->dir, at->name);
}

size_t call_receive(struct call *c, void *data, size_t cap, bool all)
{
    size_t n = given.len < cap ? given.len : cap;

    if (!all && n > 7)
        n = n / 2 + 1; /* in pieces */
    memcpy(data, given.data, n);
    given.data += n;
    given.len -= n;
    return n;
}

void call_check(struct call *c)
{
}

int call_explain(struct call *c, int error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(c->note, sizeof c->note, format, args);
    va_end(args);
    CHECK(!has_secret(c->note, strlen(c->note)));
    return -error;
}

int call_fail(struct call *c, int error, const char *name)
{
    return call_explain(c, error, "%.150s: %s", name, strerror(error));
}

uint32_t call_limit(const struct call *c)
{
    uint32_t limit = c->w->what.limit;

    return limit == 0 || limit > LIMIT_FILE_ENTRIES ? LIMIT_FILE_ENTRIES : limit;
}

bool call_has(const struct call *c, uint32_t flag)
{
    return (c->w->what.flags & flag) != 0;
}

/* -- calls ------------------------------------------------------------------------------------- */

static void note_descriptors(void)
{
    for (int fd = 0; fd < FDS_SEEN; fd++)
        was_open[fd] = fcntl(fd, F_GETFD) >= 0;
}

/* As the end of the process would. */
static void close_descriptors(void)
{
    for (int fd = 0; fd < FDS_SEEN; fd++) {
        if (!was_open[fd])
            close(fd);
    }
}

static int make_call(const struct file_world *w, int (*serve)(struct call *c))
{
    int r;

    call.w = w;
    call.done = call.left_out = 0;
    call.truncated = 0;
    call.unfinished = NULL;
    call.note[0] = '\0';
    call.nout = 0;
    memset(&unpack, 0, offsetof(struct unpack, records));
    r = serve(&call);
    CHECK(r <= 0);
    call_undo(&call, r < 0);
    close_descriptors();
    return r;
}

/* Members after members, each with a head that can be read. */
static size_t make_archive(struct input *in)
{
    static const char types[] = "01255xgLKS6";
    size_t len = 0;

    for (uint8_t n = take_byte(in) % 6; n > 0 && len + TAR_HEAD + 2 * TAR_BLOCK < ARCHIVE_MAX;
         n--) {
        static struct tar_member m;
        static char head[TAR_HEAD];
        size_t used;

        memset(&m, 0, sizeof m);
        m.type = types[take_byte(in) % (sizeof types - 1)];
        m.mode = take_byte(in) * 16u;
        m.size = take_byte(in);
        take_name(in, m.name);
        take_name(in, m.target);
        used = tar_format(&m, head);
        memcpy(archive + len, head, used);
        len += used;
        used = m.size < in->len ? (size_t)m.size : in->len;
        memset(archive + len, 0, TAR_BLOCK);
        memcpy(archive + len, in->data, used);
        in->data += used;
        in->len -= used;
        len += m.size > 0 ? TAR_BLOCK : 0;
    }
    memset(archive + len, 0, TAR_BLOCK);
    return len + TAR_BLOCK;
}

static void call_step(struct input *in, uint8_t op)
{
    static int (*const serve[])(struct call * c) = {
        file_stat,  file_list,   file_read,  file_write,  file_append, file_patch,
        file_mkdir, file_move,   file_copy,  file_remove, file_chmod,  file_search,
        file_pack,  file_unpack, file_usage, file_unpack,
    };
    char path[NAME_LEN], other[NAME_LEN];
    struct file_world w = {.root = root, .stream = -1, .owner = OWNER};
    uint8_t size;

    w.what.flags = take_byte(in);
    w.what.mode = take_byte(in) << 3 | op >> 5;
    w.what.offset = take_byte(in);
    size = take_byte(in);
    w.what.size = size >= 0xc0 ? FILE_UNTIL_END : size;
    take_name(in, path);
    take_name(in, other);
    w.path = path;
    w.other = other;
    given = (struct input){in->data, in->len < size ? in->len : size};
    if (op % 16 == 15) {
        given.len = make_archive(in);
        given.data = (const uint8_t *)archive;
    }
    make_call(&w, serve[op % 16]);
    if (op % 16 != 15 && op % 16 >= 3 && op % 16 <= 5) {
        in->data += in->len < size ? in->len : size;
        in->len -= in->len < size ? in->len : size;
    }
}

/* What a program in the session may do; in the top directory only, so that it does not lead out by
 * itself. */
static void program_step(struct input *in, uint8_t op)
{
    char name[NAME_LEN], target[NAME_LEN];

    take_name(in, name);
    take_name(in, target);
    if (strchr(name, '/') != NULL || strcmp(name, "..") == 0)
        return;
    if (op % 4 == 0)
        (void)!symlinkat(target, root, name);
    else if (op % 4 == 1)
        (void)mkfifoat(root, name, 0600);
    else if (op % 4 == 2 && strchr(target, '/') == NULL && strcmp(target, "..") != 0)
        (void)!linkat(root, target, root, name, 0);
    else if (op % 4 == 3 && strchr(target, '/') == NULL && strcmp(target, "..") != 0)
        (void)!renameat(root, name, root, target);
}

/* -- the world --------------------------------------------------------------------------------- */

static void remove_world(void)
{
    umount2(folder, MNT_DETACH);
    rmdir(folder);
}

/* A tmpfs in a mount namespace of our own: DIR/workspace, and DIR/outside/secret beside it. */
static void make_world(void)
{
    char path[sizeof folder + 16];
    int fd;

    CHECK(mkdtemp(folder) != NULL && unshare(CLONE_NEWNS) == 0);
    CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    CHECK(mount("tmpfs", folder, "tmpfs", MS_NOSUID | MS_NODEV, "size=4m,nr_inodes=400") == 0);
    atexit(remove_world);
    snprintf(path, sizeof path, "%s/outside", folder);
    CHECK(mkdir(path, 0755) == 0 && (outside = open(path, O_RDONLY | O_DIRECTORY)) >= 0);
    snprintf(path, sizeof path, "%s/workspace", folder);
    CHECK(mkdir(path, 0755) == 0 && (root = open(path, O_RDONLY | O_DIRECTORY)) >= 0);
    CHECK(getrandom(secret, sizeof secret, 0) == sizeof secret);
    fd = openat(outside, "secret", O_WRONLY | O_CREAT | O_EXCL, 0640);
    CHECK(fd >= 0 && write(fd, secret, sizeof secret) == sizeof secret && close(fd) == 0);
    umask(0);
    note_descriptors();
}

UNSEEN static void check_outside(void)
{
    unsigned char now[SECRET_LEN + 1];
    struct stat st, dir, above;
    int fd = openat(outside, "secret", O_RDONLY | O_NOFOLLOW);

    CHECK(fd >= 0 && read(fd, now, sizeof now) == SECRET_LEN && fstat(fd, &st) == 0);
    close(fd);
    for (size_t i = 0; i < SECRET_LEN; i++)
        CHECK(now[i] == secret[i]);
    CHECK(st.st_uid == 0 && (st.st_mode & 07777) == 0640 && st.st_nlink == 1);
    CHECK(fstat(outside, &dir) == 0 && dir.st_nlink == 2 && dir.st_uid == 0 && dir.st_size == 60);
    CHECK(fstatat(outside, "..", &above, 0) == 0 && above.st_nlink == 4);
}

static void empty_workspace(void)
{
    const struct file_world w = {.what = {.op = FILE_REMOVE, .flags = FILE_RECURSIVE},
                                 .path = "",
                                 .other = "",
                                 .root = root,
                                 .stream = -1,
                                 .owner = OWNER};
    struct stat st;

    CHECK(make_call(&w, file_remove) == 0);
    CHECK(fstat(root, &st) == 0 && st.st_nlink == 2 && st.st_size == 40);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};

    if (geteuid() != 0)
        return 0; /* there is no other file system without root */
    if (root < 0)
        make_world();
    while (in.len > 0) {
        uint8_t op = take_byte(&in);

        if (op % 32 < 24)
            call_step(&in, op);
        else
            program_step(&in, op);
    }
    check_outside();
    empty_workspace();
    return 0;
}
