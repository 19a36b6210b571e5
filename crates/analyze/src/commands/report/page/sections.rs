//! The sections of the page, each from one document.

use super::super::charts::{self, Bucket};
use super::super::document::Report;
use super::section;
use super::table::{Cell, Kind, mark, marked, number, second, sentences, signed, table, text, time};
use crate::words::text::{bytes, grouped, plural};
use anyhow::Result;
use maud::{Markup, PreEscaped, html};
use serde_json::Value;
use std::collections::BTreeMap;

/// A member that is a list.
fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().map_or(&[], Vec::as_slice)
}

fn string<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

fn count(value: &Value, name: &str) -> u64 {
    value[name].as_u64().unwrap_or_default()
}

/// Words of a list, with commas.
fn joined(values: &[Value]) -> String {
    values.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
}

/// `/usr/sbin/nginx`, with its container where it has one.
fn program(row: &Value) -> Cell {
    let program = row["program"].as_str().unwrap_or("process not known");
    let id: String = string(row, "container").chars().take(12).collect();
    text(if id.is_empty() { program.to_owned() } else { format!("{program} in {id}") })
}

/// What is most important, in numbers.
pub(super) fn tiles(report: &Report) -> Markup {
    let share = report.readiness["post_quantum_share"].as_f64();
    let share = share.map_or_else(|| "not known".to_owned(), |share| format!("{:.0} %", (share * 100.0).floor()));
    let packs = list(&report.check, "packs");
    let sum = |verdict: &str| packs.iter().map(|pack| count(&pack["counts"], verdict)).sum::<u64>();
    let certs = &report.certs;
    let tiles = [
        (share, "of key exchanges are post-quantum"),
        (grouped(sum("fail")), "rules are violated"),
        (grouped(sum("unknown")), "rules cannot be judged"),
        (grouped(count(certs, "expired")), "certificates in use have expired"),
        (grouped(count(certs, "expires_soon")), "expire within 30 days"),
        (grouped(count(&report.keys, "readable_by_others")), "key files are readable by others"),
    ];
    html! { ul.tiles { @for (number, what) in tiles { li { b { (number) } (what) } } } }
}

pub(super) fn all(report: &Report) -> Markup {
    let gaps: Vec<Value> = report.missing.iter().map(|text| Value::from(text.as_str())).collect();
    html! {
        (sentences("What is missing from this report", &gaps))
        @if !report.rows_left_out.is_empty() {
            p { "Tables end after 1,000 rows: " @for cut in &report.rows_left_out { (grouped(cut.rows)) " more of " (cut.table) ". " } }
        }
        (section("readiness", &readiness(report)))
        (section("findings", &findings(&report.check)))
        (section("inventory", &inventory(report)))
        (section("certificates", &certificates(&report.certs)))
        (section("keys", &keys(&report.keys)))
        (section("libraries", &libraries(report)))
        (section("algorithms", &algorithms(&report.algorithms)))
        (section("coverage", &coverage(&report.coverage)))
        (section("sources", &sources(report)))
    }
}

fn figure(caption: &str, svg: &str, key: &Markup) -> Markup {
    html! { figure { figcaption { (caption) } (PreEscaped(svg)) (key) } }
}

