"""What only the host's root may do

source: docker's default profile; CVE-2021-4154 class; R71
tries: modules, kexec, reboot, swap, accounting, kernel log, host name, quotas, clocks
lock: seccomp: EPERM
second: all need capabilities over the first user namespace
where: execute fresh session build
expect: refused=all clocks=all
"""
names = ("init_module finit_module delete_module kexec_load kexec_file_load reboot swapon swapoff acct "
         "syslog sethostname setdomainname quotactl vhangup").split()
answers = {name: call(name, 0, 0, 0, 0, 0) for name in names if name in NR}
others = [name for name, answer in answers.items() if answer != "EPERM"]
found("refused", "all" if not others else ",".join(others))
clock = (ctypes.c_int64 * 32)(1 << 30)
answers = {call("settimeofday", clock, 0), call("clock_settime", 0, clock),
           call("clock_settime", 1, clock), call("adjtimex", clock), call("clock_adjtime", 0, clock)}
found("clocks", "all" if answers == {"EPERM"} else ",".join(sorted(answers)))
