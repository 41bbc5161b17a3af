import subprocess
import sys

SCRIPT = """
import host.deferred_torch, sys, torch, inspect
inspect.getmodule(len)  # looks at every module
assert "torch.random" not in sys.modules
import torch.nn
assert torch.nn.Linear(2, 3).weight.shape == torch.Size([3, 2])
print(sys.modules["torch"].__file__.endswith("__init__.py"))
"""


def test_torch_is_imported_once_something_of_it_is_used():
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr
