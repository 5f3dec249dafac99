"""The command line, end to end, in a process of its own: results, messages, exit statuses."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import headstart
from headstart import cli

EXAMPLES = Path(__file__).parent.parent / "examples"
OURS = ("--source", "bundled/efficientnet-lite0")
"""Other sources on this machine take no part."""
COLOURS = {"red": (220, 30, 30), "green apple": (40, 200, 40), "🫐": (40, 40, 210)}


def run(*arguments: object, cwd: Path | None = None, env: dict[str, str] | None = None):
    command = [sys.executable, "-m", "headstart.cli", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=cwd, env={**os.environ, **(env or {})}
    )


@pytest.fixture
def here(monkeypatch, capsys):
    """A function that does as `run` does, in this process: for what ends soon."""

    def run_here(*arguments: object):
        monkeypatch.setattr(sys, "argv", ["headstart", *map(str, arguments)])
        monkeypatch.setattr(cli, "_STARTED", time.monotonic())
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, ended.value.code or 0, said.out, said.err)

    return run_here


def paint(folder: Path, rows: int = 12, seed: int = 0) -> Path:
    """Write noisy squares of three colours into class folders."""
    random = np.random.default_rng(seed)
    for name, colour in COLOURS.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i in range(rows):
            noise = random.integers(-30, 30, (24, 24, 3))
            pixels = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{seed}-{i}.png")
    return folder


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A finished run on painted squares, two broken files among them. Do not change it."""
    place = tmp_path_factory.mktemp("fitted")
    data = paint(place / "data")
    (data / "red" / "broken.png").write_bytes(b"not a picture")
    (data / "red" / "empty.png").write_bytes(b"")
    options = ("--budget", "90s", "--max-trials", "3", "--out", place / "run", "--json")
    options += ("--evaluation", "holdout")
    return place, run("fit", data, *OURS, *options)


def test_fit_reports_the_result_as_the_design_says(fitted):
    place, done = fitted
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result == json.loads((place / "run" / "result.json").read_text())
    assert result["schema"] == 1 and result["status"] == "complete"
    assert result["task"] == "image-classification"
    assert result["data"]["rows"] == 36
    assert result["data"]["quarantined"] == 2
    parts = [result["data"][part] for part in ("train", "validation", "test")]
    assert sum(parts) == 36 and min(parts) > 0
    assert set(result["data"]["classes"]) == set(COLOURS)
    assert result["verdict"]["transfer"] in ("helps", "no evidence", "hurts")
    assert result["winner"]["source"] == "bundled/efficientnet-lite0"
    assert result["winner"]["test"]["value"] >= 0.8
    assert result["finalists"]["scratch"]["recipe"] == "small-cnn"
    assert result["baselines"]["majority"]["test"]["value"] < 0.7
    assert result["trials"] == 3


def test_fit_names_what_was_set_aside_and_inferred(fitted):
    _, done = fitted
    assert "red/broken.png: not a picture" in done.stderr
    assert "red/empty.png: an empty file" in done.stderr
    assert "classes are the sub-folders" in done.stderr


def test_model_predicts_elsewhere_without_data_or_run(fitted, tmp_path):
    place, _ = fitted
    shutil.copytree(place / "run" / "model", tmp_path / "copied")
    new = paint(tmp_path / "new", rows=2, seed=7)
    done = run("predict", tmp_path / "copied", new / "🫐", new / "red" / "7-0.png", "--json")
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["prediction"] for answer in answers] == ["🫐", "🫐", "red"]
    assert all(abs(sum(a["probabilities"].values()) - 1) < 1e-3 for a in answers)


def test_predict_names_bad_inputs_and_goes_on(fitted, tmp_path, here):
    place, _ = fitted
    (tmp_path / "bad.png").write_bytes(b"nothing")
    good = paint(tmp_path / "new", rows=1)
    done = here(
        "predict", place / "run", tmp_path / "bad.png", tmp_path / "gone.png", good, "--csv"
    )
    assert done.returncode == 0
    assert "bad.png: not a picture" in done.stderr
    assert "gone.png: no such file" in done.stderr
    rows = list(csv.DictReader(done.stdout.splitlines()))
    assert [Path(row["input"]).name for row in rows[:2]] == ["bad.png", "gone.png"]
    assert all(row["prediction"] == "" and row["problem"] for row in rows[:2])
    assert {row["prediction"] for row in rows[2:]} == set(COLOURS)
    assert "cannot be said: the model was made with fewer than 99" in done.stderr


