"""Saving: a folder of data that is replaced in one step, or not at all."""

from __future__ import annotations

import contextlib
import json
import os
import stat
from dataclasses import replace

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from headstart.artifact import saving
from headstart.artifact.loading import load
from headstart.artifact.saving import DESCRIPTION, NOVELTY, SCHEMA, WEIGHTS, beside, save
from headstart.digest import digest_file
from headstart.errors import ArtifactError
from headstart.models.fused import Fused


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_folder_holds_tensors_json_and_texts(saved, words):
    assert files(saved) == ["README.md", DESCRIPTION, WEIGHTS, "terms.json"]
    described = json.loads((saved / DESCRIPTION).read_text())
    assert described["schema"] == SCHEMA
    assert described["task"] == words.task and described["metric"] == "accuracy"
    assert described["target"] == dict(words.spec)
    assert described["facts"] == {"seed": 0}
    assert described["sha256"] == {
        name: digest_file(saved / name) for name in (WEIGHTS, "terms.json")
    }
    assert (saved / "README.md").read_text() == "# Words\n"
    assert set(load_file(saved / WEIGHTS)) == {"idf", "weight", "bias"}
    assert described["novelty"] is None


def test_what_flags_unlike_rows_is_a_file_of_tensors_beside_the_weights(wary, tmp_path):
    save(wary, tmp_path / "model")
    described = json.loads((tmp_path / "model" / DESCRIPTION).read_text())
    assert described["novelty"] == NOVELTY and described["schema"] == 1
    assert described["sha256"][NOVELTY] == digest_file(tmp_path / "model" / NOVELTY)
    assert set(load_file(tmp_path / "model" / NOVELTY)) == set(wary.novelty.tensors())


@pytest.mark.parametrize("name", ("words", "sentences", "pictures", "wary"))
def test_nothing_is_pickled(request, tmp_path, name):
    save(request.getfixturevalue(name), tmp_path / "model")
    for path in (tmp_path / "model").iterdir():
        assert path.suffix in (".json", ".md", ".safetensors")
        assert path.read_bytes()[:2] not in (b"PK", b"\x80\x04", b"\x80\x02")


def test_others_may_read_it(saved):
    assert stat.S_IMODE(saved.stat().st_mode) == 0o755


def test_folders_above_are_made(words, tmp_path):
    save(words, tmp_path / "a" / "b" / "model")
    assert (tmp_path / "a" / "b" / "model" / DESCRIPTION).is_file()


def test_saving_again_replaces_all_of_it_and_leaves_nothing_else(words, saved):
    (saved / "left over").write_text("from before")
    save(replace(words, card="", facts={"seed": 1}), saved)
    assert files(saved) == [DESCRIPTION, WEIGHTS, "terms.json"]
    assert load(saved).facts == {"seed": 1}
    assert files(saved.parent) == ["model"]


def test_a_tensor_that_is_a_view_is_saved(words, tmp_path):
    turned = words.model.weight.T.contiguous().T
    words.model.weight = turned
    save(words, tmp_path / "model")
    assert torch.equal(load(tmp_path / "model").model.weight, turned)


class Crash(BaseException):
    """As if the process were killed: nothing may catch it."""


@pytest.mark.parametrize("step", range(4))
@pytest.mark.parametrize("given", ("model", "run"))
@pytest.mark.parametrize("before", ("whole", "stopped"))
def test_a_crash_at_any_step_leaves_one_whole_model(words, saved, monkeypatch, step, given, before):
    """Files are moved and removed in steps; whichever is the last that happens, one model loads.

    That holds too where an earlier crash left the old model alone, under its other name.
    """
    if before == "stopped":
        os.replace(saved, beside(saved))
    left = step

    def crashing(act):
        def acted(*arguments, **options):
            nonlocal left
            left -= 1
            if left < 0:
                raise Crash
            return act(*arguments, **options)

        return acted

    with monkeypatch.context() as patch:
        patch.setattr(saving.os, "replace", crashing(os.replace))
        patch.setattr(saving.shutil, "rmtree", crashing(saving.shutil.rmtree))
        with contextlib.suppress(Crash):
            save(replace(words, facts={"seed": 1}), saved)
    place = saved if given == "model" else saved.parent
    assert load(place).facts["seed"] in (0, 1)
    save(replace(words, facts={"seed": 2}), saved)
    assert load(place).facts == {"seed": 2}


