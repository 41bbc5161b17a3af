"""Make the schemas in this folder from published packages; README.md says how.

The npm packages hold each project's types as TypeScript, made from its Go sources; KServe's wheel has them as Python.
Both become JSON schemas that refuse unknown fields. Patterns and bounds of numbers are not in such types.
"""

from __future__ import annotations

import ast
import json
import subprocess
import tempfile
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

FOLDER: Final = Path(__file__).parent
GENERATOR: Final = "ts-json-schema-generator@2.10.0"
CORE: Final = "kubernetes-models@5.1.0"  # what other projects' types refer to: containers, volumes, …
KSERVE: Final = "kserve==0.21.0"


class Package(NamedTuple):
    """An npm package, the group and version of its API, and the kinds that manifests here use."""

    name: str
    version: str
    api: str
    kinds: tuple[str, ...]


PACKAGES: Final = (
    Package("cert-manager", "6.0.0", "cert-manager.io/v1", ("Certificate", "Issuer")),
    Package(
        "envoy-gateway",
        "2.0.0",
        "gateway.envoyproxy.io/v1alpha1",
        ("BackendTrafficPolicy", "ClientTrafficPolicy", "EnvoyProxy", "SecurityPolicy"),
    ),
    Package(
        "gateway-api",
        "2.0.0",
        "gateway.networking.k8s.io/v1",
        ("BackendTLSPolicy", "Gateway", "GatewayClass", "GRPCRoute", "HTTPRoute"),
    ),
    Package("keda", "2.0.0", "keda.sh/v1alpha1", ("ScaledObject",)),
    Package("prometheus-operator", "6.0.0", "monitoring.coreos.com/v1", ("PodMonitor", "PrometheusRule")),
)
# Class of its Python package by API and kind.
KSERVE_KINDS: Final = {
    ("serving.kserve.io/v1alpha1", "ServingRuntime"): "V1alpha1ServingRuntime",
    ("serving.kserve.io/v1beta1", "InferenceService"): "V1beta1InferenceService",
}
_PLAIN: Final = {"str": "string", "int": "number", "float": "number", "bool": "boolean", "object": "unknown"}


def main() -> None:
    """Write one schema file for each project."""
    with tempfile.TemporaryDirectory(prefix="millrace-crds-") as scratch:
        folder = Path(scratch)
        (folder / "package.json").write_text('{"private": true, "type": "module"}')
        options = {"moduleResolution": "bundler", "module": "esnext"}
        (folder / "tsconfig.json").write_text(json.dumps({"compilerOptions": options}))
        packages = [f"@kubernetes-models/{package.name}@{package.version}" for package in PACKAGES]
        _run(folder, "npm", "install", "--silent", "--ignore-scripts", "--no-audit", GENERATOR, CORE, *packages)
        for package in PACKAGES:
            kinds = {(package.api, kind): f"I{kind}" for kind in package.kinds}
            imports = [
                f'import type {{ I{kind} }} from "@kubernetes-models/{package.name}/{package.api}/{kind}";'
                for kind in package.kinds
            ]
            _write(folder, package.name, imports, kinds)
        _run(folder, "uv", "pip", "install", "--quiet", "--no-deps", "--target", "kserve-wheel", KSERVE)
        models = folder / "kserve-wheel" / "kserve" / "models"
        _write(folder, "kserve", _translate_kserve(models, folder / "node_modules" / "kubernetes-models"), KSERVE_KINDS)


def _write(folder: Path, name: str, types: Sequence[str], kinds: Mapping[tuple[str, str], str]) -> None:
    """Have a schema made of each kind, and write them as one file, a line for each."""
    lines = [
        f'export interface {kind} extends Omit<{base}, "status"> {{ "apiVersion": "{api}"; "kind": "{kind}"; }}'
        for (api, kind), base in kinds.items()
    ]
    (folder / f"{name}.ts").write_text("\n".join([*types, *lines]))
    # --expose none: as definitions types would go by their names, and projects have one name for several types.
    options = ["--path", f"{name}.ts", "--tsconfig", "tsconfig.json", "--no-type-check", "--jsDoc", "none"]
    made = json.loads(_run(folder, "npx", "ts-json-schema-generator", *options, "--expose", "none"))["definitions"]
    schemas = {
        f"{schema['properties']['apiVersion']['const']} {schema['properties']['kind']['const']}": schema
        for schema in made.values()
        if "const" in schema.get("properties", {}).get("kind", {})
    }
    text = ",\n".join(f"{json.dumps(key)}: {json.dumps(schemas[key], sort_keys=True)}" for key in sorted(schemas))
    (FOLDER / f"{name}.json").write_text(f"{{\n{text}\n}}\n")


def _translate_kserve(models: Path, core: Path) -> list[str]:
    """Translate KServe's generated Python classes into TypeScript; core types come from the npm package."""
    classes: dict[str, tuple[dict[str, str], dict[str, str], set[str]]] = {}
    for path in sorted(models.glob("v*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef):
                classes[node.name] = _read_class(node)
    lines: list[str] = []
    borrowed: set[str] = set()
    for name, (types, keys, required) in sorted(classes.items()):
        fields = []
        for attribute, kind in types.items():
            text, names = _translate_type(kind, classes.keys(), core)
            borrowed |= names
            fields.append(f'  "{keys[attribute]}"{"" if attribute in required else "?"}: {text};')
        lines += [f"export interface {name} {{", *fields, "}"]
    imports = [f'import type {{ I{name} }} from "kubernetes-models/v1/{name}";' for name in sorted(borrowed)]
    return [*imports, *lines]


def _read_class(node: ast.ClassDef) -> tuple[dict[str, str], dict[str, str], set[str]]:
    """Read the types and JSON names of a class's attributes, and which of them its setters refuse to leave out."""
    tables = {
        target.id: ast.literal_eval(item.value)
        for item in node.body
        if isinstance(item, ast.Assign)
        for target in item.targets
        if isinstance(target, ast.Name)
    }
    required = {
        item.name
        for item in node.body
        if isinstance(item, ast.FunctionDef) and "must not be `None`" in ast.unparse(item)
    }
    return tables["openapi_types"], tables["attribute_map"], required


def _translate_type(kind: str, known: Container[str], core: Path) -> tuple[str, set[str]]:
    if kind.startswith("list["):
        inner, names = _translate_type(kind[5:-1], known, core)
        return f"Array<{inner}>", names
    if kind.startswith("dict("):
        inner, names = _translate_type(kind[5:-1].partition(", ")[2], known, core)
        return f"Record<string, {inner}>", names
    if kind in _PLAIN or kind in known:
        return _PLAIN.get(kind, kind), set()
    name = kind.removeprefix("V1")
    if (core / "v1" / f"{name}.d.ts").exists():
        return f"I{name}", {name}
    return "unknown", set()


def _run(folder: Path, *command: str) -> str:
    return subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main()
