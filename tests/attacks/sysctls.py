"""Settings of the kernel by way of /proc and /sys

source: snekbox PR #55 (2019); runc masked and read-only paths; R21, R22
tries: opens what other sandboxes mask, for reading and for writing
lock: /proc with subset=pid, read-only; no /sys
second: host ids that are not root
where: execute fresh session build
expect: there=none written=none
"""
paths = ("/proc/sys /proc/sysrq-trigger /proc/kcore /proc/kmsg /proc/kallsyms /proc/keys "
         "/proc/timer_list /proc/vmallocinfo /proc/kpagecount /proc/sched_debug /proc/acpi /proc/bus "
         "/proc/irq /proc/scsi /proc/modules /proc/iomem /proc/mounts/../sys/vm/drop_caches "
         "/sys/kernel /sys/fs /sys/class /sys/firmware /sys/module /sys/devices "
         "/sys/kernel/debug /sys/kernel/uevent_helper").split()
there = [path for path in paths if os.path.lexists(path)]
found("there", "none" if not there else ",".join(there))
written = [path for path in ("/proc/self/oom_score_adj", "/proc/self/loginuid", "/proc/self/comm",
                             "/proc/self/timerslack_ns", "/proc/self/attr/current")
           if attempt(open, path, "w") == "ok"]
found("written", "none" if not written else ",".join(written))
