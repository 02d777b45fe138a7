"""A Hugging Face encoder as a Thinc layer: docs in, activations of their pieces out.

The layer is made without weights; `load` brings them, from the configured source before training or from the
model's own folder afterwards, so a saved model never needs the place its encoder came from. A frozen encoder reads
its numbers from a store, made by `frostline embed`, or from a private cache, where they are; one whose lower layers
stand still reads what those give from a private cache. The numbers are the same, bit for bit, wherever they come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from thinc.api import Model
from torch import Tensor

from frostline.config import registry
from frostline.config.arguments import EMPTY_PATH, NAME_A_PATH, Block
from frostline.embedding.activations import Activations
from frostline.embedding.adapters import AdapterSettings, adapter_settings
from frostline.embedding.cache import ActivationCache
from frostline.embedding.depths import Depth, find_depth
from frostline.embedding.embedders import EMBEDDER, forward, numbers_of
from frostline.embedding.encoder import Encoder
from frostline.embedding.hub import save_encoder
from frostline.embedding.lookup import look_up
from frostline.embedding.pieces import Pieces, PieceTable
from frostline.embedding.precisions import PRECISIONS, nearest_precision
from frostline.embedding.store import STORAGES, ActivationStore, activation_key, round_as_stored
from frostline.embedding.window_getters import Strided, WindowGetter, check_lengths, spans_of
from frostline.embedding.windows import Windows, plan_windows, windows_of_spans
from frostline.errors import ConfigError
from frostline.layers.modes import stands_still
from frostline.layers.parameters import STAGE_ATTRIBUTE
from frostline.tokens import Doc


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformerSettings:
    """What a config says of an encoder; the meaning of each key is in `build_transformer`."""

    source: str
    precision: str
    window: int
    stride: int
    max_batch_pieces: int
    tokenizer_settings: dict[str, Any]
    transformer_settings: dict[str, Any]
    adapter: AdapterSettings | None = None
    getter: WindowGetter | None = None
    storage: str = "float32"
    gradient_checkpointing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """A batch as an encoder reads it. Made by `Transformer.read`, so that a getter of windows is asked once."""

    docs: Sequence[Doc]
    pieces: Pieces
    spans: Sequence[NDArray[np.int64]] | None  # that the getter chose; None where windows are cut by length alone

    def keys(self) -> list[bytes]:
        """By what each doc's activations are found again: all that its windows see of it."""
        if self.spans is None:
            return [activation_key(doc) for doc in self.docs]
        return [activation_key(doc, of_doc) for doc, of_doc in zip(self.docs, self.spans, strict=True)]


