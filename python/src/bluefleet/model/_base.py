"""What all models of a site have in common."""

from pydantic import BaseModel, ConfigDict


class Declared(BaseModel):
    """Something that a person declared: an unknown key is a mistake, and nothing changes it once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
