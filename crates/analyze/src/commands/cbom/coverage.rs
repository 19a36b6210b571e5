//! How complete each part of the document is: never complete, as nobody knows what did not happen while it was recorded.

use super::bom::{Component, Composition, Property};
use crate::capture::Capture;
use crate::report::completeness;
use crate::report::session::Session;
use crate::select::Filter;
use crate::words::escape;
use crate::words::redact;
use crypto_trace_format::record::{FileOpen, Kind, LibLoad};

/// A part of the document.
struct Area {
    name: &'static str,
    /// What is said of one capture.
    state: fn(&Capture) -> String,
    /// Whether it was watched.
    watched: fn(&Capture) -> bool,
    /// What belongs to it.
    prefixes: &'static [&'static str],
}

const AREAS: [Area; 4] = [
    Area {
        name: "tls-handshakes",
        state: completeness::wire_state,
        watched: Capture::watches_tls,
        prefixes: &["protocol:", "certificate:", "public-key:"],
    },
    Area {
        name: "library-calls",
        state: |capture| match capture.meta.selected.algorithms.is_wanted() {
            true => completeness::library_state(capture),
            false => "algorithms of calls not watched: recorded without --api".to_owned(),
        },
        watched: |capture| capture.meta.selected.algorithms.is_wanted() && capture.libraries.any_probed(),
        prefixes: &["algorithm:"],
    },
    Area {
        name: "files",
        state: |capture| state(capture, FileOpen::KIND),
        watched: |capture| watches(capture, FileOpen::KIND),
        prefixes: &["file:"],
    },
    Area {
        name: "libraries",
        state: |capture| state(capture, LibLoad::KIND),
        watched: |capture| watches(capture, LibLoad::KIND),
        prefixes: &["library:"],
    },
];

fn watches(capture: &Capture, kind: Kind) -> bool {
    completeness::unwatched([capture], &[kind]).is_empty()
}

fn state(capture: &Capture, kind: Kind) -> String {
    let why = completeness::unwatched([capture], &[kind]);
    if why.is_empty() { "watched".to_owned() } else { why.join("; ") }
}

/// Compositions, and what is said of each and of what is missing, as properties of the document.
pub(super) fn compositions(session: &Session<'_>, components: &[Component]) -> (Vec<Composition>, Vec<Property>) {
    let redact = session.request.redact;
    let mut properties = Vec::new();
    let gaps = session.gaps(None);
    let mut cut = !gaps.is_empty() || session.captures.is_empty();
    for capture in completeness::recordings(&session.captures) {
        let shown = |text: &[u8]| redact::sentence(escape::for_people(text), redact);
        if let Some(recorded) = completeness::recorded(&capture.meta, shown, "") {
            cut |= completeness::is_selective(capture);
            properties.push(Property::new("recorded", recorded));
        }
    }
    if selects(&session.request.filter) {
        cut = true;
        properties
            .push(Property::new("selected", "part of the recording, selected by options of crypto-trace-analyze"));
    }
    let mut compositions = Vec::new();
    for area in AREAS {
        let bom_ref = format!("coverage:{}", area.name);
        let several = session.captures.len() > 1;
        for capture in completeness::recordings(&session.captures) {
            let said = redact::sentence((area.state)(capture), redact);
            let host =
                if several { format!("{}: ", escape::for_people(capture.meta.host.as_bytes())) } else { String::new() };
            properties.push(Property::new(&bom_ref, format!("{host}{said}")));
        }
        let watched = completeness::recordings(&session.captures).all(area.watched);
        let of_area = |component: &&Component| area.prefixes.iter().any(|prefix| component.bom_ref.starts_with(prefix));
        compositions.push(Composition {
            bom_ref,
            aggregate: if cut || !watched { "incomplete" } else { "unknown" },
            assemblies: components.iter().filter(of_area).map(|component| component.bom_ref.clone()).collect(),
            dependencies: Vec::new(),
        });
    }
    let programs = components.iter().filter(|component| component.bom_ref.starts_with("program:"));
    let dependencies: Vec<String> = programs.map(|component| component.bom_ref.clone()).collect();
    compositions.push(Composition {
        bom_ref: "coverage:programs".to_owned(),
        aggregate: if cut { "incomplete" } else { "unknown" },
        assemblies: dependencies.clone(),
        dependencies,
    });
    properties.push(Property::new("coverage:programs", "those seen using any of this"));
    properties.extend(gaps.into_iter().map(|gap| Property::new("missing", gap)));
    let blind = "SSH, IKE, WireGuard, DTLS, QUIC that was not looked for, what TLS 1.3 encrypts, and cryptography linked into programs without known names";
    properties.push(Property::new("blind-to", blind));
    (compositions, properties)
}

/// Whether some of what was recorded is left out on purpose.
fn selects(filter: &Filter) -> bool {
    let Filter { pids, names, files, libraries, uids, cgroups, containers, hosts, since, until, outcome, .. } = filter;
    let lists = [names, libraries, cgroups, containers, hosts];
    !pids.is_empty()
        || !uids.is_empty()
        || lists.iter().any(|list| !list.is_empty())
        || files.is_some()
        || since.is_some()
        || until.is_some()
        || outcome.is_some()
}
