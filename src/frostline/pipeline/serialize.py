"""Models on disk: safetensors and JSON in canonical order, no pickle.

    config.cfg                   the filled config
    meta.json                    format version, library version, parts in order
    <part>/state.json            labels and the like
    <part>/weights.safetensors   the part's own weights, float32, sorted by name
    vectors/…                    static vectors, each once; meta.json has their digests
    <part>/encoder/              each transformer in Hugging Face's layout, weights in a file of their own,
                                 so that models with one frozen encoder share its bytes in a store

Equal models are equal bytes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from thinc.api import Model

import frostline
from frostline import files
from frostline.config import load_config
from frostline.console import way_out
from frostline.embedding import embedders
from frostline.errors import ModelFileError, TrainingError
from frostline.layers.tensor_files import check_finite, save_tensors
from frostline.pipeline import vectors
from frostline.pipeline.pipeline import Pipeline
from frostline.pipeline.wiring import assemble, embedding_width, finish, models_of, named_embedders

FORMAT_VERSION = 1
MODEL_FILES = ("config.cfg", "meta.json", "*/state.json", "*/weights.safetensors", "*/encoder*/*",
               "*/encoder*/adapter/*", "vectors/*")  # fmt: skip


def save(pipeline: Pipeline, path: Path) -> None:
    """Write a model folder, whole or not at all; a model that stood there is replaced.

    Raises:
        UsageError: something other than a model stands there.
        TrainingError: it can't be written.
    """
    files.refuse_to_lose(path, MODEL_FILES, "a model")
    try:
        _write(pipeline, path)
    except OSError as error:
        raise TrainingError(
            f"The model can't be written: {error.strerror or error}", where=str(error.filename or path),
            fix=way_out(error) or "Name a folder that can be made and written to.",
        ) from error  # fmt: skip


def _write(pipeline: Pipeline, path: Path) -> None:
    with files.new_directory(path) as folder:
        (folder / "config.cfg").write_text(pipeline.config.to_str(), encoding="utf8")  # type: ignore[attr-defined]
        meta = {
            "format_version": FORMAT_VERSION,
            "frostline_version": frostline.__version__,
            "components": list(pipeline.order),
        }
        if digests := vectors.digests_of(pipeline):
            meta["vectors"] = digests
            vectors.save_vectors(pipeline, folder)
        files.write_json_atomic(folder / "meta.json", meta)
        for name, model in models_of(pipeline):
            _save_part(pipeline, name, model, folder / name)


def load(path: Path | str, *, device: str = "") -> Pipeline:
    """Load a saved pipeline.

    Args:
        path: the model's folder.
        device: "cpu", "cuda:0", "auto"; "" for what `require_gpu` chose.
    Raises:
        ModelFileError: the folder is missing, incomplete, or of another format.
    """
    folder = Path(path)
    meta = _check(folder)
    pipeline = assemble(load_config(folder / "config.cfg"), device=device)
    vectors.attach_saved(pipeline, folder, meta.get("vectors", {}))
    for name, model in models_of(pipeline):
        for node, place in _encoders(model, folder / name):
            embedders.load(node, place)
    for name, component in pipeline.components.items():
        file = folder / name / "state.json"
        try:
            component.restore(_read_state(file), width=embedding_width(component.model))
        except ModelFileError as error:
            error.where = error.where or str(file)
            raise
    finish(pipeline)
    for name, _ in models_of(pipeline):
        _load_weights(pipeline, name, folder / name / "weights.safetensors")
    return pipeline


def _save_part(pipeline: Pipeline, name: str, model: Model, folder: Path) -> None:
    folder.mkdir()
    files.write_json_atomic(folder / "state.json", pipeline.part(name).state())
    for node, place in _encoders(model, folder):
        embedders.embedder_of(node).save(place)
    weights = {key: tensor.detach().cpu().contiguous() for key, tensor in _own_weights(pipeline, name).items()}
    if weights:
        save_tensors(weights, folder / "weights.safetensors", metadata={"format": "pt"})


def _own_weights(pipeline: Pipeline, name: str) -> dict[str, torch.Tensor]:
    """The part's weights but those of its encoders, sorted by name."""
    model = pipeline.part(name).model
    of_encoders = {
        parameter.data_ptr()
        for node, _ in _encoders(model, Path())
        for parameter in embedders.embedder_of(node).module.parameters()
    }
    owners = [name]
    if name in pipeline.components:
        owners += [owner for owner, _ in named_embedders(pipeline, name)]
    return {
        key.removeprefix(name)[1:]: values  # behind "/", or behind "." for a private tok2vec's
        for key, values in sorted(pipeline.parameters.named_values.items())
        if key.partition("/")[0] in owners and values.data_ptr() not in of_encoders
    }


