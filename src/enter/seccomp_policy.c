/* seccomp_policy: the tables.  A reason on every row; nothing is allowed because it might be
 * needed. */
#include "enter/seccomp_policy.h"

const struct seccomp_row seccomp_allowed[] = {
    {"reading and writing", "read write readv writev pread64 pwrite64 preadv preadv2 pwritev "
                            "pwritev2 lseek sendfile copy_file_range"},
    {"opening and closing",
     "open openat openat2 creat close close_range dup dup2 dup3 pipe pipe2 flock"},
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
     "fsync fdatasync sync_file_range fadvise64 readahead cachestat"},
    {"current directory", "chdir fchdir getcwd"},
    {"memory", "brk mmap munlock mremap munmap mprotect madvise mincore msync mlock mlock2 mseal "
               "memfd_create membarrier map_shadow_stack"},
    {"memory keys: V8 and the JVM protect their code with them",
     "pkey_alloc pkey_free pkey_mprotect"},
    {"memory policy: torch and numpy ask on start", "get_mempolicy set_mempolicy mbind"},
    {"processes and threads (clone: see add_clone)",
     "fork vfork execve exit exit_group wait4 waitid set_tid_address set_robust_list rseq "
     "arch_prctl"},
    {"locks", "futex futex_wait futex_wake futex_requeue futex_waitv"},
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
    {"sockets (which ones: see add_sockets)",
     "bind connect listen accept accept4 shutdown getsockname getpeername getsockopt setsockopt "
     "sendto sendmsg sendmmsg recvfrom recvmsg recvmmsg"},
    {"System V IPC, inside the ipc namespace: PostgreSQL, old multiprocessing",
     "shmget shmat shmdt shmctl semget semop semtimedop semctl msgget msgsnd msgrcv msgctl"},
    {"randomness", "getrandom"},
    {NULL, NULL},
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
    {"PR_SET_SECCOMP: only ever stricter", 22},
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

const struct seccomp_value seccomp_ioctls[] = {
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
