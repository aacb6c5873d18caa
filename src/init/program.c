/* program: reads a seccomp profile that was compiled at build time.
 *
 * Runs in a nest's builder.  The file lies in the read-only runtime copy and is trusted. */
#include "init/program.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/fd.h"

int program_load(struct program *p, const char *path, struct err *e)
{
    _cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        return err_set(e, ERR_INTERNAL, errno, "open %s", path);
    n = read(fd, p->code, sizeof p->code);
    if (n <= 0 || (size_t)n == sizeof p->code || (size_t)n % sizeof p->code[0] != 0)
        return err_set(e, ERR_INTERNAL, n < 0 ? errno : 0, "read %s", path);
    p->len = (uint16_t)((size_t)n / sizeof p->code[0]);
    return 0;
}
