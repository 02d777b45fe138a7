"""Write docs as CoNLL-U. What was read from CoNLL-U comes out byte for byte; other docs get what the format asks for.

Columns are written from the doc's annotations. Comments, multiword tokens and empty nodes come from `doc.source`;
where a doc has no comments, `# newdoc`, `# sent_id`, `# text` (and `# cats`) are made. Where MISC is missing it is
made of SpaceAfter; the entity tags replace `NER` in it, whoever wrote it.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from frostline.corpora.converters.conllu import ENTITY_KEY, PARAGRAPH_GAP
from frostline.corpora.writing import as_utf8
from frostline.files import new_file
from frostline.tokens import Doc, Multiword, StringColumn

_NO_SPACE = "SpaceAfter=No"
_ESCAPES = {" ": "\\s", "\t": "\\t", "\n": "\\n", "\r": "\\r", "|": "\\p", "\\": "\\\\"}
# What would break a line, or is no character of a text: white space becomes a space, the rest U+FFFD.
_LINE_BREAKERS = {code: " " if chr(code).isspace() else "\ufffd" for code in (*range(32), 127)}


def write_conllu(docs: Iterable[Doc], path: Path) -> None:
    """Write docs to the file `path`, which appears when all is written. Raises OSError or CorpusError."""
    with new_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as stream:
        for doc in docs:
            with as_utf8([doc]):
                stream.writelines(conllu_lines(doc))


def conllu_lines(doc: Doc) -> Iterator[str]:
    """The lines of a doc, each with its line end."""
    comments = {item.sentence: item.lines for item in doc.source.comments}
    multiwords = {item.start: item for item in (*_made_multiwords(doc), *doc.source.multiwords)}
    empty_nodes: dict[tuple[int, int], list[str]] = {}
    for node in doc.source.empty_nodes:
        place = (node.sentence, int(node.node_id.partition(".")[0]))
        empty_nodes.setdefault(place, []).append("\t".join((node.node_id, *node.columns)) + "\n")
    before, after = _columns(doc), list(zip(_texts(doc.deprels, len(doc)), _texts(doc.deps, len(doc)),
                                            _miscs(doc, multiwords), strict=True))
    heads = [-1] * len(doc) if doc.heads is None else doc.heads.tolist()
    for number, (start, end) in enumerate(doc.sentences(), start=1):
        for line in comments.get(start, ()) if comments else _made_comments(doc, number, start, end):
            yield line + "\n"
        yield from empty_nodes.get((start, 0), ())
        for i in range(start, end):
            item = multiwords.get(i)
            if item is not None and item.end <= end:
                yield "\t".join((f"{i - start + 1}-{item.end - start}", item.form, *item.columns)) + "\n"
            head = "0" if heads[i] == i else str(heads[i] - start + 1) if start <= heads[i] < end else "_"
            yield "\t".join((str(i - start + 1), *before[i], head, *after[i])) + "\n"
            yield from empty_nodes.get((start, i - start + 1), ())
        yield "\n"


def _columns(doc: Doc) -> list[tuple[str, ...]]:
    """FORM to FEATS of each word."""
    columns = (doc.words, doc.lemmas, doc.upos, doc.xpos, doc.feats)
    return list(zip(*(_texts(column, len(doc)) for column in columns), strict=True))


def _texts(column: StringColumn | None, n_rows: int) -> list[str]:
    if column is None:
        return ["_"] * n_rows
    used, rows = np.unique(column.codes, return_inverse=True)  # the table may be a whole shard's
    texts = ["_" if code < 0 else column.table[code].translate(_LINE_BREAKERS) or "_" for code in used.tolist()]
    return [texts[row] for row in rows.tolist()]


def _made_multiwords(doc: Doc) -> Iterator[Multiword]:
    """Runs of words that share a span are one surface token."""
    together = (doc.starts[1:] == doc.starts[:-1]) & (doc.ends[1:] == doc.ends[:-1]) & (doc.ends[1:] > doc.starts[1:])
    if not together.any():
        return
    borders = [0, *(np.flatnonzero(~together) + 1).tolist(), len(doc)]
    for start, end in itertools.pairwise(borders):
        if end - start > 1:
            misc = _space_item(doc, end - 1) or "_"
            form = doc.text[int(doc.starts[start]):int(doc.ends[start])].translate(_LINE_BREAKERS)
            yield Multiword(start=start, end=end, form=form, columns=("_",) * 7 + (misc,))


def _miscs(doc: Doc, multiwords: Mapping[int, Multiword]) -> list[str]:
    ents = [None] * len(doc) if doc.ents is None else doc.ents.values()
    inside = {i for item in multiwords.values() for i in range(item.start, item.end)}
    written = [None] * len(doc) if doc.misc is None else doc.misc.values()
    result = []
    for i, (misc, tag) in enumerate(zip(written, ents, strict=True)):
        if misc is None:
            misc = "" if i in inside else _space_item(doc, i)
        if tag is not None:
            misc = _with_entity(misc, tag)
        result.append(misc.translate(_LINE_BREAKERS) or "_")
    return result


def _with_entity(misc: str, tag: str) -> str:
    item = f"{ENTITY_KEY}={tag}"
    items = misc.split("|") if misc else []
    for i, old in enumerate(items):
        if old.partition("=")[0] == ENTITY_KEY:
            items[i] = item
            return "|".join(items)
    return "|".join([item, *items])


def _gap(doc: Doc, i: int) -> str:
    """What the text has between token i and the next, or its end."""
    following = int(doc.starts[i + 1]) if i + 1 < len(doc) else len(doc.text)
    return doc.text[int(doc.ends[i]):following]


def _space_item(doc: Doc, i: int) -> str:
    """What MISC says of the white space behind token i; nothing for one space, a new paragraph, and the doc's end."""
    gap = _gap(doc, i)
    if gap == " " or i == len(doc) - 1:
        return ""
    if gap == PARAGRAPH_GAP and doc.sent_starts is not None and doc.sent_starts[i + 1] == 1:
        return ""
    if gap == "":
        return _NO_SPACE
    return "SpacesAfter=" + "".join(_ESCAPES.get(character, character if character.isprintable()
                                                 else f"\\u{ord(character):04X}") for character in gap)


def _made_comments(doc: Doc, number: int, start: int, end: int) -> Iterator[str]:
    if number == 1:
        yield f"# newdoc id = {doc.doc_id}" if doc.doc_id else "# newdoc"
        if doc.group is not None and not doc.doc_id.startswith(f"{doc.group}-"):
            yield f"# group = {doc.group}"
        if doc.cats:
            yield f"# cats = {json.dumps(doc.cats, sort_keys=True, ensure_ascii=False)}"
    elif _gap(doc, start - 1) == PARAGRAPH_GAP:
        yield "# newpar"
    yield f"# sent_id = {doc.doc_id or 'doc'}-{number:04d}"
    yield "# text = " + doc.text[int(doc.starts[start]):int(doc.ends[end - 1])].translate(_LINE_BREAKERS)
