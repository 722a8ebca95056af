"""Tiled's tree of what the Mongo sink wrote: databroker's, but for a search that the database may not have.

Full-text search is MongoDB's own `$text`. The embedded server has none, and an error of the database in the middle of an
answer is an error 500 for who asked. So it is tried first, and refused in words.
"""

# Databroker and Tiled are untyped, and installed in the data image only.
# pyright: basic, reportMissingImports=false

from typing import Any

from databroker.mongo_normalized import MongoAdapter
from pymongo.errors import OperationFailure
from tiled.queries import FullText, QueryValueError


class MongoTree(MongoAdapter):
    """The runs in Mongo, by uid."""

    def search(self, query: Any) -> Any:
        """A tree of what matches. Raises QueryValueError, which Tiled answers with status 400."""
        if isinstance(query, FullText):
            self._refuse_without_full_text()
        return super().search(query)

    def _refuse_without_full_text(self) -> None:
        try:
            self.database["run_start"].find_one({"$text": {"$search": "anything"}}, {"_id": True})
        except OperationFailure as error:
            raise QueryValueError(
                f"this Mongo has no full-text search ({_first_line(error)}): search by a key, such as "
                "Key('start.plan_name') == 'scan' or Regex('start.sample', 'Fe')"
            ) from error


def _first_line(error: OperationFailure) -> str:
    return str(error.details.get("errmsg") if error.details else error).partition("\n")[0]
