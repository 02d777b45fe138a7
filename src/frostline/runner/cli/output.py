"""What steps print, as whole lines that are fit to be shown: no cursor moves, of a progress bar its last state only.

Reads logs as they grow; prints nothing.
"""

from __future__ import annotations

import codecs
import re
from pathlib import Path

CHUNK_BYTES = 1 << 20  # at most so much of a log is read at one look
_ESCAPE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # colours, cursor moves, clearing
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?"  # titles, links and other strings
    r"|\x1b[ -/]*[0-~]?"
)
_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f\x80-\x9f]")


def plain(line: str) -> str:
    """A line without any control code."""
    return _CONTROL.sub("", _ESCAPE.sub("", line)).replace("\x1b", "")


def coloured(line: str) -> str:
    """A line whose only control codes are colours, which end with it."""
    kept = _ESCAPE.sub(lambda match: match[0] if _COLOUR.fullmatch(match[0]) else "", line)
    kept = _CONTROL.sub("", kept)
    return f"{kept}\x1b[0m" if "\x1b[" in kept else kept


def last_state(line: str) -> str:
    """What a terminal shows of a line that was written over: what stands behind the last return to its beginning, steps
    back taken."""
    line = line.rstrip("\r").rpartition("\r")[2]
    if "\b" in line:
        cells: list[str] = []
        at = 0
        for character in line:
            if character == "\b":
                at = max(0, at - 1)
            else:
                cells[at : at + 1] = character
                at += 1
        line = "".join(cells)
    return line.expandtabs()


class Tail:
    """The end of one log, read as it grows.

    Args:
        skips: whether only the last line matters, so that most of a fast log is passed over.
    """

    def __init__(self, log: Path, *, skips: bool = False) -> None:
        self.log = log
        self.skips = skips
        self.position = 0
        self.partial = ""  # the line that has not ended
        self.last = ""  # what was printed last: a line, or the beginning of one
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def new_lines(self) -> list[str]:
        """The lines that have ended since the last look, colours and all."""
        lines: list[str] = []
        while data := self._read():
            *whole, self.partial = (self.partial + self._decoder.decode(data)).split("\n")
            lines += [last_state(line) for line in whole]
            if len(self.partial) > CHUNK_BYTES:
                self.partial = self.partial[-CHUNK_BYTES:]
        for line in (self.partial, *reversed(lines)):
            if plain(last_state(line)).strip():
                self.last = plain(last_state(line))
                break
        return lines

    def rest(self) -> list[str]:
        """The lines that have not been given, one that never ended too."""
        lines = self.new_lines()
        if self.partial:
            lines.append(last_state(self.partial))
            self.partial = ""
        return lines

    def _read(self) -> bytes:
        try:
            with self.log.open("rb") as stream:
                if self.skips:
                    end = stream.seek(0, 2)
                    self.position = max(self.position, end - CHUNK_BYTES // 16)
                stream.seek(self.position)
                data = stream.read(CHUNK_BYTES)
        except OSError:
            return b""
        self.position += len(data)
        return data


def last_lines(log: Path, number: int) -> list[str]:
    """The last lines of a log without control codes."""
    tail = Tail(log, skips=True)
    return [plain(line) for line in tail.rest()[-number:]]
