//! Whether the consumer group has let this consumer in, and why not.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::statistics::ConsumerGroup;

/// So many looks, one a second, a consumer may be without its group before that is told: members come
/// and go, and all join again then.
const PATIENCE: u32 = 10;

/// So many looks may find no broker, and no reason for it, before that is told: a connection takes its
/// time.
pub(super) const CONNECTING: u32 = 4;

/// What is known of it. All of it is looked at by one thread at a time.
#[derive(Default)]
pub(super) struct Membership {
    /// Looks since it was last in the group, or had no broker.
    waits: u32,
    /// Looks since there was a broker.
    cut_off: u32,
    refusal: Option<Refusal>,
    /// What was heard last since it was in the group.
    heard: Option<String>,
}

/// What no trying mends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Refusal {
    Group,
    Topic,
}

/// Where the consumer stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// The group has let it in.
    In,
    /// Not, or not yet; that may be over in a moment.
    Waiting,
    /// Not.
    Out {
        /// For log and metrics.
        cause: &'static str,
        /// librdkafka's words.
        details: String,
    },
}

impl Membership {
    /// Where it stands; to be asked once a second while there are brokers.
    pub(super) fn look(&mut self, group: &ConsumerGroup) -> Standing {
        self.cut_off = 0;
        let is_in = group.join_state == "steady";
        if is_in && self.refusal != Some(Refusal::Topic) {
            *self = Self::default();
            return Standing::In;
        }
        let details = || {
            let state = format!("group {}, {}", group.state, group.join_state);
            match &self.heard {
                Some(heard) => format!("{heard}; {state}"),
                None if group.rebalance_reason.is_empty() => state,
                None => format!("{state}; {}", group.rebalance_reason),
            }
        };
        let cause = match self.refusal {
            Some(Refusal::Group) => "the brokers do not let it into its consumer group",
            Some(Refusal::Topic) => "the brokers do not let it read its topic",
            None if self.waits + 1 < PATIENCE => {
                self.waits += 1;
                return Standing::Waiting;
            }
            None if group.state != "up" => "its consumer group has no coordinator",
            None => "its consumer group does not let it in",
        };
        let details = details();
        Standing::Out { cause, details }
    }

    /// There is no broker, which explains all else. True: there may be one in a moment.
    pub(super) fn is_cut_off(&mut self) -> bool {
        self.waits = 0;
        self.cut_off += 1;
        self.cut_off < CONNECTING
    }

    /// An error that the consumer goes on after.
    pub(super) fn hear(&mut self, error: &KafkaError) {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::GroupAuthorizationFailed) => self.refusal = Some(Refusal::Group),
            Some(RDKafkaErrorCode::TopicAuthorizationFailed) => self.refusal = Some(Refusal::Topic),
            _ => {}
        }
        self.heard = Some(error.to_string());
    }

    /// It was given partitions, or a record: it may read.
    pub(super) fn may_read(&mut self) {
        self.refusal.take_if(|refusal| *refusal == Refusal::Topic);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(state: &str, join: &str) -> ConsumerGroup {
        ConsumerGroup {
            state: state.to_owned(),
            join_state: join.to_owned(),
            ..ConsumerGroup::default()
        }
    }

    fn error(code: RDKafkaErrorCode) -> KafkaError {
        KafkaError::MessageConsumption(code)
    }

    /// The cause, after as many looks as nobody needs to hear of.
    fn cause(membership: &mut Membership, group: &ConsumerGroup) -> &'static str {
        for _ in 1..PATIENCE {
            assert_eq!(membership.look(group), Standing::Waiting);
        }
        match membership.look(group) {
            Standing::Out { cause, .. } => cause,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_rebalance_is_told_when_it_lasts() {
        let mut membership = Membership::default();
        let waiting = group("up", "wait-sync");
        let told = cause(&mut membership, &waiting);
        assert_eq!(told, "its consumer group does not let it in");
        assert_eq!(membership.look(&group("up", "steady")), Standing::In);
        // The next one has as much time.
        let told = cause(&mut membership, &group("wait-coord", "wait-join"));
        assert_eq!(told, "its consumer group has no coordinator");
        membership.is_cut_off();
        cause(&mut membership, &waiting);
    }

    #[test]
    fn what_was_heard_is_in_the_details_until_it_is_in_the_group() {
        let mut membership = Membership::default();
        membership.hear(&error(RDKafkaErrorCode::UnknownMemberId));
        let waiting = group("up", "wait-join");
        cause(&mut membership, &waiting);
        let Standing::Out { details, .. } = membership.look(&waiting) else {
            panic!("out")
        };
        assert!(details.contains("UnknownMemberId"), "{details}");
        assert!(details.ends_with("group up, wait-join"), "{details}");
        membership.look(&group("up", "steady"));
        cause(&mut membership, &waiting);
        let Standing::Out { details, .. } = membership.look(&waiting) else {
            panic!("out")
        };
        assert_eq!(details, "group up, wait-join");
    }

    #[test]
    fn that_it_may_not_join_or_read_is_told_at_once() {
        let mut membership = Membership::default();
        membership.hear(&error(RDKafkaErrorCode::GroupAuthorizationFailed));
        let told = membership.look(&group("wait-coord", "init"));
        assert!(
            matches!(told, Standing::Out { cause, .. } if cause.contains("into its consumer group"))
        );
        assert_eq!(membership.look(&group("up", "steady")), Standing::In);

        // A member that may not read is in the group all the same.
        membership.hear(&error(RDKafkaErrorCode::TopicAuthorizationFailed));
        let told = membership.look(&group("up", "steady"));
        assert!(matches!(told, Standing::Out { cause, .. } if cause.contains("read its topic")));
        membership.may_read();
        assert_eq!(membership.look(&group("up", "steady")), Standing::In);
    }
}
