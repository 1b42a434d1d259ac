//! Values with units: `"30s"` and `"64KiB"`. A bare number is refused, because its reader would
//! have to guess the unit.

use std::{fmt, time::Duration};

use serde::{
    Deserialize, Deserializer,
    de::{Error, Visitor},
};

const DURATION_UNITS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

const SIZE_UNITS: [(&str, u64); 8] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];

/// Reads a duration: a whole number and `ms`, `s`, `m`, `h` or `d`.
///
/// # Errors
///
/// A sentence that says what is expected, if `text` is not that.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    match in_units(text, &DURATION_UNITS) {
        Some(milliseconds) => Ok(Duration::from_millis(milliseconds)),
        None => Err(format!(
            "`{text}` is no duration: write a whole number and ms, s, m, h or d, as \"30s\""
        )),
    }
}

/// Reads a size in bytes: a whole number and `B`, `KiB`, `MiB`, `GiB`, `TiB`, `kB`, `MB` or `GB`.
///
/// # Errors
///
/// A sentence that says what is expected, if `text` is not that.
pub fn parse_size(text: &str) -> Result<u64, String> {
    in_units(text, &SIZE_UNITS).ok_or_else(|| {
        format!(
            "`{text}` is no size: write a whole number and B, KiB, MiB, GiB, TiB, kB, MB or GB, \
             as \"64KiB\""
        )
    })
}

fn in_units(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(digits)?;
    let unit = unit.trim_start();
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// Writes a duration in the largest unit that keeps it whole.
pub fn format_duration(duration: Duration) -> String {
    let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let (unit, factor) = DURATION_UNITS
        .iter()
        .rev()
        .find(|(_, factor)| milliseconds != 0 && milliseconds.is_multiple_of(*factor))
        .unwrap_or(&("ms", 1));
    format!("{}{unit}", milliseconds / factor)
}

/// A duration with bounds, both allowed.
pub(super) fn duration_within<'de, D: Deserializer<'de>>(
    deserializer: D,
    least: Duration,
    most: Duration,
) -> Result<Duration, D::Error> {
    let duration =
        parse_duration(&text(deserializer, "a duration as \"30s\"")?).map_err(D::Error::custom)?;
    if duration < least || duration > most {
        return Err(D::Error::custom(format_args!(
            "{} is not between {} and {}",
            format_duration(duration),
            format_duration(least),
            format_duration(most)
        )));
    }
    Ok(duration)
}

/// A size with bounds in bytes, both allowed.
pub(super) fn size_within<'de, D: Deserializer<'de>>(
    deserializer: D,
    least: u64,
    most: u64,
) -> Result<u64, D::Error> {
    let size = parse_size(&text(deserializer, "a size as \"64KiB\"")?).map_err(D::Error::custom)?;
    if size < least || size > most {
        return Err(D::Error::custom(format_args!(
            "{size} bytes are not between {least} and {most}"
        )));
    }
    Ok(size)
}

/// A string; for a number, the error says that the unit is missing.
fn text<'de, D: Deserializer<'de>>(
    deserializer: D,
    expected: &'static str,
) -> Result<String, D::Error> {
    struct Text(&'static str);

    impl Visitor<'_> for Text {
        type Value = String;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
            Ok(text.to_owned())
        }

        fn visit_i64<E: Error>(self, number: i64) -> Result<String, E> {
            Err(E::custom(format_args!(
                "{number} has no unit: expected {}",
                self.0
            )))
        }
    }

    deserializer.deserialize_any(Text(expected))
}

/// An IP address and a port, not a host name: what is bound must not depend on a look-up.
pub(super) fn address<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<std::net::SocketAddr, D::Error> {
    parse_address(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// Reads an IP address and a port.
///
/// # Errors
///
/// A sentence that says what is expected, if `text` is not that.
pub fn parse_address(text: &str) -> Result<std::net::SocketAddr, String> {
    text.parse().map_err(|_| {
        format!(
            "`{text}` is no address and port: write for example \"127.0.0.1:1883\" or \
             \"[::]:1883\""
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_durations_in_every_unit() {
        let ms = |text| parse_duration(text).unwrap().as_millis();
        assert_eq!(ms("250ms"), 250);
        assert_eq!(ms("30s"), 30_000);
        assert_eq!(ms("5 m"), 300_000);
        assert_eq!(ms("2h"), 7_200_000);
        assert_eq!(ms("7d"), 604_800_000);
    }

    #[test]
    fn reads_sizes_in_every_unit() {
        assert_eq!(parse_size("1B"), Ok(1));
        assert_eq!(parse_size("64KiB"), Ok(65_536));
        assert_eq!(parse_size("1 GiB"), Ok(1 << 30));
        assert_eq!(parse_size("3TiB"), Ok(3 << 40));
        assert_eq!(parse_size("5kB"), Ok(5_000));
        assert_eq!(parse_size("5MB"), Ok(5_000_000));
        assert_eq!(parse_size("5GB"), Ok(5_000_000_000));
    }

    #[test]
    fn refuses_what_has_no_unit_no_number_or_overflows() {
        for text in [
            "",
            "30",
            "s",
            "-1s",
            "1.5h",
            "1 w",
            "99999999999999999999s",
            "300000000000d",
        ] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
        for text in ["", "64", "KiB", "64kib", "1e3B", "99999999999TiB"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn writes_durations_as_they_can_be_read() {
        for text in ["0ms", "1500ms", "90s", "2m", "36h", "2d"] {
            assert_eq!(format_duration(parse_duration(text).unwrap()), text);
        }
    }
}
