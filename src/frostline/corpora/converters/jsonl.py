"""Docs as JSON lines: one object for each doc, both ways.

    {"id": "d1", "group": "blog", "text": "It's Paris.", "tokens": ["It", "'s", "Paris", "."],
     "upos": ["PRON", "AUX", "PROPN", "PUNCT"], "entities": [[5, 10, "LOC"]], "cats": {"travel": 1.0},
     "spans": {"places": [[5, 10, "LOC"]]}}

`text` or `tokens` must be there, all else may be. Without `tokens` the tokenizer cuts the text; without `text` the
tokens are joined (with `spaces`: a flag for each, true where a space follows). Entities and spans count characters;
`ents` has IOB tags instead. `tags` is another name for `xpos`. `offsets` gives each token's place in the text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from frostline.corpora.converters.faults import Faults, numbered_lines, stem_of
from frostline.corpora.writing import as_utf8
from frostline.files import new_file
from frostline.tokens import STRING_COLUMNS, Doc, StringColumn, iob

Tokenizer = Callable[[str], Doc]

KEYS = frozenset({"id", "group", "meta", "text", "tokens", "offsets", "spaces", "tags", "heads", "sent_starts",
                  "entities", "cats", "spans", *STRING_COLUMNS})


class _FaultyLineError(Exception):
    """What is wrong with a line, and how to mend it."""

    def __init__(self, message: str, fix: str) -> None:
        super().__init__(message)
        self.message, self.fix = message, fix


def read_jsonl(path: Path, *, tokenizer: Tokenizer) -> Iterator[Doc]:
    """The docs of a file, one at a time.

    Raises:
        CorpusError: after reading on to find more faults, up to 20, naming file, line and the way to mend each.
    """
    faults = Faults(path)
    for number, line in numbered_lines(path):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as error:
            faults.add(number, f"The line is no JSON: {error}.", "Write one JSON object on each line.")
            continue
        if r"\ud" in line.lower() and not _is_text(value):
            faults.add(number, "The line holds half a character: a surrogate without its other half.", "Take it out.")
            continue
        try:
            doc = doc_from_json(value, tokenizer=tokenizer, default_id=f"{stem_of(path)}-{number:05d}")
        except _FaultyLineError as fault:
            faults.add(number, fault.message, fault.fix)
        except (TypeError, ValueError) as error:
            faults.add(number, f"The doc's parts don't fit: {error}.", "See 'frostline convert --help' for the format.")
        else:
            if value.get("ents") is not None:
                faults.read_tags([None if tag is None else str(tag) for tag in value["ents"]], [number] * len(doc))
            yield doc
    faults.raise_any()
    faults.tell_warnings()


def _is_text(value: Any) -> bool:
    """Whether all strings in a JSON value can be written as UTF-8."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def doc_from_json(value: Any, *, tokenizer: Tokenizer, default_id: str = "") -> Doc:
    """Make a doc of one object. Raises TypeError or ValueError, or a fault with a way to mend it."""
    if not isinstance(value, dict):
        raise _FaultyLineError("The line is no JSON object.", 'Write an object, such as {"text": "…"}.')
    unknown = sorted(value.keys() - KEYS)
    if unknown:
        raise _FaultyLineError(f"Unknown key '{unknown[0]}'.",
                               f"Known: {', '.join(sorted(KEYS))}. What is no annotation goes under 'meta'.")
    has_tokens = value.get("tokens") is not None
    doc = _with_tokens(value) if has_tokens else _from_text(value, tokenizer)
    doc.doc_id = str(value.get("id") or default_id)
    doc.group = None if value.get("group") is None else str(value["group"])
    if has_tokens:
        _set_columns(doc, value)
    cats = value.get("cats") or {}
    doc.cats = dict.fromkeys(cats, 1.0) if isinstance(cats, list) else {
        str(label): float(score) for label, score in cats.items()}
    if value.get("entities") is not None:
        doc.ents = StringColumn.from_values(_entity_tags(doc, value["entities"], is_exact=has_tokens))
    spans = value.get("spans") or {}
    for name, items in (spans.items() if isinstance(spans, dict) else [("spans", spans)]):
        doc.spans[name] = [_token_span(doc, *_triple(item), is_exact=has_tokens) for item in items]
    return doc


def _from_text(value: Mapping[str, Any], tokenizer: Tokenizer) -> Doc:
    if not isinstance(value.get("text"), str):
        raise _FaultyLineError("The doc has neither text nor tokens.", 'Give a string "text" or a list "tokens".')
    for key in ("tags", "heads", "sent_starts", "offsets", "spaces", *STRING_COLUMNS):
        if value.get(key) is not None:
            raise _FaultyLineError(f"There is '{key}', but no tokens that it belongs to.", 'Add "tokens".')
    return tokenizer(value["text"])


def _with_tokens(value: Mapping[str, Any]) -> Doc:
    words = value["tokens"]
    if not isinstance(words, list) or not all(isinstance(word, str) and word for word in words):
        raise _FaultyLineError("'tokens' is no list of strings.", 'Write "tokens": ["It", "\'s"], none of them empty.')
    text = value.get("text")
    if text is None:
        return Doc.from_words(words, value.get("spaces"))
    offsets = value.get("offsets")
    if offsets is None:
        offsets = _located(words, text)
    pairs = np.array(offsets, dtype=np.int32).reshape(-1, 2)
    return Doc(text, StringColumn.from_values(words), pairs[:, 0], pairs[:, 1])


