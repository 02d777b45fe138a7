"""What the command lines print, and the one place where errors become messages and exit codes.

Progress and messages go to standard error, results to standard output, so that pipes stay clean. Standard
library only: the runner's fast path prints through here.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, TextIO

from frostline.errors import FrostlineError

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_INTERRUPTED = 130

CLEAR_LINE = "\r\x1b[K"

_quiet = False
_live_length = 0  # of what `live` shows now


def set_quiet(quiet: bool) -> None:
    """Hush `say`; results and errors are still printed."""
    global _quiet
    _quiet = quiet


def say(text: str) -> None:
    """Print a line of progress to standard error."""
    if not _quiet:
        _clear_live()
        _tell(f"{text}\n")


def has_live_line() -> bool:
    """Whether `live` shows anything: standard error is a terminal that can clear a line, and not hushed."""
    return not _quiet and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def live(text: str) -> None:
    """Show `text`, cut to the terminal's width, as a last line that the next message or `live` replaces."""
    global _live_length
    if has_live_line():
        width = shutil.get_terminal_size().columns - 1
        _tell(f"{_clearing()}{text[:width]}")
        _live_length = len(text[:width])


def _clear_live() -> None:
    global _live_length
    if _live_length:
        _tell(_clearing())
        _live_length = 0


def _clearing() -> str:
    """What clears the live line; all the lines that a terminal made of it that has become narrower since."""
    n_wraps = max(0, _live_length - 1) // max(1, shutil.get_terminal_size().columns)
    return f"\x1b[{n_wraps}A\r\x1b[J" if n_wraps else CLEAR_LINE


def _tell(text: str) -> None:
    """Write to standard error; when its reader has gone, or its disk is full, work goes on."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        sys.stderr = Path(os.devnull).open("w", encoding="utf8")  # noqa: SIM115  (open as long as the process lives)


def out(text: str) -> None:
    """Print a line of the result to standard output. Raises OSError where that takes no more: a result is never lost
    without a word."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OSError(error.errno, error.strerror, "standard output") from error


def paint(text: str, colour: str) -> str:
    """`text` in a colour (red, green, yellow, blue, dim, bold) when standard error is a terminal that shows it."""
    return _painted(text, colour, sys.stderr)


def paint_out(text: str, colour: str) -> str:
    """The same for standard output."""
    return _painted(text, colour, sys.stdout)


def _painted(text: str, colour: str, stream: TextIO) -> str:
    codes = {"red": "31", "green": "32", "yellow": "33", "blue": "34", "dim": "2", "bold": "1"}
    if not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"\x1b[{codes[colour]}m{text}\x1b[0m"


def report_error(error: FrostlineError) -> int:
    """Print an error as what, where and fix; return its exit code."""
    _clear_live()
    print(f"{paint('error', 'red')}: {error.message}", file=sys.stderr)
    if error.where:
        print(f"  where: {error.where}", file=sys.stderr)
    if error.fix:
        print(f"  fix:   {error.fix}", file=sys.stderr)
    sys.stderr.flush()
    return error.exit_code


def run_command(function: Callable[[], object]) -> NoReturn:
    """Run a command line's function and leave the process with the right exit code.

    FrostlineError gives its own code, Ctrl-C 130, a closed pipe 0. Anything else is a fault of ours or of the
    machine: one line says so. An error's traceback is shown only when FROSTLINE_DEBUG is set.
    """
    _open_closed_streams()
    try:
        function()
        sys.stdout.flush()
        code = EXIT_DONE
    except FrostlineError as error:
        code = report_error(error)
        _show_traceback(error)
    except KeyboardInterrupt:
        _clear_live()
        print("interrupted", file=sys.stderr)
        code = EXIT_INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = EXIT_DONE
    except Exception as error:
        code = _report_unexpected(error)
        _show_traceback(error)
    sys.exit(code)


def _open_closed_streams() -> None:
    """Let a standard stream that the caller closed lead nowhere; else the next file opened would get its number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf8"))  # noqa: SIM115  (open until the end)


def _folder_is_gone() -> bool:
    try:
        Path.cwd()
    except OSError:
        return True
    return False


_WAYS_OUT = {
    errno.ENOSPC: "Make room on that disk, then run the same again: what was finished is kept.",
    errno.EDQUOT: "Make room within your quota, then run the same again: what was finished is kept.",
    errno.EROFS: "Work in a copy that can be written to.",
    errno.EACCES: "Give yourself the right to it, or choose another place.",
    errno.EPERM: "Give yourself the right to it, or choose another place.",
    errno.EMFILE: "Let the shell open more files (ulimit -n), then run the same again.",
}


def way_out(error: OSError) -> str | None:
    """What to do about an error of the machine; None where that is open."""
    return _closed_folder(error) or _WAYS_OUT.get(error.errno or 0)


def _closed_folder(error: OSError) -> str | None:
    """The way out where it is a folder that may not be written or entered, and not the file that the error names."""
    if error.errno not in (errno.EACCES, errno.EPERM) or not error.filename:
        return None
    path = Path(os.fsdecode(error.filename))
    for folder in reversed(path.parents):
        if not os.access(folder, os.X_OK):
            return f"The folder '{folder}' may not be entered: give yourself the right to it, or choose another place."
        if not os.path.lexists(path) and folder == path.parent and not os.access(folder, os.W_OK):
            return f"The folder '{folder}' may not be written to: give yourself the right, or choose another place."
    return None


def _report_unexpected(error: Exception) -> int:
    if isinstance(error, FileNotFoundError) and not error.filename and _folder_is_gone():
        print(f"{paint('error', 'red')}: The folder that this was started in is gone.", file=sys.stderr)
        print("  fix:   Go to a folder that is there.", file=sys.stderr)
    elif isinstance(error, OSError) and error.strerror:
        print(f"{paint('error', 'red')}: {error.strerror}.", file=sys.stderr)
        if error.filename:
            print(f"  where: {os.fsdecode(error.filename)}", file=sys.stderr)
        if fix := way_out(error):
            print(f"  fix:   {fix}", file=sys.stderr)
    else:
        print(f"{paint('error', 'red')}: unexpected {type(error).__name__}: {error}", file=sys.stderr)
        print("  fix:   set FROSTLINE_DEBUG=1 to see the traceback, and report it with the command.", file=sys.stderr)
    return EXIT_FAILED


def _show_traceback(error: Exception) -> None:
    if os.environ.get("FROSTLINE_DEBUG"):
        traceback.print_exception(error)
