"""Which files of the project a step's Python code is made of: the script, and the modules that it imports.

Followed by reading, nothing is run: `import` and `from … import` at any depth, packages' `__init__.py`, relative
imports, modules named to `import_module`. Looked for where Python would look, but only in the project: installed
packages count by `requires`. What a step makes is no source, and is not followed: it is declared as any other dep.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

from frostline.runner.digests.ignores import is_hidden
from frostline.runner.meaning.entry_points import EntryPoint, entry_points
from frostline.runner.meaning.source_values import Import, PythonSource
from frostline.runner.meaning.sources import Sources
from frostline.runner.project.spec import Step

INIT = "__init__.py"


def follow_imports(root: Path, steps: tuple[Step, ...], sources: Sources) -> tuple[Step, ...]:
    """The same steps; those that start Python code of the project have its files among their deps, and in `imports`."""
    closures = Closures(root, sources, (path for step in steps for path in step.all_outputs))
    return tuple(_with_imports(step, closures) for step in steps)


def _with_imports(step: Step, closures: Closures) -> Step:
    found: dict[str, None] = {}
    for entry in entry_points(step):
        found |= dict.fromkeys(closures.of(entry))
    if not found:
        return step
    declared = set(map(str, step.deps))
    if "." in declared:
        return step
    new = tuple(PurePosixPath(path) for path in found if not any(part in declared for part in _with_folders(path)))
    return replace(step, deps=step.deps + new, imports=new) if new else step


def _with_folders(path: str) -> Iterator[str]:
    """A path, and every folder above it."""
    while path:
        yield path
        path = posixpath.dirname(path)


class Closures:
    """The closures of entry points, each found once.

    Args:
        root: the project's folder.
        sources: reads Python files.
        made: the outputs of all steps.
    """

    def __init__(self, root: Path, sources: Sources, made: Iterable[PurePosixPath]) -> None:
        self.root = root
        self.sources = sources
        self.made = set(map(str, made))
        self.found: dict[EntryPoint, tuple[str, ...]] = {}
        self.listings: dict[str, frozenset[str] | None] = {}
        self.counts: dict[str, bool] = {}

    def of(self, entry: EntryPoint) -> tuple[str, ...]:
        """The files behind an entry point, relative to the root, sorted."""
        if entry not in self.found:
            self.found[entry] = self._follow(entry)
        return self.found[entry]

    def _follow(self, entry: EntryPoint) -> tuple[str, ...]:
        """Everything reachable.

        A file that changes `sys.path` adds folders to look in: then all is looked at anew, and as nobody knows
        whether they come first or last, what either order leads to is taken.
        """
        own = tuple(folder for folder in map(self._inside, entry.folders) if folder is not None)
        more: tuple[str, ...] = ()
        while True:
            orders = (own + more, more + own) if more else (own,)
            files, hinted = self._reach(entry, orders)
            new = tuple(folder for folder in hinted if folder not in own and folder not in more)
            if not new:
                return tuple(sorted(files))
            more += new

    def _reach(self, entry: EntryPoint, orders: tuple[tuple[str, ...], ...]) -> tuple[dict[str, None], dict[str, None]]:
        """(files, folders that they may put on `sys.path`), with the folders to look in in one order or several."""
        files: dict[str, None] = {}
        hinted: dict[str, None] = {}
        pending = [path for folders in orders for path in self._start(entry, folders)]
        while pending:
            path = pending.pop()
            if path in files or not self._is_source(path):
                continue
            files[path] = None
            source = self.sources.python(path)
            if source is not None:
                pending += [found for folders in orders for found in self._imported(path, source, folders)]
                hinted |= dict.fromkeys(self._hinted(path, source))
        return files, hinted

    def _start(self, entry: EntryPoint, folders: tuple[str, ...]) -> list[str]:
        if entry.kind == "module":
            files, places = self._module(entry.target, folders)
            return files + [f"{place}/__main__.py".lstrip("/") for place in places]
        if entry.kind == "code":
            from frostline.runner.meaning.python_source import read_python

            source = read_python(entry.target.encode())
            return self._imported("", source, folders) if source is not None else []
        path = self._inside(entry.target)
        if path is None:
            return []
        return [f"{path}/__main__.py".lstrip("/") if self._names(path) is not None else path]

    def _imported(self, path: str, source: PythonSource, folders: tuple[str, ...]) -> list[str]:
        """The files that the imports of one file lead to."""
        found: list[str] = []
        for one in source.imports:
            if one.level:
                folder = _above(posixpath.dirname(path), one.level - 1)
                files, places = self._module(one.module, (folder,)) if one.module else ([], [folder])
            else:
                files, places = self._module(one.module, folders)
            found += files
            for name in self._wanted(one, places):
                found += self._module(name, tuple(places))[0]
        return found

    def _wanted(self, one: Import, places: list[str]) -> Iterator[str]:
        """The names of `from package import a, b` that may be modules; `*` means those of `__all__`."""
        for name in one.names if places else ():
            if name != "*":
                yield name
                continue
            for place in places:
                source = self.sources.python(f"{place}/{INIT}".lstrip("/"))
                yield from source.exported if source is not None else ()

    def _module(self, dotted: str, folders: tuple[str, ...]) -> tuple[list[str], list[str]]:
        """(files that importing a module runs, folders of its submodules); empty where the project has no such one."""
        files: list[str] = []
        places = list(folders)
        for name in dotted.split("."):
            file, places = self._part(name, places)
            if file is not None:
                files.append(file)
            if not places:
                break
        return files, places

    def _part(self, name: str, folders: Iterable[str]) -> tuple[str | None, list[str]]:
        """One part of a dotted name, as Python's path finder has it: a package, a module, else folders without code."""
        portions = []
        for folder in folders:
            inner = f"{folder}/{name}".lstrip("/")
            names = self._names(folder) or frozenset()
            if name in names and (own := self._names(inner)) is not None:
                if INIT in own:
                    return f"{inner}/{INIT}", [inner]
                portions.append(inner)
            if f"{name}.py" in names:
                return f"{inner}.py", []
        return None, portions

    def _names(self, folder: str) -> frozenset[str] | None:
        """What lies in a folder; None when there is none."""
        if folder not in self.listings:
            try:
                self.listings[folder] = frozenset(os.listdir(self.root / folder))  # noqa: PTH208
            except OSError:
                self.listings[folder] = None
        return self.listings[folder]

    def _is_source(self, path: str) -> bool:
        """Whether a path is a file that counts, and that no step makes."""
        if path not in self.counts:
            self.counts[path] = (
                not any(part in self.made for part in (*_with_folders(path), "."))
                and os.path.isfile(self.root / path)  # noqa: PTH113
                and not is_hidden(self.root, path)
            )
        return self.counts[path]

    def _inside(self, path: str) -> str | None:
        """A path as seen from the root; None when it lies elsewhere."""
        if path.startswith("/"):
            path = os.path.relpath(path, self.root)
            path = "" if path == "." else path
        return None if path == ".." or path.startswith("../") else path

    def _hinted(self, path: str, source: PythonSource) -> Iterator[str]:
        """Folders that a file may put on `sys.path`: those above it, and those it names."""
        if source.search_hints is None:
            return
        here = posixpath.dirname(path)
        yield from _with_folders(here)
        yield ""
        for hint in source.search_hints:
            for base in ("", here):
                place = self._inside(posixpath.normpath(posixpath.join(base, hint)))
                if place is not None and self._names(place) is not None:
                    yield "" if place == "." else place


def _above(folder: str, n_levels: int) -> str:
    for _ in range(n_levels):
        folder = posixpath.dirname(folder)
    return folder
