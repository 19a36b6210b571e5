//! The configuration file of `record`: the long options of its command line as keys of a TOML file.
//!
//! There is no second list of options: what the file says becomes part of a command line and is parsed and checked as that.
//! What is given on the command line itself takes the place of the file's.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, CommandFactory as _, Parser as _};

use crate::args::{Cli, UsageError};
use crate::exit::{self, Failure};

/// Options that make no sense in a file.
const NOT_IN_A_FILE: &[&str] = &["config", "check", "help", "version"];

/// Longest file that is read.
const MAX_BYTES: u64 = 1 << 20;

/// The command line that this one becomes with the file that its `--config` names; as it is, when it names none.
///
/// # Errors
/// [`Failure`] with file, line and key of what is wrong.
pub fn complete(words: Vec<OsString>) -> Result<Cli, Failure> {
    // Most command lines name none, and are parsed once.
    let names_one = |word: &OsString| word == "--config" || word.as_encoded_bytes().starts_with(b"--config=");
    if !words.iter().any(names_one) {
        return Ok(parse(&words));
    }
    let matches = Cli::command().try_get_matches_from(&words);
    let file = matches.as_ref().ok().and_then(config_of);
    let (Some((file, given)), Ok(_)) = (file, &matches) else { return Ok(parse(&words)) };
    let options = from_file(&file, given)?;
    // After the command's name, so that what follows takes their place or adds to them.
    let at = words.iter().position(|word| word == "record").map_or(words.len(), |at| at + 1);
    let (before, after) = words.split_at(at);
    let all = before.iter().cloned().chain(options).chain(after.iter().cloned());
    Cli::try_parse_from(all).map_err(|error| usage(&file, &first_line(&error)))
}

/// Ends the program when it is wrong or asks for help, as clap does.
fn parse(words: &[OsString]) -> Cli {
    Cli::try_parse_from(words).unwrap_or_else(|error| {
        if error.use_stderr() && exit::runs_command(words) {
            // That it cannot be said is no reason to say that it was well.
            let _ = error.print();
            std::process::exit(exit::WITH_COMMAND.into());
        }
        error.exit()
    })
}

/// The file that is named, and the options of `record` that are given.
fn config_of(matches: &ArgMatches) -> Option<(PathBuf, &ArgMatches)> {
    let ("record", record) = matches.subcommand()? else { return None };
    Some((record.get_one::<PathBuf>("config")?.clone(), record))
}

/// What `record` can be told in a file, by key.
fn options() -> Vec<Arg> {
    let mut command = Cli::command();
    command.build();
    let record = command.find_subcommand("record").cloned().unwrap_or_default();
    let is_option = |arg: &&Arg| arg.get_long().is_some_and(|long| !NOT_IN_A_FILE.contains(&long));
    record.get_arguments().filter(is_option).cloned().collect()
}

/// Keys of a file, as [`options`] has them.
pub fn keys() -> Vec<String> {
    options().iter().filter_map(|option| option.get_long().map(str::to_owned)).collect()
}

/// The options that a file gives, but those that are given already.
fn from_file(file: &Path, given: &ArgMatches) -> Result<Vec<OsString>, Failure> {
    let fail = |message: String| Failure::from(anyhow::anyhow!("{}: {message}", file.display()));
    let length = std::fs::metadata(file).map_err(|error| fail(format!("cannot be read: {error}")))?.len();
    if length > MAX_BYTES {
        return Err(fail(format!("is larger than {MAX_BYTES} bytes: too large for a configuration")));
    }
    let text = std::fs::read_to_string(file).map_err(|error| fail(format!("cannot be read: {error}")))?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| usage(file, error.to_string().trim()))?;
    let options = options();
    let mut words = Vec::new();
    for (key, value) in &table {
        let place = format!("{}:{}", file.display(), line_of(&text, key));
        let wrong = |message: String| Failure::from(UsageError(safe(&format!("{place}: {key}: {message}"))));
        let is_named = |option: &&Arg| {
            let old = option.get_all_aliases().unwrap_or_default();
            option.get_long() == Some(key) || old.contains(&key.as_str())
        };
        let Some(option) = options.iter().find(is_named) else {
            return Err(wrong(format!("is not an option of record{}", nearest(key, &options))));
        };
        let words_of_key = words_of(key, option, value).map_err(wrong)?;
        // Alone, so that what is wrong is told of this key.
        let alone = ["crypto-trace-capture", "record", "--config", "-"].map(OsString::from);
        if let Err(error) = Cli::try_parse_from(alone.into_iter().chain(words_of_key.clone()))
            && !needs_another(&error)
        {
            return Err(wrong(first_line(&error)));
        }
        if given.value_source(option.get_id().as_str()) != Some(ValueSource::CommandLine) {
            words.extend(words_of_key);
        }
    }
    Ok(words)
}

