"""A detector that is a function of the user's own: called as promised, and told what it did wrong."""

from __future__ import annotations

import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from panns_cases import sounds, write_sound

from rl_postproc import UserError
from rl_postproc.sources import Recording, find_recordings, score_set
from rl_postproc.sources.python import PythonDetector
from rl_postproc.utils.errors import DataWarning

pytest.importorskip("soundfile")
pytest.importorskip("soxr")


@pytest.fixture
def recordings(tmp_path: Path) -> list[Recording]:
    """One recording of a second at 16 kHz."""
    return find_recordings([write_sound(tmp_path / "audio" / "a.wav", sounds(1.0, 16000), 16000)])


def module(folder: Path, body: str, name: str = "detector.py") -> str:
    """Writes a module with a function ``scores``, and returns its name."""
    (folder / name).write_text("import numpy as np\nclasses = ['Dog', 'Cat']\n" + textwrap.dedent(body))
    return f"{folder / name}:scores"


@pytest.mark.parametrize("rate", [None, 8000])
def test_the_function_gets_samples_and_rate(tmp_path: Path, recordings: list[Recording], rate: int | None) -> None:
    (tmp_path / "beside.py").write_text("HOP = 0.25\n")
    name = module(tmp_path, """
        import beside
        def scores(audio, rate):
            assert audio.dtype == np.float32 and audio.ndim == 1
            return [[rate / 1e5, float(np.abs(audio).max())]] * 4, beside.HOP
    """)  # fmt: skip
    found = score_set(PythonDetector(name, rate=rate), [recordings[0].path])
    assert found.classes == ("Dog", "Cat") and found.hop == 0.25 and found.durations.tolist() == [1.0]
    assert found.scores[0, 0].tolist() == pytest.approx([(rate or 16000) / 1e5] * 4)
    assert 0.05 < float(found.scores[0, 1, 0]) <= 1


def test_classes_and_numbers_may_come_in_other_forms(tmp_path: Path, recordings: list[Recording]) -> None:
    name = module(tmp_path, """
        import torch
        def scores(audio, rate):
            return torch.full((10, 3), 0.5, requires_grad=True) * torch.arange(3) * 1.00002, torch.tensor(0.1)
        scores.classes = ("x", "y", "z")
    """)  # fmt: skip
    for detector, classes in ((PythonDetector(name), "xyz"), (PythonDetector(name, ["u", "v", "w"]), "uvw")):
        ((_, scores),) = detector.run(recordings, lambda seconds: None)
        assert detector.classes == tuple(classes) and scores.hop == pytest.approx(0.1)
        np.testing.assert_allclose(scores.frames, np.tile([0, 0.50001, 1], (10, 1)), rtol=1e-6)  # rounding is clipped


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ("np.zeros((4, 2))", "returned ndarray where scores and hop belong; end it with: return scores, hop"),
        ("None", "returned NoneType where scores and hop belong"),
        ("(np.zeros((4, 2)), 0)", "returned the hop 0, which is no positive number of seconds"),
        ("(np.zeros((4, 2)), np.nan)", "returned the hop nan"),
        ("(np.zeros((4, 2)), 'x')", "returned str where numbers belong"),
        ("(np.zeros((2, 4)), 0.1)", r"scores of shape \[2, 4\] where \[frame, 2\] belongs, .*; transpose them"),
        ("(np.zeros(4), 0.1)", r"scores of shape \[4\]"),
        ("(np.zeros((0, 2)), 0.1)", r"scores of shape \[0, 2\]"),
        ("([[0, 1], [2]], 0.1)", "returned list where numbers belong"),
        (
            "(np.array([[0, 0.5], [0, -3]]), 0.1)",
            "the score -3 of the class 'Cat' in frame 1, which is not a probability",
        ),
        ("(np.array([[0, np.nan]]), 0.1)", "the score nan of the class 'Cat' in frame 0"),
        ("1 / 0", r"failed on '.*a\.wav' \(ZeroDivisionError: division by zero\); --traceback shows where"),
    ],
)
def test_a_wrong_result_is_told_with_the_file(
    tmp_path: Path, recordings: list[Recording], result: str, message: str
) -> None:
    detector = PythonDetector(module(tmp_path, f"def scores(audio, rate):\n    return {result}\n"))
    with pytest.raises(UserError, match=message) as error:
        list(detector.run(recordings, lambda seconds: None))
    assert "a.wav" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("detector.py", "'.*' names no function; give module:function"),
        ("missing.py:scores", "There is no Python file '.*'; give its path"),
        ("no_such_module:scores", r"The module 'no_such_module' cannot be imported \(ModuleNotFoundError"),
        ("detector.py:score", "The module '.*' has no function 'score'; did you mean 'scores'"),
        ("detector.py:classes", "has no function 'classes'"),
        ("broken.py:scores", r"The module '.*' cannot be imported \(SyntaxError.*--traceback shows where"),
        ("nameless.py:scores", "The classes of '.*' are not known; name them with --classes"),
    ],
)
def test_a_wrong_function_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, message: str) -> None:
    monkeypatch.chdir(tmp_path)
    module(tmp_path, "def scores(audio, rate): ...\n")
    (tmp_path / "broken.py").write_text("def scores(:\n")
    (tmp_path / "nameless.py").write_text("def scores(audio, rate): ...\n")
    with pytest.raises(UserError, match=message):
        PythonDetector(name)


@pytest.mark.parametrize("n_frames", [5, 50])
def test_frames_far_from_the_length_of_the_recording_are_told(tmp_path: Path, n_frames: int) -> None:
    paths = [write_sound(tmp_path / "audio" / f"{name}.wav", sounds(3.0, 8000), 8000) for name in "ab"]
    detector = PythonDetector(module(tmp_path, f"def scores(audio, rate): return np.zeros(({n_frames}, 2)), 0.1\n"))
    with pytest.warns(DataWarning, match=r"2 of 2 recordings got frames that end over a second before or after"):
        found = score_set(detector, paths)
    assert found.width == min(n_frames, 30) and torch.equal(found.durations, torch.full((2,), 3.0).double())


def test_the_settings_tell_another_version_of_the_file(tmp_path: Path) -> None:
    first = PythonDetector(module(tmp_path, "def scores(audio, rate): return 1\n", "one.py"))
    second = PythonDetector(module(tmp_path, "def scores(audio, rate): return 2\n", "two.py"))
    assert first.settings["file"] != second.settings["file"] and first.settings["classes"] == ["Dog", "Cat"]
