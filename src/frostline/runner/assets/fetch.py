"""Bring assets here: what is there and right is left alone, else each source is tried in turn.

The mirror comes first, then the sources in their order. Everything is brought to hidden places beside the destination
and takes its name only when it is whole and right, so that an interrupted or wrong download, or a half-unpacked
archive, never replaces what was there.
"""

from __future__ import annotations

import glob
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from frostline.errors import AssetError, ChecksumError
from frostline.files import held, remove_tree
from frostline.runner.assets.archives import LARGER_VARIABLE, unpack
from frostline.runner.assets.check import AssetCheck, AssetState, check_asset, is_pinned, mismatch_of
from frostline.runner.assets.delivery import Couriers, Delivery, part_of, tree_of, wrong_kind
from frostline.runner.assets.memory import Brought, Memory, entries_of, told
from frostline.runner.assets.placing import Spare, place_file, place_folder, recover
from frostline.runner.assets.sources import HubSource, RepositorySource, Source, hider, in_mirror, sources_of
from frostline.runner.project.spec import Asset

MIRROR_VARIABLE = "PROJECT_ASSET_MIRROR"
POLL_S = 0.2
THERE = (AssetState.RIGHT, AssetState.UNCHECKED)


def fetch_assets(
    assets: Sequence[Asset],
    root: Path,
    *,
    mirror: str | None,
    say: Callable[[str], None],
    file_name: str = "project.yml",
    spare: Spare = lambda path: None,
    live: Callable[[str], None] | None = None,
    memory: Memory | None = None,
    environ: Mapping[str, str] | None = None,
) -> None:
    """Bring every asset that is not here as it is declared.

    Args:
        assets: in the order to bring them. Private ones (no source) are only looked for.
        root: the project's folder.
        mirror: a folder or url laid out as `<host>/<path>`, tried first; None for none.
        say: takes lines of progress.
        file_name: of the project file, for messages.
        spare: called with a path before what lies there is replaced.
        live: takes a line of progress that replaces the one before; None: there is no such place.
        memory: what is known of assets that came before; None: nothing, and nothing is kept.
        environ: of the caller; None: this process's.
    Raises:
        ChecksumError: an asset's bytes are not the declared ones, whatever source was tried.
        AssetError: an asset could not be had. All assets are tried before an error is raised.
    """
    faults: list[AssetError] = []
    n_there = 0
    environ = os.environ if environ is None else environ
    hide = hider(assets, environ)

    def tell(line: str) -> None:
        say(hide(line))

    couriers = Couriers(environ, tell, live)
    bringer = _Bringer(root, mirror, couriers, file_name, spare, memory or Memory(None))
    try:
        for asset in assets:
            try:
                n_there += bringer.bring(asset)
            except AssetError as error:
                faults.append(_hidden(error, hide))
    finally:
        couriers.close()
    if n_there and not faults:
        say(f"{n_there} of {len(assets)} assets were there already")
    if len(faults) == 1:
        raise faults[0]
    if faults:
        kind = ChecksumError if any(isinstance(fault, ChecksumError) for fault in faults) else AssetError
        raise kind("\n".join(_line(fault) for fault in faults), where=file_name, fix=faults[0].fix)


