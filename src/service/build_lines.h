/* build_lines: the output of a build, cut into lines that are fit to be read. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define BUILD_LINE 4096 /* bytes; a longer line is cut into several */

typedef void build_line(void *data, int stream, const char *line, size_t len);

/* One stream of bytes (1: stdout, 2: stderr). */
struct build_lines {
    int stream;
    build_line *each; /* a line of UTF-8 without control characters but tabs, and without its end */
    void *data;
    size_t len;
    int escape;    /* where we are in a terminal's escape sequence */
    bool returned; /* a "\r" has just ended a line */
    char text[BUILD_LINE];
};

/* Bytes from anywhere, cut anywhere.  "\n", "\r\n" and "\r" end a line; an empty one that only "\r"
 * has ended is dropped (progress bars). */
void build_lines_feed(struct build_lines *l, const char *bytes, size_t len);
/* The end: a line without its end counts too. */
void build_lines_end(struct build_lines *l);
