//! Listening sockets, and those that datagrams come to. They belong to the process: bound once, one a worker by
//! `SO_REUSEPORT` (Unix sockets: one for all), and never closed while a Plan has their bind: closing one of several resets
//! what its queue holds.

mod udp;

use std::fs;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use fairlead_plan::SocketOptions;
use fairlead_plan::spec::{Bind, BindAddress};
use socket2::{Domain, SockAddr, SockRef, Socket, TcpKeepalive, Type};

use crate::unix::set_fast_open;

/// Why an address can't be listened on: names it and says what to do.
#[derive(Debug, thiserror::Error)]
#[error("{address}: {problem}")]
pub(crate) struct BindError {
    address: String,
    problem: String,
}

impl BindError {
    fn new(address: &str, problem: &str) -> Self {
        Self { address: address.to_string(), problem: problem.to_string() }
    }

    fn of(address: &str, error: &io::Error) -> Self {
        let problem = match error.kind() {
            io::ErrorKind::AddrInUse => {
                "another program listens there: stop it or choose another address (`ss -lntup` shows it)"
            }
            io::ErrorKind::AddrNotAvailable => "no interface of this machine has this address",
            io::ErrorKind::PermissionDenied => {
                "not permitted: ports below 1024 need root or CAP_NET_BIND_SERVICE, a Unix socket a directory that \
                 may be written to"
            }
            _ => return Self::new(address, &error.to_string()),
        };
        Self::new(address, problem)
    }
}

/// By what an open socket is found again: everything by where it is, but a free port by its text and, where several
/// listeners have that, by its listener.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Key {
    Address(String),
    Free { text: String, listener: Arc<str> },
}

impl Key {
    fn of(want: &Wanted<'_>) -> Self {
        // Ports of UDP are others than those of TCP.
        let kind = if want.udp { "udp " } else { "" };
        match &want.bind.address {
            BindAddress::Any { port } if *port > 0 => Self::Address(format!("{kind}*:{port}")),
            BindAddress::Ip { address } if address.port() > 0 => Self::Address(format!("{kind}{address}")),
            BindAddress::Unix { path } => Self::Address(format!("unix:{path}")),
            _ => {
                Self::Free { text: format!("{kind}{}", want.bind.text), listener: Arc::clone(want.listener) }
            }
        }
    }

    /// Whether it is the same but for the listener.
    fn has_text_of(&self, other: &Self) -> bool {
        matches!((self, other), (Self::Free { text, .. }, Self::Free { text: other, .. }) if text == other)
    }
}

/// One bind's sockets.
#[derive(Debug)]
pub(crate) struct Bound {
    /// Where it is: `[::]:8080`, `unix:/run/web.sock`.
    pub(crate) address: String,
    /// One a worker, or one for all.
    sockets: Vec<Arc<OwnedFd>>,
    /// Workers whose accepting is paused.
    pub(super) paused: AtomicU32,
    port: Option<u16>,
    file: Option<SocketFile>,
    udp: bool,
}

impl Bound {
    /// Whether datagrams come to it.
    pub(crate) fn is_udp(&self) -> bool {
        self.udp
    }

    /// The socket that worker `index` accepts from.
    pub(crate) fn socket(&self, index: usize) -> Arc<OwnedFd> {
        Arc::clone(&self.sockets[index % self.sockets.len()])
    }

    /// Binds and listens for the admin interface.
    pub(crate) fn for_admin(address: &BindAddress) -> Result<Self, BindError> {
        let text = match address {
            BindAddress::Any { port } => format!(":{port}"),
            BindAddress::Ip { address } => address.to_string(),
            BindAddress::Unix { path } => format!("unix:{path}"),
        };
        let bind = Bind { text, address: address.clone(), port_hint: None };
        let wanted = Wanted { bind: &bind, listener: &Arc::from("admin"), options: &ADMIN, udp: false };
        let bound = Self::bind(&wanted, 1, &[])?;
        bound.listen(&ADMIN)?;
        Ok(bound)
    }

