//! Points in time, and their RFC 3339 text.

use std::time::{SystemTime, UNIX_EPOCH};

/// Microseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub u64);

/// Bytes of [`Timestamp::rfc3339`].
pub const RFC3339_LEN: usize = 27;

const MICROS_PER_SECOND: u64 = 1_000_000;
const SECONDS_PER_DAY: u64 = 86_400;
/// 9999-12-31T23:59:59.999999Z: RFC 3339 has four digits for the year.
const LATEST: u64 = 253_402_300_799_999_999;

/// Days from 0000-03-01 to 1970-01-01.
const MARCH_YEAR_ZERO: u64 = 719_468;
const DAYS_PER_400_YEARS: u64 = 146_097;
const DAYS_PER_100_YEARS: u64 = 36_524;
const DAYS_PER_4_YEARS: u64 = 1_461;

impl Timestamp {
    /// The wall clock, now. A clock set before 1970 reads as the epoch.
    #[must_use]
    pub fn now() -> Self {
        SystemTime::now().into()
    }

    /// Whole milliseconds since the epoch.
    #[must_use]
    pub fn as_millis(self) -> u64 {
        self.0 / 1_000
    }

    /// `2026-11-05T12:34:56.123456Z`. Later than the year 9999 reads as its last microsecond.
    #[must_use]
    pub fn rfc3339(self) -> [u8; RFC3339_LEN] {
        let micros = self.0.min(LATEST);
        let seconds = micros / MICROS_PER_SECOND;
        let (year, month, day) = civil_date(seconds / SECONDS_PER_DAY);
        let second_of_day = seconds % SECONDS_PER_DAY;

        let mut text = *b"0000-00-00T00:00:00.000000Z";
        let [
            y1,
            y2,
            y3,
            y4,
            _,
            m1,
            m2,
            _,
            d1,
            d2,
            _,
            h1,
            h2,
            _,
            n1,
            n2,
            _,
            s1,
            s2,
            _,
            f @ ..,
            _,
        ] = &mut text;
        put_two([y1, y2], year / 100);
        put_two([y3, y4], year % 100);
        put_two([m1, m2], month);
        put_two([d1, d2], day);
        put_two([h1, h2], second_of_day / 3_600);
        put_two([n1, n2], second_of_day / 60 % 60);
        put_two([s1, s2], second_of_day % 60);
        let mut fraction = micros % MICROS_PER_SECOND;
        for digit in f.iter_mut().rev() {
            *digit = ascii_digit(fraction % 10);
            fraction /= 10;
        }
        text
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(u64::try_from(since_epoch.as_micros()).unwrap_or(u64::MAX))
    }
}

/// Year, month and day of the proleptic Gregorian calendar, for days since the Unix epoch.
///
/// Counts in years that start on 1 March: then every leap day is the last day of its year, of its
/// four years and of its 400 years, and the shorter century is the only exception.
fn civil_date(days_since_epoch: u64) -> (u64, u64, u64) {
    let days = days_since_epoch + MARCH_YEAR_ZERO;
    let (cycle, day_of_cycle) = (days / DAYS_PER_400_YEARS, days % DAYS_PER_400_YEARS);
    // The last day of a cycle is a leap day and would start a fifth century.
    let century = (day_of_cycle / DAYS_PER_100_YEARS).min(3);
    let day_of_century = day_of_cycle - century * DAYS_PER_100_YEARS;
    let (four, day_of_four) = (
        day_of_century / DAYS_PER_4_YEARS,
        day_of_century % DAYS_PER_4_YEARS,
    );
    // Likewise the leap day would start a fifth year.
    let year_of_four = (day_of_four / 365).min(3);
    let day_of_year = day_of_four - year_of_four * 365;

    // From March on, months of 31, 30, 31, 30 and 31 days repeat: 153 days in five months.
    let month = (day_of_year * 5 + 2) / 153;
    let day = day_of_year - (month * 153 + 2) / 5;
    let march_year = cycle * 400 + century * 100 + four * 4 + year_of_four;
    // Months 10 and 11 of a March year are the next year's January and February.
    if month < 10 {
        (march_year, month + 3, day + 1)
    } else {
        (march_year + 1, month - 9, day + 1)
    }
}

fn put_two([tens, units]: [&mut u8; 2], value: u64) {
    *tens = ascii_digit(value / 10 % 10);
    *units = ascii_digit(value % 10);
}

fn ascii_digit(value: u64) -> u8 {
    // `value` is below ten.
    b'0' + u8::try_from(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::{OffsetDateTime, format_description::well_known::Rfc3339};

    use super::*;

    fn text(time: Timestamp) -> String {
        String::from_utf8(time.rfc3339().to_vec()).unwrap()
    }

    fn oracle(micros: u64) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000).unwrap()
    }

    #[test]
    fn writes_utc_with_microseconds() {
        assert_eq!(text(Timestamp(0)), "1970-01-01T00:00:00.000000Z");
        assert_eq!(
            text(Timestamp(1_793_882_096_123_456)),
            "2026-11-05T12:34:56.123456Z"
        );
    }

    #[test]
    fn agrees_with_the_time_crate_on_every_day_of_eight_thousand_years() {
        let last_day = LATEST / MICROS_PER_SECOND / SECONDS_PER_DAY;
        for day in 0..=last_day {
            let date = oracle(day * SECONDS_PER_DAY * MICROS_PER_SECOND).date();
            let (year, month, day) = civil_date(day);
            assert_eq!(year, u64::try_from(date.year()).unwrap());
            assert_eq!(month, u64::from(u8::from(date.month())));
            assert_eq!(day, u64::from(date.day()));
        }
    }

    #[test]
    fn times_past_the_year_9999_stay_valid_rfc_3339() {
        for micros in [LATEST, LATEST + 1, u64::MAX] {
            assert_eq!(text(Timestamp(micros)), "9999-12-31T23:59:59.999999Z");
        }
    }

    #[test]
    fn a_clock_before_1970_reads_as_the_epoch() {
        let early = UNIX_EPOCH - std::time::Duration::from_secs(1);
        assert_eq!(Timestamp::from(early), Timestamp(0));
    }

    proptest! {
        #[test]
        fn agrees_with_the_time_crate_to_the_microsecond(micros in 0..=LATEST) {
            let parsed = OffsetDateTime::parse(&text(Timestamp(micros)), &Rfc3339).unwrap();
            prop_assert_eq!(parsed, oracle(micros));
        }
    }
}
