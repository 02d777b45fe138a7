"""What weasel has left behind: its checksums, and the steps that its project.lock says are done.

Reads files, writes none. A step counts as done if what the lock says of its script, deps and outputs is so today;
what becomes of such a step is takeover.py's business.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from frostline.digest import CHUNK_BYTES, md5_file
from frostline.runner.project.references import with_env
from frostline.runner.project.spec import Step
from frostline.runner.project.yaml_places import YamlError, load_plain

LOCK_FILE = "project.lock"


def weasel_checksum(path: Path) -> str | None:
    """The MD5 that weasel has for a path: of a folder, of all its files' bytes in a row; None: nothing is there.

    Names of files have no part in it, so that it is good for nothing but a comparison with weasel's own.
    """
    if path.is_file():
        return md5_file(path)
    if not path.is_dir():
        return None
    digest = hashlib.md5(usedforsecurity=False)
    for file in sorted(found for found in path.rglob("*") if found.is_file()):
        with file.open("rb") as stream:
            while chunk := stream.read(CHUNK_BYTES):
                digest.update(chunk)
    return digest.hexdigest()


class WeaselLock:
    """The project.lock of one project.

    Args:
        environ: the environment, as weasel's lock holds the values of variables.
    """

    def __init__(self, root: Path, environ: Mapping[str, str]) -> None:
        self.root = root
        self.environ = environ
        self.entries = _read(root / LOCK_FILE)
        self._checksums: dict[str, str | None] = {}

    def is_done(self, step: Step) -> bool:
        """Whether weasel ran this very step, and its files are as it left them. Steps without outputs never are."""
        entry = self.entries.get(step.name)
        if not isinstance(entry, dict) or step.no_skip or not step.all_outputs:
            return False
        script = entry.get("script")
        if not isinstance(script, list) or _lines(map(str, script)) != self._script(step):
            return False
        declared = tuple(path for path in step.deps if path not in step.imports)  # weasel follows no imports
        return self._agree(entry.get("deps"), declared) and self._agree(entry.get("outs"), step.all_outputs)

    def differences(self, step: Step) -> list[str]:
        """What keeps a step that the lock has from counting as done; nothing where the lock has no such step."""
        entry = self.entries.get(step.name)
        if not isinstance(entry, dict):
            return []
        script = entry.get("script")
        found = []
        if not isinstance(script, list) or _lines(map(str, script)) != self._script(step):
            found.append("its script is another")
        declared = tuple(path for path in step.deps if path not in step.imports)
        for kind, key, paths in (("deps", "deps", declared), ("outputs", "outs", step.all_outputs)):
            if not self._agree(entry.get(key), paths):
                found.append(f"its {kind} are not as they were")
        return found

    def _script(self, step: Step) -> list[str]:
        return _lines(with_env(line, self.environ) for line in step.script)

    def _agree(self, recorded: Any, paths: tuple[PurePosixPath, ...]) -> bool:
        """Whether the lock has these paths, with the checksums that they have today."""
        listed = recorded if isinstance(recorded, list) else []
        if not all(isinstance(item, dict) and isinstance(item.get("path"), str) for item in listed):
            return False
        known = {posixpath.normpath(item["path"]): item.get("md5") for item in listed}
        return known.keys() == set(map(str, paths)) and all(
            known[str(path)] is not None and known[str(path)] == self._checksum(str(path)) for path in paths
        )

    def _checksum(self, path: str) -> str | None:
        if path not in self._checksums:
            self._checksums[path] = weasel_checksum(self.root / path)
        return self._checksums[path]


def _lines(lines: Any) -> list[str]:
    return [line.strip() for line in lines if line.strip()]


def _read(path: Path) -> dict[str, Any]:
    """The lock's entries by step; a file that is none counts as empty."""
    try:
        content = load_plain(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, YamlError):
        return {}
    return content if isinstance(content, dict) else {}
