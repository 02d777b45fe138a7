"""A Hugging Face encoder that reads windows of word pieces.

Pads windows into rows, adds the special tokens, runs the network with SDPA attention, drops the special tokens,
averages where windows overlap, and hands back one float32 vector per piece. `forward` is for training and for
prediction with weights that move; `forward_frozen` gives each window numbers that depend on that window alone.
Files are hub.py's business, layouts batches.py's, an encoder whose lower layers stand still depths.py's.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from frostline.embedding import hub
from frostline.embedding.adapters import ADAPTER, AdapterSettings, add_adapters, load_adapters
from frostline.embedding.attention import always_masked, use_fast_attention
from frostline.embedding.batches import Batch, SpecialTokens
from frostline.embedding.cut import Part, Whole
from frostline.embedding.kernel_caches import bound_kernel_caches
from frostline.embedding.layouts import layout_of, shape_of
from frostline.embedding.low_precision import GradientScale, LowPrecisionCopy
from frostline.embedding.packed import inputs_of_row
from frostline.embedding.pieces import Pieces, Tokenizer
from frostline.embedding.precisions import PRECISIONS, nearest_precision
from frostline.embedding.readings import Sums, average
from frostline.embedding.windows import Windows
from frostline.errors import ConfigError
from frostline.layers.dropout import use_fast_dropout
from frostline.layers.modes import running

HuggingFaceModel: TypeAlias = Any  # transformers comes without usable types
HuggingFaceConfig: TypeAlias = Any

_OF_PRECISION = ("dtype", "BFloat16", "Half")  # what an error says where an encoder's code knows float32 only
NO_LIMIT = 1 << 20  # pieces in a window of an encoder without a table of positions
READINGS_AT_ONCE = 32768  # pieces of windows whose vectors wait for others to be averaged with, without a graph


@dataclass(slots=True)
class _Again:
    """How the backward pass computes layers again: in the modes of the latest forward pass.

    No closure: copying an encoder copies this with it, so that each goes by its own modes.
    """

    model: HuggingFaceModel
    is_train: bool = False

    def contexts(self) -> tuple[AbstractContextManager[None], AbstractContextManager[object]]:
        """Around the layers' forward pass, in which this is called, and around the second one."""
        return nullcontext(), running(self.model, is_train=self.is_train)


