"""Sending the kernel's memory killer to somebody else

source: R50; security.md: oom_score_adj could be written
tries: lowers its own score, that of init and of every process in sight
lock: /proc is read-only
second: oom_score_adj_min; CAP_SYS_RESOURCE
where: execute fresh session build
expect: own=EROFS old=EROFS init=ENOENT
"""
found("own", attempt(lambda: open("/proc/self/oom_score_adj", "w").write("-1000")))
found("old", attempt(lambda: open("/proc/self/oom_adj", "w").write("-17")))
found("init", attempt(lambda: open("/proc/1/oom_score_adj", "w").write("1000")))
