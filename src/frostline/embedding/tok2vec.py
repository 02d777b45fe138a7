"""A tok2vec: tokens are embedded by what they look like, and encoded by what stands around them.

It publishes as a transformer does; its pieces are the tokens themselves. The parts are layers made of torch (see
layers/graph.py), so one graph holds all that a batch's gradient goes back through. Random weights are a function of the
seed alone; they lie among the part's own on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from thinc.api import Model
from torch import Tensor, nn

from frostline.config import registry
from frostline.config.registry import CONFIG_PATH
from frostline.embedding.activations import Activations
from frostline.embedding.embedders import EMBEDDER, forward, numbers_of
from frostline.embedding.kernel_caches import bound_kernel_caches
from frostline.embedding.maxout_window import Sequences
from frostline.embedding.precisions import PRECISIONS, nearest_precision
from frostline.errors import ConfigError
from frostline.layers.graph import module_tree, per_token, run
from frostline.layers.modes import is_frozen, running
from frostline.tokens import Doc


class Tok2Vec:
    """An embedding layer and, where there is one, an encoder.

    Args:
        embed: docs -> (n_tokens, width); hidden state 0.
        encode: `Sequences` -> (n_tokens, width); the states after it. None: the embedding is all there is.
        precision: of the matrix products.
    """

    kind = "tok2vec"
    keeps_files = False

    def __init__(self, embed: Model, encode: Model | None = None, *, precision: str = "float32") -> None:
        bound_kernel_caches()
        self.embed = per_token(embed)
        self.encode = encode
        self.precision = precision
        self.layers: tuple[int, ...] | None = (-1,)
        self.device = "cpu"
        self._module = nn.Module()
        self._gather()

    @property
    def module(self) -> nn.Module:
        """The modules of both parts: `embed` and `encode`."""
        return self._module

    @property
    def width(self) -> int:
        """As the last part says under `attrs["width"]`."""
        last = self.embed if self.encode is None else self.encode
        if "width" not in last.attrs:
            raise ConfigError(
                f"The layer '{last.name}' does not say how wide its rows are.",
                where=last.attrs.get(CONFIG_PATH),
                fix='Make it with `graph_layer(..., width=96)`, or set attrs["width"].',
            )
        return int(last.attrs["width"])

    @property
    def n_hidden_states(self) -> int:
        """The embedding and what each layer of the encoder gives."""
        return 1 + (0 if self.encode is None else int(self.encode.attrs.get("n_states", 1)))

    def prepare(self, *, seed: int) -> None:
        """Give every module that knows how to its random weights anew."""
        self._gather()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for part in self._module.modules():
                reset = getattr(part, "reset_parameters", None)
                if callable(reset):
                    reset()

    def load(self, folder: Path) -> None:
        """Nothing: see `Embedder.keeps_files`."""

    def save(self, folder: Path) -> None:
        """Nothing: see `Embedder.keeps_files`."""

    def digest(self) -> str:
        """Nothing but config and seed decide what a training starts with."""
        return ""

    @contextmanager
    def fixed_weights(self) -> Iterator[None]:
        """Nothing is converted that could be shared."""
        yield

    def compute(self, docs: Sequence[Doc], *, is_train: bool, wants_gradient: bool = True) -> Activations:
        """See `Embedder.compute`."""
        learns = is_train and wants_gradient
        numbers = numbers_of(self.layers, self.n_hidden_states)
        dtype = PRECISIONS[self.precision]
        with (
            torch.set_grad_enabled(learns and not self._stands_still()),
            running(self._module, is_train=learns),
            torch.autocast(self.device.partition(":")[0], dtype=dtype, enabled=dtype != torch.float32),
        ):
            states = self._states(docs, learns)
            wanted = [states[number].float() for number in numbers]
            pieces = wanted[0].unsqueeze(0) if len(wanted) == 1 else torch.stack(wanted)
        n_tokens = sum(map(len, docs))
        return Activations(
            docs=tuple(docs),
            pieces=pieces,
            n_pieces_of_token=torch.ones(n_tokens, dtype=torch.int32, device=pieces.device),
            layers=numbers,
            n_all_layers=self.n_hidden_states,
        )

    def _states(self, docs: Sequence[Doc], is_train: bool) -> list[Tensor]:
        """The hidden states, (n_tokens, width) each."""
        embedded = run(self.embed, docs, is_train=is_train)
        if len(embedded) != sum(map(len, docs)):
            raise ConfigError(
                f"The embedding gives {len(embedded)} rows for {sum(map(len, docs))} tokens.",
                where=self.embed.attrs.get(CONFIG_PATH),
                fix="A layer that publishes gives one row for each token of the docs, in order.",
            )
        if self.encode is None:
            return [embedded]
        sequences = Sequences(values=embedded, n_tokens_of_doc=tuple(map(len, docs)))
        states: Callable[[Sequences], list[Tensor]] | None = self.encode.attrs.get("states")
        encoded = [run(self.encode, sequences, is_train=is_train)] if states is None else states(sequences)
        return [embedded, *encoded]

    def _stands_still(self) -> bool:
        """Whether no parameter moves, torch's or Thinc's."""
        nodes = [*self.embed.walk(), *(self.encode.walk() if self.encode is not None else ())]
        return is_frozen(self._module) and not any(node.param_names for node in nodes)

    def _gather(self) -> None:
        """The modules as a tree; anew where a layer has made its own since."""
        parts = {"embed": module_tree(self.embed)}
        if self.encode is not None:
            parts["encode"] = module_tree(self.encode)
        for name, module in parts.items():
            self._module.add_module(name, module)


@registry.architectures("frostline.Tok2Vec.v1")
def build_tok2vec(
    *, embed: Model[list[Doc], Tensor], encode: Model[Sequences, Tensor], precision: str = "float32"
) -> Model[list[Doc], Activations]:
    """Vectors of tokens from their looks and their neighbours; no files, no word pieces, fast on a CPU.

    embed: docs -> (n_tokens, width), such as `frostline.HashEmbed.v1`.
    encode: such as `frostline.MaxoutWindow.v1`, of the same width.
    precision: "float32", "bf16" or "float16", of the matrix products; parameters and outputs are float32.
    """
    if precision not in PRECISIONS:
        fix = nearest_precision(precision)
        raise ConfigError(f"'{precision}' is no precision.", where="precision", fix=fix)
    widths = [part.attrs.get("width") for part in (embed, encode)]
    if None not in widths and widths[0] != widths[1]:
        raise ConfigError(
            f"The embedding is {widths[0]} wide, the encoder {widths[1]}.",
            where="encode",
            fix="Give both the same `width`.",
        )
    return _publishing("tok2vec", Tok2Vec(embed, encode, precision=precision))


def publishing(model: Model) -> Model[list[Doc], Activations]:
    """A layer that publishes: `model` itself where it has an embedder, else around what it gives for each token.

    model: when it has no embedder, any Thinc layer from docs to (n_tokens, width) that says how wide its rows are.
    """
    if EMBEDDER in model.attrs or "width" not in model.attrs:
        return model
    wrapped = _publishing("tok2vec", Tok2Vec(model))
    if CONFIG_PATH in model.attrs:
        wrapped.attrs[CONFIG_PATH] = model.attrs[CONFIG_PATH]
    return wrapped


def _publishing(name: str, tok2vec: Tok2Vec) -> Model[list[Doc], Activations]:
    parts = [part for part in (tok2vec.embed, tok2vec.encode) if part is not None]
    return Model(name, forward, layers=parts, attrs={EMBEDDER: tok2vec, "torch_module": tok2vec.module})
