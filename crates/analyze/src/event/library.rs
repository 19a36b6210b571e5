//! Members of `api_call` and `library_info` events, and what they add to other events. `docs/events.md` explains them.

use super::fields;
use super::object::{Object, Redact};
use crate::capture::Capture;
use crate::capture::libraries::product;
use crate::capture::libraries::{self, FEATURES, FileId, succeeded};
use crate::protocol::iana::{CipherSuite, Version};
use crypto_trace_format::catalog;
use crypto_trace_format::record::{
    ApiCall, ApiLevel, ApiMeaning, LibraryInfo, ProbeState, api_state, library_features,
};
use std::io::Write;

/// Members of an api_call.
pub fn api_call(object: &mut Object<'_>, capture: &Capture, call: &ApiCall<'_>) {
    let fixed = &call.fixed;
    let known = |bit| fixed.state & bit != 0;
    object.text(b",\"function_name\":", "function_name", call.function, Redact::Text);
    object.plain(b",\"level\":", ApiLevel(fixed.level).name());
    object.plain(b",\"meaning\":", ApiMeaning(fixed.meaning).name());
    library_of(object, capture, (fixed.dev, fixed.ino));
    argument(object, call);
    if let Some(judged) = libraries::loaded_as(call) {
        fields::file_type(object, Some(judged));
    }
    if libraries::uses_algorithm(ApiMeaning(fixed.meaning)) {
        let family = capture.libraries.get((fixed.dev, fixed.ino)).map_or(&[][..], |row| &row.family);
        match libraries::algorithm(call, family) {
            Some(name) => object.text(b",\"algorithm\":", "argument", name.as_bytes(), Redact::Secret),
            None => object.raw(b",\"algorithm\":null"),
        }
    }
    let told = known(api_state::RESULT) && !libraries::was_interrupted(call);
    object.number_or_null(b",\"result\":", told.then_some(fixed.result));
    if fixed.level == ApiLevel::KERNEL.0 && told && fixed.result < 0 {
        fields::error(object, u32::try_from(fixed.result.unsigned_abs()).unwrap_or(u32::MAX));
    }
    yes_no_null(object, b",\"succeeded\":", succeeded(call));
    object.number(b",\"count\":", fixed.count);
    if fixed.calls != 0 {
        object.number(b",\"calls\":", fixed.calls);
    }
    object.number_or_null(b",\"duration_ns\":", (fixed.duration_ns != 0).then_some(fixed.duration_ns));
    object.number_or_null(b",\"fd\":", (fixed.fd >= 0).then_some(fixed.fd));
    object.number_or_null(b",\"socket_cookie\":", (fixed.cookie != 0).then_some(fixed.cookie));
    if fixed.object != 0 {
        object.formatted(b",\"object\":", format_args!("{:#x}", fixed.object));
    }
    if fixed.version != 0 {
        object.formatted(b",\"tls_version\":", format_args!("{}", Version(fixed.version)));
    }
    if fixed.suite != 0 {
        object.formatted(b",\"cipher_suite\":", format_args!("{}", CipherSuite(fixed.suite)));
        object.formatted(b",\"cipher_suite_id\":", format_args!("{:#06x}", fixed.suite));
    }
    list(
        object,
        b",\"call_notes\":[",
        &[
            (known(api_state::PENDING), "may_go_on"),
            (known(api_state::UNREADABLE), "argument_unreadable"),
            (known(api_state::INTERNAL), "called_by_library"),
        ],
    );
}

/// What the call was given, as people read it.
fn argument(object: &mut Object<'_>, call: &ApiCall<'_>) {
    let number = call.fixed.number;
    let version = |number| u16::try_from(number).map(Version);
    match (ApiMeaning(call.fixed.meaning), call.text) {
        (ApiMeaning::CERTIFICATE_FILE | ApiMeaning::PRIVATE_KEY_FILE | ApiMeaning::TRUST_FILE, path)
            if path.first() == Some(&b'/') =>
        {
            object.text(b",\"argument\":", "argument", path, Redact::Path);
        }
        (_, text) if !text.is_empty() => object.text(b",\"argument\":", "argument", text, Redact::Secret),
        (ApiMeaning::MIN_VERSION | ApiMeaning::MAX_VERSION, _) if number != 0 => match version(number) {
            Ok(version) => object.formatted(b",\"argument\":", format_args!("{version}")),
            Err(_) => object.formatted(b",\"argument\":", format_args!("{number:#x}")),
        },
        (ApiMeaning::MECHANISM, _) => object.formatted(b",\"argument\":", format_args!("{number:#x}")),
        _ => object.raw(b",\"argument\":null"),
    }
    // Other numbers than those of algorithms may be any.
    let no_number = libraries::uses_algorithm(ApiMeaning(call.fixed.meaning)) && !libraries::is_number(number);
    if number != 0 && !no_number {
        object.number(b",\"number\":", number);
    }
}