    /// A handle of its only socket.
    pub(crate) fn handle(&self) -> io::Result<OwnedFd> {
        self.sockets[0].try_clone()
    }

    /// Binds, without listening yet. `ours`: ports this process listens on already, which need no look for others.
    fn bind(wanted: &Wanted<'_>, workers: usize, ours: &[u16]) -> Result<Self, BindError> {
        match &wanted.bind.address {
            BindAddress::Unix { path } => Self::unix(Path::new(path), wanted.options),
            BindAddress::Ip { address } => Self::ip(wanted, *address, Family::of(address), workers, ours),
            BindAddress::Any { port } => {
                let dual = SocketAddr::from((Ipv6Addr::UNSPECIFIED, *port));
                match Self::ip(wanted, dual, Family::Dual, workers, ours) {
                    Err(_) if !has_ipv6() => {
                        let v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, *port));
                        Self::ip(wanted, v4, Family::V4, workers, ours)
                    }
                    bound => bound,
                }
            }
        }
    }

    fn ip(
        wanted: &Wanted<'_>,
        address: SocketAddr,
        family: Family,
        workers: usize,
        ours: &[u16],
    ) -> Result<Self, BindError> {
        let Wanted { bind, udp, .. } = *wanted;
        let known = ours.contains(&address.port());
        let bound = if udp {
            udp::bind((address, family), bind.port_hint, workers, known)
        } else {
            tcp((address, family), bind.port_hint, workers, known)
        };
        let (sockets, address) = bound.map_err(|error| BindError::of(&bind.text, &error))?;
        Ok(Self {
            udp,
            address: address.to_string(),
            sockets: sockets.into_iter().map(|socket| Arc::new(socket.into())).collect(),
            paused: AtomicU32::new(0),
            port: Some(address.port()),
            file: None,
        })
    }

    fn unix(path: &Path, options: &SocketOptions) -> Result<Self, BindError> {
        let shown = format!("unix:{}", path.display());
        remove_stale(path)?;
        let failed = |error: io::Error| BindError::of(&shown, &error);
        let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None).map_err(failed)?;
        socket.bind(&SockAddr::unix(path).map_err(failed)?).map_err(failed)?;
        let file = SocketFile::of(path).map_err(failed)?;
        if let Some(mode) = options.mode {
            // Before it listens: nobody gets in by a wider mode.
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(failed)?;
        }
        let sockets = vec![Arc::new(socket.into())];
        Ok(Self {
            address: shown,
            sockets,
            paused: AtomicU32::new(0),
            port: None,
            file: Some(file),
            udp: false,
        })
    }

    /// Listens, or applies changed options to a socket that does.
    fn listen(&self, options: &SocketOptions) -> Result<(), BindError> {
        if self.is_udp() {
            return Ok(());
        }
        let failed = |error: io::Error| BindError::of(&self.address, &error);
        let backlog = i32::try_from(options.backlog).unwrap_or(i32::MAX);
        for socket in &self.sockets {
            let socket = SockRef::from(&**socket);
            if self.file.is_none() {
                // Accepted connections inherit both: no call for each of them.
                socket.set_tcp_nodelay(true).map_err(failed)?;
                socket.set_keepalive(options.keepalive.is_some()).map_err(failed)?;
                if let Some(time) = options.keepalive {
                    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(time)).map_err(failed)?;
                }
                match set_fast_open(&*socket, if options.fast_open { options.backlog } else { 0 }) {
                    // Nothing to switch off where the system doesn't know it.
                    Err(error) if options.fast_open => return Err(failed(error)),
                    _ => {}
                }
            }
            socket.listen(backlog).map_err(failed)?;
        }
        match (&self.file, options.mode) {
            (Some(file), Some(mode)) => file.set_mode(mode).map_err(failed),
            _ => Ok(()),
        }
    }
}

/// A Unix socket for whoever runs the engine, and nobody else: mode 0600.
#[derive(Debug)]
pub(crate) struct Private(Bound);