class _Bringer:
    """One call of fetch_assets."""

    def __init__(
        self, root: Path, mirror: str | None, couriers: Couriers, file_name: str, spare: Spare, memory: Memory
    ) -> None:
        self.root = root
        self.mirror = mirror
        self.couriers = couriers
        self.file_name = file_name
        self.spare = spare
        self.memory = memory
        self.environ = couriers.environ
        self.say = couriers.say

    def bring(self, asset: Asset) -> bool:
        """Bring one asset; True if it was there already. Raises AssetError."""
        where = f"{self.file_name}:{asset.line}"
        if asset.is_private:
            return self._look_for(asset, where)
        dest = self.root / asset.dest
        try:
            with _alone_in(dest.parent, self.say):
                recover(dest)
                check = check_asset(asset, self.root, self.memory)
                if self._is_enough(asset, check):
                    return True
                if check.state in (AssetState.WRONG, AssetState.STALE):
                    self.say(f"{asset.dest}: {check.mismatch or check.state.value}; it is fetched again")
                self._bring(asset, where)
        except OSError as error:
            raise AssetError(f"'{asset.dest}' can't be put there: {error.strerror or error}", where=where) from error
        return False

    def _look_for(self, asset: Asset, where: str) -> bool:
        """A private asset is only looked for."""
        check = check_asset(asset, self.root)
        if check.state in THERE:
            return True
        fix = asset.description or "It has no url: bring it by hand."
        if check.mismatch is not None:
            raise ChecksumError(f"The asset '{asset.dest}' is another file: {check.mismatch}.", where=where, fix=fix)
        self.say(f"{asset.dest} is not there. {fix}")
        return False

    def _is_enough(self, asset: Asset, check: AssetCheck) -> bool:
        """Whether what is there stays: it is right, or nobody can say that it is wrong."""
        if check.state is AssetState.UNKNOWN:
            if is_pinned(asset):
                return False
            self.say(f"{asset.dest}: {check.state.value}; it is kept (remove it to have it brought)")
            return True
        if check.state is AssetState.WRONG and not is_pinned(asset):
            self.say(f"{asset.dest}: {check.mismatch}; it is kept (remove it to have it brought again)")
            return True
        return check.state in THERE and (check.state is AssetState.RIGHT or not self._has_moved(asset))

    def _has_moved(self, asset: Asset) -> bool:
        """Whether the branch that an asset came from has another commit by now; where nobody can tell, it has not."""
        brought = self.memory.of(asset.dest)
        sources, _ = sources_of(asset, self.root, self.environ)
        following = [source for source in sources if isinstance(source, HubSource | RepositorySource)]
        if brought is None or brought.commit is None or not following or following[0].is_pinned:
            return False
        try:
            tip = self.couriers.tip(following[0])
        except AssetError as error:
            self.say(f"{asset.dest}: whether there is a newer one can't be told: {error.message}")
            return False
        if brought.commit.startswith(tip):
            return False
        self.say(f"{asset.dest}: {following[0].url} has moved from {brought.commit[:12]} to {tip[:12]}")
        return True

    def _bring(self, asset: Asset, where: str) -> None:
        sources, failures = sources_of(asset, self.root, self.environ)
        mirrored = [in_mirror(source, self.mirror, self.root) for source in sources]
        for source in (*(source for source in mirrored if source is not None), *sources):
            try:
                self._from(source, asset)
                return
            except AssetError as error:
                failures.append(error)
                self.say(f"  {error.message}")
        raise self._error(asset, failures, where)

    def _from(self, source: Source, asset: Asset) -> None:
        """Take an asset from one source, check it, and give it its name. Raises AssetError."""
        dest = self.root / asset.dest
        self.say(f"{asset.dest} ← {source.url}")
        try:
            delivery = self.couriers.deliver(source, dest, has_checksum=asset.has_checksum)
            mismatch = self._mismatch(source, asset, delivery)
            if mismatch is not None and delivery.went_on:  # the part was of another file, or torn
                remove_tree(delivery.path)
                delivery = self.couriers.deliver(source, dest, has_checksum=asset.has_checksum)
                mismatch = self._mismatch(source, asset, delivery)
            if mismatch is not None:
                remove_tree(delivery.path)
                raise ChecksumError(f"{source.url}: {mismatch}")
            self._place(source, asset, delivery)
        except OSError as error:
            part_of(dest, source.url).unlink(missing_ok=True)
            raise AssetError(f"{source.url}: {error.strerror or error}") from error
        finally:
            if not isinstance(source, HubSource):  # whose folder is gone on with
                remove_tree(tree_of(dest, source.url))
        for leftover in dest.parent.glob(f".{glob.escape(dest.name)}.{'[0-9a-f]' * 8}.*"):  # of what broke off
            if leftover.name.endswith((".part", ".part.mark", ".tree")):
                remove_tree(leftover)

    def _mismatch(self, source: Source, asset: Asset, delivery: Delivery) -> str | None:
        fault = wrong_kind(source, delivery.path, extracts=asset.extract is not None, sha256=asset.sha256)
        if fault is not None:
            remove_tree(delivery.path)
            raise fault
        return mismatch_of(delivery.path, asset)

    def _place(self, source: Source, asset: Asset, delivery: Delivery) -> None:
        before = self.memory.of(asset.dest)
        path = delivery.path if asset.extract is None else self._unpacked(source, asset, delivery.path)
        if path.is_dir():
            files = entries_of(path)
            place_folder(path, self.root, asset.dest, self.spare, before=before.files if before is not None else {})
        else:
            place_file(path, self.root, asset.dest, self.spare)
            files = {} if asset.has_checksum else entries_of(self.root / asset.dest)
        if files:
            known = Brought(told=told(asset), commit=delivery.commit, files=files)
            self.memory.note(asset.dest, known)

    def _unpacked(self, source: Source, asset: Asset, archive: Path) -> Path:
        """The folder that an archive becomes. Raises AssetError."""
        tree = tree_of(self.root / asset.dest, source.url)
        remove_tree(tree)
        most = self.environ.get(LARGER_VARIABLE, "")
        try:
            left_out = unpack(archive, tree, inner=asset.extract or "", most_mib=int(most) if most.isdigit() else None)
        except AssetError as error:
            archive.unlink(missing_ok=True)
            raise AssetError(f"{source.url}: {error.message}", fix=error.fix) from error
        for line in left_out:
            self.say(f"  left out: {line}")
        return tree

    def _error(self, asset: Asset, failures: list[AssetError], where: str) -> AssetError:
        told_faults = list(dict.fromkeys(_line(failure) for failure in failures))
        wrong = [failure for failure in failures if isinstance(failure, ChecksumError)]
        kept = " What was there is kept." if (self.root / asset.dest).exists() else ""
        if wrong:
            return ChecksumError(
                f"The asset '{asset.dest}' is refused: {'; '.join(told_faults)}.{kept}",
                where=where,
                fix="If the file was changed on purpose, declare its new checksum; else use another source.",
            )
        mirror = "" if self.mirror else f", or name a folder or url that has the file in {MIRROR_VARIABLE}"
        return AssetError(
            f"The asset '{asset.dest}' could not be had: {'; '.join(told_faults)}.{kept}",
            where=where,
            fix=next((failure.fix for failure in failures if failure.fix), f"Check the url and the network{mirror}."),
        )


@contextmanager
def _alone_in(folder: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Hold a folder for the block, so that two processes do not write one part; wait until nobody else has it."""
    is_told = False
    while True:
        with held(folder) as is_ours:
            if is_ours:
                yield
                return
        if not is_told:
            say(f"waiting for another process that brings assets to {folder}")
            is_told = True
        time.sleep(POLL_S)


def _hidden(error: AssetError, hide: Callable[[str], str]) -> AssetError:
    """The error without the values of environment variables."""
    return type(error)(hide(error.message), where=error.where, fix=error.fix and hide(error.fix))


def _line(error: AssetError) -> str:
    message = error.message.rstrip(".")
    return f"{error.where}: {message}" if error.where else message
