"""The transport of pyvmomi, with one thing of our own: answers of the property collector are freed of what nobody
here reads before they are parsed. pyvmomi makes an object of each element, and most elements are of devices that every
VM has and of what its guest keeps in the extra configuration.

Only what is known to be of no use is left out, by its name: a kind of device that is not in the list stays.
"""

from __future__ import annotations

import http.client
import io
import re
from typing import Any

from .sdk import SoapAdapter

_BULK = ("RetrievePropertiesEx", "ContinueRetrievePropertiesEx")
_LIMIT = 256 << 20  # bytes of one answer: a page of VMs has about 5 MB
_DEVICES = (
    "VirtualPS2Controller", "VirtualPCIController", "VirtualSIOController", "VirtualKeyboard", "VirtualPointingDevice",
    "VirtualMachineVideoCard", "VirtualMachineVMCIDevice",
)  # fmt: skip
# Neither holds one of its kind, and text in XML has no bare '<': what is between the tags is the whole element.
_DEVICE = re.compile(
    rb"<VirtualDevice\s[^>]*?type=\"(?:" + "|".join(_DEVICES).encode() + rb")\"[^>]*>.*?</VirtualDevice>", re.DOTALL
)
_OPTION = re.compile(rb"<OptionValue\b[^>]*>\s*<key>guestinfo\.[^<]*</key>.*?</OptionValue>", re.DOTALL)


def slim(answer: bytes) -> bytes:
    """An answer of the property collector, as XML, without what nobody reads."""
    return _OPTION.sub(b"", _DEVICE.sub(b"", answer))


def transport(patience: float, **options: Any) -> Any:
    """pyvmomi's SoapStubAdapter, which reads long answers so. `patience`: seconds of silence before an answer;
    pyvmomi's own limit is for the connection too, and that one is short."""

    class Stub(SoapAdapter.SoapStubAdapter):  # type: ignore[misc]
        def InvokeMethod(self, mo: Any, info: Any, args: Any, outerStub: Any = None) -> Any:  # noqa: N802,N803
            if info.wsdlName not in _BULK or outerStub is not None:
                return super().InvokeMethod(mo, info, args, outerStub)
            return self.bulk(mo, info, args)

        def GetConnection(self) -> Any:  # noqa: N802
            connection = super().GetConnection()
            if connection.sock is not None:  # else vCenter closed it after its last answer, and it is opened anew
                connection.sock.settimeout(patience)
            return connection

        def bulk(self, mo: Any, info: Any, args: Any) -> Any:
            """The answer to a question to the property collector. Raises its fault."""
            headers = {"Cookie": self.cookie, "SOAPAction": self.versionId, "Content-Type": "text/xml; charset=UTF-8"}
            connection = self.GetConnection()
            try:
                connection.request("POST", self.path, self.SerializeRequest(mo, info, args), headers)
                answer = connection.getresponse()
                content = answer.read(_LIMIT + 1)
                if answer.status not in (200, 500):
                    raise http.client.HTTPException(f"{answer.status} {answer.reason}")
                if len(content) > _LIMIT:
                    raise http.client.HTTPException(f"an answer of more than {_LIMIT >> 20} MiB")
                reader = SoapAdapter.SoapResponseDeserializer(self)
                found = reader.Deserialize(io.BytesIO(slim(content)), info.result)
            except BaseException:
                connection.close()
                self.DropConnections()
                raise
            self.ReturnConnection(connection)
            if answer.status == 500:
                raise found if isinstance(found, Exception) else http.client.HTTPException("500 without a fault")
            return found

    return Stub(**options)
