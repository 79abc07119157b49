//! How handshakes with backends are made: what a pool's are made with, and what each worker keeps of them, so that the
//! next one is shorter.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fairlead_plan as plan;
use fairlead_plan::spec::{TlsVersion, UpstreamTls};
use rustls::ClientConfig;
use rustls::client::{Resumption, UnbufferedClientConnection, WebPkiServerVerifier};
use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;
use rustls::version::{TLS12, TLS13};

use super::authority::Authorities;
use super::credential::{Credential, Keyring};
use super::provider;
use super::trouble::Trouble;
use super::unverified::Unverified;
use crate::error::{CallError, Problem};

/// Backends of a pool whose sessions a worker remembers, each with up to eight tickets of TLS 1.3 or a session of 1.2.
/// With more of them, all are forgotten at times.
const MOST_REMEMBERED: usize = 256;
/// Sessions of one backend: as many as rustls keeps for one name.
const SESSIONS: usize = 8;

/// By the pool's name.
pub(crate) type ClientConfigs = HashMap<Arc<str>, Arc<ClientTls>>;

/// What handshakes with the backends of a pool are made with.
pub(crate) struct ClientTls {
    settings: UpstreamTls,
    credential: Option<Arc<Credential>>,
    authorities: Option<Arc<Authorities>>,
    /// Remembers no session.
    config: Arc<ClientConfig>,
    /// What was wrong with backends at their last handshake, by id.
    troubles: Mutex<HashMap<Arc<str>, Trouble>>,
}

/// What every pool of a Plan needs whose backends are spoken to by TLS, or what of it there isn't. What is as it was
/// `before` stays the same, with all that is remembered.
pub(crate) fn client_configs(
    plan: &plan::Plan,
    keyring: &Keyring,
    before: &ClientConfigs,
) -> Result<ClientConfigs, CallError> {
    let mut configs = HashMap::new();
    let mut problems = Vec::new();
    for pool in &plan.pools {
        let Some(settings) = &pool.tls else { continue };
        match ClientTls::of(pool, settings, keyring) {
            Ok(made) => {
                let known = before.get(&pool.name).filter(|known| known.is_same(&made));
                let kept = known.map_or_else(|| Arc::new(made), Arc::clone);
                configs.insert(Arc::clone(&pool.name), kept);
            }
            Err((key, message)) => problems
                .push(Problem { path: ["pools", &pool.name, "tls", key].map(str::to_owned).into(), message }),
        }
    }
    if problems.is_empty() { Ok(configs) } else { Err(CallError::refused(problems)) }
}

impl ClientTls {
    fn of(
        pool: &plan::Pool,
        settings: &UpstreamTls,
        keyring: &Keyring,
    ) -> Result<Self, (&'static str, String)> {
        let credential = match &settings.certificate {
            None => None,
            Some(name) => match keyring.certificates.get(name) {
                Some(credential) => Some(Arc::clone(credential)),
                None => {
                    return Err(("certificate", format!("certificate {name:?} was not given to the engine")));
                }
            },
        };
        if let Some(name) = &settings.server_name
            && ServerName::try_from(name.as_str()).is_err()
        {
            return Err(("server_name", format!("{name:?} is no name of a host")));
        }
        let authorities = match (settings.verify, settings.own_authorities) {
            (false, _) => None,
            (true, true) => {
                let own = keyring.pools.get(&*pool.name).cloned();
                Some(own.ok_or(("ca", "the authorities were not given to the engine".to_owned()))?)
            }
            (true, false) => Some(keyring.system.clone().ok_or_else(|| {
                let message = "this system has no authorities that anybody knows of: write ca_file";
                ("verify", message.to_owned())
            })?),
        };
        let config = client_config(settings, credential.as_deref(), authorities.as_deref())
            .map_err(|error| ("verify", error.to_string()))?;
        let troubles = Mutex::default();
        Ok(Self { settings: settings.clone(), credential, authorities, config: Arc::new(config), troubles })
    }

    fn is_same(&self, other: &Self) -> bool {
        let credentials = match (&self.credential, &other.credential) {
            (Some(one), Some(another)) => Arc::ptr_eq(one, another) || one.is_same(another),
            (one, another) => one.is_none() && another.is_none(),
        };
        let authorities = match (&self.authorities, &other.authorities) {
            (Some(one), Some(another)) => Arc::ptr_eq(one, another) || one.is_same(another),
            (one, another) => one.is_none() && another.is_none(),
        };
        self.settings == other.settings && credentials && authorities
    }

