/* seccomp_policy: the tables.  A reason on every row; nothing is allowed because it might be
 * needed. */
#include "enter/seccomp_policy.h"

const struct seccomp_row seccomp_allowed[] = {
    {"reading and writing", "read write readv writev pread64 pwrite64 preadv pwritev pwritev2 "
                            "lseek sendfile copy_file_range"},
    {"opening and closing", "open openat openat2 creat close close_range dup dup2 dup3 pipe flock"},
    {"what a file is", "stat lstat fstat newfstatat statx statfs fstatfs access faccessat "
                       "faccessat2 readlink readlinkat getdents getdents64"},
    {"changing the tree; the mounts decide where",
     "mkdir mkdirat rmdir rename renameat renameat2 link linkat symlink symlinkat unlink unlinkat "
     "truncate ftruncate fallocate umask"},
    {"owners, modes and times of own files", "chmod fchmod fchmodat fchmodat2 chown fchown lchown "
                                             "fchownat utime utimes futimesat utimensat"},
    {"extended attributes; the tmpfs limits them",
     "getxattr lgetxattr fgetxattr setxattr fsetxattr listxattr removexattr"},
    {"durability and hints, one file at a time; on a tmpfs without effect",
     "fsync fdatasync sync_file_range fadvise64 readahead"},
    {"current directory", "chdir fchdir getcwd"},
    {"memory", "brk munlock mremap munmap mprotect mincore msync mlock mlock2 mseal membarrier "
               "map_shadow_stack"},
    {"memory keys: V8 and the JVM protect their code with them",
     "pkey_alloc pkey_free pkey_mprotect"},
    {"memory policy: torch and numpy ask on start", "get_mempolicy set_mempolicy mbind"},
    {"processes and threads (clone: see seccomp_by_argument)",
     "fork vfork execve exit exit_group wait4 waitid set_tid_address set_robust_list rseq "
     "arch_prctl"},
    {"locks", "futex_wait futex_wake futex_requeue futex_waitv"},
    {"signals, inside the pid namespace",
     "kill tkill tgkill rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn "
     "rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo sigaltstack signalfd signalfd4 pause "
     "restart_syscall pidfd_open pidfd_send_signal"},
    {"who am I", "getpid getppid gettid getpgid getpgrp getsid getuid geteuid getgid getegid "
                 "getresuid getresgid getgroups capget uname sysinfo getcpu"},
    {"changing it; without capabilities only to itself",
     "setuid setgid setreuid setregid setresuid setresgid setfsuid setfsgid setgroups capset "
     "setpgid setsid"},
    {"limits and priority; raising needs what nobody has",
     "getrlimit setrlimit getrusage getpriority setpriority times"},
    {"scheduling; real time needs what nobody has",
     "sched_yield sched_getaffinity sched_setaffinity sched_getparam sched_setparam "
     "sched_getscheduler sched_setscheduler sched_getattr sched_setattr sched_get_priority_min "
     "sched_get_priority_max"},
    {"clocks", "time gettimeofday clock_gettime clock_getres nanosleep clock_nanosleep"},
    {"timers", "alarm getitimer setitimer timer_create timer_delete timer_gettime timer_settime "
               "timer_getoverrun timerfd_create timerfd_gettime timerfd_settime"},
    {"waiting for descriptors", "poll ppoll select pselect6 epoll_create epoll_create1 epoll_ctl "
                                "epoll_wait epoll_pwait epoll_pwait2 eventfd eventfd2"},
    {"sockets (which ones: see seccomp_by_argument)",
     "bind connect listen accept accept4 shutdown getsockname getpeername getsockopt"},
    {"System V IPC, inside the ipc namespace: PostgreSQL, old multiprocessing",
     "shmat shmdt shmctl semget semop semtimedop semctl msgget msgsnd msgrcv msgctl"},
    {"randomness", "getrandom"},
    {NULL, NULL},
};

