"""What an edge in front has found out of who calls.

Anybody can send a header, so it counts only on connections of peers that the operator has named, by an address or by
the subject of the certificate that they have proven to own. The edge takes the headers off what comes from outside.

Where the edge asks for a key or a token it says whose that was. Of those who show a certificate alone it passes on the
subject. Source: x-forwarded-client-cert as Envoy writes it.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from services.gateway.caller import Caller

HEADER: Final = "x-client"
CERTIFICATE_HEADER: Final = "x-forwarded-client-cert"
MAX_NAME_CHARS: Final = 256
# Elements are separated by commas, each one hop's; their fields by semicolons; quotes hide both.
_QUOTED: Final = r'"(?:[^"\\]|\\.)*"'
_ELEMENT: Final = re.compile(rf'(?:[^,"]|{_QUOTED})+')
_SUBJECT: Final = re.compile(rf"(?:^|;)\s*Subject=({_QUOTED})")


class TrustedEdges:
    """The peers whose word about a caller's name is taken."""

    def __init__(self, text: str) -> None:
        """`text`: networks, addresses and certificates' subjects (RFC 4514), separated by semicolons.

        Raises:
            ValueError: a part is none of them.
        """
        self._networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        self._subjects: set[str] = set()
        for part in filter(None, (part.strip() for part in text.split(";"))):
            if "=" in part:
                self._subjects.add(part)
                continue
            try:
                self._networks.append(ipaddress.ip_network(part))
            except ValueError:
                raise ValueError(
                    f"MILLRACE_TRUSTED_EDGES: {part!r} is neither a network or address (10.1.0.0/16) nor the subject "
                    "of a certificate (CN=edge); separate them by ';'"
                ) from None

    def find_name(self, caller: Caller) -> str:
        """Find the name that a trusted edge gives to who asks; '' where there is none."""
        name = caller.header(HEADER) or read_subject(caller.header(CERTIFICATE_HEADER))
        if not name or len(name) > MAX_NAME_CHARS or not self._trusts(caller):
            return ""
        return name

    def _trusts(self, caller: Caller) -> bool:
        if caller.certificate in self._subjects:
            return True
        try:
            address = ipaddress.ip_address(caller.peer.rpartition(":")[0].strip("[]"))
        except ValueError:
            return False
        return any(address in network for network in self._networks)


def read_subject(header: str) -> str:
    """Read whose certificate the nearest hop has seen; '' where it says nothing of that."""
    elements = _ELEMENT.findall(header)
    found = _SUBJECT.search(elements[-1]) if elements else None
    return re.sub(r"\\(.)", r"\1", found[1][1:-1]) if found else ""
