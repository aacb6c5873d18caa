"""Programs that give privileges

source: CVE-2021-4034 (pkexec), CVE-2021-3156 (sudo), CVE-2023-4911 (Looney Tunables)
tries: runs set-user-id programs of the system, makes one, gives one file capabilities
lock: no_new_privs; nosuid on every mount
second: the bounding set is empty; only ids of the sandbox are mapped
where: execute fresh session durable
expect: system=none own=1000 capability=EPERM chown=EPERM
"""
import shutil
import struct
import subprocess

gained = []
for name in ("su", "mount", "umount", "passwd", "chsh", "newgrp", "sudo", "pkexec", "ping"):
    path = shutil.which(name)
    if path and os.stat(path).st_mode & 0o6000:
        pid = os.posix_spawn(path, [name, "--version"], {"GLIBC_TUNABLES": "glibc.malloc.x=" + "A" * 999})
        status = open(f"/proc/{pid}/status").read() if os.path.exists(f"/proc/{pid}") else ""
        if "Uid:\t1000\t0" in status:
            gained.append(name)
        os.waitpid(pid, 0)
found("system", "none" if not gained else ",".join(gained))
shutil.copy("/usr/bin/id", "/tmp/id")
os.chmod("/tmp/id", 0o6755)
found("own", subprocess.run(["/tmp/id", "-u"], capture_output=True, text=True).stdout.strip())
found("capability", attempt(os.setxattr, "/tmp/id", "security.capability", struct.pack("=5I", 0x2000001, 0xffffffff, 0, 0, 0)))
found("chown", attempt(os.chown, "/tmp/id", 0, 0))
