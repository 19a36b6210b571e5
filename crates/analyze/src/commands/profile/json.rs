//! The parts of a profile, as they are in JSON.

use super::{Call, File, Handshake, ProcessPart, Program, Relative, SshHandshake, TunnelHandshake};
use crate::capture::Capture;
use crate::capture::clock::WallNs;
use crate::capture::connections::Role;
use crate::capture::libraries;
use crate::capture::timeline::{ImageId, ProcessId};
use crate::count::Span;
use crate::count::calls::{CallKey, CallUse};
use crate::count::files::FileUse;
use crate::count::handshakes::{Exchange, HandshakeKey};
use crate::count::wire::WireKey;
use crate::event;
use crate::report::document::{Escaped, Reveal};
use crate::report::parts::failures;
use crate::report::processes::{Key, Process, user};
use crate::words::kernel::signal_name;
use crate::words::redact;
use crate::words::timestamp::timestamp;
use crypto_trace_format::catalog::{Confidence, JudgedBy};
use crypto_trace_format::record::{ApiCall, ApiCallFixed, ApiMeaning};
use std::collections::BTreeMap;

/// Programs that one process ran one after the other, and that are named.
const MAX_PROGRAMS: usize = 1_000;

impl ProcessPart {
    pub(super) fn new(
        process: &Process<'_>,
        to: WallNs,
        children: &BTreeMap<ProcessId, Vec<ProcessId>>,
        reveal: Reveal,
        escaped: &mut Escaped,
    ) -> Self {
        let timeline = &process.capture.timeline;
        let image = process.image(to);
        let identity = timeline.identity(image);
        let known = match process.key {
            Key::Known(known) => Some(known),
            Key::Unknown(..) => None,
        };
        let of_image = |image, escaped: &mut Escaped| {
            let identity = timeline.identity(image);
            let exe = identity.exe.map(|exe| reveal.path(exe, "exe", escaped));
            (exe, identity.argv.map(|argv| reveal.cmdline(argv, "cmdline", escaped)))
        };
        let relative = |relative: ProcessId, escaped: &mut Escaped| {
            let image = timeline.images(relative).last()?;
            Some(Relative {
                pid: timeline.tgid(relative)?,
                name: reveal.text(
                    &redact::comm(timeline.comm(image), timeline.exe(image), reveal.redact),
                    "name",
                    escaped,
                ),
                exe: timeline.exe(image).map(|exe| reveal.path(exe, "exe", escaped)),
            })
        };
        // What a fork made ran on what its parent ran; it counts only when nothing else was run.
        let images = process.images(to).into_iter().filter(|image| timeline.forked_from(*image).is_none());
        let program = |image: ImageId, escaped: &mut Escaped| {
            let (exe, cmdline) = of_image(image, escaped);
            let from = timeline.image_from_ns(image).filter(|from| *from != 0);
            Program { exe, cmdline, from: from.map(|from| timestamp(process.capture.clock.wall(from))) }
        };
        let programs: Vec<Program> = images.take(MAX_PROGRAMS).map(|image| program(image, escaped)).collect();
        let several =
            programs.windows(2).any(|pair| matches!(pair, [a, b] if (&a.exe, &a.cmdline) != (&b.exe, &b.cmdline)));
        let status = process.exit().map(|(_, status)| status);
        let signal = status.map(|status| status & 0x7f).filter(|signal| *signal != 0);
        let ids = process.ids();
        let mut uids: Vec<u32> = process.doings.iter().flat_map(|(_, doings)| doings.uids.iter().copied()).collect();
        uids.sort_unstable();
        uids.dedup();
        let (exe, cmdline) = of_image(image, escaped);
        Self {
            pid: process.pid(),
            name: reveal.text(&process.comm(image, reveal), "name", escaped),
            exe,
            cmdline,
            uid: ids.map(|ids| ids.uid),
            gid: ids.map(|ids| ids.gid),
            running_as: ids.map(|ids| user(ids.uid)),
            uids: if uids.len() > 1 { uids } else { Vec::new() },
            start_time: process.start().map(timestamp),
            end_time: process.end().filter(|end| *end <= to).map(timestamp),
            exit_code: status.filter(|status| status & 0x7f == 0).map(|status| (status >> 8) & 0xff),
            signal: signal.map(|signal| signal_name(signal).into_owned()),
            ppid: identity.ppid,
            parent: known.and_then(|known| timeline.parent(known)).and_then(|parent| relative(parent, escaped)),
            children: known
                .and_then(|known| children.get(&known))
                .map(|children| children.iter().filter_map(|child| relative(*child, escaped)).collect())
                .unwrap_or_default(),
            container: identity.container.map(|container| reveal.text(container, "container", escaped)),
            programs: if several { programs } else { Vec::new() },
        }
    }
}

