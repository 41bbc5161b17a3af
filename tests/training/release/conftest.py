import numpy as np
import pytest
import torch

ROWS = torch.export.Dim("rows", min=1, max=16)


class Net(torch.nn.Module):
    """A small convolutional network that calls one ReLU twice: x [N, 3, 8, 8] → {"y": [N, 10]}."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first = torch.nn.Conv2d(3, 16, 3, padding=1)
        self.second = torch.nn.Conv2d(16, 16, 3, padding=1)
        self.relu = torch.nn.ReLU()
        self.head = torch.nn.Linear(16, 10)

    def forward(self, x):
        x = self.relu(self.first(x))
        x = self.relu(self.second(x) + x)
        return {"y": self.head(x.mean((2, 3)))}


@pytest.fixture(scope="session")
def program_file(tmp_path_factory):
    """A user's exported program."""
    path = tmp_path_factory.mktemp("programs") / "net.pt2"
    exported = torch.export.export(Net().eval(), (torch.randn(4, 3, 8, 8),), dynamic_shapes={"x": {0: ROWS}})
    torch.export.save(exported, path)
    return path


@pytest.fixture(scope="session")
def calibration_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("calibration") / "rows.npz"
    np.savez(path, x=np.random.default_rng(0).standard_normal((128, 3, 8, 8)).astype(np.float32))
    return path


@pytest.fixture
def save(tmp_path):
    """Export a module with dynamic shapes and save it; returns the file."""

    def save(module, *inputs, dynamic_shapes="rows"):
        if dynamic_shapes == "rows":
            dynamic_shapes = tuple({0: ROWS} for _ in inputs)
        path = tmp_path / "program.pt2"
        torch.export.save(torch.export.export(module.eval(), inputs, dynamic_shapes=dynamic_shapes), path)
        return path

    return save
