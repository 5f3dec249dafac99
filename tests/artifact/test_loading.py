"""Loading: the same answers as before, or one clear sentence on what is wrong."""

from __future__ import annotations

import json
import os
import shutil

import pytest
import torch

from headstart.artifact.loading import load
from headstart.artifact.saving import DESCRIPTION, NOVELTY, WEIGHTS, beside, save
from headstart.errors import ArtifactError


@pytest.mark.parametrize(
    ("name", "data"), (("words", "headlines"), ("sentences", "headlines"), ("pictures", "squares"))
)
def test_a_loaded_model_answers_the_same(request, tmp_path, name, data):
    artifact, rows = request.getfixturevalue(name), request.getfixturevalue(data)
    save(artifact, tmp_path / "model")
    found = load(tmp_path / "model")
    assert torch.equal(found.model.outputs(rows), artifact.model.outputs(rows))
    assert (found.task, found.metric) == (artifact.task, artifact.metric)
    assert found.spec == artifact.spec and found.facts == artifact.facts
    assert found.card == artifact.card


def test_what_flags_unlike_rows_loads_and_is_checked(wary, headlines, tmp_path):
    folder = tmp_path / "model"
    save(wary, folder)
    features = wary.model.respond(headlines).features
    found = load(folder).novelty
    assert found.p_values(features) == wary.novelty.p_values(features)
    flip(folder / NOVELTY)
    with pytest.raises(ArtifactError, match=r"novelty\.safetensors is missing, damaged"):
        load(folder)


def test_an_artifact_that_knows_nothing_of_unlike_rows_loads(saved):
    content = json.loads((saved / DESCRIPTION).read_text())
    del content["novelty"]  # as headstart 0.1 wrote it
    (saved / DESCRIPTION).write_text(json.dumps(content))
    assert load(saved).novelty is None


def test_a_model_that_moved_and_lost_its_card_loads(saved, tmp_path):
    (saved / "README.md").unlink()
    shutil.move(saved, tmp_path / "elsewhere")
    assert load(tmp_path / "elsewhere").card == ""


def test_a_run_folder_gives_its_model(saved):
    assert load(saved.parent).task == load(saved).task == load(str(saved)).task


@pytest.mark.parametrize("here", (".", "./", "model", "../place/model"))
def test_relative_places_load(saved, monkeypatch, here):
    monkeypatch.chdir(saved if here in (".", "./") else saved.parent)
    assert load(here).task == "text-classification"


def described(folder, **changes):
    content = json.loads((folder / DESCRIPTION).read_text())
    content.update(changes)
    (folder / DESCRIPTION).write_text(json.dumps(content))


def flip(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def without(folder, key):
    content = json.loads((folder / DESCRIPTION).read_text())
    del content[key]
    (folder / DESCRIPTION).write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("damage", "said"),
    (
        (lambda f: flip(f / WEIGHTS), f"{WEIGHTS} is missing, damaged or was changed"),
        (lambda f: flip(f / "terms.json"), "terms.json is missing, damaged or was changed"),
        (lambda f: (f / WEIGHTS).unlink(), f"{WEIGHTS} is missing"),
        (lambda f: (f / WEIGHTS).write_bytes(b""), f"{WEIGHTS} is missing, damaged"),
        (lambda f: (f / "terms.json").unlink(), "terms.json is missing"),
        (lambda f: described(f, schema=99, headstart="9.0"), "saved by headstart 9.0 in a newer"),
        (lambda f: described(f, schema="new"), f"{DESCRIPTION} is damaged"),
        (lambda f: described(f, texts=["../secret"]), "'../secret' leads out of the folder"),
        (lambda f: described(f, texts=["/etc/passwd"]), "'/etc/passwd' leads out of the folder"),
        (lambda f: described(f, texts=[".."]), ".. is missing, damaged"),
        (lambda f: described(f, texts=[""]), "is missing, damaged"),
        (lambda f: without(f, "sha256"), f"{DESCRIPTION} is damaged (no sha256)"),
        (lambda f: without(f, "schema"), f"{DESCRIPTION} is damaged (KeyError('schema'))"),
        (lambda f: (f / DESCRIPTION).write_text("{"), f"{DESCRIPTION} is damaged"),
        (lambda f: (f / DESCRIPTION).write_text("[]"), f"{DESCRIPTION} is damaged"),
        (lambda f: (f / DESCRIPTION).write_bytes(b"\xff\xfe"), f"{DESCRIPTION} is damaged"),
        (lambda f: (f / DESCRIPTION).unlink(), "holds no saved model"),
        (lambda f: shutil.rmtree(f), "there is no such folder"),
    ),
)
def test_what_is_wrong_with_a_folder_is_said(saved, damage, said):
    (saved.parent / "secret").write_text("[]")
    damage(saved)
    with pytest.raises(ArtifactError) as error:
        load(saved)
    assert said in str(error.value) and str(saved) in str(error.value)


def test_a_folder_of_something_else_is_said(tmp_path):
    (tmp_path / "a.txt").write_text("text")
    for place in (tmp_path, tmp_path / "a.txt"):
        with pytest.raises(ArtifactError, match=r"holds no saved model.*headstart fit"):
            load(place)


def test_weights_that_can_run_code_are_not_even_opened(saved):
    """A pickle in the place of the tensors does not have their sha256, and is no safetensors."""
    torch.save({"weight": torch.zeros(1)}, saved / WEIGHTS)
    with pytest.raises(ArtifactError, match="sha256"):
        load(saved)


def test_a_model_of_an_unknown_kind_is_refused(saved):
    described = json.loads((saved / DESCRIPTION).read_text())
    described["model"]["kind"] = "another"
    (saved / DESCRIPTION).write_text(json.dumps(described))
    with pytest.raises(ArtifactError, match="cannot be made here"):
        load(saved)


def test_a_card_that_was_edited_in_another_encoding_does_no_harm(saved):
    (saved / "README.md").write_bytes(b"caf\xe9")
    assert load(saved).card == "caf\ufffd"


@pytest.mark.parametrize("step", ("before", "after"))
def test_the_old_model_loads_where_saving_was_stopped(saved, step):
    """Between the two moves of a replacement only the old model is there, under another name."""
    old = beside(saved)
    if step == "after":
        shutil.copytree(saved, old)
        flip(old / WEIGHTS)  # half removed
    else:
        os.replace(saved, old)
    assert load(saved).task == load(saved.parent).task == "text-classification"
