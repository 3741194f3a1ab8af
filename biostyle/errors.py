"""The exceptions biostyle raises on purpose, and the exit status each one gives the command line.

::

    BiostyleError               1
    ├── DownloadError           1   the network, not the data
    ├── DataError               3   something the user handed over is wrong
    │   ├── ImageError              an image file or array
    │   ├── MaskError               a mask or label file or array
    │   ├── PairingError            images, masks or predictions that do not belong together
    │   ├── SplitError              a test frame in a training set, or nothing left to train on
    │   ├── ManifestError           a data set's manifest
    │   ├── ChecksumError           bytes that are not the published ones
    │   ├── ArchiveError            an archive that is unsafe or broken
    │   ├── TermsError              a data set's terms were not accepted
    │   ├── ConfigError             a configuration file or a ``--set`` value
    │   ├── CheckpointError         a model directory that is incomplete or altered
    │   ├── ArtifactMismatchError   a directory that holds another run
    │   └── OutputError             an output that cannot be written
    ├── TrainingError           1   a loss that is not finite
    │   └── TranslationAlarmError   a translation that makes away with the objects
    └── InterruptedRunError     4   stopped on request; ``--resume`` continues it

Every message reads «**name** must be *rule*, got *value* (*file*). *What to do.*».
"""


class BiostyleError(Exception):
    """Base of every error biostyle raises on purpose; shown as one line, without a traceback."""

    exit_code = 1


class DownloadError(BiostyleError):
    """The network failed after every retry."""


class TrainingError(BiostyleError):
    """Training cannot go on, for example because a loss is not finite."""


class TranslationAlarmError(TrainingError):
    """A translation exchanges bright and dark, or erases or invents objects."""


class DataError(BiostyleError):
    """Something the user handed over is wrong."""

    exit_code = 3


class ImageError(DataError):
    """An image file or array breaks its contract."""


class MaskError(DataError):
    """A mask or label file or array breaks its contract."""


class PairingError(DataError):
    """Images, masks or predictions do not belong together."""


class SplitError(DataError):
    """A split would leak test frames into training or leave a part empty."""


class ManifestError(DataError):
    """A data set's manifest is malformed."""


class ChecksumError(DataError):
    """A file's bytes are not the published ones."""


class ArchiveError(DataError):
    """An archive is unsafe or broken."""


class TermsError(DataError):
    """A data set's terms were not accepted, or it has to be obtained by hand."""


class ConfigError(DataError):
    """A configuration file or a ``--set`` value is wrong."""


class CheckpointError(DataError):
    """A model directory is incomplete or was altered."""


class ArtifactMismatchError(DataError):
    """A directory holds the result of another request."""


class OutputError(DataError):
    """An output cannot be written."""


class InterruptedRunError(BiostyleError):
    """The run was stopped on request and can be resumed."""

    exit_code = 4