def test_where_no_input_can_be_used_predict_ends_with_status_1_and_names_them(
    fitted, tmp_path, here
):
    place, _ = fitted
    (tmp_path / "bad.png").write_bytes(b"nothing")
    done = here("predict", place / "run", tmp_path / "bad.png", tmp_path / "gone.png")
    assert done.returncode == 1 and done.stdout == ""
    assert "no input can be used" in done.stderr and "Traceback" not in done.stderr
    for name in ("bad.png: not a picture", "gone.png: no such file"):
        assert done.stderr.count(name) == 2, "when it comes, and in the message at the end"


def test_inputs_of_another_kind_end_with_status_1(fitted, tmp_path, here):
    place, _ = fitted
    (tmp_path / "a.txt").write_text("a text")
    done = here("predict", place / "run", tmp_path / "a.txt")
    assert done.returncode == 1
    assert "This model is for image inputs, but these are text." in done.stderr


@pytest.fixture(scope="module")
def wardrobe(tmp_path_factory):
    """A model of 600 pictures of clothes, and the folder of 300 others."""
    place = tmp_path_factory.mktemp("wardrobe")
    pictures = sorted((EXAMPLES / "fashion").glob("*/*.png"))
    order = np.random.default_rng(0).permutation(len(pictures)).tolist()
    for part, rows in (("data", order[:600]), ("others", order[600:900])):
        for i in rows:
            folder = place / part / pictures[i].parent.name
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(pictures[i], folder)
    options = ("--budget", "20m", "--max-trials", "1", "--no-refit", "--out", place / "run")
    done = run("fit", place / "data", *OURS, *options)
    assert done.returncode == 0, done.stderr
    return place


def flags(wardrobe, inputs):
    done = run("predict", wardrobe / "run", inputs, "--json")
    found = [json.loads(line)["unlike"] for line in done.stdout.splitlines()]
    said = f"{sum(found):,} of {len(found):,} rows are unlike the training data"
    assert said in done.stderr and set(found) <= {True, False}
    return sum(found) / len(found)


def test_pictures_unlike_the_training_data_are_flagged_and_others_hardly_ever(wardrobe, tmp_path):
    random = np.random.default_rng(0)
    for i in range(20):
        noise = random.integers(0, 256, (28, 28)).astype(np.uint8)
        shapes = np.kron(random.integers(0, 2, (4, 4, 3)), np.ones((7, 7, 1))) * 255
        Image.fromarray(noise).save(tmp_path / f"noise-{i}.png")
        Image.fromarray(shapes.astype(np.uint8)).save(tmp_path / f"shapes-{i}.png")
    assert flags(wardrobe, tmp_path) >= 0.9
    assert flags(wardrobe, wardrobe / "others") <= 0.03


def test_evaluate_scores_labelled_rows(fitted, tmp_path, here):
    place, _ = fitted
    done = here("evaluate", place / "run", paint(tmp_path / "new", seed=3), "--json")
    scores = json.loads(done.stdout)
    assert scores["schema"] == 1 and scores["rows"] == 36 and scores["metric"] == "accuracy"
    assert set(scores["scores"]) >= {"accuracy", "macro_f1", "auroc", "log_loss"}
    assert scores["scores"]["accuracy"]["value"] >= 0.9


def test_card_says_what_the_model_is(fitted):
    place, _ = fitted
    card = (place / "run" / "model" / "README.md").read_text()
    assert "bundled/efficientnet-lite0" in card and "Apache-2.0" in card and "95%" in card


def test_report_prints_the_summary_again(fitted, here):
    place, _ = fitted
    done = here("report", place / "run")
    assert done.returncode == 0
    assert "Did the head start help?" in done.stdout
    page = (place / "run" / "report.html").read_text()
    assert "red/broken.png" in page and "small-cnn" in page and "<svg" in page
    assert "http" not in page, "the page must be self-contained"


