"""What counts as the same text: comments, docstrings and layout may change, nothing else."""

from __future__ import annotations

import ast
import io
import json
import tokenize
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from frostline.runner.digests.hashing import Hasher
from frostline.runner.meaning import equivalence, sources
from frostline.runner.meaning.equivalence import is_same, meaning_of_python, meaning_of_text, on_record
from frostline.runner.meaning.python_source import read_python
from frostline.runner.meaning.source_values import Meaning
from frostline.runner.meaning.sources import Sources

ANY_FILE = st.sampled_from(
    [Path(sources.__file__).with_name(name) for name in ("sources.py", "closure.py", "entry_points.py")]
)


def python(text: str) -> Meaning:
    source = read_python(text.encode())
    assert source is not None
    return meaning_of_python(source)


@settings(max_examples=15, deadline=None)
@given(
    file=ANY_FILE,
    places=st.lists(st.integers(0, 10_000), max_size=5),
    remark=st.sampled_from(["", "# a", "        # b"]),
)
def test_comments_and_blank_lines_between_python_lines_are_nothing(file: Path, places: list[int], remark: str) -> None:
    text = file.read_text()
    tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    inside_a_token = {line for token in tokens for line in range(token.start[0], token.end[0])}
    lines = text.splitlines()
    allowed = [line for line in range(len(lines) + 1) if line not in inside_a_token]
    for after in sorted({allowed[place % len(allowed)] for place in places}, reverse=True):
        lines.insert(after, remark)

    assert python("\n".join(lines)) == python(text)


@settings(max_examples=10, deadline=None)
@given(file=ANY_FILE)
def test_python_written_anew_from_its_syntax_tree_is_the_same(file: Path) -> None:
    text = file.read_text()

    assert python(ast.unparse(ast.parse(text))).plain == python(text).plain


@settings(max_examples=25, deadline=None)
@given(file=ANY_FILE, place=st.integers(0, 10_000))
def test_a_changed_constant_or_name_is_never_the_same(file: Path, place: int) -> None:
    tree = ast.parse(file.read_text())
    unheeded = {
        id(part) for node in ast.walk(tree) if isinstance(node, ast.AnnAssign) for part in ast.walk(node.annotation)
    }
    unheeded |= {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
    nodes = [
        node for node in ast.walk(tree) if isinstance(node, ast.Attribute | ast.Constant) and id(node) not in unheeded
    ]
    node = nodes[place % len(nodes)]
    if isinstance(node, ast.Attribute):
        node.attr += "x"
    else:
        node.value = f"{node.value!r}x"

    after, before = python(ast.unparse(tree)), python(file.read_text())

    assert after.plain != before.plain and after.documented != before.documented


DOCUMENTED = '"""One."""\ndef f(x):\n    """Two."""\n    return x\n'


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ('"""ONE."""\n\n\ndef f(\n    x,\n):\n    """2"""\n    return (x)\n', True),
        ("def f(x): return x", True),
        ("def f(x):\n    return x  # \u00e9\n", True),
        ("#!/usr/bin/env python3\n" + DOCUMENTED, False),
        ("def f(x):\n    return x, \n", False),
        ("def f(y):\n    return y\n", False),
        ("def f(x):\n    'a'\n    'b'\n    return x\n", True),
        ("def f(x):\n    assert x\n    return x\n", False),
        ("from __future__ import annotations\n" + DOCUMENTED, False),
    ],
)
def test_what_is_the_same_python(text: str, same: bool) -> None:
    assert (python(text).plain == python(DOCUMENTED).plain) is same


@pytest.mark.parametrize(
    "use", ["print(f.__doc__)", "import typer", "from click import command", "import inspect as i; i.getdoc(f)"]
)
def test_docstrings_count_where_something_reads_them(use: str) -> None:
    texts = [f"{DOCUMENTED}{use}\n", f"{DOCUMENTED}{use}\n".replace("Two", "Three")]

    before, after = (on_record({"x.py": python(text)}, {"x.py": "ff"})["x.py"] for text in texts)

    assert not is_same(before, after)
    assert is_same(before, on_record({"x.py": python(texts[0] + "# more")}, {"x.py": "ff"})["x.py"])


def test_docstrings_of_all_files_of_a_step_count_where_one_reads_them() -> None:
    reader, plain = python("import plain\nprint(plain.f.__doc__)\n"), python(DOCUMENTED)
    edited = python(DOCUMENTED.replace("Two", "Three"))
    md5s = {"reader.py": "aa", "plain.py": "bb"}

    alone = [on_record({"plain.py": one}, md5s)["plain.py"] for one in (plain, edited)]
    together = [on_record({"reader.py": reader, "plain.py": one}, md5s)["plain.py"] for one in (plain, edited)]

    assert is_same(*alone)
    assert not is_same(*together)


@pytest.mark.parametrize(
    "use", ["import inspect; inspect.getsource(f)", "import sys; sys._getframe().f_lineno", "# /// script"]
)
def test_every_byte_counts_where_lines_are_looked_at(use: str) -> None:
    before, after = (
        on_record({"x.py": python(f"{DOCUMENTED}{use}\n{end}")}, {"x.py": "ff"})["x.py"] for end in ("", "#\n")
    )

    assert not is_same(before, after)


