"""Whatever happens to a run, the next one ends in the bytes of an undisturbed one, and nothing is on record undone."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .world import World, kill

N_KILLS = int(os.environ.get("FROSTLINE_SOAK_KILLS", "200"))
N_KILLS_IN_SAMPLE = 3


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], dict[str, object], float]:
    """Bytes, ledger and seconds of a run that nobody disturbed."""
    world = World.fresh(tmp_path_factory.mktemp("undisturbed") / "project")
    started = time.monotonic()
    code, said = world.run("run", "all")
    assert code == 0, said
    return world.bytes_of_outputs(), world.ledger(), time.monotonic() - started


NOTHING_LEFT = (0, "all 5 steps are up to date: nothing to run")


def ending(world: World, undisturbed: tuple[dict[str, str], dict[str, object], float]) -> tuple[int, str]:
    """What the second run from here on says; on the way, that records are true and the first completes the project."""
    wanted, ledger, _ = undisturbed
    for step, body in world.ledger().items():
        assert body == ledger[step], f"'{step}' is on record with what it never made"
    code, said = world.run("run", "all")
    assert code == 0, said
    assert world.bytes_of_outputs() == wanted
    assert world.ledger() == ledger
    assert not (world.root / "part").exists()
    assert world.steps_at_work() == []
    code, said = world.run("run", "all")
    return code, said.strip()


def disturb(world: World, chance: random.Random, seconds: float, *, what: str, words: tuple[str, ...]) -> None:
    """Start a run and kill it, or one of its steps, at a moment that `chance` chooses."""
    process = world.start("run", "all", *words)
    time.sleep(chance.uniform(0.02, seconds))
    if what == "runner":
        process.kill()
    else:
        deadline = time.monotonic() + seconds
        while process.poll() is None and time.monotonic() < deadline and not (steps := world.steps_at_work()):
            time.sleep(0.002)
        kill(steps[:1] if process.poll() is None else [])
    process.communicate(timeout=60)


@pytest.mark.parametrize("words", [(), ("-j", "2")], ids=["one at a time", "two at a time"])
@pytest.mark.parametrize("what", ["runner", "step"])
@pytest.mark.parametrize(
    "n_kills", [N_KILLS_IN_SAMPLE, pytest.param(N_KILLS, marks=pytest.mark.soak)], ids=["sample", "soak"]
)
def test_a_kill_at_any_moment(
    tmp_path: Path,
    undisturbed: tuple[dict[str, str], dict[str, object], float],
    n_kills: int,
    what: str,
    words: tuple[str, ...],
) -> None:
    for number in range(n_kills):
        chance = random.Random(f"{what} {words} {number}")
        world = World.fresh(tmp_path / "project")
        disturb(world, chance, undisturbed[2], what=what, words=words)
        assert ending(world, undisturbed) == NOTHING_LEFT


@pytest.mark.soak
def test_killed_again_and_again_without_a_new_start(
    tmp_path: Path, undisturbed: tuple[dict[str, str], dict[str, object], float]
) -> None:
    chance = random.Random("again")
    for number in range(N_KILLS // 10):
        world = World.fresh(tmp_path / str(number))
        for _ in range(5):
            disturb(world, chance, undisturbed[2] / 2, what="runner", words=("-j", "2"))
        assert ending(world, undisturbed) == NOTHING_LEFT


@pytest.mark.parametrize("n_pairs", [1, pytest.param(N_KILLS // 10, marks=pytest.mark.soak)], ids=["sample", "soak"])
def test_two_runners_at_once_of_which_one_is_killed(
    tmp_path: Path, undisturbed: tuple[dict[str, str], dict[str, object], float], n_pairs: int
) -> None:
    for number in range(n_pairs):
        chance = random.Random(f"two {number}")
        world = World.fresh(tmp_path / "project")
        both = [world.start("run", "all", "-j", "2") for _ in range(2)]
        time.sleep(chance.uniform(0.05, undisturbed[2]))
        both[0].kill()
        both[0].communicate(timeout=60)
        _, said = both[1].communicate(timeout=120)
        assert both[1].returncode == 0, said
        assert ending(world, undisturbed) == NOTHING_LEFT


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own that is soon full; only root can mount one."""
    place = tmp_path / "small"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=300k,nr_inodes=400", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=False)


@pytest.mark.parametrize("kib_left", [pytest.param(kib, marks=[] if kib == 24 else pytest.mark.soak)
                                      for kib in (0, 4, 8, 12, 16, 24, 32, 48, 64, 96)])  # fmt: skip
def test_a_full_disk(
    small_disk: Path, undisturbed: tuple[dict[str, str], dict[str, object], float], kib_left: int
) -> None:
    world = World.fresh(small_disk / "project")
    ballast = small_disk / "ballast"
    status = os.statvfs(small_disk)
    ballast.write_bytes(bytes(status.f_bavail * status.f_frsize - (kib_left << 10)))

    code, said = world.run("run", "all")

    assert "Traceback" not in said
    if code:
        assert code == 1
        assert "No space left" in said or "can't be read" in said or "failed with exit code" in said
    ballast.unlink()
    assert ending(world, undisturbed) == NOTHING_LEFT


def test_read_only_outputs_and_deps(
    tmp_path: Path, undisturbed: tuple[dict[str, str], dict[str, object], float]
) -> None:
    world = World.fresh(tmp_path / "project")
    assert world.run("run", "all")[0] == 0
    for path in sorted(world.root.glob("left/*")):
        path.chmod(0o444)
    (world.root / "left").chmod(0o555)
    (world.root / "source.txt").chmod(0o444)
    assert world.run("run", "left", "--force")[0] == 0
    assert ending(world, undisturbed) == NOTHING_LEFT


def test_a_step_that_writes_what_is_another_s(tmp_path: Path) -> None:
    """The other step's output is put right from the store, and the writer is not run again for it."""
    world = World.fresh(tmp_path / "project")
    (world.root / "project.yml").write_text(
        """
profiles: {p: {}}
workflows: {all: [kept, rude]}
commands:
  - {name: kept, script: [python make.py kept.txt source.txt], deps: [make.py, source.txt], outputs: [kept.txt]}
  - {name: rude, script: [python rude.py], deps: [rude.py, kept.txt], outputs: [rude.txt]}
"""
    )
    (world.root / "rude.py").write_text(
        "text = open('kept.txt').read()\nopen('rude.txt', 'w').write(text)\nopen('kept.txt', 'a').write('rude')\n"
    )
    assert world.run("run", "all")[0] == 0
    kept = "kept.txt: one\nkept.txt: two\nkept.txt: three\n"
    assert (world.root / "rude.txt").read_text() == kept

    assert world.run("run", "all")[0] == 0

    assert (world.root / "kept.txt").read_text() == kept
    assert world.run("status", "--check")[0] == 0