def _encoders(model: Model, folder: Path) -> list[tuple[Model, Path]]:
    """The layers of a model that hold an encoder with files of its own, with the folder of each."""
    nodes = [node for node in embedders.embedder_nodes(model) if embedders.embedder_of(node).keeps_files]
    return [(node, folder / ("encoder" if number == 0 else f"encoder-{number}")) for number, node in enumerate(nodes)]


def _load_weights(pipeline: Pipeline, name: str, file: Path) -> None:
    wanted = _own_weights(pipeline, name)
    if not wanted:
        return
    if not file.is_file():
        raise ModelFileError(f"The weights of '{name}' are missing.", where=str(file), fix=_AGAIN)
    try:
        weights = load_file(file, device="cpu")
    except Exception as error:  # safetensors raises its own and plain errors for a broken file
        raise ModelFileError(f"The weights of '{name}' can't be read: {error}", where=str(file), fix=_AGAIN) from error
    check_finite(weights.items(), file)
    with torch.no_grad():
        for key, values in wanted.items():
            if key not in weights or weights[key].shape != values.shape:
                found = tuple(weights[key].shape) if key in weights else "nothing"
                raise ModelFileError(
                    f"'{name}' needs {key} of shape {tuple(values.shape)}, the file has {found}.",
                    where=str(file),
                    fix=_AGAIN,
                )
            values.copy_(weights[key])


_AGAIN = "The folder is incomplete or was changed: copy it again, or train again."


def _check(folder: Path) -> dict[str, Any]:
    meta_file = folder / "meta.json"
    if not meta_file.is_file():
        what = "is a file, and a model is a folder" if folder.is_file() else "does not exist"
        if folder.is_dir():
            what = "is no model of frostline (it has no meta.json)"
        raise ModelFileError(
            f"'{folder}' {what}.",
            where=str(folder),
            fix="Name the folder that `frostline train` wrote, such as training/…/model-best.",
        )
    meta = _read_state(meta_file)
    version = meta.get("format_version")
    if version != FORMAT_VERSION:
        raise ModelFileError(
            f"The model has format {version}, this frostline {frostline.__version__} reads format {FORMAT_VERSION}.",
            where=str(meta_file),
            fix=f"Install the frostline that wrote it ({meta.get('frostline_version', 'unknown')}), or train again.",
        )
    if not (folder / "config.cfg").is_file():
        raise ModelFileError("A file of the model is missing.", where=str(folder / "config.cfg"), fix=_AGAIN)
    return meta


def _read_state(file: Path) -> dict[str, Any]:
    try:
        state = json.loads(file.read_text(encoding="utf8"))
    except FileNotFoundError:
        raise ModelFileError("A file of the model is missing.", where=str(file), fix=_AGAIN) from None
    except ValueError as error:
        raise ModelFileError(f"The file is no JSON: {error}", where=str(file), fix=_AGAIN) from None
    if not isinstance(state, dict):
        raise ModelFileError("The file should hold a JSON object.", where=str(file), fix=_AGAIN)
    return state
