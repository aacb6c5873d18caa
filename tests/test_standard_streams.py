"""Standard output and error under their names in /dev."""
import pytest


@pytest.mark.parametrize("language, code", [
    ("shell", "echo a > /dev/stdout; echo b > /dev/stderr; echo c >> /dev/fd/1"),
    ("python", """
        for name, text in (("stdout", "a"), ("stderr", "b"), ("fd/1", "c")):
            with open("/dev/" + name, "a") as f:
                print(text, file=f)
        """),
])
def test_the_streams_can_be_opened_by_name(client, language, code):
    answer = client.run(code, language=language)
    assert (answer["stdout"], answer["stderr"]) == ("a\nc\n", "b\n")


def test_nobody_reads_what_was_written_to_them(client):
    found = client.find("""
        import json, os, sys
        print("secret", flush=True)
        try:
            os.open("/dev/stdout", os.O_RDONLY | os.O_NONBLOCK)
            result = "opened"
        except OSError as error:
            result = type(error).__name__
        print(json.dumps({"result": result}))
        """)
    assert found["result"] == "PermissionError"
