"""Packed charts as helm reads them, and archives made to take all memory or time."""

import gzip
import io
import os
import resource
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import pytest

from tasks.effects.archives import ArchiveError, IllegalArchiveError, read, unpacked
from tests.tools import helm_folder  # noqa: F401

ROOT = Path(__file__).resolve().parents[2]
MIB = 1 << 20
ABOUT = b"apiVersion: v2\nname: chart\nversion: 1.0.0\n"
Member = tuple[str, bytes] | tarfile.TarInfo


def packed(*members: Member, form: int = tarfile.PAX_FORMAT) -> bytes:
    """An archive of files with their content, and of headers alone."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", format=form, compresslevel=1) as archive:
        for member in (("chart/Chart.yaml", ABOUT), *members):
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                header = tarfile.TarInfo(member[0])
                header.size = len(member[1])
                archive.addfile(header, io.BytesIO(member[1]))
    return buffer.getvalue()


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    header.type, header.linkname = kind, target
    return header


def header_only(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    header = tarfile.TarInfo(name)
    header.size, header.type = size, kind
    return header.tobuf(tarfile.GNU_FORMAT)


def zeros(*sizes: int) -> bytes:
    """Files of zeros, each of whole MiB; gzip members one after the other are one stream."""
    block = gzip.compress(bytes(MIB))
    return b"".join(
        gzip.compress(header_only(f"chart/{number}", size)) + block * (size >> 20)
        for number, size in enumerate(sizes)
    )


def nested(depth: int) -> bytes:
    archive = packed()
    for number in range(depth):
        archive = packed((f"chart/charts/c{number}.tgz", archive))
    return archive


def wide(count: int) -> bytes:
    """Subcharts that are each within helm's limits, and not together."""
    inner = packed(*((f"chart/{number}", bytes(4 * MIB)) for number in range(20)))
    return packed(*((f"chart/charts/c{number}.tgz", inner) for number in range(count)))


def pax(record: bytes) -> bytes:
    padded = record + bytes(-len(record) % 512)
    return gzip.compress(header_only("x", len(record), tarfile.XHDTYPE) + padded + header_only("chart/a", 0))


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_what_is_in_it(form: int) -> None:
    long = "a" * 90 + "/" + "b" * 90
    inner = packed(("chart/values.yaml", b"c"))
    archive = packed(
        special("chart/templates", tarfile.DIRTYPE),
        ("chart/templates/a.yaml", b"x" * 513),
        ("chart/values.yaml", b"old"),
        ("chart/values.yaml", b"new"),
        (f"chart/{long}", b""),
        ("chart\\windows\\path", b"w"),
        ("chart/a/../b", b"b"),
        ("chart/charts/sub.tgz", inner),
        ("chart/charts/folder/charts/deep.tgz", inner),
        special("chart/link", tarfile.SYMTYPE, "/etc/passwd"),
        special("chart/hard", tarfile.LNKTYPE, "chart/values.yaml"),
        form=form,
    )
    assert unpacked(archive) == {
        "Chart.yaml": ABOUT,
        "templates/a.yaml": b"x" * 513,
        "values.yaml": b"new",
        long: b"",
        "windows/path": b"w",
        "b": b"b",
        "charts/sub.tgz/Chart.yaml": ABOUT,
        "charts/sub.tgz/values.yaml": b"c",
        "charts/folder/charts/deep.tgz/Chart.yaml": ABOUT,
        "charts/folder/charts/deep.tgz/values.yaml": b"c",
        # As helm has it: a link is an empty file.
        "link": b"",
        "hard": b"",
    }


def test_the_limits_themselves_are_allowed() -> None:
    found = unpacked(packed(*((f"chart/{number}", bytes(5 * MIB)) for number in range(19))))
    assert sum(map(len, found.values())) > 95 * MIB
    assert len(unpacked(nested(5))) == 6