impl Private {
    /// Binds and listens.
    pub(crate) fn bind(path: &Path) -> Result<Self, BindError> {
        let options = SocketOptions { mode: Some(0o600), ..ADMIN };
        let bound = Bound::unix(path, &options)?;
        bound.listen(&options)?;
        Ok(Self(bound))
    }

    /// A handle of the socket.
    pub(crate) fn socket(&self) -> io::Result<OwnedFd> {
        self.0.handle()
    }
}

/// How the sockets of the admin interface are made.
const ADMIN: SocketOptions = SocketOptions {
    backlog: 128,
    fast_open: false,
    keepalive: Some(std::time::Duration::from_mins(1)),
    mode: None,
    transparent: false,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    V4,
    V6,
    /// IPv6 that takes IPv4 too.
    Dual,
}

impl Family {
    fn of(address: &SocketAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }
}

fn has_ipv6() -> bool {
    let Ok(socket) = Socket::new(Domain::IPV6, Type::STREAM, None) else { return false };
    socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)).into()).is_ok()
}

/// One socket a worker, and where they are. `known`: the port is ours already, so nobody else is looked for.
fn tcp(
    (address, family): (SocketAddr, Family),
    hint: Option<u16>,
    workers: usize,
    known: bool,
) -> io::Result<(Vec<Socket>, SocketAddr)> {
    let (first, address) = if address.port() == 0 {
        free_port(address, family, hint)?
    } else {
        if !known {
            // The same user's second program could share the port in silence: a bind without sharing finds it.
            tcp_socket(family, false)?.bind(&address.into())?;
        }
        (bound_socket(address, family)?, address)
    };
    let mut sockets = vec![first];
    for _ in 1..workers {
        sockets.push(bound_socket(address, family)?);
    }
    Ok((sockets, address))
}

fn tcp_socket(family: Family, shared: bool) -> io::Result<Socket> {
    let domain = if family == Family::V4 { Domain::IPV4 } else { Domain::IPV6 };
    let socket = Socket::new(domain, Type::STREAM.nonblocking(), None)?;
    if family != Family::V4 {
        socket.set_only_v6(family == Family::V6)?;
    }
    // Connections of an earlier life in TIME_WAIT don't keep the address.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    Ok(socket)
}

fn bound_socket(address: SocketAddr, family: Family) -> io::Result<Socket> {
    let socket = tcp_socket(family, true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// A port that nobody has: the one of before if possible. Without a port the kernel never picks a shared one.
fn free_port(mut address: SocketAddr, family: Family, hint: Option<u16>) -> io::Result<(Socket, SocketAddr)> {
    if let Some(port) = hint {
        address.set_port(port);
        let probe = tcp_socket(family, false).and_then(|probe| probe.bind(&address.into()));
        if let Ok(socket) = probe.and_then(|()| bound_socket(address, family)) {
            return Ok((socket, address));
        }
        address.set_port(0);
    }
    let socket = bound_socket(address, family)?;
    let taken = socket.local_addr()?.as_socket().expect("invariant: an IP socket has an IP address");
    Ok((socket, taken))
}

/// Removes a socket file that a dead process left; refuses to take what somebody uses.
pub(crate) fn remove_stale(path: &Path) -> Result<(), BindError> {
    let shown = format!("unix:{}", path.display());
    let kind = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(BindError::of(&shown, &error)),
        Ok(metadata) => metadata.file_type(),
    };
    if !kind.is_socket() {
        return Err(BindError::new(&shown, "the file is no socket: remove it or choose another path"));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(|error| BindError::of(&shown, &error))
        }
        Ok(_) => Err(BindError::new(
            &shown,
            "another program listens there: stop it or choose another path (`ss -lxp` shows it)",
        )),
        Err(error) => Err(BindError::of(&shown, &error)),
    }
}

