"""``python -m bluefleet.devices check CLASS…``: can every class the inventory names be imported here?

The image build runs it, so that a class that is missing stops the build and not the first scan.
"""

from __future__ import annotations

import inspect
import sys

from bluefleet.devices.loading import ClassMissing, import_class

USAGE = 2


def main(arguments: list[str]) -> int:
    if len(arguments) < 2 or arguments[0] != "check":
        sys.stderr.write("usage: python -m bluefleet.devices check CLASS…\n")
        return USAGE
    refusals: list[str] = []
    for name in arguments[1:]:
        try:
            found = import_class(name)
            inspect.signature(found).bind("prefix", name="name")
        except ClassMissing as error:
            refusals.append(str(error))
        except TypeError as error:
            refusals.append(f"{name} can't be made from (prefix, name=…): {error}")
    for refusal in refusals:
        sys.stderr.write(refusal + "\n")
    return USAGE if refusals else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