HELM_REFUSES: dict[str, tuple[Callable[[], bytes], str]] = {
    "a file": (lambda: zeros(1200 * MIB), "its file 'chart/0' has more than 5 MiB, which Helm"),
    "all files": (lambda: zeros(*[4 * MIB] * 30), "it has more than 100 MiB unpacked, which Helm refuses"),
    "absolute": (lambda: packed(("chart//etc/passwd", b"")), "lies outside of the chart's folder"),
    "above": (lambda: packed(("chart/../../x", b"")), "'chart/../../x' lies outside of the chart's folder"),
    "above, packed on Windows": (lambda: packed(("chart\\..\\x", b"")), "lies outside of the chart's folder"),
    "a drive": (lambda: packed(("chart/c:/x", b"")), "lies outside of the chart's folder"),
    "no folder": (lambda: packed(("x", b"")), "lies outside of the chart's folder"),
    "no folder of its own": (lambda: packed(("Chart.yaml", ABOUT)), "Chart.yaml is not in a folder of"),
    "a subchart's": (
        lambda: packed(("chart/charts/a.tgz", packed(("chart/../x", b"")))),
        "lies outside of the chart's folder",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HELM_REFUSES)
def test_what_helm_refuses(name: str, tmp_path: Path, helm_folder: Path) -> None:  # noqa: F811
    make, reason = HELM_REFUSES[name]
    archive = make()
    start = monotonic()
    with pytest.raises(IllegalArchiveError, match=reason):
        unpacked(archive)
    assert monotonic() - start < 20
    path = tmp_path / "chart.tgz"
    path.write_bytes(archive)
    done = subprocess.run(
        (str(helm_folder / "helm"), "template", "x", str(path)), capture_output=True, text=True, check=False
    )
    assert done.returncode != 0


NOT_READ: dict[str, tuple[Callable[[], bytes], str]] = {
    "nothing": (lambda: b"", "it is damaged, or something else"),
    "a page": (lambda: b"<html>", "it is damaged, or something else"),
    "half": (lambda: packed(("chart/a", os.urandom(5000)))[:3000], "it is damaged"),
    "its end is missing": (lambda: gzip.compress(header_only("chart/a", 1000) + b"x"), "its end is missing"),
    "no archive": (lambda: gzip.compress(b"x" * 1000), "it is damaged, or something else"),
    "empty": (lambda: gzip.compress(bytes(1024)), "it is damaged, or something else"),
    "xz": (lambda: packed()[:0] + b"\xfd7zXZ\x00" + bytes(100), "it is damaged, or something else"),
    "a negative size": (lambda: gzip.compress(header_only("chart/a", -5)), "it is damaged"),
    "with holes": (
        lambda: gzip.compress(header_only("chart/a", 512, tarfile.GNUTYPE_SPARSE)),
        "files with holes",
    ),
    "with holes, newer": (lambda: pax(b"26 GNU.sparse.size=123456\n"), "files with holes"),
    "a header that is none": (lambda: pax(b"nothing"), "a header is none"),
    "a header without an end": (lambda: pax(b"0 a=b\n"), "a header is none"),
    "a header of signs": (lambda: pax(b"1" * MIB), "a header is none"),
    "a large header": (lambda: pax(b"1" * (MIB + 1)), "a header of more than 1 MiB"),
    "many": (
        lambda: gzip.compress(b"".join(header_only(f"chart/{number}", 0) for number in range(10_001))),
        "more than 10000 files",
    ),
    "many folders": (
        lambda: gzip.compress(header_only("chart/a", 0, tarfile.DIRTYPE) * 30_000),
        "more than 10000 files",
    ),
    "many headers": (
        lambda: gzip.compress(header_only("x", 0, tarfile.XGLTYPE) * 30_000),
        "more than 10000 files",
    ),
    "deep": (lambda: nested(6), "it has archives in archives, more than 5 deep"),
    "wide": (lambda: wide(6), "with its subcharts it has more than 100 MiB unpacked"),
    "a subchart that is damaged": (lambda: packed(("chart/charts/a.tgz", b"x")), "it is damaged"),
}  # fmt: skip


@pytest.mark.parametrize("name", NOT_READ)
def test_what_is_not_read(name: str) -> None:
    make, reason = NOT_READ[name]
    archive = make()
    start = monotonic()
    with pytest.raises(ArchiveError, match=reason):
        unpacked(archive)
    assert monotonic() - start < 20


def test_an_archive_that_is_large_itself(tmp_path: Path) -> None:
    path = tmp_path / "chart.tgz"
    with path.open("wb") as stream:
        stream.truncate(3 << 30)
    with pytest.raises(ArchiveError, match="more than 10 MiB, which is what Flux takes"):
        read(path)
    with pytest.raises(ArchiveError, match="cannot be read: No such file"):
        read(tmp_path / "none")


def test_a_bomb_takes_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "chart.tgz"
    path.write_bytes(zeros(*[4 * MIB] * 300))
    assert path.stat().st_size < 2 * MIB
    program = (
        "import sys\nfrom pathlib import Path\nfrom tasks.flux.chart_values import read_chart\n"
        "try:\n    read_chart(Path(sys.argv[1]).read_bytes())\nexcept ValueError as error:\n    print(error)"
    )
    start = monotonic()
    done = subprocess.run(
        (sys.executable, "-c", program, str(path)),
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (250 * MIB, 250 * MIB)),
    )
    assert done.stdout == "not a packed chart: it has more than 100 MiB unpacked, which Helm refuses\n"
    assert monotonic() - start < 30
