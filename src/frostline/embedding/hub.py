"""Encoders on disk, in Hugging Face's layout: config.json, tokenizer.json, model.safetensors.

Reads and writes local folders and never the network. Weights are written as float32 safetensors in canonical order:
equal encoders are equal bytes, so that models with one frozen encoder share its file in a store.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import transformers
from transformers import AutoConfig, AutoModel, AutoTokenizer

from frostline import files
from frostline.digest import canonical_json
from frostline.embedding.adapters import ADAPTER, AdapterSettings, save_adapters, without_adapters
from frostline.errors import ConfigError, ModelFileError, TrainingError, did_you_mean
from frostline.layers.tensor_files import check_finite, save_tensors

if TYPE_CHECKING:
    from frostline.embedding.encoder import Encoder

CONFIG, TOKENIZER, WEIGHTS = "config.json", "tokenizer.json", "model.safetensors"
SHARDS = f"{WEIGHTS}.index.json"  # what says which of several files holds which weights
# What a config says about its own origin, and not about the numbers.
_VOLATILE = frozenset({"_name_or_path", "name_or_path", "transformers_version", "architectures", "dtype", "torch_dtype",
                       "is_local", "local_files_only", "tokenizer_file", "use_cache"})  # fmt: skip


def load_encoder_files(
    folder: Path, transformer_settings: Mapping[str, Any], tokenizer_settings: Mapping[str, Any]
) -> tuple[Any, Any]:
    """The model, float32, without a pooler and in evaluation state, and its fast tokenizer.

    Args:
        transformer_settings: take the place of the keys in config.json.
        tokenizer_settings: handed to the tokenizer.
    Raises:
        ConfigError: the encoder knows no such setting.
        ModelFileError: a file is missing or can't be read, or weights are missing in it or no finite numbers.
    """
    folder = Path(folder)
    config = read_config(folder, transformer_settings)
    with _quiet():
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, **tokenizer_settings)
            model, loading = AutoModel.from_pretrained(
                folder, config=config, local_files_only=True, use_safetensors=True, dtype=torch.float32,
                output_loading_info=True, **_without_pooler(config),
            )  # fmt: skip
        except Exception as error:  # transformers, tokenizers and safetensors raise all kinds for a broken file
            raise _broken(folder, error) from error
    is_half = getattr(config, "is_encoder_decoder", False)
    unused = ("pooler", "decoder.") if is_half else ("pooler",)
    missing = sorted(key for key in loading["missing_keys"] if not any(part in key for part in unused))
    if missing:
        raise ModelFileError(
            f"The encoder's weights lack {missing[0]}" + (f" and {len(missing) - 1} more." if missing[1:] else "."),
            where=str(folder / WEIGHTS),
            fix="config.json and model.safetensors must be of one model; see also transformer_settings.",
        )
    if not tokenizer.is_fast:
        raise ModelFileError("The tokenizer has no fast version.", where=str(folder), fix="Choose another encoder.")
    model = _encoder_alone(model).eval()
    file = folder / WEIGHTS
    # Buffers may hold -inf, as masks of attention do.
    check_finite(model.named_parameters(), file if file.is_file() else folder / SHARDS)
    return model, tokenizer


def read_config(folder: Path, transformer_settings: Mapping[str, Any]) -> Any:
    """The config of an encoder with `transformer_settings` in it; its weights stay unread.

    Raises:
        ConfigError: the encoder knows no such setting.
        ModelFileError: one of the encoder's files is missing, or its config can't be read.
    """
    _check_files(folder)
    with _quiet():
        try:
            config, unknown = AutoConfig.from_pretrained(
                folder, local_files_only=True, return_unused_kwargs=True, **transformer_settings
            )
        except Exception as error:  # transformers raises all kinds for a broken file
            raise _broken(folder, error) from error
    if unknown:
        key = min(unknown)
        known = [name for name in config.to_dict() if name not in _VOLATILE and not name.startswith("_")]
        raise ConfigError(
            f"transformer_settings has '{key}', which a {config.model_type} encoder does not know.",
            where=str(folder / CONFIG),
            fix=did_you_mean(key, known),
        )
    return config


def _broken(folder: Path, error: Exception) -> ModelFileError:
    first_line = str(error).strip().split("\n")[0]
    return ModelFileError(
        f"The encoder in '{folder}' can't be loaded: {first_line}", where=str(folder), fix=_FETCH_AGAIN
    )


def model_from_config(config: Any) -> Any:
    """A model of this config with random weights, drawn from torch's generator, without a pooler."""
    with _quiet():
        model = AutoModel.from_config(config, **_without_pooler(config))
    return _encoder_alone(model).eval()


