/* fd: file descriptors that close themselves, and descriptors passed over Unix sockets. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "base/err.h"

/* Closes *fd if >= 0 and sets it to -1; errno is kept. */
void fd_close(int *fd);
/* Returns *fd and sets it to -1: the caller owns it now. */
int fd_steal(int *fd);

#define _cleanup_fd_ __attribute__((cleanup(fd_close)))

/* Sets O_NONBLOCK.  0 or -1. */
int fd_set_nonblock(int fd, struct err *e);

/* Writes all of data to a blocking descriptor, through EINTR and short writes. */
int fd_write_all(int fd, const void *data, size_t len, struct err *e);

/* Sends one message with up to FD_PASS_MAX descriptors over a Unix socket.  The descriptors stay
 * the caller's. 0, or -1 (errno kept in e->errnum, EAGAIN included). */
int fd_send(int sock, const void *data, size_t len, const int *fds, size_t nfds, struct err *e);

/* The same, but never waits for room: EAGAIN then. */
int fd_try_send(int sock, const void *data, size_t len, const int *fds, size_t nfds, struct err *e);

/* Receives one message of at most `cap` bytes and at most `max_fds` descriptors (stored in fds,
 * O_CLOEXEC, owned by the caller).  Returns the number of bytes (0: the peer closed), or -1.  A
 * truncated message or surplus descriptors are an error, and what came is closed. */
ssize_t fd_recv(int sock, void *data, size_t cap, int *fds, size_t max_fds, size_t *ret_nfds,
                struct err *e);

#define FD_PASS_MAX 16

/* Has the kernel refuse (EPERM) what the peer of a Unix socket would pass along: who does not want
 * it must not have to close it.  Without effect before Linux 6.16. */
void fd_take_no_descriptors(int sock);
