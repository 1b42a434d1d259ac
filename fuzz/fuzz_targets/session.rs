//! A session under any bytes of the client and any acts of the caller: no panic, output is whole
//! packets of the server, acknowledgements never come before the caller's word, and once it is over
//! it stays over.
//!
//! The input is a list of steps: a byte that chooses, then what the step needs.

#![no_main]

use landfall_protocol::packet::PublishProperties;
use landfall_protocol::session::{Accept, Delivery, Event, Session};
use landfall_protocol::{Limits, QoS, ReasonCode, Version, codec};
use libfuzzer_sys::fuzz_target;

struct Driver {
    session: Session,
    limits: Limits,
    now: u64,
    unread: Vec<u8>,
    /// QoS 1 and 2 publishes seen, and first acknowledgements written.
    published: usize,
    acknowledged: usize,
}

fuzz_target!(|input: &[u8]| {
    let mut driver = Driver {
        session: Session::new(0),
        limits: Limits::default(),
        now: 0,
        unread: Vec::new(),
        published: 0,
        acknowledged: 0,
    };
    let mut rest = input;
    while let Some((&choice, after)) = rest.split_first() {
        rest = driver.step(choice, after);
        driver.check_output();
    }
});

impl Driver {
    fn step<'i>(&mut self, choice: u8, rest: &'i [u8]) -> &'i [u8] {
        match choice % 8 {
            0..=2 => {
                let (length, rest) = rest.split_first().unwrap_or((&0, rest));
                let (bytes, rest) = rest.split_at(rest.len().min(usize::from(*length)));
                self.unread.extend_from_slice(bytes);
                self.read();
                return rest;
            }
            3 => self.session.accepted(self.now, &self.limits, self.session.last_sequence()),
            4 => {
                let sequence = self.session.last_sequence().saturating_sub(u64::from(choice / 8));
                self.session.refuse_publish(sequence, ReasonCode::NOT_AUTHORIZED, Some("no".into()));
                self.session.accepted(self.now, &self.limits, 0);
            }
            5 => {
                let properties = PublishProperties::default();
                let qos = if choice >= 128 { QoS::AtLeastOnce } else { QoS::AtMostOnce };
                let delivery = Delivery { topic: "t", qos, payload: b"x", properties };
                let _ = self.session.deliver(delivery, u64::from(choice));
            }
            6 => {
                self.now += u64::from(choice) * 100;
                self.session.handle_timeout(&self.limits, self.now);
            }
            _ if choice >= 248 => self.session.close(ReasonCode::SERVER_SHUTTING_DOWN),
            _ => self.session.set_reading(self.now, choice >= 128),
        }
        self.read();
        rest
    }

    fn read(&mut self) {
        let was_over = self.session.closed();
        while let Some((used, event)) =
            self.session.handle_input(&self.limits, self.now, &self.unread)
        {
            assert!(was_over.is_none(), "input after the end");
            assert!(used > 0 && used <= self.unread.len());
            let mut accept = false;
            match event {
                Event::Connect(_) => accept = true,
                Event::Publish(_, publish) if publish.qos != QoS::AtMostOnce => self.published += 1,
                _ => {}
            }
            self.unread.drain(..used);
            if accept {
                self.session.accept(&self.limits, self.now, Accept::default());
            }
        }
        assert!(was_over.is_none() || self.session.closed() == was_over);
    }

    fn check_output(&mut self) {
        let output = std::mem::take(self.session.output());
        let version = self.session.version();
        let mut rest = &output[..];
        while !rest.is_empty() {
            let raw = codec::split(rest, u32::MAX).expect("framed").expect("whole");
            codec::decode_from_server(&raw, version).expect("a packet of a server");
            // A repeated PUBREC answers a repeated publish, so only PUBACK is counted.
            self.acknowledged += usize::from(raw.first == 0x40);
            rest = &rest[raw.size..];
        }
        assert!(self.acknowledged <= self.published);
        assert!(self.session.waiting() <= self.published);
        if version != Version::V5 {
            let window = usize::from(self.limits.receive_maximum.get());
            assert!(self.session.waiting() <= window);
        }
    }
}
