"""A pipeline small enough for tests, and the plain torch model that it must equal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing
from transformers import AutoModel, BertConfig, BertModel, PreTrainedTokenizerFast

from frostline.pipeline.pipeline import Pipeline
from frostline.pipeline.wiring import assemble
from frostline.tokens import Doc, Example
from frostline.training.initialize import initialize

WORDS = "the a dog cats run walk ing s ed quick ly un believ able blue old he ##s ##ing ##ed ##ly ##able"
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS.split()]
SENTENCES = [  # word/XPOS/UPOS/FEATS
    "the/DT/DET/Definite=Def dog/NN/NOUN/Number=Sing walks/VBZ/VERB/Number=Sing|Person=3",
    "cats/NNS/NOUN/Number=Plur run/VBP/VERB/ quickly/RB/ADV/",
    "a/DT/DET/ blue/JJ/ADJ/ dog/NN/NOUN/Number=Sing walked/VBD/VERB/Tense=Past",
    "he/PRP/PRON/Person=3 runs/VBZ/VERB/Number=Sing|Person=3",
    "the/DT/DET/ old/JJ/ADJ/ cats/NNS/NOUN/Number=Plur unbelievably/RB/ADV/ run/VBP/VERB/ "
    "walking/VBG/VERB/VerbForm=Ger dogs/NNS/NOUN/Number=Plur",
    "dogs/NNS/NOUN/Number=Plur",
]


def make_encoder(folder: Path, *, seed: int = 0, **settings: Any) -> Path:
    """Write a random tiny BERT with its tokenizer to `folder`."""
    tokenizer = Tokenizer(WordPiece({word: number for number, word in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )
    shape = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
    config = BertConfig(vocab_size=len(VOCABULARY), max_position_embeddings=64, **{**shape, **settings})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = BertModel(config, add_pooling_layer=False)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.1)  # so that no bias is zero, no norm one
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


def make_docs() -> list[Doc]:
    """Annotated docs of one to seven words."""
    docs = []
    for number, sentence in enumerate(SENTENCES):
        words, xpos, upos, feats = zip(*(token.split("/") for token in sentence.split()), strict=True)
        docs.append(Doc.from_words(words, xpos=xpos, upos=upos, feats=feats, doc_id=f"doc-{number}"))
    return docs


def reader(kind: str, *, grad_factor: float = 1.0, source: Path | None = None, pooling: str = "mean") -> dict[str, Any]:
    """The embedding block of a component: listener, annotations, detached or independent."""
    if kind == "independent":
        return {"@architectures": "frostline.Independent.v1", "pooling": pooling, "transformer": transformer(source)}
    block = {"publisher": "transformer", "pooling": pooling, "grad_factor": grad_factor}
    if kind == "listener":
        return {"@architectures": "frostline.Listener.v1", **block}
    return {"@architectures": "frostline.Annotations.v1", **block, "attached": kind != "detached"}


def transformer(source: Path | None, **settings: Any) -> dict[str, Any]:
    """The block of an encoder without dropout."""
    quiet = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    return {
        "@architectures": "frostline.Transformer.v1",
        "source": str(source),
        "transformer_settings": quiet,
        **settings,
    }


def make_config(
    source: Path, kinds: Sequence[str], *, grad_factors: Sequence[float] = (1.0, 1.0, 1.0), **options: Any
) -> dict[str, Any]:
    """A config with a shared transformer and one component per kind: tagger, morphologizer, a second tagger."""
    settings = options.pop("settings", {})
    names = ("tagger", "morphologizer", "second")[: len(kinds)]
    shared = any(kind != "independent" for kind in kinds)
    components: dict[str, Any] = {}
    if shared:
        components["transformer"] = {"factory": "transformer", "model": transformer(source, **settings)}
    for name, kind, factor in zip(names, kinds, grad_factors, strict=False):
        factory = "morphologizer" if name == "morphologizer" else "tagger"
        architecture = "frostline.Morphologizer.v1" if name == "morphologizer" else "frostline.Tagger.v1"
        embedding = reader(kind, grad_factor=factor, source=source, pooling=options.get("pooling", "mean"))
        components[name] = {"factory": factory, "model": {"@architectures": architecture, "embedding": embedding}}
    annotating = ["transformer"] if any(kind in ("annotating", "detached") for kind in kinds) else []
    return {
        "pipeline": {
            "components": list(components),
            "tokenizer": {"@tokenizers": "frostline.Tokenizer.v1"},
            "modes": options.get("modes", {}),
        },
        "components": components,
        "training": {"annotating_components": annotating, "frozen_components": options.get("frozen", [])},
    }


def make_pipeline(config: dict[str, Any], docs: Sequence[Doc], *, seed: int = 0) -> Pipeline:
    """An initialised pipeline whose heads are not zero, so that gradients reach the encoder."""
    pipeline = assemble(config)
    initialize(pipeline, lambda: docs, seed=seed)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed + 1)
        for name, values in sorted(pipeline.parameters.named_values.items()):
            if name.endswith(("output.weight", "output.bias")):
                values.copy_(torch.randn_like(values) * 0.3)
    return pipeline


def examples_of(docs: Sequence[Doc]) -> list[Example]:
    """Examples that predict on the gold tokens."""
    return [Example.of(doc) for doc in docs]


def reference_gradients(
    source: Path, pipeline: Pipeline, docs: Sequence[Doc], *, grad_factors: Sequence[float], shared: bool = True
) -> dict[str, torch.Tensor]:
    """Gradients of the same model as one plain torch graph: the encoder, a mean per token, linear heads, mean losses.

    Reads labels and head weights from the pipeline, and nothing else of it: pieces, pooling and losses are redone.
    """
    tokenizer = PreTrainedTokenizerFast.from_pretrained(source)
    quiet = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    components = list(pipeline.components.values())
    encoders = [
        AutoModel.from_pretrained(source, add_pooling_layer=False, attn_implementation="eager", **quiet).eval()
        for _ in (components[:1] if shared else components)
    ]
    losses = []
    heads: dict[str, torch.Tensor] = {}
    weights = pipeline.parameters.named_values
    for number, (component, factor) in enumerate(zip(components, grad_factors, strict=False)):
        prefix = next(key for key in weights if key.startswith(f"{component.name}/") and key.endswith("output.weight"))
        prefix = prefix.removesuffix("weight")
        weight = heads[f"{prefix}weight"] = weights[f"{prefix}weight"].clone().requires_grad_()
        bias = heads[f"{prefix}bias"] = weights[f"{prefix}bias"].clone().requires_grad_()
        embedded = torch.cat([_embed(encoders[0 if shared else number], tokenizer, doc) for doc in docs])
        embedded = embedded * factor + embedded.detach() * (1 - factor)
        scores = embedded @ weight.T + bias
        start = 0
        for column in component.columns:
            labels = component.labels[column]
            gold = [labels.index(value) for doc in docs for value in doc.column(column).values()]
            block = scores[:, start : start + len(labels)]
            losses.append(torch.nn.functional.cross_entropy(block, torch.tensor(gold)))
            start += len(labels)
    sum(losses).backward()
    gradients = {key: value.grad for key, value in heads.items()}
    for number, encoder in enumerate(encoders):
        owner = "encoder" if shared else f"encoder-{number}"
        gradients.update({f"{owner}/{key}": value.grad for key, value in encoder.named_parameters()})
    return {key: value for key, value in gradients.items() if value is not None}


def _embed(encoder: Any, tokenizer: Any, doc: Doc) -> torch.Tensor:
    batch = tokenizer(doc.words.values(), is_split_into_words=True, return_tensors="pt")
    word_ids = batch.word_ids(0)
    hidden = encoder(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).last_hidden_state[0]
    rows = [
        hidden[[index for index, word in enumerate(word_ids) if word == number]].mean(dim=0)
        for number in range(len(doc))
    ]
    return torch.stack(rows)
