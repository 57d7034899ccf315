from __future__ import annotations

import os
from pathlib import Path

from streaming.archive.folder import Folder


def fill(root: Path, *names: str | bytes) -> None:
    for name in names:
        path = os.path.join(os.fsencode(root), os.fsencode(name))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(b"x")


def names(folder: Folder) -> list[str]:
    return [found.name for found in folder]


def test_every_file_below_is_found_in_the_same_order_whatever_its_name(tmp_path: Path) -> None:
    root = tmp_path / "in"
    fill(
        root,
        "b.mp4",
        "a/two words",
        "a/new\nline.mp4",
        "a/b/\U0001f3bb.mkv",
        b"caf\xe9.mp4",
        ".hidden",
        ".git/x",
    )
    folder = Folder(root, tmp_path / "out")
    expected = ["a/b/\U0001f3bb.mkv", "a/new\nline.mp4", "a/two words", "b.mp4", "caf\\xe9.mp4"]
    assert names(folder) == names(folder) == expected
    assert folder.hidden == 2
    assert [found.path.read_bytes() for found in folder] == [b"x"] * 5


def test_links_end_and_lead_to_each_file_once(tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "in", tmp_path / "elsewhere"
    fill(root, "a/x.mp4")
    fill(elsewhere, "y.mp4")
    (root / "a" / "loop").symlink_to("..")
    (root / "above").symlink_to(tmp_path)
    (root / "again.mp4").symlink_to("a/x.mp4")
    (root / "nowhere.mp4").symlink_to("nothing")
    (root / "self").symlink_to("self")
    (root / "there").symlink_to(elsewhere)
    (elsewhere / "back").symlink_to(root)
    folder = Folder(root, tmp_path / "out")
    assert names(folder) == ["a/x.mp4", "above/elsewhere/y.mp4"]
    assert folder.links == 6


def test_what_runs_have_written_is_no_material(tmp_path: Path) -> None:
    fill(tmp_path, "a.mp4", "out/a.mp4/annotated.mp4", "old/archive.jsonl", "old/a.mp4/annotated.mp4")
    fill(tmp_path, "runs/latest/run.json", "runs/latest/results.jsonl", "runs/latest/annotated.mp4")
    assert names(Folder(tmp_path, tmp_path / "out")) == ["a.mp4"]


def test_neither_pipes_nor_a_depth_of_two_thousand_stop_it(tmp_path: Path) -> None:
    fill(tmp_path, "a.mp4")
    os.mkfifo(tmp_path / "b.mp4")
    deep = tmp_path / "d"
    steps = 0
    here = os.open(tmp_path, os.O_RDONLY)
    try:
        for _ in range(2000):
            os.mkdir("d", dir_fd=here)
            here, above = os.open("d", os.O_RDONLY, dir_fd=here), here
            os.close(above)
            steps += 1
        assert names(Folder(tmp_path, tmp_path / "out")) == ["a.mp4"]
    finally:
        # Neither shutil nor pytest can remove what is as deep as this: both go down by recursion.
        for _ in range(steps):
            here, below = os.open("..", os.O_RDONLY, dir_fd=here), here
            os.close(below)
            os.rmdir("d", dir_fd=here)
        os.close(here)
    assert not deep.exists()


def test_what_cannot_be_listed_is_told_and_the_rest_is_found(tmp_path: Path) -> None:
    fill(tmp_path, "a.mp4")
    told: list[tuple[str, str]] = []
    missing = Folder(tmp_path / "none", tmp_path / "out", unlisted=lambda *what: told.append(what))
    assert names(missing) == []
    assert told == [(".", "cannot be listed: No such file or directory")]