def test_a_crash_while_writing_leaves_the_old_model(words, saved, monkeypatch):
    def fails(*_arguments):
        raise Crash

    with monkeypatch.context() as patch, pytest.raises(Crash):
        patch.setattr(saving, "save_file", fails)
        save(words, saved)
    assert load(saved).facts == {"seed": 0}
    assert files(saved.parent) == ["model"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_place_is_said(words, tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(ArtifactError, match="cannot be written.*Permission denied"):
            save(words, tmp_path / "model")
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize(
    ("where", "error", "said"),
    (
        ("tempfile.mkdtemp", PermissionError(13, "Permission denied"), "Permission denied"),
        ("save_file", OSError(28, "No space left on device"), "No space left on device"),
        ("save_file", SafetensorError("no space is left"), "no space is left"),
        ("os.fsync", OSError(5, "Input/output error"), "Input/output error"),
        ("os.replace", OSError("no reason"), "no reason"),
    ),
)
def test_what_cannot_be_written_is_said_and_the_old_model_stays(
    words, saved, monkeypatch, where, error, said
):
    def fails(*_arguments, **_options):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(f"headstart.artifact.saving.{where}", fails)
        with pytest.raises(ArtifactError) as raised:
            save(words, saved)
    assert str(saved) in str(raised.value) and said in str(raised.value)
    assert "--out" in str(raised.value)
    assert load(saved).facts == {"seed": 0}


def test_a_place_inside_a_file_is_said(words, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match="cannot be written"):
        save(words, tmp_path / "file" / "model")


def test_what_a_killed_process_left_is_swept_but_not_another_model(words, saved):
    left, others = f".{saved.name}-headstart-x1y2z3", f".{saved.name}2-headstart-x1y2z3"
    for name in (left, others, f".{saved.name}-backup"):
        (saved.parent / name).mkdir()
    save(words, saved)
    assert files(saved.parent) == [f".{saved.name}-backup", others, saved.name]


def test_a_folder_that_holds_something_else_is_not_replaced(words, tmp_path):
    (tmp_path / "mine").mkdir()
    save(words, tmp_path / "mine")  # empty
    save(words, tmp_path / "mine")  # a model
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").touch()
    for place in ("photos", "photos/a.jpg"):
        with pytest.raises(ArtifactError, match="holds no saved model: choose another place"):
            save(words, tmp_path / place)
    assert (tmp_path / "photos" / "a.jpg").is_file()


def test_others_may_read_what_was_saved(saved):
    assert {file.stat().st_mode & 0o777 for file in saved.iterdir()} == {0o644}


def test_a_backbone_that_models_share_is_written_once(sentences, headlines, tmp_path, monkeypatch):
    """Also where each has read it for itself, as after a run that went on."""
    monkeypatch.setattr(saving, "LARGE", 50)
    save(sentences, tmp_path / "alone")
    other = load(tmp_path / "alone").model
    both = replace(sentences, model=Fused([sentences.model, sentences.model, other]))
    save(both, tmp_path / "model")
    alone, together = (load_file(tmp_path / name / WEIGHTS) for name in ("alone", "model"))

    def large(tensors):
        return sum(value.numel() for value in tensors.values() if value.numel() >= 50)

    assert large(together) == large(alone) > 0
    torch.testing.assert_close(
        load(tmp_path / "model").model.outputs(headlines), both.model.outputs(headlines)
    )
    described = json.loads((tmp_path / "model" / DESCRIPTION).read_text())
    name = next(iter(described["model"]["repeated"]))
    described["model"]["repeated"][name] = "nowhere"
    (tmp_path / "model" / DESCRIPTION).write_text(json.dumps(described))
    with pytest.raises(ArtifactError, match="nowhere"):
        load(tmp_path / "model")
