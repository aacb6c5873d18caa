"""Runs the programs of the tools layer: their output goes to the log, their complaints are kept."""

import subprocess
import sys
import threading

KEPT_LINES = 200
LINE_BYTES = 4096


def run(command, kept=None):
    """Runs `command` to its end: its exit status and the last lines of its stderr.

    Its output and complaints are passed on as they come; kept, a list, gets the output instead.
    """
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:
        complaints = []
        reader = threading.Thread(target=_pass_on,
                                  args=(process.stderr, complaints, sys.stderr))
        reader.start()
        if kept is None:
            _pass_on(process.stdout, None, sys.stdout)
        else:
            kept.append(process.stdout.read())
        reader.join()
    return process.returncode, complaints


def _pass_on(stream, lines, out):
    for line in iter(lambda: stream.readline(LINE_BYTES), b""):
        text = line.decode("utf-8", "replace").rstrip("\r\n")
        print(text, file=out, flush=True)
        if lines is not None:
            lines.append(text)
            del lines[:-KEPT_LINES]


def say(text):
    """A line of our own in the log."""
    print(text, flush=True)