/// `,"library":…,"library_name":…`, and the version where it is known.
fn library_of(object: &mut Object<'_>, capture: &Capture, id: FileId) {
    let Some(row) = capture.libraries.get(id) else {
        object.raw(b",\"library\":null,\"library_name\":null");
        return;
    };
    object.text(b",\"library\":", "library", &row.path, Redact::Path);
    name(object, &row.path, &row.family);
    library_version(object, capture, id);
}

/// The name in the catalog, or else what the functions say.
fn name(object: &mut Object<'_>, path: &[u8], family: &[u8]) {
    match catalog::library(path).or_else(|| product::product(family)) {
        Some(name) => object.plain(b",\"library_name\":", name),
        None if family.is_empty() => object.raw(b",\"library_name\":null"),
        None => object.text(b",\"library_name\":", "family", family, Redact::Text),
    }
}

/// `,"version":…` of a library that was loaded, and what else is known when it was looked into; its name too, when the catalog has
/// none.
pub fn loaded(object: &mut Object<'_>, capture: &Capture, id: FileId, is_unnamed: bool) {
    let row = capture.libraries.get(id);
    if is_unnamed {
        name(object, b"", row.map(|row| &row.family[..]).unwrap_or_default());
    }
    match row.filter(|row| !row.version.is_empty()) {
        Some(row) => object.text(b",\"version\":", "version", &row.version, Redact::Text),
        None => object.raw(b",\"version\":null"),
    }
    library_version(object, capture, id);
}

/// `,"library_version":…,"build_id":…` of a library that was looked into.
fn library_version(object: &mut Object<'_>, capture: &Capture, id: FileId) {
    let Some(row) = capture.libraries.get(id) else { return };
    if !row.version.is_empty() {
        object.text(b",\"library_version\":", "library_version", &row.version, Redact::Text);
    }
    build_id(object, &row.build_id);
}

fn build_id(object: &mut Object<'_>, id: &[u8]) {
    if id.is_empty() {
        return;
    }
    object.raw(b",\"build_id\":\"");
    for byte in id {
        // Writing to a Vec does not fail.
        let _ = write!(object.out, "{byte:02x}");
    }
    object.raw(b"\"");
}

/// What a library says of the handshake of a socket; nothing when none does.
pub fn handshake(object: &mut Object<'_>, capture: &Capture, cookie: u64) {
    let Some(call) = capture.calls.of(cookie) else { return };
    library_of(object, capture, call.library);
    object.text(b",\"api_function\":", "function_name", &call.function, Redact::Text);
    let result = call.succeeded.map(|succeeded| if succeeded { "ok" } else { "failed" });
    match result {
        Some(result) => object.plain(b",\"api_result\":", result),
        None => object.raw(b",\"api_result\":null"),
    }
    object.number_or_null(b",\"handshake_ns\":", (call.duration_ns != 0).then_some(call.duration_ns));
}

/// Members of a library_info.
pub fn library_info(object: &mut Object<'_>, info: &LibraryInfo<'_>) {
    let fixed = &info.fixed;
    object.text(b",\"library\":", "library", info.path, Redact::Path);
    name(object, info.path, info.family);
    if info.family.is_empty() {
        object.raw(b",\"family\":null");
    } else {
        object.text(b",\"family\":", "family", info.family, Redact::Text);
    }
    if info.version.is_empty() {
        object.raw(b",\"library_version\":null");
    } else {
        let version = product::version_number(info.version);
        object.text(b",\"library_version\":", "library_version", version, Redact::Text);
    }
    build_id(object, info.build_id);
    fields::device(object, fixed.dev);
    object.number(b",\"inode\":", fixed.ino);
    object.number(b",\"size\":", fixed.size);
    object.plain(b",\"state\":", ProbeState(fixed.state).name());
    if fixed.errno != 0 {
        fields::error(object, fixed.errno.unsigned_abs());
    }
    if !info.message.is_empty() {
        object.text(b",\"message\":", "message", info.message, Redact::Text);
    }
    object.number(b",\"functions\":", fixed.functions);
    let mut told: Vec<(bool, &str)> = FEATURES.iter().map(|(bit, name)| (fixed.features & bit != 0, *name)).collect();
    told.extend([
        (fixed.features & library_features::EXECUTABLE != 0, "executable"),
        (fixed.features & library_features::GO != 0, "go"),
    ]);
    list(object, b",\"features\":[", &told);
}

fn yes_no_null(object: &mut Object<'_>, key: &[u8], value: Option<bool>) {
    object.raw(key);
    object.raw(match value {
        Some(true) => b"true",
        Some(false) => b"false",
        None => b"null",
    });
}

/// A list of what holds, when anything does.
fn list(object: &mut Object<'_>, key: &[u8], told: &[(bool, &str)]) {
    let mut separator = key;
    for (_, name) in told.iter().filter(|(holds, _)| *holds) {
        object.plain(separator, name);
        separator = b",";
    }
    if separator != key {
        object.raw(b"]");
    }
}
