"""Damaged files of every format: one sentence or a true result, never a traceback, never half an output."""

from __future__ import annotations

import pickle
import random
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from program import Run

from rl_postproc import PostProcessor, ScoreSet, Stack
from rl_postproc.formats import EventFormat, Format, write_events, write_scores

SCORES = sorted(Format.types())
EVENTS = sorted(EventFormat.types())
FILES = {"arrays": "arrays.npz", "tags": "tags.npz", "score_table": "scores.csv"}


def small() -> ScoreSet:
    rng = np.random.default_rng(0)
    arrays = {f"clip_{i}": rng.random((20, 2)) for i in range(3)}
    return ScoreSet.from_arrays(arrays, hop=0.1, classes=["Cat", "Dog"], references=[("clip_0", 0.2, 0.9, "Cat")])


@pytest.fixture
def tuned(tmp_path: Path) -> Path:
    """Constant parameters."""
    stack = Stack.from_config([{"stage": "median", "kernel": [0.3]}, {"stage": "threshold", "threshold": [0.5]}])
    PostProcessor.constant(stack, small(), stack.space.defaults).save(tmp_path / "tuned")
    return tmp_path / "tuned"


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Returns a file that was cut, had bytes changed, exchanged or repeated, or was replaced."""
    if not content:
        return b"\x00\xff"
    kind = rng.randrange(6)
    if kind == 0:
        return content[: rng.randrange(len(content))]
    if kind == 1:
        changed = bytearray(content)
        for _ in range(1 + len(changed) // 50):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
        return bytes(changed)
    if kind == 2:
        half = rng.randrange(len(content))
        return content[half:] + content[:half]
    if kind == 3:
        return content * 2
    if kind == 4:
        return rng.randbytes(200)
    lines = content.splitlines(keepends=True)
    rng.shuffle(lines)
    return b"".join(lines)


def hurt(path: Path, rng: random.Random) -> None:
    files = sorted(f for f in path.rglob("*") if f.is_file()) if path.is_dir() else [path]
    file = rng.choice(files)
    file.write_bytes(damaged(file.read_bytes(), rng))


def assert_told(result: tuple[int, str, str], codes: tuple[int, ...]) -> None:
    code, out, err = result
    assert code in codes, (code, out, err)
    assert "Traceback" not in out + err
    if code == 2:
        errors = [line for line in err.splitlines() if line.startswith("Error: ")]
        assert len(errors) == 1, err


@pytest.mark.parametrize("name", SCORES)
def test_damaged_scores(run: Run, tuned: Path, tmp_path: Path, name: str) -> None:
    for seed in range(8):
        rng, path = random.Random(seed), tmp_path / f"{seed}_{FILES.get(name, 'scores')}"
        given = small()
        write_scores(given.select([0, 1, 2]) if name != "tags" else _tags(), path, format=name)
        hurt(path, rng)
        hop = ["--hop", "0.1"] if name == "npy" else []
        assert_told(run("check", path, *hop), (0, 1))
        out = tmp_path / f"converted_{seed}"
        result = run("convert", path, out, "--format", name, "--to", "npy", *hop)
        assert_told(result, (0, 2))
        assert out.exists() == (result[0] == 0)
        events = tmp_path / f"events_{seed}.tsv"
        result = run("apply", tuned, path, "--format", name, *hop, "--out", events)
        assert_told(result, (0, 2))
        assert events.exists() == (result[0] == 0)


def _tags() -> ScoreSet:
    from rl_postproc.formats.scores.tags import score_set_of_tags

    return score_set_of_tags(torch.rand(3, 2), None, ["a", "b", "c"], ["Cat", "Dog"])


@pytest.mark.parametrize("name", EVENTS)
def test_damaged_events(run: Run, tmp_path: Path, name: str) -> None:
    for seed in range(8):
        rng, path = random.Random(seed), tmp_path / f"events_{seed}"
        references = small().require_references()
        write_events(references, path, format=name)
        hurt(path, rng)
        assert_told(run("check", path), (0, 1))
        out = tmp_path / f"converted_{seed}.tsv"
        result = run("convert", path, out, "--format", name, "--to", "table")
        assert_told(result, (0, 2))
        assert out.exists() == (result[0] == 0)


class Trap:
    """What runs a command when it is unpickled."""

    def __reduce__(self) -> tuple:
        return (open, ("trapped", "w"))


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".npy", ".npz", ".h5"])
def test_pickles_are_never_executed(run: Run, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"scores{suffix}"
    if suffix in (".pt", ".pth"):
        torch.save({"scores": Trap()}, path)
    elif suffix == ".npy":
        np.save(path, np.array([Trap()], dtype=object), allow_pickle=True)
    elif suffix == ".npz":
        np.savez(path, scores=np.array([Trap()], dtype=object))
    else:
        path.write_bytes(pickle.dumps(Trap()))
    for arguments in (
        ["check", path],
        ["convert", path, "out", "--to", "npy"],
        ["apply", "universal", path, "--out", "e.tsv"],
    ):
        assert_told(run(*arguments), (0, 1, 2))
        assert not Path("trapped").exists()


def test_an_archive_that_unfolds_without_end_is_refused(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("scores.npy", "w", force_zip64=True) as file,
    ):
        header = {"descr": "<f4", "fortran_order": False, "shape": (10, 1 << 14, 1 << 12)}
        np.lib.format.write_array_header_1_0(file, header)  # type: ignore[arg-type]
        for _ in range(600):
            file.write(bytes(1 << 20))
    code, _, err = run("convert", path, "out", "--to", "npy", "--hop", "0.1")
    assert code == 2
    assert "Traceback" not in err
    assert not Path("out").exists()
