"""Floor 6: the ways to carry knowledge over, as plain data. One file a recipe.

A recipe holds no code: it names a learner, an augmentation, and phases of training, by their
registered names. The race tries the recipes of a modality in the order of `rank`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from headstart.data.dataset import TOGETHER
from headstart.errors import UsageError
from headstart.registry import Registry

if TYPE_CHECKING:
    from headstart.sources.families import Output

Start = Literal["source", "random", "small", "teacher"]
Norm = Literal["frozen", "adapting"]
Quality = Literal["fast", "balanced", "best"]
QUALITIES: tuple[str, ...] = ("fast", "balanced", "best")


@dataclass(frozen=True)
class Phase:
    """A stretch of training: which groups of parameters train, and how fast.

    Attributes
    ----------
    epochs
        Passes over the training rows.
    rate
        Highest learning rate of the head, which always trains; it rises over the first tenth of the
        phase and falls to zero along a cosine.
    body
        Learning rate of the last stage as a share of the head's.
    fading
        Learning rate of each stage as a share of that of the stage after it.
    last
        How many last stages train: 0 is the head alone, None every stage after the cut.
    sparing
        Share of the stages after the cut, from the end, that stay as they are.
    """

    epochs: int
    rate: float
    body: float = 1.0
    fading: float = 1.0
    last: int | None = None
    sparing: float = 0.0

    def share(self, depth: int, of: int) -> float:
        """Return the learning rate of a stage as a share of the head's; 0 is frozen.

        The last of all stages after the cut has depth one, the first has depth `of`.
        """
        frozen = depth <= round(self.sparing * of) or (self.last is not None and depth > self.last)
        return 0.0 if frozen else self.body * self.fading ** (depth - 1)


@dataclass(frozen=True)
class Recipe:
    """How knowledge is carried over.

    Attributes
    ----------
    name
        Registered name; several variants may share it.
    modality
        The inputs it is for, or ``any``.
    start
        ``source``: a pre-trained model; ``random``: the same architecture from random weights;
        ``small``: the task's right-sized small model. The last two have no head start; neither has
        a ``teacher``, whose outputs the small model learns, and which takes part in no race.
    learner
        Registered learner that carries it out.
    rank
        The race tries recipes of lower rank first.
    stages
        Last stages of the backbone that are trained, in number or as a share of all: 0 is the fixed
        feature extractor, None all.
    phases
        Of training by descent; none where the head is solved for.
    solved
        The head is at its optimum on the frozen features; where more than it trains, it begins on
        the way there, unsure enough that there is something to learn.
    head
        Registered head to use in place of the task's own (of the same outputs).
    long
        How an input that is longer than the source's window is read, where not as all others do.
    scale
        Size of the inputs as a share of the source's own, or of the largest for the small network.
    views
        Random views a row that are computed through the frozen prefix, besides the row as it is;
        fewer where time is short.
    augmentation
        Registered policy of those views.
    perturbations
        Registered perturbations of boundary values in training, in order, each with its strength.
    norm
        ``frozen``: normalisation layers keep the source's statistics; ``adapting``: they learn.
    objective
        Registered objective that shapes the features, on which the head is solved for; none goes
        down the task's loss.
    adapter
        Registered small parts of the stages that train in place of all of them.
    network
        Registered family of the small network that is trained, where it is one of these.
    optimizer
        ``adamw``, or ``sgd`` with momentum.
    towards
        Where decay pulls the weights of the stages: to ``zero``, or to the ``start``, which is the
        source.
    average
        Share of a running average of the weights that stays at each step; the model is that
        average. 0 is none.
    blend
        In the end the weights lie between the source's and the tuned ones, where validation likes
        them best.
    ranged
        The learning rates are multiplied by what a range test finds: those of the phases were
        chosen on other sources.
    draw
        Which draw of chance training is: of the order of the rows, and of what perturbs them.
    patience
        Epochs without a better validation score after which training stops.
    most_seen, fewest_epochs
        Rows seen in all epochs together beyond which there are fewer epochs, but so many at least:
        many rows need fewer passes. 0 is no bound.
    shortest
        Epochs that are enough where there is no time for all of them; 0: it is left out then.
    output
        The tasks it is for, by what their head takes of a backbone (``pooled``, …), or ``any`` of
        those whose head is new; what writes a ``text`` is pre-trained.
    quality
        It is tried from this preset on; where it is named, in any.
    gain, doubt
        By how much the logarithm of the error is expected to be less than that of a linear head on
        the same source's features, and how far from certain that is: mean and standard deviation
        over targets (``benchmarks/recipes.py``).
    """

    name: str
    modality: str
    start: Start
    learner: str
    rank: int
    stages: int | float | None = 0
    phases: tuple[Phase, ...] = ()
    solved: bool = False
    head: str = ""
    long: str = ""
    scale: float = 1.0
    views: int = 0
    augmentation: str = "none"
    perturbations: tuple[tuple[str, float], ...] = ()
    batch: int = 32
    decay: float = 0.02
    smoothing: float = 0.0
    norm: Norm = "frozen"
    objective: str = ""
    adapter: str = ""
    network: str = ""
    optimizer: Literal["adamw", "sgd"] = "adamw"
    towards: Literal["zero", "start"] = "zero"
    average: float = 0.0
    blend: bool = False
    ranged: bool = False
    draw: int = 0
    patience: int = 5
    most_seen: int = 0
    fewest_epochs: int = 8
    shortest: int = 0
    output: Output | Literal["any"] = "any"
    quality: Quality = "balanced"
    gain: float = 0.0
    doubt: float = 0.2

    @property
    def has_head_start(self) -> bool:
        """Say whether anything is taken from a pre-trained model."""
        return self.start == "source"

    @property
    def learns(self) -> bool:
        """Say whether anything is learnt of the rows."""
        return self.learner != "zero-shot"

    @property
    def epochs(self) -> int:
        """Return the epochs of all phases together."""
        return sum(phase.epochs for phase in self.phases)

    def for_rows(self, rows: int) -> Recipe:
        """Return the recipe as it is carried out on so many training rows."""
        if not self.most_seen or self.epochs * rows <= self.most_seen:
            return self
        return self._shortened(self.most_seen / (self.epochs * rows), self.fewest_epochs)

    @property
    def hurried(self) -> int:
        """Return the epochs that do where time is short: half of them, and `shortest` at least."""
        if not self.shortest:
            return self.epochs
        return min(self.epochs, max(self.epochs // 2, self.shortest))

    def within(self, epochs: int) -> Recipe:
        """Return the recipe with so many epochs in all at most, and one of each phase at least."""
        return self if epochs >= self.epochs else self._shortened(epochs / self.epochs, 1)

    def _shortened(self, share: float, fewest: int) -> Recipe:
        phases = tuple(
            replace(phase, epochs=min(phase.epochs, max(fewest, round(share * phase.epochs))))
            for phase in self.phases
        )
        return replace(self, phases=phases)

    def data(self) -> dict[str, Any]:
        """Return the recipe as JSON data."""
        return asdict(self)

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Recipe:
        """Return the recipe that `data` returned."""
        phases = tuple(Phase(**phase) for phase in data["phases"])
        perturbed = tuple((name, strength) for name, strength in data["perturbations"])
        return cls(**{**data, "phases": phases, "perturbations": perturbed})


recipes: Registry[tuple[Recipe, ...]] = Registry("recipe", __name__)


_USUAL: dict[str, dict[str, Any]] = {
    "image": {"scale": 0.71, "views": 4, "augmentation": "light", "smoothing": 0.1, "batch": 32},
    "text": {"batch": 16},
    "audio": {"batch": 16},
}


BY_ROWS: dict[str, Any] = {"most_seen": 800, "fewest_epochs": 6, "patience": 6}
"""How many passes texts take: more of forty than of four hundred, or too few steps are made."""


def tuning(
    name: str,
    modality: str,
    rank: int,
    stages: int | float | None,
    phases: tuple[Phase, ...],
    **more: Any,
) -> Recipe:
    """Return a recipe that tunes stages of a source, its head first on the way to its optimum.

    So a random head does not tear up what the source knows (Kumar et al., Fine-Tuning can Distort
    Pretrained Features and Underperform Out-of-Distribution, ICLR 2022). What `more` does not say
    is as usual for the modality; where every stage trains, there are no views.
    """
    settings = {**_USUAL[modality], **({"views": 0} if stages is None else {}), **more}
    return Recipe(
        name,
        modality,
        "source",
        "tune",
        rank=rank,
        stages=stages,
        phases=phases,
        solved=True,
        **settings,
    )


ADAPTED = 0.5
"""About how much the errors of a source that writes fall by adapting it, by their logarithm."""


def writing(
    name: str,
    modality: str,
    rank: int,
    stages: int | float | None,
    phases: tuple[Phase, ...],
    **more: Any,
) -> Recipe:
    """Return a recipe that tunes what writes, and stages of the source below it.

    A few thousand phrases are seen in all: some hundred are known by heart after that. What it
    brings is more than `ADAPTED` beyond the source as it is, by `gain`.
    """
    usual = {"batch": 16, "decay": 0.01, "patience": 3, "output": "text", "doubt": 0.5}
    bounds = {"most_seen": 5_000, "fewest_epochs": 4, "shortest": 3}
    settings = {**usual, **bounds, **more, "gain": ADAPTED + more.get("gain", 0.0)}
    return replace(tuning(name, modality, rank, stages, phases, **settings), solved=False)


def usual(name: str, rank: int, **more: Any) -> list[Recipe]:
    """Return the tuning of some last stages for each modality, of the preset ``best``."""
    more = {"quality": "best", "gain": 0.15, **more}
    return [
        tuning(name, "image", rank, 3, (Phase(10, 3e-3, body=1 / 3),), **more),
        tuning(name, "text", rank, 2, (Phase(20, 1e-3, body=0.1),), **BY_ROWS, **more),
        tuning(name, "audio", rank, 2, (Phase(6, 5e-4, body=0.2),), **more),
    ]


def adapting(name: str, rank: int, rate: float, adapter: str, gain: float) -> list[Recipe]:
    """Return the training of an adapter in the whole network, of the preset ``best``."""
    more = {"decay": 0.0, "adapter": adapter, "quality": "best", "gain": gain}
    return [
        tuning(name, modality, rank, None, (Phase(8, rate),), **more)
        for modality in ("image", "text", "audio")
    ]


def register(name: str, variants: Iterable[Recipe]) -> None:
    """Register the variants of a recipe under its name."""
    recipes.register(name, tuple(variants))


def recipes_for(
    modality: str, output: Output, quality: str = "balanced", named: Sequence[str] = ()
) -> list[Recipe]:
    """Return the variants for a modality and a task, in the order in which the race tries them.

    They are those of a preset; or those that are named, with what they are compared with: the small
    models from scratch, and the source as it is. Where a row has several inputs, the small models
    of each of them compete as well.

    Raises
    ------
    UsageError
        If there is no recipe of a name, or it is for other inputs or tasks.
    """
    suiting = [
        recipe
        for variants in recipes
        for recipe in variants
        if recipe.start != "teacher"
        and recipe.output in ((output,) if output == "text" else (output, "any"))
        and _suits(recipe, modality)
    ]
    for name in named:
        recipes.get(name)
        if not any(recipe.name == name for recipe in suiting):
            known = ", ".join(sorted({recipe.name for recipe in suiting}))
            raise UsageError(f"the recipe {name} is not for these data. Those that are: {known}.")
    upto = QUALITIES[: QUALITIES.index(quality) + 1]
    found = [
        recipe
        for recipe in suiting
        if (_is_baseline(recipe) or recipe.name in named if named else recipe.quality in upto)
    ]
    return sorted(found, key=lambda recipe: recipe.rank)


def _is_baseline(recipe: Recipe) -> bool:
    return recipe.start == "small" or not recipe.learns


def _suits(recipe: Recipe, modality: str) -> bool:
    parts = modality.split(TOGETHER) if recipe.start == "small" else []
    return recipe.modality in (modality, "any", *parts)
