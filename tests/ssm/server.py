"""Plays AWS Systems Manager Automation, and the STS that leads to its accounts, on loopback, while standard input is open.

    server.py FOLDER [--documents FOLDER] [--catalogue FOLDER]     prints its URL once it answers

FOLDER keeps the installation of requirements.txt. README.md says what is played, and what tests can ask of it.
"""
import argparse, re, socket, struct, threading, time, traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from installed import end_with_input, enter

CREDENTIAL = re.compile(r"AWS4-HMAC-SHA256 .*?Credential=(\w{1,128})/\d{8}/([a-z0-9-]{1,32})/([a-z0-9-]{1,32})/aws4_request")


class Closed(Exception):
    """The connection ends here, without an answer."""


class Handler(BaseHTTPRequestHandler):
    protocol_version, server_version, disable_nagle_algorithm, wbufsize = "HTTP/1.1", "ssm", True, 1 << 16

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            if self.path.startswith("/_test/"):
                kind, (status, answer) = "application/json", control.answer(self.server.world, self.path, body)
            elif "X-Amz-Target" in self.headers:
                kind, (status, answer) = "application/x-amz-json-1.1", self.ssm(body)
            else:
                kind, (status, answer) = "text/xml", sts.answer(self.server.world.memory, *self.credential("sts"), body)
        except Closed:
            # A reset, as when a machine dies, and not an orderly end.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            return self.connection.close()
        except Exception:
            traceback.print_exc()
            kind, status, answer = "text/plain", 500, traceback.format_exc().encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(answer)))
        self.send_header("x-amzn-RequestId", protocol.request_id())
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST

    def credential(self, service):
        """The access key and Region that the request is signed for."""
        match = CREDENTIAL.match(self.headers.get("Authorization", ""))
        if not match:
            raise protocol.Refusal("MissingAuthenticationTokenException", "Missing Authentication Token")
        if match[3] != service:
            raise protocol.Refusal("InvalidSignatureException", f"Credential should be scoped to correct service: '{service}'.")
        return match[1], match[2], self.headers.get("X-Amz-Security-Token")

    def ssm(self, body):
        world = self.server.world
        operation = self.headers["X-Amz-Target"].removeprefix(protocol.TARGET)
        try:
            key, region, token = self.credential("ssm")
            account, caller = sts.account_of(world.memory, key, token)
            if operation not in automation.OPERATIONS:
                known = operation in protocol.MODEL.operation_names
                raise protocol.Refusal("UnknownOperationException", f"tests/ssm does not play {operation}" if known else "")
        except protocol.Refusal as refusal:
            return protocol.error(operation, refusal)
        return world.serve(operation, account, region, caller, body)

    def log_message(self, *_):
        pass


class World:
    """The server's memory, its documents, and how one request goes."""

    def __init__(self, documents_folder, catalogue):
        self.memory, self.library = state.Memory(), documents.Library(documents_folder, catalogue)

    def serve(self, operation, account, region, caller, body):
        with state.LOCK:
            place, settings = self.memory.place(account, region), self.memory.accounts[account]
            entry = {"account": account, "region": region, "operation": operation, "input": None, "at": time.time(),
                     "caller": caller, "execution": None, "began": False, "error": None}
            self.memory.calls.append(entry)
            script = control.take_script(settings, region, operation)
        time.sleep(script.get("delay_ms", 0) / 1000)
        with state.LOCK:
            before = set(place.executions)
            try:
                # What is scripted is said before the request is read; a call that was too much is not read either.
                entry["input"] = protocol.loose(body)
                if script.get("close") == "before":
                    entry["error"] = "closed before the work"
                    raise Closed
                if "error" in script:
                    raise protocol.Refusal(script["error"], script.get("message", ""), script.get("status"))
                if settings.quotas and not place.within_rate(operation):
                    raise protocol.Refusal("ThrottlingException", "Rate exceeded")
                entry["input"] = protocol.read(operation, body)
                value = automation.OPERATIONS[operation](self.memory, self.library, place, caller, entry["input"])
                entry["execution"] = value.get("AutomationExecutionId") or entry["input"].get("AutomationExecutionId")
                answer = 200, protocol.answer(operation, value)
            except protocol.Refusal as refusal:
                entry["error"] = refusal.code
                answer = protocol.error(operation, refusal)
            entry["began"] = set(place.executions) != before
            if script.get("close") == "after":
                entry["error"] = "closed after the work"
                raise Closed
        return answer


class Server(ThreadingHTTPServer):
    daemon_threads, request_queue_size = True, 128

    def __init__(self, world):
        super().__init__(("127.0.0.1", 0), Handler)
        self.world = world

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


def start(documents_folder=None, catalogue=None):
    """A server that answers, in a thread of this process."""
    aws.start()
    server = Server(World(documents_folder or documents.OWN, catalogue or documents.CATALOGUE))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder")
    parser.add_argument("--documents", help="our own documents (infra/runbooks)")
    parser.add_argument("--catalogue", help="AWS's documents (router/runbooks)")
    return parser.parse_args()


if __name__ == "__main__":
    end_with_input()
    given = arguments()
    enter(given.folder)

import automation, aws, control, documents, protocol, state, sts

if __name__ == "__main__":
    print(start(given.documents, given.catalogue).url, flush=True)
    threading.Event().wait()