/// A key and its value as words of a command line.
fn words_of(key: &str, option: &Arg, value: &toml::Value) -> Result<Vec<OsString>, String> {
    let takes_value = matches!(option.get_action(), ArgAction::Set | ArgAction::Append);
    let one = |value: &toml::Value| -> Result<OsString, String> {
        let text = match value {
            toml::Value::String(text) => text.clone(),
            toml::Value::Integer(number) => number.to_string(),
            other => return Err(format!("must be text or a number, not {}", other.type_str())),
        };
        Ok(format!("--{key}={text}").into())
    };
    match (value, takes_value) {
        (toml::Value::Boolean(true), false) => Ok(vec![format!("--{key}").into()]),
        (toml::Value::Boolean(false), false) => Ok(Vec::new()),
        (_, false) => Err("must be true or false".to_owned()),
        (toml::Value::Array(values), true) if matches!(option.get_action(), ArgAction::Append) => {
            values.iter().map(one).collect()
        }
        (value, true) => Ok(vec![one(value)?]),
    }
}

/// It is not wrong, but only makes sense with another option.
fn needs_another(error: &clap::Error) -> bool {
    error.kind() == clap::error::ErrorKind::MissingRequiredArgument
}

/// What clap says, without usage and advice.
fn first_line(error: &clap::Error) -> String {
    let text = error.to_string();
    let line = text.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

fn usage(file: &Path, message: &str) -> Failure {
    UsageError(safe(&format!("{}: {message}", file.display()))).into()
}

/// Lines that quote the file, without what could change what a terminal shows of the rest: control characters, and those that turn
/// the direction of text round.
fn safe(message: &str) -> String {
    let is_unsafe = |c: char| {
        c.is_control()
            || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let mut out = String::with_capacity(message.len());
    for c in message.chars() {
        if c != '\n' && is_unsafe(c) { out.extend(c.escape_unicode()) } else { out.push(c) }
    }
    out
}

/// Where a key is, counted from 1; the first line when it cannot be found.
fn line_of(text: &str, key: &str) -> usize {
    let is_it = |line: &str| {
        let line = line.trim_start().trim_start_matches('"');
        line.strip_prefix(key).is_some_and(|rest| rest.trim_start_matches('"').trim_start().starts_with('='))
    };
    text.lines().position(is_it).map_or(1, |at| at + 1)
}

fn nearest(key: &str, options: &[Arg]) -> String {
    let longs = options.iter().filter_map(Arg::get_long);
    let near = longs.map(|long| (strsim::osa_distance(key, long), long)).min();
    match near {
        Some((distance, long)) if distance <= key.len() / 2 => format!("; did you mean {long}?"),
        _ => "; see crypto-trace-capture record --help".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Command;

    fn completed(file: &str, words: &str) -> Result<Box<crate::args::RecordArgs>, String> {
        let keep = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(keep.path(), file).expect("written");
        let line = format!("crypto-trace-capture record --config {} {words}", keep.path().display());
        match complete(line.split_whitespace().map(Into::into).collect()) {
            Ok(Cli { command: Command::Record(args) }) => Ok(args),
            Ok(other) => unreachable!("record was asked for, not {other:?}"),
            Err(failure) => {
                assert_eq!(failure.code, crate::exit::USAGE, "{:#}", failure.error);
                let told = format!("{:#}", failure.error);
                Ok(told.replace(&keep.path().display().to_string(), "FILE")).and_then(Err)
            }
        }
    }

    /// A TOML error quotes the line with its control bytes, and a key is quoted as it is.
    #[test]
    fn quoted_lines_of_a_file_are_safe_to_show() {
        let odd = "\u{1b}]0;x\u{7f}\u{9b}\u{202e}\u{2028}";
        for file in [
            format!("output = \"{odd}"),
            format!("output = {odd}"),
            format!("{odd} = 1\n"),
            "\"a\\u001b\\u009b\\u202e\" = 1\n".to_owned(),
            "segment-age = \"\\u001b[31m\\u007f\"\n".to_owned(),
        ] {
            let told = completed(&file, "").map(drop).expect_err("wrong");
            let shown = told.chars().filter(|c| *c != '\n');
            assert!(shown.into_iter().all(|c| !c.is_control() && !odd.contains(c) || c.is_ascii_graphic()), "{told:?}");
        }
    }

    /// Any bytes.
    #[test]
    fn mutated_files_are_refused_or_taken() {
        let base = b"output = \"/var/log/x\"\nfile = [\"*.pem\"]\nring-size = 65536\nquiet = true\n".to_vec();
        let mut state = 15u64;
        for _ in 0..300 {
            let mut bytes = base.clone();
            for _ in 0..3 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let at = usize::try_from(state >> 33).unwrap_or(0) % bytes.len();
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = u8::try_from(state >> 24 & 0xff).unwrap_or(0);
                }
            }
            let keep = tempfile::NamedTempFile::new().expect("a file");
            std::fs::write(keep.path(), &bytes).expect("written");
            let line = format!("crypto-trace-capture record -o x --config {}", keep.path().display());
            let words = line.split_whitespace().map(Into::into).collect();
            let _ = complete(words).map_err(|failure| format!("{:#}", failure.error));
        }
    }

    #[test]
    fn keys_are_options_and_the_command_line_comes_first() {
        let file = "output = \"/var/log/x\"\nfile = [\"*.pem\", \"*.key\"]\nsegment-age = \"10m\"\nring-size = 65536\nquiet = true\napi = false\n";
        let args = completed(file, "").expect("right");
        assert_eq!((args.output.as_deref(), args.capture.ring_size), (Some(Path::new("/var/log/x")), 65536));
        assert_eq!((args.capture.file.len(), args.capture.quiet, args.capture.api), (2, true, false));
        assert_eq!(args.segment_age.as_secs(), 600);
        let args = completed(file, "-o /tmp/y -F *.crt --segment-age 1m").expect("right");
        assert_eq!(args.output.as_deref(), Some(Path::new("/tmp/y")));
        assert_eq!((args.capture.file, args.segment_age.as_secs()), (vec!["*.crt".to_owned()], 60));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line_and_key() {
        for (file, expected) in [
            (
                "output = \"x\"\nsegmnt-age = \"1h\"",
                "FILE:2: segmnt-age: is not an option of record; did you mean segment-age?",
            ),
            ("output = \"x\"\n\nduration = \"soon\"", "FILE:3: duration: invalid value 'soon' for '--duration <TIME>'"),
            ("quiet = \"yes\"", "FILE:1: quiet: must be true or false"),
            ("output = [\"a\", \"b\"]", "FILE:1: output: must be text or a number, not array"),
            ("file = [1.5]", "FILE:1: file: must be text or a number, not float"),
            ("tls = \"perhaps\"", "FILE:1: tls: invalid value 'perhaps' for '--wire <WHAT>'"),
            ("wire = \"kerberos\"", "FILE:1: wire: invalid value 'kerberos' for '--wire <WHAT>'"),
            ("config = \"other\"", "FILE:1: config: is not an option of record"),
            ("output = ", "FILE: "),
            ("[record]\noutput = \"x\"", "FILE:1: record: is not an option of record"),
        ] {
            let told = completed(file, "").expect_err(file);
            assert!(told.starts_with(expected), "{file}: {told}");
        }
        // Wrong only together.
        assert!(
            completed("output = \"x\"\nverbose = true\nquiet = true", "")
                .expect_err("both")
                .contains("cannot be used with")
        );
    }

    /// The file that is installed says of each option that there is.
    #[test]
    fn the_example_has_all_keys_and_no_others() {
        let example = include_str!("../../../packaging/capture.toml");
        let keys_of = |line: &str| line.trim_start_matches('#').split_once(" = ").map(|(key, _)| key.to_owned());
        let lines = example.lines().filter(|line| !line.starts_with("# "));
        let mut told: Vec<String> = lines.filter_map(keys_of).collect();
        let mut all = keys();
        told.sort();
        all.sort();
        assert_eq!(told, all);
    }
}
