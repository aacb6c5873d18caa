"""Curious and hostile users of environments: each gets a clear answer, and nobody else notices."""
import pytest

from client import unique_name
from environments import create, delete, environment, log, wait_for

WITHOUT_PYTHON = ("find / -xdev -name 'python*' -path '*bin*' -delete; rm -f /bin/bash /usr/bin/bash; "
                  "hash -r; ! command -v python3")


@pytest.mark.deadline(120)
def test_code_in_an_environment_without_its_interpreter_is_answered_as_a_shell_would(client):
    """It is the environment that lacks it: no 503, which would mean that the server is ill."""
    with environment(client, WITHOUT_PYTHON) as name:
        for _ in range(8):  # who has not read his job is heard all the same
            answer = client.run("print(1)", environment=name)
            assert (answer["success"], answer["exit_code"]) == (False, 127), answer.text
            assert answer["stderr"] == ("dunlin: python3 cannot be started in this environment: "
                                        "No such file or directory\n")
        answer = client.run("x=1; echo hi $((x + 1))", environment=name, language="shell")
        assert (answer["success"], answer["stdout"]) == (True, "hi 2\n"), answer.text
