"""What the exit status of every command means.

0 done; 1 it was tried and failed; 2 it was asked for wrongly (an option, a name or a file that is not there or does not
fit) and nothing was tried; 130 stopped by Ctrl-C.
"""

from __future__ import annotations

FAILED, WRONGLY_ASKED, STOPPED = 1, 2, 130
_FILES = (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError)
_ASKING = (ValueError, LookupError, *_FILES)


def exit_status_of(error: BaseException) -> int:
    """Choose the status of a command that an error ended."""
    from model_store.signing import VerificationError  # Imported late: it loads cryptography, which clients need not

    if isinstance(error, KeyboardInterrupt):
        return STOPPED
    return WRONGLY_ASKED if isinstance(error, _ASKING) and not isinstance(error, VerificationError) else FAILED
