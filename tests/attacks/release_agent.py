"""The program that a control group starts on the host when it is empty

source: CVE-2022-0492; the "felix wilhelm" escape (2019)
tries: mounts a cgroup hierarchy, looks for one, writes release_agent
lock: no cgroup is mounted inside, and mount answers EPERM
second: no CAP_SYS_ADMIN; a cgroup namespace of its own
where: execute fresh session build
expect: v1=EPERM v2=EPERM mounted=none agent=ENOENT
"""
text = ctypes.c_char_p
os.makedirs("/tmp/cg", exist_ok=True)
found("v1", call("mount", text(b"cgroup"), text(b"/tmp/cg"), text(b"cgroup"), 0, text(b"memory")))
found("v2", call("mount", text(b"cgroup2"), text(b"/tmp/cg"), text(b"cgroup2"), 0, 0))
found("mounted", "some" if "cgroup" in read_file("/proc/self/mountinfo") else "none")
found("agent", attempt(open, "/sys/fs/cgroup/memory/release_agent", "w"))
