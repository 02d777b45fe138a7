"""Checkpoints: everything a run needs to go on as if it had never stopped.

    checkpoint/state.safetensors        weights that move, optimizer, averages; progress as JSON in its metadata
    checkpoint/best-<step>.safetensors  the weights of the best model so far, since a runner removes outputs on a retry

Written at evaluations; state.safetensors last, by rename, so a kill at any moment leaves the checkpoint before or
this one. Each file carries a checksum of its numbers and of its metadata: one whose bytes were changed is not gone on
from. What stands still is not in it: the digest of config, data, code and versions vouches for that. Randomness is
counted (layers/randomness.py), so no generator's state is needed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from frostline.config.user_code import CodeFiles
from frostline.digest import sha256_json
from frostline.files import new_file, remove_tree
from frostline.layers.parameters import ParameterStore
from frostline.layers.tensor_files import checksum_of, save_tensors
from frostline.training.averages import Averages
from frostline.training.loop import Position
from frostline.training.optimizer import Optimizer

FORMAT = "frostline.checkpoint.v2"
STATE_FILE = "state.safetensors"
LEFTOVERS = (".*.tmp", ".*.tmp/*", ".tmp??????")  # of a kill: ours, and what safetensors left beside them before
CHECKPOINT_FILES = (STATE_FILE, "best-*.safetensors", *LEFTOVERS)
PACKAGES = ("frostline", "torch", "thinc", "transformers", "tokenizers", "numpy")


@dataclass(slots=True, kw_only=True)
class Progress:
    """What a run has reached beside its weights; plain numbers that JSON keeps exactly."""

    position: Position = field(default_factory=Position)
    n_words: int = 0
    best_score: float | None = None
    best_step: int | None = None
    history: list[dict[str, Any]] = field(default_factory=list)  # the rows of log.jsonl
    seconds: float = 0.0  # of all sessions of the run
    seconds_evaluating: float = 0.0  # of them, spent in evaluations and on saving


@dataclass(frozen=True, slots=True, kw_only=True)
class Learner:
    """The three parts of a run that hold tensors."""

    store: ParameterStore
    optimizer: Optimizer
    averages: Averages


def digest_of_run(config: Mapping[str, Any], data: Mapping[str, str], code: CodeFiles = ()) -> str:
    """What must be equal for a checkpoint to be gone on from: the filled config, the data, code, versions, threads.

    Args:
        config: JSON values only, resolved.
        data: names and digests of corpora and encoders.
        code: the user's own; what the files are called does not count.
    """
    versions = {name: _version_of(name) for name in PACKAGES}
    parts = {"config": config, "data": dict(data), "versions": versions, "threads": torch.get_num_threads()}
    parts["code"] = [digest for _, digest in code]
    return sha256_json(parts)


def save_best(folder: Path, store: ParameterStore, *, step: int) -> None:
    """Keep the weights that are in the store now as those of the best model, found at `step`."""
    _save({group.name: group.values for group in store.movable_groups}, _best_file(folder, step), {"format": FORMAT})


def save_checkpoint(
    folder: Path, learner: Learner, progress: Progress, *, digest: str, code: CodeFiles = ()
) -> None:
    """Write the state of a run; the checkpoint that was there is replaced when the new one is whole."""
    tensors = {f"values/{group.name}": group.values for group in learner.store.movable_groups}
    tensors |= {f"optimizer/{name}": tensor for name, tensor in learner.optimizer.state_dict().items()}
    tensors |= {f"averages/{name}": tensor for name, tensor in learner.averages.state_dict().items()}
    metadata = {"format": FORMAT, "digest": digest, "progress": json.dumps(asdict(progress)), "code": json.dumps(code)}
    _save(tensors, folder / STATE_FILE, metadata)
    for file in folder.iterdir():
        if file.name != STATE_FILE and (progress.best_step is None or file != _best_file(folder, progress.best_step)):
            remove_tree(file)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a look for a checkpoint gave: progress to go on from, or the reason why there is none."""

    progress: Progress | None
    reason: str
    best: Mapping[str, torch.Tensor] = field(default_factory=dict)  # what `save_best` kept, for `ParameterStore.use`


