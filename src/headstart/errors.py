"""Errors that speak to the user: what was wrong, where, and what to do.

Every error that headstart raises on purpose derives from `HeadstartError`, and carries the exit
status that the command line returns for it.
"""

from __future__ import annotations

from typing import ClassVar


class HeadstartError(Exception):
    """Base of every deliberate error; its text is a whole message for the user."""

    exit_status: ClassVar[int] = 1


class DataError(HeadstartError):
    """The data cannot be used as they are."""


class SourceError(HeadstartError):
    """A pre-trained model is unknown, unreachable, damaged or refused."""


class ArtifactError(HeadstartError):
    """A saved model or run folder cannot be read or written."""


class UsageError(HeadstartError):
    """An option has no meaning as given."""

    exit_status: ClassVar[int] = 2


class BudgetError(HeadstartError):
    """The budget ended before any model was usable."""

    exit_status: ClassVar[int] = 3


class Unreadable(Exception):
    """One input cannot be decoded; its text is the reason shown beside the row set aside."""
