"""How the fleet asks services at edges over HTTP.

`requests` is imported with the first such question: who looks at nodes alone should not wait for it.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import requests


def session(verify: Path | bool = True) -> "requests.Session":
    """A session that trusts that authority. Whatever goes wrong in it is an OSError."""
    import requests

    made = requests.Session()
    # With it, REQUESTS_CA_BUNDLE would replace the authority, and a proxy could be dialled.
    made.trust_env = False
    made.verify = str(verify) if isinstance(verify, Path) else verify
    return made


def in_words(error: OSError, answer: float) -> str:
    """What an edge did instead of answering; `answer` is how many seconds it had."""
    import requests

    if isinstance(error, requests.HTTPError):
        return f"answered {error.response.status_code} {error.response.text[:200]}"
    if isinstance(error, requests.Timeout):
        return f"did not answer within {answer:g} s"
    if isinstance(error, requests.exceptions.SSLError):
        return "showed a certificate that the site CA did not sign"
    if isinstance(error, requests.ConnectionError):
        return "is not there: nothing listens, or the host is off"
    return f"was not asked: {error}"
