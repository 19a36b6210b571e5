//! The metadata of a segment that was extracted from another one: whose it is, and that it is only a part.

use super::meta::{SegmentMeta, Selected};
use crate::record::{ArgvMode, PrivacyMode};

/// Between the recorder and what extracted from its segment.
const EXTRACTED_BY: &str = ", extracted by ";

/// What was made of a recording.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extraction {
    /// The program, for example `crypto-trace-analyze 0.1.0`.
    pub tool: String,
    /// What was left out, in words, each beginning with `extract`; nothing when all of it was taken.
    pub limits: Vec<String>,
    /// What became of names and addresses.
    pub privacy: PrivacyMode,
    /// What became of arguments.
    pub argv: ArgvMode,
}

impl SegmentMeta {
    /// Of a segment extracted from the one of this metadata. What was left out stands among the options of the recording: no
    /// reader, of whatever version, knows it as one that leaves nothing out, so none takes the extract for all that was recorded.
    #[must_use]
    pub fn extracted(&self, extraction: &Extraction) -> Self {
        let mut meta = self.clone();
        let selected = &mut meta.selected;
        selected.privacy = stricter_privacy(selected.privacy, extraction.privacy);
        selected.argv = stricter_argv(selected.argv, extraction.argv);
        selected.command = selected.command.take().map(|command| words(&command, selected.argv).to_owned());
        let redacted = Selected { privacy: selected.privacy, argv: selected.argv, ..Selected::from_options(&[]) };
        let is_redaction = |option: &String| option.starts_with("--privacy ") || option.starts_with("--argv ");
        let (mut filters, mut command) = (Vec::new(), Vec::new());
        for option in self.filters.iter().filter(|option| !is_redaction(option)) {
            match option.strip_prefix("-- ") {
                Some(text) => command.push(format!("-- {}", words(text, selected.argv))),
                None => filters.push(option.clone()),
            }
        }
        filters.extend(redacted.options());
        // What follows the command would read like its words.
        filters.extend(extraction.limits.iter().cloned());
        filters.append(&mut command);
        meta.filters = filters;
        if !meta.tool.contains(EXTRACTED_BY) {
            meta.tool.push_str(EXTRACTED_BY);
            meta.tool.push_str(&extraction.tool);
        }
        meta
    }
}

/// What is gone stays gone.
fn stricter_privacy(recorded: PrivacyMode, asked: PrivacyMode) -> PrivacyMode {
    match (recorded, asked) {
        (PrivacyMode::DROP, _) => recorded,
        (_, PrivacyMode::HASH | PrivacyMode::DROP) => asked,
        _ => recorded,
    }
}

fn stricter_argv(recorded: ArgvMode, asked: ArgvMode) -> ArgvMode {
    match (recorded, asked) {
        (ArgvMode::NONE, _) => recorded,
        (_, ArgvMode::EXE | ArgvMode::NONE) => asked,
        _ => recorded,
    }
}

/// As much of a command's words as `argv` allows. Where a word ends that has a space in it is not known.
fn words(command: &str, argv: ArgvMode) -> &str {
    match argv {
        ArgvMode::EXE => command.split(' ').next().unwrap_or_default(),
        ArgvMode::NONE => "",
        _ => command,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(options: &[&str]) -> Vec<String> {
        options.iter().map(|&option| option.to_owned()).collect()
    }

    fn recorded(options: &[&str]) -> SegmentMeta {
        let filters = owned(options);
        let selected = Box::new(Selected::from_options(&filters));
        SegmentMeta { filters, selected, tool: "recorder 1".to_owned(), ..SegmentMeta::default() }
    }

    fn extraction(privacy: PrivacyMode, argv: ArgvMode) -> Extraction {
        Extraction { tool: "reader 2".to_owned(), limits: owned(&["extract --pid 7"]), privacy, argv }
    }

    #[test]
    fn what_was_asked_for_is_an_option_that_restricts() {
        let meta = recorded(&["--tls off"]).extracted(&extraction(PrivacyMode::OFF, ArgvMode::FULL));
        assert_eq!(meta.options(), (vec!["--tls off"], vec!["extract --pid 7"]));
        assert_eq!(meta.tool, "recorder 1, extracted by reader 2");
        let again = meta.extracted(&Extraction { limits: owned(&["extract --pid 8"]), ..Extraction::default() });
        assert_eq!(again.options().1, ["extract --pid 7", "extract --pid 8"]);
        assert_eq!(again.tool, meta.tool);
        assert!(recorded(&[]).extracted(&Extraction::default()).options().1.is_empty(), "all of it was taken");
    }

    #[test]
    fn what_was_taken_out_is_said_as_the_recorder_says_it() {
        let check = |options: &[&str], privacy, argv, expected: &[&str]| {
            let meta = recorded(options).extracted(&Extraction { limits: Vec::new(), ..extraction(privacy, argv) });
            assert_eq!(meta.filters, expected, "{options:?}");
            // Of what the values say nothing is lost on the way.
            assert_eq!((*meta.selected).clone(), Selected::from_options(&meta.filters), "{options:?}");
        };
        let (off, hash, drop) = (PrivacyMode::OFF, PrivacyMode::HASH, PrivacyMode::DROP);
        check(&[], drop, ArgvMode::NONE, &["--privacy drop", "--argv none"]);
        check(&["--privacy hash"], drop, ArgvMode::FULL, &["--privacy drop"]);
        check(&["--privacy drop", "--argv none"], hash, ArgvMode::EXE, &["--privacy drop", "--argv none"]);
        check(&["--privacy hash", "--argv exe"], off, ArgvMode::FULL, &["--privacy hash", "--argv exe"]);
        check(&["-- ./db --password x"], off, ArgvMode::EXE, &["--argv exe", "-- ./db"]);
        check(&["--pid 1", "-- ./db --password x"], off, ArgvMode::NONE, &["--pid 1", "--argv none", "-- "]);
    }
}
