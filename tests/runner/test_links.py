"""Links in the folders that steps read and write: followed, counted, or said; never silently left out."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from frostline.errors import StoreError

from .conftest import Playground

ASSET = """
profiles: {p: {}}
assets: [{dest: assets/v, url: v.tar, extract: true}]
workflows: {all: [fetch, use]}
commands:
  - {name: use, script: [python copy.py assets/v/l used], deps: [copy.py, assets/v], outputs: [used]}
"""
MAKER = """
profiles: {p: {}}
workflows: {all: [make, use]}
commands:
  - {name: make, script: [python make.py], deps: [make.py], outputs: [made]}
  - {name: use, script: [python copy.py made/l used], deps: [copy.py, made], outputs: [used]}
"""
MAKE = """import os
os.mkdir("made")
open("made/a.txt", "w").write("a")
os.symlink("a.txt", "made/l")
"""


def archive(root: Path) -> None:
    """v.tar: a.txt and a link to it."""
    (root / "a.txt").write_text("a")
    (root / "l").symlink_to("a.txt")
    with tarfile.open(root / "v.tar", "w") as tar:
        tar.add(root / "a.txt", "a.txt")
        tar.add(root / "l", "l")


@pytest.fixture
def spoilt(playground: Playground) -> Playground:
    """A made folder whose link leads nowhere, as the file that it leads to was lost."""
    playground.write({"project.yml": MAKER, "make.py": MAKE})
    playground.project("run", "all")
    (playground.root / "made/a.txt").unlink()
    return playground


def test_an_output_that_a_dead_link_has_spoilt_is_said_and_brought_back(spoilt: Playground) -> None:
    action, (reason,) = spoilt.decisions()["make"]
    assert action == "restore"
    assert reason.startswith("output 'made' is not as the step left it: '")
    assert reason.endswith("/made/l' is a link that leads nowhere")

    spoilt.project("run", "all")

    assert (spoilt.read("made/a.txt"), spoilt.read("made/l")) == ("a", "a")
    assert set(spoilt.actions().values()) == {"skip"}


def test_checkout_brings_back_what_a_dead_link_has_spoilt(spoilt: Playground) -> None:
    spoilt.project("checkout", "make")

    assert spoilt.read("made/l") == "a"


def test_an_asset_that_a_dead_link_has_spoilt_is_brought_again(playground: Playground) -> None:
    archive(playground.root)
    playground.write({"project.yml": ASSET})
    playground.project("run", "all")
    (playground.root / "assets/v/a.txt").unlink()
    assert playground.actions()["fetch"] in ("run", "restore")

    playground.project("run", "all")

    assert playground.read("assets/v/l") == "a"
    assert set(playground.actions().values()) == {"skip"}


def test_a_dead_link_in_a_dep_stays_an_error(spoilt: Playground) -> None:
    with pytest.raises(StoreError, match="leads nowhere"):
        spoilt.project("run", "use", "--only")
