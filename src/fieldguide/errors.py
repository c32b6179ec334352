"""What can go wrong with a user's data and files. Wrong calls raise ValueError or TypeError instead.

FieldguideError
├── DataError           a folder, list or archive of photos is not what it should be
├── PhotoError          one photo can't be used; the others can
├── WeightsError        weights can't be had, or don't fit the network
├── GuideError          a guide is missing, damaged, or of another format
├── CacheError          the cache can't be used
├── EngineError         no engine of that name runs here
├── RecipeError         a recipe's setting is not allowed, or contradicts another
├── TrainingError       a run can't go on, or can't be taken up again
├── StoppedError        a run was told to stop, and can be taken up again
└── UnknownNameError    no such source, model, engine or recipe

FieldguideWarning is no error: it stops nothing.
"""


class FieldguideError(Exception):
    """Base of every error that fieldguide raises about a user's data and files.

    The message is one line: what was wrong, with the value; what is allowed; what to do next.
    """


class FieldguideWarning(UserWarning):
    """What a user should know of, and what stops nothing. The message is one line, as that of an error."""


class DataError(FieldguideError):
    """A folder, list or archive of photos is missing or not laid out as expected."""


class PhotoError(FieldguideError):
    """One photo can't be used. The message is the reason, without the photo's name."""


class WeightsError(FieldguideError):
    """Weights can't be had, or don't fit the network."""


class GuideError(FieldguideError):
    """A guide is missing, damaged, of a newer format, or can't be written."""


class CacheError(FieldguideError):
    """The cache folder can't be used."""


class EngineError(FieldguideError):
    """The engine that was asked for does not run on this machine."""


class RecipeError(FieldguideError):
    """A recipe's setting is not allowed, or contradicts another."""


class TrainingError(FieldguideError):
    """A training run can't go on, or can't be taken up again."""


class StoppedError(FieldguideError):
    """A training run was told to stop, and has kept its last step.

    Args:
        message: how to go on.
        signal_number: what told it to; 15 is SIGTERM.
    """

    def __init__(self, message: str, signal_number: int = 15) -> None:
        super().__init__(message)
        self.signal_number = signal_number


class UnknownNameError(FieldguideError):
    """A name that nothing is registered under."""


def first_line(error: BaseException) -> str:
    """Return what an error of another library says, in one line; where it says nothing, the name of its type."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
