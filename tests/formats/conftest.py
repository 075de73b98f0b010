"""What the tests of formats share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rl_postproc.formats import read_scores
from rl_postproc.formats.scores.shards import write_shards

TABLE = "onset\toffset\tCat\tDog\n0.0\t0.5\t0.1\t0.2\n0.5\t1.0\t0.3\t0.4\n"
NAMES = ("arrays", "npy", "operating_points", "score_table", "sed_scores", "shards", "tags")
POINT = "filename\tonset\toffset\tevent_label\na.wav\t0.5\t1.0\tCat\n"


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    """One small folder of each format."""
    folders = {name: tmp_path / name for name in NAMES}
    for folder in folders.values():
        folder.mkdir()
    (folders["operating_points"] / "th_0.25.tsv").write_text(POINT)
    (folders["operating_points"] / "th_0.5.tsv").write_text("")
    (folders["sed_scores"] / "a.tsv").write_text(TABLE)
    np.save(folders["npy"] / "a.npy", np.array([[0.1, 0.2], [0.3, 0.4]], dtype=np.float32))
    (folders["npy"] / "classes.txt").write_text("Cat\nDog\n")
    write_shards(read_scores(folders["npy"], hop=0.5), folders["shards"])
    np.save(folders["tags"] / "scores.npy", np.array([[0.1, 0.2]], dtype=np.float32))
    folders["tags"] /= "scores.npy"  # one file is the whole set
    folders["score_table"] /= "scores.csv"
    folders["score_table"].write_text(
        TABLE.replace("onset", "filename\tonset").replace("\n0", "\na\t0").replace("\t", ",")
    )
    folders["arrays"] /= "frames.npz"
    frames = np.array([[[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]]], dtype=np.float32)
    np.savez(folders["arrays"], scores=frames, clip_ids=["a"], classes=["Cat", "Dog"], hop=0.5)
    (tmp_path / "durations.tsv").write_text("a.wav\t1\n")
    return folders
