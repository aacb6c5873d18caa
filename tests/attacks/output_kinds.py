"""Things that are no files where an output file is looked for

source: compiler-explorer #6026, snekbox tests; R34
tries: leaves links, FIFOs, sockets, directories, sparse giants and unreadable files
lock: init opens regular files only, with O_NOFOLLOW and O_NONBLOCK, within bounds
second: the deadline ends a collector that hangs
where: execute fresh
expect: made=ok
files: plain unreadable
never: root:x:0
"""
os.symlink("/etc/passwd", "link")
os.symlink("link", "chain")
os.symlink("loop", "loop")
os.symlink("nowhere", "dangling")
os.mkfifo("fifo")
socket.socket(socket.AF_UNIX).bind("socket")
os.makedirs("directory/" * 20)
with open("sparse", "wb") as sparse:
    os.truncate("sparse", 100 << 20)
for name in ("plain", "unreadable"):
    with open(name, "w") as file:
        file.write("mine")
os.chmod("unreadable", 0)
os.chmod(".", 0o500)
found("made", "ok")
