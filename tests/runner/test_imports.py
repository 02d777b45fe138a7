"""Which files a step's Python code is made of: real Python says what it loads, the closure must find the same."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from frostline.runner.digests.hashing import Hasher
from frostline.runner.meaning.closure import Closures, follow_imports
from frostline.runner.meaning.entry_points import EntryPoint, entry_points
from frostline.runner.meaning.sources import Sources
from frostline.runner.project.spec import Step

from .conftest import Playground

# Runs a command line's Python in a child of its own, then prints what it has loaded below the root.
LOADED = """
import json, os, runpy, sys
root, kind, target = sys.argv[1:]
os.chdir(root)
sys.dont_write_bytecode = True
sys.path[0] = os.path.join(root, os.path.dirname(target)) if kind == "script" else root
before = set(sys.modules)
seen = set()
sys.addaudithook(lambda event, args: seen.add(args[0]) if event == "open" and str(args[0]).endswith(".py") else None)
(runpy.run_path if kind == "script" else runpy.run_module)(target, run_name="__main__")
print(json.dumps(sorted({os.path.relpath(path, root) for path in seen if path.startswith(root)} | (
    {target} if kind == "script" else set()))))
"""


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def closure(root: Path, kind: str, target: str, *folders: str, made: tuple[str, ...] = ()) -> list[str]:
    search = folders or (str(PurePosixPath(target).parent) if kind == "script" and "/" in target else "",)
    closures = Closures(root, Sources(root, Hasher(root, None), None), map(PurePosixPath, made))
    return list(closures.of(EntryPoint(kind, target, search)))


def loaded(root: Path, kind: str, target: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-S", "-c", LOADED, str(root), kind, target], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout)
    return found


FILES = {
    "scripts/train.py": "import json, near\nfrom pack import deep as d, VALUE\nimport pack.sub.leaf as leaf\n",
    "scripts/near.py": "def later():\n    import other\nlater()\n",
    "scripts/other.py": "",
    "scripts/unused.py": "",
    "scripts/pack/__init__.py": "VALUE = 1\nfrom .inner import x\n",
    "scripts/pack/inner.py": "x = 2\nfrom . import sibling\n",
    "scripts/pack/sibling.py": "",
    "scripts/pack/deep.py": "from .sub.leaf import y\n",
    "scripts/pack/unused.py": "",
    "scripts/pack/sub/__init__.py": "from ..sibling import __name__ as n\n",
    "scripts/pack/sub/leaf.py": "y = 3\nimport importlib\nimportlib.import_module('space.inner')\n",
    "scripts/space/inner.py": "try:\n    import absent\nexcept ImportError:\n    pass\n",
    "scripts/stars/__init__.py": "__all__ = ['first', 'second']\n",
    "scripts/stars/first.py": "",
    "scripts/stars/second.py": "",
    "scripts/stars/third.py": "",
    "scripts/star.py": "from stars import *\n",
    "tool/__init__.py": "",
    "tool/__main__.py": "from tool.work import go\n",
    "tool/work.py": "import scripts.near as near\ngo = near\n",
    "tool/typed.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from tool import work\n",
    "other.py": "",
    "path.py": "import sys, os\nsys.path.insert(0, os.path.join(os.path.dirname(__file__), 'scripts'))\nimport near\n",
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        ("script", "scripts/train.py"),
        ("script", "scripts/star.py"),
        ("module", "tool"),
        ("module", "tool.typed"),
        ("module", "scripts.near"),
    ],
)
def test_the_closure_is_what_python_loads(tmp_path: Path, kind: str, target: str) -> None:
    write(tmp_path, FILES)

    assert closure(tmp_path, kind, target) == loaded(tmp_path, kind, target)


def test_a_script_that_changes_its_search_path_is_followed_wherever_that_may_lead(tmp_path: Path) -> None:
    write(tmp_path, FILES)

    found = closure(tmp_path, "script", "path.py")

    assert loaded(tmp_path, "script", "path.py") == ["path.py", "scripts/near.py", "scripts/other.py"]
    assert found == ["other.py", "path.py", "scripts/near.py", "scripts/other.py"]


MODULES = ["a", "b", "p", "p.c", "p.d", "p.q", "p.q.e", "n.f", "gone", "p.gone", "json"]


@st.composite
def projects(draw: st.DrawFn) -> dict[str, str]:
    """Modules, a package in a package, a folder without `__init__.py`, and imports among them at random."""
    places = ["main.py", "a.py", "b.py", "p/__init__.py", "p/c.py", "p/d.py", "p/q/__init__.py", "p/q/e.py", "n/f.py"]
    files = {}
    for place in places:
        lines = []
        for _ in range(draw(st.integers(0, 3))):
            module = draw(st.sampled_from(MODULES))
            parent, _, name = module.rpartition(".")
            forms = [f"import {module}", f"from {module} import x"]
            forms += [f"from {parent} import {name}"] if parent else []
            if place.startswith("p/"):
                dots = ".." if place.startswith("p/q/") else "."
                forms += [f"from {dots} import c", f"from {dots}d import x", f"from {dots}q import e"]
            line = draw(st.sampled_from(forms))
            lines.append(f"try:\n    {line}\nexcept ImportError:\n    pass")
        files[place] = "\n".join([*lines, ""])
    return files


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=projects())
@example(files={"main.py": "from p import q\n", "p/__init__.py": "", "p/q/__init__.py": "from ..d import x\n",
                "p/d.py": "x = 1\n"})  # fmt: skip
def test_of_random_modules_too(tmp_path_factory: pytest.TempPathFactory, files: dict[str, str]) -> None:
    root = tmp_path_factory.mktemp("modules")
    write(root, files)

    assert closure(root, "script", "main.py") == loaded(root, "script", "main.py")


def test_what_a_step_makes_and_what_is_ignored_is_no_source(tmp_path: Path) -> None:
    write(tmp_path, {"x.py": "import made, hidden, own\n", "made.py": "import own2", "hidden.py": "", "own.py": "",
                     "own2.py": "", ".dvcignore": "hid*\n"})  # fmt: skip

    assert closure(tmp_path, "script", "x.py", made=("made.py",)) == ["own.py", "x.py"]


def test_a_script_that_is_no_python_of_this_version_counts_for_itself(tmp_path: Path) -> None:
    write(tmp_path, {"x.py": "print 'hello'\nimport y\n", "y.py": ""})

    assert closure(tmp_path, "script", "x.py") == ["x.py"]


def entries(line: str, *, shell: bool = False, env: dict[str, str] | None = None) -> list[tuple[str, str, str]]:
    step = Step(name="s", script=(line,), shell=shell, env_values=tuple((env or {}).items()))
    return [(entry.kind, entry.target, ":".join(entry.folders)) for entry in entry_points(step)]


@pytest.mark.parametrize(
    ("line", "shell", "expected"),
    [
        ("python scripts/x.py --to y.py", False, [("script", "scripts/x.py", "scripts")]),
        ("python3.11 -u -W error -Xdev ./x.py", False, [("script", "x.py", "")]),
        ("/usr/bin/python3 -um package.module a.py", False, [("module", "package.module", "")]),
        ("python -I x.py", False, [("script", "x.py", "")]),
        ("python -c 'import lib'", False, [("code", "import lib", "")]),
        ("env A=1 PYTHONPATH=src python -m x", False, [("module", "x", ":src")]),
        ("uv run python 'a b/x.py'", False, [("script", "a b/x.py", "a b")]),
        ("cat x.py | python a.py > log.txt && cd sub; python -m b", True,
         [("script", "a.py", ""), ("module", "b", "sub")]),
        ("torchrun --nproc 2 train.py x.py", False, [("script", "train.py", "")]),
        ("frostline train c.cfg --code lib/code.py", False, [("script", "lib/code.py", "")]),
        ("python -m spacy train c.cfg --code=code.py", False, [("module", "spacy", ""), ("script", "code.py", "")]),
        ("python", False, []),
        ("python -", False, [("script", "-", "")]),
        ("echo 'unbalanced", True, []),
        ("cat lib.py", False, []),
    ],
)  # fmt: skip
def test_command_lines_say_what_python_starts(line: str, shell: bool, expected: list[tuple[str, str, str]]) -> None:
    assert entries(line, shell=shell) == expected


def test_pythonpath_of_the_step_is_searched(tmp_path: Path) -> None:
    write(tmp_path, {"x.py": "import lib\n", "src/lib/__init__.py": ""})
    step = Step(name="s", script=("python x.py",), env_values=(("PYTHONPATH", "src"),))

    found = follow_imports(tmp_path, (step,), Sources(tmp_path, Hasher(tmp_path, None), None))

    assert [str(path) for path in found[0].imports] == ["src/lib/__init__.py", "x.py"]


def test_an_import_that_a_declared_folder_covers_is_not_listed_again(tmp_path: Path) -> None:
    write(tmp_path, {"s/x.py": "import y, z\n", "s/y.py": "", "s/z.py": ""})
    step = Step(name="s", script=("python s/x.py",), deps=(PurePosixPath("s"), PurePosixPath("w")))

    assert follow_imports(tmp_path, (step,), Sources(tmp_path, Hasher(tmp_path, None), None)) == (step,)


PROJECT = """
profiles: {only: {}}
commands:
  - {name: one, script: ["python scripts/one.py"], outputs: [one.txt]}
  - {name: two, script: ["python scripts/two.py"], outputs: [two.txt]}
