"""The `dvc` command with an ear for one warning: that contents are neither here nor on the remote. DVC exits 0 then.

A program of its own, started by remotes.py: what DVC prints reaches the terminal as ever, progress bars too. It knows
nothing of the rest of the package.
"""

from __future__ import annotations

import logging
import sys

MISSING = 3  # exit code: DVC was done, and something is nowhere
SIGN = "exist neither locally"  # of dvc's and dvc_data's message


class _Ear(logging.Handler):
    """Notes whether the warning was given."""

    heard = False

    def emit(self, record: logging.LogRecord) -> None:
        """Look at one message."""
        self.heard = self.heard or SIGN in str(record.msg)


def main() -> int:
    """Run `dvc` with the words of the command line."""
    from dvc.cli import main as dvc

    ear = _Ear(logging.WARNING)
    for name in ("dvc", "dvc_data"):
        logging.getLogger(name).addHandler(ear)
    code = int(dvc(sys.argv[1:]) or 0)
    return MISSING if code == 0 and ear.heard else code


if __name__ == "__main__":
    sys.exit(main())
