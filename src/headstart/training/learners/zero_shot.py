"""The source as it is: it writes without having learnt anything of the target."""

from __future__ import annotations

import torch

from headstart.models.network import Network, headed
from headstart.sources.writing import Writer
from headstart.training.learners import BEGUN, Assignment, Fitted, drawn, learners

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
        extractor = assignment.extractor
        assert extractor is not None
        backbone, piece = extractor.backbone, assignment.train[0]
        spec, head = headed(backbone, assignment.task.head(backbone.width, assignment.spec))
        some = piece.take(drawn(len(piece.data), BEGUN, assignment.seed))
        values = extractor.extract(some.data, backbone.end, late=assignment.late).whole()
        assert isinstance(head, Writer)
        head.eval().begin(values, torch.from_numpy(some.targets))
        model = Network(backbone, head, spec, assignment.task.output, extractor)
        return Fitted(model, {}, backbone.cut_name(backbone.end))


learners.register("zero-shot", ZeroShot())
