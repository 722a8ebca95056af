"""The first scan: the site proves, from the queue to the stored run, that it works."""

from bluefleet.first_scan.errors import StageFailed
from bluefleet.first_scan.scan import CENTRE_TOLERANCE, FirstScan, ScanResult
from bluefleet.first_scan.subject import Pinhole, Readings, absorption_of, subject_of

__all__ = [
    "CENTRE_TOLERANCE",
    "FirstScan",
    "Pinhole",
    "Readings",
    "ScanResult",
    "StageFailed",
    "absorption_of",
    "subject_of",
]
