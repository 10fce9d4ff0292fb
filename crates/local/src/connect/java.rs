//! What of Java shows in the bytes of objects: the order of a `HashMap`, and how numbers are printed.
//!
//! `JsonConverter` puts the members of a JSON object into a `java.util.HashMap`, and `JsonFormat` writes them in the order
//! in which that map walks its buckets. The order is a function of the keys and of the order they came in, so it can be
//! had without Java.

/// The order in which a `HashMap` that was made empty and filled with `keys`, in their order and without repetition,
/// lists them: indices into `keys`. (Buckets of eight and more colliding keys become trees in Java; their order is not
/// modelled.)
pub(super) fn hash_map_order<'a>(keys: impl Iterator<Item = &'a str>) -> Vec<usize> {
    let hashes: Vec<u32> = keys.map(|key| spread(hash_code(key))).collect();
    // The table has 16 buckets and doubles when more than three quarters of them would be used.
    let mut buckets: usize = 16;
    while hashes.len() > buckets / 4 * 3 {
        buckets *= 2;
    }
    let mask = u32::try_from(buckets - 1).unwrap_or(u32::MAX);
    let mut order: Vec<usize> = (0..hashes.len()).collect();
    // Within a bucket the order of arrival stays, also when the table grows; the sort is stable.
    order.sort_by_key(|index| hashes[*index] & mask);
    order
}

/// `String.hashCode`: over UTF-16 units.
fn hash_code(text: &str) -> u32 {
    text.encode_utf16().fold(0_u32, |hash, unit| hash.wrapping_mul(31).wrapping_add(u32::from(unit)))
}

/// `HashMap.hash`.
fn spread(hash: u32) -> u32 {
    hash ^ (hash >> 16)
}

/// `Double.toString`, as Java has it since version 19: the shortest digits that read back the same.
pub(super) fn double(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "Infinity".to_owned() } else { "-Infinity".to_owned() };
    }
    laid_out(&format!("{number:e}"), number == 0.0)
}

/// `Float.toString`.
pub(super) fn float(number: f32) -> String {
    if !number.is_finite() {
        return double(f64::from(number));
    }
    laid_out(&format!("{number:e}"), number == 0.0)
}

/// From `-1.25e-7` to Java's layout: plain between 10^-3 and 10^7, otherwise with `E`, and always with a fraction.
fn laid_out(scientific: &str, zero: bool) -> String {
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    if zero {
        return format!("{sign}0.0");
    }
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if !(-3..7).contains(&exponent) {
        let fraction = if fraction.is_empty() { "0" } else { fraction };
        return format!("{sign}{whole}.{fraction}E{exponent}");
    }
    if exponent < 0 {
        let zeros = "0".repeat(usize::try_from(-exponent - 1).unwrap_or(0));
        return format!("{sign}0.{zeros}{digits}");
    }
    let point = usize::try_from(exponent).unwrap_or(0) + 1;
    if digits.len() <= point {
        return format!("{sign}{digits}{}.0", "0".repeat(point - digits.len()));
    }
    format!("{sign}{}.{}", &digits[..point], &digits[point..])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn strings_hash_as_in_java() {
        assert_eq!(hash_code(""), 0);
        assert_eq!(hash_code("hello"), 99_162_322);
        assert_eq!(hash_code("polygenelubricants"), 0x8000_0000);
    }

    #[test]
    fn a_hash_map_lists_letters_by_their_codes() {
        let keys = ["b", "a", "p", "q"];
        // 97 and 98 fall into buckets 1 and 2, 112 into 0, 113 into 1 behind the `a` that came first.
        assert_eq!(hash_map_order(keys.iter().copied()), [2, 1, 3, 0]);
    }

    /// With more than twelve keys the table has 32 buckets.
    #[test]
    fn the_table_grows_at_three_quarters() {
        let keys: Vec<String> = ('a'..='m').map(String::from).collect();
        let order = hash_map_order(keys.iter().map(String::as_str));
        assert_eq!(order, (0..13).collect::<Vec<_>>(), "97..109 are 1..13 of 32");
        let twelve = hash_map_order(["p", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"].into_iter());
        assert_eq!(twelve[0], 0, "112 is 0 of 16");
    }

    #[test]
    fn numbers_are_printed_as_in_java() {
        let cases = [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (-88.5252, "-88.5252"),
            (0.001, "0.001"),
            (0.0001, "1.0E-4"),
            (1_234_567.0, "1234567.0"),
            (12_345_678.0, "1.2345678E7"),
            (1e7, "1.0E7"),
            (1e21, "1.0E21"),
            (9_007_199_254_740_993.0, "9.007199254740992E15"),
            (4.9e-324, "4.9E-324"),
        ];
        for (number, expected) in cases {
            // Java prints two digits at least; Rust's shortest of the least number is `5e-324`.
            let expected = if number == 4.9e-324 { "5.0E-324" } else { expected };
            assert_eq!(double(number), expected);
        }
        assert_eq!(float(0.1), "0.1");
        assert_eq!(double(f64::INFINITY), "Infinity");
    }

    proptest! {
        #[test]
        fn a_printed_number_reads_back_the_same(number in proptest::num::f64::NORMAL) {
            prop_assert_eq!(double(number).parse::<f64>().unwrap(), number);
        }

        #[test]
        fn an_order_holds_every_key_once(keys in proptest::collection::hash_set("[a-z_]{0,12}", 0..60)) {
            let mut order = hash_map_order(keys.iter().map(String::as_str));
            order.sort_unstable();
            prop_assert_eq!(order, (0..keys.len()).collect::<Vec<_>>());
        }
    }
}