"""


@pytest.fixture
def importing(playground: Playground) -> Playground:
    """Two steps whose scripts share a module; both have run."""
    playground.write(
        {
            "project.yml": PROJECT,
            "scripts/one.py": "import shared\nopen('one.txt', 'w').write(shared.TEXT)\n",
            "scripts/two.py": "open('two.txt', 'w').write('2')\n",
            "scripts/shared.py": "TEXT = 'a'\n",
        }
    )
    playground.project("run", "one", "two")
    return playground


def test_a_changed_module_reruns_the_steps_that_import_it_and_no_others(importing: Playground) -> None:
    assert importing.actions() == {"one": "skip", "two": "skip"}
    importing.write({"scripts/shared.py": "TEXT = 'b'\n"})

    decisions = importing.decisions()

    assert decisions["two"] == ("skip", [])
    assert decisions["one"][0] == "run"
    assert decisions["one"][1][0].startswith("dep 'scripts/shared.py' changed: ")
    assert "scripts/one.py, scripts/shared.py" in importing.project("why", "one")


def test_a_module_that_takes_an_imports_place_is_a_reason_to_run(importing: Playground) -> None:
    importing.write(
        {"scripts/one.py": "try:\n    import fast\nexcept ImportError:\n    fast = None\nopen('one.txt', 'w')"}
    )
    importing.project("run", "one", "two")

    importing.write({"scripts/fast.py": ""})

    assert importing.decisions()["one"] == ("run", ["dep 'scripts/fast.py' is new"])


def test_what_python_leaves_in_a_folder_that_a_step_reads_is_no_change(
    playground: Playground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    step = "{name: s, script: ['python scripts/x.py'], deps: [scripts], outputs: [out.txt]}"
    playground.write(
        {"project.yml": f"commands: [{step}]", "scripts/x.py": "import y\nopen('out.txt', 'w')\n", "scripts/y.py": ""}
    )

    playground.project("run", "s")

    assert (playground.root / "scripts/__pycache__").is_dir()
    assert playground.decisions() == {"s": ("skip", [])}
