"""The training loop, on networks so small that what it must do can be said exactly."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from headstart.recipes import Phase
from headstart.training.checkpoint import Checkpoint
from headstart.training.descent import Diverged
from headstart.training.loop import train
from headstart.training.memory import AtOnce, NotEnoughMemory
from headstart.training.plan import HEAD, FreezePlan

pytestmark = pytest.mark.usefixtures("one_thread")


class Network(nn.Module):
    """A body with normalisation under a head."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU())
        self.head = nn.Linear(6, 2)

    def forward(self, x):
        return self.head(self.body(x))

    def groups(self):
        return {"body": list(self.body.parameters()), HEAD: list(self.head.parameters())}


SIX_EPOCHS = (Phase(6, 1e-2),)


class Task:
    """Rows that can be told apart, and a network that learns to."""

    def __init__(self, rows=24, batch=8, phases=SIX_EPOCHS, seed=0):
        torch.manual_seed(seed)
        self.rows, self.batch = rows, batch
        self.x = torch.randn(rows, 4)
        self.y = (self.x[:, 0] > 0).long()
        self.network = Network()
        self.phases = phases
        self.taken = []

    def step(self, rows, epoch):
        self.taken.append((epoch, rows.tolist()))
        return nn.functional.cross_entropy(self.network(self.x[rows]), self.y[rows])

    def train(self, **options):
        options = {"decay": 0.01, "seed": 0, **options}
        groups = self.network.groups()
        return train(self.network, groups, self.phases, self.rows, self.batch, self.step, **options)

    def state(self):
        return {name: value.clone() for name, value in self.network.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def scores(*values):
    """Return an evaluation that answers these scores in turn."""
    left = iter(values)
    return lambda: (next(left), 1.0)


def test_it_learns():
    task = Task(rows=64, phases=(Phase(20, 1e-2),))
    trained = task.train()
    assert trained.history[-1].loss < 0.3 * trained.history[0].loss
    assert (task.network(task.x).argmax(1) == task.y).float().mean() > 0.9
    assert not task.network.training


def test_each_epoch_takes_every_row_once_in_another_order():
    task = Task(rows=24, batch=7)
    task.train()
    epochs = [[r for epoch, rows in task.taken if epoch == e for r in rows] for e in range(6)]
    assert all(sorted(rows) == list(range(24)) for rows in epochs)
    assert epochs[0] != epochs[1]


@pytest.mark.parametrize(
    ("rows", "batch", "sizes"), ((25, 8, [8, 8, 8]), (26, 8, [8, 8, 8, 2]), (1, 8, [1]))
)
def test_a_last_batch_of_one_row_is_left_out(rows, batch, sizes):
    task = Task(rows=rows, batch=batch, phases=(Phase(2, 1e-3),))
    task.train(norm="frozen")  # one row has no statistics
    assert [len(taken) for epoch, taken in task.taken if epoch == 0] == sizes


def test_it_learns_by_momentum():
    task = Task(rows=64, phases=(Phase(20, 0.3),))
    trained = task.train(optimizer="sgd")
    assert trained.history[-1].loss < 0.3 * trained.history[0].loss


def test_the_best_weights_come_back():
    task = Task()
    states = []

    def evaluate():
        assert not task.network.training
        states.append(task.state())
        return (0.1, 0.5, 0.9, 0.3, 0.4, 0.2)[len(states) - 1], 1.0

    trained = task.train(evaluate=evaluate, patience=10)
    assert trained.epochs == 3 and not trained.cut_short
    assert [e.score for e in trained.history] == [0.1, 0.5, 0.9, 0.3, 0.4, 0.2]
    assert same(task.state(), states[2])
    assert not same(states[2], states[5])


def test_what_only_watches_chooses_no_epoch():
    task, planned = Task(), Task()
    trained = task.train(evaluate=scores(0.1, 0.9, *[0.2] * 4), choose=False, patience=2)
    assert trained.epochs == 6 and [e.score for e in trained.history[:2]] == [0.1, 0.9]
    planned.train()
    assert same(task.state(), planned.state())


def test_patience_ends_training():
    task = Task(phases=(Phase(50, 1e-2),))
    trained = task.train(evaluate=scores(0.1, 0.9, *[0.2] * 48), patience=4)
    assert trained.epochs == 2 and len(trained.history) == 6


def test_the_deadline_ends_training_with_the_best_weights():
    task = Task(phases=(Phase(50, 1e-2),))
    states = []

    def evaluate():
        states.append(task.state())
        return (0.2, 0.8, 0.1, 0.1)[len(states) - 1], 1.0

    trained = task.train(
        evaluate=evaluate, patience=50, late=lambda: len(task.taken) >= 10 or len(states) >= 4
    )
    assert trained.cut_short and trained.epochs == 2
    assert len(task.taken) == 10  # three whole epochs of three steps, and one step
    assert same(task.state(), states[1])
    assert not task.network.training


def test_a_deadline_at_once_leaves_the_network_as_it_was():
    task = Task()
    before = task.state()
    trained = task.train(late=lambda: True)
    assert trained.cut_short and trained.epochs == 0 and trained.history == []
    assert same(task.state(), before)


def test_without_validation_the_plan_is_carried_out():
    task = Task()
    trained = task.train()
    assert trained.epochs == 6 and [e.score for e in trained.history] == [None] * 6


def test_a_loss_that_is_no_number_is_said():
    task = Task()
    task.x[3] = float("nan")
    with pytest.raises(Diverged, match="the loss was nan in epoch 1"):
        task.train()


def test_a_loss_out_of_all_proportion_is_said():
    task = Task(phases=(Phase(6, 1e3),))
    with pytest.raises(Diverged, match=r"the loss went from 0\.\d+ to .* in epoch 1"):
        task.train()


def test_the_same_seed_gives_the_same_weights():
    states = []
    for seed in (5, 5, 6):
        task = Task()
        task.train(seed=seed)
        states.append(task.state())
    assert same(states[0], states[1]) and not same(states[0], states[2])


def test_a_phase_of_the_head_keeps_the_body_bit_for_bit():
    task = Task(phases=(Phase(3, 1e-1, last=0),))
    before = task.state()
    task.train(decay=0.5, norm="frozen")
    assert all(p.grad is None for p in task.network.body.parameters()), "nothing computed for it"
    after = task.state()
    moved = [name for name in before if not torch.equal(before[name], after[name])]
    assert moved == ["head.weight", "head.bias"]


def test_the_body_moves_once_its_phase_has_begun():
    task = Task(phases=(Phase(2, 1e-2, last=0), Phase(2, 1e-2)))
    states = []

    def evaluate():
        states.append(task.state())
        return float(len(states)), 1.0

    task.train(evaluate=evaluate, norm="frozen")
    weights = [state["body.0.weight"] for state in states]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[1], weights[2]) and not torch.equal(weights[2], weights[3])


