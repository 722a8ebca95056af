"""What the start document of a run says of its campaign: all that a recommender must know."""

from collections.abc import Mapping
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bluefleet.acquisition.adaptive.errors import CampaignWrong

#: Where it stands in the start document; the first two names are those of bluesky-adaptive.
CAMPAIGN, NUMBER, ABOUT = "batch_id", "batch_count", "adaptive"

Point = dict[str, float]


class Turn(BaseModel):
    """One run of a campaign."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    campaign: str = Field(min_length=1, description="uid of the campaign")
    number: int = Field(ge=0, description="which of its runs this is, from 0")
    recommender: str = Field(min_length=1, description="who decides: a name, or the path of a class")
    arguments: dict[str, Any] = Field(default_factory=dict, description="of the recommender, by keyword")
    axes: list[str] = Field(min_length=1, description="names of the devices that are moved")
    fields: list[str] = Field(default_factory=list, description="what the detectors are read for: their hinted fields")
    point: Point = Field(description="where this run measures, by axis")
    runs: int = Field(ge=1, description="how many runs the campaign has at most")
    deadline: float = Field(gt=0, description="seconds that the plan waits for a recommendation")

    def in_start_document(self) -> dict[str, Any]:
        """As metadata of the run."""
        about = self.model_dump(exclude={"campaign", "number"})
        return {CAMPAIGN: self.campaign, NUMBER: self.number, ABOUT: about}

    @classmethod
    def of_start_document(cls, start: Mapping[str, Any]) -> "Turn | None":
        """The same out of a run's metadata; None when it belongs to no campaign. Raises CampaignWrong."""
        about = start.get(ABOUT)
        if CAMPAIGN not in start or not isinstance(about, Mapping) or "recommender" not in about:
            return None
        given = dict(cast("Mapping[str, Any]", about))
        try:
            return cls.model_validate(given | {"campaign": start[CAMPAIGN], "number": start.get(NUMBER)})
        except ValidationError as error:
            lines = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()]
            raise CampaignWrong("; ".join(lines)) from error
