/* file_harness: see the header.  Runs in unit tests only. */
#include "init/file_harness.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/test_support.h"

struct answer answer;

static char folder[] = "/tmp/file_test.XXXXXX";
static bool is_root, is_made;
static int root = -1;
static const struct file_started started[] = {{1, 77}};

static void make_world(void)
{
    if (is_made)
        return;
    assert_non_null(mkdtemp(folder));
    is_made = true;
    is_root = geteuid() == 0 && unshare(CLONE_NEWNS) == 0 &&
              mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

int harness_open(const char *options)
{
    make_world();
    if (!is_root)
        return 0;
    if (mount("tmpfs", folder, "tmpfs", MS_NOSUID | MS_NODEV, options) < 0 || chdir(folder) < 0)
        return -1;
    root = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return root < 0 ? -1 : 0;
}

int harness_close(void)
{
    if (!is_root)
        return 0;
    fd_close(&root);
    return chdir("/") < 0 || umount2(folder, MNT_DETACH) < 0 ? -1 : 0;
}

bool harness_is_root(void)
{
    return is_root;
}

const char *harness_folder(void)
{
    return folder;
}

__attribute__((destructor)) static void remove_world(void)
{
    if (is_made)
        rmdir(folder);
}

int harness_start(const struct session_file *what, const char *path, const char *other,
                  pid_t *ret_pid)
{
    struct file_world w = {.what = *what,
                           .path = path,
                           .other = other,
                           .root = root,
                           .owner = 1000,
                           .started = started,
                           .nstarted = 1};
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    *ret_pid = fork();
    if (*ret_pid == 0) {
        w.stream = pair[1];
        file_serve(&w);
    }
    close(pair[1]);
    return pair[0];
}

static void keep_raw(const char *data, size_t len)
{
    answer.raw = realloc(answer.raw, answer.raw_len + len + 1);
    assert_non_null(answer.raw);
    memcpy(answer.raw + answer.raw_len, data, len);
    answer.raw_len += len;
    answer.raw[answer.raw_len] = '\0';
}

static void keep_frame(const struct file_message *m)
{
    struct answer_frame *f = &answer.frames[answer.n];
    char *text = malloc(m->text_len + 1);

    assert_non_null(text);
    memcpy(text, m->text, m->text_len);
    text[m->text_len] = '\0';
    if (m->type == FILE_END) {
        answer.ended = true;
        answer.end = m->end;
        strcpy(answer.text, text);
        free(text);
        return;
    }
    assert_true(answer.n < HARNESS_FRAMES);
    f->m = *m;
    f->m.text = text;
    answer.n++;
}

/* Where the bytes of a stream belong. */
struct state {
    uint64_t raw_left; /* FILE_UNTIL_END: chunks */
    char *data;
    size_t len, at, cap;
};

/* One step through the input; 0: more is needed. */
static size_t step(struct state *s)
{
    const char *p = s->data + s->at;
    size_t have = s->len - s->at;
    struct file_message m;
    struct err e;
    uint32_t chunk;
    long n;

    if (s->raw_left == FILE_UNTIL_END) {
        if (have < sizeof chunk)
            return 0;
        memcpy(&chunk, p, sizeof chunk);
        if (have - sizeof chunk < chunk)
            return 0;
        keep_raw(p + sizeof chunk, chunk);
        if (chunk == 0)
            s->raw_left = 0;
        return sizeof chunk + chunk;
    }
    if (s->raw_left > 0) {
        have = have < s->raw_left ? have : (size_t)s->raw_left;
        keep_raw(p, have);
        s->raw_left -= have;
        return have;
    }
    n = file_parse(p, have, &m, &e);
    assert_true(n >= 0);
    if (n > 0) {
        keep_frame(&m);
        s->raw_left = m.type == FILE_BYTES ? m.bytes.size : 0;
    }
    return (size_t)n;
}

static bool read_some(struct state *s, int stream)
{
    ssize_t n;

    if (s->cap - s->len < (1u << 20)) {
        s->cap = s->cap * 2 + (2u << 20);
        s->data = realloc(s->data, s->cap);
        assert_non_null(s->data);
    }
    n = recv(stream, s->data + s->len, s->cap - s->len, 0);
    if (n <= 0)
        return false;
    s->len += (size_t)n;
    while (s->at < s->len && (n = (ssize_t)step(s)) > 0)
        s->at += (size_t)n;
    if (s->at == s->len)
        s->at = s->len = 0;
    return true;
}

static void forget_answer(void)
{
    for (size_t i = 0; i < answer.n; i++)
        free((char *)answer.frames[i].m.text);
    free(answer.raw);
    memset(&answer.end, 0, sizeof answer.end);
    answer.raw = NULL;
    answer.raw_len = answer.n = 0;
    answer.ended = false;
    answer.text[0] = '\0';
}

static void converse(int stream, const char *input, size_t len)
{
    struct state s = {0};
    bool is_open = true, told = false;

    assert_int_equal(fcntl(stream, F_SETFL, O_NONBLOCK), 0);
    while (is_open) {
        struct pollfd fd = {.fd = stream,
                            .events = (short)(POLLIN | (len > 0 && !answer.ended ? POLLOUT : 0))};

        if (len == 0 && !told)
            told = shutdown(stream, SHUT_WR) == 0 || errno == ENOTCONN;
        assert_true(poll(&fd, 1, 20000) > 0);
        if ((fd.revents & POLLOUT) != 0) {
            ssize_t n = send(stream, input, len, MSG_NOSIGNAL);

            input += n > 0 ? n : 0;
            len -= n > 0 ? (size_t)n : 0;
        }
        if ((fd.revents & ~POLLOUT) != 0)
            is_open = read_some(&s, stream) && !answer.ended;
    }
    free(s.data);
}

static int finish(int stream, pid_t pid)
{
    int status;

    close(stream);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return answer.ended ? answer.end.error : -1;
}

int harness_call(const struct session_file *what, const char *path, const char *other,
                 const char *input, size_t len)
{
    pid_t pid;
    int stream = harness_start(what, path, other, &pid);

    forget_answer();
    converse(stream, input, len);
    return finish(stream, pid);
}

int harness_break(const struct session_file *what, const char *path, const char *input, size_t len,
                  bool close_all)
{
    pid_t pid;
    int stream = harness_start(what, path, "", &pid);

    forget_answer();
    if (close_all)
        assert_int_equal(fd_write_all(stream, input, len, NULL), 0);
    else
        converse(stream, input, len);
    return finish(stream, pid);
}

bool harness_next(int stream, int timeout_ms)
{
    static struct state s;
    struct pollfd fd = {.fd = stream, .events = POLLIN};
    size_t n;

    forget_answer();
    if (s.at < s.len && (n = step(&s)) > 0) {
        s.at += n;
        return true;
    }
    if (poll(&fd, 1, timeout_ms) <= 0)
        return false;
    /* Frames are taken one at a time here, so none is taken while reading. */
    s.data = realloc(s.data, 4u << 20);
    assert_non_null(s.data);
    memmove(s.data, s.data + s.at, s.len - s.at);
    s.len -= s.at;
    s.at = 0;
    ssize_t got = recv(stream, s.data + s.len, (4u << 20) - s.len, 0);
    if (got <= 0) {
        s.len = 0;
        return false;
    }
    s.len += (size_t)got;
    n = step(&s);
    s.at += n;
    return n > 0;
}

const struct file_message *answer_find(const char *name)
{
    for (size_t i = 0; i < answer.n; i++) {
        if (strcmp(answer.frames[i].m.text, name) == 0)
            return &answer.frames[i].m;
    }
    return NULL;
}

void put(const char *name, const char *text)
{
    _cleanup_fd_ int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(fd_write_all(fd, text, strlen(text), NULL), 0);
}

char *get(const char *name)
{
    static char text[1 << 16];
    _cleanup_fd_ int fd = open(name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

    if (n < 0)
        return NULL;
    text[n] = '\0';
    return text;
}

mode_t mode_of(const char *name)
{
    struct stat st;

    assert_int_equal(lstat(name, &st), 0);
    return st.st_mode & 07777;
}

size_t count_names(const char *directory)
{
    DIR *dir = opendir(directory);
    size_t n = 0;

    assert_non_null(dir);
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n - 2;
}
