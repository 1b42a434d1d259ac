//! A page in headless Chromium, and the web server that it comes from.

use std::env;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, geteuid};
use tempfile::TempDir;

use super::node::packages;
use crate::harness::log::Log;
use crate::harness::process::Process;
use crate::tools::authority::Issued;

/// The names of Chromium, the smallest package first.
const NAMES: [&str; 4] = [
    "chromium-headless-shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
];

/// A browser with one page open; it ends when dropped.
pub(crate) struct Page {
    process: Process,
    _profile: TempDir,
    /// What the page writes to its console, among what the browser itself has to say.
    pub(crate) log: Log,
}

impl Page {
    /// Opens a page in a browser that knows nothing yet, and trusts these certificates.
    pub(crate) fn open(url: &str, trusted: &[&Issued]) -> Self {
        let profile = TempDir::new().expect("a temporary folder");
        let mut command = Command::new(program());
        command
            .args(["--headless", "--disable-gpu", "--disable-dev-shm-usage"])
            .args(["--no-first-run", "--disable-background-networking"])
            .args(["--no-proxy-server", "--enable-logging=stderr"])
            // Else it ends as soon as the page is loaded.
            .arg("--remote-debugging-port=0")
            .arg(format!("--user-data-dir={}", profile.path().display()))
            // It is several processes, and a script before them.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if geteuid().is_root() {
            // Its sandbox wants a user.
            command.arg("--no-sandbox");
        }
        let keys: Vec<_> = trusted.iter().map(|issued| key_hash(issued)).collect();
        if !keys.is_empty() {
            let keys = keys.join(",");
            command.arg(format!("--ignore-certificate-errors-spki-list={keys}"));
        }
        let mut process = Process::spawn(command.arg(url));
        let log = Log::default();
        log.follow(process.child().stdout.take().expect("a piped stream"));
        log.follow(process.child().stderr.take().expect("a piped stream"));
        Self {
            process,
            _profile: profile,
            log,
        }
    }

    /// Where the browser takes orders: a WebSocket's URL.
    pub(crate) fn devtools(&self) -> String {
        let line = self.log.wait_for(0, &["DevTools listening on ws://"]);
        let url = line.split(' ').find(|word| word.starts_with("ws://"));
        url.expect("a URL in the line that announces it").to_owned()
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        let group = i32::try_from(self.process.id()).expect("a process id");
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
}

/// `./tests/run` installs it.
fn program() -> PathBuf {
    let on_path = |name: &&str| {
        let path = env::var_os("PATH").unwrap_or_default();
        env::split_paths(&path).any(|folder| folder.join(name).is_file())
    };
    let found = || NAMES.iter().find(|name| on_path(name)).map(PathBuf::from);
    found().unwrap_or_else(|| panic!("none of {NAMES:?} is there; ./tests/run installs one"))
}

/// SHA-256 of a certificate's public key, as Chromium wants it.
fn key_hash(issued: &Issued) -> String {
    let certificate = openssl::x509::X509::from_pem(issued.chain.as_bytes()).unwrap();
    let key = certificate.public_key().unwrap();
    BASE64_STANDARD.encode(openssl::sha::sha256(&key.public_key_to_der().unwrap()))
}

/// Serves `tests/clients/node/page.html` and what it needs; the port.
pub(crate) fn serve_page() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = listener.local_addr().expect("a bound socket").port();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || answer(stream));
        }
    });
    port
}

/// Answers one request, and closes.
fn answer(mut stream: TcpStream) {
    let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
    let Some(request) = lines.next() else { return };
    // The rest of the request, so that the answer is not reset.
    lines.take_while(|line| !line.is_empty()).for_each(drop);
    let target = request.split(' ').nth(1).unwrap_or_default();
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/clients/node");
    let (file, kind) = match target.split('?').next() {
        Some("/page.html") => (scripts.join("page.html"), "text/html"),
        Some("/session.mjs") => (scripts.join("session.mjs"), "text/javascript"),
        Some("/mqtt.js") => (
            packages().join("node_modules/mqtt/dist/mqtt.min.js"),
            "text/javascript",
        ),
        _ => {
            let _ = stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
            return;
        }
    };
    let body = std::fs::read(&file)
        .unwrap_or_else(|error| panic!("{}: {error}; ./tests/run installs it", file.display()));
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(&[head.as_bytes(), &body].concat());
}