/// The three charts; each of what there is something of.
pub(super) fn drawn(report: &Report) -> Result<Markup> {
    let over_time = &report.readiness["over_time"];
    let is_by_day = string(over_time, "by") == "day";
    let label = |from: &str| match is_by_day {
        true => from.get(5..10).unwrap_or(from).to_owned(),
        false => format!("{} {}", from.get(5..10).unwrap_or_default(), from.get(11..16).unwrap_or_default()),
    };
    let buckets: Vec<Bucket> = list(over_time, "buckets")
        .iter()
        .map(|bucket| Bucket {
            label: label(string(bucket, "from")),
            post_quantum: count(bucket, "post_quantum"),
            classical: count(bucket, "classical"),
            unknown: count(bucket, "unknown"),
        })
        .collect();
    let chart = if buckets.is_empty() { None } else { Some(charts::share(&buckets)?) };
    let key = html! {
        ul.key { li { i.quantum {} "post-quantum" } li { i.classical {} "classical" } li { i.unknown {} "not known" } }
    };
    let versions: Vec<(String, u64)> = list(&report.tls, "versions")
        .iter()
        .map(|row| (string(row, "name").to_owned(), count(row, "handshakes")))
        .collect();
    let versions = if versions.is_empty() { None } else { Some(charts::versions(&versions)?) };
    let certs = &report.certs;
    let files = list(certs, "certificate_files").iter().flat_map(|file| list(file, "certificates"));
    // One in a handshake and in a file is one.
    let all = list(certs, "rows").iter().chain(files);
    let days: BTreeMap<&str, i64> =
        all.filter_map(|row| Some((row["sha256"].as_str()?, row["days_left"].as_i64()?))).collect();
    let days: Vec<i64> = days.into_values().collect();
    let expiry = if days.is_empty() { None } else { Some(charts::expiry(&days)?) };
    Ok(html! {
        div.charts {
            @if let Some(chart) = &chart { (figure("Key exchanges over time", chart, &key)) }
            @if let Some(chart) = &versions { (figure("Handshakes by version", chart, &html! {})) }
            @if let Some(chart) = &expiry { (figure("Certificates by expiry", chart, &html! {})) }
        }
    })
}

fn readiness(report: &Report) -> Markup {
    let document = &report.readiness;
    let reasons = |row: &Value| {
        let said = list(row, "why_not").iter().map(|why| {
            let old = list(why, "library_too_old")
                .iter()
                .map(|old| format!("{} {}", string(old, "library_name"), string(old, "version")));
            let old = old.collect::<Vec<_>>().join(", ");
            let old = if old.is_empty() { old } else { format!(" ({old} is too old)") };
            format!("{}: {}{old}", string(why, "reason").replace('_', " "), grouped(count(why, "handshakes")))
        });
        said.collect::<Vec<_>>().join("; ")
    };
    let agreed = |row: &Value| {
        let all = list(row, "agreed").iter().map(|agreed| {
            let exchange = agreed["key_exchange"].as_str().unwrap_or("no key exchange seen");
            format!("{} {exchange}", agreed["version"].as_str().unwrap_or("version not seen"))
        });
        all.collect::<Vec<_>>().join(", ")
    };
    let state = |row: &Value| match (count(row, "post_quantum"), count(row, "classical")) {
        (0, 0) => "not known",
        (0, _) => "classical",
        (_, 0) => "post-quantum",
        _ => "partly",
    };
    let rows = list(document, "rows").iter().map(|row| {
        vec![
            mark(state(row)),
            number(count(row, "classical")),
            number(count(row, "handshakes")),
            text(row["role"].as_str().unwrap_or("not known")),
            program(row),
            text(row["port"].as_u64().map(|port| port.to_string()).unwrap_or_default()),
            text(string(row, "server_name")),
            text(joined(&list(row, "top_peers").iter().map(|peer| peer["address"].clone()).collect::<Vec<_>>())),
            text(agreed(row)),
            text(reasons(row)),
            text(string(row, "host")),
        ]
    });
    let columns = [
        ("State", Kind::Text),
        ("Classical", Kind::Number),
        ("Handshakes", Kind::Number),
        ("Role", Kind::Text),
        ("Program", Kind::Path),
        ("Port", Kind::Text),
        ("Server name", Kind::Text),
        ("Peers", Kind::Text),
        ("Agreed on", Kind::Wide),
        ("Why not post-quantum", Kind::Wide),
        ("Host", Kind::Text),
    ];
    let share = document["post_quantum_share"].as_f64();
    html! {
        p {
            (grouped(count(document, "post_quantum"))) " of "
            (grouped(count(document, "post_quantum") + count(document, "classical") + count(document, "unknown")))
            " key exchanges are post-quantum" @if let Some(share) = share { " (" (format!("{:.1}", share * 100.0)) " %)" }
            ", in " (grouped(count(document, "handshakes"))) " handshakes. Rows with the most classical handshakes come first: they are the worklist."
        }
        @if let Some(why) = document["why_none"].as_str() { p { (why) } }
        (table("readiness-rows", "Services and clients", &columns, rows.collect()))
        (sentences("Not recorded", list(document, "not_recorded")))
    }
}