def test_a_folder_of_another_run_is_refused(fitted, here):
    place, _ = fitted
    done = here("fit", place / "data", "--out", place / "run")
    assert done.returncode == 1
    assert "another run" in done.stderr and "--resume" in done.stderr


def test_resuming_a_complete_run_prints_its_result(fitted, here):
    place, done = fitted
    options = (*OURS, "--evaluation", "holdout", "--out", place / "run", "--resume", "--json")
    again = here("fit", place / "data", *options)
    assert again.returncode == 0
    assert json.loads(again.stdout) == json.loads(done.stdout)


def bomb(path: Path) -> None:
    """Write a PNG whose header claims 60,000 x 60,000 pixels."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        whole = kind + content
        return struct.pack(">I", len(content)) + whole + struct.pack(">I", zlib.crc32(whole))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + data)


def table(path: Path, rows: list[list[str]], encoding: str = "utf-8") -> Path:
    with path.open("w", newline="", encoding=encoding) as out:
        csv.writer(out).writerows(rows)
    return path


def no_such_path(place: Path) -> Path:
    return place / "nowhere"


def empty_folder(place: Path) -> Path:
    (place / "empty").mkdir()
    return place / "empty"


def no_readable_picture(place: Path) -> Path:
    for name in ("a", "b"):
        (place / "bad" / name).mkdir(parents=True)
        (place / "bad" / name / "1.png").write_bytes(b"x")
        bomb(place / "bad" / name / "2.png")
    return place / "bad"


def one_class(place: Path) -> Path:
    data = paint(place / "one")
    for name in list(COLOURS)[1:]:
        shutil.rmtree(data / name)
    return data


def one_row(place: Path) -> Path:
    return table(place / "one.csv", [["text", "label"], ["hello", "yes"]])


def no_label_column(place: Path) -> Path:
    rows = [[f"some text number {i}", f"another {i}"] for i in range(30)]
    return table(place / "no.csv", [["left", "right"], *rows])


def ambiguous_label(place: Path) -> Path:
    rows = [[f"some text number {i}", str(i % 2), str(i % 3)] for i in range(30)]
    return table(place / "two.csv", [["text", "colour", "shape"], *rows])


def rare_classes(place: Path) -> Path:
    rows = [[f"some text number {i}", f"label {i // 2}"] for i in range(30)]
    return table(place / "rare.csv", [["text", "label"], *rows])


def empty_texts(place: Path) -> Path:
    return table(place / "empty.csv", [["text", "label"], *[["", str(i % 2)] for i in range(30)]])


def escaping_paths(place: Path) -> Path:
    rows = [[f"../../secret/{i}.png", str(i % 2)] for i in range(30)]
    return table(place / "escape.csv", [["image", "label"], *rows])


def unknown_file_kind(place: Path) -> Path:
    (place / "data.xyz").write_text("?")
    return place / "data.xyz"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (no_such_path, "no such file or folder"),
        (empty_folder, "the folder is empty"),
        (no_readable_picture, "no readable picture"),
        (one_class, "only one class"),
        (one_row, "only 1 usable row"),
        (no_label_column, "--label COL"),
        (ambiguous_label, "'colour' or 'shape'"),
        (rare_classes, "distinct rows"),
        (empty_texts, "an empty text"),
        (escaping_paths, "leads out of"),
        (unknown_file_kind, "cannot read this kind of file"),
    ],
)
def test_unusable_data_end_with_status_1_and_say_why(tmp_path, make, said, here):
    done = here("fit", make(tmp_path), "--out", tmp_path / "run", "--budget", "60s")
    assert done.returncode == 1, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("budget", "status", "said"),
    [
        ("0", 2, "leaves no time"),
        ("-5", 2, "Usage|no time"),
        ("soon", 2, "is no time"),
        ("0.05", 3, "before any model was usable"),
    ],
)
def test_budgets_without_meaning_or_without_hope(tmp_path, budget, status, said, here):
    data = paint(tmp_path / "data", rows=4)
    done = here("fit", data, "--budget", budget, "--out", tmp_path / "run")
    assert done.returncode == status, done.stderr
    assert any(word in done.stderr for word in said.split("|"))
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (("--source", "bundled/eficientnet"), 1, "bundled/efficientnet-lite0"),
        (("--source", "bundled/minilm"), 1, "is for text inputs"),
        (("--metric", "beauty"), 2, "accuracy"),
        (("--task", "clairvoyance"), 2, "image-classification"),
        (("--max-trials", "0"), 2, "--max-trials"),
        (("--label", "colour"), 1, "is no column"),
        (("--unheard-of",), 2, "No such option"),
    ],
)
def test_options_without_meaning(tmp_path, options, status, said, here):
    data = paint(tmp_path / "data", rows=4)
    done = here("fit", data, "--out", tmp_path / "run", *options)
    assert done.returncode == status, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_an_output_that_is_a_file_or_not_empty_is_refused(tmp_path, here):
    data = paint(tmp_path / "data", rows=4)
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    assert here("fit", data, "--out", tmp_path / "file").returncode == 2
    done = here("fit", data, "--out", tmp_path / "full")
    assert done.returncode == 1 and "not empty" in done.stderr
    assert (tmp_path / "full" / "mine.txt").read_text() == "mine"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder nobody can write")
def test_a_read_only_output_is_said_before_work_begins(tmp_path, here):
    data = paint(tmp_path / "data", rows=4)
    done = here("fit", data, "--out", "/proc/headstart-run")
    assert done.returncode == 1, done.stderr
    assert "cannot be written" in done.stderr


def test_a_source_that_cannot_be_fetched_says_how_to_bring_it(tmp_path):
    data = paint(tmp_path / "data", rows=4)
    nowhere = {
        "HEADSTART_CACHE": str(tmp_path / "cache"),
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "PIP_EXTRA_INDEX_URL": "",
        "PIP_FIND_LINKS": "",
        "PIP_RETRIES": "0",
        "PIP_CONFIG_FILE": os.devnull,
        "HF_ENDPOINT": "http://127.0.0.1:9",
    }
    done = run("fit", data, "--out", tmp_path / "run", "--budget", "60s", env=nowhere)
    assert done.returncode == 1, done.stderr
    assert "headstart sources fetch bundled/efficientnet-lite0" in done.stderr
    assert "Traceback" not in done.stderr


def test_texts_with_missing_labels_broken_rows_and_a_megabyte(tmp_path, here):
    rows = [[f"the team won match {i} by a goal", "sport"] for i in range(20)]
    rows += [[f"shares of firm {i} fell on the market", "money"] for i in range(20)]
    rows += [["no label here", ""], ["word " * 200_000, "sport"]]
    path = table(tmp_path / "news.csv", [["text", "label"], *rows], encoding="cp1252")
    with path.open("a", encoding="cp1252") as out:
        out.write("one field only\nüber, too, many\n")
    options = ("--budget", "90s", "--max-trials", "3", "--out", tmp_path / "run", "--json")
    options += ("--source", "bundled/minilm", "--evaluation", "holdout")
    done = run("fit", path, *options)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["task"] == "text-classification"
    assert result["data"]["rows"] == 41 and result["data"]["quarantined"] == 3
    assert "line 42: no label" in done.stderr
    assert "Windows-1252" in done.stderr
    new = table(tmp_path / "new.csv", [["text"], ["a late goal won the match"], [""]])
    answered = here("predict", tmp_path / "run", new, "--json", "--input", "text")
    assert json.loads(answered.stdout.splitlines()[0])["prediction"] == "sport"
    assert "line 3: an empty text" in answered.stderr
    rows = [["text", "prediction"], ["a late goal won the match", "mine"], ["", "too"]]
    other = table(tmp_path / "other.csv", rows)
    printed = here("predict", tmp_path / "run", other, "--csv", "--input", "text").stdout
    header, good, bad = csv.reader(printed.splitlines())
    assert header[:3] == ["text", "prediction", "prediction.1"]
    assert header[3:] == ["p(money)", "p(sport)", "unlike", "problem"]
    assert good[:3] == ["a late goal won the match", "mine", "sport"] and good[-1] == ""
    assert bad == ["", "too", "", "", "", "", "other.csv, line 3: an empty text"]


def test_interrupt_after_the_first_trial_leaves_a_usable_model(tmp_path, here):
    out, few = tmp_path / "run", tmp_path / "few"
    for kind in ("bag", "dress", "sandal"):
        (few / kind).mkdir(parents=True)
        for picture in sorted((EXAMPLES / "fashion" / kind).glob("*.png"))[:25]:
            shutil.copy(picture, few / kind)
    judged = (*OURS, "--evaluation", "holdout")
    command = [sys.executable, "-m", "headstart.cli", "fit", str(few), *judged]
    process = subprocess.Popen(
        [*command, "--budget", "120s", "--out", str(out)], stderr=subprocess.PIPE, text=True
    )
    for line in process.stderr:
        if "on the validation rows" in line:
            break
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode == 130, said
    assert "Traceback" not in said
    result = json.loads((out / "result.json").read_text())
    assert result["status"] == "interrupted" and result["verdict"]["gain"] is None
    assert here("predict", out, picture).returncode == 0
    options = ("--budget", "120s", "--out", out, "--resume", "--max-trials", "3", "--json")
    resumed = here("fit", few, *options, *judged)
    assert resumed.returncode == 0, resumed.stderr
    assert "of earlier sessions kept" in resumed.stderr
    assert json.loads(resumed.stdout)["status"] == "complete"
    assert json.loads(resumed.stdout)["trials"] == 3


def test_sources_are_listed_and_shown(here):
    listed = here("sources", "list")
    assert "bundled/efficientnet-lite0" in listed.stdout and "bundled/minilm" in listed.stdout
    some = here("sources", "list", "--licence", "apache-2.0", "--modality", "text")
    assert [line.split()[0] for line in some.stdout.splitlines()] == [
        *("source", "bundled/minilm", "bundled/smollm2")
    ]
    none = here("sources", "list", "--licence", "gpl")
    assert none.returncode == 2 and "Known: Apache-2.0, MIT" in none.stderr
    shown = here("sources", "show", "bundled/minilm", "--json")
    assert json.loads(shown.stdout)["licence"] == "Apache-2.0"
    unknown = here("sources", "show", "bundled/minilmm")
    assert unknown.returncode == 1 and "Did you mean bundled/minilm" in unknown.stderr


def test_the_version_is_said(here):
    done = here("--version")
    assert done.returncode == 0
    assert done.stdout == f"headstart {headstart.__version__}\n"


def test_help_imports_nothing_heavy():
    code = (
        "import sys, headstart.cli, typer.testing as t;"
        "rs = [t.CliRunner().invoke(headstart.cli.app, [o]) for o in ('--help', '--version')];"
        "heavy = {'torch', 'numpy', 'timm', 'transformers', 'openvino', 'sklearn'};"
        "print(*(r.exit_code for r in rs), sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "0 0 []", done.stderr


def test_the_cache_is_shown_and_cleared_and_fetched_sources_stay(tmp_path, here, monkeypatch):
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path))
    monkeypatch.setenv("HEADSTART_CACHE_LIMIT", "5GB")
    files = ("activations/key/a.safetensors", "engines/a/model.bin", "numerics/a", "similarity/a")
    for kept in (*files, "sources/a"):
        (tmp_path / kept).parent.mkdir(parents=True)
        (tmp_path / kept).write_bytes(b"0" * 1_500_000)
    activations, engines = here("cache", "show").stdout.splitlines()
    assert activations == f"{tmp_path / 'activations'}\t1.5 MB of at most 5,000 MB"
    assert engines.startswith(f"{tmp_path / 'engines'}\t1.5 MB of at most ")
    assert here("cache", "clear").returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["sources"]
    assert "\t0.0 MB of at most 5,000 MB" in here("cache", "show").stdout
    monkeypatch.setenv("HEADSTART_CACHE_LIMIT", "much")
    refused = here("cache", "show")
    assert refused.returncode == 2 and "write it as 500MB or 5GB" in refused.stderr


def test_distil_says_what_it_needs(fitted, here, tmp_path):
    place, _ = fitted
    done = here("distil", place / "run", place / "data", "--out", tmp_path / "small")
    assert done.returncode == 1
    assert "36 rows are too few to teach by" in done.stderr
    assert "set aside" not in done.stdout and not (tmp_path / "small").exists()
