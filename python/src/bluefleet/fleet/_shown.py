"""Text that was stored, as it may be shown: what can't be printed would act on the terminals of those who read it."""

from typing import Annotated, Any, TypeAlias, cast

from pydantic import AfterValidator


def shown(text: str) -> str:
    r"""With an escape in the place of each character that can't be printed, as in `\x1b[2J`."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def shown_all(value: Any) -> Any:
    """The same for every text in a JSON value."""
    if isinstance(value, str):
        return shown(value)
    if isinstance(value, list):
        return [shown_all(one) for one in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {shown(key): shown_all(one) for key, one in cast("dict[str, Any]", value).items()}
    return value


Shown: TypeAlias = Annotated[str, AfterValidator(shown)]