fn findings(document: &Value) -> Markup {
    let packs = list(document, "packs");
    let evidence = |rule: &Value| {
        let row = |one: &Value| {
            let peer = [string(one, "peer"), string(one, "server_name")].join(" ");
            vec![
                text(string(one, "what")),
                text(string(one, "place").replace('_', " ")),
                number(count(one, "count")),
                time(&one["first"]),
                program(one),
                text(one["pid"].as_u64().map(|pid| pid.to_string()).unwrap_or_default()),
                text(peer.trim()),
                text(string(one, "host")),
            ]
        };
        let columns = [
            ("What", Kind::Path),
            ("Where", Kind::Text),
            ("Uses", Kind::Number),
            ("First", Kind::Time),
            ("Program", Kind::Path),
            ("Process", Kind::Text),
            ("Peer", Kind::Text),
            ("Host", Kind::Text),
        ];
        let id =
            format!("evidence-{}", string(rule, "rule").replace(|letter: char| !letter.is_ascii_alphanumeric(), "-"));
        table(&id, "Evidence", &columns, list(rule, "evidence").iter().map(row).collect())
    };
    html! {
        p { "Each pack is judged on its own; there is no verdict over all of them. A rule that the recording cannot settle is unknown, never a pass." }
        @for pack in packs {
            h3 { (string(pack, "pack")) }
            p.soft {
                @for verdict in ["fail", "warn", "unknown", "pass"] { (grouped(count(&pack["counts"], verdict))) " " (verdict) "  " }
                @if let Some(dated) = pack["dated"].as_str() { "· dated " (dated) }
                @if let Some(compared) = pack["compared"].as_str() { ", compared with its documents on " (compared) }
                @if pack["stale"] == true { " · this pack may be out of date" }
            }
            @for rule in list(pack, "rules") {
                @let verdict = string(rule, "verdict");
                details open[verdict == "fail"] {
                    summary { (marked(verdict)) " " (string(rule, "rule")) @if count(rule, "against") > 0 { ": " (plural(count(rule, "against"), "violation")) } }
                    blockquote { "“" (string(rule, "says")) "”" }
                    p.soft {
                        (string(rule, "document"))
                        @if let Some(section) = rule["section"].as_str() { ", " (section) }
                        @if let Some(published) = rule["published"].as_str() { ", published " (published) }
                        @if rule["draft"] == true { ", a draft" }
                        @if let Some(scope) = rule["applies_to"].as_str() { " (" (scope) ")" }
                        @if let Some(url) = rule["url"].as_str() { @if url.starts_with("https://") { ". " a href=(url) rel="noreferrer" { (url) } } }
                    }
                    @if !list(rule, "evidence").is_empty() { (evidence(rule)) }
                    @if count(rule, "evidence_more") > 0 { p { (grouped(count(rule, "evidence_more"))) " more are not shown." } }
                    @if verdict == "unknown" { (sentences("Unknown, because", list(rule, "open"))) }
                }
            }
        }
        @if !list(document, "waivers").is_empty() {
            @let row = |one: &Value| vec![
                text(string(one, "rule")),
                text(string(one, "owner")),
                text(string(one, "reason")),
                text(string(one, "expires")),
                text(if one["expired"] == true { "expired" } else { "" }),
                number(count(one, "covers")),
            ];
            @let columns = [("Rule", Kind::Path), ("Owner", Kind::Text), ("Reason", Kind::Wide), ("Expires", Kind::Time), ("State", Kind::Text), ("Uses", Kind::Number)];
            (table("waivers", "Waivers", &columns, list(document, "waivers").iter().map(row).collect()))
        }
        (sentences("No recording shows", list(document, "blind_to")))
    }
}

