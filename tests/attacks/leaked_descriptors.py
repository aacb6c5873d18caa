"""Leaky Vessels: a descriptor of the host left open

source: CVE-2024-21626 (runc); R12
tries: looks at every descriptor up to 4096 for a directory or file outside its own tree, and climbs
    from the working directory
lock: close_range over everything but 0, 1, 2
second: all descriptors are close-on-exec; the old root is detached
where: execute fresh session durable build
expect: open=none directories=none climb=inside canary=ENOENT
"""
kinds = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")
         if os.path.lexists(f"/proc/self/fd/{fd}")]
beyond = [fd for fd in range(3, 4096) if attempt(os.fstat, fd) == "ok"]
found("open", "none" if not beyond else ",".join(map(str, beyond)))
found("directories", "none" if not any(k.startswith("/") and os.path.isdir(k) for k in kinds)
      else "some")
here = os.getcwd()
os.chdir("../" * 60)
found("climb", "inside" if not os.path.exists("." + CANARY) and "opt" in os.listdir(".") else "out")
os.chdir(here)
found("canary", attempt(open, CANARY))
