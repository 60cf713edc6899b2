//! A server in this process, and a client that speaks just enough HTTP: one request per connection.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use onefold_bank::{Bank, http};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long a test waits for an answer before it gives up.
const PATIENCE: Duration = Duration::from_secs(20);

/// A bank that is served on a port of its own.
pub(crate) struct Server {
    runtime: Runtime,
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<anyhow::Result<()>>,
    data: TempDir,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// The entity tag.
    pub(crate) etag: Option<String>,
    /// JSON, or null.
    pub(crate) body: serde_json::Value,
}

impl Server {
    /// With a new, empty bank.
    pub(crate) fn start() -> Self {
        Self::start_in(tempfile::tempdir().expect("a temporary directory"))
    }

    /// With the bank in `data`.
    pub(crate) fn start_in(data: TempDir) -> Self {
        let runtime = Runtime::new().expect("a tokio runtime");
        let (stop, stopped) = oneshot::channel();
        let (address, serving) = runtime.block_on(async {
            let bank = Bank::open(&data.path().join("bank")).await.expect("a bank");
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let address = listener.local_addr().expect("an address");
            let stopped = async { drop(stopped.await) };
            (address, tokio::spawn(http::serve(bank, listener, stopped)))
        });
        Server { runtime, address, stop, serving, data }
    }

    /// Stops gracefully; gives the data back.
    pub(crate) fn stop(self) -> TempDir {
        self.stop.send(()).expect("the server still runs");
        let served = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, self.serving).await });
        served.expect("a graceful end in time").expect("no panic").expect("a clean end");
        self.data
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], "")
    }

    pub(crate) fn post(&self, path: &str, body: &str) -> Reply {
        self.send("POST", path, &[], body)
    }

    /// A connection that says nothing yet.
    pub(crate) fn connect(&self) -> TcpStream {
        let connection = TcpStream::connect(self.address).expect("a connection");
        connection.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        connection
    }

    pub(crate) fn send(&self, method: &str, path: &str, headers: &[&str], body: &str) -> Reply {
        let mut connection = self.connect();
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: bank\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n{headers}\r\n"
        );
        connection.write_all(format!("{head}{body}").as_bytes()).expect("to send");
        let mut reply = String::new();
        connection.read_to_string(&mut reply).expect("an answer");
        Reply::parse(&reply)
    }
}

impl Reply {
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let headers = head.lines().filter_map(|line| line.split_once(": "));
        let etag = headers.filter(|(name, _)| name.eq_ignore_ascii_case("etag")).map(|(_, tag)| tag.to_owned()).next();
        Reply { status, etag, body: serde_json::from_str(body).unwrap_or_default() }
    }
}
