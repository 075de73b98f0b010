"""`rl-postproc scores`: audio in, scores out, and the next command makes events of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from panns_cases import empty_weights, of_head, random_weights, sounds, write_sound
from program import Run, assert_one_sentence

from rl_postproc import Events
from rl_postproc.formats import write_events
from rl_postproc.sources import score_folder

pytest.importorskip("soundfile")

DETECTOR = """
import numpy as np
classes = ["Loud", "Quiet"]
def scores(audio, rate):
    if len(audio) < 1000:
        raise ValueError("too short\\nfor me")
    frames = np.abs(audio[: len(audio) // 800 * 800]).reshape(-1, 800).max(1).clip(0, 1)
    return np.stack([frames, 1 - frames], 1), 800 / rate
"""


@pytest.fixture
def audio(tmp_path: Path) -> Path:
    for name, seconds in (("a", 2.5), ("b", 1.3)):
        write_sound(tmp_path / "audio" / f"{name}.wav", sounds(seconds, 16000, seed=1), 16000)
    return tmp_path / "audio"


def test_one_command_scores_with_panns_and_the_next_makes_events(run: Run, audio: Path, tmp_path: Path) -> None:
    pytest.importorskip("torchlibrosa")
    torch.save({"model": of_head(random_weights(), "att")}, tmp_path / "c.pth")
    panns = ["scores", "panns", audio, "--checkpoint", "c.pth", "--out", "data", "--classes", "desed"]
    code, out, err = run(*panns)
    assert code == 0, err
    *_, said, command = out.splitlines()
    assert said == "Wrote scores of 2 recordings and 10 classes to data/scores. Next:"
    assert command == "rl-postproc apply universal data/scores --out events.tsv"
    code, out, err = run(*command.split()[1:])
    assert code == 0 and "events of 2 clips" in out, err
    assert (tmp_path / "events.tsv").read_text().startswith("filename\tonset\toffset\tevent_label\n")
    code, out, _ = run(*panns)
    assert code == 0 and "2 recordings (2 were there)" in out
    assert_one_sentence(run(*panns, "--frames", "interpolated"), "holds scores of other settings .frames: native there")
    header = (tmp_path / "data" / "scores" / "a.tsv").read_text().splitlines()[0].split("\t")
    assert header[:4] == ["onset", "offset", "Alarm_bell_ringing", "Blender"]
    settings = json.loads((tmp_path / "data" / "scores" / ".settings.json").read_text())
    assert settings["model"] == "Cnn14_DecisionLevelAtt" and len(settings["checkpoint"]) == 64


def test_one_command_goes_from_audio_to_labels(run: Run, audio: Path, tmp_path: Path) -> None:
    pytest.importorskip("torchlibrosa")
    torch.save({"model": of_head(random_weights(), "max")}, tmp_path / "c.pth")
    panns = ["scores", "panns", audio, "--checkpoint", "c.pth", "--classes", "desed", "--out", "data"]
    code, out, err = run(*panns, "--events", "labels", "--to", "audacity")
    assert code == 0, err
    assert "events of 2 clips to labels" in out
    two_steps = [
        "apply",
        "universal",
        "data/scores",
        "--durations",
        "data/durations.tsv",
        "--to",
        "audacity",
        "--out",
        "again",
    ]
    assert run(*two_steps)[0] == 0
    labels = {path.name: path.read_text() for path in Path("labels").iterdir()}
    assert sorted(labels) == ["a.txt", "b.txt"]
    assert labels == {path.name: path.read_text() for path in Path("again").iterdir()}
    assert run("convert", "labels", "events.tsv", "--to", "table")[0] == 0 or not any(labels.values())


def test_events_of_a_function_of_ones_own(run: Run, audio: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(DETECTOR)
    mine = ["scores", "python", "mine.py:scores", audio, "--out", "data"]
    stack = "--set", "stack=[{stage: threshold, threshold: 0.2}]"
    assert run(*mine)[0] == 0
    write_events(Events.from_rows([("a", 0.0, 1.0, "Loud")], ["a", "b"], ["Loud", "Quiet"]), "references.tsv")
    given = ["--scores", "data/scores", "--references", "references.tsv", "--out", "tuned"]
    assert run("train", "--agent", "default", *given, *stack)[0] == 0
    code, _, err = run(*mine, "--events", "-", "--to", "rttm", "--with", "tuned")
    assert code == 0, err
    code, out, _ = run(*mine, "--events", "-", "--to", "rttm", "--with", "tuned")
    assert out.startswith("SPEAKER a.wav 1 ") and " Loud " in out
    assert_one_sentence(run(*mine, "--to", "rttm"), "say with --events where they are written")
    assert_one_sentence(run(*mine, "--events", "e", "--with", "nowhere"), "nowhere")
    assert_one_sentence(run(*mine, "--events", "e", "--to", "rtm"), "no format of events 'rtm'; did you mean 'rttm'")


def test_classes_may_be_audioset_names(run: Run, audio: Path, tmp_path: Path) -> None:
    pytest.importorskip("torchlibrosa")
    torch.save({"model": empty_weights("max")}, tmp_path / "c.pth")
    panns = ["scores", "panns", audio / "b.wav", "--checkpoint", "c.pth", "--out", "data", "--threads", 1]
    code, out, err = run(*panns, "--classes", '"Male speech, man speaking",Dog')
    assert code == 0 and "1 recordings and 2 classes" in out, err
    header, *rows = (tmp_path / "data" / "scores" / "b.tsv").read_text().splitlines()
    assert header == "onset\toffset\tMale speech, man speaking\tDog"
    assert rows[0] == "0.0\t0.32\t0.5\t0.5" and rows[-1].startswith("1.28\t1.3\t")  # without weights nothing is sure


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--classes", "Dogg"], "'Dogg', which is no AudioSet class; did you mean 'Dog'"),
        (["--classes", "map.yaml"], r"Cannot read the mapping of classes 'map\.yaml'"),
        (["--frames", "other"], "--frames is native or interpolated, not 'other'"),
        (["--device", "cuda:77"], "The device 'cuda:77' cannot be used here"),
        (["--device", "toaster"], "The device 'toaster' cannot be used here"),
        (["--checkpoint", "missing.pth"], r"Cannot read 'missing\.pth'"),
        (["--checkpoint", "panns-cnn14-decisionlevelmax"], "run `rl-postproc download panns-cnn14-decisionlevelmax`"),
        (
            ["--checkpoint", "panns-cnn14-decisionlevelmx"],
            "did you mean the catalogue's 'panns-cnn14-decisionlevelmax'",
        ),
    ],
)
def test_what_cannot_be_used_is_told_and_nothing_is_written(
    run: Run, audio: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], message: str
) -> None:
    pytest.importorskip("torchlibrosa")
    monkeypatch.setenv("RL_POSTPROC_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("RL_POSTPROC_DATA", raising=False)
    (tmp_path / "c.pth").write_bytes(b"")
    result = run("scores", "panns", audio, "--checkpoint", "c.pth", "--out", "data", *options)
    assert_one_sentence(result, message)
    assert not (tmp_path / "data").exists()


def test_a_function_of_ones_own_gives_scores_for_the_next_command(run: Run, audio: Path, tmp_path: Path) -> None:
    (tmp_path / "my_detector.py").write_text(DETECTOR)
    code, out, err = run("scores", "python", "my_detector.py:scores", audio, "--out", "data")
    assert code == 0, err
    assert out.splitlines()[0] == "Wrote scores of 2 recordings and 2 classes to data/scores. Next:"
    code, out, err = run(*out.splitlines()[1].split()[1:])
    assert code == 0 and (tmp_path / "events.tsv").is_file(), err
    assert (tmp_path / "data" / "durations.tsv").read_text() == "filename\tduration\na.wav\t2.5\nb.wav\t1.3\n"
    assert run("scores", "python", "my_detector:scores", audio, "--out", "other", "--classes", "x,y")[0] == 0
    header = (tmp_path / "other" / "scores" / "a.tsv").read_text().splitlines()[0]
    assert header == "onset\toffset\tx\ty"


def test_a_failure_of_the_function_is_one_sentence_or_a_traceback(run: Run, audio: Path, tmp_path: Path) -> None:
    write_sound(audio / "c.wav", sounds(0.05, 16000), 16000)
    (tmp_path / "my_detector.py").write_text(DETECTOR)
    words = ["scores", "python", "my_detector.py:scores", audio, "--out", "data"]
    assert_one_sentence(run(*words), r"failed on '.*c\.wav' \(ValueError: too short for me\); --traceback shows where")
    assert sorted(path.name for path in (tmp_path / "data" / "scores").glob("*.tsv")) == ["a.tsv", "b.tsv"]
    code, _, err = run(*words, "--traceback")
    assert code == 2 and 'my_detector.py", line 6, in scores' in err and "Error: 'my_detector.py:scores' failed" in err


def test_an_interrupt_keeps_what_is_finished(
    run: Run, audio: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_detector.py").write_text(DETECTOR)
    words = ["scores", "python", "my_detector.py:scores", audio, "--out", "data"]
    module = __import__("sys").modules[score_folder.__module__]
    real, calls = module.write_table, []

    def stop(*arguments: object) -> None:
        calls.append(arguments)
        if len(calls) > 1:
            raise KeyboardInterrupt
        real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(module, "write_table", stop)
        code, _, err = run(*words)
    *_, sentence, again = err.splitlines()
    assert code == 130
    assert sentence == ("Stopped; finished recordings are kept in 'data/scores'. The same command goes on from there:")
    assert again.startswith("rl-postproc scores python my_detector.py:scores ")
    code, out, _ = run(*again.split()[1:])
    assert code == 0 and "2 recordings (1 were there)" in out


def test_damaged_audio_is_told_before_anything_is_loaded(run: Run, audio: Path, tmp_path: Path) -> None:
    (audio / "c.wav").write_text("no audio")
    result = run("scores", "panns", audio, "--checkpoint", "missing.pth", "--out", "data")
    assert_one_sentence(result, r"'.*c\.wav' is not audio that can be read")
    assert not (tmp_path / "data").exists()
