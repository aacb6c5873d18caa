"""Socket families that nobody needs and that modules bring in

source: CVE-2017-2636, CVE-2010-3904 (RDS), CVE-2021-43267 (TIPC), CVE-2017-6074 (DCCP),
    CVE-2021-23134 (NFC), CVE-2022-1016 and others
tries: opens every family from 0 to 45 but the four that are offered, in three types
lock: seccomp: socket families are an allow-list
second: most need CAP_NET_RAW or a module that only the host's root loads
where: execute fresh session build
expect: answers=ENOSYS protocols=ENOSYS
unlocked: answers=many protocols=many
"""
offered = {socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK}
answers = {call("socket", family, kind, 0) for family in range(46) if family not in offered
           for kind in (1, 2, 3, 5)}
found("answers", answers.pop() if len(answers) == 1 else "many")
# DCCP, SCTP, UDP-Lite, MPTCP, and the types that belong to them.
answers = {call("socket", family, kind, protocol) for family in (2, 10)
           for kind, protocol in ((6, 33), (1, 132), (5, 132), (2, 136), (1, 262), (3, 1))}
found("protocols", answers.pop() if len(answers) == 1 else "many")
