"""Whether a pass is one of training is said by whoever starts it: no function has a default for it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import frostline

SOURCE = Path(frostline.__file__).parent
MODULES = [path for path in sorted(SOURCE.rglob("*.py")) if "runner" not in path.relative_to(SOURCE).parts]


def defaults_of(function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> dict[str, ast.expr]:
    """Parameter -> its default, where it has one."""
    given = function.args
    names = [one.arg for one in (*given.posonlyargs, *given.args)]
    found = dict(zip(names[len(names) - len(given.defaults) :], given.defaults, strict=True))
    found |= {one.arg: default for one, default in zip(given.kwonlyargs, given.kw_defaults, strict=True) if default}
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_is_train_has_no_default(path: Path) -> None:
    functions = [
        node for node in ast.walk(ast.parse(path.read_text(encoding="utf8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    ]  # fmt: skip

    assert [node.lineno for node in functions if "is_train" in defaults_of(node)] == []


def test_the_walk_finds_a_default_where_there_is_one() -> None:
    tree = ast.parse("lambda a, *, is_train=True: a")
    (lambda_node,) = [node for node in ast.walk(tree) if isinstance(node, ast.Lambda)]
    (function,) = ast.parse("def f(x, is_train=False): ...").body

    assert "is_train" in defaults_of(lambda_node)
    assert isinstance(function, ast.FunctionDef)
    assert "is_train" in defaults_of(function)
