"""Links in the folders that steps read and write: followed, counted, or said; never silently left out."""

from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path

import pytest

from frostline.errors import StepFailed, StoreError, UsageError

from .conftest import Playground
from .test_clearing import run_and_hear
from .test_dvc_oracle import CLEAN, DVC, dvc

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


READER = """
profiles: {p: {}}
workflows: {all: [read]}
commands:
  - {name: read, script: [python copy.py d/latest/x out], deps: [copy.py, d], outputs: [out]}
"""


@pytest.fixture
def linked(playground: Playground) -> Playground:
    """A step that reads through a link from one folder of a dep to another."""
    playground.write({"project.yml": READER, "d/c1/x": "1", "d/c2/x": "2"})
    point(playground, "c1")
    return playground


def point(ground: Playground, target: str, link: str = "d/latest") -> None:
    """Let a link lead elsewhere."""
    (ground.root / link).unlink(missing_ok=True)
    (ground.root / link).symlink_to(target)


def test_a_link_in_a_dep_that_leads_elsewhere_is_a_cause_with_its_name(linked: Playground) -> None:
    linked.project("run", "all")
    assert linked.actions() == {"read": "skip"}
    point(linked, "c2")

    assert linked.decisions()["read"] == ("run", ["link 'd/latest' changed: c1 \u2192 c2"])
    (row,) = json.loads(linked.project("status", "--json"))
    assert row["causes"] == [{"kind": "links", "name": "d", "old": '{"latest": "c1"}', "new": '{"latest": "c2"}'}]
    linked.project("run", "all")

    assert linked.read("out") == "2"
    point(linked, "c1")
    assert linked.actions() == {"read": "restore"}
    linked.project("run", "all")
    assert linked.read("out") == "1"


def test_a_link_that_comes_while_a_step_runs_is_a_change(linked: Playground) -> None:
    (linked.root / "d/latest").unlink()
    text = READER.replace("python copy.py d/latest/x out", "python copy.py d/c1/x out, ln -s c1 d/latest")
    linked.write({"project.yml": text})
    linked.project("run", "all")

    assert linked.actions() == {"read": "run"}


def test_a_link_in_a_dep_that_is_new_or_gone_is_a_cause(linked: Playground) -> None:
    (linked.root / "d/latest").unlink()
    linked.write({"d/latest/x": "own", "project.yml": READER.replace("d/latest/x", "d/c1/x")})
    linked.project("run", "all")
    point(linked, "c1", "d/new")
    assert linked.decisions()["read"] == ("run", ["link 'd/new' changed: not there \u2192 c1"])
    linked.project("run", "all")
    (linked.root / "d/new").unlink()

    assert linked.decisions()["read"] == ("run", ["link 'd/new' changed: c1 \u2192 not there"])


def test_a_clone_knows_the_links(linked: Playground) -> None:
    linked.project("run", "all")
    (linked.root / ".dvc/tmp/frostline/state-p.json").unlink()
    assert linked.actions() == {"read": "skip"}
    point(linked, "c2")

    assert linked.actions() == {"read": "run"}


def test_what_lies_behind_a_link_that_is_ignored_or_leads_out_is_refused(linked: Playground) -> None:
    linked.write({"shared/x": "far", "d/hidden/x": "", ".dvcignore": "hidden/\n"})
    for target in ("../shared", "hidden"):
        point(linked, target)
        with pytest.raises(StepFailed) as caught:
            linked.project("run", "all")
        assert caught.value.message == (
            f"'d/latest', which step 'read' reads, is a link out of 'd' to the folder '{target}': what lies there "
            "would not count."
        )
        assert caught.value.where == "project.yml:5"
    assert not (linked.root / "out").exists()


def test_a_link_out_to_another_dep_or_that_is_ignored_is_not_refused(linked: Playground) -> None:
    linked.write({"shared/x": "far"})
    point(linked, "../shared")
    linked.write({"project.yml": READER.replace("copy.py, d]", "copy.py, d, shared]")})
    linked.project("run", "all")
    assert linked.read("out") == "far"
    linked.write({"shared/x": "farther"})
    assert linked.actions() == {"read": "run"}

    linked.write({"project.yml": READER, ".dvcignore": "latest\n"})
    linked.project("run", "all")


def test_verify_has_the_links_of_a_dep_in_its_copy_and_tells_of_others(linked: Playground) -> None:
    linked.project("run", "all")
    assert linked.project("verify", "read") == "read: the same bytes (out)\n"
    point(linked, "c2")

    with pytest.raises(UsageError, match="a link in the dep 'd' has changed"):
        linked.project("verify", "read")


@pytest.mark.skipif(not DVC.exists(), reason="dvc is not installed")
def test_dvc_finds_the_same_where_a_dep_holds_links_to_folders(linked: Playground) -> None:
    linked.project("run", "all")

    assert dvc(linked, "status") == CLEAN


MAKE_LINK = "import os\nos.makedirs('o/c1')\nopen('o/c1/x', 'w').write('1')\nos.symlink('c1', 'o/latest')\n"
OUTPUT = "commands: [{name: make, script: [python make.py], deps: [make.py], outputs: [o]}]\nworkflows: {all: [make]}\n"


def test_a_link_to_a_folder_in_an_output_fails_the_step(playground: Playground) -> None:
    playground.write({"project.yml": "profiles: {p: {}}\n" + OUTPUT, "make.py": MAKE_LINK})

    with pytest.raises(StepFailed) as caught:
        playground.project("run", "all")

    assert caught.value.message == (
        "'o/latest', which step 'make' made, is a link to a folder: neither DVC's ledger nor the store can keep it."
    )
    assert playground.actions() == {"make": "run"}
    playground.write({".dvcignore": "latest\n"})
    playground.project("run", "all")
    assert playground.actions() == {"make": "skip"}


def test_in_a_weasel_file_such_an_output_is_said_recorded_and_not_stored(playground: Playground) -> None:
    playground.write({"project.yml": OUTPUT, "make.py": MAKE_LINK})

    said = run_and_hear(playground, "all")

    assert "warning: 'o/latest', which step 'make' made, is a link to a folder" in said
    assert playground.actions() == {"make": "skip"}
    (playground.root / "o/c1/x").unlink()
    assert playground.actions() == {"make": "run"}
    (playground.root / "o/latest").unlink()
    (playground.root / "make.py").write_text(MAKE_LINK.replace("os.makedirs('o/c1')", ""))
    playground.project("run", "all")
    assert (playground.root / "o/latest").is_symlink()


def test_a_name_that_is_no_utf8_is_refused(playground: Playground) -> None:
    make = "import os\nos.mkdir('o')\nopen(b'o/caf\\xe9', 'w').close()\n"
    playground.write({"project.yml": "profiles: {p: {}}\n" + OUTPUT, "make.py": make})

    with pytest.raises(StepFailed, match=r"The name of 'o/caf\\xe9' is no UTF-8"):
        playground.project("run", "all")

    playground.write({"project.yml": "profiles: {p: {}}\n" + OUTPUT.replace("[make.py]", "[make.py, d]")})
    (playground.root / "d").mkdir()
    (playground.root / os.fsdecode(b"d/caf\xe9")).touch()
    with pytest.raises(StepFailed, match=r"The name of 'd/caf\\xe9' is no UTF-8"):
        playground.project("run", "all")