/* Allowed with some arguments only; seccomp_compile.c has the rules, and the tables below. */
const struct seccomp_row seccomp_by_argument[] = {
    {"no new namespace (R70), no child given to the parent", "clone"},
    {"limits of its own processes; in a build only the caller's", "prlimit64"},
    {"UNIX, INET and INET6 streams and datagrams, NETLINK_ROUTE (R71)", "socket"},
    {"UNIX only", "socketpair"},
    {"socket options by level: no ULP, no filters, no tables of packet filters", "setsockopt"},
    {"no MSG_OOB (CVE-2025-38236), no MSG_ZEROCOPY", "sendto sendmsg sendmmsg"},
    {"no MSG_OOB", "recvfrom recvmsg recvmmsg"},
    {"terminals below TIOCSTI, and a list (R16)", "ioctl"},
    {"no F_NOTIFY, no leases: they tell of others' use of a file", "fcntl"},
    {"FIFOs, sockets and regular files", "mknod mknodat"},
    {"a list of options", "prctl"},
    {"only what is in force already", "personality"},
    {"no priority inheritance (CVE-2014-3153, CVE-2021-3347)", "futex"},
    {"no huge pages: the host's pool is in no run's memory limit (R50)",
     "mmap memfd_create shmget"},
    {"no merging with equal pages of others (\"Dedup Est Machina\")", "madvise"},
    {"no notification pipes (CVE-2022-0995)", "pipe2"},
    {"no RWF_NOWAIT: it tells which pages of shared files others have used", "preadv2"},
    {NULL, NULL},
};

const struct seccomp_flags seccomp_flags[] = {
    {"MSG_OOB, MSG_ZEROCOPY", "sendto", 3, 0x4000001},
    {"MSG_OOB, MSG_ZEROCOPY", "sendmsg", 2, 0x4000001},
    {"MSG_OOB, MSG_ZEROCOPY", "sendmmsg", 3, 0x4000001},
    {"MSG_OOB", "recvfrom", 3, 1},
    {"MSG_OOB", "recvmsg", 2, 1},
    {"MSG_OOB", "recvmmsg", 3, 1},
    {"MAP_HUGETLB", "mmap", 3, 0x40000},
    {"MFD_HUGETLB", "memfd_create", 1, 4},
    {"SHM_HUGETLB", "shmget", 2, 04000},
    {"O_NOTIFICATION_PIPE", "pipe2", 1, 0x80},
    {"RWF_NOWAIT", "preadv2", 5, 8},
    {NULL, NULL, 0, 0},
};

const struct seccomp_option seccomp_options[] = {
    {"SOL_SOCKET below SO_LINGER, which see in add_options", 1, 13, 0},
    {"SO_REUSEPORT", 1, 0, 15},
    {"SO_PASSCRED", 1, 0, 16},
    {"SO_RCVLOWAT", 1, 0, 18},
    {"SO_RCVTIMEO", 1, 0, 20},
    {"SO_SNDTIMEO", 1, 0, 21},
    {"SO_BINDTODEVICE", 1, 0, 25},
    {"SO_TIMESTAMP", 1, 0, 29},
    {"SO_TIMESTAMPNS", 1, 0, 35},
    {"SO_TIMESTAMPING", 1, 0, 37},
    {"IPPROTO_IP; iptables begin at 64", 0, 64, 0},
    {"IPPROTO_TCP; the next is TCP_ULP (Fragnesia)", 6, 31, 0},
    {"UDP_CORK; not UDP_ENCAP (Dirty Frag)", 17, 0, 1},
    {"IPPROTO_IPV6; ip6tables begin at 64", 41, 64, 0},
    {"IPV6_RECVTCLASS", 41, 0, 66},
    {"IPV6_TCLASS", 41, 0, 67},
    {"IPV6_ADDR_PREFERENCES", 41, 0, 72},
    {"SOL_NETLINK: of sockets that are NETLINK_ROUTE", 270, 32, 0},
    {NULL, 0, 0, 0},
};

