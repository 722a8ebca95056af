"""What ssh says on its standard error when it ends, as this package's errors: programs are told only that it ended."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from bluefleet.engine._endpoint import Endpoint
from bluefleet.engine._errors import EngineError, EngineRefused, EngineUnreachable


class SshEnded(ConnectionResetError):
    """An ssh process ended without an answer of the engine; `words` is what it had to say."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words


class SshMissing(OSError):
    """This machine has no such program."""


@dataclass(frozen=True, slots=True)
class _Known:
    said: str
    kind: type[EngineError]
    reason: str
    remedy: str


_OFF = "Check that {node} is switched on and its sshd answers"
_ADMIT = "`site.yml --tags engines` admits it"
# Each in the words of OpenSSH, or of `docker system dial-stdio`; the first that was said counts.
_KNOWN = (
    _Known(
        "Host key verification failed",
        EngineRefused,
        "its host key is not the one known here: nothing was asked",
        "If {node} was made anew, `site.yml --tags engines` makes its key known; else find out who answers there",
    ),
    _Known("Permission denied (", EngineRefused, "its sshd does not admit this machine's key", _ADMIT),
    _Known(": permission denied", EngineRefused, "its user {user} may not use the engine", _ADMIT),
    _Known(
        "failed to open the raw stream",
        EngineUnreachable,
        "its sshd answers, but no engine runs there",
        "Look at `systemctl status docker` on {node}",
    ),
    _Known("Connection refused", EngineUnreachable, "connection refused: nothing listens there", _OFF),
    _Known("timed out", EngineUnreachable, "nothing answers at that address", _OFF),
    _Known("Could not resolve", EngineUnreachable, "the name does not resolve", _OFF),
)


def ssh_error(endpoint: Endpoint, tried: str, words: str) -> EngineError:
    """The error that these words tell of; what is not known is told as it was said."""
    names = {"node": endpoint.node, "user": urlsplit(endpoint.url).username or "there"}
    for known in _KNOWN:
        if known.said in words:
            return known.kind(endpoint.node, tried, known.reason.format(**names), known.remedy.format(**names))
    last = words.strip().rpartition("\n")[2].strip()
    reason = f"ssh ended: {last}" if last else "ssh ended, and said nothing"
    return EngineUnreachable(endpoint.node, tried, reason, _OFF.format(**names))