impl File {
    /// Whether the type is a guess: others use such names, too.
    pub(super) fn is_guess(&self) -> bool {
        self.type_confidence == Some(Confidence::Low.name())
    }

    /// A guess has a mark.
    pub(super) fn shown_type(&self) -> String {
        format!("{}{}", self.file_type, if self.is_guess() { "?" } else { "" })
    }

    pub(super) fn new(path: &[u8], file: &FileUse, reveal: Reveal, escaped: &mut Escaped) -> Self {
        Self {
            path: reveal.path(path, "path", escaped),
            file_type: file.file_type().name(),
            type_confidence: file.confidence().map(Confidence::name),
            type_by: file.known_by().map(JudgedBy::name),
            access_count: file.opens,
            first_access: timestamp(file.span.first),
            last_access: timestamp(file.span.last),
            mode: file.mode(),
            failed: file.failed(),
            failures: failures(&file.failures),
            already_open: file.already_open > 0,
            changes: file.changes,
        }
    }
}

impl Call {
    pub(super) fn new(key: &CallKey, calls: CallUse, capture: &Capture, reveal: Reveal, escaped: &mut Escaped) -> Self {
        let library = capture.libraries.get(key.library);
        let fixed = ApiCallFixed { meaning: key.meaning, number: key.number, ..ApiCallFixed::default() };
        let call = ApiCall { fixed, function: &key.function, text: &key.text, ..ApiCall::default() };
        Self {
            function_name: reveal.text(&key.function, "function_name", escaped),
            count: calls.calls,
            failed: calls.failed,
            by_library: calls.internal,
            meaning: ApiMeaning(key.meaning).name(),
            algorithm: libraries::algorithm(&call, library.map(|row| &row.family[..]).unwrap_or_default())
                .map(|name| redact::for_people(name.as_bytes(), reveal.redact)),
            library: library.map(|row| reveal.path(&row.path, "library", escaped)),
        }
    }
}

impl Handshake {
    pub(super) fn new(key: &HandshakeKey, (count, span): (u64, Span), reveal: Reveal, escaped: &mut Escaped) -> Self {
        let told = key.told.map(|told| match told {
            Some(true) => "ok",
            Some(false) => "failed",
            None => "unknown",
        });
        Self {
            role: key.role.map(Role::name),
            remote_address: key.address.to_string(),
            remote_port: key.port,
            server_name: key.server_name.as_ref().map(|name| reveal.text(name, "server_name", escaped)),
            outcome: key.outcome.name(),
            alert: key.alert.map(|(alert, from)| format!("{alert} from the {}", from.name())),
            tls_version: key.version.map(|version| version.to_string()),
            cipher_suite: key.suite.map(|suite| suite.to_string()),
            key_exchange: key.exchange.to_string(),
            resumed: key.resumed,
            api_result: told,
            count,
            first: timestamp(span.first),
            last: timestamp(span.last),
        }
    }
}

impl SshHandshake {
    pub(super) fn new(key: &WireKey, (count, span): (u64, Span)) -> Self {
        Self {
            role: key.role.map(Role::name),
            remote_address: key.address.to_string(),
            remote_port: key.port,
            remote_software: key.software.clone(),
            outcome: event::ssh_outcome(key.outcome),
            failure: key.failure.clone(),
            key_exchange: key.exchange.to_string(),
            post_quantum: if let Exchange::Known(_, post_quantum) = key.exchange { post_quantum } else { None },
            host_key_algorithm: key.host_key_algorithm.clone(),
            count,
            first: timestamp(span.first),
            last: timestamp(span.last),
        }
    }
}

impl TunnelHandshake {
    pub(super) fn new(key: &WireKey, (count, span): (u64, Span)) -> Self {
        Self {
            role: key.role.map(Role::name),
            remote_address: key.address.to_string(),
            remote_port: key.port,
            outcome: event::ssh_outcome(key.outcome),
            failure: key.failure.clone(),
            key_exchange: key.exchange.to_string(),
            post_quantum: if let Exchange::Known(_, post_quantum) = key.exchange { post_quantum } else { None },
            encryption: key.encryption.clone(),
            count,
            first: timestamp(span.first),
            last: timestamp(span.last),
        }
    }
}
