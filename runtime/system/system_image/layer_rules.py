"""What a layer of a complete Debian system holds besides the files of its packages.

Tables only: debian_root.py applies them.
"""

import re

_PRUNED = re.compile(r"usr/share/(man|info|locale|lintian|linda|doc-base|bug)/"
                     r"|usr/share/doc/(?!.*/copyright$)")


def is_pruned(path):
    """Whether the file `path` is only there to be read by people."""
    return _PRUNED.match(path) is not None


TOPS = ("boot", "dev", "etc", "home", "media", "mnt", "opt", "proc", "root", "run", "srv", "sys",
        "tmp", "usr", "var")
"""Where directories of packages are made; files of theirs are taken below usr/ and etc/ only."""

FOLDERS = {
    **dict.fromkeys(TOPS, 0o755),
    "root": 0o700,
    "tmp": 0o1777,
    "var/tmp": 0o1777,
    "etc/apt/apt.conf.d": 0o755,
    "etc/apt/preferences.d": 0o755,
    "etc/apt/sources.list.d": 0o755,
    "etc/apt/trusted.gpg.d": 0o755,
    "usr/local/bin": 0o755,
    "usr/local/etc": 0o755,
    "usr/local/include": 0o755,
    "usr/local/lib": 0o755,
    "usr/local/sbin": 0o755,
    "usr/local/share": 0o755,
    "usr/local/src": 0o755,
    **{f"usr/share/man/man{section}": 0o755 for section in range(1, 9)},  # links are made there
    "var/cache/apt/archives/partial": 0o755,
    "var/cache/debconf": 0o755,
    "var/lib/apt/lists/partial": 0o755,
    "var/lib/apt/mirrors/partial": 0o755,
    "var/lib/apt/periodic": 0o755,
    "var/lib/dpkg/info": 0o755,
    "var/lib/dpkg/parts": 0o755,
    "var/lib/dpkg/triggers": 0o755,
    "var/lib/dpkg/updates": 0o755,
    "var/log/apt": 0o755,
}

SANDBOX_USER = "sandbox:*:1000:1000:sandbox:/tmp:/bin/bash"
APT_USER = "_apt:*:42:65534::/nonexistent:/usr/sbin/nologin"
SANDBOX_GROUP = "sandbox:*:1000:"


def _pam(kind, options=""):
    return (f"{kind} [success=1 default=ignore] pam_unix.so {options}\n"
            f"{kind} requisite pam_deny.so\n{kind} required pam_permit.so\n")


GENERATED = {
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n"
                         "networks: files\nprotocols: files\nservices: files\n",
    "etc/hosts": "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n",
    "etc/hostname": "sandbox\n",
    "etc/resolv.conf": "",
    "etc/shells": "/bin/sh\n/bin/bash\n/usr/bin/sh\n/usr/bin/bash\n",
    "etc/timezone": "Etc/UTC\n",
    "etc/fstab": "",
    "etc/machine-id": "",
    "etc/environment": "",
    # A build is its own world: nothing of the distribution can be broken in it.
    "etc/pip.conf": "[global]\nbreak-system-packages = true\nroot-user-action = ignore\n",
    # As slim images have it: an environment's disk is for what runs.
    "etc/dpkg/dpkg.cfg.d/dunlin": "".join(
        f"path-exclude=/usr/share/{name}/*\n"
        for name in ("man", "info", "locale", "lintian", "doc"))
        + "path-include=/usr/share/doc/*/copyright\n",
    "etc/pam.d/common-account": _pam("account"),
    "etc/pam.d/common-auth": _pam("auth", "nullok"),
    "etc/pam.d/common-password": _pam("password", "obscure yescrypt"),
    "etc/pam.d/common-session": _pam("session"),
    "etc/pam.d/common-session-noninteractive": _pam("session"),
}
"""Files that packages make when they are installed, with the same content everywhere."""

COPIES = {
    "etc/profile": "usr/share/base-files/profile",
    "root/.bashrc": "usr/share/base-files/dot.bashrc",
    "root/.profile": "usr/share/base-files/dot.profile",
}
"""Files that packages make from others of theirs."""

CERTIFICATES = "usr/local/share/ca-certificates"
KEYRINGS = ("etc/apt/trusted.gpg.d/*.gpg", "etc/apt/trusted.gpg.d/*.asc", "etc/apt/keyrings/*",
            "usr/share/keyrings/*")
