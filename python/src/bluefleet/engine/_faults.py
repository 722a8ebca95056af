"""What went wrong on the way to an engine, as this package's errors, with words a person can act on."""

import socket
import ssl
from collections.abc import Iterator
from typing import TypeVar

from bluefleet.engine._endpoint import Endpoint
from bluefleet.engine._errors import EngineError, EngineFault, EngineRefused, EngineTimeout, EngineUnreachable, OwnFault
from bluefleet.engine._own_faults import own_fault
from bluefleet.engine._ssh_words import SshEnded, ssh_error

_E = TypeVar("_E", bound=BaseException)


class NobodyThere(TimeoutError):
    """Nothing took the connection in time; any other TimeoutError is of an engine that did, and did not answer."""


def named(endpoint: Endpoint, tried: str, error: BaseException) -> EngineError:
    """The error that an exception of sockets, TLS or HTTP is."""
    node, where = endpoint.node, endpoint.url
    own = next(filter(None, map(own_fault, _causes(error))), None)
    if own is not None:
        return OwnFault(node, f"{tried} at {where}", *own)
    ended = _cause(error, SshEnded)
    if ended is not None:
        return ssh_error(endpoint, f"{tried} at {where}", ended.words)
    refusal = _cause(error, ssl.SSLError)
    if refusal is not None:
        return EngineRefused(
            node,
            f"{tried} at {where}",
            _tls_words(refusal),
            "Compare the engine's certificate with /etc/bluefleet/pki/engine-client on the manager; "
            "`site.yml --tags engines` renews both",
        )
    if isinstance(error, TimeoutError) and not isinstance(error, NobodyThere):
        return EngineTimeout(
            node,
            f"{tried} at {where}",
            "connected, but no answer within the deadline",
            f"Look at `journalctl -u docker` on {node}; restart its engine if it hangs",
        )
    return EngineUnreachable(
        node,
        f"{tried} at {where}",
        _plain_words(error),
        f"Check that {node} is switched on and its engine runs (`systemctl status docker`)",
    )


def fault(node: str, tried: str, words: str) -> EngineFault:
    """The error that an engine told of itself."""
    return EngineFault(node, tried, words, f"Look at `journalctl -u docker` on {node}")


def _cause(error: BaseException, kind: type[_E]) -> _E | None:
    """The first error of `kind` that led to `error`."""
    return next((one for one in _causes(error) if isinstance(one, kind)), None)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """It and all that led to it; requests and urllib3 nest theirs in three different ways."""
    waiting: list[object] = [error]
    seen: set[int] = set()
    while waiting:
        candidate = waiting.pop(0)
        if isinstance(candidate, BaseException) and id(candidate) not in seen:
            yield candidate
            seen.add(id(candidate))
            waiting += [candidate.__cause__, candidate.__context__, getattr(candidate, "reason", None), *candidate.args]


_TLS_WORDS = {
    "CERTIFICATE_REQUIRED": "the engine asks for a client certificate and was shown none",
    "UNKNOWN_CA": "the engine does not know the authority that signed the manager's certificate",
    "CERTIFICATE_EXPIRED": "the manager's certificate has expired",
    "WRONG_VERSION_NUMBER": "the engine does not speak TLS there",
}


def _tls_words(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the engine's certificate was refused: {error.verify_message}"
    reason = error.reason or str(error)
    return next((words for key, words in _TLS_WORDS.items() if key in reason), f"TLS failed: {reason}")


def _plain_words(error: BaseException) -> str:
    if isinstance(error, NobodyThere):
        return "nothing answers at that address"
    if _cause(error, socket.gaierror) is not None:
        return "the name does not resolve"
    if _cause(error, ConnectionRefusedError) is not None:
        return "connection refused: nothing listens there"
    if _cause(error, ConnectionResetError) is not None:
        return "it closed the connection without an answer"
    return str(error)
