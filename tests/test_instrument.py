"""The instrumented build itself: what it can make fail, and that it does."""
import errno
import subprocess

import pytest

from client import wait_until
from instrument.page import CALLS, PROGRAMS, ROLES, Page, build, place
from server import Server

# External functions that report no failure, or that only compute on memory they are given; those
# that a caller could not do anything about (close, free, exit and the like).
CANNOT_FAIL = set("""
    __assert_fail __cxa_finalize __errno_location __fdelt_chk __gmon_start__ __libc_start_main
    __libc_current_sigrtmax __stack_chk_fail __tls_get_addr __xpg_basename __explicit_bzero_chk
    _ITM_deregisterTMCloneTable _ITM_registerTMCloneTable __isoc99_fscanf __isoc99_sscanf
    _exit abort raise pause usleep alarm signal umask dirname getenv setenv setfsgid setfsuid
    __fprintf_chk __memcpy_chk __vfprintf_chk free closedir fclose endmntent freelocale munmap dirfd geteuid getpid sysconf uname isatty
    fgets fflush ferror fputc fputs fputs fread fwrite fprintf vfprintf printf putc putchar puts
    perror setvbuf dprintf getmntent hasmntopt mallopt
    memchr memcmp memcpy memmem memmove memrchr memset explicit_bzero strcasecmp strcat strchr
    strcmp strcpy strcspn strerror strftime strlen strncasecmp strncmp strncpy strncat strnlen
    strpbrk strptime strrchr strsep strsignal strspn strstr strtod strtod_l strtok_r strtol strtoll
    strtoul strtoull sigabbrev_np snprintf sprintf vsnprintf sscanf qsort fnmatch stpcpy
    iconv iconv_close iconv_open newlocale gmtime_r timegm timespec_get tdelete tfind tsearch
    inet_ntop inet_pton if_nametoindex getopt_long optarg opterr optind optopt stderr stdout
    pthread_attr_destroy pthread_attr_init pthread_attr_setstacksize pthread_join
    pthread_mutex_destroy pthread_mutex_init pthread_mutex_lock pthread_mutex_unlock pthread_self
    pthread_setname_np pthread_sigmask sigaddset sigemptyset sigfillset
    seccomp_attr_set seccomp_release toupper tolower isalnum atoi atoll bsearch
    __cmsg_nxthdr gnu_dev_major gnu_dev_makedev gnu_dev_minor
    """.split())
# What the build itself adds to count memory (instrument.c).
OWN = {"malloc_usable_size", "__libc_malloc", "__libc_calloc", "__libc_realloc", "__libc_memalign",
       "__libc_free"}
# Of these libraries everything is meant to fail that can; the rest only reads or lets go.
LIBRARIES = ("gnutls_", "json_", "sqlite3_", "uv_", "wslay_event_")


@pytest.fixture(scope="module")
def dist():
    """The instrumented build."""
    return build()


@pytest.mark.parametrize("program", PROGRAMS[:2])
def test_every_external_call_can_be_made_to_fail_or_is_known_not_to(dist, program):
    binary = dist / ("bin" if program == "dunlin" else "libexec/dunlin") / program
    symbols = subprocess.run(["nm", "-u", binary], capture_output=True, text=True, check=True)
    external = {line.split()[-1].split("@")[0] for line in symbols.stdout.splitlines()}
    unknown = {name for name in external - CANNOT_FAIL - OWN - set(CALLS)
               if not name.startswith(LIBRARIES)}
    assert unknown == set(), "put these into calls.def, or say here why they cannot fail"


def test_every_process_has_the_page_and_heals_after_a_fault(dist, tmp_path, spare_directory):
    page = Page(tmp_path / "page")
    server = Server(spare_directory, {"DUNLIN_INSTRUMENT": page.path}, dist=dist)
    try:
        server.start()
        client = server.client()
        assert client.run("print(1)")["stdout"] == "1\n"
        silent = {role for role in ROLES if not page.calls(role)} - {"init child"}
        assert silent == set()
        with page.failing("init", call="open", error=errno.EMFILE):
            wait_until(lambda: client.post({"code": "pass"}).status and page.hits, 10, "a fault")
        assert page.hit.role == "init" and page.hit.call == "open"
        assert ".c:" in place(dist, page.hit)
        wait_until(lambda: client.post({"code": "pass"}).status == 200, 10, "a run again")
        server.stop()
        server.assert_nothing_left()
    finally:
        server.abandon()
        page.close()
