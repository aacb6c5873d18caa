"""The program that is running, overwritten through /proc

source: CVE-2019-5736 (runc); R13
tries: opens /proc/self/exe, /proc/PID/exe and the runner's files for writing, by path and again by
    descriptor
lock: read-only mounts
second: the files belong to root and have mode 755
where: execute fresh session durable
expect: exe=EROFS|EACCES again=EROFS|EACCES parent=none runner=EROFS|EACCES library=EROFS|EACCES
"""
found("exe", attempt(os.open, "/proc/self/exe", os.O_WRONLY))
reading = os.open("/proc/self/exe", os.O_RDONLY)
found("again", attempt(os.open, f"/proc/self/fd/{reading}", os.O_WRONLY))
others = [pid for pid in os.listdir("/proc") if pid.isdigit() and int(pid) != os.getpid()
          and attempt(os.open, f"/proc/{pid}/exe", os.O_WRONLY) == "ok"]
found("parent", "ok" if others else "none")
found("runner", attempt(os.open, "/opt/dunlin/python/runner.py"
                        if os.path.exists("/opt/dunlin/python/runner.py") else "/opt/dunlin/x",
                        os.O_WRONLY | os.O_CREAT))
found("library", attempt(os.open, os.__file__, os.O_WRONLY))
