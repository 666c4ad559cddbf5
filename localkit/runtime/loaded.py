"""Everything that one loaded model consists of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from localkit.runtime.embedding.embedding import Embedder
    from localkit.runtime.engine.context import Context
    from localkit.runtime.engine.drafting import DraftModel
    from localkit.runtime.engine.owner import Owner
    from localkit.runtime.engine.scheduler import Scheduler
    from localkit.runtime.pacing.pace import Pace
    from localkit.runtime.vision.vision import Projector
    from localkit.runtime.vocabulary import Vocabulary


@dataclass(slots=True)
class Loaded:
    """Made on the owner thread, freed there; a session's calls go through it."""

    engine: Any
    model: Any
    owner: Owner
    context: Context
    scheduler: Scheduler
    vocabulary: Vocabulary
    embedder: Embedder
    pace: Pace
    cut: bool
    """Whether a sequence can be shortened; recurrent models keep one state."""
    draft: DraftModel | None = None
    projector: Projector | None = None

    def free(self) -> None:
        """Give everything back, the contexts before the model."""
        if self.draft is not None:
            self.draft.free()
        if self.projector is not None:
            self.projector.close()
        self.embedder.close()
        self.context.close()
        self.engine.llama_model_free(self.model)
