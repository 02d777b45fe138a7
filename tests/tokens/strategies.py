"""Hypothesis strategies for docs, shared by the tests of tokens and corpora."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from frostline.tokens import Doc

FORMS = st.text(alphabet="abAé9.-'’_😀", min_size=1, max_size=6)
TAGS = st.sampled_from(["", "NN", "VB", "A=B|C=D", "é", None])
FEATS = st.sampled_from(["", "A=B|C=D", "A=B,D", "é=é", None])


@st.composite
def docs(draw: Any, *, max_words: int = 12) -> Doc:
    """Docs with any mixture of annotations, present, missing in part, and wholly missing."""
    forms = draw(st.lists(FORMS, max_size=max_words))
    n = len(forms)
    spaces = draw(st.lists(st.booleans(), min_size=n, max_size=n))
    columns = {}
    for name in ("upos", "xpos", "feats", "lemmas", "deprels", "deps", "misc"):
        if draw(st.booleans()):
            columns[name] = draw(st.lists(FEATS if name == "feats" else TAGS, min_size=n, max_size=n))
    if draw(st.booleans()):
        columns["ents"] = draw(st.lists(st.sampled_from(["O", "B-X", None]), min_size=n, max_size=n))
    heads = draw(st.none() | st.lists(st.integers(-1, n - 1), min_size=n, max_size=n)) if n else None
    starts = draw(st.none() | st.lists(st.sampled_from([1, 0, -1]), min_size=n, max_size=n))
    spans = {}
    if n and draw(st.booleans()):
        start = draw(st.integers(0, n - 1))
        spans = {"sc": [(start, draw(st.integers(start + 1, n)), "L")]}
    return Doc.from_words(
        forms, spaces, heads=heads, sent_starts=starts, spans=spans,
        cats=draw(st.dictionaries(st.text(max_size=3), st.floats(0, 1), max_size=2)),
        doc_id=draw(st.text(alphabet="ab-1", max_size=4)), group=draw(st.none() | st.just("blog")), **columns,
    )


@st.composite
def tokenizations(draw: Any, text: str) -> Doc:
    """A doc of `text` whose borders are drawn; some neighbours share a span, as words of a multiword token do."""
    import numpy as np

    from frostline.tokens import StringColumn

    words, starts, ends = [], [], []
    place = 0
    while place < len(text):
        if text[place].isspace():
            place += 1
            continue
        stop = len(text) if text.find(" ", place) < 0 else text.find(" ", place)
        end = draw(st.integers(place + 1, stop))
        parts = draw(st.sampled_from([1, 1, 1, 2])) if end - place > 1 else 1
        cut = draw(st.integers(place + 1, end - 1)) if parts == 2 else end
        for first, last in ((place, cut), (cut, end))[:parts]:
            words.append(text[first:last])
            starts.append(place)
            ends.append(end)
        place = end
    return Doc(text, StringColumn.from_values(words), np.array(starts, dtype=np.int32), np.array(ends, dtype=np.int32))
