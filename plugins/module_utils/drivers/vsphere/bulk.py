"""The transport of pyvmomi, with two things of our own: an answer is one to the question and has bounds, and a long one
of the property collector is read by `light`."""

from __future__ import annotations

import http.client
import io
from typing import Any

from .. import deadline
from . import light
from .sdk import SoapAdapter

_LIMIT = 256 << 20  # bytes of one answer: a page of VMs has about 5 MB


def transport(patience: float, whole: float, **options: Any) -> Any:
    """pyvmomi's SoapStubAdapter, which asks so. `patience`: seconds of silence before an answer;
    pyvmomi's own limit is for the connection too, and that one is short. `whole`: seconds for the whole answer."""
    timed = deadline.answers(whole)

    class Stub(SoapAdapter.SoapStubAdapter):  # type: ignore[misc]
        cookie: str  # of the session

        def InvokeMethod(self, mo: Any, info: Any, args: Any, outerStub: Any = None) -> Any:  # noqa: N802,N803
            return self.asked(mo, info, args)

        def GetConnection(self) -> Any:  # noqa: N802
            connection = super().GetConnection()
            connection.response_class = timed
            if connection.sock is not None:  # else vCenter closed it after its last answer, and it is opened anew
                connection.sock.settimeout(patience)
            return connection

        def asked(self, mo: Any, info: Any, args: Any, lightly: bool = False) -> Any:
            """The answer of vCenter. Raises its fault, and ValueError for what is no answer of it."""
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
                self.cookie = answer.getheader("Set-Cookie") or self.cookie
                # What is missing has a fault, which pyvmomi reads.
                if lightly and answer.status == 200 and b"missingSet" not in content:
                    found = light.page(content, self)
                else:
                    light.check(content)
                    found = SoapAdapter.SoapResponseDeserializer(self).Deserialize(io.BytesIO(content), info.result)
                    if found is None and answer.status == 200 and f"{info.wsdlName}Response".encode() not in content:
                        raise ValueError("it is no answer to the question")
            except BaseException:
                connection.close()
                self.DropConnections()
                raise
            self.ReturnConnection(connection)
            if answer.status == 500:
                raise found if isinstance(found, Exception) else http.client.HTTPException("500 without a fault")
            return found

    return Stub(**options)


class Light:
    """Asks through `stub`, and reads the answers by `light`."""

    def __init__(self, stub: Any) -> None:
        self.stub = stub
        self.version = stub.version

    def InvokeMethod(self, mo: Any, info: Any, args: Any) -> Any:  # noqa: N802
        return self.stub.asked(mo, info, args, lightly=True)
