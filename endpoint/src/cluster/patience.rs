//! How long several instances' answers are waited for.

use std::future::Future;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, timeout_at};

/// Who can know nothing is waited for at least so much longer than those that may.
const MORE: Duration = Duration::from_millis(50);

/// What has been answered, and answers that may still come.
pub(super) struct Answers<A, F> {
    pub(super) given: Vec<A>,
    pub(super) open: FuturesUnordered<F>,
}

/// Waits for all answers of instances that may know something (`true`), which each end by themselves; and
/// for those of the others as long again, so that one that hangs holds up nobody whom it does not
/// concern. If none may know anything, all are waited for.
pub(super) async fn collect<A, F: Future<Output = (bool, A)>>(
    asked: impl IntoIterator<Item = (bool, F)>,
) -> Answers<A, F> {
    let began = Instant::now();
    let mut likely = 0_usize;
    let mut open = FuturesUnordered::new();
    for (may_know, answer) in asked {
        likely += usize::from(may_know);
        open.push(answer);
    }
    let (mut given, mut until) = (Vec::new(), None);
    loop {
        let next = match until {
            Some(until) => timeout_at(until, open.next()).await,
            None => Ok(open.next().await),
        };
        let Ok(Some((may_know, answer))) = next else {
            return Answers { given, open };
        };
        given.push(answer);
        if may_know {
            likely = likely.saturating_sub(1);
            if likely == 0 {
                until = Some(Instant::now() + began.elapsed().max(MORE));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Instances by whether they may know something, and how long they take; who has answered, and after
    /// how long nobody was waited for any more.
    async fn answers(instances: &[(bool, Duration)]) -> (Vec<usize>, Duration, usize) {
        let asked = instances.iter().enumerate();
        let asked = asked.map(|(number, (may_know, takes))| {
            let answer = async move {
                sleep(*takes).await;
                (*may_know, number)
            };
            (*may_know, answer)
        });
        let began = Instant::now();
        let Answers { given, open } = collect(asked).await;
        (given, began.elapsed(), open.len())
    }

    #[tokio::test(start_paused = true)]
    async fn who_hangs_and_knows_nothing_is_waited_for_as_long_again_as_the_others_took() {
        let (at_once, slow) = (Duration::from_millis(2), Duration::from_millis(200));
        let all = [(false, SECOND), (true, at_once), (true, slow)];
        assert_eq!(answers(&all).await, (vec![1, 2], slow * 2, 1));
        let all = [(false, SECOND), (true, at_once)];
        assert_eq!(answers(&all).await, (vec![1], at_once + MORE, 1));
        let all = [(false, slow), (true, slow - at_once)];
        assert_eq!(answers(&all).await, (vec![1, 0], slow, 0), "in time");
    }

    #[tokio::test(start_paused = true)]
    async fn who_may_know_something_is_waited_for() {
        let all = [(false, Duration::ZERO), (true, SECOND)];
        assert_eq!(answers(&all).await, (vec![0, 1], SECOND, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn if_none_may_know_anything_all_are_waited_for() {
        let all = [(false, Duration::ZERO), (false, SECOND)];
        assert_eq!(answers(&all).await, (vec![0, 1], SECOND, 0));
        assert_eq!(answers(&[]).await, (Vec::new(), Duration::ZERO, 0));
    }
}
