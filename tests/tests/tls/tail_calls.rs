//! Functions that end by a jump into another one that is counted too: for the caller it is one call.

use std::collections::BTreeMap;

use crypto_trace_tests::{live, skip};

use crate::support::trace_with;

/// Each function so often that no sum of others is the same.
const PROGRAM: &str = r#"
import ctypes, sys
crypto = ctypes.CDLL(sys.argv[1])
def f(name, *arguments):
    function = getattr(crypto, name)
    function.restype = ctypes.c_void_p
    return function(*[ctypes.c_void_p(a) if a is None or a > 1 else ctypes.c_int(a) for a in arguments])
key = ctypes.addressof(ctypes.create_string_buffer(64))
cipher = f("EVP_CIPHER_CTX_new")
aes = {bits: f(f"EVP_aes_{bits}_cbc") for bits in (128, 192, 256)}
for i in range(11): f("EVP_EncryptInit_ex", cipher, aes[128], None, key, key)
for i in range(13): f("EVP_DecryptInit_ex", cipher, aes[192], None, key, key)
for i in range(17): f("EVP_CipherInit_ex", cipher, aes[256], None, key, key, 1)
if hasattr(crypto, "EVP_EncryptInit_ex2"):
    for i in range(23): f("EVP_EncryptInit_ex2", cipher, aes[128], key, key, None)
    for i in range(29): f("EVP_DecryptInit_ex2", cipher, aes[192], key, key, None)
    for i in range(31): f("EVP_CipherInit_ex2", cipher, aes[256], key, key, 1, None)
"#;

#[test]
fn a_tail_call_is_not_counted_twice() {
    let Some(_permit) = live() else { return };
    if !cfg!(target_arch = "x86_64") {
        return skip("jumps are followed in x86-64 code only");
    }
    let script = format!("cat > calls.py <<'END'{PROGRAM}END\npython3 calls.py libcrypto.so.3\n");
    let run = trace_with(&["--api", "--api-budget", "100%"], &script);
    let trace = run.done.trace();
    // By the number that OpenSSL has for AES-128-CBC, AES-192-CBC and AES-256-CBC (include/openssl/obj_mac.h).
    let mut counted: BTreeMap<(&str, u64), u64> = BTreeMap::new();
    let calls = trace.calls();
    for (_, call) in calls.iter().filter(|(_, call)| [419, 423, 427].contains(&call.fixed.number)) {
        *counted.entry((&call.function, call.fixed.number)).or_default() += call.fixed.count;
    }
    let expected = [
        (("EVP_CipherInit_ex", 427), 17),
        (("EVP_CipherInit_ex2", 427), 31),
        (("EVP_DecryptInit_ex", 423), 13),
        (("EVP_DecryptInit_ex2", 423), 29),
        (("EVP_EncryptInit_ex", 419), 11),
        (("EVP_EncryptInit_ex2", 419), 23),
    ];
    assert_eq!(counted.into_iter().collect::<Vec<_>>(), expected);
}
