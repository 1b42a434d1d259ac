//! What the sessions report of a command, as the one outcome that its sender is told.

use std::time::Duration;

use landfall_protocol::QoS;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::{
    Answer, Command, CommandError, CommandReport, Delivered, Outcome, SessionFailure, SessionReport,
};

/// Waits until the device has answered, if that is wanted, else until every session has reported, or
/// until the deadline. Once one session has taken the command, the others have `stragglers` left.
/// `own` is the name of this instance.
///
/// # Errors
///
/// [`CommandError`]: why nobody is known to have taken it. That nobody has it is said only if every
/// session says so.
pub(super) async fn gather(
    command: &Command,
    mut reports: mpsc::UnboundedReceiver<SessionReport>,
    (mut deadline, stragglers): (Instant, Duration),
    own: &str,
) -> Result<CommandReport, CommandError> {
    let mut gathered = Gathered::default();
    while gathered.answer.is_none() {
        match timeout_at(deadline, reports.recv()).await {
            Ok(Some(report)) => {
                if gathered.take(report, command, own) {
                    deadline = deadline.min(Instant::now() + stragglers);
                }
            }
            Ok(None) => break,
            Err(_) => {
                gathered.is_silent = true;
                break;
            }
        }
    }
    gathered.outcome(command.correlation.is_some())
}

#[derive(Default)]
struct Gathered {
    deliveries: Vec<Delivered>,
    answer: Option<Answer>,
    failure: Option<SessionFailure>,
    /// A session may have written it, and says nothing more.
    is_silent: bool,
}

impl Gathered {
    /// True: a session has taken the command.
    fn take(&mut self, report: SessionReport, command: &Command, own: &str) -> bool {
        match report {
            SessionReport::Settled {
                via,
                instance,
                qos,
                latency,
                result: Ok(()),
            } => {
                self.deliveries.push(Delivered {
                    device: command.device.to_string(),
                    via: via.to_string(),
                    qos: qos as u8,
                    instance: instance.as_deref().unwrap_or(own).to_owned(),
                    latency,
                });
                return true;
            }
            SessionReport::Settled {
                result: Err(failure),
                ..
            } => self.failure = self.failure.max(Some(failure)),
            SessionReport::Lost => self.is_silent = true,
            SessionReport::Answered(answer) => self.answer = Some(answer),
        }
        false
    }

    fn outcome(self, wants_answer: bool) -> Result<CommandReport, CommandError> {
        let outcome = if self.answer.is_some() {
            // A device may answer before it acknowledges.
            Outcome::Answered
        } else if self.deliveries.is_empty() {
            let failure = self.failure.filter(|_| !self.is_silent);
            return Err(failure.map_or(CommandError::NoAcknowledgement, Into::into));
        } else if wants_answer {
            return Err(CommandError::NoAnswer);
        } else if self
            .deliveries
            .iter()
            .any(|d| d.qos == QoS::AtLeastOnce as u8)
        {
            Outcome::Acknowledged
        } else {
            Outcome::Sent
        };
        Ok(CommandReport {
            deliveries: self.deliveries,
            answer: self.answer,
            ..CommandReport::of(outcome)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use landfall_protocol::ReasonCode;

    use super::*;
    use crate::command::{CommandRequest, Handed};

    fn command() -> Arc<Command> {
        let request = CommandRequest {
            application: "app".to_owned(),
            device: "d".to_owned(),
            command: "set".to_owned(),
            payload: Bytes::new(),
            content_type: None,
            user_properties: Vec::new(),
            expiry: None,
            timeout: Duration::from_secs(1),
            wants_answer: false,
        };
        Arc::new(Command::of(request).unwrap())
    }

    /// What the sender is told when so many sessions have the command, and `act` on it.
    async fn told<const N: usize>(
        act: impl FnOnce([Handed; N]) -> Vec<Handed>,
    ) -> Result<Outcome, CommandError> {
        let command = command();
        let (reporter, reports) = mpsc::unbounded_channel();
        let hand = |_| Handed::new(&command, &reporter, &"via".into(), false);
        let kept = act(std::array::from_fn(hand));
        drop(reporter);
        let until = (Instant::now() + Duration::from_secs(1), Duration::ZERO);
        let result = gather(&command, reports, until, "one").await;
        drop(kept);
        result.map(|report| report.outcome)
    }

    fn fails(handed: Handed, failure: SessionFailure) {
        handed.report(QoS::AtMostOnce, Err(failure));
    }

    #[tokio::test(start_paused = true)]
    async fn that_nobody_has_it_is_not_said_while_a_session_is_silent() {
        for failure in [
            SessionFailure::Gone,
            SessionFailure::NotSelected,
            SessionFailure::Unavailable,
        ] {
            let result = told(|[silent, other]| {
                fails(other, failure);
                vec![silent]
            });
            assert_eq!(result.await, Err(CommandError::NoAcknowledgement));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn that_nobody_has_it_is_not_said_when_a_session_has_lost_it() {
        let result = told(|[lost, other]| {
            drop(lost);
            fails(other, SessionFailure::Gone);
            Vec::new()
        });
        assert_eq!(result.await, Err(CommandError::NoAcknowledgement));
    }

    #[tokio::test(start_paused = true)]
    async fn of_several_failures_the_one_that_tells_most_is_told_whichever_comes_last() {
        let ranked = [
            SessionFailure::Gone,
            SessionFailure::TooLarge,
            SessionFailure::Unavailable,
            SessionFailure::Refused(ReasonCode(0x83)),
        ];
        for pair in ranked.windows(2) {
            for (first, last) in [(pair[0], pair[1]), (pair[1], pair[0])] {
                let result = told(|[one, two]| {
                    fails(one, first);
                    fails(two, last);
                    Vec::new()
                });
                assert_eq!(result.await, Err(pair[1].into()));
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_taken_it_counts_whatever_the_others_say() {
        let result = told(|[taken, gone, lost, silent]| {
            taken.report(QoS::AtLeastOnce, Ok(()));
            fails(gone, SessionFailure::Gone);
            drop(lost);
            vec![silent]
        });
        assert_eq!(result.await, Ok(Outcome::Acknowledged));
    }
}
