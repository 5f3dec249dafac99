"""The audit of a data set: what is wrong with it, before anything is learnt from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from headstart.data.columns import Roles
from headstart.data.dataset import Data, Dataset
from headstart.data.reading import read
from headstart.data.splits import require_seed
from headstart.embedding import source_for
from headstart.evidence.audit import LISTED, Examined, Finding
from headstart.evidence.audit import audit as findings_of
from headstart.features.shared import shared_extractor
from headstart.models.heads import Readout
from headstart.report.findings import finding_lines
from headstart.tasks import task_for


@dataclass(frozen=True)
class Audit:
    """What was found.

    Attributes
    ----------
    findings
        The most serious first.
    dataset
        The rows that can be used; findings count them from 0.
    task
        For which the labels were read.
    source
        By whose features rows were compared.
    """

    findings: tuple[Finding, ...]
    dataset: Dataset
    task: str
    source: str

    def data(self, most: int | None = None) -> dict[str, Any]:
        """Return all of it as JSON data, with at most so many rows of each finding."""
        return {
            "schema": 1,
            "path": self.dataset.path,
            "task": self.task,
            "source": self.source,
            "rows": len(self.dataset),
            "set_aside": [
                {"name": row.where, "about": row.reason} for row in self.dataset.set_aside
            ][:most],
            "findings": [finding.data(self.dataset.names, most) for finding in self.findings],
        }

    def __str__(self) -> str:
        lines = [f"{len(self.dataset):,} rows: {self.task}", *self.dataset.notes]
        return "\n".join([*lines, *finding_lines(self.data(LISTED)["findings"])])


def audit(
    data: Data,
    *,
    input: str | Sequence[str] | None = None,
    label: str | Sequence[str] | None = None,
    group: str | None = None,
    task: str | None = None,
    test: Data | None = None,
    source: str | None = None,
    seed: int = 0,
) -> Audit:
    """Examine labelled data: duplicates, conflicting and wrong labels, leaks, outliers, and more.

    Nothing is changed. What `fit` would do about each finding is said.

    Parameters
    ----------
    data, input, label, group, task, test
        As for `fit`.
    source
        By whose features rows are compared; the catalogue's default for the inputs where None.

    Raises
    ------
    HeadstartError
        If the data or an option cannot be used; the text says what to do.
    """
    require_seed(seed)
    dataset = read(data, Roles.of(input, label, group=group), test=test, seed=seed)
    chosen = task_for(dataset, task)
    dataset, spec = chosen.validate(dataset)
    known = source_for(dataset.modality, source)
    extractor = shared_extractor(known)
    values = extractor.extract(dataset, extractor.backbone.end)
    examined = Examined(
        dataset=dataset,
        task=chosen,
        spec=spec,
        targets=chosen.encode(dataset, spec),
        features=Readout(values, "linear"),
        seed=seed,
    )
    return Audit(tuple(findings_of(examined)[0]), dataset, chosen.name, known.id)