def test_frozen_layers_keep_their_statistics_until_their_phase():
    """Even where statistics may adapt: what is frozen is frozen as a whole."""
    task = Task(phases=(Phase(2, 1e-2, last=0), Phase(1, 1e-2)))
    states = [task.state()]

    def evaluate():
        states.append(task.state())
        return float(len(states)), 1.0

    task.train(evaluate=evaluate)
    means = [state["body.1.running_mean"] for state in states]
    assert torch.equal(means[0], means[1]) and torch.equal(means[1], means[2])
    assert not torch.equal(means[2], means[3])


@pytest.mark.parametrize(("norm", "kept"), (("frozen", True), ("adapting", False)))
def test_statistics_move_unless_they_are_held(norm, kept):
    task = Task()
    before = task.state()
    task.train(norm=norm)
    after = task.state()
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        assert torch.equal(before[f"body.1.{name}"], after[f"body.1.{name}"]) == kept
    assert not torch.equal(before["body.1.weight"], after["body.1.weight"])


def test_long_gradients_are_shortened():
    task = Task(phases=(Phase(1, 1e-3, last=0),))
    lengths = []
    plain = task.step
    task.step = lambda rows, epoch: 1e4 * plain(rows, epoch)
    hook = torch.nn.utils.clip_grad_norm_

    def spy(parameters, most):
        parameters = list(parameters)
        size = hook(parameters, most)
        grads = [p.grad.norm() for p in parameters if p.grad is not None]
        lengths.append(float(torch.stack(grads).norm()))
        return size

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.nn.utils, "clip_grad_norm_", spy)
        task.train()
    assert lengths and all(length == pytest.approx(1.0, abs=1e-3) for length in lengths)


