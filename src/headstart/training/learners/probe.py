"""The probe: a head on the fixed features of a backbone, solved for where it can be."""

from __future__ import annotations

from dataclasses import replace

import torch

from headstart.data.modalities import modalities
from headstart.features.values import Values, concatenated
from headstart.models.heads import HeadSpec, Readout
from headstart.models.network import Network
from headstart.recipes import Phase
from headstart.training.learners import EPOCHS, Assignment, Fitted, Rows, drawn, learners
from headstart.training.loop import Trained, train
from headstart.training.plan import HEAD
from headstart.training.solving import put_at_optimum, seconds_of_solving

LOOKED_AT = 256
"""Rows by which it is told how many windows there are."""
LONGER = 1.05
"""Windows a row, on average, from which on they are worth reading."""
DESCENT = (Phase(epochs=30, rate=1e-2, last=0),)
"""How a head is trained whose task has no solution for it."""


class Probe:
    """Fits a head on features that are computed once."""

    def forecast(self, assignment: Assignment) -> float:
        """Return the seconds of solving; features are computed already, or cost what they cost."""
        rows = sum(len(piece.data) for piece in assignment.train)
        return 0.1 + seconds_of_solving(rows, self._width(assignment), assignment.many)

    def refused(self, assignment: Assignment) -> str:
        """Return why there is nothing to read in windows, if it is asked for."""
        extractor, data = assignment.extractor, assignment.train[0].data
        if not assignment.recipe.long or extractor is None:
            return ""
        some = [data.inputs[i] for i in drawn(len(data), LOOKED_AT, assignment.seed)]
        pieces = modalities.get(data.modality).pieces(some, extractor.backbone.preprocessing)
        return "" if sum(pieces) > LONGER * len(some) else "hardly an input is longer than a window"

    def _width(self, assignment: Assignment) -> int:
        """Return how many channels the head reads; of middle stages the first row tells."""
        extractor, kind = assignment.extractor, assignment.recipe.head
        assert extractor is not None
        if not kind:
            return extractor.backbone.width
        first = assignment.train[0].data.take([0])
        return Readout(extractor.extract(first, extractor.backbone.end), kind).shape[1]

    def fit(self, assignment: Assignment) -> Fitted:
        """Return the source's backbone under the best head."""
        extractor = assignment.extractor
        assert extractor is not None
        backbone = extractor.backbone
        values = concatenated([_features(assignment, piece) for piece in assignment.train])
        spec = assignment.task.head(backbone.width, assignment.spec)
        kind = assignment.recipe.head or spec.kind
        features = Readout(values, kind)
        if assignment.recipe.head:
            spec = HeadSpec(kind, features.shape[1], spec.outputs)
        head = spec.build()
        strength = put_at_optimum(head, features, assignment)
        model = Network(backbone, head, spec, assignment.task.output, extractor)
        cut = backbone.cut_name(backbone.end)
        if strength is not None:
            return Fitted(model, {"strength": strength}, cut)
        trained = _descend(assignment, head, values)
        history = tuple(vars(epoch) for epoch in trained.history)
        return Fitted(model, {EPOCHS: len(history)}, cut, trained.cut_short, history)


def _features(assignment: Assignment, rows: Rows) -> Values:
    extractor = assignment.extractor
    assert extractor is not None
    return extractor.extract(rows.data, extractor.backbone.end, late=assignment.late)


def _descend(assignment: Assignment, head: torch.nn.Module, values: Values) -> Trained:
    task, validation = assignment.task, assignment.validation
    held = {} if validation is None else _features(assignment, validation).whole()
    targets = torch.from_numpy(assignment.targets)
    rows, batch = len(targets), 32
    descent = replace(assignment, recipe=replace(assignment.recipe, phases=DESCENT))
    return train(
        head,
        {HEAD: list(head.parameters())},
        descent.carried_out.phases,
        rows,
        batch,
        lambda taken, _epoch: task.loss(
            head(values.take(taken)),
            targets[taken],
            assignment.spec,
        ),
        decay=0.0,
        seed=assignment.seed,
        evaluate=assignment.evaluator(lambda _rows: head(held)),
        choose=assignment.choosing,
        late=assignment.late,
    )


learners.register("probe", Probe())
