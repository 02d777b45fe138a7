"""What the verbs have in common: their shared options, their overrides, and how they print a result.

Loads nothing heavy; the functions import what they need when a verb is really run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import typer

from frostline import console
from frostline.errors import UsageError

if TYPE_CHECKING:
    from frostline.config import Config
    from frostline.config.arguments import Fault
    from frostline.training.driver import Outcome

MACHINE = "Machine"
OUTPUT_PANEL = "What is printed"

Gpu: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--gpu", metavar="N", min=0, show_default=False, rich_help_panel=MACHINE,
        help="Compute on GPU number N (0 is the first). Without it: the device that the config names, else the CPU.",
    ),
]  # fmt: skip
Threads: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--threads", metavar="N", min=1, max=1024, show_default=False, rich_help_panel=MACHINE,
        help="Compute with N threads. Without it: what the config says, else what PyTorch chooses.",
    ),
]  # fmt: skip
Code: TypeAlias = Annotated[
    list[Path] | None,
    typer.Option(
        "--code", metavar="FILE", show_default=False, rich_help_panel=MACHINE,
        help="Import this Python file first, so that the config can name the functions it registers. Can be repeated.",
    ),
]  # fmt: skip
Output: TypeAlias = Annotated[
    Path,
    typer.Option("--output", "-o", metavar="DIR", file_okay=False, help="The folder for everything that is written."),
]
Quiet: TypeAlias = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print no progress, only the result.", rich_help_panel=OUTPUT_PANEL)
]
Json: TypeAlias = Annotated[
    bool,
    typer.Option("--json", help="Print the result as JSON on standard output.", rich_help_panel=OUTPUT_PANEL),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandLine:
    """What `main` took out of the command line before typer read it."""

    overrides: tuple[str, ...] = ()


def begin(
    context: typer.Context,
    *,
    code: list[Path] | None = None,
    quiet: bool = False,
    takes_overrides: bool = True,
) -> dict[str, Any]:
    """Start a verb: hush progress if asked, import the user's code, read the overrides.

    Raises:
        UsageError: overrides where no config is read, or malformed ones.
        ConfigError: the user's code can't be imported.
    """
    console.set_quiet(quiet)
    line: CommandLine = context.obj if isinstance(context.obj, CommandLine) else CommandLine()
    if line.overrides and not takes_overrides:
        raise UsageError(
            f"`{context.command_path}` reads no config that {line.overrides[0]} could change.",
            fix=f"See `{context.command_path} --help`.",
        )
    if code:
        from frostline.config.user_code import import_file

        for file in code:
            import_file(file)
    if not line.overrides:
        return {}
    from frostline.config import parse_overrides

    options = [option for parameter in context.command.params for option in parameter.opts if option.startswith("--")]
    return parse_overrides(line.overrides, options=options)


def filled_config(path: Path, overrides: Mapping[str, Any], *, needs: Sequence[str] = ()) -> Config:
    """The config at `path` with overrides, every default filled in and everything checked.

    Raises:
        ConfigError: its faults; or one of the sections in `needs` is not there.
    """
    from frostline.config import fill_config, load_config
    from frostline.config.sections import require

    config = load_config(path, overrides)
    for name in needs:
        require(config, name, file=path)
    return fill_config(config)[0]


def pipeline_of(source: Path, overrides: Mapping[str, Any]) -> Any:
    """The pipeline of a model's folder, or the one that a config describes, as it is before the first step.

    Raises:
        FrostlineError: what is wrong with either.
    """
    from frostline.pipeline.serialize import load

    if source.is_dir():
        return load(source)
    config = filled_config(source, overrides, needs=("pipeline", "training"))
    from frostline.config.loading import located
    from frostline.training.initialize import begin

    with located(config):
        return begin(config)


def faults_of(config: Config) -> tuple[list[Fault], list[str]]:
    """What is wrong with a filled config once it is built, and a line on everything it names that is not here."""
    from frostline.config.arguments import as_line
    from frostline.pretraining.settings import settings_from
    from frostline.training.checking import attempt, find_faults

    found = find_faults(config)
    if config.get("pretraining"):
        found += attempt(lambda: settings_from(config), "pretraining")[1]
    faults = [finding.fault for finding in found if not finding.is_absence]
    return faults, [as_line(finding.fault, config.locate) for finding in found if finding.is_absence]


def logger_of(config: Config) -> Any:
    """The logger that [training.logger] describes; None when it describes none."""
    from frostline.config import registry

    block = config["training"]["logger"]
    return registry.resolve(block, path="training.logger") if block else None


def chosen_device(gpu: int | None) -> str:
    """The device in torch's notation; "" when the command line leaves it open.

    Raises:
        UsageError: torch sees no such GPU.
    """
    if gpu is None:
        return ""
    from frostline.pipeline.devices import require_gpu

    require_gpu(gpu)
    return f"cuda:{gpu}"


def print_outcome(outcome: Outcome, output: Path, *, as_json: bool) -> None:
    """Print what a training run came to, and where its best model is."""
    result: dict[str, Any] = {**asdict(outcome), "ending": outcome.ending.value}
    print_result({**result, "model": str(output / "model-best")}, as_json=as_json)


def print_result(result: Mapping[str, Any], *, as_json: bool) -> None:
    """Print a result to standard output: JSON, or one `key  value` line each; None is null there, and left out here."""
    if as_json:
        console.out(json.dumps(result, sort_keys=True, ensure_ascii=False))
        return
    there = {key: value for key, value in result.items() if value is not None}
    width = max((len(key) for key in there), default=0)
    for key, value in there.items():
        console.out(f"{key:<{width}}  {f'{value:.4f}' if isinstance(value, float) else value}")
