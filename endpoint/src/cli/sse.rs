//! Reads a stream of server-sent events (WHATWG HTML, 9.2.6).

use std::collections::VecDeque;

use super::Failure;

/// Longest line: an event of MQTT's largest payload, in base64, fits.
const MOST_LINE: usize = 512 << 20;

/// One event.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) id: String,
    pub(super) data: String,
}

/// Takes the stream in pieces of any size.
#[derive(Default)]
pub(super) struct Parser {
    line: Vec<u8>,
    after_carriage_return: bool,
    id: String,
    data: Vec<String>,
    events: VecDeque<Event>,
}

impl Parser {
    pub(super) fn push(&mut self, chunk: &[u8]) -> Result<(), Failure> {
        for &byte in chunk {
            // A line ends with CR, LF or CR LF.
            match byte {
                b'\n' if self.after_carriage_return => {}
                b'\n' | b'\r' => self.end_line(),
                byte => self.line.push(byte),
            }
            self.after_carriage_return = byte == b'\r';
        }
        if self.line.len() > MOST_LINE {
            return Err(Failure::new("the server's stream has a line without end"));
        }
        Ok(())
    }

    pub(super) fn next(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&line);
        if line.is_empty() {
            return self.dispatch();
        }
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => value.clone_into(&mut self.id),
            "data" => self.data.push(value.to_owned()),
            _ => {}
        }
    }

    fn dispatch(&mut self) {
        if !self.data.is_empty() {
            let data = std::mem::take(&mut self.data).join("\n");
            self.events.push_back(Event {
                id: self.id.clone(),
                data,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: &str, data: &str) -> Event {
        Event {
            id: id.to_owned(),
            data: data.to_owned(),
        }
    }

    #[test]
    fn reads_events_however_the_stream_is_cut() {
        let stream =
            b"retry: 1000\n\n: hello\n\nid: 7\ndata: {\"a\":1}\n\nid:8\r\ndata:x\r\ndata:y\r\n\r\n";
        let expected = [event("7", "{\"a\":1}"), event("8", "x\ny")];
        for size in 1..stream.len() {
            let mut parser = Parser::default();
            let mut events = Vec::new();
            for chunk in stream.chunks(size) {
                parser.push(chunk).unwrap();
                events.extend(std::iter::from_fn(|| parser.next()));
            }
            assert_eq!(events, expected, "in pieces of {size}");
        }
    }

    #[test]
    fn an_event_that_is_not_complete_is_not_given() {
        let mut parser = Parser::default();
        parser.push(b"id: 7\ndata: x\n").unwrap();
        assert_eq!(parser.next(), None);
    }
}
