"""Points of the curve, for trainers that call back as transformers' does."""

from __future__ import annotations

from typing import Any

from transformers import TrainerCallback

from peers.race import Race, Save


class Points(TrainerCallback):
    """Takes the points after steps of training."""

    def __init__(self, race: Race, save: Save) -> None:
        self.race, self.save = race, save

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        """Stop the training where the time is up."""
        control.should_training_stop = self.race.step(self.save)
        return control
