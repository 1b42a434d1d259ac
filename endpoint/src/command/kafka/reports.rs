//! What librdkafka reports, on its own threads: whether brokers are there, and who has which partition.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rdkafka::consumer::{BaseConsumer, ConsumerContext, Rebalance};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::{ClientContext, Offset, Statistics, TopicPartitionList};

use super::membership::{Membership, Standing};
use super::offsets::Offsets;
use crate::command::presence::Presence;

/// Where they go.
pub(super) struct Reports {
    offsets: Offsets,
    presence: Arc<Presence>,
    /// Why there is no broker, and librdkafka's words about it.
    cause: Mutex<Option<(&'static str, String)>>,
    membership: Mutex<Membership>,
}

/// Why there is no broker, where nothing tells more.
const NO_CONNECTION: &str = "no connection to the brokers";

impl Reports {
    pub(super) fn new(offsets: Offsets, presence: Arc<Presence>) -> Self {
        Self {
            offsets,
            presence,
            cause: Mutex::default(),
            membership: Mutex::default(),
        }
    }

    /// An error that the consumer goes on after.
    pub(super) fn hear(&self, error: &KafkaError) {
        self.membership().hear(error);
    }

    /// A record has come.
    pub(super) fn take_note(&self) {
        self.membership().may_read();
    }

    fn membership(&self) -> MutexGuard<'_, Membership> {
        let membership = self.membership.lock();
        membership.unwrap_or_else(PoisonError::into_inner)
    }

    fn cause(&self) -> MutexGuard<'_, Option<(&'static str, String)>> {
        self.cause.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self, statistics: &Statistics) {
        let brokers = &mut statistics.brokers.values();
        if !brokers.any(|broker| broker.state == "UP") {
            let may_connect_yet = self.membership().is_cut_off();
            let cause = self.cause().clone();
            return match cause {
                Some((cause, details)) => self.presence.away(cause, &details),
                None if may_connect_yet => self.presence.pause(),
                None => self.presence.away(NO_CONNECTION, ""),
            };
        }
        let Some(group) = &statistics.cgrp else {
            return;
        };
        let standing = self.membership().look(group);
        match standing {
            Standing::In => {
                *self.cause() = None;
                self.presence.here();
            }
            Standing::Waiting => {}
            Standing::Out { cause, details } => self.presence.away(cause, &details),
        }
    }
}

impl ClientContext for Reports {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "Kafka client");
        let mut cause = self.cause();
        *cause = match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::Authentication) => {
                Some(("the brokers refuse the log-in", reason.to_owned()))
            }
            Some(RDKafkaErrorCode::SSL) => {
                Some(("no TLS connection to the brokers", reason.to_owned()))
            }
            Some(RDKafkaErrorCode::Resolve) => Some(("no broker has that name", reason.to_owned())),
            // Also what follows on each of the others.
            Some(RDKafkaErrorCode::BrokerTransportFailure) if cause.is_none() => {
                Some((NO_CONNECTION, reason.to_owned()))
            }
            _ => return,
        };
    }

    fn stats(&self, statistics: Statistics) {
        self.look(&statistics);
    }
}

impl ConsumerContext for Reports {
    fn pre_rebalance(&self, _consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(list) = rebalance {
            for element in list.elements() {
                let place = (element.topic().to_owned(), element.partition());
                self.offsets.lose(&place);
            }
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, offsets: &TopicPartitionList) {
        if result.is_err() {
            return;
        }
        for element in offsets.elements() {
            if let (Ok(()), Offset::Offset(offset)) = (element.error(), element.offset()) {
                let place = (element.topic().to_owned(), element.partition());
                self.offsets.committed(&place, offset);
            }
        }
    }

    fn post_rebalance(&self, _consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(list) = rebalance {
            tracing::debug!(
                partitions = list.count(),
                "the command source has partitions"
            );
            // Without any, it may be that it must not have them.
            if list.count() > 0 {
                self.membership().may_read();
                self.presence.here();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use prometheus::IntGauge;
    use rdkafka::statistics::{Broker, ConsumerGroup};

    use super::super::membership::CONNECTING;
    use super::*;

    fn statistics(broker: &str, join: &str) -> Statistics {
        let broker = Broker {
            state: broker.to_owned(),
            ..Broker::default()
        };
        Statistics {
            brokers: HashMap::from([("b".to_owned(), broker)]),
            cgrp: Some(ConsumerGroup {
                join_state: join.to_owned(),
                ..ConsumerGroup::default()
            }),
            ..Statistics::default()
        }
    }

    #[test]
    fn a_source_is_there_while_a_broker_is_and_the_group_has_let_it_in() {
        let up = IntGauge::new("up", "up").unwrap();
        let presence = Arc::new(Presence::new("s", up.clone()));
        let reports = Reports::new(Offsets::default(), presence);
        let look = |broker: &str, join: &str| {
            reports.look(&statistics(broker, join));
            up.get()
        };
        assert_eq!(look("UP", "wait-join"), 0);
        assert_eq!(look("UP", "steady"), 1);
        assert_eq!(look("DOWN", "steady"), 0);
        assert_eq!(look("UP", "wait-join"), 0);
        assert_eq!(look("UP", "steady"), 1);
    }

    #[test]
    fn a_connection_has_a_moment_to_come_about_before_it_is_said_to_be_missing() {
        let up = IntGauge::new("up", "up").unwrap();
        let presence = Arc::new(Presence::new("s", up));
        let reports = Reports::new(Offsets::default(), Arc::clone(&presence));
        for _ in 1..CONNECTING {
            reports.look(&statistics("TRY_CONNECT", "init"));
            assert!(presence.has_said_nothing());
        }
        reports.look(&statistics("TRY_CONNECT", "init"));
        assert!(!presence.has_said_nothing());
    }

    #[test]
    fn that_the_log_in_is_refused_is_not_hidden_by_the_lost_connection_that_follows() {
        let up = IntGauge::new("up", "up").unwrap();
        let presence = Arc::new(Presence::new("s", up));
        let reports = Reports::new(Offsets::default(), presence);
        for code in [
            RDKafkaErrorCode::Authentication,
            RDKafkaErrorCode::BrokerTransportFailure,
        ] {
            reports.error(KafkaError::Global(code), "words");
        }
        let cause = reports.cause().clone();
        assert_eq!(cause.unwrap().0, "the brokers refuse the log-in");
        reports.look(&statistics("UP", "steady"));
        assert!(reports.cause().is_none());
    }
}