class Encoder(nn.Module):
    """An encoder and its tokenizer.

    Args:
        model: a transformers model that maps ids to hidden states.
        tokenizer: its fast tokenizer.
        precision: of the arithmetic, a key of PRECISIONS. Parameters and outputs are float32 in any case.
        checkpointing: compute layers a second time in the backward pass instead of keeping what they need for it.
    Raises:
        ConfigError: an unknown precision.
    """

    def __init__(
        self,
        model: HuggingFaceModel,
        tokenizer: Tokenizer,
        *,
        precision: str = "float32",
        checkpointing: bool = False,
    ) -> None:
        super().__init__()
        if precision not in PRECISIONS:
            raise ConfigError(f"'{precision}' is no precision.", fix=nearest_precision(precision))
        bound_kernel_caches()
        self.model = model.float()
        self.special = SpecialTokens.of(tokenizer)
        self.can_always_mask = use_fast_attention(model)
        with running(self, is_train=False):
            self.width, self.n_hidden_states = shape_of(self.model)  # vectors' numbers; layers that can be asked for
            self.layout = layout_of(self.model, self.special, has_own_attention=self.can_always_mask)
        self.whole = Whole(n_hidden_states=self.n_hidden_states)
        use_fast_dropout(model)
        self.tokenizer = tokenizer
        self.precision = precision
        self.dtype = PRECISIONS[precision]
        self.gradient_scale = GradientScale()
        self._takes_type_ids = "token_type_ids" in inspect.signature(model.forward).parameters
        self._low = LowPrecisionCopy(self.dtype)
        self.adapter: AdapterSettings | None = None
        self._again = _Again(model=self.model)
        if checkpointing:
            self._compute_layers_twice()

    @classmethod
    def from_folder(
        cls,
        folder: Path,
        *,
        precision: str = "float32",
        transformer_settings: Mapping[str, Any] | None = None,
        tokenizer_settings: Mapping[str, Any] | None = None,
        checkpointing: bool = False,
    ) -> Encoder:
        """Load from a folder in Hugging Face's layout.

        Args:
            transformer_settings: overrides of the keys of its config.json, such as {"hidden_dropout_prob": 0.0}.
            tokenizer_settings: keyword arguments of its tokenizer, such as {"add_prefix_space": True}.
        Raises:
            ModelFileError: a file is missing or broken.
        """
        model, tokenizer = hub.load_encoder_files(folder, transformer_settings or {}, tokenizer_settings or {})
        return cls(model, tokenizer, precision=precision, checkpointing=checkpointing)

    @classmethod
    def from_config(
        cls,
        config: HuggingFaceConfig,
        tokenizer: Tokenizer,
        *,
        seed: int,
        precision: str = "float32",
        checkpointing: bool = False,
    ) -> Encoder:
        """Make one with random weights, a function of `config` and `seed`."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = hub.model_from_config(config)
        return cls(model, tokenizer, precision=precision, checkpointing=checkpointing)

    def add_adapters(self, settings: AdapterSettings, folder: Path) -> None:
        """Put adapters on the encoder: those saved beside it in `folder`, or new ones that change nothing yet."""
        add_adapters(self.model, settings)
        self.adapter = settings
        if (folder / ADAPTER).is_dir():
            load_adapters(self.model, settings, folder / ADAPTER)

    @property
    def max_content_pieces(self) -> int:
        """The longest window the encoder's positions allow, special tokens not counted."""
        return _n_positions(self.model, self.tokenizer) - self.special.n

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        device: torch.device = next(self.model.parameters()).device
        return device

    def facts(self) -> dict[str, str | int]:
        """What it is and how it computes, for people: `frostline debug encoders` shows it."""
        return {
            "family": str(self.model.config.model_type),
            "width": self.width,
            "hidden_states": self.n_hidden_states,
            "parameters": sum(parameter.numel() for parameter in self.model.parameters()),
            "longest_window": self.max_content_pieces,
            "attention": str(self.model.config._attn_implementation),
            "rows": self.layout.rows.value,
            "rows_reason": self.layout.reason,
            "precision": self.precision,
        }

    def digest(self) -> str:
        """Hex SHA-256 of all that decides the numbers: weights, config, tokenizer, precision, the scale of adapters."""
        return hub.encoder_digest(self.model, self.tokenizer, self.precision, self.adapter)

    def forward(
        self,
        pieces: Pieces,
        windows: Windows,
        *,
        is_train: bool,
        layers: tuple[int, ...] = (-1,),
        max_batch_pieces: int = 4096,
        seed: int | None = None,
        part: Part | None = None,
    ) -> Tensor:
        """One vector per piece and layer.

        With gradients enabled the result is part of the graph, and computed under autocast; without, a copy of the
        weights in the configured precision does the work.

        Args:
            windows: over just these pieces.
            is_train: training behaviour (dropout) of the parts whose mode says so.
            layers: numbers of hidden states: 0 the embeddings, -1 the last layer's.
            max_batch_pieces: padded pieces that go through the network at once, above 0.
            seed: what dropout is a function of; None leaves it to torch's generator.
            part: of the network; None for all of it. Under a part windows hold their special tokens as pieces, and
                lie one behind the other: see depths.py.
        Returns:
            (len(layers), n_pieces, width) float32 on the module's device; zeros for a piece that is in no window.
        """
        special = self.special if part is None else self.special.bare

        def batches(some: Windows) -> Iterator[Batch]:
            return self.layout.batches(
                pieces.ids, some, special, max_batch_pieces=max_batch_pieces, device=self.device.type
            )

        self._again.is_train = is_train
        with running(self, is_train=is_train), _seeded(seed, self.device):
            if torch.is_grad_enabled():
                return self._in_graph(batches(windows), windows, len(pieces), self._numbers(layers), part)
            n_at_once = max(READINGS_AT_ONCE, max_batch_pieces)
            if part is not None:  # it holds as much of all windows already, and finds them by their order
                n_at_once = max(1, len(pieces))
            return self._without_graph(batches, windows, len(pieces), self._numbers(layers), n_at_once, part)

    def forward_frozen(
        self, pieces: Pieces, windows: Windows, *, layers: tuple[int, ...] = (-1,), part: Part | None = None
    ) -> Tensor:
        """As `forward` in prediction, without a graph; each window's numbers are a function of that window alone.

        Bit for bit, whatever else is in the batch, for one number of threads on one kind of machine.
        """
        special = self.special if part is None else self.special.bare

        def batches(some: Windows) -> Iterator[Batch]:
            return self.layout.frozen_batches(
                pieces.ids,
                some,
                special,
                max_length=self.max_content_pieces + self.special.n,
                device=self.device.type,
                leave_padding=not self.can_always_mask,
            )

        with torch.no_grad(), running(self, is_train=False), always_masked():
            return self._without_graph(batches, windows, len(pieces), self._numbers(layers), READINGS_AT_ONCE, part)

    @contextmanager
    def fixed_weights(self) -> Iterator[None]:
        """Promise that the weights stay as they are for the block, so that predictions share one converted copy."""
        with self._low.fixed():
            yield

    def _compute_layers_twice(self) -> None:
        """Keep each layer's input only; the backward pass computes the layer again, with the same dropout."""
        if not getattr(self.model, "supports_gradient_checkpointing", False):
            raise ConfigError(
                f"A {self.model.config.model_type} encoder can't compute its layers twice.",
                where="gradient_checkpointing",
                fix="Set it to false; fewer words in a batch, or smaller windows, save memory too.",
            )
        settings = {"use_reentrant": False, "context_fn": self._again.contexts}
        self.model.config.use_cache = False
        if hasattr(self.model, "activation_checkpointing_enable"):
            self.model.activation_checkpointing_enable(settings)
        else:
            self.model.gradient_checkpointing_enable(gradient_checkpointing_kwargs=settings)

    def _numbers(self, layers: Iterable[int]) -> tuple[int, ...]:
        n = self.n_hidden_states
        numbers = tuple(layers)
        if not numbers or not all(-n <= layer < n for layer in numbers):
            raise ValueError(f"layers are {numbers}, but the encoder's hidden states are 0 to {n - 1}")
        return tuple(layer % n for layer in numbers)

    def inputs_of(self, batch: Batch) -> dict[str, Any]:
        """What the network is called with, on the module's device."""
        inputs: dict[str, Any] = {"input_ids": torch.from_numpy(batch.ids).to(self.device), **inputs_of_row(batch)}
        if batch.mask is not None:
            inputs["attention_mask"] = torch.from_numpy(batch.mask).to(self.device)
        if batch.type_ids is not None and self._takes_type_ids:
            inputs["token_type_ids"] = torch.from_numpy(batch.type_ids).to(self.device)
        return inputs

    def _in_graph(
        self, batches: Iterable[Batch], windows: Windows, n_pieces: int, layers: tuple[int, ...], part: Part | None
    ) -> Tensor:
        """Shape: (n_layers, n_pieces, width), with the way back."""
        parts: list[list[Tensor]] = [[] for _ in layers]
        n_positions = 0  # of the batches before this one
        order = torch.empty(int(windows.n_pieces.sum()), dtype=torch.int64)
        with torch.autocast(self.device.type, dtype=self.dtype, enabled=self.dtype != torch.float32):
            for batch in batches:
                for states, hidden in zip(parts, self._run(self.model, batch, layers, part), strict=True):
                    states.append(hidden.reshape(-1, self.width))
                order[torch.from_numpy(batch.places)] = torch.from_numpy(batch.positions) + n_positions
                n_positions += batch.ids.size
        if not n_positions:
            return torch.zeros((len(layers), n_pieces, self.width), device=self.device)
        where = order.to(self.device)
        readings = [
            (states[0] if len(states) == 1 else torch.cat(states)).index_select(0, where).float() for states in parts
        ]
        if not windows.read_each_once(n_pieces):
            readings = [average(reading, windows, n_pieces) for reading in readings]
        vectors = readings[0].unsqueeze(0) if len(readings) == 1 else torch.stack(readings)
        return self.gradient_scale.enter(vectors, self.model)

    def _without_graph(
        self,
        batches: Callable[[Windows], Iterable[Batch]],
        windows: Windows,
        n_pieces: int,
        layers: tuple[int, ...],
        n_at_once: int,
        part: Part | None,
    ) -> Tensor:
        """Shape: (n_layers, n_pieces, width). Beside this holds the readings of some windows at a time."""
        model = self.model if self.dtype == torch.float32 else self._low.of(self.model)
        sums = Sums(len(layers), n_pieces, self.width, device=self.device)
        for some in windows.parts(n_at_once):
            with sums.adding(some) as readings:
                for batch in batches(some):
                    places = torch.from_numpy(batch.places).to(self.device)
                    positions = torch.from_numpy(batch.positions).to(self.device)
                    for reading, hidden in zip(readings, self._run(model, batch, layers, part), strict=True):
                        reading[places] = hidden.reshape(-1, self.width).index_select(0, positions).float()
        return sums.means()

    def _run(
        self, model: HuggingFaceModel, batch: Batch, layers: tuple[int, ...], part: Part | None
    ) -> list[Tensor]:
        """The hidden states of one batch, each (n_rows, length, width)."""
        try:
            return (part or self.whole).hidden_states(model, self.inputs_of(batch), batch, layers)
        except RuntimeError as error:
            if self.dtype == torch.float32 or not any(sign in str(error) for sign in _OF_PRECISION):
                raise
            said = str(error).strip().split("\n")[0]
            raise ConfigError(
                f"A {model.config.model_type} encoder does not compute in {self.precision}: {said}",
                where="precision",
                fix='Set the transformer\'s precision to "float32", or try another one.',
            ) from error


@contextmanager
def _seeded(seed: int | None, device: torch.device) -> Iterator[None]:
    if seed is None:
        yield
        return
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def _n_positions(model: HuggingFaceModel, tokenizer: Tokenizer) -> int:
    """The longest row, special tokens included."""
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, nn.Embedding) and module.padding_idx is not None:
            return module.num_embeddings - module.padding_idx - 1  # positions are counted from behind the padding's
    n_positions = int(getattr(model.config, "max_position_embeddings", None) or 0)  # XLNet says -1 for no limit
    return min(n_positions if n_positions > 0 else int(tokenizer.model_max_length), NO_LIMIT)
