//! How many events came when, out of the index alone: no event is read.

use super::database::from_sql;
use super::error::ReadError;
use super::reader::LogReader;

/// Rows that are looked at for one answer: at most as many group commits.
const MOST_ROWS: usize = 100_000;

/// Events of one application in periods of equal length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// Events that were committed in each period, the oldest first.
    pub counts: Vec<u64>,
}

/// Periods of equal length, side by side.
#[derive(Clone, Copy, Debug)]
pub struct Periods {
    /// Where the last one ends, in microseconds since the epoch.
    pub end: u64,
    /// Length of each, in microseconds; at least 1.
    pub length: u64,
    /// How many.
    pub count: usize,
}

impl Periods {
    /// The period that an instant falls into, counted from the oldest. `None`: before all of them.
    /// What is later than the last one, as by another clock, counts as the last one's.
    fn of(&self, time: u64) -> Option<usize> {
        let back = self.end.saturating_sub(time).saturating_sub(1) / self.length.max(1);
        let back = usize::try_from(back).ok()?;
        self.count.checked_sub(back.checked_add(1)?)
    }
}

impl LogReader {
    /// How many events of the application were committed in each of the periods. Of an application
    /// that nobody knows: none.
    ///
    /// Looks at the newest 100,000 commits at most; what is older counts as nothing.
    ///
    /// # Errors
    ///
    /// [`ReadError::Database`].
    pub fn history(&self, application: &str, periods: Periods) -> Result<History, ReadError> {
        self.with_connection(|connection| {
            let transaction = connection.transaction()?;
            let mut statement = transaction.prepare_cached(
                "SELECT count, time FROM batch
                 WHERE application = (SELECT id FROM application WHERE name = ?1)
                 ORDER BY first DESC",
            )?;
            let mut rows = statement.query([application])?;
            let mut counts = vec![0_u64; periods.count];
            for _ in 0..MOST_ROWS {
                let Some(row) = rows.next()? else { break };
                let (count, time) = (from_sql(row.get(0)?), from_sql(row.get(1)?));
                let Some(period) = periods.of(time) else {
                    break;
                };
                if let Some(sum) = counts.get_mut(period) {
                    *sum += count;
                }
            }
            Ok(History { counts })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_falls_into_the_period_that_holds_it() {
        let periods = Periods {
            end: 1_000,
            length: 100,
            count: 3,
        };
        let cases = [
            (699, None),
            (700, Some(0)),
            (799, Some(0)),
            (800, Some(1)),
            (999, Some(2)),
            (1_000, Some(2)),
            (5_000, Some(2)),
        ];
        for (time, period) in cases {
            assert_eq!(periods.of(time), period, "{time}");
        }
    }
}
