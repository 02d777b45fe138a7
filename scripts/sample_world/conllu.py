"""Documents as CoNLL-U: tags, features, lemmas, heads, multiword tokens, spaces; entities in MISC, topics as comments.

Entities stand in MISC as `NER=B-PER`, on every token, `NER=O` outside: so that no entity differs from none annotated.
The topic stands under `# newdoc` as `# cats = {"council": 0.0, …}`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from sample_world.documents import Document
from sample_world.lexicon import TOPICS
from sample_world.words import Joint, Word, in_order


def document_lines(document: Document) -> Iterator[str]:
    """The lines of a document, each with its line end."""
    for number, sentence in enumerate(document.sentences, start=1):
        if number == 1:
            yield f"# newdoc id = {document.name}\n"
            cats = {topic: float(topic == document.topic) for topic in sorted(TOPICS)}
            yield f"# cats = {json.dumps(cats)}\n"
        yield f"# sent_id = {document.name}-{number:04d}\n"
        yield from sentence_lines(sentence)
        yield "\n"


def sentence_lines(sentence: Word) -> Iterator[str]:
    """`# text` and the rows of a sentence."""
    pairs = list(in_order(sentence))
    words = [word for word, _ in pairs]
    numbers = {id(word): i for i, word in enumerate(words, start=1)}
    forms = _surface_forms(words)
    yield f"# text = {_text(words, forms)}\n"
    for i, (word, head) in enumerate(pairs):
        end = _end_of_token(words, i)
        if end > i and word.joint is not Joint.CLITIC:
            yield (
                "\t".join((f"{i + 1}-{end + 1}", "".join(forms[i : end + 1]), *["_"] * 7, _space(words, end) or "_"))
                + "\n"
            )
        inside = end > i or word.joint is Joint.CLITIC
        misc = "|".join(part for part in (f"NER={word.entity}", "" if inside else _space(words, i)) if part)
        head_number = "0" if head is None else str(numbers[id(head)])
        row = (str(i + 1), forms[i], word.lemma, word.upos, word.xpos, word.feats, head_number, word.deprel, "_", misc)
        yield "\t".join(row) + "\n"


def _surface_forms(words: Sequence[Word]) -> list[str]:
    """Forms as written: `an` before a vowel, a capital at the start."""
    forms = [word.form for word in words]
    for i, form in enumerate(forms[:-1]):
        if form == "a" and forms[i + 1][0].lower() in "aeiou":
            forms[i] = "an"
    forms[0] = forms[0][0].upper() + forms[0][1:]
    return forms


def _end_of_token(words: Sequence[Word], i: int) -> int:
    """The index of the last word of the multiword token that word `i` is in."""
    while i + 1 < len(words) and words[i + 1].joint is Joint.CLITIC:
        i += 1
    return i


def _space(words: Sequence[Word], i: int) -> str:
    """What MISC says of the space behind word `i`."""
    return "SpaceAfter=No" if i + 1 < len(words) and words[i + 1].joint is not Joint.SPACE else ""


def _text(words: Sequence[Word], forms: Sequence[str]) -> str:
    return "".join(
        (" " if word.joint is Joint.SPACE and i else "") + form
        for i, (word, form) in enumerate(zip(words, forms, strict=True))
    )
