"""Edits of comments and layout rerun nothing and bring the ledger up to date; what DVC ran without us is taken over."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from frostline.digest import md5_bytes
from frostline.runner.project.yaml_places import load_plain

from .conftest import Playground
from .test_dvc_oracle import CLEAN, DVC, dvc

needs_dvc = pytest.mark.skipif(not DVC.exists(), reason="dvc is not installed")

PROJECT = """
profiles: {only: {}}
workflows: {all: [make, use]}
commands:
  - name: make
    script: ["python scripts/make.py made.txt"]
    deps: [settings.yaml, lib]
    outputs: [made.txt]
    requires: [pytest]
  - name: use
    script: ["python copy.py made.txt used.txt"]
    deps: [made.txt]
    outputs: [used.txt]
"""
MAKE = "import sys\nfrom words import WORD\nopen('calls.txt', 'a').write('make ')\nopen(sys.argv[1], 'w').write(WORD)\n"
FILES = {
    "project.yml": PROJECT,
    "scripts/make.py": MAKE,
    "scripts/words.py": "WORD = 'w'  # the word\n",
    "settings.yaml": "rate: 1  # slow\n",
    "lib/code.py": "CODE = 1\n",
    "lib/data.txt": "data\n",
    ".dvcignore": "__pycache__/\n",
}
NOTED = "dep '{}' changed in comments or layout only"


@pytest.fixture
def edited(playground: Playground) -> Playground:
    """Two steps that have run."""
    playground.write(FILES)
    playground.project("run", "all")
    assert playground.calls() == ["make", "used.txt"]
    return playground


def recorded(ground: Playground, step: str, dep: str) -> str:
    stages = load_plain(ground.read("dvc.lock"))["stages"]
    return next(entry["md5"] for entry in stages[step]["deps"] if entry["path"] == dep)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("scripts/words.py", '"""Words."""\n\nWORD = (\n    "w"\n)\n'),
        ("settings.yaml", "# fast?\n\nrate:   1\n"),
        ("scripts/make.py", "# makes it\n" + MAKE),
    ],
)
def test_an_edit_of_comments_reruns_nothing_and_is_noted_in_the_ledger(
    edited: Playground, file: str, text: str
) -> None:
    edited.write({file: text})

    assert edited.decisions() == {"make": ("skip", [NOTED.format(file)]), "use": ("skip", [])}
    assert edited.project("status", "--check").splitlines()[-1] == "all 2 steps are up to date: nothing to run"
    assert "though " + NOTED.format(file) in edited.project("why", "make")
    assert edited.actions("--strict") == {"make": "run", "use": "run"}

    edited.project("run", "all")

    assert edited.calls() == []
    assert recorded(edited, "make", file) == md5_bytes(text.encode())
    assert edited.decisions("--strict") == {"make": ("skip", []), "use": ("skip", [])}


@pytest.mark.parametrize(("file", "text"), [("settings.yaml", "rate: 2\n"), ("lib/code.py", "CODE = 2\n"),
                                            ("lib/data.txt", "data # remark\n")])  # fmt: skip
def test_any_other_edit_reruns_the_step(edited: Playground, file: str, text: str) -> None:
    edited.write({file: text})

    assert edited.actions()["make"] == "run"


def test_a_folder_with_edits_of_comments_only_is_the_same(edited: Playground) -> None:
    edited.write({"lib/code.py": "CODE = 1  # one\n"})

    assert edited.decisions()["make"] == ("skip", [NOTED.format("lib")])
    edited.project("run", "all")
    assert edited.decisions()["make"] == ("skip", [])
    edited.write({"lib/code.py": "CODE = 1.0  # one\n"})
    assert edited.actions()["make"] == "run"


def test_an_edit_of_comments_is_compared_with_the_run_not_with_the_edit_before(edited: Playground) -> None:
    for word in ("one", "two"):
        edited.write({"scripts/words.py": f"WORD = 'w'  # {word}\n"})
        edited.project("run", "all")
    edited.write({"scripts/words.py": "WORD = 'v'  # two\n"})

    edited.project("run", "all")

    assert edited.read("used.txt") == "v"


def test_strict_reruns(edited: Playground) -> None:
    edited.write({"settings.yaml": "rate: 1  # quick\n"})

    edited.project("run", "all", "--strict")

    assert edited.calls() == ["make"]


def test_what_a_step_makes_counts_by_its_bytes(playground: Playground) -> None:
    text = PROJECT.replace("made.txt", "made.yaml").replace("[settings.yaml, lib]", "[settings.yaml]")
    copy = (
        "import sys\nopen('calls.txt', 'a').write('make ')\nopen(sys.argv[1], 'w').write(open('settings.txt').read())\n"
    )
    playground.write({**FILES, "project.yml": text.replace("settings.yaml", "settings.txt"), "scripts/make.py": copy,
                      "settings.txt": "a: 1 # x\n"})  # fmt: skip
    playground.project("run", "all")
    playground.calls()
    playground.write({"settings.txt": "a: 1 # y\n"})

    playground.project("run", "all")

    assert playground.calls() == ["make", "used.txt"]


def test_going_back_after_an_edit_of_comments_needs_no_run(edited: Playground) -> None:
    edited.write({"scripts/words.py": "WORD = 'w'  # another remark\n"})
    edited.project("run", "all")
    edited.write({"settings.yaml": "rate: 2\n"})
    edited.project("run", "all")
    edited.calls()

    edited.write({"settings.yaml": FILES["settings.yaml"]})
    edited.project("run", "all")

    assert edited.calls() == []


def clone_of(ground: Playground, *, store: bool) -> Playground:
    """What a git clone has: the ledger and the sources, no local state; with `store`, a pulled store too."""
    for words in (["init", "-q"], ["add", "-A"], ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x"]):
        subprocess.run(["git", *words], cwd=ground.root, check=True)
    root = ground.root.parent / "clone"
    subprocess.run(["git", "clone", "-q", ground.root, root], check=True)
    if store:
        shutil.copytree(ground.root / ".dvc/cache", root / ".dvc/cache")
    return Playground(root, ground.capture)


@pytest.mark.parametrize("store", [True, False])
def test_a_fresh_clone_knows_an_edit_of_comments_too(edited: Playground, store: bool) -> None:
    clone = clone_of(edited, store=store)
    if not store:
        for name in ("made.txt", "used.txt"):
            shutil.copyfile(edited.root / name, clone.root / name)
    clone.write({"scripts/words.py": "WORD = 'w'\n", "lib/code.py": "CODE = 1\n# end\n"})

    clone.project("run", "all")

    assert clone.calls() == []
    assert clone.read("used.txt") == "w"
    assert recorded(clone, "make", "scripts/words.py") == md5_bytes(b"WORD = 'w'\n")
    assert clone.decisions("--strict") == {"make": ("skip", []), "use": ("skip", [])}
    if DVC.exists() and store:
        assert dvc(clone, "status") == CLEAN


@needs_dvc
def test_dvc_agrees_before_and_after_an_edit_of_comments(edited: Playground) -> None:
    assert dvc(edited, "status") == CLEAN
    edited.write({"scripts/words.py": "WORD = 'w'\n", "lib/code.py": "CODE = 1 # x\n"})
    edited.project("run", "all")

    assert dvc(edited, "status") == CLEAN
    assert "Running stage" not in dvc(edited, "repro")
    assert edited.calls() == []


@needs_dvc
def test_what_dvc_ran_is_taken_over_with_imports_it_could_not_know(edited: Playground) -> None:
    script = MAKE.replace("WORD)", "WORD + more.MORE)").replace("import sys", "import sys, more")
    edited.write({"scripts/make.py": script, "scripts/more.py": "MORE = '!'\n"})
    dvc(edited, "repro")
    edited.calls()

    assert edited.decisions() == {"make": ("skip", []), "use": ("skip", [])}
    edited.project("run", "use", "--only")
    assert edited.decisions() == {"make": ("skip", []), "use": ("skip", [])}
    edited.project("run", "all")

    assert edited.calls() == []
    assert dvc(edited, "status") == CLEAN
    assert recorded(edited, "make", "scripts/more.py") == md5_bytes(b"MORE = '!'\n")
    edited.write({"scripts/more.py": "MORE = '?'\n"})
    assert edited.actions()["make"] == "run"
    assert "scripts/more.py" in dvc(edited, "status")


def test_many_records_are_brought_up_to_date_in_one_write(
    playground: Playground, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = "".join(f"  - {{name: s{i}, script: ['python s.py o{i}.txt'], outputs: [o{i}.txt]}}\n" for i in range(3))
    playground.write({"project.yml": f"profiles: {{only: {{}}}}\ncommands:\n{steps}",
                      "s.py": "import sys\nopen(sys.argv[1], 'w')\n"})  # fmt: skip
    playground.project("run", "s*")
    playground.write({"s.py": "import sys\n\nopen(sys.argv[1], 'w')\n"})
    written: list[str] = []
    real = os.replace
    monkeypatch.setattr(os, "replace", lambda old, new: (written.append(Path(new).name), real(old, new))[1])

    playground.project("run", "s*")

    assert written.count("dvc.lock") == 1
    assert set(playground.actions("--strict").values()) == {"skip"}
