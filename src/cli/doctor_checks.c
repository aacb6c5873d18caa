/* doctor_checks: everything Dunlin needs of a machine, one row each: how it is tried, what it costs
 * when it is missing, and what enables it. */
#include <sched.h>

#include "cli/doctor_internal.h"

#define NOTHING_RUNS    "no sandbox can be made"
#define NO_ENVIRONMENTS "no environment but the built-in one"
#define NO_NETWORK      "no sandbox has a network"
#define NEWER_KERNEL    "apt-get install linux-image-$(dpkg --print-architecture)"
#define IN_CONTAINER                                                                               \
    "in a container: docker run --privileged --cgroupns=host, or run dunlin on the host"
#define CGROUPS                                                                                    \
    "mount -o remount,rw /sys/fs/cgroup; in a systemd unit: Delegate=yes; kernel command line: "   \
    "cgroup_enable=memory"

/* clang-format off */
const struct doctor_check doctor_checks[] = {
    {.name = "processor", .probe = doctor_probe_machine,
     .cost = "the system-call filter knows x86_64 and aarch64 only",
     .fix = "use a machine with one of these processors"},
    {.name = "kernel", .probe = doctor_probe_kernel,
     .cost = "parts of the isolation do not exist in older kernels", .fix = NEWER_KERNEL},
    {.name = "root and capabilities", .probe = doctor_probe_root,
     .cost = NOTHING_RUNS ": the spawner makes namespaces, mounts and groups as root",
     .fix = "sudo dunlin doctor; " IN_CONTAINER},
    {.name = "ids for sandboxes", .probe = doctor_probe_ids,
     .cost = "sandboxes would share ids with somebody else's processes and files",
     .fix = "remove the entry from that file, or run dunlin outside the user namespace"},

    {.name = "user namespaces", .probe = doctor_probe_namespace, .inside = doctor_inside_user,
     .cost = NOTHING_RUNS, .fix = IN_CONTAINER},
    {.name = "pid namespaces", .probe = doctor_probe_namespace, .flags = CLONE_NEWPID,
     .inside = doctor_inside_pid, .cost = NOTHING_RUNS, .fix = IN_CONTAINER},
    {.name = "mount namespaces", .probe = doctor_probe_namespace, .flags = CLONE_NEWNS,
     .inside = doctor_inside_mount, .cost = NOTHING_RUNS, .fix = IN_CONTAINER},
    {.name = "network namespaces", .probe = doctor_probe_namespace, .flags = CLONE_NEWNET,
     .inside = doctor_inside_net, .cost = NOTHING_RUNS, .fix = IN_CONTAINER},
    {.name = "ipc namespaces", .probe = doctor_probe_namespace, .flags = CLONE_NEWIPC,
     .inside = doctor_inside_ipc, .cost = NOTHING_RUNS, .fix = IN_CONTAINER},
    {.name = "uts namespaces", .probe = doctor_probe_namespace, .flags = CLONE_NEWUTS,
     .inside = doctor_inside_uts, .cost = NOTHING_RUNS, .fix = IN_CONTAINER},
    {.name = "cgroup namespaces", .probe = doctor_probe_namespace,
     .inside = doctor_inside_cgroup, .cost = NOTHING_RUNS, .fix = IN_CONTAINER},
    {.name = "nested namespaces", .probe = doctor_probe_nested,
     .cost = NOTHING_RUNS ": each lies in the namespaces of its nest",
     .fix = "sysctl -w user.max_user_namespaces=65536; " IN_CONTAINER},
    {.name = "proc inside", .probe = doctor_probe_namespace, .flags = CLONE_NEWPID | CLONE_NEWNS,
     .inside = doctor_inside_proc,
     .cost = NOTHING_RUNS ": its own /proc cannot be mounted where the visible one is masked",
     .fix = "in a container: docker run --security-opt systempaths=unconfined (or --privileged)"},
    {.name = "tmpfs and devpts inside", .probe = doctor_probe_namespace, .flags = CLONE_NEWNS,
     .inside = doctor_inside_tmpfs, .cost = NOTHING_RUNS ": it has no place for files",
     .fix = IN_CONTAINER},
    {.name = "change of root inside", .probe = doctor_probe_namespace, .flags = CLONE_NEWNS,
     .inside = doctor_inside_pivot, .cost = NOTHING_RUNS ": it would see the host's files",
     .fix = IN_CONTAINER},
    {.name = "overlayfs", .probe = doctor_probe_overlay, .optional = true,
     .cost = NO_ENVIRONMENTS ": they lie in layers", .fix = "modprobe overlay"},
    {.name = "device nodes", .probe = doctor_probe_devices,
     .cost = NOTHING_RUNS ": /dev/null and the like are made for it",
     .fix = "in a container: docker run --cap-add MKNOD, without a device filter"},

    {.name = "clone3", .probe = doctor_probe_clone3, .cost = NOTHING_RUNS,
     .fix = "in a container: a seccomp profile that permits clone3 (Docker 20.10.10 or newer)"},
    {.name = "pidfd_open", .probe = doctor_probe_pidfd,
     .cost = NOTHING_RUNS ": processes could not be ended without mistaking one for another",
     .fix = NEWER_KERNEL},
    {.name = "close_range", .probe = doctor_probe_close_range,
     .cost = NOTHING_RUNS ": descriptors could leak into it", .fix = NEWER_KERNEL},
    {.name = "openat2", .probe = doctor_probe_openat2, .optional = true,
     .cost = "paths are resolved one component at a time", .fix = NEWER_KERNEL},
    {.name = "seccomp filter", .probe = doctor_probe_seccomp,
     .cost = NOTHING_RUNS ": the whole kernel would be open to it",
     .fix = "boot a kernel with CONFIG_SECCOMP_FILTER=y: " NEWER_KERNEL},
    {.name = "landlock", .probe = doctor_probe_landlock,
     .cost = "the second lock on files and signals is absent or partial",
     .fix = "add landlock to lsm= on the kernel command line; a newer kernel has a newer ABI"},

    {.name = "cgroup memory", .probe = doctor_probe_cgroup, .subject = "memory",
     .cost = NOTHING_RUNS ": its memory could not be limited", .fix = CGROUPS},
    {.name = "cgroup cpu", .probe = doctor_probe_cgroup, .subject = "cpu",
     .cost = NOTHING_RUNS ": its CPU time could not be limited", .fix = CGROUPS},
    {.name = "cgroup pids", .probe = doctor_probe_cgroup, .subject = "pids",
     .cost = NOTHING_RUNS ": its processes could not be limited", .fix = CGROUPS},
    {.name = "swap accounting", .probe = doctor_probe_swap, .optional = true,
     .cost = "a run may use swap beyond its memory limit",
     .fix = "swapoff -a, or swapaccount=1 on the kernel command line"},

    {.name = "mke2fs", .probe = doctor_probe_programs, .subject = "mke2fs", .optional = true,
     .cost = NO_ENVIRONMENTS, .fix = "apt-get install e2fsprogs"},
    {.name = "loop devices", .probe = doctor_probe_loop, .optional = true,
     .cost = NO_ENVIRONMENTS ": their files lie in images",
     .fix = "modprobe loop; in a container: docker run --privileged -v /dev:/dev"},
    {.name = "layers", .probe = doctor_probe_layers, .optional = true,
     .cost = NO_ENVIRONMENTS ": each sees images with ids of its own, under an overlay",
     .fix = "modprobe -a loop ext4 overlay; " NEWER_KERNEL},
    {.name = "workspaces", .probe = doctor_probe_workspaces, .optional = true,
     .cost = "no durable sessions, only those in memory: their files lie in images with a quota",
     .fix = "modprobe -a loop ext4; apt-get install e2fsprogs"},
    {.name = "image tools", .probe = doctor_probe_programs, .optional = true,
     .subject = "skopeo umoci mmdebstrap bsdtar",
     .cost = "no images from registries, archives or Debian's mirrors: the host's base only",
     .fix = "apt-get install skopeo umoci mmdebstrap libarchive-tools"},

    {.name = "veth", .probe = doctor_probe_veth, .optional = true, .cost = NO_NETWORK,
     .fix = "modprobe veth"},
    {.name = "nftables", .probe = doctor_probe_nftables, .optional = true,
     .cost = NO_NETWORK ": without its filter none is given", .fix = "apt-get install nftables"},
    {.name = "forwarding", .probe = doctor_probe_forwarding, .optional = true,
     .cost = NO_NETWORK, .fix = "sysctl -w net.ipv4.ip_forward=1"},
    {.name = "resolvers", .probe = doctor_probe_resolvers, .optional = true,
     .cost = "sandboxes with a network cannot look names up",
     .fix = "NETWORK_DNS=ADDRESS: a name server that is not on the loopback"},

    {.name = "data directory", .probe = doctor_probe_data,
     .cost = "nothing can be kept, or its private copy of the system files may not be executed",
     .fix = "dunlin serve --data DIR, with DIR on a writable disk with 2 GiB free"},
    {.name = "python3", .probe = doctor_probe_program, .subject = "python3",
     .cost = "Python code cannot run", .fix = "apt-get install python3"},
    {.name = "bash", .probe = doctor_probe_program, .subject = "bash",
     .cost = "shell scripts cannot run", .fix = "apt-get install bash"},
    {.name = "node", .probe = doctor_probe_program, .subject = "node", .optional = true,
     .cost = "JavaScript cannot run", .fix = "apt-get install nodejs"},
    {.name = "open files", .probe = doctor_probe_files, .optional = true,
     .cost = "fewer sandboxes, sessions and connections at the same time",
     .fix = "ulimit -Hn 65536; in a systemd unit: LimitNOFILE=65536"},
    {.name = "memory", .probe = doctor_probe_memory, .optional = true,
     .cost = "runs wait for memory, or are ended by the kernel",
     .fix = "lower POOL_MIN, MEMORY_LIMIT and CONCURRENT_LIMIT"},
};
/* clang-format on */

const size_t doctor_checks_count = sizeof doctor_checks / sizeof doctor_checks[0];
