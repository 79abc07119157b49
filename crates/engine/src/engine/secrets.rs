//! Certificates and keys: given before the configuration that names them, and given anew when they are renewed.

use std::sync::{Arc, PoisonError};

use super::shared::Shared;
use crate::error::CallError;
use crate::tls::{Secrets, client_configs, read_secrets, server_configs};
use crate::worker::Command;

impl Shared {
    /// Takes all of them, or says everything that is wrong and changes nothing. Handshakes that begin from now on are made
    /// with them, those under way end as they began.
    pub(crate) fn secrets(&self, secrets: &Secrets) -> Result<(), CallError> {
        let _one_at_a_time = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut keyring = read_secrets(secrets)?;
        let plan = self.state().plan.clone();
        if let Some(plan) = plan {
            // What is served goes on with what it has until there is a configuration that doesn't need it.
            let (known, before) = {
                let state = self.state();
                (Arc::clone(&state.keyring), Arc::clone(&state.client_tls))
            };
            for (name, credential) in &known.certificates {
                if plan.uses_certificate(name) {
                    keyring.certificates.entry(name.clone()).or_insert_with(|| Arc::clone(credential));
                }
            }
            for (pool, authorities) in &known.pools {
                if plan.pools.iter().any(|served| *served.name == **pool) {
                    keyring.pools.entry(pool.clone()).or_insert_with(|| Arc::clone(authorities));
                }
            }
            keyring.system = keyring.system.or_else(|| known.system.clone());
            let servers = Arc::new(server_configs(&plan, &keyring)?);
            let clients = Arc::new(client_configs(&plan, &keyring, &before)?);
            self.tell_all(|| Command::Secrets(Arc::clone(&servers), Arc::clone(&clients)))?;
            self.state().client_tls = clients;
            self.follow_checks();
        }
        self.state().keyring = Arc::new(keyring);
        Ok(())
    }
}
