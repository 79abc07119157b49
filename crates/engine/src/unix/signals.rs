//! Signals that an engine process doesn't act on.

/// Ignores SIGINT and SIGHUP: the control process hears them and decides what becomes of the engine.
pub(crate) fn ignore_terminal_signals() {
    for signal in [libc::SIGINT, libc::SIGHUP] {
        // SAFETY: SIG_IGN installs no handler, so nothing of ours runs in signal context; both are valid signals.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}