/* Beside MADV_NORMAL (0) to MADV_DOFORK (11); the next are MADV_MERGEABLE and its opposite. */
const struct seccomp_value seccomp_advice[] = {
    {"MADV_HUGEPAGE", 14},       {"MADV_NOHUGEPAGE", 15},      {"MADV_DONTDUMP", 16},
    {"MADV_DODUMP", 17},         {"MADV_WIPEONFORK", 18},      {"MADV_KEEPONFORK", 19},
    {"MADV_COLD", 20},           {"MADV_PAGEOUT", 21},         {"MADV_POPULATE_READ", 22},
    {"MADV_POPULATE_WRITE", 23}, {"MADV_DONTNEED_LOCKED", 24}, {"MADV_COLLAPSE", 25},
    {"MADV_GUARD_INSTALL", 102}, {"MADV_GUARD_REMOVE", 103},   {NULL, 0},
};

/* The operation without FUTEX_PRIVATE_FLAG and FUTEX_CLOCK_REALTIME.  The answer to others, ENOSYS,
 * is the one of a kernel without them, which every libc knows. */
const struct seccomp_value seccomp_futexes[] = {
    {"FUTEX_WAIT", 0},         {"FUTEX_WAKE", 1},
    {"FUTEX_REQUEUE", 3},      {"FUTEX_CMP_REQUEUE", 4},
    {"FUTEX_WAKE_OP", 5},      {"FUTEX_WAIT_BITSET", 9},
    {"FUTEX_WAKE_BITSET", 10}, {NULL, 0},
};

/* Named because a trace should say "not permitted"; everything unnamed answers ENOSYS. */
const struct seccomp_row seccomp_refused[] = {
    {"reading and steering other processes",
     "ptrace process_vm_readv process_vm_writev process_madvise kcmp pidfd_getfd"},
    {"changing the tree of mounts",
     "mount umount2 pivot_root move_mount open_tree fsopen fsmount fsconfig fspick "
     "mount_setattr"},
    {"namespaces (R70)", "unshare"},
    {"large, young kernel surfaces",
     "bpf perf_event_open userfaultfd io_uring_setup io_uring_enter io_uring_register"},
    {"the kernel's keyring is not per sandbox", "add_key request_key keyctl"},
    {"watches on shared system files show what other runs open",
     "inotify_init inotify_init1 inotify_add_watch inotify_rm_watch"},
    {"file handles pass by the directory checks", "open_by_handle_at name_to_handle_at"},
    {"references to pages: Dirty Pipe, Copy Fail", "splice vmsplice tee"},
    {"the host's own business",
     "init_module finit_module delete_module kexec_load kexec_file_load reboot swapon swapoff acct "
     "syslog sethostname setdomainname quotactl quotactl_fd fanotify_init vhangup"},
    {"the host's clock", "clock_settime settimeofday adjtimex clock_adjtime"},
    {"ports and segments", "iopl ioperm modify_ldt"},
    {"kernel objects that no measured program needs",
     "io_setup io_submit io_getevents io_destroy io_cancel mq_open mq_unlink lookup_dcookie"},
    {NULL, NULL},
};

/* What a zygote needs beyond a run: to place its child in a sandbox and lock it in.  The child's
 * own filter takes all of it away again. */
const struct seccomp_row seccomp_zygote[] = {
    {"join the sandbox's namespaces", "setns"},
    {"lock the child in", "landlock_create_ruleset landlock_add_rule landlock_restrict_self"},
    {NULL, NULL},
};

const struct seccomp_value seccomp_zygote_prctls[] = {
    {"PR_CAPBSET_DROP", 24},
    {"PR_SET_SECUREBITS", 28},
    {NULL, 0},
};

/* What root in a build needs beyond a run: apt, dpkg, pip, npm, conda, tar, umoci, mmdebstrap.  Its
 * owners, ids, groups and capabilities are in the run's list already; they were only without power
 * there.  Device nodes stay refused (see add_mknod): overlayfs makes its whiteouts itself. */
const struct seccomp_row seccomp_build[] = {
    {"dpkg --root, mmdebstrap and a package's own scripts change the root", "chroot"},
    {"tar, cp -a, dpkg and umoci carry attributes of links and open files",
     "lsetxattr llistxattr flistxattr lremovexattr fremovexattr"},
    {NULL, NULL},
};

