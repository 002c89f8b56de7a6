"""Slack, played on loopback: takes messages and edits as the Web API does, and keeps them. (Its limits are judged in tests/src/live/slack.)"""
import http.server, json, threading, time, urllib.parse

TOKEN, SIGNING_SECRET = "xoxb-the-double", "the-signing-secret-of-the-double"
SCOPES = "chat:write,chat:write.public,channels:history,groups:history,channels:read,groups:read,usergroups:read"


class Slack:
    """A workspace with every channel that somebody posts to."""

    def __init__(self):
        self.messages, self.calls, self.lock = [], [], threading.Lock()
        slack = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                url = urllib.parse.urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                arguments = dict(urllib.parse.parse_qsl(url.query)) | (json.loads(body) if body else {})
                answer = json.dumps(slack.answer(url.path.rsplit("/", 1)[-1], self.headers.get("Authorization"), arguments)).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.send_header("x-oauth-scopes", SCOPES)
                self.end_headers()
                self.wfile.write(answer)

            do_POST = do_GET

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/api"

    def environment(self):
        """Where a program finds it; and that it need not wait a second between two messages of a channel."""
        return {"SLACK_API_URL": self.url, "SLACK_PACE_MS": "0"}

    def answer(self, method, authorization, arguments):
        with self.lock:
            self.calls.append((method, arguments))
            if authorization != f"Bearer {TOKEN}":
                return {"ok": False, "error": "invalid_auth"}
            call = METHODS.get(method)
            return call(self, arguments) if call else {"ok": False, "error": "unknown_method"}

    def cards(self):
        """What was posted into channels, and not into a thread; newest last."""
        with self.lock:
            return [dict(message) for message in self.messages if not message.get("thread_ts")]

    def replies(self, card):
        with self.lock:
            return [dict(message) for message in self.messages if message.get("thread_ts") == card["ts"]]


def name_of(channel):
    """A channel's id is made of its name."""
    return channel.removeprefix("C0").lower() if channel.startswith("C0") else channel.lstrip("#")


def channel(name):
    return {"id": "C0" + name.upper(), "name": name, "is_channel": True, "is_private": False, "is_archived": False, "is_member": True}


def post(slack, arguments):
    ts = f"{time.time():.6f}"
    while any(message["ts"] == ts for message in slack.messages):
        ts = f"{float(ts) + 0.000001:.6f}"
    name = name_of(arguments["channel"])
    slack.messages.append({**arguments, "ts": ts, "channel": name, "edits": 0})
    return {"ok": True, "ts": ts, "channel": channel(name)["id"], "message": {"ts": ts, "text": arguments.get("text", "")}}


def update(slack, arguments):
    for message in slack.messages:
        if message["ts"] == arguments["ts"]:
            message |= {key: value for key, value in arguments.items() if key != "channel"} | {"edits": message["edits"] + 1}
            return {"ok": True, "ts": message["ts"], "channel": arguments["channel"], "text": message.get("text", "")}
    return {"ok": False, "error": "message_not_found"}


def history(slack, arguments):
    name, thread = name_of(arguments["channel"]), arguments.get("ts")
    found = [m for m in slack.messages if m["channel"] == name and (thread in (m["ts"], m.get("thread_ts")) if thread else not m.get("thread_ts"))]
    return {"ok": True, "messages": found, "has_more": False, "response_metadata": {"next_cursor": ""}}


METHODS = {
    "auth.test": lambda slack, arguments: {"ok": True, "url": "https://double.slack.com/", "team": "Double", "team_id": "T00000001",
                                           "user": "findings", "user_id": "U00000001", "bot_id": "B00000001"},
    "chat.postMessage": post,
    "chat.update": update,
    "chat.postEphemeral": lambda slack, arguments: {"ok": True, "message_ts": f"{time.time():.6f}"},
    "conversations.history": history,
    "conversations.replies": history,
    "conversations.info": lambda slack, arguments: {"ok": True, "channel": channel(name_of(arguments["channel"]))},
    "conversations.list": lambda slack, arguments: {"ok": True, "channels": [channel("security")], "response_metadata": {"next_cursor": ""}},
    "views.open": lambda slack, arguments: {"ok": True, "view": arguments["view"]},
}