fn inventory(report: &Report) -> Markup {
    let row = |row: &super::super::inventory::CryptoRow| {
        let id: String = row.container.iter().flat_map(|id| id.chars()).take(12).collect();
        let by = row.program.as_deref().unwrap_or("process not known");
        vec![
            text(&row.crypto),
            text(row.protocol.as_deref().unwrap_or("library")),
            text(row.key_exchange.as_deref().unwrap_or_default()),
            text(&row.purpose),
            text(if id.is_empty() { by.to_owned() } else { format!("{by} in {id}") }),
            text(&row.host),
            number(row.uses),
            time(&Value::from(row.first_seen.as_str())),
            time(&Value::from(row.last_seen.as_str())),
        ]
    };
    let columns = [
        ("Suite or algorithm", Kind::Path),
        ("Protocol", Kind::Text),
        ("Key exchange", Kind::Text),
        ("Purpose", Kind::Wide),
        ("Where used", Kind::Path),
        ("Host", Kind::Text),
        ("Uses", Kind::Number),
        ("First seen", Kind::Time),
        ("Last seen", Kind::Time),
    ];
    html! {
        p { "Cipher suites and protocols in use, with purpose, place and time: the form that PCI DSS 12.3.3 asks for." }
        (table("inventory-rows", "Suites, protocols and algorithms", &columns, report.inventory.iter().map(row).collect()))
    }
}

fn certificates(document: &Value) -> Markup {
    let files = || {
        list(document, "certificate_files")
            .iter()
            .flat_map(|file| list(file, "certificates").iter().map(move |one| (file, one)))
    };
    let state = |row: &Value| mark(&row["state"].as_str().unwrap_or("not known").replace('_', " "));
    let key = |row: &Value| {
        let size =
            row["curve"].as_str().map(str::to_owned).or_else(|| row["key_bits"].as_u64().map(|bits| bits.to_string()));
        text(format!("{} {}", string(row, "key_type"), size.unwrap_or_default()))
    };
    let presented = |row: &Value| {
        let by = list(row, "presented_by").iter().map(|by| {
            let who = by["program"].as_str().or(by["address"].as_str()).unwrap_or("process not known");
            format!("{} {who}, port {}", string(by, "role"), count(by, "port"))
        });
        text(by.collect::<Vec<_>>().join("; "))
    };
    let of_wire = list(document, "rows").iter().map(|row| {
        vec![
            state(row),
            signed(row["days_left"].as_i64()),
            text(string(row, "not_after").get(..10).unwrap_or_default()),
            text(row["subject"].as_str().unwrap_or("not read")),
            text(string(row, "issuer")),
            key(row),
            text(string(row, "signature_algorithm")),
            number(count(row, "handshakes")),
            presented(row),
            text(string(row, "sha256")),
        ]
    });
    let columns = [
        ("State", Kind::Text),
        ("Days left", Kind::Number),
        ("Ends", Kind::Time),
        ("Subject", Kind::Wide),
        ("Issuer", Kind::Wide),
        ("Key", Kind::Text),
        ("Signature", Kind::Text),
        ("Handshakes", Kind::Number),
        ("Presented by", Kind::Wide),
        ("SHA-256", Kind::Hash),
    ];
    let of_files = files().map(|(file, one)| {
        vec![
            state(one),
            signed(one["days_left"].as_i64()),
            text(string(one, "not_after").get(..10).unwrap_or_default()),
            text(one["subject"].as_str().unwrap_or("not read")),
            key(one),
            text(string(file, "path")),
            mark(if one["presented"] == true { "yes" } else { "not seen" }),
            text(string(file, "host")),
        ]
    });
    let file_columns = [
        ("State", Kind::Text),
        ("Days left", Kind::Number),
        ("Ends", Kind::Time),
        ("Subject", Kind::Wide),
        ("Key", Kind::Text),
        ("File", Kind::Path),
        ("In handshakes", Kind::Text),
        ("Host", Kind::Text),
    ];
    let stale = list(document, "not_read_again").iter().map(|row| {
        vec![
            program(row),
            text(count(row, "port").to_string()),
            text(string(row, "path")),
            time(&row["read"]),
            time(&row["changed"]),
            text(match (row["presented"].as_str(), row["held_by"].as_str(), row["file_holds"].as_str()) {
                (_, Some(other), _) => format!("a certificate that {other} holds"),
                (Some("hidden"), ..) => "hidden by TLS 1.3".to_owned(),
                (_, _, Some(held)) if row["sha256"] == held => "the one in the file".to_owned(),
                (Some("same"), ..) => "the same as before".to_owned(),
                _ => "one not seen before".to_owned(),
            }),
        ]
    });
    let stale: Vec<_> = stale.collect();
    let stale_columns = [
        ("Process", Kind::Path),
        ("Port", Kind::Text),
        ("File", Kind::Path),
        ("Read", Kind::Time),
        ("Changed", Kind::Time),
        ("Presents since", Kind::Wide),
    ];
    let from_files: Vec<_> = of_files.collect();
    html! {
        p {
            "TLS 1.3 hides certificates: " (grouped(count(document, "shown"))) " of " (grouped(count(document, "handshakes")))
            " handshakes show the server's, " (grouped(count(document, "hidden"))) " hide it."
        }
        (table("certificate-rows", "Certificates in handshakes", &columns, of_wire.collect()))
        @if !from_files.is_empty() { (table("certificate-files", "Certificates in files", &file_columns, from_files)) }
        @if !stale.is_empty() { (table("stale", "Files that changed and were not read again", &stale_columns, stale)) }
        (sentences("Not recorded", list(document, "not_recorded")))
    }
}

