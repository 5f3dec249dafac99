"""The source as it is: it writes without having learnt anything of the target."""

from __future__ import annotations

from collections.abc import Callable

import torch

from headstart.features.extract import Extractor
from headstart.models.network import Network, headed
from headstart.sources.writing import Writer
from headstart.tasks import TargetSpec, Task
from headstart.training.learners import BEGUN, Assignment, Fitted, Rows, drawn, learners

SECONDS = 1.0


class ZeroShot:
    """Takes a source that can write; nothing of it is trained."""

    def refused(self, assignment: Assignment) -> str:
        """Return why a source cannot answer as it is, if so."""
        extractor = assignment.extractor
        assert extractor is not None
        return "" if extractor.backbone.writer is not None else "the source itself writes nothing"

    def forecast(self, assignment: Assignment) -> float:
        """Return the seconds of settling; features are computed already, or cost what they cost."""
        return SECONDS

    def fit(self, assignment: Assignment) -> Fitted:
        """Return the source, with what it has to know of the rows."""
        extractor, piece = assignment.extractor, assignment.train[0]
        assert extractor is not None
        some = piece.take(drawn(len(piece.data), BEGUN, assignment.seed))
        model = as_it_is(extractor, some, assignment.task, assignment.spec, assignment.late)
        return Fitted(model, {}, extractor.backbone.cut_name(extractor.backbone.end))


def as_it_is(
    extractor: Extractor, rows: Rows, task: Task, spec: TargetSpec, late: Callable[[], bool]
) -> Network:
    """Return a source that writes, with what it has to know of labelled rows.

    Raises
    ------
    OutOfTime
        If `late` says that time is over before their values are computed.
    """
    backbone = extractor.backbone
    its, head = headed(backbone, task.head(backbone.width, spec))
    values = extractor.extract(rows.data, backbone.end, late=late).whole()
    assert isinstance(head, Writer)
    head.eval().begin(values, torch.from_numpy(rows.targets))
    return Network(backbone, head, its, task.output, extractor)


learners.register("zero-shot", ZeroShot())
