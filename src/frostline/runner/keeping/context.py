"""What a step's result depends on beside its command and files: environment variables and package versions.

Values of environment variables are never kept: a salted digest in local state notices a change. Versions are read
from the names of the installed packages' metadata folders, as importing anything would cost more than the whole
check.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from frostline.digest import sha256_bytes
from frostline.runner.digests.hashing import replace_quickly
from frostline.runner.project.spec import Step

_METADATA = re.compile(r"(.+?)-([^-]+)\.(?:dist-info|egg-info)")


class Contexts:
    """Today's context of each step.

    Args:
        environ: the environment that steps are started in.
        salt_file: where the salt is kept; made when first needed and `may_write`.
    """

    def __init__(self, environ: Mapping[str, str], salt_file: Path, *, may_write: bool) -> None:
        self.environ = environ
        self.salt_file = salt_file
        self.may_write = may_write
        self._salt: bytes | None = None
        self._versions: dict[str, str] | None = None

    def of(self, step: Step) -> dict[str, str]:
        """env/NAME -> salted digest, requires/PACKAGE -> major.minor, `declared` -> digest."""
        context = {f"env/{name}": self._salted(name) for name in step.env_names}
        context |= {f"requires/{name}": major_minor(self.version(name)) for name in step.requires}
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
