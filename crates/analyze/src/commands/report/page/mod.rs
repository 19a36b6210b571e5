//! The page: one file that needs nothing else. Every text goes in through maud, which escapes it; the page's policy lets no request
//! leave, and no script run but its own.

mod sections;
mod table;

use super::document::Report;
use anyhow::Result;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// Sections: their place in the page, and what they are called.
const SECTIONS: [(&str, &str); 9] = [
    ("readiness", "Post-quantum readiness"),
    ("findings", "Findings"),
    ("inventory", "Inventory"),
    ("certificates", "Certificates"),
    ("keys", "Private keys"),
    ("libraries", "Libraries"),
    ("algorithms", "Algorithms"),
    ("coverage", "What was seen, and what was not"),
    ("sources", "Recordings"),
];

/// The page.
pub(super) fn html(report: &Report) -> Result<String> {
    let hosts = match report.hosts.as_slice() {
        [one] => one.clone(),
        hosts => format!("{} hosts", hosts.len()),
    };
    let period = match (&report.from, &report.to) {
        (Some(from), Some(to)) => format!("{} to {} UTC", table::second(from), table::second(to)),
        _ => "no records".to_owned(),
    };
    // A script that is not this one does not run, wherever it came from.
    let digest = STANDARD.encode(Sha256::digest(SCRIPT.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    );
    let (charts, body) = (sections::drawn(report)?, sections::all(report));
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="referrer" content="no-referrer";
                meta name="generator" content=(report.made_by);
                title { "Cryptography in use: " (hosts) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                a.skip href="#content" { "Skip to the content" }
                header {
                    h1 { "Cryptography in use" }
                    p.soft { (hosts) ", " (period) ". Judged as of " (report.as_of) "." }
                    (sections::tiles(report))
                    (charts)
                    nav aria-label="Sections" {
                        ul { @for (id, name) in SECTIONS { li { a href={ "#" (id) } { (name) } } } }
                    }
                }
                main id="content" { (body) }
                footer {
                    p {
                        "Made by " (report.made_by) " from what was recorded on the hosts; nothing was added by hand. "
                        "The same recordings give the same page."
                    }
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    Ok(page.into_string())
}

/// A section with its heading.
fn section(id: &str, content: &Markup) -> Markup {
    let name = SECTIONS.iter().find(|(known, _)| *known == id).map_or(id, |(_, name)| name);
    html! { section id=(id) aria-labelledby={ (id) "-heading" } { h2 id={ (id) "-heading" } { (name) } (content) } }
}
