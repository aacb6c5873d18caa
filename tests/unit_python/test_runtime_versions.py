"""What is executed by an environment's interpreter must be Python that 3.8 understands."""

import ast
import pathlib

import pytest

FOLDER = pathlib.Path(__file__).parents[2] / "runtime/python"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.name)
def test_its_syntax_is_that_of_python_3_8(path):
    ast.parse(path.read_text(), feature_version=(3, 8))
