"""Load message classes from a .proto file, without generated code.

A set of compiled descriptors beside the file (`<name>.binpb`) is used instead of compiling; archives carry one, so that
a worker starts without protoc. The descriptors live in a pool of their own: tritonclient and KServe define the same
package `inference` in protobuf's default pool, and a second definition there fails in any process that uses both.
"""

from __future__ import annotations

import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

COMPILED_SUFFIX = ".binpb"


class ProtoPackage:
    """The messages and services of one .proto file, by their names inside its package."""

    def __init__(self, package: str, file_set: descriptor_pb2.FileDescriptorSet) -> None:
        self.package = package
        self.pool = descriptor_pool.DescriptorPool()
        for file in file_set.file:
            self.pool.Add(file)

    def __getattr__(self, message_name: str) -> Any:
        if message_name.startswith("_"):
            raise AttributeError(message_name)
        try:
            descriptor = self.pool.FindMessageTypeByName(f"{self.package}.{message_name}")
        except KeyError:
            raise AttributeError(f"package {self.package} has no message {message_name}") from None
        message_class = message_factory.GetMessageClass(descriptor)
        setattr(self, message_name, message_class)
        return message_class


@lru_cache
def load_proto(path: Path) -> ProtoPackage:
    """Load the messages of a .proto file: from its compiled descriptors, or compiled in memory (about 15 ms).

    Raises:
        ValueError: the file does not compile; protoc has printed why.
    """
    compiled = path.with_suffix(COMPILED_SUFFIX)
    data = compiled.read_bytes() if compiled.exists() else compile_proto(path)
    file_set = descriptor_pb2.FileDescriptorSet.FromString(data)
    return ProtoPackage(file_set.file[-1].package, file_set)


def compile_proto(path: Path) -> bytes:
    """Compile a .proto file to a serialized FileDescriptorSet.

    Raises:
        ValueError: the file does not compile; protoc has printed why.
    """
    import grpc_tools
    from grpc_tools import protoc

    well_known = Path(grpc_tools.__file__).parent / "_proto"
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "descriptors"
        arguments = ["protoc", f"-I{path.parent}", f"-I{well_known}", "--include_imports"]
        if protoc.main([*arguments, f"--descriptor_set_out={output}", path.name]) != 0:
            raise ValueError(f"{path} is not a valid .proto file")
        return output.read_bytes()


@lru_cache(maxsize=1024)  # lengths repeat
def encode_varint(value: int) -> bytes:
    """Encode a number from 0 up as protobuf has it: seven bits a byte, the lowest first."""
    data = bytearray()
    while value > 0x7F:
        data.append(value & 0x7F | 0x80)
        value >>= 7
    data.append(value)
    return bytes(data)