def _located(words: list[str], text: str) -> list[tuple[int, int]]:
    offsets = []
    end = 0
    for i, word in enumerate(words):
        start = text.find(word, end)
        if start < 0 or text[end:start].strip():
            raise _FaultyLineError(f"Token {i}, {word!r}, is not what follows in the text: {text[end:end + 20]!r}.",
                                   "The tokens must cover the text but for white space; or give their 'offsets'.")
        end = start + len(word)
        offsets.append((start, end))
    return offsets


def _set_columns(doc: Doc, value: Mapping[str, Any]) -> None:
    columns = {name: value[name] for name in STRING_COLUMNS if value.get(name) is not None}
    if value.get("tags") is not None:
        columns.setdefault("xpos", value["tags"])
    for name, items in columns.items():
        if not isinstance(items, list) or len(items) != len(doc):
            raise _FaultyLineError(f"'{name}' is no list of {len(doc)} strings, one for each token.",
                                   "Give null for a token that nobody annotated.")
        values = [None if item is None else str(item) for item in items]
        doc.set_column(name, StringColumn.from_values(iob.normalise(values) if name == "ents" else values))
    for name, dtype, top in (("heads", np.int32, len(doc) - 1), ("sent_starts", np.int8, 1)):
        items = value.get(name)
        if items is None:
            continue
        numbers = [-1 if item is None else int(item) for item in items]
        if len(numbers) != len(doc) or any(not -1 <= number <= top for number in numbers):
            raise _FaultyLineError(f"'{name}' is no list of {len(doc)} numbers from 0 to {top}.",
                                   "Give null for a token that nobody annotated.")
        setattr(doc, name, np.array(numbers, dtype=dtype))


def _triple(item: Any) -> tuple[int, int, str]:
    if isinstance(item, dict):
        item = [item.get("start"), item.get("end"), item.get("label")]
    if not isinstance(item, list) or len(item) != 3 or not all(isinstance(number, int) for number in item[:2]):
        raise _FaultyLineError(f"{json.dumps(item)} is no span.", 'Write [start, end, "label"], in characters.')
    return item[0], item[1], str(item[2])


def _token_span(doc: Doc, start: int, end: int, label: str, *, is_exact: bool) -> tuple[int, int, str]:
    """The tokens that characters `start` to `end` touch; where `is_exact`, they must begin and end there."""
    first = int(np.searchsorted(doc.ends, start, side="right"))
    last = int(np.searchsorted(doc.starts, end, side="left"))
    if not 0 <= start < end <= len(doc.text) or first >= last:
        raise _FaultyLineError(f"The span {start} to {end} ({label}) covers no token of the text.",
                               f"Count characters from 0 to {len(doc.text)}.")
    if is_exact and (int(doc.starts[first]) != start or int(doc.ends[last - 1]) != end):
        raise _FaultyLineError(f"The span {start} to {end} ({label}) does not begin and end with a token.",
                               f"The nearest is {int(doc.starts[first])} to {int(doc.ends[last - 1])}.")
    return first, last, label


def _entity_tags(doc: Doc, items: Iterable[Any], *, is_exact: bool) -> list[str | None]:
    """IOB tags; where the tokenizer's tokens don't fit an entity, the tokens that it touches are missing."""
    found: list[tuple[int, int, str]] = []
    unclear: list[tuple[int, int, str]] = []
    for item in items:
        start, end, label = _triple(item)
        span = _token_span(doc, start, end, label, is_exact=is_exact)
        fits = int(doc.starts[span[0]]) == start and int(doc.ends[span[1] - 1]) == end
        (found if fits else unclear).append(span)
    tags: list[str | None] = list(iob.tags_of(len(doc), found))
    for first, last, _ in unclear:
        tags[first:last] = [None if tag == iob.OUTSIDE else tag for tag in tags[first:last]]
    return tags


def write_jsonl(docs: Iterable[Doc], path: Path) -> None:
    """Write docs to the file `path`, which appears when all is written. Raises OSError or CorpusError."""
    with new_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as stream:
        for doc in docs:
            with as_utf8([doc]):
                stream.write(jsonl_line(doc))


def jsonl_line(doc: Doc) -> str:
    """A doc as one line, with its line end. `read_jsonl` makes an equal doc of it, but for `source` and activations."""
    value: dict[str, Any] = {"id": doc.doc_id, "text": doc.text, "tokens": doc.words.values(),
                             "offsets": list(zip(doc.starts.tolist(), doc.ends.tolist(), strict=True))}
    if doc.group is not None:
        value["group"] = doc.group
    value |= {name: column.values() for name, column in doc.string_columns().items()}
    for name in ("heads", "sent_starts"):
        numbers = getattr(doc, name)
        if numbers is not None:
            value[name] = [None if number < 0 else number for number in numbers.tolist()]
    if doc.cats:
        value["cats"] = doc.cats
    if doc.spans:
        value["spans"] = {name: [[int(doc.starts[start]), int(doc.ends[end - 1]), label] for start, end, label in items]
                          for name, items in doc.spans.items()}
    return json.dumps(value, ensure_ascii=False) + "\n"
