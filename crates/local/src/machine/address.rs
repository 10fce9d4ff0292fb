//! An address of its own for each machine, so that all of them may listen on the ports that their user data names.
//!
//! All of 127.0.0.0/8 is this machine on Linux; elsewhere only 127.0.0.1 can be bound unless somebody adds aliases, and
//! all machines share that.

use std::net::{Ipv4Addr, TcpListener};

/// What a machine gets where it can have none of its own.
pub(crate) const UNBOUND: Ipv4Addr = Ipv4Addr::LOCALHOST;

/// 127.64.0.0/10: away from 127.0.0.0/16, where people and programs put what they run.
const FIRST: u32 = u32::from_be_bytes([127, 64, 0, 0]);
const COUNT: u32 = 1 << 22;

/// An address that is not `taken` and that this machine lets us bind, chosen by chance: another local cloud on this
/// machine has most likely chosen others.
pub(crate) fn own_address(taken: impl Fn(Ipv4Addr) -> bool) -> Ipv4Addr {
    for _ in 0..8 {
        // Neither the first nor the last: they look like those of a network and of a broadcast.
        let address = Ipv4Addr::from(FIRST + 1 + rand::random::<u32>() % (COUNT - 2));
        if taken(address) {
            continue;
        }
        if TcpListener::bind((address, 0)).is_err() {
            break;
        }
        return address;
    }
    UNBOUND
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_loopback_and_free() {
        let one = own_address(|_| false);
        assert!(one.is_loopback());
        assert!(one == UNBOUND || (64..128).contains(&one.octets()[1]), "{one}");
        assert_eq!(own_address(|_| true), UNBOUND);
    }
}