def test_what_another_python_has_put_on_record_is_not_known_to_be_the_same() -> None:
    today = on_record({"x.py": python(DOCUMENTED)}, {"x.py": "ff"})["x.py"]

    assert is_same(today, today)
    assert not is_same(today.replace("1.", "1.other-"), today)
    assert not is_same(today.replace(" 1.", " 0."), today)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text("abc: #-'\"\n\u00e9", max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abcx", min_size=1, max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)
STYLES = st.fixed_dictionaries(
    {
        "default_flow_style": st.booleans(),
        "indent": st.integers(2, 6),
        "width": st.integers(20, 200),
        "default_style": st.just(None),
        "explicit_start": st.booleans(),
    }
)


@settings(max_examples=60, deadline=None)
@example(
    value=[":a"],
    other=None,
    first={"default_flow_style": False, "default_style": None},
    second={"default_flow_style": True, "default_style": None},
)
@given(value=VALUES, other=VALUES, first=STYLES, second=STYLES)
def test_yaml_is_the_same_where_its_values_are(value: Any, other: Any, first: Any, second: Any) -> None:
    def text(value: Any, style: Any) -> str:
        return "# a remark\n" + yaml.safe_dump(value, sort_keys=False, **style) + "\n# another\n"

    meaning = meaning_of_text(".yaml", text(value, first).encode())

    assert meaning is not None
    assert meaning == meaning_of_text(".yaml", text(value, second).encode())
    if json.dumps(value) != json.dumps(other):
        assert meaning != meaning_of_text(".yaml", text(other, second).encode())


@pytest.mark.parametrize(
    ("suffix", "one", "other", "same"),
    [
        (".yaml", "a: on", 'a: "on"', False),  # a truth value to readers of YAML 1.1
        (".yaml", "a: yes", "a: true", False),
        (".yaml", "a: &x [1]\nb: *x", "a: &y [1]\nb: *y", True),
        (".yaml", "a: 1\nb: 2", "b: 2\na: 1", False),
        (".yml", "a: |\n  x\n", 'a: "x\\n"', True),
        (".yaml", "a: 1\n---\nb: 2\n", "a: 1\nb: 2\n", False),
        (".cfg", "[a]\nb = 1\n", "# x\n[a]\n\nb=1\n; y\n", True),
        (".cfg", "[a]\nb = [1, 2]\n", "[a]\nb = [\n  1,\n  # two\n  2]\n", True),
        (".cfg", "[a]\nb = 1\n", "[a]\nB = 1\n", False),
        (".cfg", "[a]\nb = 1\n", "[a]\nb = 1.0\n", False),
        (".cfg", "[a]\nb = x\n", "[a]\nb = x  # y\n", False),
        (".ini", "[a]\nb = 1\n[c]\n", "[c]\n[a]\nb = 1\n", False),
        (".toml", "a = [1, 2] # x\n", "a = [\n  1,\n  2,\n]\n", True),
        (".toml", "a = 1", "a = 1.0", False),
    ],
)
def test_what_is_the_same_configuration(suffix: str, one: str, other: str, same: bool) -> None:
    first, second = (meaning_of_text(suffix, text.encode()) for text in (one, other))

    assert first is not None
    assert (first == second) is same


@pytest.mark.parametrize(
    ("suffix", "text"),
    [(".yaml", "a: ["), (".yaml", "a: \xff"), (".cfg", "no section"), (".cfg", "[a]\n[a]\n"), (".toml", "a =")],
)
def test_what_can_not_be_read_counts_by_its_bytes(suffix: str, text: str) -> None:
    assert meaning_of_text(suffix, text.encode("latin-1")) is None


def test_what_is_no_python_of_this_version_counts_by_its_bytes() -> None:
    assert read_python(b"print 'x'") is None
    assert read_python(b"return 1") is None
    assert read_python(b"x = (" * 5000) is None
    assert read_python(b"\0") is None


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of code, settings and data."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/a.py").write_text("A = 1  # one\n")
    (tmp_path / "lib/b.yaml").write_text("b: 1\n")
    (tmp_path / "lib/c.txt").write_text("data # no comment\n")
    return tmp_path


def meaning_of_folder(root: Path) -> str | None:
    meaning = Sources(root, Hasher(root, None), None).meaning("lib")
    return None if meaning is None else meaning.plain


@pytest.mark.parametrize(
    ("name", "text", "same"),
    [
        ("a.py", "A = (1)\n", True),
        ("a.py", "A = 2\n", False),
        ("b.yaml", "{b: 1}\n", True),
        ("b.yaml", "b: 2\n", False),
        ("c.txt", "data\n", False),
        ("d.py", "", False),
    ],
)
def test_a_folder_is_the_same_where_all_its_files_are(folder: Path, name: str, text: str, same: bool) -> None:
    before = meaning_of_folder(folder)
    (folder / "lib" / name).write_text(text)

    assert (meaning_of_folder(folder) == before) is same


def test_a_folder_without_text_we_know_or_with_too_much_counts_by_its_bytes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(equivalence, "MAX_FILES", 1)
    assert meaning_of_folder(folder) is None
    monkeypatch.setattr(equivalence, "MAX_FILES", 2)
    assert meaning_of_folder(folder) is not None
    for name in ("a.py", "b.yaml"):
        (folder / "lib" / name).unlink()
    assert meaning_of_folder(folder) is None


def test_texts_are_read_once_for_each_content(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = folder / "state"
    first = Sources(folder, Hasher(folder, None), state)
    known = (first.meaning("lib"), first.python("lib/a.py"), first.meaning("lib/b.yaml"))
    first.save()
    monkeypatch.setattr(sources, "_read", lambda suffix, data: pytest.fail(f"a {suffix} file was read"))

    again = Sources(folder, Hasher(folder, None), state)

    assert (again.meaning("lib"), again.python("lib/a.py"), again.meaning("lib/b.yaml")) == known