fn keys(document: &Value) -> Markup {
    let others = |row: &Value| match row["readable_by_others"].as_bool() {
        Some(true) => "readable by others",
        Some(false) => "",
        None => "mode not recorded",
    };
    let rows = list(document, "rows").iter().flat_map(|row| list(row, "users").iter().map(move |user| (row, user)));
    let rows = rows.map(|(row, user)| {
        vec![
            text(string(row, "path")),
            text(string(row, "type").replace('_', " ")),
            text(string(row, "mode")),
            if others(row).is_empty() { text("") } else { mark(others(row)) },
            text(string(user, "program")),
            text(count(user, "uid").to_string()),
            number(count(user, "opens")),
            number(count(user, "failed")),
            time(&user["last"]),
            text(string(row, "host")),
        ]
    });
    let columns = [
        ("Key", Kind::Path),
        ("Type", Kind::Text),
        ("Mode", Kind::Text),
        ("Others", Kind::Text),
        ("Opened by", Kind::Path),
        ("User", Kind::Text),
        ("Opens", Kind::Number),
        ("Failed", Kind::Number),
        ("Last", Kind::Time),
        ("Host", Kind::Text),
    ];
    html! {
        p { (grouped(count(document, "keys"))) " key files were opened. Their content is not recorded: they are recognised by name, or by what libraries were asked to load." }
        (table("key-rows", "Key files and who opened them", &columns, rows.collect()))
    }
}

fn libraries(report: &Report) -> Markup {
    let rows = report.libraries.iter().map(|row| {
        vec![
            text(row.library.unwrap_or("not known")),
            text(row.version.as_deref().unwrap_or("not known")),
            text(&row.file),
            text(row.programs.join(", ")),
            number(row.loads),
            time(&Value::from(row.first_seen.as_str())),
            time(&Value::from(row.last_seen.as_str())),
            text(&row.host),
        ]
    });
    let columns = [
        ("Library", Kind::Text),
        ("Version", Kind::Text),
        ("File", Kind::Path),
        ("Programs", Kind::Path),
        ("Loads", Kind::Number),
        ("First seen", Kind::Time),
        ("Last seen", Kind::Time),
        ("Host", Kind::Text),
    ];
    table("library-rows", "Crypto libraries", &columns, rows.collect())
}

