"""Generates the cluster link's Python messages; run by `make proto`.

flyteidl2 ships descriptors and no .proto files, so protoc reads its imports from a descriptor set made of those.
"""

from __future__ import annotations

import sys
import tempfile
from importlib import import_module
from pathlib import Path

from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import FileDescriptor
from grpc_tools import protoc

ROOT = Path(__file__).parent
PROTO = "signalbox_wire/cluster/v1/cluster.proto"
IMPORTED = ("common.identifier_pb2", "task.run_pb2", "task.task_definition_pb2", "workflow.run_definition_pb2")


def imported_descriptors() -> descriptor_pb2.FileDescriptorSet:
    """Every file that cluster.proto imports, dependencies first."""
    files = descriptor_pb2.FileDescriptorSet()
    seen: set[str] = set()

    def add(file: FileDescriptor) -> None:
        if file.name in seen:
            return
        seen.add(file.name)
        for dependency in file.dependencies:
            add(dependency)
        file.CopyToProto(files.file.add())

    for module in IMPORTED:
        add(import_module(f"flyteidl2.{module}").DESCRIPTOR)
    for module in ("duration_pb2", "timestamp_pb2"):
        add(import_module(f"google.protobuf.{module}").DESCRIPTOR)
    return files


def main() -> int:
    with tempfile.NamedTemporaryFile(suffix=".binpb") as descriptors:
        descriptors.write(imported_descriptors().SerializeToString())
        descriptors.flush()
        return protoc.main(
            [
                "protoc",
                f"--descriptor_set_in={descriptors.name}",
                f"--proto_path={ROOT}",
                f"--python_out={ROOT}",
                f"--pyi_out={ROOT}",
                str(ROOT / PROTO),
            ]
        )


if __name__ == "__main__":
    sys.exit(main())
