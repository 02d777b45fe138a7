"""`project assets` as a user meets it, and the step `fetch`, which calls it."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from frostline.errors import ChecksumError, ProjectFileError, StepFailed, UsageError
from frostline.runner.cli.main import dispatch

FILE = """
vars: {name: set}
directories: [corpus]
assets:
  - dest: assets/${vars.name}
    url: [absent.zip, kept.zip]
    sha256: SHA
    extract: true
  - dest: assets/private.txt
    checksum: MD5
    description: Ask the owner for it.
  - dest: assets/more.zip
    url: kept.zip
    extra: true
commands:
  - {name: use, script: ["python use.py"], deps: [assets/set/a.txt], outputs: [used.txt]}
  - {name: more, script: ["python use.py"], deps: [assets/more.zip], outputs: [used-more.txt]}
  - {name: private, script: ["python use.py"], deps: [assets/private.txt], outputs: [used-private.txt]}
"""


@pytest.fixture
def root(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    with zipfile.ZipFile(tmp_path / "kept.zip", "w") as archive:
        archive.writestr("a.txt", "alpha")
    digest = hashlib.sha256((tmp_path / "kept.zip").read_bytes()).hexdigest()
    secret = hashlib.md5(b"private").hexdigest()
    (tmp_path / "project.yml").write_text(FILE.replace("SHA", digest).replace("MD5", secret))
    (tmp_path / "use.py").write_text("open('used.txt', 'w').write(open('assets/set/a.txt').read())")
    return tmp_path


def project(root: Path, *words: str) -> int:
    """The exit code of a call."""
    try:
        dispatch([*words, "--project", str(root)])
    except SystemExit as leaving:
        return int(leaving.code or 0)
    return 0


def test_check_tells_each_state_and_leaves_with_1_until_all_is_there(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert project(root, "assets", "--check") == 1
    assert capsys.readouterr().out.splitlines()[1:] == [
        "assets/set          is not there",
        "assets/private.txt  is not there",
    ]
    assert not (root / ".dvc").exists()

    assert project(root, "assets") == 0
    assert (root / "corpus").is_dir()
    assert capsys.readouterr().out == "1 asset in place, 1 to be brought by hand\n"
    (root / "assets" / "private.txt").write_bytes(b"private")

    assert project(root, "assets", "--check", "--json") == 0
    assert [row["state"] for row in json.loads(capsys.readouterr().out)] == ["right", "right"]
    assert project(root, "assets", "--check", "--extra") == 1


def test_a_private_file_with_other_bytes_is_refused(root: Path) -> None:
    (root / "assets").mkdir()
    (root / "assets" / "private.txt").write_bytes(b"another")

    with pytest.raises(ChecksumError, match=r"The asset 'assets/private\.txt' is another file") as caught:
        project(root, "assets")

    assert caught.value.fix == "Ask the owner for it."
    assert (root / "assets" / "private.txt").read_bytes() == b"another"


def test_overrides_reach_the_assets(root: Path) -> None:
    project(root, "assets", "--vars.name", "other")

    assert (root / "assets" / "other" / "a.txt").read_text() == "alpha"


def test_the_step_fetch_brings_them_and_a_changed_entry_makes_it_stale(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project(root, "run", "use")
    assert (root / "used.txt").read_text() == "alpha"
    capsys.readouterr()
    assert project(root, "status", "use", "--check") == 0

    (root / "project.yml").write_text((root / "project.yml").read_text().replace("extract: true", "extract: ."))
    assert project(root, "status", "use", "--check") == 0
    (root / "project.yml").write_text((root / "project.yml").read_text().replace("absent.zip, ", ""))

    assert project(root, "status", "use", "--check") == 1


@pytest.mark.parametrize(
    ("step", "message", "fix"),
    [
        ("more", "needs the asset 'assets/more.zip', which is not here", "Bring it: project assets --extra"),
        ("private", "needs the asset 'assets/private.txt', which has no url", "Ask the owner for it."),
    ],
)
def test_a_step_that_lacks_an_asset_says_how_to_have_it(root: Path, step: str, message: str, fix: str) -> None:
    with pytest.raises(StepFailed) as caught:
        project(root, "run", step)

    assert message in caught.value.message
    assert caught.value.fix == fix


def test_a_wrong_command_line_says_what_is_right(root: Path) -> None:
    with pytest.raises(UsageError) as caught:
        project(root, "assets", "--json")

    assert caught.value.fix == "Add --check."


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("{dest: a, extract: true}", "This asset has no source, so there is nothing to unpack."),
        ("{dest: a, url: b, extract: 3}", "'extract' must be true, false or a folder in the archive, not a number."),
        ("{dest: a, url: b, extract: ../c}", "'extract: ../c' is no folder in an archive."),
        ("{dest: ../a, url: b, extract: true}", "The output '../a' lies outside the project."),
        ("{dest: a, git: {path: b}}", "An asset's 'git' has no 'repo'."),
    ],
)
def test_faults_of_an_entry_are_told_with_their_place(tmp_path: Path, entry: str, message: str) -> None:
    (tmp_path / "project.yml").write_text(f"assets:\n  - {entry}\n")

    with pytest.raises(ProjectFileError) as caught:
        project(tmp_path, "render")

    assert caught.value.message == message
    assert str(caught.value.where).startswith("project.yml:2:")


def test_nothing_of_the_network_is_loaded_to_look_at_assets(root: Path) -> None:
    program = (
        "import sys; from frostline.runner.cli.main import dispatch\n"
        "try: dispatch(['assets', '--check'])\n"
        "except SystemExit: pass\n"
        "print([m for m in ('httpx', 'huggingface_hub', 'fsspec') if m in sys.modules])"
    )

    done = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "[]"


def test_a_file_of_yours_outside_the_project_is_moved_aside_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, outside = tmp_path / "project", tmp_path / "outside.txt"
    root.mkdir()
    outside.write_text("mine")
    (root / "kept.txt").write_text("kept")
    (root / "project.yml").write_text(
        f"assets: [{{dest: {outside}, url: kept.txt, checksum: {hashlib.md5(b'kept').hexdigest()}}}]\n"
    )

    project(root, "assets")

    assert outside.read_text() == "kept"
    (aside,) = root.joinpath(".dvc", "tmp", "frostline", "aside").rglob("outside.txt")
    assert aside.read_text() == "mine"
