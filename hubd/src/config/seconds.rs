//! Spans of time: seconds, as an integer or a decimal.

use std::time::Duration;

use toml::de::DeValue;

use super::value::{Fault, expected, integer};

/// Ten years. A timer set further ahead would overflow somewhere below us.
const MAX: Duration = Duration::from_hours(10 * 365 * 24);

/// A span of time, possibly none.
pub(super) fn seconds(value: &DeValue<'_>) -> Result<Duration, Fault> {
    match read(value)? {
        Number::Negative => Err(Fault::new("a time cannot be negative")),
        Number::Span(span) => Ok(span),
    }
}

/// A limit on how long something may take. It must leave some time.
pub(super) fn timeout(value: &DeValue<'_>) -> Result<Duration, Fault> {
    let span = seconds(value)?;
    if span.is_zero() {
        return Err(Fault::new("a timeout of 0 would let nothing succeed"));
    }
    Ok(span)
}

/// An interval at which something is done; 0 or less turns it off and reads as zero.
pub(super) fn interval(value: &DeValue<'_>) -> Result<Duration, Fault> {
    match read(value)? {
        Number::Negative => Ok(Duration::ZERO),
        Number::Span(span) => Ok(span),
    }
}

enum Number {
    Negative,
    Span(Duration),
}

fn read(value: &DeValue<'_>) -> Result<Number, Fault> {
    let too_long = || Fault::new(format!("a time is at most {} seconds", MAX.as_secs()));
    let span = match value {
        DeValue::Integer(number) => match integer(number) {
            Some(number) if number < 0 => return Ok(Number::Negative),
            None if number.as_str().starts_with('-') => return Ok(Number::Negative),
            number => number
                .and_then(|number| number.try_into().ok())
                .map(Duration::from_secs),
        },
        DeValue::Float(number) => match number.as_str().parse::<f64>() {
            Ok(number) if number.is_nan() => {
                return Err(Fault::new("`nan` is not a time"));
            }
            Ok(number) if number < 0.0 => return Ok(Number::Negative),
            number => number
                .ok()
                .and_then(|number| Duration::try_from_secs_f64(number).ok()),
        },
        _ => {
            let fault = expected("a number of seconds", value);
            return Err(match value.as_str().and_then(with_unit) {
                Some(seconds) => fault.help(format!("write `{seconds}`, without quotes")),
                None => fault,
            });
        }
    };
    match span {
        Some(span) if span <= MAX => Ok(Number::Span(span)),
        _ => Err(too_long()),
    }
}

/// What somebody meant who wrote `"30"`, `"30s"`, `"5m"` or `"1h"`.
fn with_unit(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == ' ');
    let number: u64 = digits.parse().ok()?;
    let unit = match text[digits.len()..].trim() {
        "" | "s" | "sec" | "second" | "seconds" => 1,
        "m" | "min" | "minute" | "minutes" => 60,
        "h" | "hour" | "hours" => 3600,
        "d" | "day" | "days" => 86400,
        _ => return None,
    };
    number.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_with<T>(
        read: fn(&DeValue<'_>) -> Result<T, Fault>,
        text: &str,
    ) -> Result<T, (String, Option<String>)> {
        let value = DeValue::parse(text).unwrap();
        read(value.get_ref()).map_err(|fault| (fault.message, fault.help))
    }

    #[test]
    fn times_are_whole_or_decimal_seconds() {
        for (text, millis) in [
            ("0", 0),
            ("30", 30_000),
            ("0.25", 250),
            ("1e1", 10_000),
            ("0x10", 16_000),
            ("1_0", 10_000),
            ("+2", 2000),
            ("315_360_000", 315_360_000_000),
            ("-0.0", 0),
        ] {
            let span = read_with(seconds, text).unwrap();
            assert_eq!(span, Duration::from_millis(millis), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "-1",
            "-0.5",
            "-inf",
            "inf",
            "nan",
            "-nan",
            "1e300",
            "1e400",
            "315360001",
            "18446744073709551616",
            "99999999999999999999999999999999999999999999",
            "-99999999999999999999999999999999999999999999",
            "true",
            "\"\"",
            "[1]",
            "1979-01-01",
        ] {
            assert!(read_with(seconds, text).is_err(), "{text} was accepted");
        }
        assert!(read_with(timeout, "0").is_err());
        assert!(read_with(timeout, "0.0").is_err());
        assert!(read_with(timeout, "0.1").is_ok());
    }

    #[test]
    fn an_interval_can_be_turned_off() {
        for text in ["0", "-1", "-0.5", "-inf"] {
            assert_eq!(read_with(interval, text).unwrap(), Duration::ZERO, "{text}");
        }
        assert!(read_with(interval, "nan").is_err());
    }

    #[test]
    fn a_unit_is_answered_with_the_number() {
        for (text, number) in [("\"30s\"", "30"), ("\"5 min\"", "300"), ("\"2\"", "2")] {
            let (message, help) = read_with(seconds, text).unwrap_err();
            assert_eq!(message, "expected a number of seconds, found a text");
            assert_eq!(help.unwrap(), format!("write `{number}`, without quotes"));
        }
        assert_eq!(read_with(seconds, "\"soon\"").unwrap_err().1, None);
    }
}
