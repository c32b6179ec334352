"""A list of photos with their problems and what is suggested, which a person edits and training honours."""

import csv
import io

from fieldguide.data.exclusions import ACTION, PATH
from fieldguide.doctor.checkup import CheckUp


def to_csv(checkup: CheckUp) -> bytes:
    """Return the list: a row for each photo and each of its problems, the worst first."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow((PATH, "problem", ACTION, "evidence"))
    names = checkup.images.photo_names
    for finding in checkup.findings:
        for case in finding.cases:
            beside = f"; keep {names[case.photos[0]]}" if case.keeps_first else ""
            action = case.action or finding.kind.action
            for photo in case.suspects:
                writer.writerow((names[photo], finding.kind.name, action, case.evidence + beside))
    return text.getvalue().encode("utf-8-sig")  # by its mark spreadsheets know the encoding
