"""What the exit status of every command means.

0 done; 1 it was tried and failed; 2 it was asked for wrongly (an option, a name or a file that is not there or does not
fit) and nothing was tried; 130 stopped by Ctrl-C.
"""

from __future__ import annotations

FAILED, WRONGLY_ASKED, STOPPED = 1, 2, 130
