//! Which addresses a server may send to when somebody else chose them.

use std::net::{IpAddr, Ipv4Addr};

/// Whether an address is in a private network. Loopback is not: it is the user's own machine.
pub fn is_private(address: IpAddr) -> bool {
    match embedded(address) {
        IpAddr::V4(v4) => v4.is_private() || v4.is_link_local() || v4.is_unspecified(),
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_unspecified(),
    }
}

/// Whether an address is one of the internet: none of this machine, of a private network, of a provider's inside (RFC 6598), of a group
/// or reserved.
pub fn is_public(address: IpAddr) -> bool {
    let reserved = match embedded(address) {
        IpAddr::V4(v4) => {
            let [first, second, third, _] = v4.octets();
            v4.is_loopback()
                || v4.is_broadcast()
                || v4.is_multicast()
                || v4.is_documentation()
                || first == 0
                || first >= 240
                || (first == 100 && (64..128).contains(&second))
                || (first == 198 && (18..20).contains(&second))
                || (first == 192 && second == 0 && third == 0)
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_multicast() || v6.segments()[..2] == [0x2001, 0xdb8],
    };
    !reserved && !is_private(address)
}

/// The IPv4 address inside an IPv6 one: mapped, 6to4 or NAT64.
fn embedded(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address.to_canonical() else { return address.to_canonical() };
    let [a, b, c, d, e, f, g, h] = v6.segments();
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    };
    match (a, b) {
        (0x2002, _) => v4(b, c),
        (0x64, 0xff9b) if [c, d, e, f] == [0; 4] => v4(g, h),
        _ => IpAddr::V6(v6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_networks_are_told_apart() {
        let facts = |text: &str| {
            let address = text.parse().unwrap();
            (is_private(address), is_public(address))
        };
        for text in
            ["10.1.2.3", "192.168.0.1", "172.16.0.1", "169.254.169.254", "0.0.0.0", "fd00::1", "fe80::1"]
        {
            assert_eq!(facts(text), (true, false), "{text}");
        }
        for text in ["::ffff:10.0.0.1", "2002:0a00:0001::1", "64:ff9b::a9fe:a9fe"] {
            assert_eq!(facts(text), (true, false), "{text}");
        }
        for text in [
            "127.0.0.1",
            "::1",
            "::ffff:127.0.0.1",
            "100.64.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
        ] {
            assert_eq!(facts(text), (false, false), "{text}");
        }
        for text in ["93.184.216.34", "2606:4700::1111", "100.128.0.1"] {
            assert_eq!(facts(text), (false, true), "{text}");
        }
    }
}
