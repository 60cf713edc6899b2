//! Numbers as people read them.

/// `1,234,567`.
pub(crate) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A rate or another positive figure without its fraction.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rounded and not negative")]
pub(crate) fn whole(figure: f64) -> String {
    number(figure.round().max(0.0) as u64)
}

/// A figure of at least three digits' precision: `388`, `38.8`, `3.88`.
pub(crate) fn figure(figure: f64) -> String {
    match figure {
        _ if figure >= 99.95 => whole(figure),
        _ if figure >= 9.995 => format!("{figure:.1}"),
        _ => format!("{figure:.2}"),
    }
}

/// Microseconds, milliseconds or seconds.
pub(crate) fn micros(micros: f64) -> String {
    match micros {
        _ if micros >= 999_500.0 => format!("{} s", figure(micros / 1e6)),
        _ if micros >= 999.5 => format!("{} ms", figure(micros / 1e3)),
        _ => format!("{} µs", figure(micros)),
    }
}

/// Bytes, KiB, MiB or GiB.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(crate) fn bytes(bytes: u64) -> String {
    let bytes = bytes as f64;
    match bytes {
        _ if bytes >= 1023.5 * 1_048_576.0 => format!("{} GiB", figure(bytes / 1_073_741_824.0)),
        _ if bytes >= 1023.5 * 1_024.0 => format!("{} MiB", figure(bytes / 1_048_576.0)),
        _ if bytes >= 1_024.0 => format!("{} KiB", figure(bytes / 1_024.0)),
        _ => format!("{bytes} bytes"),
    }
}

/// `0.87×`.
pub(crate) fn ratio(ratio: f64) -> String {
    format!("{ratio:.2}×")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_readable() {
        assert_eq!([number(0), number(999), number(1_000), number(1_234_567)], ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [micros(9.0), micros(999.9), micros(12_340.0), micros(2e6)],
            ["9.00 µs", "1.00 ms", "12.3 ms", "2.00 s"]
        );
        assert_eq!([bytes(512), bytes(2_048), bytes(700 * 1_048_576)], ["512 bytes", "2.00 KiB", "700 MiB"]);
        assert_eq!([figure(3.876), figure(38.76), figure(3_876.0)], ["3.88", "38.8", "3,876"]);
        assert_eq!(ratio(0.868), "0.87×");
    }
}
