"""What the text of a Python file says: which modules it imports, and what it does apart from comments and layout.

Nothing is run or imported. Two texts that compile to the same code, lines and docstrings aside, do the same; that is
what `code` is a digest of. It holds within one version of Python (`PYTHON_TAG`), as others compile differently.
"""

from __future__ import annotations

import ast
import itertools
import marshal
import warnings
from collections.abc import Iterator

from frostline.digest import sha256_bytes, sha256_json
from frostline.runner.meaning.source_values import Import, PythonSource

# Libraries that make a program's behaviour, or at least its help, out of docstrings.
DOCSTRING_READERS = frozenset((
    "typer", "click", "fire", "docopt", "plac", "radicli", "cyclopts", "argh", "clize", "defopt", "jsonargparse",
    "tyro", "invoke", "datargs", "doctest",
))  # fmt: skip
DOC_NAMES = frozenset(("__doc__", "getdoc", "cleandoc"))
# Whoever asks for these sees lines, or the text itself.
LINE_NAMES = frozenset((
    "getsource", "getsourcelines", "getcomments", "linecache", "currentframe", "_getframe", "extract_stack",
    "f_lineno", "tb_lineno", "co_firstlineno", "__firstlineno__",
))  # fmt: skip
_FIXED_PLACE = {"lineno": 1, "end_lineno": 1, "col_offset": 0, "end_col_offset": 0}
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def read_python(data: bytes) -> PythonSource | None:
    """What a file's bytes say; None when they are no Python of this version."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            tree = ast.parse(data)
            reader = _Reader()
            reader.read(tree)
            code = compile(tree, "<source>", "exec", dont_inherit=True, optimize=0)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None
    return PythonSource(
        imports=tuple(dict.fromkeys(reader.imports)),
        exported=tuple(reader.exported),
        search_hints=tuple(reader.hints) if reader.changes_path else None,
        code=sha256_bytes(_first_line(data) + marshal.dumps(code, 0)),
        docstrings=sha256_json(reader.docstrings),
        uses_docstrings=reader.uses_docstrings,
        uses_lines=reader.uses_lines or b"# /// " in data,  # a block that tells launchers what to install
    )


def _first_line(data: bytes) -> bytes:
    """`#!…`, which says who runs the file."""
    return data.split(b"\n", 1)[0] if data.startswith(b"#!") else b""


class _Reader:
    """One pass over a syntax tree: notes what is asked for, and takes places and docstrings away."""

    def __init__(self) -> None:
        self.imports: list[Import] = []
        self.exported: list[str] = []
        self.hints: list[str] = []
        self.docstrings: list[str] = []
        self.changes_path = False
        self.uses_docstrings = False
        self.uses_lines = False

    def read(self, tree: ast.Module) -> None:
        """Go through all nodes; those under `if TYPE_CHECKING` import nothing."""
        pending: list[tuple[ast.AST, bool]] = [(tree, True)]
        while pending:
            node, runs = pending.pop()
            values = node.__dict__
            if "lineno" in values:
                values.update(_FIXED_PLACE)
            kind = type(node)
            if kind is ast.Name:
                self._name(values["id"])
                continue
            if kind in _DOCUMENTED:
                self._take_docstring(values["body"])
            elif kind is ast.Attribute:
                self._name(values["attr"])
                self.uses_lines |= values["attr"] == "stack" and getattr(values["value"], "id", "") == "inspect"
            elif kind is ast.Import or kind is ast.ImportFrom:
                self._import(node, runs)
            elif kind is ast.Call:
                self._call(values)
            elif isinstance(node, ast.Assign | ast.AugAssign | ast.Expr):
                self._statement(node)
            if kind is ast.If and _is_type_checking(values["test"]):
                pending += [(child, False) for child in values["body"]]
                pending += [(child, runs) for child in (*values["orelse"], values["test"])]
            else:
                pending += [(child, runs) for child in _children(values)]

    def _name(self, name: str) -> None:
        if name in DOC_NAMES:
            self.uses_docstrings = True
        elif name in LINE_NAMES:
            self.uses_lines = True

    def _take_docstring(self, body: list[ast.stmt]) -> None:
        texts = list(itertools.takewhile(lambda text: text is not None, map(_text_alone, body)))
        self.docstrings.append(texts[0] or "" if texts else "")
        if texts:  # all of them, as the next one would take the first one's place
            body[: len(texts)] = [] if len(body) > len(texts) else [ast.Pass(**_FIXED_PLACE)]

    def _import(self, node: ast.AST, runs: bool) -> None:
        if isinstance(node, ast.Import):
            found = [Import(alias.name) for alias in node.names]
        else:
            assert isinstance(node, ast.ImportFrom)
            found = [Import(node.module or "", tuple(alias.name for alias in node.names), node.level)]
        for one in found:
            for name in (one.module.split(".")[0], *one.names):
                self._name(name)
                self.uses_docstrings |= name in DOCSTRING_READERS
            self.uses_lines |= one.module == "inspect" and "stack" in one.names
        if runs:
            self.imports += found

    def _call(self, values: dict[str, object]) -> None:
        """`importlib.import_module("a.b")`, `__import__("a")`."""
        function, arguments = values["func"], values["args"]
        name = getattr(function, "attr", None) or getattr(function, "id", None)
        if name in ("import_module", "__import__") and isinstance(arguments, list) and arguments:
            first = arguments[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                bare = first.value.lstrip(".")
                self.imports.append(Import(bare, level=len(first.value) - len(bare)))

    def _statement(self, node: ast.Assign | ast.AugAssign | ast.Expr) -> None:
        """`__all__ = […]`, and whatever changes `sys.path`."""
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets):
            self.exported += _texts(node.value)
        elif any(_is_sys_path(target) for target in targets) or (
            isinstance(node.value, ast.Call)
            and isinstance(node.value.func, ast.Attribute)
            and _is_sys_path(node.value.func.value)
        ):
            self.changes_path = True
            self.hints += _texts(node.value)


def _text_alone(node: ast.stmt) -> str | None:
    """The text of a statement that is nothing else."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return node.value.value
    return None


def _children(values: dict[str, object]) -> Iterator[ast.AST]:
    for value in values.values():
        if isinstance(value, ast.AST):
            yield value
        elif isinstance(value, list):
            for item in value:
                if isinstance(item, ast.AST):
                    yield item


def _texts(node: ast.AST) -> list[str]:
    return [one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)]


def _is_type_checking(node: ast.AST) -> bool:
    return getattr(node, "id", None) == "TYPE_CHECKING" or getattr(node, "attr", None) == "TYPE_CHECKING"


def _is_sys_path(node: ast.AST | None) -> bool:
    if isinstance(node, ast.Subscript):
        node = node.value
    return isinstance(node, ast.Attribute) and node.attr == "path" and getattr(node.value, "id", None) == "sys"
