"""The first scan: the site proves, from the queue to the stored run, that it works."""

from bluefleet.first_scan.errors import StageFailed
from bluefleet.first_scan.scan import CENTRE_TOLERANCE, FirstScan, ScanResult

__all__ = ["CENTRE_TOLERANCE", "FirstScan", "ScanResult", "StageFailed"]
