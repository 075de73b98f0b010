"""One table of the scores of all clips: what pandas reads and writes, times of frames, and what is refused with its row."""

from __future__ import annotations

import gzip
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_postproc.data.scores import ScoreSet
from rl_postproc.formats import Format, read_scores, write_scores
from rl_postproc.utils.errors import DataWarning, UserError


@st.composite
def score_sets(draw: st.DrawFn) -> ScoreSet:
    shape = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(1, 5))
    cells = int(np.prod(shape))
    scores = torch.tensor(draw(st.lists(st.floats(0, 1, width=32), min_size=cells, max_size=cells))).reshape(shape)
    rows = draw(st.sampled_from([1, shape[0]]))
    steps = draw(st.lists(st.floats(0.001, 1), min_size=rows * (shape[2] + 1), max_size=rows * (shape[2] + 1)))
    edges = torch.tensor(steps, dtype=torch.float64).reshape(rows, -1).cumsum(1)
    n_frames = torch.tensor(draw(st.lists(st.integers(1, shape[2]), min_size=shape[0], max_size=shape[0])))
    clips = draw(st.permutations(["b.wav", 'a "quoted", name', "x/y"]))[: shape[0]]
    classes = draw(st.permutations(["Bell, alarm", 'the "cat"', "Dog;s"]))[: shape[1]]
    return ScoreSet.build(scores, edges, clips, classes, n_frames)


