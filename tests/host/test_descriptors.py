"""The limit of open descriptors."""

import subprocess
import sys

SCRIPT = """
import resource
from host.descriptors import allow_many_descriptors
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
assert allow_many_descriptors() == hard
print(resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard))
"""


def test_the_limit_becomes_the_highest_allowed():
    assert subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True).stdout == "True\n"
