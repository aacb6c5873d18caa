"""System V objects of others

source: R24; isolate 2.6 (a /dev/shm of its own for each box)
tries: looks for the victim's segment by its key, and for any object by its index
lock: an ipc namespace for each sandbox
second: another host uid; the victim's mode is the only other thing
where: execute fresh session build
expect: shm=ENOENT sem=ENOENT msg=ENOENT listed=none
"""
found("shm", call("shmget", 0x4475, 0, 0))
found("sem", call("semget", 0x4475, 0, 0))
found("msg", call("msgget", 0x4475, 0))
buffer = ctypes.create_string_buffer(256)
listed = [(name, index) for name, stat in (("shmctl", 13), ("semctl", 18), ("msgctl", 11))
          for index in range(64) if call(name, index, stat, buffer) == "ok"]
found("listed", "none" if not listed else listed[0][0])