def test_the_optimiser_takes_adamw_s_steps_in_any_layout():
    """Against the plain formula (Loshchilov and Hutter, 2019), one row of maps a step."""
    torch.manual_seed(0)
    value = torch.randn(1, 3, 4, 4)
    layer = nn.Conv2d(3, 5, 3, bias=False).to(memory_format=torch.channels_last)
    weight = layer.weight.detach().clone().double().contiguous()
    phases = (Phase(4, 1e-2),)
    plan = FreezePlan(phases, 1)
    train(
        layer,
        {HEAD: list(layer.parameters())},
        phases,
        1,
        1,
        lambda rows, epoch: layer(value).pow(2).mean(),
        decay=0.1,
        seed=0,
    )
    first = second = torch.zeros_like(weight)
    for step in range(4):
        weight.requires_grad_()
        loss = nn.functional.conv2d(value.double(), weight).pow(2).mean()
        (slope,) = torch.autograd.grad(loss, weight)
        slope = slope / max(1.0, float(slope.norm()))
        weight = weight.detach()
        first, second = 0.9 * first + 0.1 * slope, 0.999 * second + 0.001 * slope**2
        rate = plan.rate(HEAD, step)
        mean, spread = first / (1 - 0.9 ** (step + 1)), second / (1 - 0.999 ** (step + 1))
        weight = weight * (1 - rate * 0.1) - rate * mean / (spread.sqrt() + 1e-8)
    torch.testing.assert_close(layer.weight.detach().double(), weight, atol=1e-5, rtol=1e-4)


def far(network, start):
    """Return how far the body has moved."""
    moved = zip(network.body.parameters(), start, strict=True)
    return float(sum((now - then).pow(2).sum() for now, then in moved).detach().sqrt())


def test_decay_towards_the_start_keeps_the_body_near_to_it():
    away = []
    for decay in (0.0, 5.0, 50.0):
        task = Task(phases=(Phase(20, 1e-2),))
        start = [p.detach().clone() for p in task.network.body.parameters()]
        task.train(decay=decay, towards="start", norm="frozen")
        away.append(far(task.network, start))
    assert away[0] > 2 * away[1] > 4 * away[2] > 0


def test_towards_the_start_a_step_goes_as_far_as_decay_and_rate_say():
    """With no gradient at all, weights that were moved away come back by just that share."""
    task = Task(rows=8, phases=(Phase(1, 1e-2),))
    weight = task.network.body[0].weight
    start = weight.detach().clone()

    def still(rows, epoch):
        with torch.no_grad():
            weight.add_(1.0)
        return 0.0 * task.network(task.x[rows]).sum()

    task.step = still
    task.train(decay=10.0, towards="start", norm="frozen")
    share = 10.0 * FreezePlan(task.phases, 1, ("body",)).rate("body", 0)
    torch.testing.assert_close(weight.detach(), start + 1 - share, atol=1e-6, rtol=0)


def test_the_average_of_the_weights_is_evaluated_and_kept():
    task, own, seen = Task(), [], []
    plain = task.step

    def step(rows, epoch):
        own.append(task.state()["head.weight"])
        return plain(rows, epoch)

    def evaluate():
        seen.append(task.state())
        return float(len(seen)), 1.0

    task.step = step
    task.train(average=0.5, evaluate=evaluate, norm="frozen")
    assert same(task.state(), seen[-1])
    mean = own[1]  # after the first step
    for value in own[2:]:
        mean = 0.5 * mean + 0.5 * value
    last = 2 * task.state()["head.weight"] - mean  # what the last step came to
    assert 0 < (last - own[-1]).abs().max() < 0.01


def test_without_validation_the_average_is_what_comes_out():
    plain, averaged = Task(), Task()
    plain.train(norm="frozen")
    averaged.train(average=0.9, norm="frozen")
    still = Task().state()["head.weight"]
    moved = (plain.state()["head.weight"] - still).norm()
    assert 0 < (averaged.state()["head.weight"] - still).norm() < moved


class Greedy(Task):
    """Has memory for so many rows at once."""

    def __init__(self, most, **options):
        super().__init__(**options)
        self.most, self.sizes = most, []

    def step(self, rows, epoch):
        self.sizes.append(len(rows))
        loss = super().step(rows, epoch)
        if len(rows) > self.most:
            loss.backward()  # it runs out half way, when something is in the gradients already
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return loss


@pytest.mark.parametrize(
    ("most", "left", "sizes"),
    ((8, 8, [8, 8]), (5, 4, [8, 4, 4, 4, 4]), (1, 1, [8, 4, 2, *[1] * 16])),
)
def test_where_memory_runs_out_batches_are_taken_in_parts_from_then_on(most, left, sizes):
    task, whole = Greedy(most, rows=16), Task(rows=16)
    trained = task.train(norm="frozen")
    assert task.sizes[: len(sizes)] == sizes
    assert [epoch.at_once for epoch in trained.history] == [left] * 6
    whole_history = whole.train(norm="frozen").history
    for name, value in whole.state().items():
        torch.testing.assert_close(task.state()[name], value, atol=1e-5, rtol=1e-4)
    for epoch, expected in zip(trained.history, whole_history, strict=True):
        assert epoch.loss == pytest.approx(expected.loss, abs=1e-5)


