//! Published fingerprints, recomputed.

use crypto_trace_analyze::protocol::tls::{ClientHello, ServerHello};

fn vec8(content: &[u8]) -> Vec<u8> {
    [&[u8::try_from(content.len()).expect("short")], content].concat()
}

fn vec16(content: &[u8]) -> Vec<u8> {
    [&u16::try_from(content.len()).expect("short").to_be_bytes()[..], content].concat()
}

fn u16s(codes: &[u16]) -> Vec<u8> {
    codes.iter().flat_map(|code| code.to_be_bytes()).collect()
}

fn numbers(list: &str, separator: char, radix: u32) -> Vec<u16> {
    list.split(separator).filter(|n| !n.is_empty()).map(|n| u16::from_str_radix(n, radix).expect("a number")).collect()
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let [_, high, middle, low] = u32::try_from(body.len()).expect("short").to_be_bytes();
    [&[kind, high, middle, low], body].concat()
}

/// A ClientHello with these lists; GREASE is put in front of each when `grease`.
struct Recipe {
    version: u16,
    suites: Vec<u16>,
    extensions: Vec<u16>,
    groups: Vec<u16>,
    schemes: Vec<u16>,
    alpn: &'static [u8],
    versions: Vec<u16>,
    grease: bool,
}

impl Recipe {
    fn with_grease(&self, codes: &[u16]) -> Vec<u8> {
        u16s(&[if self.grease { &[0x3a3a][..] } else { &[] }, codes].concat())
    }

    fn extension(&self, kind: u16) -> Vec<u8> {
        let data = match kind {
            0 => vec16(&[&[0], &vec16(b"example.org")[..]].concat()),
            10 => vec16(&self.with_grease(&self.groups)),
            11 => vec8(&[0]),
            13 => vec16(&u16s(&self.schemes)),
            16 => vec16(&vec8(self.alpn)),
            43 => vec8(&self.with_grease(&self.versions)),
            51 => vec16(&[&u16s(&[if self.grease { 0x3a3a } else { 29 }])[..], &vec16(&[0])].concat()),
            _ => Vec::new(),
        };
        [u16s(&[kind]), vec16(&data)].concat()
    }

    fn hello(&self) -> ClientHello {
        let mut extensions: Vec<u8> = self.extensions.iter().flat_map(|kind| self.extension(*kind)).collect();
        if self.grease {
            extensions.splice(0..0, [0x7a, 0x7a, 0, 0]);
        }
        let body = [u16s(&[self.version]), vec![7; 32], vec8(&[]), vec16(&self.with_grease(&self.suites)), vec8(&[0])]
            .concat();
        let block = if self.extensions.is_empty() { Vec::new() } else { vec16(&extensions) };
        let hello = ClientHello::parse(&message(1, &[body, block].concat())).expect("a hello");
        assert!(!hello.truncated && hello.grease == self.grease, "{hello:?}");
        hello
    }
}

/// From the README of github.com/salesforce/ja3, and of the Python package pyja3 1.0 (the second).
#[test]
fn ja3() {
    let check = |text: &str, digest: &str| {
        let mut fields = text.split(',').map(|list| numbers(list, '-', 10));
        let mut next = || fields.next().expect("five fields");
        let (version, suites, extensions, groups) = (next(), next(), next(), next());
        for grease in [false, true] {
            let grease = grease && !extensions.is_empty();
            let recipe = Recipe {
                version: version[0],
                suites: suites.clone(),
                extensions: extensions.clone(),
                groups: groups.clone(),
                schemes: vec![0x0403],
                alpn: b"h2",
                versions: vec![0x0304],
                grease,
            };
            assert_eq!(recipe.hello().ja3_text().as_deref(), Some(text));
            assert_eq!(recipe.hello().ja3().as_deref(), Some(digest));
        }
    };
    check("769,47-53-5-10-49161-49162-49171-49172-50-56-19-4,0-10-11,23-24-25,0", "ada70206e40642a3e4461f35503241d5");
    check("769,4-5-10-9-100-98-3-6-19-18-99,,,", "de350869b8c85de67a350c8d186f11e6");
    check(
        "769,255-49162-49172-136-135-57-56-49167-49157-132-53-49159-49161-49169-49171-69-68-51-50-49164-49166-49154-49156-\
         150-65-4-5-47-49160-49170-22-19-49165-49155-65279-10,0-10-11-35,23-24-25,0",
        "2aef69b4ba1938c3a400de4188743185",
    );
    // Chrome 143, as a public test page showed it; the same hello as in `ja4`.
    check(
        "771,4865-4866-4867-49195-49199-49196-49200-52393-52392-49171-49172-156-157-47-53,\
         45-51-16-65037-23-17613-0-11-10-43-65281-35-18-5-13-27,4588-29-23-24,0",
        "98487aa16281980e7d1120d399efb6a4",
    );
}

