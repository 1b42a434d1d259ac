//! Readers that wait for what is not there yet.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use super::super::Closed;
use super::*;

/// Remembers that it was woken.
#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a_waiting_reader_is_woken_by_its_own_application_only() {
    let fixture = Fixture::new();
    let sink = fixture.open();
    publish_numbers(&sink, "app", 2);
    let flag = Arc::new(Flag::default());
    let waker = Waker::from(Arc::clone(&flag));
    let mut context = Context::from_waker(&waker);
    let mut waiting = pin!(sink.reader().wait_for_new("app", 2));
    assert_eq!(waiting.as_mut().poll(&mut context), Poll::Pending);

    publish_numbers(&sink, "other", 1);
    assert!(!flag.0.load(Ordering::SeqCst));
    assert_eq!(waiting.as_mut().poll(&mut context), Poll::Pending);

    publish_numbers(&sink, "app", 1);
    assert!(flag.0.load(Ordering::SeqCst));
    assert_eq!(waiting.as_mut().poll(&mut context), Poll::Ready(Ok(())));
}

#[tokio::test]
async fn what_comes_between_page_and_waiting_is_not_missed() {
    let fixture = Fixture::new();
    let sink = fixture.open();
    let reader = sink.reader();
    let page = reader.read("app", None, 10, usize::MAX).unwrap();
    publish_numbers(&sink, "app", 1);
    let waited = reader.wait_for_new("app", page.next_offset()).await;
    assert_eq!(waited, Ok(()));
}

#[tokio::test]
async fn closing_ends_all_waiting() {
    let fixture = Fixture::new();
    let sink = fixture.open();
    publish_numbers(&sink, "app", 1);
    let reader = sink.reader();
    let waiting: Vec<_> = ["app", "nobody"]
        .map(|name| tokio::spawn(reader.wait_for_new(name, 1)))
        .into_iter()
        .collect();
    tokio::task::yield_now().await;
    close(&sink);
    for waiting in waiting {
        assert_eq!(waiting.await.unwrap(), Err(Closed));
    }
    assert_eq!(reader.wait_for_new("app", 1).await, Err(Closed));
}

#[test]
fn waiting_for_names_that_have_no_events_leaves_nothing_behind() {
    let fixture = Fixture::new();
    let sink = fixture.open();
    let mut context = Context::from_waker(Waker::noop());
    for index in 0..100 {
        let name = format!("nobody{index}");
        let mut first = Box::pin(sink.reader().wait_for_new(&name, 0));
        let mut second = Box::pin(sink.reader().wait_for_new(&name, 0));
        assert_eq!(first.as_mut().poll(&mut context), Poll::Pending);
        assert_eq!(second.as_mut().poll(&mut context), Poll::Pending);
        drop(first);
        assert_eq!(sink.shared.tails.len(), 1);
        drop(second);
        assert_eq!(sink.shared.tails.len(), 0);
    }
}
