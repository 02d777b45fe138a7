"""Files of stores that fsspec knows: s3://, gs://, az://, ssh:// and the like, each by a plug-in of its own."""

from __future__ import annotations

from pathlib import Path

from frostline.digest import CHUNK_BYTES
from frostline.errors import AssetError
from frostline.runner.assets.progress import Meter
from frostline.runner.assets.sources import CloudSource


def copy(source: CloudSource, part: Path, meter: Meter, *, name: str = "") -> None:
    """Write the file to `part`. Raises AssetError."""
    try:
        import fsspec

        filesystem, path = fsspec.core.url_to_fs(source.url)
        total = filesystem.size(path)
        meter.begin(name, 0, total)
        with filesystem.open(path, "rb") as stream, part.open("wb") as target:
            n_bytes = 0
            while chunk := stream.read(CHUNK_BYTES):
                target.write(chunk)
                n_bytes += len(chunk)
                meter.at(n_bytes)
        meter.end(n_bytes)
    except ImportError as error:
        raise AssetError(f"{source.url}: {error}", fix=f"pip install what it names, for {source.url[:5]}…") from error
    except FileNotFoundError as error:
        raise AssetError(f"{source.url}: it is not there") from error
    except OSError:
        raise
    except Exception as error:  # each plug-in has errors of its own
        raise AssetError(f"{source.url}: {error or type(error).__name__}") from error
