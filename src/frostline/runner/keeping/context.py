"""What a step's result depends on beside its command and files: environment variables, package versions, links.

Values of environment variables are never kept: a salted digest in local state notices a change. Versions are read
from the names of the installed packages' metadata folders, as importing anything would cost more than the whole
check.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from frostline.digest import sha256_bytes
from frostline.runner.digests.hashing import replace_quickly
from frostline.runner.digests.walking import FolderLink
from frostline.runner.project.spec import Step

LINKS = "links/"
_LONG = 1000  # characters; of more links there is only a digest
_METADATA = re.compile(r"(.+?)-([^-]+)\.(?:dist-info|egg-info)")


class Contexts:
    """Today's context of each step.

    Args:
        environ: the environment that steps are started in.
        salt_file: where the salt is kept; made when first needed and `may_write`.
        links_in: the links to folders in a dep: DVC's digest of a folder, and so ours, says nothing of them.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        salt_file: Path,
        links_in: Callable[[str], Mapping[str, FolderLink]],
        *,
        may_write: bool,
    ) -> None:
        self.environ = environ
        self.links_in = links_in
        self.salt_file = salt_file
        self.may_write = may_write
        self._salt: bytes | None = None
        self._versions: dict[str, str] | None = None

    def of(self, step: Step) -> dict[str, str]:
        """env/NAME -> salted digest, requires/PACKAGE -> major.minor, links/DEP -> targets, `declared` -> digest."""
        context = {f"env/{name}": self._salted(name) for name in step.env_names}
        context |= {f"requires/{name}": major_minor(self.version(name)) for name in step.requires}
        for path in map(str, step.deps):
            if links := self.links_in(path):
                context[f"{LINKS}{path}"] = _shown(links)
        if step.declared is not None:
            context["declared"] = step.declared
        return context

    def version(self, package: str) -> str:
        """The installed version of a package; empty when it is not installed."""
        if self._versions is None:
            self._versions = installed_versions()
        return self._versions.get(_normal(package), "")

    def _salted(self, name: str) -> str:
        if name not in self.environ:
            return "unset"
        return sha256_bytes(self._get_salt() + self.environ[name].encode())[:16]

    def _get_salt(self) -> bytes:
        if self._salt is None:
            try:
                self._salt = self.salt_file.read_bytes()
            except OSError:
                self._salt = os.urandom(16)
                if self.may_write:
                    replace_quickly(self.salt_file, self._salt)
        return self._salt


def _shown(links: Mapping[str, FolderLink]) -> str:
    text = json.dumps({name: links[name].target for name in sorted(links)})
    return text if len(text) <= _LONG else sha256_bytes(text.encode())


def installed_versions() -> dict[str, str]:
    """Normalised package name -> version, for everything on the import path; the first found wins."""
    found: dict[str, str] = {}
    for folder in sys.path:
        try:
            names = os.listdir(folder or ".")  # noqa: PTH208  (called at every start)
        except OSError:
            continue
        for name in names:
            if name.endswith("-info") and (match := _METADATA.fullmatch(name)):
                found.setdefault(_normal(match[1]), match[2])
    return found


def major_minor(version: str) -> str:
    """The first two numbers of a version."""
    return ".".join(version.split(".")[:2])


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