fn algorithms(document: &Value) -> Markup {
    let vulnerable = |row: &Value| match row["quantum_vulnerable"].as_bool() {
        Some(true) => "yes",
        Some(false) => "no",
        None => "",
    };
    let rows = list(document, "algorithms").iter().map(|row| {
        vec![
            text(string(row, "name")),
            text(row["primitive"].as_str().unwrap_or("not in the catalog")),
            text(row["classical_bits"].as_u64().map(|bits| bits.to_string()).unwrap_or_default()),
            text(vulnerable(row)),
            number(count(row, "handshakes")),
            number(count(row, "calls")),
            text(joined(list(row, "programs"))),
        ]
    });
    let columns = [
        ("Algorithm", Kind::Text),
        ("Kind", Kind::Text),
        ("Bits", Kind::Text),
        ("Quantum-vulnerable", Kind::Text),
        ("Handshakes", Kind::Number),
        ("Calls", Kind::Number),
        ("Programs", Kind::Path),
    ];
    html! {
        p { "Counted is " (string(document, "counted")) "." }
        (table("algorithm-rows", "Algorithms in use", &columns, rows.collect()))
    }
}

fn coverage(document: &Value) -> Markup {
    let rows = list(document, "wire_only").iter().map(|row| {
        vec![
            text(string(row, "program")),
            number(count(row, "wire_only")),
            number(count(row, "ends")),
            text(joined(list(row, "why"))),
        ]
    });
    let columns = [
        ("Program", Kind::Path),
        ("On the wire only", Kind::Number),
        ("Ends of handshakes", Kind::Number),
        ("Why", Kind::Wide),
    ];
    html! {
        @for capture in list(document, "captures") {
            dl {
                dt { "Host" } dd { (string(capture, "host")) }
                dt { "On the wire" } dd { (string(capture, "wire")) }
                @if capture.get("ssh").is_some() { dt { "SSH" } dd { (string(capture, "ssh")) } }
                dt { "In libraries" } dd { (string(capture, "library_calls")) }
                dt { "In the kernel" } dd { (string(capture, "kernel_crypto")) }
                dt { "Lost" } dd { (grouped(count(capture, "lost"))) " lost, " (grouped(count(capture, "dropped"))) " dropped" }
            }
            (sentences("Missing", list(capture, "missing")))
        }
        @if !list(document, "wire_only").is_empty() { (table("wire-only", "Seen on the wire, but by no probe in a library", &columns, rows.collect())) }
        (sentences("Never seen", list(document, "never_seen")))
    }
}

fn sources(report: &Report) -> Markup {
    let recordings = report.recordings.iter().map(|one| {
        vec![
            text(&one.host),
            text(&one.kernel),
            text(second(&one.from)),
            text(second(&one.to)),
            text(one.selection.as_deref().unwrap_or("everything")),
            number(one.lost),
            number(one.dropped),
            text(&one.recorded_by),
        ]
    });
    let columns = [
        ("Host", Kind::Text),
        ("Kernel", Kind::Text),
        ("From", Kind::Time),
        ("To", Kind::Time),
        ("Recorded", Kind::Wide),
        ("Lost", Kind::Number),
        ("Dropped", Kind::Number),
        ("By", Kind::Text),
    ];
    let segments = report.segments.iter().map(|one| vec![text(&one.file), text(bytes(one.bytes)), text(&one.sha256)]);
    let segment_columns = [("File", Kind::Path), ("Size", Kind::Text), ("SHA-256", Kind::Hash)];
    html! {
        p { "Everything in this report comes from these files. Anyone who has them can generate it again and compare." }
        (table("recordings", "Recordings", &columns, recordings.collect()))
        (table("segments", "Files", &segment_columns, segments.collect()))
    }
}
