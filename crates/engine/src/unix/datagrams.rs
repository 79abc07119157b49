//! Datagrams, many in one call: recvmmsg(2) and sendmmsg(2), and trains of equal ones as the kernel joins and cuts
//! them (`UDP_GRO` and `UDP_SEGMENT` of udp(7)).

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::ptr;

/// Messages of one call: enough to make what a call costs small beside what a datagram does.
pub(crate) const MESSAGES: usize = 32;

/// The largest datagram and the longest train of them.
const ROOM: usize = 64 * 1024;

/// `UDP_SEGMENT` and `UDP_GRO`, which libc doesn't name on every target.
const SEGMENT: libc::c_int = 103;
const JOINED: libc::c_int = 104;

/// Room for what the kernel says beside a datagram: where it was sent to, its train's segments, what was lost.
/// Words, since its messages begin at words.
#[derive(Clone, Copy)]
struct Control([u64; 12]);

/// Some datagrams, received or about to be sent, in memory that is used again and again.
pub(crate) struct Batch {
    bytes: Box<[u8]>,
    names: Box<[libc::sockaddr_storage]>,
    controls: Box<[Control]>,
    vectors: Box<[libc::iovec]>,
    headers: Box<[libc::mmsghdr]>,
}

/// What the kernel says beside a datagram.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// To which of our addresses it was sent, if [that is asked for](ask_local).
    pub(crate) local: Option<IpAddr>,
    /// It is a train: datagrams of this length, of which the last may be shorter.
    pub(crate) segment: Option<u16>,
    /// How many the socket has lost for want of room since it was opened.
    pub(crate) lost: Option<u32>,
}

impl Batch {
    pub(crate) fn new() -> Self {
        // SAFETY: zeroes are valid for all three: numbers, and pointers that are null.
        let (name, vector, header) = unsafe { (zeroed(), zeroed(), zeroed()) };
        Self {
            // Zeroed memory comes from the system untouched: what is never used is never there.
            bytes: vec![0; MESSAGES * ROOM].into_boxed_slice(),
            names: vec![name; MESSAGES].into_boxed_slice(),
            controls: vec![Control([0; 12]); MESSAGES].into_boxed_slice(),
            vectors: vec![vector; MESSAGES].into_boxed_slice(),
            headers: vec![header; MESSAGES].into_boxed_slice(),
        }
    }