@settings(max_examples=80, deadline=None)
@given(score_sets(), st.sampled_from(["s.csv", "s.tsv", "s.csv.gz", "s.tsv.gz"]))
def test_written_tables_are_read_back(scores: ScoreSet, name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_scores(scores, Path(folder, name), "score_table")
        found = read_scores(Path(folder, name))
    assert (found.clip_ids, found.classes) == (scores.clip_ids, scores.classes)
    assert torch.equal(found.n_frames, scores.n_frames) and torch.equal(found.durations, scores.durations)
    assert torch.equal(found.scores, scores.scores[:, :, : found.width])
    for clip, n in enumerate(scores.n_frames.tolist()):
        assert torch.equal(*(one.edges[clip if len(one.edges) > 1 else 0, : n + 1] for one in (found, scores)))


def test_pandas_reads_ours_and_we_read_its(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    rng = np.random.default_rng(0)
    values = pandas.DataFrame(rng.uniform(size=(5, 2)), columns=["Bell, alarm", "Cat"])
    values.insert(0, "filename", ["a,1.wav", "b.wav", "a,1.wav", "b.wav", "a,1.wav"])
    values.insert(1, "onset", [0.0, 0.1, 0.5, 0.6, 1.0])
    values.insert(2, "offset", [0.5, 0.6, 1.0, 1.1, 1.5])
    for name, separator in (("s.csv", ","), ("s.tsv", "\t"), ("t.csv", ";"), ("s.csv.gz", ",")):
        values.to_csv(tmp_path / name, sep=separator, index=False)
        found = read_scores(tmp_path / name)
        assert (found.clip_ids, found.n_frames.tolist()) == (("a,1.wav", "b.wav"), [3, 2])
        for i, clip in enumerate(found.clip_ids):
            own = values[values.filename == clip]
            assert found.scores[i, :, : len(own)].T.numpy() == pytest.approx(own.iloc[:, 3:].to_numpy())
            assert found.edges[i, : len(own)].numpy() == pytest.approx(own.onset.to_numpy())
    write_scores(found, tmp_path / "ours.csv", "score_table")
    again = pandas.read_csv(tmp_path / "ours.csv")
    expected = values.sort_values("filename", kind="stable").reset_index(drop=True)
    assert list(again.columns) == list(values.columns)
    assert again.iloc[:, 1:].to_numpy() == pytest.approx(expected.iloc[:, 1:].to_numpy())


def test_centres_become_edges(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("filename,time,Cat\na,0.1,0.5\na,0.3,0.6\nb,0.1,0.7\nb,0.3,0.8\nb,0.5,0.8\n")
    with pytest.warns(DataWarning, match=r"s\.csv' tells the centres of frames, .* from 0 s to 0\.2 s"):
        found = read_scores(tmp_path / "s.csv")
    assert found.edges.tolist() == [[0.0, 0.2, 0.4, 0.6]] and found.n_frames.tolist() == [2, 3]


def test_classes_are_kept_as_asked_for(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("filename,onset,offset,Cat,Dog\na,0,1,0.25,0.5\n")
    assert read_scores(tmp_path / "s.csv", classes=["Dog"]).scores.tolist() == [[[0.5]]]
    with pytest.raises(UserError, match=r"class 'Dg' is not among .* did you mean 'Dog'"):
        read_scores(tmp_path / "s.csv", classes=["Dg"])


@pytest.mark.parametrize(
    "text",
    [
        "filename\tonset\toffset\tevent_label\na\t0\t1\tCat\n",
        "filename\tonset\toffset\tevent_label\n",
        "segment_id\tstart_time_seconds\tend_time_seconds\tlabel\na\t0\t1\t/m/0\n",
        "filename\tduration\na\t10\n",
        "filename\tonset\toffset\na\t0\t1\n",
        "filename\tevent_labels\na\tCat\n",
        "",
        "\x00\x01",
        '"' + "x" * 200_000,
    ],
)
def test_other_tables_are_none_of_scores(tmp_path: Path, text: str) -> None:
    (tmp_path / "s.tsv").write_text(text)
    assert not Format.types()["score_table"].recognises(tmp_path / "s.tsv")


HEAD = "filename,onset,offset,Cat,Dog\n"
BAD = {
    "class twice": ("filename,onset,offset,Cat,Cat\na,0,1,0,0\n", "row 1: the class 'Cat' stands in two columns"),
    "no row": (HEAD, "row 2: there is no frame"),
    "short row": (HEAD + "a,0,1,0,0\na,1,2,0\n", "row 3: 4 columns where the header has 5"),
    "clip alone": (HEAD + "a,0,1,0,0\na\n", "row 3: 2 columns where the header has 5"),
    "no clip": (HEAD + ",0,1,0,0\n", "row 2: the file name is empty"),
    "text": (HEAD + "a,0,1,0,0\n\na,1,2,high,0\n", "row 4: 'high' in the column 'Cat' is no number"),
    "decimal comma": (HEAD.replace(",", ";") + "a;0;0,5;0,1;0\n", "row 2: '0,5' in the column 'offset' has a decimal comma"),
    "gap": (HEAD + "a,0,1,0,0\na,1.5,2,0,0\n", "row 3: the frame at 1.5 s does not follow the one of its clip before"),
    "order": (HEAD + "a,1,2,0,0\nb,0,1,0,0\na,0,1,0,0\n", "row 4: the frame at 0 s does not follow"),
    "no time": (HEAD + "a,1,1,0,0\n", "row 2: the time 1 to 1 s of the frame"),
    "infinite": (HEAD + "a,1,inf,0,0\n", "row 2: the time 1 to inf s"),
    "negative": (HEAD + "a,-1,1,0,0\n", "row 2: the time -1 to 1 s"),
    "logits": (HEAD + "a,0,1,0.1,7\n", "row 2: the score 7.0 of the class 'Dog' is not a probability"),
    "not a number": (HEAD + "b,0,1,0,0\na,0,1,nan,0\n", "row 3: the score nan of the class 'Cat'"),
    "one centre": ("filename,time,Cat\na,0,0.5\n", "a clip of one frame whose centre is 0 s"),
    "long field": (HEAD + 'a,"' + "0" * 200_000 + '",1,0,0\n', "row 2: the file name is empty"),
    "header": ("file name,onset,offset,Cat\na,0,1,0\n", "row 1: the header must be filename"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_rows_are_refused_with_their_place(tmp_path: Path, case: str) -> None:
    text, message = BAD[case]
    (tmp_path / "s.csv").write_text(text)
    with pytest.raises(UserError) as error:
        read_scores(tmp_path / "s.csv", format="score_table")
    assert f"s.csv'{'' if case == 'one centre' else ','}" in str(error.value) and message in str(error.value)


def test_hop_and_other_names_are_refused(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text(HEAD + "a,0,1,0,0\n")
    with pytest.raises(UserError, match="leave out the hop"):
        read_scores(tmp_path / "s.csv", hop=1.0)
    with pytest.raises(UserError, match=r"end it with \.csv or \.tsv"):
        write_scores(read_scores(tmp_path / "s.csv"), tmp_path / "s.xls", "score_table")


GOOD = (HEAD + 'a,0,1,0.5,0.25\na,1,2,0.5,0.25\n"b,c",0,1,0.5,1\n').encode()


@settings(max_examples=80, deadline=None)
@given(st.data())
@pytest.mark.filterwarnings("ignore")
def test_damaged_tables_are_read_or_refused_with_one_sentence(data: st.DataObject) -> None:
    content = bytearray(GOOD)
    places = st.integers(0, len(content) - 1)
    for _ in range(data.draw(st.integers(0, 5))):
        content[data.draw(places)] = data.draw(st.integers(0, 255))
    del content[data.draw(st.integers(0, len(content))) :]
    packed = data.draw(st.booleans())
    raw = gzip.compress(bytes(content), mtime=0) if packed else bytes(content)
    raw = raw[: data.draw(st.integers(0, len(raw)))]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "s.csv.gz" if packed else "s.csv")
        path.write_bytes(raw)
        Format.types()["score_table"].recognises(path)
        try:
            read_scores(path, format="score_table")
        except UserError as error:
            assert "\n" not in str(error) and str(error).endswith(".")
