"""Packed charts (.tgz): as much of one as helm reads, and in plain words why it is no more.

Rules and limits are those of https://github.com/helm/helm/blob/main/pkg/chart/loader/archive/archive.go.
"""

import gzip
import io
import posixpath
import re
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

# What Flux takes of an archive (source-controller, internal/helm/helm.go: MaxChartSize; it has a flag for
# it), and what helm takes of what is in it.
_MOST_PACKED = 10 << 20
_MOST_UNPACKED = 100 << 20
_MOST_OF_A_FILE = 5 << 20
# What nobody needs, and what would take time all the same: files, and archives inside of archives.
_MOST_FILES = 10_000
_DEEPEST = 5
_BLOCK = 512
# Go's archive/tar reads no more of a name or of other data about a file (format.go: maxSpecialFileSize).
_MOST_OF_A_HEADER = 1 << 20
_ABOUT_THE_NEXT = (tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
_ABOUT_ALL = (tarfile.XGLTYPE,)
_WITHOUT_CONTENT = (
    tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE,
)  # fmt: skip
_DRIVE = re.compile(r"[A-Za-z]:/")
_SUBCHART = re.compile(r"(?:charts/[^/]+/)*charts/[^/]+\.(?:tgz|tar\.gz)")


class ArchiveError(ValueError):
    """It cannot be read here: damaged, something else, or more than is looked at."""


class IllegalArchiveError(ArchiveError):
    """Helm refuses to load it, wherever it runs."""


def read(path: Path) -> bytes:
    """The packed archive ``path``.

    Raises:
        ArchiveError: it cannot be read, or is larger than Flux takes.
    """
    try:
        with path.open("rb") as stream:
            packed = stream.read(_MOST_PACKED + 1)
    except OSError as error:
        raise ArchiveError(f"it cannot be read: {error.strerror}") from None
    if len(packed) > _MOST_PACKED:
        raise ArchiveError(
            f"it has more than {_shown(_MOST_PACKED)}, which is what Flux takes (--helm-chart-max-size)"
        )
    return packed


def unpacked(packed: bytes) -> Mapping[str, bytes]:
    """The files of the chart, by their paths in its folder; a packed subchart is a folder with the same name.

    Raises:
        IllegalArchiveError: helm refuses it.
        ArchiveError: it is damaged, no archive, or more than is looked at.
    """
    found: dict[str, bytes] = {}
    waiting = [("", packed, 0)]
    left = _MOST_UNPACKED
    while waiting:
        folder, archive, depth = waiting.pop()
        stream = _Unpacking(archive)
        for path, content in _files(stream):
            left -= len(content)
            if left < 0:
                raise ArchiveError(f"with its subcharts it has more than {_shown(_MOST_UNPACKED)} unpacked")
            if len(found) + len(waiting) >= _MOST_FILES:
                raise ArchiveError(f"it has more than {_MOST_FILES} files")
            whole = f"{folder}{path}"
            if not _SUBCHART.fullmatch(whole):
                found[whole] = content
            elif depth == _DEEPEST:
                raise ArchiveError(f"it has archives in archives, more than {_DEEPEST} deep")
            else:
                waiting.append((f"{whole}/", content, depth + 1))
    return found


class _Unpacking:
    """The unpacked bytes of one archive, and no more than helm takes with what stands about the files."""

    def __init__(self, packed: bytes) -> None:
        self._stream = gzip.GzipFile(fileobj=io.BytesIO(packed))
        self._left = _MOST_UNPACKED + _MOST_FILES * 2 * _BLOCK

    def read(self, size: int) -> bytes:
        """The next ``size`` bytes, or those that there are."""
        try:
            content = self._stream.read(size)
        except (OSError, EOFError, zlib.error):
            raise ArchiveError("it is damaged, or something else") from None
        self._left -= len(content)
        if self._left < 0:
            raise IllegalArchiveError(
                f"it has more than {_shown(_MOST_UNPACKED)} unpacked, which Helm refuses"
            )
        return content

    def content(self, size: int) -> bytes:
        """The content of a file of ``size`` bytes, which are whole blocks in the archive."""
        content = self.read(size)
        self.read(-size % _BLOCK)
        if len(content) < size:
            raise ArchiveError("it is damaged: its end is missing")
        return content


def _files(stream: _Unpacking) -> Iterator[tuple[str, bytes]]:
    total = 0
    for name, header in _members(stream):
        if header.isdir():
            continue
        if header.size > _MOST_OF_A_FILE:
            raise IllegalArchiveError(
                f"its file {_line(name)} has more than {_shown(_MOST_OF_A_FILE)}, which Helm refuses"
            )
        path = _path(name)
        content = stream.content(header.size)
        total += len(content)
        if total >= _MOST_UNPACKED:
            raise IllegalArchiveError(
                f"it has more than {_shown(_MOST_UNPACKED)} unpacked, which Helm refuses"
            )
        yield path, content


def _members(stream: _Unpacking) -> Iterator[tuple[str, tarfile.TarInfo]]:
    """What is in the archive, with its name; tarfile itself takes any time for headers made for that."""
    name, size, count = "", None, 0
    while True:
        block = stream.read(_BLOCK)
        if not block.strip(b"\0"):
            if not count:
                raise ArchiveError("it is damaged, or something else")
            return
        try:
            header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except (tarfile.TarError, ValueError, IndexError):
            raise ArchiveError("it is damaged, or something else") from None
        count += 1
        if count > 2 * _MOST_FILES:
            raise ArchiveError(f"it has more than {_MOST_FILES} files")
        if header.size < 0 or header.type == tarfile.GNUTYPE_SPARSE:
            raise ArchiveError("it is damaged, or has files with holes, which are not read here")
        if header.type in (*_ABOUT_THE_NEXT, *_ABOUT_ALL):
            if header.size > _MOST_OF_A_HEADER:
                raise IllegalArchiveError("it has a header of more than 1 MiB, which Helm cannot read")
            content = stream.content(header.size)
            if header.type == tarfile.GNUTYPE_LONGNAME:
                name = content.partition(b"\0")[0].decode(errors="replace")
            elif header.type == tarfile.XHDTYPE:
                records = _records(content)
                if any(key.startswith(b"GNU.sparse.") for key in records):
                    raise ArchiveError("it has files with holes, which are not read here")
                name = records.get(b"path", b"").decode(errors="replace") or name
                size = int(given) if (given := records.get(b"size", b""))[:20].isdigit() else None
            continue
        header.size = 0 if header.type in _WITHOUT_CONTENT else header.size if size is None else size
        yield name or header.name, header
        name, size = "", None


def _records(content: bytes) -> dict[bytes, bytes]:
    """The records of an extended header (POSIX pax): length, space, key, equals sign, value, end of line."""
    found: dict[bytes, bytes] = {}
    at = 0
    while at < len(content):
        digits = content[at : at + 8].partition(b" ")[0]
        length = int(digits) if digits.isdigit() else 0
        record = content[at + len(digits) + 1 : at + length - 1] if length > len(digits) else b""
        if b"=" not in record:
            raise ArchiveError("it is damaged: a header is none")
        key, _, value = record.partition(b"=")
        found[key] = value
        at += length
    return found


def _path(name: str) -> str:
    """The path of a file in the chart's folder, by helm's rules."""
    # One that was packed on Windows may have the other sign.
    first, *others = name.split("\\" if "\\" in name else "/")
    rest = "/".join(others)
    path = posixpath.normpath(rest)
    if first == "Chart.yaml":
        raise IllegalArchiveError("Chart.yaml is not in a folder of its own, which Helm refuses")
    if not rest or path == "." or path.startswith(("..", "/")) or _DRIVE.match(path):
        raise IllegalArchiveError(
            f"its file {_line(name)} lies outside of the chart's folder, which Helm refuses"
        )
    return path


def _line(name: str) -> str:
    return repr(name if len(name) <= 100 else f"{name[:100]}…")


def _shown(size: int) -> str:
    return f"{size >> 20} MiB"