@dataclass(slots=True, kw_only=True)
class Transformer:
    """An encoder with its tokenizer's table and the places where frozen activations may lie."""

    kind: ClassVar[str] = "transformer"
    keeps_files: ClassVar[bool] = True

    settings: TransformerSettings
    encoder: Encoder | None = None
    table: PieceTable | None = None
    layers: tuple[int, ...] | None = (-1,)  # that readers ask for; None for all
    stores: list[ActivationStore | ActivationCache] = field(default_factory=list)  # for the encoder as a whole
    depth: Depth | None = None  # up to which the encoder never moves
    lower_stores: list[ActivationCache] = field(default_factory=list)  # for what lies below
    device: str = "cpu"
    path: str | None = None  # of its block in the config, for messages

    def load(self, folder: Path) -> Encoder:
        """Bring the encoder and its tokenizer from a folder in Hugging Face's layout.

        Raises:
            ModelFileError: a file is missing or broken.
            ConfigError: the encoder does not know a setting, or can't compute its layers twice.
        """
        self.encoder = Encoder.from_folder(
            folder,
            precision=self.settings.precision,
            transformer_settings=self.settings.transformer_settings,
            tokenizer_settings=self.settings.tokenizer_settings,
            checkpointing=self.settings.gradient_checkpointing,
        )
        if self.settings.adapter is not None:
            self.encoder.add_adapters(self.settings.adapter, folder)
        self.encoder = self.encoder.to(self.device)
        self.table = PieceTable(self.encoder.tokenizer)
        return self.encoder

    @property
    def ready(self) -> Encoder:
        """The encoder; RuntimeError before `load`."""
        if self.encoder is None:
            raise RuntimeError("The encoder has not been loaded yet.")
        return self.encoder

    @property
    def module(self) -> Encoder:
        """See `ready`."""
        return self.ready

    @property
    def width(self) -> int:
        """Numbers in one vector."""
        return self.ready.width

    @property
    def n_hidden_states(self) -> int:
        """The embeddings and what each layer gives."""
        return self.ready.n_hidden_states

    @property
    def precision(self) -> str:
        """Of the arithmetic."""
        return self.settings.precision

    def prepare(self, *, seed: int) -> None:
        """Load the encoder from the source that the config names; nothing of it is random."""
        self.load(Path(self.settings.source))

    def save(self, folder: Path) -> None:
        """Write the encoder and its tokenizer in Hugging Face's layout."""
        save_encoder(self.ready, folder)

    def digest(self) -> str:
        """Of weights, config, tokenizer and precision."""
        return self.ready.digest()

    def fixed_weights(self) -> AbstractContextManager[None]:
        """See `Encoder.fixed_weights`."""
        return self.ready.fixed_weights()

    def pieces_of(self, docs: Sequence[Doc]) -> Pieces:
        """The docs' words as pieces of the encoder's vocabulary."""
        self.ready  # noqa: B018  (says what is missing before the table does)
        assert self.table is not None
        return self.table.pieces_of(docs)

    def layer_numbers(self) -> tuple[int, ...]:
        """The layers to compute as numbers of hidden states, ascending, each once."""
        return numbers_of(self.layers, self.ready.n_hidden_states)

    def compute(self, docs: Sequence[Doc], *, is_train: bool, wants_gradient: bool = True) -> Activations:
        """Activations of a batch of docs.

        Args:
            is_train: training behaviour for the parts whose mode says so; frozen encoders compute as in prediction.
            wants_gradient: False when no reader sends a gradient back: then no graph is kept.
        """
        encoder = self.ready
        given = self.read(docs)
        pieces = given.pieces
        layers = self.layer_numbers()
        if self.is_frozen:
            numbers = self._frozen(given)
        else:
            is_train = is_train and wants_gradient
            with torch.set_grad_enabled(is_train):
                numbers = self._moving(given, is_train=is_train, layers=layers)
        return Activations(
            docs=tuple(docs),
            pieces=numbers,
            n_pieces_of_token=torch.from_numpy(pieces.n_pieces_of_token).to(numbers.device),
            layers=layers,
            n_all_layers=encoder.n_hidden_states,
            ids=pieces.ids,
        )

    @property
    def is_frozen(self) -> bool:
        """Whether training computes as prediction does, and no parameter moves now or once a schedule frees it."""
        waits = any(hasattr(parameter, STAGE_ATTRIBUTE) for parameter in self.ready.parameters())
        return not waits and stands_still(self.ready)

    @property
    def window(self) -> int:
        """The window in content pieces, never longer than the encoder's positions allow."""
        return min(self.settings.window, self.ready.max_content_pieces)

    @property
    def stride(self) -> int:
        """The step from one window of a long doc to the next: the configured one, or its share of a shorter window."""
        return max(1, self.settings.stride * self.window // self.settings.window)

    def read(self, docs: Sequence[Doc]) -> Input:
        """The docs' pieces, and the spans that the config's getter chooses."""
        pieces = self.pieces_of(docs)
        if self.settings.getter is None:
            return Input(docs=docs, pieces=pieces, spans=None)
        where = f"{self.path}.windows" if self.path else "windows"
        return Input(docs=docs, pieces=pieces, spans=spans_of(self.settings.getter, docs, where=where))

    def some(self, given: Input, places: Sequence[int]) -> Input:
        """The docs at these places alone."""
        if len(places) == len(given.docs):
            return given
        docs = [given.docs[place] for place in places]
        spans = None if given.spans is None else [given.spans[place] for place in places]
        return Input(docs=docs, pieces=self.pieces_of(docs), spans=spans)

    def frozen_activations(self, given: Input) -> tuple[Tensor, list[int]]:
        """What a frozen encoder gives for docs, computed afresh, in the numbers that a store would keep.

        Returns:
            (n_layers, n_pieces, width) float32, and how many of the pieces are each doc's.
        """
        computed = self.ready.forward_frozen(given.pieces, self._windows(given), layers=self.layer_numbers())
        return round_as_stored(computed, self.settings.storage), given.pieces.n_pieces_of_doc.tolist()

    def lower_states(self, pieces: Pieces, windows: Windows) -> tuple[Tensor, list[int]]:
        """What the layers below `depth` give, computed afresh, in the numbers that a cache would keep.

        Returns:
            As `Depth.lower`.
        """
        assert self.depth is not None
        computed, lengths = self.depth.lower(pieces, windows)
        return round_as_stored(computed, self.settings.storage), lengths

    def find_depth(self) -> None:
        """See up to which hidden state the encoder never moves, once its modes are declared."""
        self.depth = find_depth(self.ready, at_most=min(self.layer_numbers()))

    def forget_what_moves(self) -> None:
        """Let go of stores whose numbers a step may change from now on: a block of code can free what was frozen."""
        if any(parameter.requires_grad for parameter in self.ready.parameters()):
            self.stores.clear()
        if self.depth is not None and any(weight.requires_grad for weight in self.depth.weights.values()):
            self.lower_stores.clear()

    def store_settings(self) -> dict[str, Any]:
        """Everything that frozen activations depend on beside what a doc's key holds."""
        return self._settings(self.ready.digest()) | {"layers": list(self.layer_numbers())}

    def lower_settings(self) -> dict[str, Any] | None:
        """The same for what the layers below `depth` give; None where none stand still."""
        return None if self.depth is None else self._settings(self.depth.digest()) | {"depth": self.depth.number}

    def _settings(self, digest: str) -> dict[str, Any]:
        special = self.ready.special
        return {
            "encoder": digest,
            "precision": self.settings.precision,
            "window": self.window,
            "stride": self.stride,
            "windows": "strided" if self.settings.getter is None else "chosen",
            "special": [list(special.prefix), list(special.suffix), special.pad_id],
            "storage": self.settings.storage,
        }

    def _windows(self, given: Input) -> Windows:
        pieces = given.pieces
        if given.spans is not None:
            return windows_of_spans(
                given.spans, pieces.n_tokens_of_doc, pieces.n_pieces_of_token, window=self.window, stride=self.stride
            )
        return plan_windows(pieces.n_pieces_of_doc, pieces.n_pieces_of_token, window=self.window, stride=self.stride)

    def _frozen(self, given: Input) -> Tensor:
        """(n_layers, n_pieces, width): what the stores have from there, the rest computed and offered to the caches."""
        if not self.stores:
            return self.frozen_activations(given)[0]

        def compute(missing: list[int]) -> tuple[Tensor, list[int]]:
            return self.frozen_activations(self.some(given, missing))

        return look_up(self.stores, given.keys(), compute).to(self.device)

    def _moving(self, given: Input, *, is_train: bool, layers: tuple[int, ...]) -> Tensor:
        """(n_layers, n_pieces, width) of an encoder that moves, or whose upper layers do."""
        pieces, windows, bound = given.pieces, self._windows(given), self.settings.max_batch_pieces
        depth = self.depth
        if depth is None or min(layers) < depth.number or not depth.holds:
            whole: Tensor = self.ready(pieces, windows, is_train=is_train, layers=layers, max_batch_pieces=bound)
            return whole

        def compute(missing: list[int]) -> tuple[Tensor, list[int]]:
            some = self.some(given, missing)
            return self.lower_states(some.pieces, windows if some is given else self._windows(some))

        if self.lower_stores:
            states = look_up(self.lower_stores, given.keys(), compute).to(self.device)
        else:
            states, _ = self.lower_states(pieces, windows)
        return depth.upper(states, pieces, windows, is_train=is_train, layers=layers, max_batch_pieces=bound)


@registry.architectures("frostline.Transformer.v1")
def build_transformer(
    *,
    source: str,
    precision: str = "float32",
    window: int = 254,
    stride: int = 190,
    windows: Annotated[WindowGetter | Strided, Block("windows")] | None = None,
    max_batch_pieces: int = 2048,
    gradient_checkpointing: bool = False,
    storage: str = "float32",
    tokenizer_settings: dict[str, Any] = {},  # noqa: B006  (never written to; the config shows it as the default)
    transformer_settings: dict[str, Any] = {},  # noqa: B006
    adapter: dict[str, Any] = {},  # noqa: B006
) -> Model[list[Doc], Activations]:
    """Any encoder that `transformers.AutoModel` loads, with its tokenizer.

    source: folder with config.json, tokenizer.json and model.safetensors.
    precision: "float32", "bf16" or "float16", of the arithmetic; parameters and outputs are float32.
    window, stride: in pieces, special tokens aside. Docs longer than a window are read in overlapping ones,
        `stride` apart, and overlapping pieces are averaged. Where the encoder has fewer positions the window is cut
        to them, and the stride in proportion.
    windows: a block that calls one of the registered windows, such as frostline.sentences.v1; what it chooses is cut by
        `window` and `stride` where it is longer, and pieces that it leaves out get zeros. None: whole docs.
    max_batch_pieces: padded pieces that go through the encoder at once; bounds memory, and changes no result beyond
        rounding.
    gradient_checkpointing: keep only each layer's input in training and compute the layer again in the backward
        pass: less memory, one more forward pass of each layer, the same gradients.
    storage: "float32", "bf16" or "float16": what a frozen encoder's numbers are rounded to, in stores and everywhere.
    tokenizer_settings, transformer_settings: handed to the tokenizer and to the model's own config, such as
        {"hidden_dropout_prob": 0.1}.
    adapter: low-rank adapters that learn in the place of the encoder (needs the extra [peft]), such as
        {"rank": 8, "targets": ["query", "value"]}; also "alpha" (twice the rank) and "dropout" (0).
    """
    if not source:
        raise ConfigError(EMPTY_PATH, where="source", fix=NAME_A_PATH)
    if isinstance(windows, Strided):
        window, stride, windows = windows.window, windows.stride, None
    check_lengths(window=window, stride=stride)
    if max_batch_pieces < 1:
        fix = "Give a number of pieces from 1 up."
        raise ConfigError(f"max_batch_pieces is {max_batch_pieces}, but must be 1 or more.",
                          where="max_batch_pieces", fix=fix)  # fmt: skip
    for key, name, names in (("precision", precision, PRECISIONS), ("storage", storage, STORAGES)):
        if name not in names:
            raise ConfigError(f"'{name}' is no {key}.", where=key, fix=nearest_precision(name))
    settings = TransformerSettings(
        source=source,
        precision=precision,
        window=window,
        stride=stride,
        max_batch_pieces=max_batch_pieces,
        tokenizer_settings=dict(tokenizer_settings),
        transformer_settings=dict(transformer_settings),
        adapter=adapter_settings(adapter),
        getter=windows,
        storage=storage,
        gradient_checkpointing=gradient_checkpointing,
    )
    return Model("transformer", forward, attrs={EMBEDDER: Transformer(settings=settings)})


def adopt_encoder(model: Model, encoder: Encoder) -> None:
    """Make an encoder that has weights already that of a layer made by `build_transformer`."""
    transformer = model.attrs[EMBEDDER]
    assert isinstance(transformer, Transformer)
    transformer.encoder, transformer.table = encoder, PieceTable(encoder.tokenizer)
    model.attrs["torch_module"] = encoder
