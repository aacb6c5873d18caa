#!/bin/bash
# Processes that outlive their parent
#
# source: langfuse #15955, vm0 #16784, piston #624; R40, R43
# tries: nohup, setsid, disown, double forks and traps that ignore every signal
# lock: pid 1 kills everything in its pid namespace when the main process has ended
# second: the end of pid 1 ends the namespace; the control group is awaited
# where: execute session durable
# expect: started=3
trap '' TERM HUP INT
(setsid nohup sleep 300 >/dev/null 2>&1 &)
(setsid bash -c 'trap "" 1 2 3 15; (sleep 301 &) ; sleep 302' >/dev/null 2>&1 &)
nohup sleep 303 >/dev/null 2>&1 &
disown -a
echo "@ started 3"
