"""Programs that are in no file

source: dify-sandbox commit 3a73859; fileless malware; general knowledge
tries: executes a program from a memfd, and from /dev/shm, /tmp and the working directory
lock: not stopped, and need not be: what is executed has the same locks
second: none needed
where: execute fresh session durable build
expect: memfd=ran tmp=ran locks=on caps=0000000000000000|00000000800405fb
"""
import shutil
import subprocess

fd = os.memfd_create("program", 0)
with open("/bin/cat", "rb") as program:
    os.write(fd, program.read())
done = subprocess.run([f"/proc/self/fd/{fd}", "/proc/self/status"], pass_fds=[fd], capture_output=True,
                      text=True)
found("memfd", "ran" if done.returncode == 0 else done.returncode)
shutil.copy("/bin/cat", "/tmp/program")
found("tmp", "ran" if subprocess.run(["/tmp/program", "/dev/null"]).returncode == 0 else "no")
status = dict(line.split(":\t", 1) for line in done.stdout.splitlines() if ":\t" in line)
found("locks", "on" if (status["Seccomp"], status["NoNewPrivs"]) == ("2", "1") else "off")
found("caps", status["CapEff"])
