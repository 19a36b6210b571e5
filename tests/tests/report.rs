//! `report` in a real browser: Chromium finds no error in the page, and nothing leaves it; keyboard, themes and widths work.
#![allow(clippy::unwrap_used, reason = "tests")]

use crypto_trace_tests::{Finished, analyze_binary, run, software};
use std::path::{Path, PathBuf};
use std::process::Command;

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Opens a page in the browser; what is wrong with it, a line each.
fn look(modules: &Path, page: &Path) -> Finished {
    let script = software::directory().join("report/browser.mjs");
    let mut command = Command::new("node");
    run(command.arg(script).arg(modules.canonicalize().unwrap()).arg("/usr/bin/chromium").arg(page))
}

#[test]
fn a_browser_finds_nothing_wrong_with_a_report_and_does_with_a_page_that_is() {
    let Some(modules) = software::browser() else { return };
    let directory = tempfile::tempdir().unwrap();
    let page = directory.path().join("report.html");
    let mut command = Command::new(analyze_binary());
    let made = run(command.args(["report", "-r", "-o"]).arg(&page).arg(top().join("testdata/answers")));
    assert_eq!(made.code(), 0, "{}", made.stderr);
    let looked = look(modules.path(), &page);
    assert_eq!((looked.code(), looked.text().trim()), (0, ""), "{}", looked.stderr);

    // What looks would see it.
    let html = std::fs::read_to_string(&page).unwrap();
    let more = "<img src=\"https://example.invalid/a.png\"><p style=\"width: 3000px; color: #777; background: #777\">wide</p></main>";
    // With another script than the policy names.
    let broken = html.replace("</main>", more).replace("<script>", "<script>\n");
    std::fs::write(&page, broken).unwrap();
    let looked = look(modules.path(), &page);
    assert_eq!(looked.code(), 1, "{}", looked.stderr);
    let said = looked.text();
    for expected in [
        "console: ",
        "request: https://example.invalid/a.png",
        "wider than the window",
        "axe image-alt",
        "no button sorts",
    ] {
        assert!(said.contains(expected), "{expected} is not in {said}");
    }
}
