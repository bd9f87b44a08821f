"""A proxy between the driver and the vCenter simulator that does one terrible thing at the call that it is told."""

from __future__ import annotations

import http.client
import re
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# What can happen to a call. Those of `HEARD` reach vCenter, and only the answer is lost.
HEARD = ("answer dropped", "answer cut short", "silence", "HTML for an answer")
# "gone" is from then on, as where the controller is killed: nobody cleans up.
UNHEARD = ("gone", "dropped", "HTML", "503", "redirect", "busy", "session ended")
FAULTS = (*HEARD, *UNHEARD, "a lie")
_LOGIN_PAGE = b"<html><head><title>Sign in</title></head><body><form action='/login'>&nbsp;</form></body></html>"
_HEADERS = ("Content-Type", "SOAPAction", "Authorization", "vmware-api-session-id")
_REST = "/rest/com/vmware/cis/"
_METHOD = re.compile(rb"<(?:\w+:)?Body>\s*<(\w+)")
_COOKIE = re.compile(r'vmware_soap_session="?([^";]+)')


def _fault(kind: str, detail: str = "") -> bytes:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"'
        ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body><soapenv:Fault>'
        f"<faultcode>ServerFaultCode</faultcode><faultstring>{kind}</faultstring><detail>"
        f'<{kind}Fault xmlns="urn:vim25" xsi:type="{kind}">{detail}</{kind}Fault>'
        "</detail></soapenv:Fault></soapenv:Body></soapenv:Envelope>"
    ).encode()


_BUSY = _fault("TaskInProgress", '<task type="Task">task-of-others</task>')


class Proxy:
    """Passes on what it hears. `arm` makes call `at` (from 1) meet `fault`; `calls` are the methods since then."""

    def __init__(self, upstream: str, certificate: str, key: str) -> None:
        self.upstream, self.calls = upstream, list[str]()
        self.fault, self.at, self.struck = "", 0, False
        self.ended: set[str] = set()
        self.last_task = b""
        self.silences = (b"", 0)  # a part of a call, and how many such calls are dropped
        self.lock = threading.Lock()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.context.check_hostname, self.context.verify_mode = False, ssl.CERT_NONE
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self) -> None:
                super().setup()
                self.behind: http.client.HTTPSConnection | None = None

            def do_POST(self) -> None:
                proxy.handle(self, self.rfile.read(int(self.headers["Content-Length"] or 0)))

            def do_GET(self) -> None:
                proxy.handle(self, b"")

            def do_DELETE(self) -> None:
                proxy.handle(self, b"")

            def finish(self) -> None:
                if self.behind is not None:
                    self.behind.close()
                super().finish()

            def log_message(self, *_arguments: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.address = f"127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(30)

    def arm(self, fault: str = "", at: int = 0) -> None:
        self.fault, self.at, self.struck, self.calls = fault, at, False, []

    def handle(self, handler: Any, body: bytes) -> None:
        """One call: pass it on, or let its fault happen."""
        found = _METHOD.search(body)
        method = found.group(1).decode() if found else "?"
        if handler.path.startswith("/nfc/"):  # the bytes of a disk
            method = f"NFC {handler.command}"
        if handler.path.startswith(_REST):  # without the id of what is asked about
            method = f"{handler.command} {handler.path.removeprefix(_REST).partition(':')[0]}"
        with self.lock:
            self.calls.append(method)
            part, left = self.silences
            if left and part in body:
                self.silences = (part, left - 1)
                handler.close_connection = True
                return
            fault = self.fault if len(self.calls) == self.at else ""
            if self.fault == "gone" and self.at and len(self.calls) > self.at:
                fault = "gone"
        its = _COOKIE.search(handler.headers.get("Cookie") or "")
        if fault == "session ended" and its and method != "Login":
            self.ended.add(its.group(1))
            self.struck = True
        if fault == "busy" and (method.endswith("_Task") or method == "ShutdownGuest"):
            self.struck = True
            _answer(handler, 500, _BUSY)
            return
        if fault == "a lie" and method.endswith("_Task") and self.last_task:
            self.struck = True  # it says that it has done what it was asked for, and names a task of before
            _answer(handler, 200, self.last_task.replace(b"LIE_Task", method.encode()))
            return
        if fault in ("gone", "dropped", "HTML", "503", "redirect"):
            self.struck = True
            if fault in ("gone", "dropped"):
                handler.close_connection = True
            elif fault == "HTML":
                _answer(handler, 200, _LOGIN_PAGE, "text/html")
            elif fault == "503":
                _answer(handler, 503, b"")
            else:
                _answer(handler, 302, b"", Location="https://127.0.0.1:1/sdk")
            return
        status, headers, content = self._pass_on(handler, body, its.group(1) if its else "")
        if status == 200 and method.endswith("_Task"):
            self.last_task = content.replace(method.encode(), b"LIE_Task")
        if fault in HEARD:
            self.struck = True
        if fault == "a byte flipped":  # of a disk's bytes alone: XML would show it by itself
            self.struck, half = True, len(content) // 2
            content = content[:half] + bytes([content[half] ^ 1]) + content[half + 1 :]
        if fault == "answer dropped":
            handler.close_connection = True
        elif fault == "answer cut short":
            handler.send_response(status)
            handler.send_header("Content-Length", str(len(content)))
            handler.end_headers()
            handler.wfile.write(content[: len(content) // 2])
            handler.close_connection = True
        elif fault == "silence":
            handler.rfile.read(1)  # until the other side has enough of it
            handler.close_connection = True
        elif fault == "HTML for an answer":
            _answer(handler, 200, _LOGIN_PAGE, "text/html")
        else:
            _answer(handler, status, content, **headers)

    def _pass_on(self, handler: Any, body: bytes, session: str) -> tuple[int, dict[str, str], bytes]:
        if handler.behind is None:
            host, _colon, port = self.upstream.partition(":")
            handler.behind = http.client.HTTPSConnection(host, int(port), context=self.context, timeout=60)
        headers = {key: handler.headers[key] for key in _HEADERS if handler.headers.get(key)}
        if session and session not in self.ended:
            headers["Cookie"] = handler.headers["Cookie"]
        handler.behind.request(handler.command, handler.path, body, headers)
        answer = handler.behind.getresponse()
        cookie = answer.getheader("Set-Cookie")
        return answer.status, {"Set-Cookie": cookie} if cookie else {}, answer.read()


def _answer(handler: Any, status: int, content: bytes, kind: str = "text/xml", **headers: str) -> None:
    handler.send_response(status)
    for key, value in {"Content-Type": kind, "Content-Length": str(len(content)), **headers}.items():
        handler.send_header(key, value)
    handler.end_headers()
    handler.wfile.write(content)
