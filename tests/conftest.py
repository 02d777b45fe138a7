"""Shared fixtures: where the real data lies, if it does, and how many threads torch may use."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from frostline.console import set_quiet

REPOSITORY = Path(__file__).resolve().parent.parent
MIRROR = REPOSITORY.parent / "shared" / "mirror"
EWT = "raw.githubusercontent.com/UniversalDependencies/UD_English-EWT/15d613d8447b3478787d4c278730a1e48a945efb"
MINILM = "huggingface.co/sentence-transformers/all-MiniLM-L6-v2/resolve/main"
WNUT = "raw.githubusercontent.com/leondz/emerging_entities_17/e52a2d2a71ac1a051ca2d532eef28653c5c02603"

if "PROJECT_ASSET_MIRROR" not in os.environ and MIRROR.is_dir():
    os.environ["PROJECT_ASSET_MIRROR"] = str(MIRROR)
os.environ.setdefault("DVC_NO_ANALYTICS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# What a script starts in the background ignores Ctrl-C, and hands that on to its children: tests press it.
if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    """What a test silences by --quiet, the next one hears again."""
    yield
    set_quiet(False)


@pytest.fixture(scope="session")
def mirror() -> Path:
    """The folder of mirrored assets; the test is skipped where there is none."""
    folder = Path(os.environ.get("PROJECT_ASSET_MIRROR", "/nonexistent"))
    if not folder.is_dir():
        pytest.skip("PROJECT_ASSET_MIRROR names no folder: real data is absent")
    return folder


def _part_of(mirror: Path, name: str) -> Path:
    if not (mirror / name).is_dir():
        pytest.skip(f"{name} is not in the mirror")
    return mirror / name


@pytest.fixture(scope="session")
def ewt(mirror: Path) -> Path:
    """The folder with en_ewt-ud-{train,dev,test}.conllu."""
    return _part_of(mirror, EWT)


@pytest.fixture(scope="session")
def minilm(mirror: Path) -> Path:
    """The model folder of all-MiniLM-L6-v2."""
    return _part_of(mirror, MINILM)


@pytest.fixture(scope="session")
def wnut(mirror: Path) -> Path:
    """The folder of WNUT 17."""
    return _part_of(mirror, WNUT)