    /// Receives into these places without waiting. How many there were: fewer than places, and there are no more.
    pub(crate) fn receive(&mut self, socket: impl AsFd, places: Range<usize>) -> io::Result<usize> {
        let first = places.start;
        let count = places.len();
        for place in places {
            self.arrange(place, ROOM, size_of::<libc::sockaddr_storage>(), size_of::<Control>());
        }
        let headers = &mut self.headers[first..first + count];
        // SAFETY: each header was just arranged: it points into the boxes of `self`, which outlive the call, with the
        // lengths that there are, no two of them to the same place.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_fd().as_raw_fd(),
                headers.as_mut_ptr(),
                count as libc::c_uint,
                libc::MSG_DONTWAIT as _,
                ptr::null_mut(),
            )
        };
        usize::try_from(received).map_err(|_| io::Error::last_os_error())
    }

    /// Sends these places, each of which was [addressed](Self::address). How many were sent; an error is that of the first.
    pub(crate) fn send(&mut self, socket: impl AsFd, places: Range<usize>) -> io::Result<usize> {
        let headers = &mut self.headers[places];
        // SAFETY: `address` arranged each header: as for `receive`, and the lengths are those of what was written.
        let sent = unsafe {
            libc::sendmmsg(
                socket.as_fd().as_raw_fd(),
                headers.as_mut_ptr(),
                headers.len() as libc::c_uint,
                (libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) as _,
            )
        };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }

    /// What was received at `place`.
    pub(crate) fn bytes(&self, place: usize) -> &[u8] {
        let length = (self.headers[place].msg_len as usize).min(ROOM);
        &self.bytes[place * ROOM..][..length]
    }

    /// Who sent what was received at `place`.
    pub(crate) fn source(&self, place: usize) -> Option<SocketAddr> {
        read_name(&self.names[place])
    }

    /// What the kernel said of what was received at `place`.
    pub(crate) fn told(&self, place: usize) -> Told {
        let mut told = Told::default();
        let header = &self.headers[place].msg_hdr;
        if header.msg_controllen == 0 {
            return told;
        }
        // SAFETY: the kernel filled in the controls and their length at the last `receive`, whose pointers are still
        // good: the boxes never move. The macros stay within that length, and data is read as what its type says it is,
        // wherever it stands.
        unsafe {
            let mut at = libc::CMSG_FIRSTHDR(header);
            while !at.is_null() {
                let data = libc::CMSG_DATA(at);
                match ((*at).cmsg_level, (*at).cmsg_type) {
                    (libc::SOL_IP, libc::IP_PKTINFO) => {
                        let info: libc::in_pktinfo = ptr::read_unaligned(data.cast());
                        told.local = Some(Ipv4Addr::from(u32::from_be(info.ipi_spec_dst.s_addr)).into());
                    }
                    (libc::SOL_IPV6, libc::IPV6_PKTINFO) => {
                        let info: libc::in6_pktinfo = ptr::read_unaligned(data.cast());
                        told.local = Some(Ipv6Addr::from(info.ipi6_addr.s6_addr).into());
                    }
                    (libc::SOL_UDP, JOINED) => {
                        let length: libc::c_int = ptr::read_unaligned(data.cast());
                        told.segment = u16::try_from(length).ok().filter(|&length| length > 0);
                    }
                    (libc::SOL_SOCKET, libc::SO_RXQ_OVFL) => {
                        told.lost = Some(ptr::read_unaligned(data.cast()));
                    }
                    _ => {}
                }
                at = libc::CMSG_NXTHDR(header, at);
            }
        }
        told
    }

    /// Has what was received at `place` sent on: to this address, from that one of ours, as a train or by itself.
    pub(crate) fn address(
        &mut self,
        place: usize,
        to: &SocketAddr,
        from: Option<IpAddr>,
        segment: Option<u16>,
    ) {
        let length = self.bytes(place).len();
        let named = write_name(&mut self.names[place], to);
        let control = &mut self.controls[place];
        let mut said = 0;
        if let Some(from) = from {
            said = say_local(control, said, from);
        }
        if let Some(segment) = segment.filter(|&segment| usize::from(segment) < length) {
            said = say(control, said, (libc::SOL_UDP, SEGMENT), segment);
        }
        self.arrange(place, length, named, said);
    }

    /// Sends one of the places as the datagrams that its train consists of: where the way out can't cut them. How many were
    /// sent.
    pub(crate) fn send_apart(&mut self, socket: BorrowedFd<'_>, place: usize, segment: u16) -> usize {
        let length = self.vectors[place].iov_len;
        let mut said = self.headers[place].msg_hdr.msg_controllen;
        // The segment's length was said last.
        // SAFETY: it computes a number.
        said -= unsafe { libc::CMSG_SPACE(size_of::<u16>() as u32) } as usize;
        let named = self.headers[place].msg_hdr.msg_namelen as usize;
        let mut sent = 0;
        for start in (0..length).step_by(usize::from(segment)) {
            self.arrange(place, usize::from(segment).min(length - start), named, said);
            self.vectors[place].iov_base = self.bytes[place * ROOM + start..].as_mut_ptr().cast();
            sent += usize::from(self.send(socket, place..place + 1).is_ok());
        }
        sent
    }

    /// Points a header at its place's memory.
    fn arrange(&mut self, place: usize, length: usize, named: usize, said: usize) {
        let vector = &mut self.vectors[place];
        vector.iov_base = self.bytes[place * ROOM..].as_mut_ptr().cast();
        vector.iov_len = length;
        let message = &mut self.headers[place];
        let header = &mut message.msg_hdr;
        header.msg_name = ptr::from_mut(&mut self.names[place]).cast();
        header.msg_namelen = named as libc::socklen_t;
        header.msg_iov = ptr::from_mut(vector);
        header.msg_iovlen = 1;
        header.msg_control =
            if said == 0 { ptr::null_mut() } else { ptr::from_mut(&mut self.controls[place]).cast() };
        header.msg_controllen = said as _;
        header.msg_flags = 0;
        message.msg_len = length as libc::c_uint;
    }
}

/// Sends a datagram, or a train of them, to where the socket is connected, without waiting.
pub(crate) fn send(socket: BorrowedFd<'_>, bytes: &[u8], segment: Option<u16>) -> io::Result<()> {
    let Some(segment) = segment.filter(|&segment| usize::from(segment) < bytes.len()) else {
        let flags = rustix::net::SendFlags::DONTWAIT | rustix::net::SendFlags::NOSIGNAL;
        return rustix::net::send(socket, bytes, flags).map(drop).map_err(Into::into);
    };
    let mut control = Control([0; 12]);
    let said = say(&mut control, 0, (libc::SOL_UDP, SEGMENT), segment);
    let mut vector = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    // SAFETY: zeroes are a valid header, without anything in it.
    let mut header: libc::msghdr = unsafe { zeroed() };
    header.msg_iov = &raw mut vector;
    header.msg_iovlen = 1;
    header.msg_control = (&raw mut control).cast();
    header.msg_controllen = said as _;
    // SAFETY: all that the header points to is on this stack or borrowed, and the kernel only reads it.
    let sent = unsafe {
        libc::sendmsg(socket.as_raw_fd(), &raw const header, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL)
    };
    if sent >= 0 {
        return Ok(());
    }
    match io::Error::last_os_error() {
        error if cannot_cut(&error) => {
            for piece in bytes.chunks(usize::from(segment)) {
                send(socket, piece, None)?;
            }
            Ok(())
        }
        error => Err(error),
    }
}