/// A Unix socket's name in the file system, removed with the socket.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let metadata = fs::symlink_metadata(path)?;
        Ok(Self { path: path.to_owned(), identity: (metadata.dev(), metadata.ino()) })
    }

    fn set_mode(&self, mode: u32) -> io::Result<()> {
        fs::set_permissions(&self.path, fs::Permissions::from_mode(mode))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Another process may have put its own there since.
        let ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.identity);
        if ours {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// All sockets of the process.
#[derive(Debug, Default)]
pub(crate) struct Sockets(Vec<Listening>);

/// A socket, and by what it is found.
#[derive(Debug, Clone)]
pub(crate) struct Listening {
    key: Key,
    pub(crate) bound: Arc<Bound>,
}

/// A bind as a Plan wants it.
pub(crate) struct Wanted<'a> {
    pub(crate) bind: &'a Bind,
    pub(crate) listener: &'a Arc<str>,
    pub(crate) options: &'a SocketOptions,
    /// For datagrams.
    pub(crate) udp: bool,
}

impl Sockets {
    /// What `wanted` needs, in its order: what is open stays, the rest is bound and listens. If one fails, those bound
    /// here are closed again, and each failure is said with its index.
    pub(crate) fn prepare(
        &self,
        wanted: &[Wanted<'_>],
        workers: usize,
    ) -> Result<Vec<Listening>, Vec<(usize, BindError)>> {
        let ours = |udp| -> Vec<u16> {
            let of_kind = self.0.iter().filter(|open| open.bound.is_udp() == udp);
            of_kind.filter_map(|open| open.bound.port).collect()
        };
        let mut ours = [ours(false), ours(true)];
        let kept = self.kept(wanted);
        let mut errors = Vec::new();
        let mut all = Vec::with_capacity(wanted.len());
        for (index, (want, kept)) in wanted.iter().zip(&kept).enumerate() {
            let ours = &mut ours[usize::from(want.udp)];
            let bound = match kept {
                Some(bound) => Ok(Arc::clone(bound)),
                None => Bound::bind(want, workers, ours).map(Arc::new),
            };
            match bound {
                Ok(bound) => {
                    if want.udp {
                        // One address beside all: the two share the port.
                        ours.extend(bound.port);
                    }
                    all.push(Listening { key: Key::of(want), bound });
                }
                Err(error) => errors.push((index, error)),
            }
        }
        // Only now, so that nobody connects to what would be undone, and what serves already comes last.
        for serves in [false, true] {
            if errors.is_empty() {
                let these = (0..wanted.len()).filter(|&index| kept[index].is_some() == serves);
                let listen =
                    |index: usize| Some((index, all[index].bound.listen(wanted[index].options).err()?));
                errors = these.filter_map(listen).collect();
            }
        }
        if errors.is_empty() { Ok(all) } else { Err(errors) }
    }

    /// For each of `wanted` the socket that is open for it. A free port whose listener is new is that of one that is gone: it
    /// may only have another name.
    fn kept(&self, wanted: &[Wanted<'_>]) -> Vec<Option<Arc<Bound>>> {
        let mut open: Vec<&Listening> = self.0.iter().collect();
        let keys: Vec<Key> = wanted.iter().map(Key::of).collect();
        let mut take = |is_it: &dyn Fn(&Key) -> bool| {
            let at = open.iter().position(|open| is_it(&open.key))?;
            Some(Arc::clone(&open.remove(at).bound))
        };
        let mut kept: Vec<_> = keys.iter().map(|key| take(&|open| open == key)).collect();
        for (kept, key) in kept.iter_mut().zip(&keys).filter(|(kept, _)| kept.is_none()) {
            *kept = take(&|open| open.has_text_of(key));
        }
        kept
    }

    /// These are the sockets now; returns those that are no longer wanted.
    pub(crate) fn replace(&mut self, all: &[Listening]) -> Vec<Arc<Bound>> {
        let before = std::mem::replace(&mut self.0, all.to_vec());
        let is_left = |bound: &Arc<Bound>| !all.iter().any(|open| Arc::ptr_eq(&open.bound, bound));
        before.into_iter().map(|open| open.bound).filter(is_left).collect()
    }
}
