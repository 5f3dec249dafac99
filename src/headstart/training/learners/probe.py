"""The probe: a head on the fixed features of a backbone, solved for where it can be."""

from __future__ import annotations

import numpy as np
import torch

from headstart.models.heads import HeadSpec, readout
from headstart.models.network import Network
from headstart.recipes import Phase
from headstart.sources.staged import Boundary
from headstart.training.learners import Assignment, Fitted, Rows, learners
from headstart.training.loop import train
from headstart.training.plan import HEAD, FreezePlan

DESCENT = (Phase("head", epochs=30, rate=1e-2),)
"""How a head is trained whose task has no solution for it."""


class Probe:
    """Fits a head on features that are computed once."""

    def forecast(self, assignment: Assignment) -> float:
        """Return the seconds of solving; features are computed already, or cost what they cost."""
        assert assignment.extractor is not None
        rows = sum(len(piece.data) for piece in assignment.train)
        return 1.0 + rows * assignment.extractor.backbone.width * 3e-6

    def fit(self, assignment: Assignment) -> Fitted:
        """Return the source's backbone under the best head."""
        extractor = assignment.extractor
        assert extractor is not None
        backbone = extractor.backbone
        values = [_features(assignment, piece) for piece in assignment.train]
        spec = assignment.task.head(backbone.width, assignment.spec)
        kind = assignment.recipe.head or spec.kind
        features = torch.cat([readout(value, kind) for value in values])
        if assignment.recipe.head:
            spec = HeadSpec(kind, features.shape[1], spec.outputs)
        head = spec.build()
        solved = assignment.task.solve_head(
            features,
            assignment.targets,
            assignment.units,
            assignment.spec,
            assignment.seed,
            assignment.settled.get("strength"),
        )
        settled: dict[str, object] = {}
        if solved is not None:
            head.load_state_dict(solved[0])
            settled["strength"] = solved[1]
        else:
            settled["epochs"] = _descend(assignment, head, values)
        model = Network(backbone, head, spec, assignment.task.output, extractor)
        return Fitted(model, settled, backbone.cut_name(backbone.end))


def _features(assignment: Assignment, rows: Rows) -> Boundary:
    extractor = assignment.extractor
    assert extractor is not None
    return extractor.extract(rows.data, extractor.backbone.end, late=assignment.late)


def _descend(assignment: Assignment, head: torch.nn.Module, values: list[Boundary]) -> int:
    task = assignment.task
    joined = {name: torch.cat([v[name] for v in values]) for name in values[0]}
    targets = torch.from_numpy(assignment.targets)
    rows, batch = len(targets), 32
    trained = train(
        head,
        {HEAD: list(head.parameters())},
        FreezePlan(DESCENT, int(np.ceil(rows / batch))),
        rows,
        batch,
        lambda taken, _epoch: task.loss(
            head({name: value[taken] for name, value in joined.items()}), targets[taken]
        ),
        decay=0.0,
        seed=assignment.seed,
        evaluate=assignment.evaluator(lambda held: head(_features(assignment, held))),
        most_epochs=assignment.settled.get("epochs"),
        late=assignment.late,
    )
    return trained.epochs


learners.register("probe", Probe())