/// Whether a train is refused as such: the way out doesn't cut trains, or not into pieces of this length.
pub(crate) fn cannot_cut(error: &io::Error) -> bool {
    let errors = [libc::EIO, libc::EINVAL, libc::EMSGSIZE, libc::EOPNOTSUPP, libc::ENOPROTOOPT];
    error.raw_os_error().is_some_and(|code| errors.contains(&code))
}

/// Has a socket say with each datagram to which of our addresses it was sent.
pub(crate) fn ask_local(socket: impl AsFd, v6: bool) -> io::Result<()> {
    if v6 {
        switch_on(socket, libc::SOL_IPV6, libc::IPV6_RECVPKTINFO)
    } else {
        switch_on(socket, libc::SOL_IP, libc::IP_PKTINFO)
    }
}

/// Has a socket say how many datagrams it has lost for want of room.
pub(crate) fn ask_lost(socket: impl AsFd) -> io::Result<()> {
    switch_on(socket, libc::SOL_SOCKET, libc::SO_RXQ_OVFL)
}

/// Has the kernel join datagrams of equal length that come in a row, where it can.
pub(crate) fn join(socket: impl AsFd) -> io::Result<()> {
    switch_on(socket, libc::SOL_UDP, JOINED)
}

fn switch_on(socket: impl AsFd, level: libc::c_int, name: libc::c_int) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the value is an int, whose length is given, and is only read.
    let status = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            level,
            name,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn read_name(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
    let name = ptr::from_ref(name);
    match i32::from(name_family(name)) {
        libc::AF_INET => {
            // SAFETY: the storage is large and aligned enough for every kind of address, and the family says which.
            let name = unsafe { &*name.cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(name.sin_addr.s_addr));
            Some(SocketAddrV4::new(ip, u16::from_be(name.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let name = unsafe { &*name.cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(name.sin6_addr.s6_addr);
            Some(SocketAddrV6::new(ip, u16::from_be(name.sin6_port), 0, name.sin6_scope_id).into())
        }
        _ => None,
    }
}

fn name_family(name: *const libc::sockaddr_storage) -> libc::sa_family_t {
    // SAFETY: it comes from a reference, and every bit pattern is a number.
    unsafe { (*name).ss_family }
}

/// The length of what was written.
fn write_name(name: &mut libc::sockaddr_storage, address: &SocketAddr) -> usize {
    let name = ptr::from_mut(name);
    match address {
        SocketAddr::V4(address) => {
            let written = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: address.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from(*address.ip()).to_be() },
                sin_zero: [0; 8],
            };
            // SAFETY: the storage is large and aligned enough for every kind of address.
            unsafe { name.cast::<libc::sockaddr_in>().write(written) };
            size_of::<libc::sockaddr_in>()
        }
        SocketAddr::V6(address) => {
            let written = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: address.port().to_be(),
                sin6_flowinfo: 0,
                sin6_addr: libc::in6_addr { s6_addr: address.ip().octets() },
                sin6_scope_id: address.scope_id(),
            };
            // SAFETY: as above.
            unsafe { name.cast::<libc::sockaddr_in6>().write(written) };
            size_of::<libc::sockaddr_in6>()
        }
    }
}

/// Says from which of our addresses a datagram goes; what an interface is left to routing.
fn say_local(control: &mut Control, said: usize, from: IpAddr) -> usize {
    match from {
        IpAddr::V4(from) => {
            let info = libc::in_pktinfo {
                ipi_ifindex: 0,
                ipi_spec_dst: libc::in_addr { s_addr: u32::from(from).to_be() },
                ipi_addr: libc::in_addr { s_addr: 0 },
            };
            say(control, said, (libc::SOL_IP, libc::IP_PKTINFO), info)
        }
        IpAddr::V6(from) => {
            let info =
                libc::in6_pktinfo { ipi6_addr: libc::in6_addr { s6_addr: from.octets() }, ipi6_ifindex: 0 };
            say(control, said, (libc::SOL_IPV6, libc::IPV6_PKTINFO), info)
        }
    }
}

/// Appends one message to the `said` bytes of `control`; how many there are then.
fn say<T: Copy>(
    control: &mut Control,
    said: usize,
    (level, kind): (libc::c_int, libc::c_int),
    value: T,
) -> usize {
    // SAFETY: they compute numbers.
    let (space, length) =
        unsafe { (libc::CMSG_SPACE(size_of::<T>() as u32), libc::CMSG_LEN(size_of::<T>() as u32)) };
    let end = said + space as usize;
    assert!(end <= size_of::<Control>(), "invariant: there is room for one message of each kind");
    // SAFETY: the message lies within the control by the assertion, and begins aligned since the control does and every
    // message takes a multiple of that. Its data is written wherever that stands.
    unsafe {
        let at = control.0.as_mut_ptr().byte_add(said).cast::<libc::cmsghdr>();
        (*at).cmsg_level = level;
        (*at).cmsg_type = kind;
        (*at).cmsg_len = length as _;
        libc::CMSG_DATA(at).cast::<T>().write_unaligned(value);
    }
    end
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    fn socket(address: &str) -> (UdpSocket, SocketAddr) {
        let socket = UdpSocket::bind(address).unwrap();
        let address = socket.local_addr().unwrap();
        (socket, address)
    }

    /// Datagrams between sockets of one machine are there when sending returns.
    fn received(batch: &mut Batch, socket: &UdpSocket) -> usize {
        batch.receive(socket, 0..MESSAGES).unwrap()
    }

    #[test]
    fn datagrams_come_in_one_call_with_who_sent_them() {
        let ((server, at), (client, client_at)) = (socket("127.0.0.1:0"), socket("127.0.0.1:0"));
        let mut batch = Batch::new();
        let nothing = batch.receive(&server, 0..MESSAGES).unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        for word in [&b"one"[..], b"", b"three"] {
            client.send_to(word, at).unwrap();
        }
        assert_eq!(received(&mut batch, &server), 3);
        assert_eq!((batch.bytes(0), batch.bytes(1), batch.bytes(2)), (&b"one"[..], &b""[..], &b"three"[..]));
        assert_eq!(batch.source(2), Some(client_at));
        assert_eq!(batch.told(0), Told::default());
    }

    #[test]
    fn answer_leaves_from_the_address_that_was_asked() {
        for (bound, asked) in [("0.0.0.0:0", "127.0.0.9"), ("[::]:0", "::1"), ("[::]:0", "::ffff:127.0.0.9")]
        {
            let (server, at) = socket(bound);
            ask_local(&server, at.is_ipv6()).unwrap();
            let asked: IpAddr = asked.parse().unwrap();
            let plain = asked.to_canonical();
            let (client, _) = socket(if plain.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" });
            client.connect((plain, at.port())).unwrap();
            client.send(b"ping").unwrap();
            let mut batch = Batch::new();
            assert_eq!(received(&mut batch, &server), 1);
            assert_eq!(batch.told(0).local, Some(asked));
            let source = batch.source(0).unwrap();
            batch.address(0, &source, Some(asked), None);
            assert_eq!(batch.send(&server, 0..1).unwrap(), 1);
            let mut answer = [0; 8];
            // Connected: it hears nobody but whom it asked.
            assert_eq!(client.recv(&mut answer).unwrap(), 4);
        }
    }

    #[test]
    fn train_is_cut_joined_and_cut_again() {
        let ((server, at), (client, _)) = (socket("127.0.0.1:0"), socket("127.0.0.1:0"));
        join(&server).unwrap();
        client.connect(at).unwrap();
        let train: Vec<u8> = (0..2_500_u32).map(|n| n as u8).collect();
        send(client.as_fd(), &train, Some(1000)).unwrap();
        let mut batch = Batch::new();
        let mut pieces = Vec::new();
        while pieces.iter().map(Vec::len).sum::<usize>() < train.len() {
            for place in 0..received(&mut batch, &server) {
                let source = batch.source(place).unwrap();
                let segment = batch.told(place).segment;
                pieces.push(batch.bytes(place).to_vec());
                batch.address(place, &source, None, segment);
                batch.send(&server, place..place + 1).unwrap();
            }
        }
        assert_eq!(pieces.concat(), train);
        let mut answer = [0; 4096];
        let lengths = [0; 3].map(|_| client.recv(&mut answer).unwrap());
        assert_eq!(lengths, [1000, 1000, 500]);
    }

    #[test]
    fn train_that_cannot_be_cut_goes_piece_by_piece() {
        let ((server, at), (client, client_at)) = (socket("127.0.0.1:0"), socket("127.0.0.1:0"));
        client.send_to(&[7; 2_500], at).unwrap();
        let mut batch = Batch::new();
        assert_eq!(received(&mut batch, &server), 1);
        batch.address(0, &client_at, None, Some(1000));
        assert_eq!(batch.send_apart(server.as_fd(), 0, 1000), 3);
        let mut answer = [0; 4096];
        let lengths = [0; 3].map(|_| client.recv(&mut answer).unwrap());
        assert_eq!(lengths, [1000, 1000, 500]);
    }
}
