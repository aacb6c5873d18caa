"""Netlink protocols other than ROUTE

source: CVE-2017-11176, CVE-2023-21255; sandbox2 policies
tries: opens every netlink protocol from 1 to 31, among them audit, uevents and sock_diag
lock: seccomp: protocol 0 only
second: the sandbox's own network namespace; changing anything needs a capability
where: execute fresh session
expect: answers=ENOSYS
unlocked: answers=many
"""
answers = {call("socket", socket.AF_NETLINK, kind, protocol)
           for kind in (2, 3) for protocol in range(1, 32)}
found("answers", answers.pop() if len(answers) == 1 else "many")
