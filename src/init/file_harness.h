/* file_harness: makes calls on files as the server does, for tests.
 *
 * The workspace is a small tmpfs in a mount namespace of the test's own, as root, or a plain
 * directory otherwise. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "init/file.h"

enum { HARNESS_FRAMES = 12000 };

struct answer_frame {
    struct file_message m; /* m.text is terminated */
};

struct answer {
    struct answer_frame frames[HARNESS_FRAMES];
    size_t n;  /* without FILE_END */
    char *raw; /* bytes that followed FILE_BYTES; chunks are joined */
    size_t raw_len;
    bool ended; /* FILE_END has come */
    struct file_end end;
    char text[FILE_PAYLOAD_MAX + 1]; /* of FILE_END */
};

extern struct answer answer;

/* Makes and removes the workspace; for the setup and teardown of cmocka.  The options are those of
 * a tmpfs. */
int harness_open(const char *options);
int harness_close(void);
bool harness_is_root(void);
const char *harness_folder(void);

/* Makes one call, gives it `input`, and keeps what comes in `answer`.  Returns FILE_END's error, -1
 * if there was no end. */
int harness_call(const struct session_file *what, const char *path, const char *other,
                 const char *input, size_t len);
#define CALL(path, other, ...)                                                                     \
    harness_call(&(struct session_file){__VA_ARGS__}, (path), (other), NULL, 0)
#define SEND(path, text, len, ...)                                                                 \
    harness_call(&(struct session_file){__VA_ARGS__}, (path), "", (text), (len))

/* Starts a call only; the socket, and the child in *ret_pid. */
int harness_start(const struct session_file *what, const char *path, const char *other,
                  pid_t *ret_pid);
/* Reads one frame of it into answer.frames[0], waiting at most timeout_ms; whether one came. */
bool harness_next(int stream, int timeout_ms);
/* Gives fewer bytes than announced: closes (or only shuts down) behind them. */
int harness_break(const struct session_file *what, const char *path, const char *input, size_t len,
                  bool close_all);

/* The frame whose name is this, or NULL. */
const struct file_message *answer_find(const char *name);

/* In the workspace, beside any call: these fail the test when they cannot. */
void put(const char *name, const char *text);
char *get(const char *name); /* static; NULL: none */
mode_t mode_of(const char *name);
size_t count_names(const char *directory); /* hidden ones too */
