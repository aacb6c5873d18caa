"""Extended BPF

source: CVE-2017-16995, CVE-2021-3490, CVE-2022-23222
tries: makes a map, loads a socket filter, asks for a BTF object
lock: seccomp: EPERM
second: kernel.unprivileged_bpf_disabled, where the distribution sets it
where: execute fresh session build
expect: map=EPERM load=EPERM btf=EPERM
unlocked: map=ok|EPERM load=ok|EPERM|EINVAL|EFAULT btf=EPERM|EINVAL
"""
attributes = ctypes.create_string_buffer(128)
ctypes.memmove(attributes, (ctypes.c_uint32 * 4)(2, 4, 8, 1), 16)
found("map", call("bpf", 0, attributes, 128))
found("load", call("bpf", 5, attributes, 128))
found("btf", call("bpf", 19, attributes, 128))
