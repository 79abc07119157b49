//! Field names the data plane itself acts on. A head's names are told apart once, when it is parsed; asking
//! for one of these later compares a small number instead of text.

macro_rules! known {
    ($($variant:ident = $text:literal),* $(,)?) => {
        /// A field name that Fairlead itself reads, writes or removes.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Known {
            $(#[doc = concat!("`", $text, "`")] $variant),*
        }

        impl Known {
            /// Every known name.
            pub const ALL: &'static [Known] = &[$(Known::$variant),*];

            /// The name as it is written.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Known::$variant => $text),* }
            }
        }
    };
}

known! {
    Host = "Host",
    Connection = "Connection",
    ContentLength = "Content-Length",
    TransferEncoding = "Transfer-Encoding",
    Te = "TE",
    Trailer = "Trailer",
    Upgrade = "Upgrade",
    KeepAlive = "Keep-Alive",
    ProxyConnection = "Proxy-Connection",
    Expect = "Expect",
    Date = "Date",
    Via = "Via",
    Forwarded = "Forwarded",
    XForwardedFor = "X-Forwarded-For",
    XForwardedProto = "X-Forwarded-Proto",
    XForwardedHost = "X-Forwarded-Host",
    XForwardedPort = "X-Forwarded-Port",
    XRequestId = "X-Request-ID",
    MaxForwards = "Max-Forwards",
    Server = "Server",
    UserAgent = "User-Agent",
    Referer = "Referer",
}

impl Known {
    /// The known name that `name` is, in any case.
    #[must_use]
    pub fn of(name: &[u8]) -> Option<Self> {
        // By length first: at most four candidates are left, and most foreign names have none.
        let candidates: &[Self] = match name.len() {
            2 => &[Self::Te],
            3 => &[Self::Via],
            4 => &[Self::Host, Self::Date],
            6 => &[Self::Expect, Self::Server],
            7 => &[Self::Upgrade, Self::Referer, Self::Trailer],
            9 => &[Self::Forwarded],
            10 => &[Self::Connection, Self::UserAgent, Self::KeepAlive],
            12 => &[Self::XRequestId, Self::MaxForwards],
            14 => &[Self::ContentLength],
            15 => &[Self::XForwardedFor],
            16 => &[Self::XForwardedHost, Self::XForwardedPort, Self::ProxyConnection],
            17 => &[Self::TransferEncoding, Self::XForwardedProto],
            _ => &[],
        };
        candidates.iter().copied().find(|known| name.eq_ignore_ascii_case(known.as_str().as_bytes()))
    }

    /// This name's bit in a set of known names.
    pub(crate) const fn bit(self) -> u32 {
        1 << self as u8
    }
}

#[cfg(test)]
mod tests {
    use super::Known;

    #[test]
    fn every_known_name_is_found_in_any_case() {
        for &known in Known::ALL {
            let text = known.as_str();
            assert_eq!(Known::of(text.as_bytes()), Some(known), "{text}");
            assert_eq!(Known::of(text.to_ascii_uppercase().as_bytes()), Some(known), "{text}");
            assert_eq!(Known::of(text.to_ascii_lowercase().as_bytes()), Some(known), "{text}");
        }
    }

    #[test]
    fn names_that_only_resemble_a_known_one_are_not_it() {
        for name in ["Hosts", "Content_Length", "TransferEncoding", "", "X-Forwarded-Fox"] {
            assert_eq!(Known::of(name.as_bytes()), None, "{name}");
        }
    }

    #[test]
    fn all_known_names_fit_the_bit_set() {
        assert!(Known::ALL.len() <= 32);
    }
}
