"""List what an image holds as CycloneDX: run by its own Python, with this file as standard input.

Read from what is installed, not from what was asked for: Debian's packages, the wheels, and the Java made by jlink.
"""

import json
import subprocess
from importlib.metadata import Distribution, distributions
from pathlib import Path
from urllib.parse import quote

VENV = "/app/.venv"
JAVA = "/opt/java"


def list_debian() -> list[dict[str, object]]:
    """List Debian's packages with the source that each was built from."""
    release = read_values(Path("/etc/os-release"))
    query = "${Package}\t${Version}\t${Architecture}\t${source:Package}\n"
    found = subprocess.run(
        ["dpkg-query", "--show", f"--showformat={query}"], capture_output=True, text=True, check=True
    )
    components: list[dict[str, object]] = []
    for line in found.stdout.splitlines():
        name, version, architecture, source = line.split("\t")
        distro = f"{release['ID']}-{release['VERSION_ID']}"
        url = f"pkg:deb/{release['ID']}/{name}@{quote(version)}?arch={architecture}&distro={distro}&upstream={source}"
        components.append(describe(name, version, url))
    return components


def list_wheels(folder: Path) -> list[dict[str, object]]:
    """List the installed distributions of an environment."""
    found = {wheel.name.lower().replace("_", "-"): wheel for wheel in find_wheels(folder)}
    return [
        describe(wheel.name, wheel.version, f"pkg:pypi/{name}@{quote(wheel.version)}")
        for name, wheel in sorted(found.items())
    ]


def find_wheels(folder: Path) -> list[Distribution]:
    paths = [str(path) for path in folder.glob("lib/python3*/site-packages")]
    return list(distributions(path=paths))


def list_java(folder: Path) -> list[dict[str, object]]:
    """List the Java of an image, which jlink made of modules; nothing where there is none."""
    if not folder.exists():
        return []
    release = read_values(folder / "release")
    version = release["JAVA_RUNTIME_VERSION"] if "JAVA_RUNTIME_VERSION" in release else release["JAVA_VERSION"]
    java = describe("openjdk", version, f"pkg:generic/openjdk@{quote(version)}")
    return [java | {"properties": [{"name": "modules", "value": release["MODULES"]}]}]


def read_values(path: Path) -> dict[str, str]:
    """Read lines of NAME="value"."""
    pairs = (line.partition("=") for line in path.read_text().splitlines() if "=" in line)
    return {name: value.strip('"') for name, _, value in pairs}


def describe(name: str, version: str, url: str) -> dict[str, object]:
    """Make a component; its package URL is its identity."""
    return {"type": "library", "bom-ref": url, "name": name, "version": version, "purl": url}


def main() -> None:
    components = [*list_debian(), *list_wheels(Path(VENV)), *list_java(Path(JAVA))]
    bill = {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": components}
    print(json.dumps(bill, indent=1))


if __name__ == "__main__":
    main()