    /// A connection to a backend of this name that remembers nothing.
    pub(crate) fn connection(&self, server_name: &str) -> Result<UnbufferedClientConnection, Trouble> {
        connection(&self.config, &host(server_name)?)
    }

    /// What was wrong with a backend at its last handshake.
    pub(crate) fn trouble(&self, backend: &str) -> Option<Trouble> {
        self.troubles().get(backend).copied()
    }

    /// Notes how a handshake ended; `true` if that is news worth telling.
    pub(crate) fn note(&self, backend: &Arc<str>, trouble: Option<Trouble>) -> bool {
        let mut troubles = self.troubles();
        match trouble {
            None => {
                troubles.remove(backend);
                false
            }
            Some(trouble) => troubles.insert(Arc::clone(backend), trouble) != Some(trouble),
        }
    }

    fn troubles(&self) -> MutexGuard<'_, HashMap<Arc<str>, Trouble>> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a backend is what it is, with what was wrong with its last handshake.
pub(crate) fn explained(
    reason: Cow<'static, str>,
    tls: Option<&Arc<ClientTls>>,
    backend: &plan::Backend,
) -> Cow<'static, str> {
    match tls.and_then(|tls| tls.trouble(&backend.id)) {
        Some(trouble) => format!("{reason}; {}", trouble.told(&backend.server_name)).into(),
        None => reason,
    }
}

fn client_config(
    settings: &UpstreamTls,
    credential: Option<&Credential>,
    authorities: Option<&Authorities>,
) -> Result<ClientConfig, Box<dyn std::error::Error>> {
    let versions: &[_] = match settings.min_version {
        TlsVersion::Tls12 => &[&TLS13, &TLS12],
        TlsVersion::Tls13 => &[&TLS13],
    };
    let builder = ClientConfig::builder_with_provider(provider()).with_protocol_versions(versions)?;
    let builder = match authorities {
        Some(authorities) => {
            let roots = Arc::clone(&authorities.roots);
            let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider()).build()?;
            builder.with_webpki_verifier(verifier)
        }
        None => builder.dangerous().with_custom_certificate_verifier(Arc::new(Unverified)),
    };
    let mut config = match credential {
        Some(credential) => {
            let shown = SingleCertAndKey::from(Arc::clone(&credential.key));
            builder.with_client_cert_resolver(Arc::new(shown))
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = settings.alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// A name as it is asked for: an absolute one is written without its last dot there (RFC 6066 3).
fn host(name: &str) -> Result<ServerName<'static>, Trouble> {
    let name = name.strip_suffix('.').unwrap_or(name);
    ServerName::try_from(name.to_owned()).map_err(|_| Trouble::NoName)
}

fn connection(
    config: &Arc<ClientConfig>,
    name: &ServerName<'static>,
) -> Result<UnbufferedClientConnection, Trouble> {
    UnbufferedClientConnection::new(Arc::clone(config), name.clone()).map_err(|error| Trouble::of(&error))
}

/// What a worker makes handshakes with.
pub(crate) struct LocalTls {
    pub(crate) shared: Arc<ClientTls>,
    /// By the backend's connection key: a ticket of one is worth nothing to another.
    remembered: RefCell<HashMap<u64, (Arc<ClientConfig>, ServerName<'static>)>>,
}

impl LocalTls {
    pub(crate) fn new(shared: &Arc<ClientTls>) -> Self {
        Self { shared: Arc::clone(shared), remembered: RefCell::default() }
    }

    /// A connection to a backend, by a session that is remembered if there is one.
    pub(crate) fn connection(&self, backend: &plan::Backend) -> Result<UnbufferedClientConnection, Trouble> {
        let mut remembered = self.remembered.borrow_mut();
        if remembered.len() >= MOST_REMEMBERED && !remembered.contains_key(&backend.key) {
            remembered.clear();
        }
        if let Some((config, name)) = remembered.get(&backend.key) {
            return connection(config, name);
        }
        let mut config = (*self.shared.config).clone();
        config.resumption = Resumption::in_memory_sessions(SESSIONS);
        let (config, name) = (Arc::new(config), host(&backend.server_name)?);
        let made = connection(&config, &name);
        remembered.insert(backend.key, (config, name));
        made
    }
}
