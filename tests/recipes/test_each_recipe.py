"""Every recipe that tunes, carried out on a small network of its modality."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from headstart.recipes import recipes_for
from headstart.training.checkpoint import Checkpoint
from headstart.training.learners import learners, refused
from tiny import build

EACH = [
    pytest.param(recipe, id=f"{recipe.name}-{recipe.modality}-{recipe.rank}")
    for modality, output in (("image", "pooled"), ("text", "pooled"), ("audio", "text"))
    for recipe in recipes_for(modality, output, "best")
    if recipe.start == "source" and recipe.learner == "tune"
]
HEARD = [
    pytest.param(recipe, id=f"{recipe.name}-classes of sounds")
    for recipe in recipes_for("audio", "pooled", "best")
    if recipe.name == "augmented"
]
ROWS = {
    "image": ("squares", "toy_image"),
    "text": ("headlines", "toy_text"),
    "audio": ("voices", "toy_sound"),
    "speech": ("phrases", "toy_speech"),
}


@pytest.fixture(scope="module")
def voices(phrases):
    """The phrases, each with its first letter as a class."""
    said = tuple(str(value)[0] for value in phrases.targets[0].values)
    return replace(phrases, targets=(replace(phrases.targets[0], values=said),))


@pytest.fixture
def toy_sound():
    """A network with random weights that hears."""
    return build("whisper")


@pytest.fixture
def given(request):
    """A function that returns the rows and the small network of a modality."""

    def get(recipe):
        kind = "speech" if recipe.output == "text" else recipe.modality
        return (request.getfixturevalue(name) for name in ROWS[kind])

    return get


@pytest.mark.parametrize("recipe", EACH + HEARD)
def test_what_it_says_is_done(assign, given, recipe):
    rows, backbone = given(recipe)
    phases = tuple(replace(phase, epochs=min(2, phase.epochs)) for phase in recipe.phases)
    assignment = assign(replace(recipe, phases=phases, views=min(1, recipe.views)), rows, backbone)
    if refused(assignment):
        assert (recipe.name, recipe.modality) == ("lora", "image"), refused(assignment)
        return
    fitted = learners.get("tune").fit(assignment)
    assert len(fitted.history) == sum(phase.epochs for phase in phases)
    outputs = fitted.model.outputs(assignment.validation.data)
    assert torch.isfinite(outputs).all()
    if recipe.output == "text":
        writer = backbone.writer.state_dict()
        found = fitted.model.head.state_dict()
        changed = {name for name, value in found.items() if not torch.equal(value, writer[name])}
        assert changed - {"rate"}
    else:
        assert outputs.std(0).min() > 0
    before, after = backbone.model.state_dict(), fitted.model.backbone.model.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    names = [stage.name for stage in backbone.stages]
    cut = [*names, "end"].index(fitted.cut)
    within = {
        stage.name: [name for name in moved if name.startswith(tuple(stage.modules))]
        for stage in backbone.stages
    }
    share = recipe.phases[-1].share
    of = len(names) - cut
    for depth, name in enumerate(reversed(names), 1):
        trains = depth <= of and share(depth, of) > 0
        assert trains or not within[name], f"{name} should be as it was"
    assert moved or recipe.blend or not of


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("recipe", EACH)
def test_killed_and_resumed_it_ends_the_same(assign, given, tmp_path, recipe, eager):
    rows, backbone = given(recipe)
    phases = tuple(replace(phase, epochs=1) for phase in recipe.phases)
    phases = phases if len(phases) > 1 else (replace(phases[0], epochs=2),)
    recipe = replace(recipe, phases=phases, views=min(1, recipe.views), patience=9)
    whole = assign(recipe, rows, backbone)
    if refused(whole):
        return
    tune = learners.get("tune")
    expected = tune.fit(whole)
    kept = Checkpoint(tmp_path / "step.safetensors", every=0.0)

    def killed():
        known = kept.read()
        if known is not None and known[1]["done"] == 1:
            raise Killed
        return False

    with pytest.raises(Killed):
        tune.fit(replace(whole, late=killed, checkpoint=kept))
    found = tune.fit(replace(whole, checkpoint=kept))
    ours, theirs = (one.model.backbone.model.state_dict() for one in (found, expected))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    heads = (one.model.head.state_dict() for one in (found, expected))
    for mine, other in zip(*(head.values() for head in heads), strict=True):
        assert torch.equal(mine, other)
    assert found.settled == expected.settled and found.history == expected.history
