"""Runs a script and then writes down some of its global variables, as JSON.

``python3 variables.py FILE NAMES SCRIPT ARGS...``, warm or cold, in a session: NAMES is a JSON list,
FILE gets one JSON object with those of the names that the script has defined.  The script is
``__main__``, as ``python3 SCRIPT ARGS...`` would run it.  Nothing is written when it raises or
exits.  It is inside the sandbox; nothing here is a barrier.
"""


def main():
    """Runs the script in the namespace of ``__main__``, after emptying that."""
    import json
    import os
    import sys

    own = __file__
    path, names, script = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3]
    del sys.argv[:3]
    sys.path[0] = os.path.dirname(os.path.abspath(script))
    namespace = sys.modules["__main__"].__dict__
    for name in ("main", "__doc__"):
        namespace.pop(name, None)
    namespace["__file__"] = script
    show = sys.excepthook

    def without_us(kind, exc, traceback):
        while traceback is not None and traceback.tb_frame.f_code.co_filename == own:
            traceback = traceback.tb_next
        show(kind, exc.with_traceback(traceback), traceback)

    def text(value):
        try:
            return str(value)
        except BaseException:
            return "<%s>" % type(value).__name__

    def plain(value, depth=0):
        """``value`` as strict JSON has it: null for NaN and infinities, text for what it has not."""
        if isinstance(value, float):
            return value if value - value == 0 else None
        if isinstance(value, str):  # JSON has no half of a surrogate pair
            return value.encode("utf-8", "replace").decode()
        if value is None or isinstance(value, (bool, int)):
            return value
        if depth > 50:
            return text(value)
        if isinstance(value, dict):
            return {
                plain(key if isinstance(key, str) else text(key)): plain(item, depth + 1)
                for key, item in value.items()
            }
        if isinstance(value, (list, tuple)):
            return [plain(item, depth + 1) for item in value]
        return text(value)

    sys.excepthook = without_us
    with open(script, "rb") as f:
        code = compile(f.read(), script, "exec", dont_inherit=True)
    exec(code, namespace)
    found = {name: plain(namespace[name]) for name in names if name in namespace}
    try:
        with open(path, "w", encoding="ascii") as f:
            json.dump(found, f, allow_nan=False)
    except OSError as exc:
        print("output_params: %s" % exc, file=sys.stderr)


main()