/// From the README of github.com/salesforce/ja3: `769,47,65281-0-11-35-5-16`.
#[test]
fn ja3s() {
    let extensions: Vec<u8> = [65281, 0, 11, 35, 5, 16].iter().flat_map(|kind| u16s(&[*kind, 0])).collect();
    let body = [u16s(&[769]), vec![7; 32], vec8(&[]), u16s(&[47]), vec![0], vec16(&extensions)].concat();
    let hello = ServerHello::parse(&message(2, &body)).expect("a hello");
    assert_eq!(hello.ja3s_text().as_deref(), Some("769,47,65281-0-11-35-5-16"));
    assert_eq!(hello.ja3s().as_deref(), Some("836ce314215654b5b1f85f97c73e506f"));
}

fn chrome(extensions: &str, alpn: &'static [u8], versions: Vec<u16>) -> Recipe {
    Recipe {
        version: 0x0303,
        suites: numbers("1301,1302,1303,c02b,c02f,c02c,c030,cca9,cca8,c013,c014,009c,009d,002f,0035", ',', 16),
        extensions: numbers(extensions, ',', 16),
        groups: vec![0x11ec, 29, 23, 24],
        schemes: numbers("0403,0804,0401,0503,0805,0501,0806,0601", ',', 16),
        alpn,
        versions,
        grease: true,
    }
}

#[test]
fn ja4() {
    let check = |extensions, alpn, versions, expected: &str| {
        let hello = chrome(extensions, alpn, versions).hello();
        assert_eq!(hello.ja4().as_deref(), Some(expected));
    };
    // The example of JA4's specification (github.com/FoxIO-LLC/ja4, technical_details/JA4.md).
    let example = "001b,0000,0033,0010,4469,0017,002d,000d,0005,0023,0012,002b,ff01,000b,000a,0015";
    check(example, b"h2", vec![0x0304, 0x0303], "t13d1516h2_8daaf6152771_e5627efa2ab1");
    // Chrome 143, as a public test page showed it: 45-51-16-65037-23-17613-0-11-10-43-65281-35-18-5-13-27.
    let chrome143 = "002d,0033,0010,fe0d,0017,44cd,0000,000b,000a,002b,ff01,0023,0012,0005,000d,001b";
    check(chrome143, b"h2", vec![0x0304, 0x0303], "t13d1516h2_8daaf6152771_d8a2da3f94cd");
}

/// The cases that the specification tells apart.
#[test]
fn ja4_first_part() {
    let check = |extensions, alpn, versions, expected: &str| {
        let hello = chrome(extensions, alpn, versions).hello();
        let ja4 = hello.ja4().expect("whole");
        assert_eq!(ja4.split('_').next(), Some(expected));
    };
    check("002b,0010", b"http/1.1", vec![0x0303], "t12i1502h1");
    check("002b,0010,0000", b"h", vec![0x0302, 0x0301], "t11d1503hh");
    check("002b", b"", vec![0x0304], "t13i150100");
    check("0010", b"\xab", vec![], "t12i1501ab");
    check("0010", b"\xab\xcd", vec![], "t12i1501ad");
    check("0010", b"h\x20", vec![], "t12i150160");
    let bare = Recipe { extensions: vec![], suites: vec![], grease: false, ..chrome("", b"", vec![]) };
    assert_eq!(bare.hello().ja4().as_deref(), Some("t12i000000_000000000000_000000000000"));
}
