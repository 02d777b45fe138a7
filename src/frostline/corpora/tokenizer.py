"""The default tokenizer: English text as people type it, cut into words by rules.

White space is a border. Each stretch between is scanned by one pattern (english.py), and what it finds is finished by
a rule: abbreviations keep their period, contractions become the words of one multiword token. A stretch's tokens are
remembered in a bounded table; the result never depends on what was seen before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from itertools import pairwise
from typing import Any

import numpy as np

from frostline.config import registry
from frostline.corpora import english
from frostline.errors import ConfigError, ModelFileError
from frostline.tokens import Doc, StringColumn

REMEMBERED_STRETCHES = 65_536
LONGEST_REMEMBERED = 100        # characters
LONGEST_SCANNED = 1_000         # a longer stretch is scanned in parts, so that time grows with length only
FORMAT = "frostline.Tokenizer.v1"

Piece = tuple[int, int, str]        # start, end, word; words of a multiword token share start and end

_STRETCH = re.compile(rf"\S{{1,{LONGEST_SCANNED}}}")
_INITIAL = re.compile(r"[A-Z]")


class Tokenizer:
    """Cuts text into words: `tokenizer(text) -> Doc`.

    Every character that is not white space belongs to exactly one surface token. Calls don't influence each other.

    Args:
        exceptions: stretch -> its surface tokens, which together must be the stretch; they come before every rule.
    Raises:
        ConfigError: an exception's tokens are not its stretch, or there is white space in it.
    """

    def __init__(self, *, exceptions: Mapping[str, Sequence[str]] | None = None) -> None:
        self.exceptions = {stretch: tuple(tokens) for stretch, tokens in (exceptions or {}).items()}
        for stretch, tokens in self.exceptions.items():
            if "".join(tokens) != stretch or not all(tokens) or stretch.split() != [stretch]:
                raise ConfigError(f"The tokenizer's exception '{stretch}' is not what its tokens make together: "
                                  f"{', '.join(tokens)}.", fix="Give tokens that join to the stretch, without spaces.")
        self._remembered: dict[tuple[str, Follows], tuple[Piece, ...]] = {}

    def __call__(self, text: str) -> Doc:
        """Cut a text. The doc has words and offsets, and no annotation."""
        words: list[str] = []
        starts: list[int] = []
        ends: list[int] = []
        remembered = self._remembered
        stretches = list(_STRETCH.finditer(text))
        for number, match in enumerate(stretches):
            stretch, offset = match.group(), match.start()
            follows = _follows(text, stretches, number) if stretch[-1] == "." else Follows.SMALL
            pieces = remembered.get((stretch, follows))
            if pieces is None:
                pieces = self._remember(stretch, follows)
            for start, end, word in pieces:
                starts.append(offset + start)
                ends.append(offset + end)
                words.append(word)
        return Doc(text, StringColumn.from_values(words), np.array(starts, dtype=np.int32),
                   np.array(ends, dtype=np.int32), check=False)

    def _remember(self, stretch: str, follows: Follows) -> tuple[Piece, ...]:
        if len(self._remembered) >= REMEMBERED_STRETCHES:
            self._remembered.clear()
        pieces = tuple(self._cut(stretch, follows))
        if len(stretch) <= LONGEST_REMEMBERED:
            self._remembered[stretch, follows] = pieces
        return pieces

    def _cut(self, stretch: str, follows: Follows) -> Iterator[Piece]:
        if stretch in self.exceptions:
            start = 0
            for token in self.exceptions[stretch]:
                yield start, start + len(token), token
                start += len(token)
            return
        place = 0
        while place < len(stretch):
            match = english.SCANNER.match(stretch, place)
            if match is None or match.end() == place:
                end, kind = place + 1, "mark"
            else:
                end, kind = match.end(), str(match.lastgroup)
            if kind == "word":
                end = _end_of_word(stretch, place, end, follows)
                for first, last in _parts_of(stretch, place, end):
                    yield from _words_of(stretch[first:last], first)
            else:
                if kind == "dotted":
                    end = _end_of_dotted(stretch, place, end, follows)
                yield place, end, stretch[place:end]
            place = end

    def to_json(self) -> dict[str, Any]:
        """All that makes this tokenizer, as JSON values."""
        return {"format": FORMAT, "lang": "en",
                "exceptions": {stretch: list(tokens) for stretch, tokens in sorted(self.exceptions.items())}}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Tokenizer:
        """The inverse of `to_json`. Raises ModelFileError where the value is another thing."""
        if value.get("format") != FORMAT:
            raise ModelFileError(f"The tokenizer's format is '{value.get('format')}', not '{FORMAT}'.",
                                 fix="Load it with the version of frostline that saved it.")
        return cls(exceptions=value.get("exceptions"))


@registry.tokenizers("frostline.Tokenizer.v1")
def make_tokenizer(*, lang: str = "en", exceptions: dict[str, list[str]] | None = None) -> Tokenizer:
    """The default tokenizer. exceptions: stretches without white space, each with the tokens it is cut into."""
    if lang != "en":
        raise ConfigError(f"The default tokenizer knows English only, not '{lang}'.", where="lang",
                          fix="Set lang to 'en', or bring a tokenizer of your own with --code.")
    return Tokenizer(exceptions=exceptions)


class Follows(Enum):
    """What comes behind a stretch that ends with a period."""

    SMALL = "small"         # the sentence goes on
    NUMBER = "number"
    CAPITAL = "capital"     # it may be over
    NOTHING = "nothing"     # it is over: the line ends


def _follows(text: str, stretches: Sequence[re.Match[str]], number: int) -> Follows:
    if number + 1 == len(stretches):
        return Follows.NOTHING
    following = stretches[number + 1]
    if following.start() == stretches[number].end():
        return Follows.SMALL
    if "\n" in text[stretches[number].end():following.start()]:
        return Follows.NOTHING
    first = following.group().lstrip("\"'“‘([*-#")[:1]
    return Follows.CAPITAL if first.isupper() else Follows.NUMBER if first.isdigit() else Follows.SMALL


def _end_of_word(stretch: str, start: int, end: int, follows: Follows) -> int:
    """Take the period of an abbreviation or an initial, and the apostrophe of a plural's genitive, into the word."""
    word = stretch[start:end]
    following = stretch[end:end + 1]
    if following and following in english.APOSTROPHES:
        return end + 1 if word[-1] in "sSzZ" and _is_genitive(stretch, start, end) else end
    if following != "." or stretch.startswith("..", end):
        return end
    is_last = end + 1 == len(stretch)
    if _INITIAL.fullmatch(word) and word != "I":
        return end + 1 if is_last and follows is not Follows.NOTHING else end
    return end + 1 if word.lower() in english.ABBREVIATIONS and _keeps_period(word, follows, is_last) else end


