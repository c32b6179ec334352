"""The doctor: what is wrong with a set of photos, with the evidence. It changes nothing."""

from fieldguide.doctor.checkup import CheckUp, check
from fieldguide.doctor.finding import Case, Finding, Kind

__all__ = ["Case", "CheckUp", "Finding", "Kind", "check"]
