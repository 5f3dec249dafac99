"""The agenda, in made-up worlds whose trials and prices are known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from headstart.evidence.beliefs import error
from headstart.recipes import Recipe, recipes_for
from headstart.search.agenda import COMMON, Agenda, Tried, common, improvement
from headstart.tasks.metrics import CLASSIFICATION

PROBE = Recipe("probe", "any", "source", "probe", 10)
SMALL = Recipe("small", "any", "small", "small", 20)
EVEN = Agenda(lambda recipe, source: 1.0)


def tuned(name, gain=0.1, doubt=0.2, stages=2):
    return Recipe(name, "any", "source", "tune", 30, stages, gain=gain, doubt=doubt)


def tried(recipe, log_error, source="a", noise=1e-4):
    return Tried(recipe, source, log_error, noise)


def test_what_is_cheap_comes_first_in_its_order():
    pending = [(tuned("t"), "a"), (PROBE, "b"), (SMALL, None)]
    assert EVEN.next(pending, []) == (PROBE, "b")
    assert EVEN.next(pending, [tried(PROBE, -1.0)]) == (PROBE, "b")


def test_the_second_small_model_waits_for_the_first_tuned_network():
    other, one = replace(SMALL, rank=35), tuned("t")
    known = [tried(PROBE, -1.0), tried(SMALL, -0.5, None)]
    assert EVEN.next([(other, None), (one, "a")], known) == (one, "a")
    assert EVEN.next([(other, None)], known) == (other, None), "there is none to wait for"
    known.append(tried(one, -1.1))
    assert EVEN.next([(tuned("u"), "a"), (other, None)], known) == (other, None)


def test_the_source_with_the_better_head_is_tuned_first():
    known = [tried(PROBE, math.log(0.2), "a"), tried(PROBE, math.log(0.1), "b")]
    one = tuned("t")
    assert EVEN.next([(one, "a"), (one, "b")], known) == (one, "b")


def test_a_cheaper_one_is_preferred_unless_it_brings_less():
    prices = {"cheap": 1.0, "dear": 4.0}
    agenda = Agenda(lambda recipe, source: prices[recipe.name])
    known = [tried(PROBE, math.log(0.2))]
    cheap, dear = tuned("cheap", 0.10), tuned("dear", 0.12)
    assert agenda.next([(dear, "a"), (cheap, "a")], known)[0] is cheap
    hopeless = replace(cheap, gain=-1.0, doubt=0.05)
    assert agenda.next([(dear, "a"), (hopeless, "a")], known)[0] is dear


def test_where_tuning_brought_nothing_less_is_expected_of_it():
    known = [tried(PROBE, math.log(0.2))]
    before = EVEN.worth(tuned("other"), "a", known)
    same = [*known, tried(tuned("first"), math.log(0.2) - 0.1)]
    worse = [*known, tried(tuned("first"), math.log(0.3))]
    better = [*known, tried(tuned("first"), math.log(0.1))]
    assert common(known) == (0.0, pytest.approx(COMMON**2))
    assert common(same)[0] == pytest.approx(0.0) and common(same)[1] < COMMON**2
    assert common(worse)[0] < 0 < common(better)[0]
    assert EVEN.worth(tuned("other"), "a", worse) < before


def test_what_is_learnt_is_the_posterior_of_two_normal_variables():
    known = [tried(PROBE, 0.0, noise=0.0), tried(tuned("t", 0.1, 0.2), -0.4, noise=0.01)]
    seen, variance = 0.4 - 0.1, 0.2**2 + 2 * 0.01
    mean = seen * COMMON**2 / (COMMON**2 + variance)
    spread = COMMON**2 * variance / (COMMON**2 + variance)
    assert common(known) == (pytest.approx(mean), pytest.approx(spread))


@pytest.mark.parametrize(("mean", "deviation"), ((0.0, 1.0), (0.5, 0.2), (-0.3, 0.4), (-2.0, 0.5)))
def test_the_expected_improvement_is_the_mean_over_draws(mean, deviation):
    drawn = np.random.default_rng(0).normal(mean, deviation, 400_000)
    expected = np.maximum(drawn, 0).mean()
    assert improvement(mean, deviation) == pytest.approx(expected, abs=2e-3)


def test_without_doubt_it_is_what_is_expected():
    assert improvement(0.3, 0.0) == 0.3 and improvement(-0.3, 0.0) == 0.0


def test_errors_of_scores():
    accuracy = CLASSIFICATION["accuracy"]
    log, variance = error(accuracy, 0.9, 100)
    assert log == pytest.approx(math.log(0.1)) and variance == pytest.approx(0.9 / (0.1 * 100))
    assert error(accuracy, 1.0, 100)[0] == pytest.approx(math.log(0.005)), "half a row is missing"
    loss = CLASSIFICATION["log_loss"]
    assert error(loss, 0.25, 100)[0] == pytest.approx(math.log(0.25))


def test_the_same_architecture_from_scratch_comes_last():
    known = [tried(PROBE, math.log(0.2))]
    random = replace(tuned("random", gain=5.0), start="random")
    assert EVEN.next([(random, "a"), (tuned("t"), "a")], known)[0].name == "t"
    assert EVEN.next([(random, "a")], known)[0] is random


def test_it_does_better_than_a_fixed_order_and_than_chance():
    """Targets drawn from what is believed; time for a third of all that could be tried."""
    names = ("last", "two", "three", "all", "gentle", "strong")
    gains = (0.05, 0.10, 0.12, 0.15, 0.05, 0.10)
    prices = {"last": 1.0, "two": 2.0, "three": 3.0, "all": 8.0, "gentle": 2.0, "strong": 4.0}
    recipes = [tuned(n, gain) for n, gain in zip(names, gains, strict=True)]
    sources = ("a", "b", "c")
    agenda = Agenda(lambda recipe, source: prices[recipe.name])
    random = np.random.default_rng(0)
    found = {"agenda": [], "fixed": [], "chance": []}
    for _ in range(150):
        heads = dict(zip(sources, math.log(0.2) + 0.25 * random.normal(size=3), strict=True))
        shift = COMMON * random.normal()
        truth = {
            (r.name, s): heads[s] - r.gain - shift - r.doubt * random.normal()
            for r in recipes
            for s in sources
        }
        pairs = [(r, s) for s in sources for r in recipes]
        shuffled = [pairs[i] for i in random.permutation(len(pairs))]
        for way, order in (("agenda", pairs), ("fixed", pairs), ("chance", shuffled)):
            known = [tried(PROBE, heads[s], s) for s in sources]
            left, pending = 20.0, list(order)
            while pending:
                one = agenda.next(pending, known) if way == "agenda" else pending[0]
                pending.remove(one)
                if prices[one[0].name] <= left:
                    left -= prices[one[0].name]
                    known.append(tried(one[0], truth[one[0].name, one[1]], one[1]))
            found[way].append(min(k.error for k in known))
    means = {way: float(np.mean(errors)) for way, errors in found.items()}
    assert means["agenda"] < means["fixed"] - 0.05 and means["agenda"] < means["chance"] - 0.05


def test_what_writes_better_as_it_is_is_tuned_first_though_it_is_dearer():
    of = {r.name: r for r in recipes_for("audio", "text", "fast", ["zero-shot", "decoder"])}
    known = [tried(of["zero-shot"], math.log(e), s) for s, e in (("small", 0.83), ("large", 0.21))]
    agenda = Agenda(lambda _recipe, source: {"small": 1.0, "large": 3.0}[source])
    pending = [(of["decoder"], "small"), (of["decoder"], "large")]
    assert agenda.next(pending, known) == (of["decoder"], "large")
    alike = [tried(of["zero-shot"], math.log(0.3), s) for s in ("small", "large")]
    assert agenda.next(pending, alike) == (of["decoder"], "small")
