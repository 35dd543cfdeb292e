//! What comes from outside: each target of `tests/fuzz` over its seeds, and over what a seeded choice makes of them. The
//! same inputs each time; `make fuzz` looks for others.

use fastrand::Rng;

use crate::fuzz_seeds as seeds;
use crate::fuzz_targets::{self as targets, Target};

/// Damaged inputs of a target.
const DAMAGED: usize = 2_000;

/// A longer input says nothing new and takes longer.
const LONGEST: usize = 4 << 10;

/// Pieces that mean something in one of the formats.
const PIECES: &[&str] = &[
    "${",
    "}",
    ":",
    "[",
    "{a: ",
    "- ",
    "\n",
    "!reset ",
    "&a ",
    "*a",
    "\"",
    "'",
    "~",
    "é",
    "$",
    "<<: ",
    "-1",
    "1e999",
    "\0",
    "\r",
    "\u{1b}[2J",
    "\u{202e}",
    "\u{feff}",
    "::error::",
    "]]>",
    "<!--",
    "<![CDATA[",
    "&#0;",
    "&lol;",
    "<",
    "</testcase>",
    "null",
    "18446744073709551616",
    "\\",
    "\\u0000",
    "#",
    "=",
    "%",
    "|-\n",
    "---\n",
    "\t",
];

fn holds(name: &str) {
    let target = targets::ALL
        .into_iter()
        .find(|target| target.name == name)
        .expect("a target");
    let seeds = seeds::of(name);
    for seed in &seeds {
        tried(&target, seed);
    }
    let mut random = Rng::with_seed(7);
    for _ in 0..DAMAGED {
        tried(&target, &damaged(&seeds, &mut random));
    }
}

/// Runs a target over an input, and shows the input where it breaks.
fn tried(target: &Target, input: &[u8]) {
    let broke = std::panic::catch_unwind(|| (target.holds)(input)).is_err();
    assert!(
        !broke,
        "`{}` breaks on {:?}",
        target.name,
        String::from_utf8_lossy(input)
    );
}

/// A seed, or two of them, with pieces cut out, doubled, moved and put in.
fn damaged(seeds: &[Vec<u8>], random: &mut Rng) -> Vec<u8> {
    let mut bytes = chosen(seeds, random).clone();
    bytes.truncate(LONGEST);
    for _ in 0..random.usize(1..5) {
        let at = random.usize(0..=bytes.len());
        let piece = random.usize(at..=(at + 24).min(bytes.len()));
        match random.usize(0..6) {
            0 => drop(bytes.drain(at..piece)),
            1 => drop(bytes.splice(at..at, chosen(PIECES, random).bytes())),
            2 => drop(bytes.splice(at..piece, chosen(PIECES, random).bytes())),
            3 => {
                let doubled = bytes[at..piece].to_vec();
                let to = random.usize(0..=bytes.len());
                drop(bytes.splice(to..to, doubled));
            }
            4 => {
                let other = chosen(seeds, random);
                bytes.truncate(at);
                bytes.extend(&other[random.usize(0..=other.len())..]);
            }
            _ => bytes
                .iter_mut()
                .skip(at)
                .take(1)
                .for_each(|byte| *byte ^= 1 << random.u8(0..8)),
        }
    }
    bytes
}

fn chosen<'a, T>(from: &'a [T], random: &mut Rng) -> &'a T {
    &from[random.usize(0..from.len())]
}

macro_rules! targets {
    ($($test:ident: $name:literal),* $(,)?) => {
        $(#[test]
        fn $test() {
            holds($name);
        })*

        #[test]
        fn every_target_is_tried() {
            assert_eq!(targets::ALL.map(|target| target.name), [$($name),*]);
        }
    };
}

targets! {
    a_signed_verdict_is_refused_or_is_what_was_signed: "bundle",
    a_compose_file_is_refused_or_its_canonical_form_reads_as_itself: "compose",
    an_env_file_is_refused_or_reads_as_what_it_says: "env",
    a_report_of_hurls_forges_nothing: "hurl",
    a_junit_file_forges_nothing: "junit",
    a_lock_is_refused_or_written_as_it_was_read: "lock",
    a_page_sends_what_has_a_name: "page",
    a_record_is_refused_or_every_report_is_made_from_it: "record",
    the_agents_wire_breaks_neither_end: "wire",
    yaml_is_refused_or_written_as_it_was_read: "yaml",
}

#[test]
fn the_script_knows_every_target() {
    let script = include_str!("../fuzz/run.sh");
    let names = targets::ALL.map(|target| target.name).join(" ");
    assert!(script.contains(&format!("all=({names})")), "{names}");
}
