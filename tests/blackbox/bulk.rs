//! Documents in bulk over a real connection: both directions at once.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::harness::Server;
use crate::harness::documents::APP;
use crate::harness::wait;

/// A request whose body is sent in chunks (RFC 9112, 7.1), by hand.
struct Upload {
    stream: TcpStream,
    answer: BufReader<TcpStream>,
}

impl Upload {
    fn start(server: &Server) -> Self {
        let port = server.api_port();
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(wait::DEADLINE)).unwrap();
        let token = server.token();
        let head = format!(
            "POST /api/registry/v1alpha1/bulk HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\
             Authorization: Bearer {token}\r\nContent-Type: application/x-ndjson\r\n\
             Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let answer = BufReader::new(stream.try_clone().unwrap());
        Self { stream, answer }
    }

    fn send(&mut self, chunk: &str) {
        write!(self.stream, "{:x}\r\n{chunk}\r\n", chunk.len()).unwrap();
    }

    fn end(&mut self) {
        self.stream.write_all(b"0\r\n\r\n").unwrap();
    }

    /// The next line of the answer that is JSON; `None` at its end.
    fn line(&mut self) -> Option<Value> {
        let mut line = String::new();
        while self.answer.read_line(&mut line).unwrap() > 0 {
            // Head and chunk sizes are no objects.
            match serde_json::from_str::<Value>(&line) {
                Ok(value) if value.is_object() => return Some(value),
                _ => line.clear(),
            }
        }
        None
    }
}

fn devices(numbers: std::ops::Range<usize>) -> String {
    let lines = numbers.map(|number| {
        let metadata = json!({ "name": format!("d{number}"), "application": APP });
        format!("{}\n", json!({ "metadata": metadata }))
    });
    lines.collect()
}

#[test]
fn a_batch_is_written_and_told_before_the_next_one_comes() {
    let server = Server::builder().start_with(APP, &[]);
    let mut upload = Upload::start(&server);
    upload.send(&devices(0..1000));
    let told = upload.line().unwrap();
    assert_eq!(told["created"], 1000, "{told}");
    let device = "/api/registry/v1alpha1/apps/app/devices/d999";
    server.api().get(device).expect_status(200);
    upload.send(&devices(1000..1001));
    upload.end();
    assert_eq!(upload.line().unwrap()["created"], 1);
    let last = upload.line().unwrap();
    assert_eq!(
        (&last["created"], &last["done"]),
        (&json!(1001), &json!(true))
    );
    assert_eq!(upload.line(), None);
}

#[test]
fn an_upload_that_breaks_off_keeps_what_was_written_and_the_server_goes_on() {
    let server = Server::builder().start_with(APP, &[]);
    let mut upload = Upload::start(&server);
    upload.send(&devices(0..1500));
    assert_eq!(upload.line().unwrap()["created"], 1000);
    drop(upload);
    let device = |number| format!("/api/registry/v1alpha1/apps/app/devices/d{number}");
    server.api().get(&device(999)).expect_status(200);
    server.api().get(&device(1000)).expect_status(404);
    let mut again = Upload::start(&server);
    again.send(&devices(0..1500));
    again.end();
    let last = std::iter::from_fn(|| again.line()).last().unwrap();
    assert_eq!(
        (&last["created"], &last["unchanged"]),
        (&json!(500), &json!(1000))
    );
}