def resume(
    folder: Path,
    learner: Learner,
    *,
    digest: str,
    code: CodeFiles = (),
    prepare: Callable[[Position], None] = lambda position: None,
) -> Found:
    """Go on from a checkpoint when there is one for this very run; nothing is changed when there is not.

    Args:
        code: what the digest knows of the user's own code, to tell whether it is that which differs.
        prepare: brings what follows a schedule to where the run stood, before moments are taken over.
    """
    file = folder / STATE_FILE
    if not file.is_file():
        return Found(progress=None, reason="there is no checkpoint")
    best: Mapping[str, torch.Tensor] = {}
    try:
        metadata = _metadata_of(file)
        if metadata.get("format") != FORMAT:
            return Found(progress=None, reason="the checkpoint is of another format")
        if metadata.get("digest") != digest:
            return Found(progress=None, reason=_why_another(json.loads(metadata.get("code", "[]")), code))
        tensors = _load(file)
        progress = _progress_from(json.loads(metadata["progress"]))
        if progress.best_step is not None:
            if not _best_file(folder, progress.best_step).is_file():
                return Found(progress=None, reason="the checkpoint's best weights are missing")
            best = _load(_best_file(folder, progress.best_step))
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        return Found(progress=None, reason=f"the checkpoint can't be read ({error})")
    values = _part(tensors, "values/")
    expected = {group.name: group.values.shape for group in learner.store.movable_groups}
    if {name: tensor.shape for name, tensor in values.items()} != expected:
        return Found(progress=None, reason="the checkpoint has other weights than the pipeline")
    prepare(progress.position)
    for group in learner.store.movable_groups:
        group.values.copy_(values[group.name])
    learner.optimizer.load_state_dict(learner.store, _part(tensors, "optimizer/"))
    learner.averages.load_state_dict(_part(tensors, "averages/"), device=learner.store.device)
    reason = f"step {progress.position.step}, epoch {progress.position.epoch}"
    return Found(progress=progress, reason=reason, best=best)


def _save(tensors: Mapping[str, torch.Tensor], file: Path, metadata: Mapping[str, str]) -> None:
    with new_file(file) as temporary:
        save_tensors(tensors, temporary, metadata={**metadata, "checksum": checksum_of(tensors, metadata)})


def _load(file: Path) -> dict[str, torch.Tensor]:
    """What `_save` wrote; ValueError where it is not what was written."""
    tensors: dict[str, torch.Tensor] = load_file(file)
    metadata = _metadata_of(file)
    checksum = metadata.pop("checksum", None)
    if checksum != checksum_of(tensors, metadata):
        raise ValueError(f"{file.name} was changed after it was written: it doesn't fit its checksum")
    return tensors


def _metadata_of(file: Path) -> dict[str, str]:
    with safe_open(file, framework="pt") as stream:
        return dict(stream.metadata() or {})


def _why_another(saved: Sequence[Sequence[str]], code: CodeFiles) -> str:
    """Why a checkpoint is not of this run. saved: the code it was made with, as pairs of names and digests."""
    if [digest for _, digest in saved] == [digest for _, digest in code]:
        return "the checkpoint is of another config, data, versions or thread count"
    before, now = ({digest: name for name, digest in files} for files in (saved, code))
    changed = [name for digest, name in now.items() if digest not in before]
    changed += [name for digest, name in before.items() if digest not in now and name not in changed]
    return f"the code of {', '.join(changed) or 'the same files, in another order,'} is not that of the checkpoint"


def _best_file(folder: Path, step: int) -> Path:
    return folder / f"best-{step:08d}.safetensors"


def _part(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _progress_from(saved: dict[str, Any]) -> Progress:
    return Progress(**{**saved, "position": Position(**saved["position"])})


def _version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"
