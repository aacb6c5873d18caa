"""Output files that change while they are collected

source: Judge0 CVE-2024-28185 and -28189, go-judge (Hydro #1111), moby #52648; R30, R34
tries: leaves processes that swap a file for links to /etc/passwd and /proc, rename directories and
    make hard links, while the main process ends
lock: files are collected only when every process is dead, by init, from inside, with O_NOFOLLOW
second: init follows nothing out of the sandbox: its /etc is the sandbox's
where: execute fresh
expect: started=8
never: root:x:0
"""
for number in range(8):
    if os.fork() == 0:
        os.setsid()
        name, spare = f"out{number % 2}", f"spare{number}"
        while True:
            try:
                for target in ("/etc/passwd", "/proc/1/environ", "/proc/self/fd/0", "/"):
                    os.symlink(target, spare)
                    os.rename(spare, name)
                    with open(spare, "w") as file:
                        file.write("mine")
                    os.rename(spare, name)
                    os.makedirs(spare, exist_ok=True)
                    os.rmdir(spare)
            except OSError:
                pass
time.sleep(0.1)
found("started", 8)
