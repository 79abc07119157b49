//! What of a certificate (X.509, RFC 5280 4.1) is needed beside what checks it: from when to when it is valid. Names and
//! signatures are the business of who verifies.

/// From when to when a certificate is valid, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// Not before this.
    pub not_before: i64,
    /// Not after this.
    pub not_after: i64,
}

const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// `[0] EXPLICIT`: the version, which the first kind of certificate hasn't.
const VERSION: u8 = 0xa0;

/// When the certificate in `der` is valid; `None` if it is none.
#[must_use]
pub fn validity(der: &[u8]) -> Option<Validity> {
    let mut certificate = Der(der);
    let mut body = Der(Der(certificate.value(SEQUENCE)?).value(SEQUENCE)?);
    if body.0.first() == Some(&VERSION) {
        body.value(VERSION)?;
    }
    // Serial number, signature algorithm, issuer.
    for _ in 0..3 {
        body.any()?;
    }
    let mut times = Der(body.value(SEQUENCE)?);
    Some(Validity { not_before: time(&mut times)?, not_after: time(&mut times)? })
}

/// Values in the distinguished encoding (X.690), one after the other.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The content of the next value, which has this tag.
    fn value(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.any().filter(|(found, _)| *found == tag).map(|(_, content)| content)
    }

    /// The next value: its tag and content.
    fn any(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            // More than four bytes of length are no certificate.
            0x81..=0x84 => {
                let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (digits.iter().fold(0, |length, &digit| (length << 8) | usize::from(digit)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }
}

/// A time, in the one of the two forms that its year asks for (RFC 5280 4.1.2.5).
fn time(der: &mut Der<'_>) -> Option<i64> {
    let (tag, text) = der.any()?;
    let (year, rest) = match tag {
        UTC_TIME => {
            let (year, rest) = (number(text.get(..2)?)?, text.get(2..)?);
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => (number(text.get(..4)?)?, text.get(4..)?),
        _ => return None,
    };
    let [month, day, hour, minute, second] = [0, 2, 4, 6, 8].map(|at| rest.get(at..at + 2).and_then(number));
    let (month, day) = (month?, day?);
    if rest.get(10..)? != b"Z" || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    Some(((days(year, month, day) * 24 + hour?) * 60 + minute?) * 60 + second?)
}

fn number(digits: &[u8]) -> Option<i64> {
    digits
        .iter()
        .try_fold(0, |value, digit| digit.is_ascii_digit().then(|| value * 10 + i64::from(digit - b'0')))
}

/// Days since 1970-01-01 in the Gregorian calendar, by counting years from March on, so that leap days come last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, month) = (year.div_euclid(400), (month + 9) % 12);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A value: a tag, a length in the shortest form, its content.
    fn value(tag: u8, content: &[u8]) -> Vec<u8> {
        let mut der = vec![tag];
        match content.len() {
            length @ 0..=0x7f => der.push(length as u8),
            length => der.extend([0x82, (length >> 8) as u8, length as u8]),
        }
        der.extend_from_slice(content);
        der
    }

    fn certificate(from: Vec<u8>, to: Vec<u8>) -> Vec<u8> {
        let parts = [
            value(VERSION, &value(0x02, &[2])),
            value(0x02, &[1; 20]),
            value(SEQUENCE, &[0; 10]),
            value(SEQUENCE, &[0; 200]),
            value(SEQUENCE, &[from, to].concat()),
            value(SEQUENCE, &[0; 300]),
        ];
        value(SEQUENCE, &value(SEQUENCE, &parts.concat()))
    }

    #[test]
    fn both_forms_of_time_are_read() {
        let der = certificate(value(UTC_TIME, b"700101000001Z"), value(GENERALIZED_TIME, b"21000301000000Z"));
        let expected = Validity { not_before: 1, not_after: 4_107_542_400 };
        assert_eq!(validity(&der), Some(expected));
    }

    #[test]
    fn leap_days_are_counted() {
        assert_eq!(days(1970, 1, 1), 0);
        assert_eq!(days(2000, 2, 29), 11_016);
        assert_eq!(days(2000, 3, 1), 11_017);
        assert_eq!(days(2026, 11, 24), 20_781);
    }

    #[test]
    fn what_is_cut_short_or_wrong_is_no_certificate() {
        let der = certificate(value(UTC_TIME, b"700101000001Z"), value(UTC_TIME, b"491231235959Z"));
        assert!(validity(&der).is_some());
        for length in 0..der.len() {
            assert_eq!(validity(&der[..length]), None, "{length} bytes");
        }
        for bad in [&b"701301000001Z"[..], b"7001010000Z", b"70010100000xZ", b"700101000001+0100"] {
            let der = certificate(value(UTC_TIME, bad), value(UTC_TIME, b"491231235959Z"));
            assert_eq!(validity(&der), None);
        }
    }
}
