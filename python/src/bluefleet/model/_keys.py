"""Which keys a declared thing has, for whoever mistyped one of them."""

from typing import Any, get_args

from pydantic import BaseModel


def keys_beside(model: type[BaseModel], location: tuple[str | int, ...]) -> list[str]:
    """The keys that could stand in place of the last one of `location`, which begins at `model`.

    Positions in lists, keys of mappings and the names of kinds are no keys of a model: they lead nowhere else.
    """
    models = {model}
    for part in location[:-1]:
        fields = [field for each in models for name, field in each.model_fields.items() if part in {name, field.alias}]
        models = {each for field in fields for each in _models(field.annotation)} or models
    return sorted({field.alias or name for each in models for name, field in each.model_fields.items()})


def _models(annotation: Any) -> set[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {annotation}
    return {each for part in get_args(annotation) for each in _models(part)}
