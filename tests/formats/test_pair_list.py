"""Lists of pairs of files: what sed_eval's evaluator finds in them, `evaluate` finds too."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from program import Run, assert_one_sentence

from rl_postproc.formats import read_pair_list
from rl_postproc.utils.errors import UserError

FILES = {
    "high.txt": "1.0\t3.0\talert\n5.0\t6.0\tcough\n",
    "high_detected.txt": "1.1\t3.1\talert\n5.5\t6.0\tcough\n8.0\t9.0\tcough\n",
    "med.txt": "2.0\t3.0\tcough\n",
    "med_detected.txt": "",
    "more/street.csv": "filename;onset;offset;event_label\na.wav;0;1;car\nb.wav;;;\n",
    "more/street_detected.txt": "a.wav\tstreet\t0.05\t1.0\tcar\nb.wav\tstreet\t2.0\t3.0\tdog\n",
}
PAIRS = "high.txt\thigh_detected.txt\nmed.txt\tmed_detected.txt\n"
STREET = "more/street.csv\tmore/street_detected.txt\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "more").mkdir()
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "pairs.txt").write_text(PAIRS)
    return tmp_path


@pytest.mark.parametrize("separator", ["\t", ";", ","])
@pytest.mark.parametrize("header", ["", "reference_file\testimated_file\n"])
def test_pairs_are_the_events_of_their_files(folder: Path, header: str, separator: str) -> None:
    (folder / "pairs.txt").write_text((header + PAIRS).replace("\t", separator))
    expected, found = read_pair_list(folder / "pairs.txt")
    assert expected.clip_ids == found.clip_ids == ("high.txt", "med.txt")
    assert expected.classes == ("alert", "cough")
    assert expected.counts().tolist() == [[1, 1], [0, 1]]
    assert found.counts().tolist() == [[1, 2], [0, 0]]


def test_files_that_name_their_clips_keep_them(folder: Path) -> None:
    (folder / "pairs.txt").write_text(PAIRS + STREET)
    with pytest.warns(UserWarning, match=r"1 class has events in '.*pairs\.txt' and no reference \('dog'\)"):
        expected, _ = read_pair_list(folder / "pairs.txt")
    assert expected.clip_ids == ("high.txt", "med.txt", "a.wav", "b.wav")


def test_evaluate_counts_as_the_evaluator_of_sed_eval(run: Run, folder: Path) -> None:
    sed_eval = pytest.importorskip("sed_eval")
    meter = sed_eval.sound_event.EventBasedMetrics(["alert", "cough"], t_collar=0.2, percentage_of_length=0.2)
    for pair in sed_eval.io.load_file_pair_list(str(folder / "pairs.txt")):
        meter.evaluate(*(_items(folder / pair[side]) for side in ("reference_file", "estimated_file")))
    code, out, err = run("evaluate", "pairs.txt", "--json")
    assert code == 0, err
    micro = meter.results_overall_metrics()["f_measure"]["f_measure"]
    assert json.loads(out)["micro_f1"] == pytest.approx(micro)
    assert "sed_eval" in json.loads(out)["certified_by"]


def _items(file: Path) -> list:
    import sed_eval

    return sed_eval.io.load_event_list(str(file)) if file.stat().st_size else []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "high.txt\tlow.txt\n",
            r"pairs\.txt', row 1: there is no '.*low\.txt'; name files from the folder of the list",
        ),
        ("", r"pairs\.txt' holds no row; give a list of pairs"),
        (PAIRS + "high.txt\n", r"row 3: these are not two files; give --references"),
        (FILES["high.txt"], r"row 1: these are not two files; give --references"),
        (PAIRS + "high.txt\tmed_detected.txt\n", r"row 3: the clip 'high\.txt' is that of row 1 too"),
        ("more/street.csv\thigh.txt\n", r"high\.txt', row 1: the clip 'more/street\.csv' is not in its references"),
        ("med_detected.txt\tmed_detected.txt\n", r"pairs\.txt' holds no event, so no class is known"),
    ],
)
def test_lists_that_cannot_be_used_are_refused(run: Run, folder: Path, text: str, message: str) -> None:
    (folder / "pairs.txt").write_text(text)
    with pytest.raises(UserError, match=message):
        read_pair_list(folder / "pairs.txt")
    assert_one_sentence(run("evaluate", "pairs.txt"), message)


def test_options_of_references_are_refused_without_them(run: Run, folder: Path) -> None:
    assert_one_sentence(run("evaluate", "pairs.txt", "--subset"), "--durations and --subset go with --references")


def test_folders_and_other_formats_are_evaluated(run: Run, folder: Path) -> None:
    for side in ("r", "e"):
        (folder / side).mkdir()
        (folder / side / "a.txt").write_text("1.000000\t3.000000\talert\n\\\t1.0\t2.0\n")
        (folder / f"{side}.rttm").write_text("SPEAKER a 1 1.0 2.0 <NA> <NA> alert <NA> <NA>\n")
    for events, references in (("e", "r"), ("e", "r.rttm"), ("e.rttm", "r")):
        code, out, err = run("evaluate", events, "--references", references, "--json")
        assert code == 0, err
        assert json.loads(out)["macro_f1"] == 1.0


def test_references_of_every_format_are_read_beside_scores(folder: Path) -> None:
    from rl_postproc.data.events import Events
    from rl_postproc.formats import EventFormat, read_scores, write_events

    scores = folder / "scores"
    scores.mkdir()
    (scores / "a.tsv").write_text("onset\toffset\tCat\tDog\n0.0\t0.5\t0.1\t0.2\n0.5\t1.0\t0.3\t0.4\n")
    events = Events.from_rows([("a.wav", 0.5, 1.0, "Dog")], ("a.wav",), ("Cat", "Dog"))
    for name in ("audacity", "audioset_strong", "jams", "raven", "rttm", "sed_eval", "table"):
        assert name in EventFormat.types()
        file = folder / name / "a.txt.gz"
        file.parent.mkdir()
        write_events(events, file, format=name)
        found = read_scores(scores, references=file).require_references()
        assert [row[1:] for row in found.to_rows()] == [(0.5, 1.0, "Dog")]
