"""Calls that nobody has used for years, and the newest ones

source: CVE-2017-18344 class; allow-lists of isolate and docker
tries: asynchronous io, remapping, segments, ports, page migration, secret memory, futures
lock: seccomp: EPERM for those with a name, ENOSYS for all others
second: most need a capability
where: execute fresh session build
expect: named=EPERM unnamed=ENOSYS new=ENOSYS
unlocked: named=many unnamed=many
"""


def answers(names):
    """The one answer to all of these calls, or many."""
    got = {call(name, 0, 0, 0, 0, 0, 0) for name in names.split() if name in NR}
    return got.pop() if len(got) == 1 else "many"


NAMED = {"io_setup", "io_submit", "io_destroy", "modify_ldt", "iopl", "ioperm"}
UNNAMED = {"remap_file_pages", "migrate_pages", "move_pages", "memfd_secret", "uselib", "ustat",
           "process_mrelease", "set_mempolicy_home_node", "io_pgetevents", "nfsservctl"}
found("named", answers(" ".join(NAMED)))
found("unnamed", answers(" ".join(UNNAMED)))
got = {raw(number, 0, 0, 0, 0, 0, 0) for number in range(470, 640)}
found("new", errno.errorcode[-got.pop()] if len(got) == 1 else "many")
