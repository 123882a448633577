//! The bodies of the fuzz targets in `fuzz/`, run briefly on seeds and random changes of them.

#[path = "../../fuzz/bodies.rs"]
mod bodies;

use bodies::{canonical_path, request_parser, scope, token};

/// How many inputs each target gets; ten times as many with `HALLPASS_TEST_SLOW=1`.
const INPUTS: u32 = 20_000;

/// A small generator (xorshift64*): the same inputs for the same seed, which a failure names.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(n.max(1)).unwrap()).unwrap()
    }
}

fn change(random: &mut Random, input: &mut Vec<u8>, seeds: &[&[u8]]) {
    const ODD: &[&[u8]] = &[
        b"\r\n", b"\n", b"\0", b"%2e", b"%2F", b"..", b"//", b":", b"@", b"*", b",", b" ", b"\t", b"\xff", b"%", b"hp_",
    ];
    for _ in 0..=random.below(4) {
        let at = random.below(input.len() + 1);
        match random.below(6) {
            0 => input.insert(at, u8::try_from(random.below(256)).unwrap()),
            1 if at < input.len() => drop(input.remove(at)),
            2 if at < input.len() => input[at] ^= 1 << random.below(8),
            3 => drop(input.splice(at..at, ODD[random.below(ODD.len())].iter().copied())),
            4 => input.truncate(at),
            _ => {
                let other = seeds[random.below(seeds.len())];
                let from = random.below(other.len() + 1);
                input.extend_from_slice(&other[from..]);
            }
        }
    }
    input.truncate(4096);
}

fn smoke(name: &str, body: fn(&[u8]), seeds: &[&[u8]]) {
    let seed = u64::from_le_bytes(hallpass::sys::random().unwrap()) | 1;
    let mut random = Random(seed);
    for seed in seeds {
        body(seed);
    }
    let count = if super::support::slow() { INPUTS * 10 } else { INPUTS };
    for _ in 0..count {
        let mut input = seeds[random.below(seeds.len())].to_vec();
        change(&mut random, &mut input, seeds);
        let held = std::panic::catch_unwind(|| body(&input));
        assert!(held.is_ok(), "{name} with seed {seed}: {:?}", String::from_utf8_lossy(&input));
    }
}

#[test]
fn request_heads() {
    smoke(
        "request_parser",
        request_parser,
        &[
            b"GET /v1/ping HTTP/1.1\r\nHost: x\r\n\r\n",
            b"POST /a?b HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nA: b\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"GET / HTTP/1.0\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
        ],
    );
}

#[test]
fn tokens() {
    let real = hallpass::token::Token::from_entropy([7; 32]);
    smoke("token", token, &[real.expose().as_bytes(), b"hp_", b"hp_0000", b""]);
}

#[test]
fn paths() {
    smoke(
        "canonical_path",
        canonical_path,
        &[b"/openai/v1/models?a=b", b"/a/%2e%2e/b", b"/a/b%2Fc/", b"/", b"/a;b/c", b"/%E2%82%AC/x"],
    );
}

#[test]
fn scopes() {
    smoke("scope", scope, &[b"github:issues:read,pulls:*@acme/web,acme/*", b"openai:chat", b"a:b@c/d/e", b"x:*@*"]);
}
