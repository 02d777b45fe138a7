"""A Hugging Face encoder that reads windows of word pieces.

Pads windows into rows, adds the special tokens, runs the network with SDPA attention, drops the special tokens,
averages where windows overlap, and hands back one float32 vector per piece. `forward` is for training and for
prediction with weights that move; `forward_frozen` gives each window numbers that depend on that window alone.
Files are hub.py's business, layouts batches.py's.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from frostline.embedding import hub
from frostline.embedding.adapters import ADAPTER, AdapterSettings, add_adapters, load_adapters
from frostline.embedding.attention import MAX_LENGTH, always_masked, use_fast_attention
from frostline.embedding.batches import (
    Batch,
    SpecialTokens,
    batches_by_length,
    batches_of_fixed_shapes,
    ranks_of_covers,
)
from frostline.embedding.dropout import use_fast_dropout
from frostline.embedding.packed import can_pack, first_position_of, inputs_of_row, packed_batches
from frostline.embedding.pieces import Pieces, Tokenizer
from frostline.embedding.windows import Windows
from frostline.errors import ConfigError, did_you_mean
from frostline.layers.modes import running

HuggingFaceModel: TypeAlias = Any  # transformers comes without usable types
HuggingFaceConfig: TypeAlias = Any

PRECISIONS = {"float32": torch.float32, "bf16": torch.bfloat16, "float16": torch.float16}
NO_LIMIT = 1 << 20  # pieces in a window of an encoder without a table of positions
FROZEN_BATCH_PIECES = {"cpu": 512, "cuda": 16384}  # padded, of one fixed shape: as fast there as any larger one


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
            raise ConfigError(f"'{precision}' is no precision.", fix=did_you_mean(precision, PRECISIONS))
        self.model = model.float()
        self._can_always_mask = use_fast_attention(model)
        self._can_pack = self._can_always_mask and can_pack(self.model)
        use_fast_dropout(model)
        self.tokenizer = tokenizer
        self.precision = precision
        self.dtype = PRECISIONS[precision]
        self.special = SpecialTokens.of(tokenizer)
        self._takes_type_ids = "token_type_ids" in inspect.signature(model.forward).parameters
        self._low = _LowPrecisionCopy(self.dtype)
        self.adapter: AdapterSettings | None = None
        self._is_train = False  # of the latest forward, for what the backward pass computes again
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
    def width(self) -> int:
        """Numbers in one vector."""
        return int(self.model.config.hidden_size)

    @property
    def n_hidden_states(self) -> int:
        """Layers that can be asked for: the embeddings, number 0, and what each layer gives."""
        return int(self.model.config.num_hidden_layers) + 1

    @property
    def max_content_pieces(self) -> int:
        """The longest window the encoder's positions allow, special tokens not counted."""
        return _n_positions(self.model, self.tokenizer) - self.special.n

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        device: torch.device = next(self.model.parameters()).device
        return device

    def digest(self) -> str:
        """Hex SHA-256 of all that decides the numbers: weights, config, tokenizer, precision."""
        return hub.encoder_digest(self.model, self.tokenizer, self.precision)

    def forward(
        self,
        pieces: Pieces,
        windows: Windows,
        *,
        is_train: bool,
        layers: tuple[int, ...] = (-1,),
        max_batch_pieces: int = 4096,
        seed: int | None = None,
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
        Returns:
            (len(layers), n_pieces, width) float32 on the module's device.
        """
        batches = self._batches(pieces, windows, max_batch_pieces)
        self._is_train = is_train
        with running(self, is_train=is_train), _seeded(seed, self.device):
            if torch.is_grad_enabled():
                return self._in_graph(batches, windows, self._numbers(layers))
            return self._without_graph(batches, windows, self._numbers(layers))

    def forward_frozen(self, pieces: Pieces, windows: Windows, *, layers: tuple[int, ...] = (-1,)) -> Tensor:
        """As `forward` in prediction, without a graph; each window's numbers are a function of that window alone.

        Bit for bit, whatever else is in the batch, for one number of threads on one kind of machine.
        """
        batches = batches_of_fixed_shapes(
            pieces.ids,
            windows,
            self.special,
            n_padded_pieces=FROZEN_BATCH_PIECES.get(self.device.type, 512),
            max_length=self.max_content_pieces + self.special.n,
            leave_padding=not self._can_always_mask,
        )
        with torch.no_grad(), running(self, is_train=False), always_masked():
            return self._without_graph(batches, windows, self._numbers(layers))

    @contextmanager
    def fixed_weights(self) -> Iterator[None]:
        """Promise that the weights stay as they are for the block, so that predictions share one converted copy."""
        with self._low.fixed():
            yield

    def _compute_layers_twice(self) -> None:
        """Keep each layer's input only; the backward pass computes the layer again, with the same dropout."""

        def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
            return nullcontext(), running(self, is_train=self._is_train)  # called in the forward pass

        settings = {"use_reentrant": False, "context_fn": contexts}
        self.model.config.use_cache = False
        if hasattr(self.model, "activation_checkpointing_enable"):
            self.model.activation_checkpointing_enable(settings)
        else:
            self.model.gradient_checkpointing_enable(gradient_checkpointing_kwargs=settings)

    def _batches(self, pieces: Pieces, windows: Windows, max_batch_pieces: int) -> Iterator[Batch]:
        """Without padding where the encoder bears it; GPUs prefer few large calls, and long windows fused attention."""
        longest = int(windows.n_pieces.max(initial=0)) + self.special.n
        if self._can_pack and self.device.type == "cpu" and longest <= MAX_LENGTH:
            return packed_batches(pieces.ids, windows, self.special, max_batch_pieces=max_batch_pieces,
                                  first_position=first_position_of(self.model))  # fmt: skip
        return batches_by_length(pieces.ids, windows, self.special, max_batch_pieces=max_batch_pieces)

    def _numbers(self, layers: Iterable[int]) -> tuple[int, ...]:
        n = self.n_hidden_states
        numbers = tuple(layers)
        if not numbers or not all(-n <= layer < n for layer in numbers):
            raise ValueError(f"layers are {numbers}, but the encoder's hidden states are 0 to {n - 1}")
        return tuple(layer % n for layer in numbers)

    def _in_graph(
        self, batches: Iterable[Batch], windows: Windows, layers: tuple[int, ...]
    ) -> Tensor:
        """Shape: (n_layers, n_pieces, width), with the way back."""
        parts: list[list[Tensor]] = [[] for _ in layers]
        n_positions = 0  # of the batches before this one
        order = torch.empty(int(windows.n_pieces.sum()), dtype=torch.int64)
        with torch.autocast(self.device.type, dtype=self.dtype, enabled=self.dtype != torch.float32):
            for batch in batches:
                for part, hidden in zip(parts, self._run(self.model, batch, layers), strict=True):
                    part.append(hidden.reshape(-1, self.width))
                order[torch.from_numpy(batch.places)] = torch.from_numpy(batch.positions) + n_positions
                n_positions += batch.ids.size
        if not n_positions:
            return torch.zeros((len(layers), 0, self.width), device=self.device)
        where = order.to(self.device)
        readings = [
            (part[0] if len(part) == 1 else torch.cat(part)).index_select(0, where).float() for part in parts
        ]
        if windows.overlap:
            readings = [_average(reading, windows) for reading in readings]
        return readings[0].unsqueeze(0) if len(readings) == 1 else torch.stack(readings)

    def _without_graph(
        self, batches: Iterable[Batch], windows: Windows, layers: tuple[int, ...]
    ) -> Tensor:
        """Shape: (n_layers, n_pieces, width). Holds one batch's hidden states at a time."""
        model = self.model if self.dtype == torch.float32 else self._low.of(self.model)
        n_readings = int(windows.n_pieces.sum())
        readings = torch.empty((len(layers), n_readings, self.width), device=self.device)
        for batch in batches:
            places = torch.from_numpy(batch.places).to(self.device)
            positions = torch.from_numpy(batch.positions).to(self.device)
            for reading, hidden in zip(readings, self._run(model, batch, layers), strict=True):
                reading[places] = hidden.reshape(-1, self.width).index_select(0, positions).float()
        if windows.overlap:
            return torch.stack([_average(reading, windows) for reading in readings])
        return readings

    def _run(self, model: HuggingFaceModel, batch: Batch, layers: tuple[int, ...]) -> list[Tensor]:
        """The hidden states of one batch, each (n_rows, length, width)."""
        inputs: dict[str, Any] = {"input_ids": torch.from_numpy(batch.ids).to(self.device), **inputs_of_row(batch)}
        if batch.mask is not None:
            inputs["attention_mask"] = torch.from_numpy(batch.mask).to(self.device)
        if batch.type_ids is not None and self._takes_type_ids:
            inputs["token_type_ids"] = torch.from_numpy(batch.type_ids).to(self.device)
        last = self.n_hidden_states - 1
        if layers == (last,):
            return [model(**inputs).last_hidden_state]
        output = model(**inputs, output_hidden_states=True)
        return [output.last_hidden_state if layer == last else output.hidden_states[layer] for layer in layers]


class _LowPrecisionCopy:
    """A model's weights in another precision, brought up to date where they may have moved."""

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype
        self._copy: HuggingFaceModel | None = None
        self._seen: tuple[tuple[int, int], ...] = ()
        self._is_fixed = False
        self._is_current = False  # since the weights were promised to stay

    def of(self, model: HuggingFaceModel) -> HuggingFaceModel:
        """The copy, in the training state that `model` is in."""
        parameters = list(model.parameters())
        seen = tuple((parameter.data_ptr(), parameter._version) for parameter in parameters)
        may_move = seen != self._seen or any(parameter.requires_grad for parameter in parameters)
        if self._copy is None or next(self._copy.parameters()).device != parameters[0].device:
            self._copy = copy.deepcopy(model).to(self.dtype).requires_grad_(False)
        elif may_move and not (self._is_fixed and self._is_current):
            with torch.no_grad():
                for mine, theirs in zip(self._copy.parameters(), parameters, strict=True):
                    mine.copy_(theirs)
        self._seen, self._is_current = seen, True
        for part, original in zip(self._copy.modules(), model.modules(), strict=True):
            part.training = original.training
        return self._copy

    @contextmanager
    def fixed(self) -> Iterator[None]:
        """See `Encoder.fixed_weights`."""
        was_fixed = self._is_fixed
        self._is_current = self._is_current and was_fixed
        self._is_fixed = True
        try:
            yield
        finally:
            self._is_fixed = was_fixed


def _average(readings: Tensor, windows: Windows) -> Tensor:
    """(n_readings, width) in window order to (n_pieces, width), always added in the same order."""
    ranks = ranks_of_covers(windows)
    device = readings.device
    total = readings.index_select(0, torch.from_numpy(ranks[0][0]).to(device))
    counts = torch.ones(len(ranks[0][0]))
    for places, read in ranks[1:]:
        index = torch.from_numpy(read)
        total = total.index_add(0, index.to(device), readings.index_select(0, torch.from_numpy(places).to(device)))
        counts[index] += 1
    return total / counts.to(device)[:, None]


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
    n_positions = getattr(model.config, "max_position_embeddings", None) or tokenizer.model_max_length
    return min(int(n_positions), NO_LIMIT)
