//! Why programs or probes could not be had.

use libbpf_rs::ErrorKind;

/// Why the programs could not be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// Not allowed to.
    #[error("not allowed to load BPF programs: {0}")]
    Permission(libbpf_rs::Error),
    /// The kernel lacks something.
    #[error("this kernel lacks {what}")]
    Unsupported {
        /// What it lacks.
        what: &'static str,
    },
    /// Anything else.
    #[error("cannot {action}: {source}")]
    Failed {
        /// What was tried.
        action: &'static str,
        /// What libbpf said.
        source: libbpf_rs::Error,
        /// What libbpf and the kernel's verifier said before that, in many lines; it may be empty.
        log: String,
    },
}

impl LoadError {
    pub(crate) fn new(action: &'static str, source: libbpf_rs::Error) -> Self {
        // The verifier refuses programs with EACCES, which is no matter of permission.
        if source.kind() == ErrorKind::PermissionDenied && os_error(&source) != Some(EACCES) {
            Self::Permission(source)
        } else {
            Self::Failed { action, source, log: String::new() }
        }
    }
}

/// Probes on a library that could not be attached.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct AttachError {
    /// errno, positive; 0 when there is none that matters.
    pub errno: i32,
    /// Why, for people.
    pub message: String,
}

#[allow(clippy::needless_pass_by_value, reason = "made for map_err")]
pub(crate) fn attach_error(error: libbpf_rs::Error) -> AttachError {
    AttachError { errno: errno_of(&error), message: format!("{error:#}") }
}

const EACCES: i32 = 13;

/// The system's own error number, when the error comes from the system.
pub(crate) fn os_error(error: &libbpf_rs::Error) -> Option<i32> {
    let mut source: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            return error.raw_os_error();
        }
        source = error.source();
    }
    // libbpf-rs does not hand out an error that is the system's own and nothing else, but it shows it.
    let text = format!("{error:#}");
    text.split("(os error ").nth(1)?.split(')').next()?.parse().ok()
}

/// errno of an error of libbpf, for the record; 0 when it has none that matters.
pub(crate) fn errno_of(error: &libbpf_rs::Error) -> i32 {
    os_error(error).unwrap_or(match error.kind() {
        ErrorKind::PermissionDenied => 1,
        ErrorKind::NotFound => 2,
        ErrorKind::AlreadyExists => 17,
        ErrorKind::InvalidInput => 22,
        _ => 0,
    })
}

#[cfg(test)]
mod tests {
    use libbpf_rs::ErrorExt as _;

    /// It was 0 for all but four of them, which no errno is: the recorder panicked where a process had ended.
    #[test]
    fn every_error_of_the_system_keeps_its_number() {
        for errno in 1..134 {
            let error = libbpf_rs::Error::from_raw_os_error(errno);
            assert_eq!(super::errno_of(&error), errno);
            let of_an_attempt = error.context("failed to attach");
            assert_eq!(super::errno_of(&of_an_attempt), errno, "{of_an_attempt:#}");
        }
    }
}
