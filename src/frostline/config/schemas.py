"""The sections of a config: which keys there are, what they may hold, what holds when they are left out.

Each class is one section; the description of a field is what `frostline init config` writes above it. Blocks (parts
that call a registered function) are checked against that function by fill.py; here stands only of which kind they are.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from frostline.config.arguments import Block, shown

Batcher: TypeAlias = Annotated[dict[str, Any], Block("batchers")]
Logger: TypeAlias = Annotated[dict[str, Any], Block("loggers")]
Optimizer: TypeAlias = Annotated[dict[str, Any], Block("optimizers")]
Reader: TypeAlias = Annotated[dict[str, Any], Block("readers")]
Schedule: TypeAlias = Annotated[dict[str, Any], Block("schedules")]
Tokenizer: TypeAlias = Annotated[dict[str, Any], Block("tokenizers")]

Count: TypeAlias = Annotated[int, Field(ge=0)]
Positive: TypeAlias = Annotated[int, Field(ge=1)]
Decay: TypeAlias = Annotated[float, Field(gt=0.0, lt=1.0)]
Dropout: TypeAlias = Annotated[float, Field(ge=0.0, lt=1.0)]  # at 1 nothing would be left
Seed: TypeAlias = Annotated[int, Field(ge=0, lt=2**64)]  # what torch takes
Finite: TypeAlias = Annotated[float, Field(allow_inf_nan=False)]

ACTIVATION_CACHE_MIB = 16384  # of a transformer's private cache


def _device(name: str) -> str:
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", name):
        raise ValueError(f'This must be "auto", "cpu" or a GPU such as "cuda:0", not {shown(name)}.')
    return name


class Section(BaseModel):
    """A section that takes no keys but its fields."""

    model_config = ConfigDict(extra="forbid")


class SystemSection(Section):
    """[system]: the machine and the chance."""

    seed: Seed = Field(0, description="where all random numbers start")
    threads: Count = Field(0, description="that torch computes with; 0 leaves what is set")
    deterministic: Literal["yes", "strict"] = Field(
        "yes", description='"strict" makes an error of whatever could depend on luck, such as autotuning'
    )
    device: Annotated[str, AfterValidator(_device)] = Field("cpu", description='"cpu", "auto" or "cuda:0"')


class PipelineSection(Section):
    """[pipeline]: the components in their order."""

    components: list[str] = Field(min_length=1, description="names of [components.*], publishers before their readers")
    tokenizer: Tokenizer = Field(
        default={"@tokenizers": "frostline.Tokenizer.v1"}, description="splits raw text into tokens"
    )
    modes: dict[str, Literal["train", "frozen", "eval", "sample"]] = Field(
        default={}, description='pattern of module names = mode, such as transformer.* = "frozen"'
    )


class FreezingSection(Section):
    """[training.freezing]: what of an encoder stands still by height; patterns of names are in [pipeline.modes]."""

    lowest_layers: dict[str, Count] = Field(
        {}, description="publisher = how many of its lowest layers never move, nor the embeddings below them"
    )
    unfreezing: dict[str, Any] = Field(
        {}, description="publisher = block that calls a schedule: how many of its layers move, from the last one down"
    )


class TrainingSection(Section):
    """[training]: the loop, and what ends it. It reads corpora.train and is judged on corpora.dev."""

    max_epochs: Count = Field(0, description="0: no limit")
    max_steps: Count = Field(0, description="optimizer steps; 0: no limit")
    patience: Count = Field(0, description="steps without a better score before training ends; 0: never")
    eval_frequency: Count = Field(0, description="steps between evaluations; 0: after each epoch")
    accumulate_gradient: Positive = Field(1, description="batches that make one optimizer step")
    dropout: Dropout | Schedule = Field(0.1, description="a share below 1, or a block that calls a schedule")
    seed: Seed | None = Field(None, description="null: that of [system]")
    frozen_components: list[str] = Field([], description="components whose weights stay as they are")
    replace_listeners: list[str] = Field(
        [], description="components that get a frozen copy of the publisher they read, for themselves"
    )
    allow_drift: bool = Field(False, description="let a frozen component read a publisher that moves")
    freezing: FreezingSection = Field(description="layers that stand still, for a while or for good")
    annotating_components: list[str] = Field([], description="components that write to the docs for later ones")
    averages: Literal["none", "mean"] | bool | Decay = Field(
        "none", description='weights that are evaluated and saved: "none" as they are, "mean" of all steps, or a decay'
    )
    activations: dict[str, str] = Field({}, description="frozen publisher = folder that `frostline embed` wrote for it")
    activation_cache_mib: Count = Field(
        ACTIVATION_CACHE_MIB, description="of a transformer, for what its frozen layers give; 0: none"
    )
    on_out_of_memory: Literal["fail", "halve"] = Field(
        "fail", description='"halve" tries the step again in batches of half the docs, which is a matter of luck'
    )
    score_weights: dict[str, Finite] = Field({}, description="metric = its weight in the score that picks the best")
    batcher: Batcher = Field(description="puts docs into batches")
    optimizer: Optimizer = Field(description="moves the weights")
    logger: Logger | None = Field(None, description="tracks the run beside log.jsonl; null: nothing")


class ConfigSections(Section):
    """A whole config. Sections of type dict take any keys; one that is None stays out unless it is written."""

    paths: dict[str, Any] = Field({}, description="places on disk that the rest refers to as ${paths.name}")
    system: SystemSection = Field(description="the machine and the chance")
    pipeline: PipelineSection | None = Field(None, description="the components in their order")
    components: dict[str, Any] = Field({}, description="how each component is made")
    corpora: dict[str, Reader] = Field({}, description="how each corpus is read")
    training: TrainingSection | None = Field(None, description="the loop, and what ends it")
    initialize: dict[str, Any] | None = Field(None, description="what is done once, before training")
    pretraining: dict[str, Any] | None = Field(None, description="the step before training: an encoder from raw text")
    embed: dict[str, Any] | None = Field(None, description="the step that computes a frozen encoder's activations once")


# Sections whose keys nobody declares, so that an override may add one.
OPEN = (
    "pipeline.modes",
    "training.score_weights",
    "training.activations",
    "training.freezing.lowest_layers",
    "training.freezing.unfreezing",
    "initialize",
    "pretraining",
    "embed",
)


SECTIONS: dict[str, type[Section]] = {
    "system": SystemSection,
    "pipeline": PipelineSection,
    "training": TrainingSection,
    "training.freezing": FreezingSection,
}


def section_at(path: str) -> type[Section] | None:
    """The class of the section at a config path, "" for the whole; None when it is none of ours."""
    return SECTIONS.get(path) if path else ConfigSections
