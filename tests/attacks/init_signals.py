"""Every signal to pid 1

source: R42; bubblewrap's die-with-parent loop; piston #206
tries: sends all 64 signals to init by kill, tgkill, sigqueue and pidfd
lock: init has another uid; Landlock's scope for signals (ABI 6); pid 1 ignores what it does not catch
second: as above; in a build, where the uid is the same, Landlock and pid 1's immunity
where: execute fresh session build
expect: kill=EPERM tgkill=EPERM queue=EPERM pidfd=EPERM
"""
info = (ctypes.c_int32 * 32)()
info[2] = -1  # SI_QUEUE
handle = raw(NR["pidfd_open"], 1, 0)
ways = {"kill": lambda n: call("kill", 1, n), "tgkill": lambda n: call("tgkill", 1, 1, n),
        "queue": lambda n: call("rt_sigqueueinfo", 1, n, info),
        "pidfd": lambda n: call("pidfd_send_signal", handle, n, 0, 0)}
for name, way in ways.items():
    answers = {way(number) for number in range(1, 65)}
    found(name, answers.pop() if len(answers) == 1 else ",".join(sorted(answers)))