def _end_of_dotted(stretch: str, start: int, end: int, follows: Follows) -> int:
    word = stretch[start:end]
    if word[-1] == "." and not _keeps_period(word[:-1], follows, end == len(stretch)):
        return end - 1
    return end


def _keeps_period(word: str, follows: Follows, is_last: bool) -> bool:
    """Whether the period behind an abbreviation is its own, rather than the sentence's."""
    lower = word.lower()
    if not is_last:
        return True
    if follows is Follows.NOTHING:
        return False
    if follows is Follows.CAPITAL:
        return lower not in english.ENDING and (lower not in english.DOUBTFUL or word[0].isupper())
    return True


def _is_genitive(stretch: str, start: int, end: int) -> bool:
    """Whether an apostrophe behind an s belongs to the word, rather than closing a quotation."""
    if end + 1 < len(stretch) and stretch[end + 1].isalnum():
        return False
    return not any(mark in stretch[:start] for mark in english.APOSTROPHES)


def _parts_of(stretch: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The word, or the words that were run together by mistake."""
    for size in english.RUN_TOGETHER.get(stretch[start:end].lower(), ()):
        yield start, start + size
        start += size
    if start < end:
        yield start, end


def _words_of(token: str, offset: int) -> Iterator[Piece]:
    """The word of a token, or the words where it is a contraction."""
    end = offset + len(token)
    borders = _borders(token)
    if borders is None:
        yield offset, end, token
        return
    for first, last in pairwise(borders):
        yield offset, end, token[first:last]


def _borders(token: str) -> list[int] | None:
    """Where the words of a contraction begin and end; None where a token is one word."""
    lower = token.lower()
    sizes = english.CONTRACTIONS_AS_SPELT.get(token) or english.CONTRACTIONS.get(lower.replace("’", "'"))
    if sizes is not None:
        borders = [0]
        for size in sizes:
            borders.append(borders[-1] + size)
        return borders
    if not any(mark in token for mark in english.APOSTROPHES) or lower in english.NO_CONTRACTIONS:
        return None
    if token[-1] in english.APOSTROPHES:
        return [0, len(token) - 1, len(token)]
    borders = [len(token)]
    while True:  # clitics from the end: should've, I'd've
        clitic = next((m for m in english.CLITIC.finditer(token, 0, borders[0]) if m.end() == borders[0]), None)
        if clitic is None or clitic.start() == 0:
            break
        borders.insert(0, clitic.start())
    return [0, *borders] if len(borders) > 1 else None
