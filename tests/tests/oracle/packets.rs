//! A capture file made ready for tshark.
//!
//! tshark 4.0 does not look at what follows a PROXY header of version 2 in the same packet, but at what follows in the next one:
//! such a packet becomes two. Nothing else is changed, and no byte of the stream.

use std::collections::BTreeSet;
use std::path::Path;

/// The first bytes of a PROXY header of version 2; four more tell its length (HAProxy's proxy-protocol.txt, section 2.2).
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const ETHERNET: usize = 14;
/// Head of the file, of a packet (libpcap's pcap-savefile(5)).
const FILE_HEAD: usize = 24;
const PACKET_HEAD: usize = 16;

/// Ports of clients whose first packet was divided.
pub fn divide_proxy_headers(file: &Path) -> BTreeSet<u16> {
    let bytes = std::fs::read(file).unwrap();
    assert_eq!(bytes[..4], 0xa1b2_c3d4_u32.to_le_bytes(), "a capture file of this machine, with microseconds");
    let mut out = bytes[..FILE_HEAD].to_vec();
    let mut clients = BTreeSet::new();
    let mut rest = &bytes[FILE_HEAD..];
    while let Some(head) = rest.get(..PACKET_HEAD) {
        let length = u32::from_le_bytes(head[8..12].try_into().unwrap()) as usize;
        let packet = &rest[PACKET_HEAD..PACKET_HEAD + length];
        match divided(packet) {
            Some((port, both)) => {
                clients.insert(port);
                for part in both {
                    out.extend_from_slice(&head[..8]);
                    // As long as it is, and all of it is here.
                    out.extend_from_slice(&u32::try_from(part.len()).unwrap().to_le_bytes().repeat(2));
                    out.extend_from_slice(&part);
                }
            }
            None => out.extend_from_slice(&rest[..PACKET_HEAD + length]),
        }
        rest = &rest[PACKET_HEAD + length..];
    }
    std::fs::write(file, out).unwrap();
    clients
}

/// The packet with the header alone, and the one with what follows it.
fn divided(packet: &[u8]) -> Option<(u16, [Vec<u8>; 2])> {
    let ip = packet.get(ETHERNET..)?;
    let (is_4, ip_head) = if ip[0] >> 4 == 4 { (true, usize::from(ip[0] & 15) * 4) } else { (false, 40) };
    let tcp = ETHERNET + ip_head;
    let data = tcp + usize::from(packet.get(tcp + 12)? >> 4) * 4;
    let payload = packet.get(data..)?;
    if !payload.starts_with(SIGNATURE) {
        return None;
    }
    let header = SIGNATURE.len() + 4 + usize::from(number(payload, SIGNATURE.len() + 2));
    let (header, following) = payload.split_at_checked(header).filter(|(_, following)| !following.is_empty())?;
    let part = |payload: &[u8], shift: usize| {
        let mut part = [&packet[..data], payload].concat();
        let length = part.len() - ETHERNET - if is_4 { 0 } else { 40 };
        let at = ETHERNET + if is_4 { 2 } else { 4 };
        part[at..at + 2].copy_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
        let sequence = u32::from_be_bytes(part[tcp + 4..tcp + 8].try_into().unwrap());
        let sequence = sequence.wrapping_add(u32::try_from(shift).unwrap());
        part[tcp + 4..tcp + 8].copy_from_slice(&sequence.to_be_bytes());
        part
    };
    Some((number(packet, tcp), [part(header, 0), part(following, header.len())]))
}

fn number(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}
