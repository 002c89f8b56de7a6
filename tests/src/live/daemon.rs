//! `findings-router serve`, run as an operator runs it.
use super::{http, process::Process};
use crate::harness::{self, Home};
use std::net::SocketAddr;

/// Starts `serve` in a folder, with an environment that says nothing else. The folder outlives it, so another can be
/// started on the same ledger.
#[track_caller]
pub(crate) fn serve(home: &Home, args: &[&str], env: &[(String, String)]) -> Process {
    let mut command = harness::command(home.path(), &[&["serve"], args].concat());
    command.envs(env.iter().map(|(name, value)| (name, value)));
    Process::start(command)
}

/// The status and body of a page.
#[track_caller]
pub(crate) fn get(at: SocketAddr, path: &str) -> (u16, String) {
    let (head, body) = http::ask(at, "GET", path, &[], "").unwrap_or_else(|error| panic!("GET {path}: {error}"));
    (http::status(&head), body)
}

#[cfg(test)]
mod tests {
    use super::get;
    use crate::live::process::Process;
    use std::{process::Command, time::Duration};

    #[test]
    fn a_page_is_read_from_a_running_server() {
        let script = "import http.server as h
class Hello(h.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == '/healthz' else 404)
        self.end_headers()
        self.wfile.write(b'page ' + self.path.encode())
server = h.HTTPServer(('127.0.0.1', 0), Hello)
print('listening on', server.server_port, flush=True)
server.serve_forever()";
        let mut python = Command::new("python3");
        python.args(["-c", script]);
        let process = Process::start(python);
        let line = process.wait_for_line(Duration::from_secs(10), "listening on");
        let port: u16 = line.rsplit(' ').next().and_then(|port| port.parse().ok()).expect("a port");
        assert_eq!(get(([127, 0, 0, 1], port).into(), "/healthz"), (200, "page /healthz".to_owned()));
        assert_eq!(get(([127, 0, 0, 1], port).into(), "/").0, 404);
    }
}
