//! `health`: asks the daemon beside it whether it is alive. For the health checks of containers, whose image has nothing else to ask with.
use super::{DONE, WRONG};
use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

/// A daemon that does not answer in so long does not get its work done either.
const PATIENCE: Duration = Duration::from_secs(3);
/// The most that is read of an answer.
const ANSWER_MAX: u64 = 4096;

/// Options of `health`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit codes: 0 alive; 1 not, and restarting it is the remedy. The same as GET /healthz.")]
pub struct Args {
    /// Where `serve` listens.
    #[arg(long, value_name = "ADDRESS", env = "FINDINGS_ROUTER_LISTEN", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
}

/// Runs the command.
pub fn run(args: &Args) -> u8 {
    let why = match ask(args.listen, PATIENCE) {
        Ok(answer) if answer.starts_with("HTTP/1.1 200 ") => return DONE,
        Ok(answer) => answer.split_once("\r\n\r\n").map_or("its answer is no HTTP", |(_, body)| body.trim()).to_owned(),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
            format!("no answer within {} s", PATIENCE.as_secs())
        }
        Err(error) => error.to_string(),
    };
    anstream::eprintln!("health: the daemon at {} is not alive: {why}", args.listen);
    WRONG
}

fn ask(address: SocketAddr, patience: Duration) -> io::Result<String> {
    let mut daemon = TcpStream::connect_timeout(&address, patience)?;
    daemon.set_read_timeout(Some(patience))?;
    daemon.set_write_timeout(Some(patience))?;
    // In one piece: who answers after the first part and hangs up breaks the pipe of the second.
    daemon.write_all(format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    daemon.take(ANSWER_MAX).read_to_string(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{net::TcpListener, thread};

    /// What the command makes of a daemon that answers so, after it was asked for its health.
    fn of(answer: &'static str) -> u8 {
        let daemon = TcpListener::bind("127.0.0.1:0").unwrap();
        let listen = daemon.local_addr().unwrap();
        let asked = thread::spawn(move || {
            let (mut stream, _) = daemon.accept().unwrap();
            let mut request = [0; 512];
            let length = stream.read(&mut request).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        let code = run(&Args { listen });
        assert!(asked.join().unwrap().starts_with("GET /healthz HTTP/1.1\r\n"));
        code
    }

    #[test]
    fn only_a_daemon_that_says_so_is_alive() {
        assert_eq!(of("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok\n"), DONE);
        assert_eq!(of("HTTP/1.1 503 Service Unavailable\r\n\r\nthe poll loop has been stuck\n"), WRONG);
        assert_eq!(of("HTTP/1.1 404 Not Found\r\n\r\n"), WRONG);
        assert_eq!(of("200"), WRONG);
        assert_eq!(of(""), WRONG);
    }

    #[test]
    fn nobody_there_or_nobody_who_answers() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let listen = silent.local_addr().unwrap();
        assert!(ask(listen, Duration::from_millis(50)).is_err());
        drop(silent);
        assert_eq!(run(&Args { listen }), WRONG);
    }
}
