"""Layers of a user's: the documented ones train by `--code`, and a publisher may be any layer that gives rows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from thinc.api import Model
from torch import Tensor, nn

import frostline
from frostline.cli.main import run as run_cli
from frostline.config import registry
from frostline.corpora.store import write_corpus
from frostline.embedding.activations import Activations
from frostline.errors import ConfigError
from frostline.layers.graph import graph_layer, module_layer
from frostline.layers.randomness import Clock
from frostline.layers.torch_bridge import apply_module
from frostline.pipeline.wiring import assemble
from frostline.tokens import Doc
from tests.pipeline.test_documented_tok2vec import documented_config
from tests.pipeline.tiny import examples_of, make_config, make_docs, make_pipeline
from tests.pipeline.tok2vec import with_tok2vec

DOCS = Path(__file__).parents[2] / "docs"


def test_the_documented_layers_train_by_code_and_come_back(tmp_path: Path) -> None:
    page = (DOCS / "layers.md").read_text(encoding="utf8")
    (program,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    code = tmp_path / "my_layers.py"
    code.write_text(program)
    whole = documented_config("pipelines.md", "frostline.Subwords.v1")
    head, _, rest = whole.partition("[components.tok2vec]")
    tail = rest[rest.index("[components.tagger]") :]
    (tmp_path / "my.cfg").write_text(head + documented_config("layers.md", "my.Embedding.v1") + "\n" + tail)
    corpus = tmp_path / "corpus"
    write_corpus(make_docs() * 4, corpus)

    run_cli(["train", str(tmp_path / "my.cfg"), "--code", str(code), "--output", str(tmp_path / "out"), "--quiet",
             "--paths.train", str(corpus), "--paths.dev", str(corpus), "--training.max_epochs", "12",
             "--training.batcher.n_words", "20", "--training.optimizer.learn_rate.warmup_steps", "5"])  # fmt: skip

    pipeline = frostline.load(tmp_path / "out" / "model-best")
    assert pipeline.evaluate(make_docs()).metrics["xpos_acc"] > 0.95
    names = {name.removeprefix("tok2vec/embed.") for name in pipeline.parameters.named_values}
    assert {"concatenate.hashed.norm.weight", "concatenate.closed.weight", "tok2vec/encode.layers.0.weight"} <= names


def lengths(docs: Any) -> Tensor:
    return torch.tensor([[float(len(word)), 1.0] for doc in docs for word in doc.words.values()])


def own_publisher(kind: str) -> Model:
    """docs -> (n_tokens, 4): a torch module on two numbers of a word, as a layer of ours or a plain one of Thinc's."""
    if kind == "graph":
        return graph_layer(
            "own", lambda model, docs, is_train: model.attrs["torch_module"](lengths(docs)), module=nn.Linear(2, 4),
            width=4,
        )  # fmt: skip

    if kind == "numpy":
        return own_numpy_layer()

    def forward(model: Model, docs: Any, is_train: bool) -> Any:
        return apply_module(model.attrs["torch_module"], lengths(docs), is_train=is_train)

    return Model("own", forward, attrs={"width": 4, "torch_module": nn.Linear(2, 4)})


def own_numpy_layer() -> Model:
    """The same in NumPy, with Thinc's own parameters."""

    def forward(model: Model, docs: Any, is_train: bool) -> Any:
        inputs = lengths(docs).numpy()
        weight, bias = model.get_param("weight"), model.get_param("bias")

        def backprop(gradient: Any) -> None:
            model.inc_grad("weight", gradient.T @ inputs)
            model.inc_grad("bias", gradient.sum(axis=0))

        return inputs @ weight.T + bias, backprop

    random = np.random.default_rng(0)
    params = {"weight": random.normal(size=(4, 2)).astype("f"), "bias": random.normal(size=4).astype("f")}
    return Model("embed", forward, params=params, attrs={"width": 4})


