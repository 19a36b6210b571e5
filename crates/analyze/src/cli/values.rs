//! Values of options, one by one: what is accepted, and what is said of the rest.

use crate::select::Globs;
use crypto_trace_format::record::Kind;
use jiff::civil::Date;

pub(crate) fn not_empty(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("must not be empty".to_owned()) } else { Ok(text.to_owned()) }
}

pub(crate) fn glob(text: &str) -> Result<String, String> {
    Globs::new(&[not_empty(text)?]).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

pub(crate) fn kind(text: &str) -> Result<Kind, String> {
    let kinds = Kind::shown;
    kinds().find(|kind| kind.event_type() == text).ok_or_else(|| {
        let names: Vec<&str> = kinds().map(Kind::event_type).collect();
        let near = nearest_name(text, &names).map_or_else(String::new, |name| format!(", did you mean {name}?"));
        format!("not an event type{near}; event types are {}", names.join(", "))
    })
}

/// The name that someone who wrote `text` may have meant.
fn nearest_name<'a>(text: &str, names: &[&'a str]) -> Option<&'a str> {
    let text = text.to_ascii_lowercase();
    let word = |name: &&&str| !text.is_empty() && name.split('_').any(|word| word.starts_with(&text));
    let distance = |name: &&str| strsim::damerau_levenshtein(name, &text);
    let near = || names.iter().filter(|name| distance(name) <= 2).min_by_key(|name| distance(name));
    names.iter().find(word).or_else(near).copied()
}

pub(crate) fn uid(text: &str) -> Result<u32, String> {
    let other = "not a number: a capture holds numbers of users, not their names; only root (0) is the same everywhere";
    if text == "root" { Ok(0) } else { text.parse().map_err(|_| other.to_owned()) }
}

pub(crate) fn day(text: &str) -> Result<Date, String> {
    text.parse().map_err(|_| format!("`{text}` is not a date: give one such as 2031-01-01"))
}

#[cfg(test)]
mod tests {
    use super::uid;

    #[test]
    fn root_is_a_user_everywhere() {
        assert_eq!([uid("root"), uid("7")], [Ok(0), Ok(7)]);
        assert!(uid("alice").is_err());
    }
}