def save_encoder(encoder: Encoder, folder: Path) -> None:
    """Write an encoder to a folder that transformers, too, can load; what stood there is replaced."""
    own = without_adapters(_weights(encoder.model))
    weights = {
        _name_in_file(encoder.model, name): values.detach().float().cpu().contiguous() for name, values in own
    }
    with files.new_directory(folder) as place:
        origin = {"architectures": [type(encoder.model).__name__], "dtype": "float32"}
        files.write_json_atomic(place / CONFIG, _config_of(encoder.model) | origin)
        _forget_last_call(encoder.tokenizer)
        _save_tokenizer(encoder.tokenizer, place)
        _drop_volatile(place / "tokenizer_config.json")
        save_tensors(dict(sorted(weights.items())), place / WEIGHTS, metadata={"format": "pt"})
        if encoder.adapter is not None:
            save_adapters(encoder.model, encoder.adapter, place / ADAPTER)


def _save_tokenizer(tokenizer: Any, folder: Path) -> None:
    try:
        tokenizer.save_pretrained(folder)
    except OSError:
        raise
    except Exception as error:  # of the tokenizers library, which knows no other kind
        raise TrainingError(
            f"The tokenizer can't be written: {error}",
            where=str(folder),
            fix="Is the disk full, or the folder read-only?",
        ) from error


def encoder_digest(
    model: Any,
    tokenizer: Any,
    precision: str,
    adapter: AdapterSettings | None = None,
    *,
    of: Container[str] | None = None,
) -> str:
    """Hex SHA-256 of config, tokenizer, weights, precision and the scale of adapters.

    The same before and after saving and loading.

    Args:
        of: names of the parameters that count; None for all of them. Saved buffers count in any case.
    """
    ignored = {name for name, _ in model.named_parameters() if of is not None and name not in of}
    digest = hashlib.sha256()
    _forget_last_call(tokenizer)
    for part in (precision, _config_of(model), json.loads(tokenizer.backend_tokenizer.to_str())):
        digest.update(canonical_json(part))
    if adapter is not None:  # which layers have one, the names and shapes of the weights say
        digest.update(canonical_json({"rank": adapter.rank, "alpha": adapter.alpha}))
    for name, values in sorted(_weights(model)):
        if name in ignored:
            continue
        digest.update(canonical_json([name, list(values.shape)]))
        digest.update(values.detach().float().cpu().contiguous().numpy().data)
    return digest.hexdigest()


_FETCH_AGAIN = "Fetch it again; it must hold config.json, tokenizer.json and model.safetensors of one encoder."


def _check_files(folder: Path) -> None:
    if not folder.is_dir():
        raise ModelFileError(f"The folder '{folder}' does not exist.", where=str(folder), fix=_FETCH_AGAIN)
    has_shards = (folder / SHARDS).is_file()
    absent = [name for name in (CONFIG, TOKENIZER, WEIGHTS) if not (folder / name).is_file()]
    if has_shards and WEIGHTS in absent:
        absent.remove(WEIGHTS)
    if absent:
        raise ModelFileError(f"The encoder's folder lacks {', '.join(absent)}.", where=str(folder), fix=_FETCH_AGAIN)


def _without_pooler(config: Any) -> dict[str, bool]:
    """The argument that leaves the pooler out, where the model has it."""
    try:
        model_class = AutoModel._model_mapping[type(config)]
    except KeyError:
        return {}
    takes_it = "add_pooling_layer" in inspect.signature(model_class.__init__).parameters
    return {"add_pooling_layer": False} if takes_it else {}


def _encoder_alone(model: Any) -> Any:
    """The encoder of an encoder-decoder; other models as they are."""
    return model.get_encoder() if getattr(model.config, "is_encoder_decoder", False) else model


def _name_in_file(model: Any, name: str) -> str:
    """The encoder of an encoder-decoder is saved under the names that the whole has for it."""
    if not getattr(model.config, "is_encoder_decoder", False):
        return name
    return "shared.weight" if name == "embed_tokens.weight" else f"encoder.{name}"


def _weights(model: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """Parameters and saved buffers; what two modules share comes once."""
    saved = model.state_dict().keys()
    for name, values in [*model.named_parameters(), *model.named_buffers()]:
        if name in saved:
            yield name, values


def _config_of(model: Any) -> dict[str, Any]:
    return {key: value for key, value in model.config.to_dict().items() if key not in _VOLATILE}


def _forget_last_call(tokenizer: Any) -> None:
    """Truncation and padding are state that calls leave in a fast tokenizer; neither is used here."""
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()


def _drop_volatile(file: Path) -> None:
    settings = json.loads(file.read_text(encoding="utf-8"))
    files.write_json_atomic(file, {key: value for key, value in settings.items() if key not in _VOLATILE})


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars and no loading reports from transformers for the block."""
    logging = transformers.logging
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
