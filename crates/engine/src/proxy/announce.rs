//! PROXY towards a backend: who the client is, before everything else.

use fairlead_plan::spec::SendProxy;
use fairlead_wire::client_hello::ServerName;
use fairlead_wire::proxy_protocol::{Addresses, Checksum, Tlv, Transport, write_v1, write_v2};

use crate::io::Stream;
use crate::listener::Told;

/// What is known of a client.
#[derive(Clone, Copy)]
pub(crate) struct Client<'a> {
    pub(crate) stream: &'a Stream,
    /// What a proxy before us said of it.
    pub(crate) told: Option<&'a Told>,
    /// The name it asked for, if that was read.
    pub(crate) name: Option<&'a ServerName>,
}

impl Client<'_> {
    /// Appends the header that says so. What a proxy before us said is passed on, since it knows more than we do.
    pub(crate) fn announce(&self, version: SendProxy, out: &mut Vec<u8>) {
        let addresses = self.addresses();
        match version {
            SendProxy::V1 => write_v1(&addresses, out),
            SendProxy::V2 => {
                let transport =
                    if addresses == Addresses::Unknown { Transport::Unspecified } else { Transport::Stream };
                write_v2(transport, &addresses, &self.tlvs(), Checksum::Left, out);
            }
        }
    }

    fn addresses(&self) -> Addresses<'_> {
        let own = || self.stream.addresses();
        let ends = self.told.map_or_else(own, |told| told.addresses);
        ends.map_or(Addresses::Unknown, |(source, destination)| Addresses::between(source, destination))
    }

    /// Nothing is allocated for the usual client, of whom there is nothing more to say.
    fn tlvs(&self) -> Vec<Tlv<'_>> {
        let mut tlvs: Vec<_> = self.told.map(|told| told.tlvs().iter().collect()).unwrap_or_default();
        let named = tlvs.iter().any(|tlv| matches!(tlv, Tlv::Authority(_)));
        if let (false, Some(name)) = (named, self.name) {
            tlvs.push(Tlv::Authority(name.as_str().as_bytes()));
        }
        tlvs
    }
}