@pytest.mark.parametrize("reading", ["listener", "annotating", "independent"])
@pytest.mark.parametrize("kind", ["graph", "thinc", "numpy"])
def test_a_layer_of_ones_own_publishes_with_the_gradient_of_a_plain_graph(kind: str, reading: str) -> None:
    registry.architectures("test.Own.v1")(lambda: own_publisher(kind))
    config = with_tok2vec(make_config(Path("nowhere"), [reading, reading]))
    for section in config["components"].values():
        if section["factory"] == "publisher":
            section["model"] = {"@architectures": "test.Own.v1"}
        elif "transformer" in section["model"]["embedding"]:
            section["model"]["embedding"]["transformer"] = {"@architectures": "test.Own.v1"}
    docs = make_docs()
    pipeline = make_pipeline(config, docs)

    pipeline.update([examples_of(docs)], dropout=0.0, clock=Clock(seed=0))

    values = {name: value.clone().requires_grad_() for name, value in pipeline.parameters.named_values.items()}
    private = ".tok2vec" if kind != "numpy" else ""  # Thinc's own parameters belong to the component
    owners = ["transformer"] * 2 if reading != "independent" else [f"tagger{private}", f"morphologizer{private}"]
    losses = []
    for owner, component in zip(owners, pipeline.components.values(), strict=True):
        (name,) = (n for n in values if n.startswith(f"{owner}/") and values[n].shape == (4, 2))
        weight, bias = values[name], values[name.removesuffix("weight") + "bias"]
        (head,) = (n for n in values if n.startswith(f"{component.name}/") and n.endswith("output.weight"))
        scores = (lengths(docs) @ weight.T + bias) @ values[head].T + values[head.replace("weight", "bias")]
        start = 0
        for column in component.columns:
            labels = component.labels[column]
            gold = torch.tensor([labels.index(value) for doc in docs for value in doc.column(column).values()])
            losses.append(nn.functional.cross_entropy(scores[:, start : start + len(labels)], gold))
            start += len(labels)
    sum(losses).backward()
    gradients = pipeline.parameters.named_gradients
    assert gradients.keys() == values.keys()
    for name, gradient in gradients.items():
        expected = values[name].grad
        assert (gradient - expected).abs().max() <= 1e-5 * expected.abs().max(), name


def test_an_embedder_of_ones_own_publishes() -> None:
    class Constant:
        kind, layers, device = "constant", (-1,), "cpu"
        width, n_hidden_states, precision, keeps_files, module = 3, 1, "float32", False, nn.Module()

        def compute(self, docs: Any, *, is_train: bool, wants_gradient: bool = True) -> Activations:
            n_tokens = sum(map(len, docs))
            return Activations(docs=tuple(docs), pieces=torch.ones(1, 2 * n_tokens, 3), layers=(0,), n_all_layers=1,
                               n_pieces_of_token=torch.full((n_tokens,), 2))  # fmt: skip

        def prepare(self, *, seed: int) -> None: ...

    registry.architectures("test.Constant.v1")(
        lambda: Model("constant", lambda *given: None, attrs={"embedder": Constant()})
    )
    config = with_tok2vec(make_config(Path("nowhere"), ["annotating"]))
    config["components"]["transformer"]["model"] = {"@architectures": "test.Constant.v1"}

    (doc,) = make_pipeline(config, make_docs()).pipe([Doc.from_words(["a", "b"])], keep_activations=True)

    assert doc.activations["transformer"].tokens(pooling="sum").tolist() == [[2.0] * 3] * 2


def test_a_layer_that_gives_no_row_for_each_token_is_named_with_its_block() -> None:
    registry.architectures("test.Short.v1")(
        lambda: graph_layer("short", lambda model, docs, is_train: torch.ones(1, 4), width=4)
    )
    config = with_tok2vec(make_config(Path("nowhere"), ["listener"]))
    config["components"]["transformer"]["model"] = {"@architectures": "test.Short.v1"}
    pipeline = make_pipeline(config, make_docs())

    with pytest.raises(ConfigError, match="gives 1 rows for 3 tokens") as error:
        pipeline(Doc.from_words(["a", "b", "c"]))

    assert error.value.where == "components.transformer.model" and error.value.fix


def test_a_layer_that_publishes_nothing_is_refused_when_it_is_wired() -> None:
    registry.architectures("test.NoWidth.v1")(lambda: module_layer("plain", nn.Linear(2, 2)))
    config = with_tok2vec(make_config(Path("nowhere"), ["listener"]))
    config["components"]["transformer"]["model"] = {"@architectures": "test.NoWidth.v1"}

    with pytest.raises(ConfigError, match="'plain' publishes no activations") as error:
        assemble(config)

    assert error.value.where == "components.transformer.model"
