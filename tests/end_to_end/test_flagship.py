"""The whole experiment, shrunk: from a folder with project.yml to the report, with the real commands."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
VARIANTS = ["frozen-listener", "frozen-annotating", "unfrozen-listener"]
LEFT_OUT = ["unfrozen-annotating", "unfrozen-independent", "unfrozen-detached"]
SHRUNK = ["--set", "vars.settings=--training.max_epochs 1"]


def command(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "DVC_SITE_CACHE_DIR": str(folder / ".site"),
    }
    return subprocess.run(
        words, cwd=folder, env=environment, capture_output=True, text=True, timeout=400, stdin=subprocess.DEVNULL
    )


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The flagship after `project run all`, with three variants, one epoch, and a hasty pretraining."""
    folder = tmp_path_factory.mktemp("flagship")
    lines = (REPOSITORY / "project.yml").read_text().splitlines(keepends=True)
    kept = [line for line in lines if not re.search(rf"^ +- .*({'|'.join(LEFT_OUT)})", line)]
    (folder / "project.yml").write_text("".join(kept))
    shutil.copy(REPOSITORY / ".dvcignore", folder / ".dvcignore")
    for name in ("configs", "scripts"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    pretraining = folder / "configs" / "pretrain.cfg"
    pretraining.write_text(re.sub(r"max_epochs = \d+", "max_epochs = 1", pretraining.read_text()))

    ran = command(folder, "project", "run", "all", *SHRUNK)

    assert ran.returncode == 0, ran.stdout + ran.stderr
    (folder / "output.txt").write_text(ran.stdout + ran.stderr)
    return folder


def test_it_ends_by_naming_the_report_and_the_best_variant(project: Path) -> None:
    printed = (project / "output.txt").read_text()

    assert "reports/sample/report.html" in printed
    assert re.search(rf"best: ({'|'.join(VARIANTS)})", printed)
    assert (project / "reports" / "sample" / "report.html").read_text().startswith("<!")


def test_every_variant_has_a_model_scores_and_timings(project: Path) -> None:
    for variant in VARIANTS:
        folder = project / "training" / "sample" / f"{variant}-0"
        metrics = json.loads((folder / "test" / "metrics.json").read_text())
        assert 0.0 < metrics["xpos_acc"] <= 1.0
        assert {"upos_acc", "feats_acc", "score"} <= metrics.keys()
        assert json.loads((folder / "timing.json").read_text())["words_per_s"] > 0
        assert (folder / "model-last" / "meta.json").is_file()
        assert not (folder / "checkpoint").exists()


def test_listener_and_annotating_end_in_the_same_bytes(project: Path) -> None:
    listener, annotating = (project / "training" / "sample" / f"{name}-0" / "model-last" for name in VARIANTS[:2])
    weights = sorted(path.relative_to(listener) for path in listener.rglob("*.safetensors"))

    assert len(weights) == 3
    assert all((listener / path).read_bytes() == (annotating / path).read_bytes() for path in weights)


def test_a_second_run_runs_nothing_and_says_so(project: Path) -> None:
    ran = command(project, "project", "run", "all", *SHRUNK)

    assert ran.returncode == 0, ran.stderr
    assert "done in" not in ran.stderr
    assert re.search(r"nothing to do|up to date", ran.stdout + ran.stderr)


def test_dvc_finds_everything_up_to_date(project: Path) -> None:
    status = command(project, "dvc", "status")

    assert "up to date" in status.stdout + status.stderr, status.stdout + status.stderr


def test_a_change_to_one_variants_config_reruns_that_variant_alone(project: Path) -> None:
    config = project / "configs" / "unfrozen-listener.cfg"
    text = config.read_text()
    config.write_text(text + "\n[training]\naccumulate_gradient = 2\n")
    try:
        plan = json.loads(command(project, "project", "run", "all", *SHRUNK, "--dry", "--json").stdout)
    finally:
        config.write_text(text)

    rerun = [row["step"] for row in plan if row["action"] == "run"]
    assert "train-unfrozen-listener-0" in rerun
    assert "train-frozen-annotating-0" not in rerun
    assert not {"fetch", "convert", "pretrain"} & set(rerun)


def test_an_unknown_config_key_on_the_command_line_names_the_nearest(project: Path) -> None:
    ran = command(
        project, "frostline", "train", "configs/frozen-listener.cfg", "--output", "x", "--training.max_epoch", "2"
    )

    assert ran.returncode == 2
    assert "max_epochs" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert not (project / "x").exists()


def test_the_best_model_tags_text(project: Path) -> None:
    (project / "text.txt").write_text("This is a text.\nAnd another one.\n")

    ran = command(project, "frostline", "apply", "training/sample/best", "text.txt", "tagged.conllu")

    assert ran.returncode == 0, ran.stderr
    rows = [line.split("\t") for line in (project / "tagged.conllu").read_text().splitlines() if line[:1].isdigit()]
    assert len(rows) >= 9
    assert all(len(row) == 10 and row[4] != "_" for row in rows)
