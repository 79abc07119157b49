//! Certificates and keys: given before the configuration that names them, and given anew when they are renewed.

use std::sync::{Arc, PoisonError};

use super::shared::Shared;
use crate::error::CallError;
use crate::tls::{Secrets, read_secrets, server_configs};
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
            for (name, known) in self.state().keyring.iter() {
                if plan.uses_certificate(name) {
                    keyring.entry(name.clone()).or_insert_with(|| Arc::clone(known));
                }
            }
            let configs = Arc::new(server_configs(&plan, &keyring)?);
            self.tell_all(|| Command::Secrets(Arc::clone(&configs)))?;
        }
        self.state().keyring = Arc::new(keyring);
        Ok(())
    }
}
