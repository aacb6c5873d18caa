"""What of a package is copied, what of /etc may be seen, and what is written afresh.

Tables only: contents.py applies them.
"""

import re

TOP_LINKS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
"""Directories of an old layout; the copy has them as links to usr/..., like every merged /usr."""

# Nothing in a read-only sandbox without a screen, a manual or a compiler reads these.  sympy's rubi
# needs a package Debian has not; the numpy below python3.N is shadowed by the one below python3.
_DROPPED_DIRECTORIES = r"""
    usr/(include|games|src|lib/debug|lib/valgrind|libexec/sudo)
    usr/share/(doc|doc-base|man|info|locale|i18n|lintian|linda|bug|menu|applications|icons|pixmaps
        |metainfo|appdata|bash-completion|zsh|fish|gdb|gcc|pkgconfig|cmake|aclocal|debconf|debhelper
        |initramfs-tools|apport|polkit-1|dbus-1|binfmts|perl5|emacs|vim|sgml|xml|systemtap
        |javascript|python-wheels|matplotlib/sample_data|zoneinfo/(right|posix))
    usr/share/python3/(runtime\.d|debpython|dist|bcep)
    usr/lib/(systemd|init|udev|modules|modules-load\.d|modprobe\.d|sysctl\.d|sysusers\.d|tmpfiles\.d
        |binfmt\.d|apt|dpkg|NetworkManager|pkgconfig|cmake|gcc)
    usr/lib/[^/]+/(pkgconfig|cmake|perl5|perl-base)
    usr/lib/node_modules/(npm|corepack)
    usr/lib/python3[^/]*/(.+/)?tests
    usr/lib/python3[^/]*/(config-[^/]*|idlelib|ensurepip|test|turtledemo)
    usr/lib/python3/dist-packages/sympy/integrals/rubi
    usr/lib/python3\.[0-9]+/dist-packages/numpy
    usr/lib/python3/dist-packages/.+\.(egg|dist)-info/(licenses|LICENSES)
"""
# ldconfig stays: Python's ctypes.util.find_library asks it.
_DROPPED_FILES = r"""
    .*\.(a|la|o|h|hh|hpp|pyi|pyc|pyo)
    usr/sbin/(?!ldconfig$).*
    usr/bin/(npm|npx|corepack|py3clean|py3compile|pdb3.*|pydoc3.*|pygettext3.*|dh_.*)
"""


def _any_of(words, tail):
    words = "".join(line if line.startswith(("|", "(")) else "\n" + line
                    for line in map(str.strip, words.splitlines()) if line)
    return re.compile("(" + "|".join(words.split("\n")[1:]) + ")" + tail)


_dropped = (_any_of(_DROPPED_DIRECTORIES, "(/|$)"), _any_of(_DROPPED_FILES, "$"))


def is_dropped(path):
    """Whether the canonical `path` is left out although a copied package owns it."""
    return any(rule.match(path) for rule in _dropped)


ETC = (
    "debian_version",
    "fonts/**",            # which fonts fontconfig offers
    "gai.conf",
    "host.conf",
    "inputrc",
    "ld.so.conf",
    "ld.so.conf.d/*.conf",
    "locale.alias",
    "matplotlibrc",
    "mime.types",
    "netconfig",           # libtirpc
    "os-release",
    "protocols",
    "python3/**",
    "python3.[0-9]*/**",
    "rpc",
    "services",
    "ssl/certs/*",         # public certificates; a file with a private key in it is left out
    "ssl/openssl.cnf",
    "terminfo/**",
)
"""The files of the host's /etc that may be seen, as patterns; ** is any depth."""

GENERATED = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/bash\n"
                  "sandbox:x:1000:1000:sandbox:/tmp:/bin/bash\n"
                  "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    "etc/group": "root:x:0:\nsandbox:x:1000:\nnogroup:x:65534:\n",
    "etc/hosts": "127.0.0.1\tlocalhost sandbox\n::1\tlocalhost ip6-localhost ip6-loopback\n",
    "etc/hostname": "sandbox\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n"
                         "networks: files\nprotocols: files\nservices: files\n",
    "etc/resolv.conf": "",
    "etc/shells": "/bin/sh\n/bin/bash\n",
    "etc/timezone": "Etc/UTC\n",
}
"""Files that every copy has with this content, whatever the host's say."""

LINKS = {
    "etc/localtime": "/usr/share/zoneinfo/Etc/UTC",
    "etc/mtab": "/proc/self/mounts",
    "usr/bin/python": "python3",  # the predecessor's images had it
}
"""Symbolic links that every copy has; each gives way to one that a package brought."""

LEADS_OUT = ("proc/", "dev/", "run/", "tmp/")
"""Link targets that a sandbox has although the copy has not."""
