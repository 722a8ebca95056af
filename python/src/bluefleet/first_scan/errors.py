"""What can go wrong in a first scan, always with the stage, the host and the log to read."""

from __future__ import annotations


class StageFailed(Exception):
    """A stage of the first scan failed.

    :param stage: what was being done
    :param host: the host on which the cause is to be looked for
    :param pod: the pod and
    :param service: the service whose log says more
    """

    def __init__(self, what: str, *, stage: str, host: str, pod: str, service: str) -> None:
        super().__init__(what)
        self.what = what
        self.stage = stage
        self.host = host
        self.pod = pod
        self.service = service

    @property
    def log(self) -> str:
        """The command that shows the log to read, on that host."""
        return f"docker compose -p {self.pod} logs {self.service}"