def test_parts_of_unequal_size_give_the_gradient_of_the_whole_batch():
    """A batch of ten in parts of four, four and two."""
    slopes = []
    for at_once in (10, 4):
        task = Task(rows=10, batch=10, phases=(Phase(1, 1e-3),))

        def spy(parameters, _most):
            slopes.append([p.grad.clone() for p in parameters])
            return torch.zeros(())

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch.nn.utils, "clip_grad_norm_", spy)
            task.train(norm="frozen", at_once=AtOnce(at_once))
    for whole, parts in zip(*slopes, strict=True):
        torch.testing.assert_close(parts, whole, atol=1e-6, rtol=1e-5)


def test_it_may_begin_with_parts():
    task = Greedy(2, rows=16)
    task.train(norm="frozen", at_once=AtOnce(2))
    assert set(task.sizes) == {2}


def test_without_memory_for_a_single_row_it_is_said():
    with pytest.raises(NotEnoughMemory, match="not even a single row"):
        Greedy(0).train(norm="frozen")


def test_other_errors_of_a_step_are_not_taken_for_memory():
    task = Task()
    task.step = lambda rows, epoch: nn.Linear(3, 2)(torch.ones(1, 4)).sum()
    with pytest.raises(RuntimeError, match="shapes"):
        task.train()


class Killed(BaseException):
    """Stands for the end of the process."""


def killed_at(task, steps):
    """Return what a task does in a step, so many times."""
    plain = task.step

    def step(rows, epoch):
        if len(task.taken) >= steps:
            raise Killed
        return plain(rows, epoch)

    return step


THAWING = (Phase(2, 1e-2, last=0), Phase(2, 3e-3), Phase(1, 1e-3, fading=0.5))


@pytest.mark.parametrize("killed_in", range(1, 6))
@pytest.mark.parametrize(
    "options",
    [{}, {"towards": "start"}, {"average": 0.9}, {"norm": "frozen"}, {"optimizer": "sgd"}],
    ids=lambda options: next(iter(options), "plain"),
)
def test_training_that_was_killed_goes_on_to_the_same_end(tmp_path, options, killed_in):
    def evaluation(task):
        return lambda: (
            -float(nn.functional.cross_entropy(task.network(task.x), task.y).detach()),
            1.0,
        )

    def begun():
        task = Task(phases=THAWING)
        task.network.body.append(nn.Dropout(0.5))
        return task

    whole = begun()
    expected = whole.train(evaluate=evaluation(whole), **options)

    first, steps = begun(), (killed_in - 1) * 3 + 2  # in the middle of an epoch
    first.step = killed_at(first, steps)
    kept = Checkpoint(tmp_path / "step.safetensors", every=0.0)
    with pytest.raises(Killed):
        first.train(evaluate=evaluation(first), checkpoint=kept, **options)

    second = begun()
    torch.randn(3)  # whatever else was random meanwhile
    found = second.train(evaluate=evaluation(second), checkpoint=kept, **options)
    assert second.taken == whole.taken[steps:], "it goes on with the step that was not finished"
    assert same(second.state(), whole.state())
    assert found == expected


def test_moments_are_those_of_the_uninterrupted_run(tmp_path):
    states = []
    for kills in (0, 1):
        kept = Checkpoint(tmp_path / f"{kills}.safetensors", every=0.0)
        if kills:
            first = Task(phases=THAWING)
            first.step = killed_at(first, 2 * 3)
            with pytest.raises(Killed):
                first.train(checkpoint=kept)
        Task(phases=THAWING).train(checkpoint=kept)
        states.append(kept.read()[0])
    assert same(*states)
    assert any(name.startswith("moments/") for name in states[0])


def test_what_is_kept_is_only_what_trains(tmp_path):
    task = Task(phases=(Phase(1, 1e-2, last=0),))
    groups = {HEAD: list(task.network.head.parameters())}
    kept = Checkpoint(tmp_path / "step.safetensors", every=0.0)
    train(task.network, groups, task.phases, 24, 8, task.step, decay=0.0, seed=0, checkpoint=kept)
    names = {name for name in kept.read()[0] if name.startswith("module/")}
    assert "module/head.weight" in names and "module/body.0.weight" not in names


def test_short_training_is_not_kept(tmp_path):
    kept = Checkpoint(tmp_path / "step.safetensors")
    Task().train(checkpoint=kept)
    assert kept.read() is None and not kept.path.exists()