/* sync waits for all of the host's disks, and syncfs for the one with our runtime.  Build scripts
 * call them in good faith, so they are told that it is done: a build that is cut off is thrown
 * away, and the spawner has a complete layer written out before it counts. */
const struct seccomp_row seccomp_syncs[] = {
    {"all of the host's disk, on which the system files lie", "sync syncfs"},
    {NULL, NULL},
};

const struct seccomp_value seccomp_build_prctls[] = {
    {"PR_GET_KEEPCAPS", 7},
    {"PR_SET_KEEPCAPS: setpriv and daemons that change their user", 8},
    {"PR_CAPBSET_DROP: only ever less", 24},
    {NULL, 0},
};

const struct seccomp_value seccomp_prctls[] = {
    {"PR_SET_PDEATHSIG", 1},
    {"PR_GET_PDEATHSIG", 2},
    {"PR_GET_DUMPABLE", 3},
    {"PR_SET_DUMPABLE", 4},
    {"PR_SET_NAME: thread names", 15},
    {"PR_GET_NAME", 16},
    {"PR_GET_SECCOMP", 21},
    {"PR_CAPBSET_READ", 23},
    {"PR_GET_SECUREBITS", 27},
    {"PR_SET_TIMERSLACK", 29},
    {"PR_GET_TIMERSLACK", 30},
    {"PR_SET_CHILD_SUBREAPER: inside the pid namespace", 36},
    {"PR_GET_CHILD_SUBREAPER", 37},
    {"PR_SET_NO_NEW_PRIVS", 38},
    {"PR_GET_NO_NEW_PRIVS", 39},
    {"PR_GET_TID_ADDRESS", 40},
    {"PR_SET_THP_DISABLE", 41},
    {"PR_GET_THP_DISABLE", 42},
    {"PR_CAP_AMBIENT: libcap asks; there is nothing to raise", 47},
    {"PR_SET_TAGGED_ADDR_CTRL on arm64, PR_GET_ too", 56},
    {"PR_SET_VMA: V8 and glibc name their mappings", 0x53564d41},
    {NULL, 0},
};

const struct seccomp_value seccomp_fcntls[] = {
    {"F_DUPFD_CLOEXEC", 1030}, {"F_SETPIPE_SZ", 1031}, {"F_GETPIPE_SZ", 1032},
    {"F_ADD_SEALS", 1033},     {"F_GET_SEALS", 1034},  {NULL, 0},
};

const struct seccomp_value seccomp_personalities[] = {
    {"query", 0xffffffff},
    {"the one that is in force", 0},
    {NULL, 0},
};

/* Beside TCGETS (0x5401) to TIOCGPGRP (0x540f); the next is TIOCSTI. */
const struct seccomp_value seccomp_ioctls[] = {
    {"TIOCSPGRP", 0x5410},
    {"TIOCOUTQ", 0x5411},
    {"TIOCGWINSZ", 0x5413},
    {"TIOCSWINSZ: own pseudo-terminals", 0x5414},
    {"TIOCGPTN", 0x80045430},
    {"TIOCSPTLCK", 0x40045431},
    {"TIOCGPTPEER", 0x5441},
    {"TIOCNOTTY", 0x5422},
    {"FIONREAD", 0x541b},
    {"FIONBIO", 0x5421},
    {"FIONCLEX", 0x5450},
    {"FIOCLEX", 0x5451},
    {"FIOASYNC", 0x5452},
    {"FIOQSIZE", 0x5460},
    {"FICLONE: cp tries it first", 0x40049409},
    {"SIOCGIFNAME", 0x8910},
    {"SIOCGIFCONF", 0x8912},
    {"SIOCGIFFLAGS", 0x8913},
    {"SIOCGIFADDR", 0x8915},
    {"SIOCGIFBRDADDR", 0x8919},
    {"SIOCGIFNETMASK", 0x891b},
    {"SIOCGIFMTU", 0x8921},
    {"SIOCGIFHWADDR: uuid.getnode", 0x8927},
    {"SIOCGIFINDEX", 0x8933},
    {NULL, 0},
};
