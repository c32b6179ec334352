"""Where a run stands, as a checkpoint holds it beside the tensors."""

from dataclasses import asdict, dataclass, field
from typing import Any

from fieldguide.training.record.history import Epoch


@dataclass
class State:
    """Where a run stands: what, with the tensors, a checkpoint holds.

    Args:
        step: steps done.
        history: of the epochs done.
        loss_sum, num_photos: of the steps since the last epoch's end.
        learning_s: spent on these steps.
        seconds: spent in all.
        best: (top-1, log loss) on the validation photos after the best epoch.
        best_step: steps done by then, under which its weights are kept.
    """

    step: int = 0
    history: list[Epoch] = field(default_factory=list)
    loss_sum: float = 0.0
    num_photos: int = 0
    learning_s: float = 0.0
    seconds: float = 0.0
    best: tuple[float, float] | None = None
    best_step: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the values as JSON holds them; numbers come back as the same bits."""
        return {**asdict(self), "history": [asdict(epoch) for epoch in self.history]}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "State":
        """Undo :meth:`to_dict`."""
        best = values["best"]
        history = [Epoch(**epoch) for epoch in values["history"]]
        return cls(**{**values, "history": history, "best": None if best is None else tuple(best)})
